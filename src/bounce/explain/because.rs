//! Reasons in plain words. What decides is in `classify`; these sentences follow its cases one by one.

use crate::bounce::classify::{Classification, Decisive, Reading};
use crate::bounce::rules::Rule;
use crate::bounce::{Category, Effect, Scope, Stage};

/// What the first digit says.
pub(super) const fn class(transient: bool) -> &'static str {
    if transient {
        "4 is among the codes: not now. Never hard, whatever the words say"
    } else {
        "5: a refusal for good. How bad it is depends on the rest"
    }
}

/// What the command that was answered says.
pub(super) fn stage(asked: Stage, read: Stage) -> String {
    let what = match read {
        Stage::Lookup => "the domain, as DNS has it",
        Stage::Connect | Stage::Ehlo | Stage::Starttls | Stage::Auth => {
            "the two servers; no recipient was named yet"
        }
        Stage::Mail => "the sender; no recipient was named yet",
        Stage::Rcpt => "one recipient, unless the words say otherwise",
        Stage::Data | Stage::EndOfData => "the message and all its recipients",
        Stage::Rset | Stage::Quit => "nothing that matters",
        Stage::Dsn => "one recipient, reported later by mail",
    };
    if asked == read {
        format!("{read}: an answer about {what}")
    } else {
        format!("{read}, as the text itself says (not {asked}): an answer about {what}")
    }
}

/// Why the category is another one than the rule's own.
pub(super) fn category(reading: &Reading<'_>, rule: &Rule) -> Option<&'static str> {
    let unknown = matches!(rule.category, Category::UserUnknown | Category::DomainUnknown);
    let early = match reading.stage {
        Stage::Lookup
        | Stage::Connect
        | Stage::Ehlo
        | Stage::Starttls
        | Stage::Auth
        | Stage::Mail => true,
        Stage::Rcpt | Stage::Data | Stage::EndOfData | Stage::Rset | Stage::Quit | Stage::Dsn => {
            false
        }
    };
    if unknown && early {
        return Some("before RCPT nobody but the sender can be unknown");
    }
    let undecided = unknown || rule.category == Category::Undetermined;
    (undecided && reading.normal.transient)
        .then_some("the receiver says 4yz: it does not know yet, so the reply is only deferred")
}

/// Why the reply is about whom it is about.
pub(super) fn scope(
    stage: Stage,
    scope: Scope,
    recipients: u32,
    decisive: Option<Decisive<'_>>,
) -> &'static str {
    let Some((_, hit)) = decisive else {
        return "what is not understood is taken to be about the message";
    };
    match stage {
        Stage::Lookup | Stage::Connect | Stage::Ehlo | Stage::Starttls | Stage::Auth => {
            "at this stage only the two servers have met"
        }
        Stage::Rset | Stage::Quit => "this command is about no message",
        Stage::Mail => "a reply to MAIL is about the sender",
        Stage::Data | Stage::EndOfData if recipients != 1 => {
            "one answer to several recipients is about none of them"
        }
        Stage::Data | Stage::EndOfData if !hit.by_text => {
            "after DATA codes alone may be about the content"
        }
        Stage::Rcpt | Stage::Dsn | Stage::Data | Stage::EndOfData => match scope {
            _ if hit.rule.scope.is_some() => "the rule says so",
            Scope::Session => "such trouble is between the two servers",
            Scope::Message => "such a refusal is about the sender or the content",
            Scope::Domain => "the whole domain is concerned",
            Scope::Recipient => "it answers for this recipient, and its words blame nobody else",
        },
    }
}

/// Why it can do what it can.
pub(super) const fn effect(reading: &Reading<'_>, found: &Classification) -> &'static str {
    match (found.effect, found.scope) {
        (Effect::Hard, _) => "the address, or its domain, does not exist",
        (Effect::Soft, _) if reading.normal.transient => {
            "the mailbox exists and takes nothing now; a 4yz counts only once its message has been given up"
        }
        (Effect::Soft, _) => "the mailbox exists and takes nothing now",
        (Effect::None, Scope::Session | Scope::Message) => {
            "what is not about the recipient never moves its standing"
        }
        (Effect::None, Scope::Domain | Scope::Recipient) if reading.normal.transient => {
            "a 4yz of this category says nothing that lasts"
        }
        (Effect::None, Scope::Domain | Scope::Recipient) => {
            "this category says nothing about the address"
        }
    }
}
