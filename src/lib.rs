//! rcptgate
pub mod bounce;
pub mod cli;
pub mod config;
pub mod event;
pub mod lists;
pub mod log;
pub mod policy;
pub mod session;
pub mod smtp;
pub mod time;
pub mod watch;
