//! The words of SMTP: pure values and parsers, no input or output.
//!
//! | file | implements |
//! |---|---|
//! | `address` | RFC 5321 §4.1.2 paths and mailboxes; the key that the store is looked up by |
//! | `command` | RFC 5321 §4.1.1 commands, one line in |
//! | `reply` | RFC 5321 §4.2 replies, bounded, multi-line |
//! | `status` | RFC 3463 enhanced status codes |
//! | `line` | CRLF framing of command lines |
//! | `data` | RFC 5321 §4.5.2 end-of-data framing that leaves every byte as it came |
//! | `chunk` | RFC 3030 content by count of octets |
//! | `extensions` | RFC 5321 §2.2 EHLO keywords |
//! | `identity` | who a client is, by Postfix's XCLIENT and XFORWARD |
//! | `sasl` | RFC 4954 AUTH: its lines, PLAIN and LOGIN |

pub mod address;
pub mod chunk;
pub mod command;
pub mod data;
pub mod extensions;
pub mod identity;
pub mod line;
pub mod reply;
pub mod sasl;
pub mod status;
