//! The commands: argv in, exit code out.
//!
//! | file | holds |
//! |---|---|
//! | `args` | the command line |
//! | `access` | the gate that a command asks: the running one, or its store |
//! | `client` | the running gate's admin API |
//! | `out` | standard output, colours, harmless text |
//! | the others | one command or a few of a kind each |

mod access;
mod acts;
mod args;
pub mod check;
pub mod classify;
mod client;
pub mod credentials;
pub mod demo;
pub mod disposable;
mod events;
mod explain;
mod export;
mod import;
mod keep;
mod list;
mod lookup;
mod out;
mod outages;
mod release;
mod replay;
mod report;
mod shell;
pub mod simulate;
mod stats;
mod tail;
mod undo;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use crate::app;
use crate::failure::Failure;
use access::Access;
use args::{Cli, Command};
use out::Out;

/// Runs the command that the arguments name. What goes wrong is said on standard error.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(told) => {
            // Help and version are answers; they go to standard output, and whether anybody reads them does not matter.
            let _ = told.print();
            let code = if told.use_stderr() { Failure::Usage(String::new()).code() } else { 0 };
            return code.into();
        }
    };
    let mut out = Out::standard();
    let done = dispatch(&cli, &mut out);
    let flushed = out.flush().map_err(Failure::from);
    match done.and_then(|code| flushed.map(|()| code)) {
        Ok(code) => code.into(),
        Err(Failure::Unread) => ExitCode::SUCCESS,
        Err(failure) => {
            // If nobody reads standard error either, the exit code has to do.
            let _ = writeln!(std::io::stderr(), "rcptgate: {failure}");
            failure.into()
        }
    }
}

fn dispatch(cli: &Cli, out: &mut Out) -> Result<u8, Failure> {
    let config = cli.config.as_deref();
    let done = match &cli.command {
        Command::Serve => app::serve(config),
        Command::Check(check) => check::run(config, check.json, out),
        Command::Demo(demo) => demo::run(demo.once),
        Command::Lookup(lookup) => lookup::run(config, lookup, out),
        Command::Explain(explain) => explain::run(config, explain, out),
        Command::List(list) => list::run(config, list, out),
        Command::Report(report) => report::run(config, report, out),
        Command::Events(events) => events::run(config, events, out),
        Command::Quarantine(quarantine) => acts::quarantine(config, quarantine, out),
        Command::Blacklist(blacklist) => acts::blacklist(config, blacklist, out),
        Command::Allow(allow) => acts::allow(config, allow, out),
        Command::Release(release) => release::run(config, release, out),
        Command::Undo(undo) => undo::run(config, undo, out),
        Command::Outages(outages) => outages::run(config, outages, out),
        Command::Import(import) => import::run(config, import, out),
        Command::Export(export) => export::run(config, export, out),
        Command::Disposable(disposable) => {
            return disposable::run(config, &disposable.command, out);
        }
        Command::Credentials(credentials) => credentials::run(config, &credentials.command, out),
        Command::Classify(classify) => classify::run(config, classify, out),
        Command::Simulate(simulate) => keep::simulate(config, simulate, out),
        Command::Replay(replay) => replay::run(config, replay, out),
        Command::Stats(stats) => stats::run(config, stats.json, out),
        Command::Tail(tail) => tail::run(config, tail, out),
        Command::Verify(verify) => keep::verify(config, verify.json, out),
        Command::Rebuild => keep::rebuild(config, out),
        Command::Completions(completions) => shell::completions(completions.shell, out),
        Command::Man => shell::man(out),
    };
    done.map(|()| 0)
}

/// The gate that the configuration names.
fn access(config: Option<&Path>) -> Result<Access, Failure> {
    let settings = access::settings(config)?;
    Access::open(&settings)
}
