//! The commands.

pub mod check;
pub mod classify;
pub mod demo;
pub mod disposable;
pub mod simulate;

pub use crate::app::exit;
