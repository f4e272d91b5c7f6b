//! The same category in the words of the platforms whose rules operators come with.
//!
//! Nothing here decides anything; a label is computed when it is shown.

use serde::Serialize;

use super::{Category, Effect};
use crate::smtp::status::EnhancedStatus;

/// What each of the source documents would call a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Labels {
    /// Marketo's bounce category: 1 spam, 2 invalid address, 3 soft, 4 technical, 9 unknown. None for what is no bounce there.
    pub marketo: Option<u8>,
    /// Salesforce Marketing Cloud's bounce type.
    pub salesforce: Option<Salesforce>,
    /// Salesforce's cause, for type `block`.
    pub salesforce_cause: Option<SalesforceCause>,
    /// ActiveCampaign's code and type, by its table taken literally.
    pub activecampaign: ActiveCampaign,
    /// What the quarantine document does.
    pub quarantine: Quarantine,
}

/// Salesforce Marketing Cloud's bounce types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Salesforce {
    /// The address does not exist.
    Hard,
    /// It may work later.
    Soft,
    /// Host, network, format.
    Technical,
    /// Refused, for one of five causes.
    Block,
}

/// Why Salesforce counts a bounce as a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SalesforceCause {
    /// Recipients complained.
    Complaint,
    /// The sender is on a list.
    Blacklist,
    /// The content.
    Content,
    /// A link in the content.
    Url,
    /// SPF, DKIM, DMARC, the sender's name.
    Authentication,
}

/// ActiveCampaign's bounce code and type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActiveCampaign {
    /// The enhanced code; 9.1.1 stands for a hard bounce without one.
    pub code: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
}

/// ActiveCampaign's two types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Bounced at once.
    Hard,
    /// Bounced at the third in a row.
    Soft,
}

/// What the quarantine document does with a bounce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quarantine {
    /// Long-term quarantine.
    LongTerm,
    /// Temporary quarantine: 1, 2, 4, 8, 16 weeks.
    Temporary,
    /// The licence's blacklist.
    Blacklist,
    /// Nothing.
    None,
}

/// Rules whose name says more than their category: Salesforce tells complaints and links apart.
const COMPLAINTS: &str = "blocked-complaints";
const LINKS: &str = "content-url";

/// The labels of a category. `status` is the reply's enhanced code; `rule` is the one that decided.
pub fn labels(category: Category, status: Option<EnhancedStatus>, rule: &str) -> Labels {
    let (salesforce, salesforce_cause) = salesforce(category, rule);
    Labels {
        marketo: marketo(category, status),
        salesforce,
        salesforce_cause,
        activecampaign: activecampaign(category, status),
        quarantine: quarantine(category),
    }
}

/// A category in a sentence, for people.
pub const fn description(category: Category) -> &'static str {
    match category {
        Category::UserUnknown => "No such mailbox: it never existed, was closed or has moved",
        Category::DomainUnknown => "No such domain, or one that takes no mail",
        Category::MailboxFull => "The mailbox is over its quota",
        Category::MailboxInactive => "The mailbox exists and is disabled, suspended or not used",
        Category::Deferred => "Not now: greylisting, a busy host, try later",
        Category::Throttled => "Too much mail too fast",
        Category::Technical => "Trouble with a host, the network, DNS, TLS or the protocol",
        Category::Blocked => "The sending host or domain is on a list or has a bad name",
        Category::AuthFailed => {
            "The sender could not prove who it is: SPF, DKIM, DMARC, reverse DNS, sender address"
        }
        Category::SpamContent => "The content looks like spam, or worse",
        Category::MessageRejected => "The message is too large or malformed",
        Category::Policy => "Refused by a rule that is not explained, or relaying denied",
        Category::Undetermined => {
            "The reply does not say what is wrong, or says two things at once"
        }
        Category::Complaint => "The recipient marked the message as spam",
        Category::AutoReply => "An automatic answer: the mailbox works",
    }
}

fn marketo(category: Category, status: Option<EnhancedStatus>) -> Option<u8> {
    let security = status.is_some_and(|status| status.subject == 7);
    match category {
        Category::Blocked | Category::AuthFailed | Category::SpamContent => Some(1),
        Category::Policy if security => Some(1),
        Category::UserUnknown | Category::DomainUnknown => Some(2),
        Category::MailboxFull
        | Category::MailboxInactive
        | Category::Deferred
        | Category::Throttled => Some(3),
        Category::Technical | Category::MessageRejected => Some(4),
        Category::Policy | Category::Undetermined => Some(9),
        Category::Complaint | Category::AutoReply => None,
    }
}

