//! rcptgate
pub mod bounce;
pub mod cli;
pub mod event;
pub mod gate;
pub mod journal;
pub mod policy;
pub mod session;
pub mod smtp;
pub mod store;
pub mod time;
