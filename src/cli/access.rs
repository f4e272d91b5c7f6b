//! The gate that a command asks: the running one through its admin API, or, when none runs, its store.
//!
//! The lock on the data directory tells which: only a gate that runs has it, and while this command has it none can start. Both sides
//! answer in the same words (`admin::wire`), so that each command is written once.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::client::Client;
use crate::admin::desk::{self, Deed, Fault, Step};
use crate::admin::figures;
use crate::admin::wire::{
    ActRequest, Done, Figures, Found, ImportHead, ImportReply, ImportRow, ListRequest,
    LookupRequest, OutageReply, ReleaseRequest, Report, ReportRequest, ResolveRequest, Row, Story,
    UndoRequest, Undone, Verified,
};
use crate::admin::{import, outages, report, rows, story, undo};
use crate::app::{self, build};
use crate::bounce::classify::Classifier;
use crate::config::{self, Settings};
use crate::failure::Failure;
use crate::gate::{Gate, GateError, GateSettings};
use crate::policy::outage::Resolution;
use crate::store::StoreError;
use crate::store::lock::DataLock;
use crate::tally;
use crate::time::Timestamp;

/// How often, and how far apart, a gate is looked for that has the lock and does not answer: it may be starting, or another command
/// may have the store for a moment.
const TURNS: u32 = 20;
const TURN: Duration = Duration::from_millis(150);
/// Rows between two words about how many were handed over.
const SHOWN_EVERY: u64 = 1024;
/// How often it is looked how far the folding of an import is.
const LOOK: Duration = Duration::from_millis(20);

/// Where answers come from.
pub enum Access {
    /// The gate that runs.
    Running(Client),
    /// The store, which is ours until this is dropped.
    Direct(Gate),
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many rows were handed over.
    Sorted(u64),
    /// So many are on disk.
    Journaled(u64),
    /// So many addresses were folded.
    Folded(u64),
}

/// Rows, as they come.
pub type Rows = Box<dyn Iterator<Item = Result<Row, Failure>>>;

/// What the configuration says; its lists are read only when they are needed.
pub fn settings(config: Option<&Path>) -> Result<Settings, Failure> {
    let file = config::find(config).map_err(|error| build::faults(&[error]))?;
    config::read(&file).map_err(|errors| build::faults(&errors))
}

impl Access {
    /// Finds the gate of this configuration, or opens its store with the configuration's policy and lists.
    pub fn open(settings: &Settings) -> Result<Self, Failure> {
        for turn in 1.. {
            match DataLock::take(&settings.data_dir, Duration::ZERO) {
                Ok(lock) => drop(lock),
                Err(StoreError::Locked { .. }) => match Client::find(settings) {
                    Err(Failure::Temporary(_)) if turn < TURNS => {
                        std::thread::sleep(TURN);
                        continue;
                    }
                    Err(Failure::Temporary(why)) => return Err(Failure::Unavailable(why)),
                    found => return found.map(Self::Running),
                },
                Err(error) => return Err(GateError::from(error).into()),
            }
            match open_store(settings) {
                // Somebody was quicker.
                Err(Failure::Temporary(_)) if turn < TURNS => std::thread::sleep(TURN),
                opened => return opened.map(Self::Direct),
            }
        }
        Err(Failure::Internal("no end of turns".to_owned()))
    }

    /// What a RCPT for each address would get now. Any number of addresses.
    pub fn lookup(&self, request: &LookupRequest) -> Result<Vec<Found>, Failure> {
        match self {
            Self::Running(client) => client.lookup(request),
            Self::Direct(gate) => Ok(desk::lookup(gate, request, Timestamp::now())?),
        }
    }

    /// The story of an address.
    pub fn explain(&self, address: &str, tenant: Option<&str>) -> Result<Story, Failure> {
        match self {
            Self::Running(client) => client.explain(address, tenant),
            Self::Direct(gate) => Ok(story::tell(gate, address, tenant, Timestamp::now())?),
        }
    }

    /// The records that fit.
    pub fn list(&self, request: &ListRequest) -> Result<Rows, Failure> {
        match self {
            Self::Running(client) => client.list(request),
            Self::Direct(gate) => {
                let rows = rows::rows(gate, request, Timestamp::now())?;
                Ok(Box::new(rows.map(|row| row.map_err(Failure::from))))
            }
        }
    }

    /// What became of recipients, as these settings keep it.
    pub fn report(&self, settings: &Settings, request: &ReportRequest) -> Result<Report, Failure> {
        match self {
            Self::Running(client) => client.report(request),
            Self::Direct(_) => {
                let folder = build::tally_settings(settings).folder;
                let sum = tally::sum(&folder, &report::question(request)?);
                let sum =
                    sum.map_err(|error| Failure::Io(format!("{}: {error}", folder.display())))?;
                Ok(report::report(&sum, request, build::alerts(settings)))
            }
        }
    }

    /// An act on one address; it is on disk when this returns.
    pub fn act(&self, deed: Deed, request: &ActRequest) -> Result<Done, Failure> {
        match self {
            Self::Running(client) => client.act(deed, request),
            Self::Direct(gate) => settle(desk::act(gate, deed, request, Timestamp::now())?),
        }
    }

