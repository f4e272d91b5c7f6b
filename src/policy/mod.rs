//! Judgement: how standings move, and what they say about a RCPT. Pure; time is an argument.

pub mod verdict;
