//! What can become of a recipient.

use serde::{Deserialize, Serialize};

use crate::bounce::labels::{COMPLAINTS, LINKS, SalesforceCause};
use crate::bounce::{Category, Effect};

/// Outcomes that are told apart.
pub(super) const PLACES: usize = 2 + Ground::ALL.len() + 2 * Cause::ALL.len();

/// What became of one recipient of one message, in one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next hop took the message: 2yz to the end of data.
    Delivered,
    /// Refused for good (5yz), or deferred for so long that it counts as a bounce.
    Bounced(Cause),
    /// Refused for now (4yz). The message may come again: no bounce.
    Deferred(Cause),
    /// The client left, or the next hop was lost, before it was known.
    Unfinished,
    /// Not sent on: the gate refused it.
    Refused(Ground),
}

/// Why a recipient was refused or deferred: a category, of which those that Salesforce splits are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of the categories")]
pub enum Cause {
    UserUnknown,
    DomainUnknown,
    MailboxFull,
    MailboxInactive,
    Deferred,
    Throttled,
    Technical,
    Blocked,
    /// Blocked because recipients complained.
    BlockedComplaints,
    AuthFailed,
    SpamContent,
    /// Refused for a link in the content.
    SpamUrl,
    MessageRejected,
    Policy,
    Undetermined,
}

/// Salesforce's four types of bounces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The address does not exist.
    Hard,
    /// It may work later: the mailbox, or the server's availability.
    Soft,
    /// Refused for what the sender or the message is, for one of five causes or, by [`Cause::Policy`], without saying why.
    Block,
    /// Host, network, format, and what nobody can read.
    Technical,
}

/// Why the gate did not send a recipient on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the reasons of verdicts")]
pub enum Ground {
    Quarantine,
    QuarantineLongTerm,
    Manual,
    Blacklist,
    /// Never counted as quarantine.
    Disposable,
    /// There is no way there.
    NoRoute,
    /// The standing could not be read.
    Unreadable,
}

impl Cause {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 15] = [
        Self::UserUnknown,
        Self::DomainUnknown,
        Self::MailboxFull,
        Self::MailboxInactive,
        Self::Deferred,
        Self::Throttled,
        Self::Blocked,
        Self::BlockedComplaints,
        Self::AuthFailed,
        Self::SpamContent,
        Self::SpamUrl,
        Self::Policy,
        Self::Technical,
        Self::MessageRejected,
        Self::Undetermined,
    ];

    /// The cause of a refusal in this category by this rule.
    pub fn of(category: Category, rule: &str) -> Self {
        match category {
            Category::UserUnknown => Self::UserUnknown,
            Category::DomainUnknown => Self::DomainUnknown,
            Category::MailboxFull => Self::MailboxFull,
            Category::MailboxInactive => Self::MailboxInactive,
            Category::Deferred => Self::Deferred,
            Category::Throttled => Self::Throttled,
            Category::Technical => Self::Technical,
            Category::Blocked if rule == COMPLAINTS => Self::BlockedComplaints,
            Category::Blocked => Self::Blocked,
            Category::AuthFailed => Self::AuthFailed,
            Category::SpamContent if rule == LINKS => Self::SpamUrl,
            Category::SpamContent => Self::SpamContent,
            Category::MessageRejected => Self::MessageRejected,
            Category::Policy => Self::Policy,
            // The last two come by mail, never as a reply.
            Category::Undetermined | Category::Complaint | Category::AutoReply => {
                Self::Undetermined
            }
        }
    }

    /// The cause of a bounce. What would speak of the mailbox and was said of several, or of the sender, speaks of nobody:
    /// `effect` is what the reply can do.
    pub fn of_bounce(category: Category, rule: &str, effect: Effect) -> Self {
        match (category.effect(), effect) {
            (Effect::Hard | Effect::Soft, Effect::None) => Self::Undetermined,
            (Effect::Hard | Effect::Soft | Effect::None, _) => Self::of(category, rule),
        }
    }

    /// Its category.
    pub const fn category(self) -> Category {
        match self {
            Self::UserUnknown => Category::UserUnknown,
            Self::DomainUnknown => Category::DomainUnknown,
            Self::MailboxFull => Category::MailboxFull,
            Self::MailboxInactive => Category::MailboxInactive,
            Self::Deferred => Category::Deferred,
            Self::Throttled => Category::Throttled,
            Self::Technical => Category::Technical,
            Self::Blocked | Self::BlockedComplaints => Category::Blocked,
            Self::AuthFailed => Category::AuthFailed,
            Self::SpamContent | Self::SpamUrl => Category::SpamContent,
            Self::MessageRejected => Category::MessageRejected,
            Self::Policy => Category::Policy,
            Self::Undetermined => Category::Undetermined,
        }
    }

    /// Of a part of a category: the rule by which it differs from the rest, and its own name.
    const fn part(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::BlockedComplaints => Some((COMPLAINTS, "blocked_complaints")),
            Self::SpamUrl => Some((LINKS, "spam_url")),
            Self::UserUnknown
            | Self::DomainUnknown
            | Self::MailboxFull
            | Self::MailboxInactive
            | Self::Deferred
            | Self::Throttled
            | Self::Technical
            | Self::Blocked
            | Self::AuthFailed
            | Self::SpamContent
            | Self::MessageRejected
            | Self::Policy
            | Self::Undetermined => None,
        }
    }

    /// The rule by which it differs from the rest of its category, if it does.
    pub const fn rule(self) -> &'static str {
        match self.part() {
            Some((rule, _)) => rule,
            None => "",
        }
    }

    /// Its name in files and reports: that of its category, unless it is a part of one.
    pub const fn name(self) -> &'static str {
        match self.part() {
            Some((_, name)) => name,
            None => self.category().name(),
        }
    }

    /// Salesforce's type of a bounce for this cause.
    pub const fn class(self) -> Class {
        match self {
            Self::UserUnknown | Self::DomainUnknown => Class::Hard,
            Self::MailboxFull | Self::MailboxInactive | Self::Deferred | Self::Throttled => {
                Class::Soft
            }
            Self::Blocked
            | Self::BlockedComplaints
            | Self::AuthFailed
            | Self::SpamContent
            | Self::SpamUrl
            | Self::Policy => Class::Block,
            Self::Technical | Self::MessageRejected | Self::Undetermined => Class::Technical,
        }
    }

    /// Which of Salesforce's five causes of a block it is.
    pub const fn block(self) -> Option<SalesforceCause> {
        match self {
            Self::Blocked => Some(SalesforceCause::Blacklist),
            Self::BlockedComplaints => Some(SalesforceCause::Complaint),
            Self::AuthFailed => Some(SalesforceCause::Authentication),
            Self::SpamContent => Some(SalesforceCause::Content),
            Self::SpamUrl => Some(SalesforceCause::Url),
            Self::UserUnknown
            | Self::DomainUnknown
            | Self::MailboxFull
            | Self::MailboxInactive
            | Self::Deferred
            | Self::Throttled
            | Self::Technical
            | Self::MessageRejected
            | Self::Policy
            | Self::Undetermined => None,
        }
    }
}

