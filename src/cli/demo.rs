//! `rcptgate demo`: the real gate between a scripted campaign and scripted receivers, all on loopback.
//!
//! Only what stands on both sides of the gate is scripted (`cast`). Everything shown is what came of it: replies as they came
//! over TCP, events as they stand in the journal, verdicts as the gate gives them. What the cast expects is compared with
//! what happened, and a difference is a failure of the program, not of the story.
//!
//! | file | holds |
//! |---|---|
//! | `cast` | who is written to, how each receiver answers, what is expected of it |
//! | `receivers` | the SMTP server that plays every receiver |
//! | `sender` | the SMTP client that plays the mailing's MTA |
//! | `stage` | the gate in a directory of its own, and what it knows |
//! | `mailing` | one mailing: sent, compared with what is expected, told |
//! | `ahead` | what the policy would make of the bounces to come |
//! | `show` | tables and paragraphs |

mod ahead;
mod cast;
mod mailing;
mod receivers;
mod sender;
mod show;
mod stage;

use std::io::Write;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::event::{Act, List, Tenant, What};
use crate::failure::Failure;
use crate::log::{self, Format};
use mailing::Totals;
use show::Show;
use stage::{Folder, Stage};

/// Runs the demonstration. With `once` it ends there; without, the gate stays up until it is interrupted.
///
/// # Errors
/// `Internal` when the gate did not do what the demonstration says it does.
pub fn run(once: bool) -> Result<(), Failure> {
    let folder = Folder::make()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut show = Show::new(std::io::stdout());
    runtime.block_on(async {
        let mut ends = Ends::watch()?;
        let stage = Stage::set(&folder).await?;
        let mut result = tokio::select! {
            result = play(&stage, &mut show) => result,
            () = ends.first() => return stage.strike().await,
        };
        if !once && result.is_ok() {
            result = by_hand(&stage, &folder, &mut show).await;
            if result.is_ok() {
                // From here on the log shows what whoever tries it does.
                let _log = log::start(Format::Text, LevelFilter::INFO)
                    .map_err(|error| Failure::Internal(error.to_string()))?;
                ends.first().await;
            }
        }
        stage.strike().await.and(result)
    })
}

/// Three mailings, with what an operator does in between.
async fn play(stage: &Stage, show: &mut Show<impl Write>) -> Result<(), Failure> {
    let began = tokio::time::Instant::now();
    let mut totals = Totals::default();
    show.say(INTRODUCTION)?;
    show.say(&format!("Beforehand, {} complained about mail of the tenant `shop`.", cast::ANGRY))?;
    stage.act(cast::ANGRY, cast::SHOP, What::Complaint { source: Some("demo".to_owned()) }).await?;
    for mailing in cast::MAILINGS {
        if let Some(address) = mailing.released {
            let act = Act { reason: "the owner made room".to_owned(), by: "demo".to_owned() };
            stage
                .act(address, mailing.tenant, What::Release { from: List::Quarantine, act })
                .await?;
        }
        mailing::run(mailing, stage, show, &mut totals).await?;
    }
    totals.tell(stage, began.elapsed(), show)?;
    ahead::tell(stage, show)
}

/// How to go on by hand.
async fn by_hand(
    stage: &Stage,
    folder: &Folder,
    show: &mut Show<impl Write>,
) -> Result<(), Failure> {
    let file = stage.admit(folder).await?;
    let program = std::env::args().next().unwrap_or_else(|| "rcptgate".to_owned());
    let rcptgate = format!("{program} -c {}", file.display());
    let shop = stage.door(&Tenant(cast::SHOP.to_owned()))?;
    let news = stage.door(&Tenant(cast::NEWS.to_owned()))?;
    let (anna, full, moved) = (cast::ANNA, cast::FULL, cast::MOVED);
    show.heading("The gate stays up. Try it from another terminal")?;
    show.say(&format!(
        "  swaks --server {shop} --from you@shop.test --to gone@gmail.com      refused by the gate\n  \
         swaks --server {shop} --from you@shop.test --to {anna}    delivered\n  \
         swaks --server {news} --from you@news.test --to {full}   another tenant, same quarantine\n\n  \
         {rcptgate} lookup {full}\n  \
         {rcptgate} explain {moved}\n  \
         {rcptgate} list\n  \
         {rcptgate} release {full} --reason 'made room'\n\n\
         Ctrl-C ends the gate and removes all that it kept. Its log follows.\n",
    ))
}

const INTRODUCTION: &str = "\
Mail goes out through rcptgate to receivers that this program plays itself. The gate, its store and every
SMTP conversation are real. Nothing leaves this machine: gmail.com below is a script on 127.0.0.1.

hard: the address does not exist. soft: its mailbox takes no mail now. 1 of 3: the third one quarantines it.
A refusal by the gate starts with \"rcptgate:\"; the id of its event, which ends it, is left out here.
";

/// The signals that end the demonstration.
struct Ends {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Ends {
    fn watch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn first(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
