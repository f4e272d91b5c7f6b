//! The gate's own form, which an import reads back to the same standings.

use std::borrow::Cow;

use serde::Serialize;

use crate::event::ImportKind;
use crate::time::Timestamp;

/// One standing. The first seven columns are what an import reads; the others are for whoever looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The address in normal form.
    pub address: String,
    /// What an import makes of it; `watch` and `clear` are nothing.
    pub kind: &'static str,
    /// Since when.
    pub at: Option<Timestamp>,
    /// Until when, if there is an end.
    pub until: Option<Timestamp>,
    /// Whose blacklist it is.
    pub tenant: Option<String>,
    /// The category of the reply behind it.
    pub category: Option<String>,
    /// The reply behind it, or why somebody ordered it.
    pub reason: Option<String>,
    /// The standing.
    pub standing: String,
    /// Its ground, as in a look-up.
    pub ground: String,
    /// Who ordered it.
    pub by: Option<String>,
    /// The system that it was imported from.
    pub source: Option<String>,
    /// The import that brought it.
    pub batch: Option<String>,
    /// The event behind it.
    pub id: Option<String>,
}

/// The names of the columns.
pub const COLUMNS: [&str; 13] = [
    "address", "kind", "at", "until", "tenant", "category", "reason", "standing", "ground", "by",
    "source", "batch", "id",
];

impl Exported {
    /// What an import is to make of a standing with that ground, so that it comes to the same again.
    pub fn kind_of(standing: &str, ground: &str, complained: bool) -> &'static str {
        let kind = match (standing, ground) {
            ("allowed", _) => ImportKind::Allowed,
            ("blacklisted", _) if complained => ImportKind::Complaint,
            ("blacklisted", _) => ImportKind::Unsubscribe,
            ("quarantined", "quarantine") => ImportKind::Soft,
            ("quarantined_long_term", "quarantine_long_term") => ImportKind::Hard,
            ("quarantined" | "quarantined_long_term", _) => ImportKind::Blocked,
            ("on_watch", _) => return "watch",
            _ => return "clear",
        };
        kind.name()
    }

    /// The row as cells. Texts that a spreadsheet would take for a formula are guarded; addresses stay as they are.
    pub fn cells(&self) -> [Cow<'_, str>; 13] {
        let time =
            |at: Option<Timestamp>| Cow::from(at.map(|at| at.to_string()).unwrap_or_default());
        let word = |text: &Option<String>| Cow::from(text.clone().unwrap_or_default());
        let text = |text: &Option<String>| guarded(text.clone().unwrap_or_default());
        [
            Cow::from(&self.address),
            Cow::from(self.kind),
            time(self.at),
            time(self.until),
            word(&self.tenant),
            word(&self.category),
            text(&self.reason),
            Cow::from(&self.standing),
            Cow::from(&self.ground),
            text(&self.by),
            word(&self.source),
            word(&self.batch),
            word(&self.id),
        ]
    }
}

/// Whether a standing of that ground was learnt from replies.
pub(super) fn is_learnt(ground: &str) -> bool {
    matches!(ground, "quarantine" | "quarantine_long_term")
}

/// What makes a spreadsheet calculate instead of show (OWASP, "CSV Injection").
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Text behind a `'` if a spreadsheet would calculate it.
pub fn guarded(text: String) -> Cow<'static, str> {
    // One that begins with the guard already gets another, so that taking it off gives back what was there.
    let needs = text.starts_with(FORMULA) || text.starts_with('\'');
    Cow::from(if needs { format!("'{text}") } else { text })
}

/// Takes the guard off again.
pub fn without_guard(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(FORMULA) || rest.starts_with('\'') => rest,
        Some(_) | None => text,
    }
}