impl Class {
    /// As reports have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Block => "block",
            Self::Technical => "technical",
        }
    }
}

impl Ground {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::Quarantine,
        Self::QuarantineLongTerm,
        Self::Manual,
        Self::Blacklist,
        Self::Disposable,
        Self::NoRoute,
        Self::Unreadable,
    ];

    /// Its name in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::QuarantineLongTerm => "quarantine_long_term",
            Self::Manual => "manual",
            Self::Blacklist => "blacklist",
            Self::Disposable => "disposable",
            Self::NoRoute => "route",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Outcome {
    /// All of them, each at its place.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [Self::Delivered, Self::Unfinished]
            .into_iter()
            .chain(Ground::ALL.map(Self::Refused))
            .chain(Cause::ALL.map(Self::Bounced))
            .chain(Cause::ALL.map(Self::Deferred))
    }

    /// Where it is counted.
    pub(super) const fn place(self) -> usize {
        match self {
            Self::Delivered => 0,
            Self::Unfinished => 1,
            Self::Refused(ground) => 2 + ground as usize,
            Self::Bounced(cause) => 2 + Ground::ALL.len() + cause as usize,
            Self::Deferred(cause) => 2 + Ground::ALL.len() + Cause::ALL.len() + cause as usize,
        }
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Delivered => "delivered".to_owned(),
            Self::Unfinished => "unfinished".to_owned(),
            Self::Refused(ground) => format!("refused.{}", ground.name()),
            Self::Bounced(cause) => format!("bounced.{}", cause.name()),
            Self::Deferred(cause) => format!("deferred.{}", cause.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_a_place_and_a_name_of_its_own() {
        let mut places: Vec<_> = Outcome::all().map(Outcome::place).collect();
        places.sort_unstable();
        assert_eq!(places, (0..PLACES).collect::<Vec<_>>());
        let names: std::collections::BTreeSet<_> = Outcome::all().map(Outcome::name).collect();
        assert_eq!(names.len(), PLACES);
    }

    #[test]
    fn what_was_said_of_several_is_about_nobody() {
        let cause = |category, effect| Cause::of_bounce(category, "", effect);
        assert_eq!(cause(Category::UserUnknown, Effect::Hard), Cause::UserUnknown);
        assert_eq!(cause(Category::UserUnknown, Effect::None), Cause::Undetermined);
        assert_eq!(cause(Category::MailboxFull, Effect::None), Cause::Undetermined);
        assert_eq!(cause(Category::SpamContent, Effect::None), Cause::SpamContent);
    }

    #[test]
    fn a_cause_agrees_with_the_labels_of_its_category() {
        use crate::bounce::labels::{Salesforce, labels};
        for cause in Cause::ALL {
            let labels = labels(cause.category(), None, cause.rule());
            let class = match labels.salesforce {
                Some(Salesforce::Hard) => Class::Hard,
                Some(Salesforce::Soft) => Class::Soft,
                Some(Salesforce::Block) => Class::Block,
                Some(Salesforce::Technical) | None => Class::Technical,
            };
            assert_eq!(
                (cause.class(), cause.block()),
                (class, labels.salesforce_cause),
                "{cause:?}"
            );
            assert_eq!(Cause::of(cause.category(), cause.rule()), cause);
        }
    }
}
