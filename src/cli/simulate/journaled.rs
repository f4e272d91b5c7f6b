//! Lines of a journal among those of a simulation.

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Simulation;
use crate::journal::{self, Entry, Said};

/// What tells a line of a journal: an event there has a sequence and a name, an order says which it is.
#[derive(Deserialize)]
struct Mark {
    seq: Option<IgnoredAny>,
    id: Option<IgnoredAny>,
    order: Option<IgnoredAny>,
}

/// Whether a line is one of a journal.
pub(super) fn is_journaled(text: &[u8]) -> bool {
    // Cheap first: most lines are not.
    let named = |name: &str| memmem::find(text, name.as_bytes()).is_some();
    (named("\"seq\"") || named("\"order\""))
        && serde_json::from_slice::<Mark>(text)
            .is_ok_and(|mark| mark.order.is_some() || mark.seq.is_some() && mark.id.is_some())
}

impl Simulation<'_> {
    /// Takes a line of a journal. They go in the order of their sequence, in which a clock may have gone back.
    pub(super) fn journaled(&mut self, number: u64, text: &[u8]) -> Result<(), String> {
        let entry = journal::parse(text.trim_ascii_end(), self.seq).map_err(|why| {
            let why = why.split(" at line ").next().unwrap_or_default();
            format!("a line of a journal: {why}")
        })?;
        let Entry { seq, said } = entry;
        self.seq = seq;
        let at = match &said {
            Said::Event(event) => event.at,
            Said::Order(order) => order.at,
        };
        if self.latest.is_none_or(|(latest, _)| latest < at) {
            self.latest = Some((at, number));
        }
        match said {
            Said::Event(event) => self.records.take(seq, event),
            Said::Order(order) => self.records.obey(order),
        }
        Ok(())
    }
}
