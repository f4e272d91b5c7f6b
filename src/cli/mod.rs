//! The commands.

pub mod exit;