fn salesforce(category: Category, rule: &str) -> (Option<Salesforce>, Option<SalesforceCause>) {
    let block = |cause| (Some(Salesforce::Block), Some(cause));
    match category {
        Category::UserUnknown | Category::DomainUnknown => (Some(Salesforce::Hard), None),
        Category::MailboxFull
        | Category::MailboxInactive
        | Category::Deferred
        | Category::Throttled => (Some(Salesforce::Soft), None),
        Category::Technical | Category::MessageRejected | Category::Undetermined => {
            (Some(Salesforce::Technical), None)
        }
        Category::Blocked if rule == COMPLAINTS => block(SalesforceCause::Complaint),
        Category::Blocked => block(SalesforceCause::Blacklist),
        Category::AuthFailed => block(SalesforceCause::Authentication),
        Category::SpamContent if rule == LINKS => block(SalesforceCause::Url),
        Category::SpamContent => block(SalesforceCause::Content),
        Category::Policy => (Some(Salesforce::Block), None),
        Category::Complaint => block(SalesforceCause::Complaint),
        Category::AutoReply => (None, None),
    }
}

const fn quarantine(category: Category) -> Quarantine {
    match category {
        Category::UserUnknown | Category::DomainUnknown => Quarantine::LongTerm,
        Category::MailboxFull | Category::MailboxInactive => Quarantine::Temporary,
        Category::Complaint => Quarantine::Blacklist,
        Category::Deferred
        | Category::Throttled
        | Category::Technical
        | Category::Blocked
        | Category::AuthFailed
        | Category::SpamContent
        | Category::MessageRejected
        | Category::Policy
        | Category::Undetermined
        | Category::AutoReply => Quarantine::None,
    }
}

/// ActiveCampaign's table: the details of class 5 that it lists, by subject. All are hard but the seven of `SOFT`.
const LISTED: [(u16, u16); 8] = [(0, 0), (1, 8), (2, 4), (3, 4), (4, 7), (5, 5), (6, 5), (7, 7)];
const SOFT: [EnhancedStatus; 7] = [
    EnhancedStatus::new(4, 2, 2),
    EnhancedStatus::new(5, 2, 0),
    EnhancedStatus::new(5, 2, 1),
    EnhancedStatus::new(5, 2, 2),
    EnhancedStatus::new(5, 3, 1),
    EnhancedStatus::new(5, 4, 5),
    EnhancedStatus::new(5, 5, 3),
];

fn activecampaign(category: Category, status: Option<EnhancedStatus>) -> ActiveCampaign {
    let Some(status) = status else {
        return match category.effect() {
            Effect::Hard => ActiveCampaign { code: Some("9.1.1".to_owned()), kind: Kind::Hard },
            Effect::Soft | Effect::None => ActiveCampaign { code: None, kind: Kind::Soft },
        };
    };
    let listed = status.class == 5
        && LISTED
            .iter()
            .any(|(subject, last)| status.subject == *subject && status.detail <= *last);
    let hard = if listed { !SOFT.contains(&status) } else { category.effect() == Effect::Hard };
    let kind = if hard { Kind::Hard } else { Kind::Soft };
    ActiveCampaign { code: Some(status.to_string()), kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_fifty_codes() {
        // 4.2.2, 9.1.1 and 48 of class 5.
        let listed: u16 = LISTED.iter().map(|(_, last)| last + 1).sum();
        assert_eq!(listed, 48);
        let hard = (0..=7)
            .flat_map(|subject| (0..=30).map(move |detail| EnhancedStatus::new(5, subject, detail)))
            .filter(|status| activecampaign(Category::Policy, Some(*status)).kind == Kind::Hard)
            .count();
        assert_eq!(hard, 42, "the 43rd is 9.1.1");
    }

    #[test]
    fn labels_of_a_reply() {
        let check = |category, status: &str, rule: &str, expected: &str| {
            let labels = labels(category, status.parse().ok(), rule);
            assert_eq!(serde_json::to_string(&labels).expect("plain data"), expected);
        };
        check(
            Category::UserUnknown,
            "",
            "no-such-user",
            r#"{"marketo":2,"salesforce":"hard","salesforce_cause":null,"activecampaign":{"code":"9.1.1","type":"hard"},"quarantine":"long_term"}"#,
        );
        check(
            Category::MailboxFull,
            "4.2.2",
            "mailbox-full",
            r#"{"marketo":3,"salesforce":"soft","salesforce_cause":null,"activecampaign":{"code":"4.2.2","type":"soft"},"quarantine":"temporary"}"#,
        );
        check(
            Category::Blocked,
            "5.7.1",
            COMPLAINTS,
            r#"{"marketo":1,"salesforce":"block","salesforce_cause":"complaint","activecampaign":{"code":"5.7.1","type":"hard"},"quarantine":"none"}"#,
        );
        check(
            Category::UserUnknown,
            "5.1.10",
            "no-such-user",
            r#"{"marketo":2,"salesforce":"hard","salesforce_cause":null,"activecampaign":{"code":"5.1.10","type":"hard"},"quarantine":"long_term"}"#,
        );
    }

    #[test]
    fn rules_that_labels_name_exist() {
        let classifier = crate::bounce::classify::Classifier::builtin();
        // The last is named by the gate, which takes it for nobody's word.
        for rule in [COMPLAINTS, LINKS, "own-refusal"] {
            assert!(classifier.rules().any(|name| name == rule), "{rule}");
        }
    }
}