    /// Releases some addresses; they are on disk when this returns.
    pub fn release(&self, request: &ReleaseRequest) -> Result<Vec<Done>, Failure> {
        match self {
            Self::Running(client) => client.release(request),
            Self::Direct(gate) => {
                let steps = desk::release(gate, request, Timestamp::now())?;
                steps.into_iter().map(settle).collect()
            }
        }
    }

    /// Undoes some events, or says what that would do; what was done is on disk and in force when this returns.
    pub fn undo(&self, request: &UndoRequest) -> Result<Undone, Failure> {
        match self {
            Self::Running(client) => client.undo(request),
            Self::Direct(gate) if request.dry_run => {
                Ok(undo::preview(gate, request, Timestamp::now())?)
            }
            Self::Direct(gate) => {
                let obeying = undo::order(gate, request, Timestamp::now())?;
                Ok(undo::outcome(obeying.wait())?)
            }
        }
    }

    /// The outages of receivers.
    pub fn outages(&self) -> Result<OutageReply, Failure> {
        match self {
            Self::Running(client) => client.outages(),
            Self::Direct(gate) => Ok(outages::list(gate)?),
        }
    }

    /// Says what an outage was, or what saying so would do; what was done is on disk and in force when this returns.
    pub fn resolve_outage(
        &self,
        id: &str,
        word: Resolution,
        request: &ResolveRequest,
    ) -> Result<Undone, Failure> {
        match self {
            Self::Running(client) => client.resolve_outage(id, word, request),
            Self::Direct(gate) if request.dry_run => {
                Ok(outages::preview(gate, id, word, Timestamp::now())?)
            }
            Self::Direct(gate) => {
                let obeying = outages::order(gate, id, word, request, Timestamp::now())?;
                Ok(undo::outcome(obeying.wait())?)
            }
        }
    }

    /// Imports rows, all or none; they are on disk and in force when this returns.
    pub fn import(
        &self,
        head: &ImportHead,
        rows: impl Iterator<Item = Result<ImportRow, Failure>>,
        progress: impl Fn(Progress) + Sync,
    ) -> Result<ImportReply, Failure> {
        match self {
            Self::Running(client) => client.import(head, rows, &progress),
            Self::Direct(gate) => {
                let intake = import::begin(gate, head.clone(), Timestamp::now())?;
                let rows = rows.zip(1..).map(|(row, number)| {
                    if number % SHOWN_EVERY == 0 {
                        progress(Progress::Sorted(number));
                    }
                    row
                });
                let kept = intake.take(gate, rows, |rows| {
                    progress(Progress::Journaled(rows));
                    Ok(())
                })?;
                let Some(mut obeying) = kept.obeying else { return Ok(kept.reply) };
                loop {
                    if let Some(outcome) = obeying.settled() {
                        return Ok(import::outcome(kept.reply, outcome)?);
                    }
                    if let Some(why) = gate.trouble() {
                        return Err(import::held_up(&kept.reply, &why).into());
                    }
                    let folded = gate.refolded().map_or(0, |tally| tally.addresses);
                    progress(Progress::Folded(folded));
                    std::thread::sleep(LOOK);
                }
            }
        }
    }

    /// The figures, with the standings counted.
    pub fn figures(&self) -> Result<Figures, Failure> {
        match self {
            Self::Running(client) => client.figures(),
            Self::Direct(gate) => Ok(figures::figures(gate, 0, true, Timestamp::now())?),
        }
    }

    /// Compares index and journal. `progress` gets what is done and about how much there is, unless a running gate does it.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified, Failure> {
        match self {
            Self::Running(client) => client.verify(),
            Self::Direct(gate) => Ok(gate.verify_with(progress).map_err(Fault::from)?.into()),
        }
    }

    /// Where the answers come from, if a gate runs.
    pub const fn running(&self) -> Option<SocketAddr> {
        match self {
            Self::Running(client) => Some(client.address()),
            Self::Direct(_) => None,
        }
    }
}

fn open_store(settings: &Settings) -> Result<Gate, Failure> {
    let lists = config::load_lists(&settings.lists).map_err(|errors| build::faults(&errors))?;
    let policy =
        config::load_policy(&settings.policy, &lists).map_err(|errors| build::faults(&errors))?;
    let store = GateSettings { lock_wait: Duration::ZERO, ..build::gate_settings(settings) };
    let bar = super::keep::bar("reading the journal");
    let opened = app::open_gate(store, policy, Classifier::builtin(), lists, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let (gate, report) = opened?;
    super::keep::mended(&report);
    Ok(gate)
}

fn settle(step: Step) -> Result<Done, Failure> {
    match step {
        Step::Nothing(done) => Ok(done),
        Step::Waiting(address, durable) => Ok(desk::outcome(&address, durable.wait())?),
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Bad(why) => Self::Data(why),
            Fault::Later(why) => Self::Temporary(why),
            Fault::Disk(why) => Self::Io(why),
            Fault::Internal(why) => Self::Internal(why),
        }
    }
}
