//! What an event says of where it came from, whatever it is.

use super::{Act, Context, Event, Evidence, Imported, What};
use crate::bounce::Category;

impl Event {
    /// The reply that refused the recipient, if it is one.
    pub const fn evidence(&self) -> Option<&Evidence> {
        match &self.what {
            What::Reply(evidence) => Some(evidence),
            What::Delivered(_)
            | What::Complaint { .. }
            | What::Engaged
            | What::Quarantine { .. }
            | What::Blacklist { .. }
            | What::Allow { .. }
            | What::Release { .. }
            | What::Imported(_) => None,
        }
    }

    /// The row of an import, if it is one.
    pub const fn imported(&self) -> Option<&Imported> {
        match &self.what {
            What::Imported(imported) => Some(imported),
            What::Reply(_)
            | What::Delivered(_)
            | What::Complaint { .. }
            | What::Engaged
            | What::Quarantine { .. }
            | What::Blacklist { .. }
            | What::Allow { .. }
            | What::Release { .. } => None,
        }
    }

    /// The message that drew it; none of what no message drew.
    pub const fn context(&self) -> Option<&Context> {
        match &self.what {
            What::Reply(evidence) => Some(&evidence.context),
            What::Delivered(delivery) => Some(&delivery.context),
            What::Complaint { .. }
            | What::Engaged
            | What::Quarantine { .. }
            | What::Blacklist { .. }
            | What::Allow { .. }
            | What::Release { .. }
            | What::Imported(_) => None,
        }
    }

    /// The category of the reply, or of what another system knew; a complaint is a `complaint`.
    pub fn category(&self) -> Option<Category> {
        match &self.what {
            What::Complaint { .. } => Some(Category::Complaint),
            What::Imported(imported) => imported.category,
            What::Reply(evidence) => Some(evidence.category),
            What::Delivered(_)
            | What::Engaged
            | What::Quarantine { .. }
            | What::Blacklist { .. }
            | What::Allow { .. }
            | What::Release { .. } => None,
        }
    }

    /// The rule that read the reply.
    pub fn rule(&self) -> Option<&str> {
        self.evidence().map(|evidence| &*evidence.rule)
    }

    /// The import that brought it.
    pub fn batch(&self) -> Option<&str> {
        self.imported().map(|imported| &*imported.batch)
    }

    /// Where a complaint or an import came from.
    pub fn source(&self) -> Option<&str> {
        match &self.what {
            What::Complaint { source } => source.as_deref(),
            What::Imported(imported) => Some(&imported.source),
            What::Reply(_)
            | What::Delivered(_)
            | What::Engaged
            | What::Quarantine { .. }
            | What::Blacklist { .. }
            | What::Allow { .. }
            | What::Release { .. } => None,
        }
    }

    /// Who did it, and why; none of what no operator did.
    pub const fn act(&self) -> Option<&Act> {
        match &self.what {
            What::Quarantine { act, .. }
            | What::Blacklist { act }
            | What::Allow { act }
            | What::Release { act, .. } => Some(act),
            What::Imported(imported) => Some(&imported.act),
            What::Reply(_) | What::Delivered(_) | What::Complaint { .. } | What::Engaged => None,
        }
    }
}
