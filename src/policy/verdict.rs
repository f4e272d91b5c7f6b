//! What the gate says to one RCPT.

use crate::smtp::reply::Reply;

/// The answer to one RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Forward,
    /// It may not, for good (5yz).
    Refuse(Reply),
    /// It may not now (4yz).
    Defer(Reply),
}
