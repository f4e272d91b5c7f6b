//! What one step of the gate costs, in this process: see `README.md` beside this file for the figures and what they mean.
//!
//! `cargo bench` runs all, `cargo bench -- judge` those whose name contains `judge`.

mod classify;
mod content;
mod distance;
mod fanout;
mod guard;
mod judge;
mod learn;
mod mx;
mod names;
mod peers;
mod relay;
mod session;
mod tally;

criterion::criterion_main!(
    classify::benches,
    judge::benches,
    guard::benches,
    learn::benches,
    tally::benches,
    content::benches,
    session::benches,
    relay::benches,
    distance::benches,
    mx::benches,
    fanout::benches
);
