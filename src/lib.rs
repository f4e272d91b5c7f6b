//! rcptgate
pub mod app;
pub mod bounce;
pub mod cli;
pub mod dns;
pub mod event;
pub mod gate;
pub mod journal;
pub mod lists;
pub mod log;
pub mod metrics;
pub mod policy;
pub mod proxy;
pub mod session;
pub mod smtp;
pub mod store;
pub mod time;
pub mod watch;
