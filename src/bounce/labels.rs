//! The same category in the words of the platforms whose rules operators come with.
//!
//! Nothing here decides anything; a label is computed when it is shown.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::activecampaign::{NO_CODE, listed};
use super::{Category, Effect};
use crate::smtp::status::EnhancedStatus;

pub use super::activecampaign::Kind;

/// What each of the source documents would call a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveCampaign {
    /// The enhanced code; 9.1.1 stands for a hard bounce without one.
    pub code: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What its table says that the code means; none for a code that it does not list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<Cow<'static, str>>,
}

/// What the quarantine document does with a bounce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub const COMPLAINTS: &str = "blocked-complaints";
/// The other.
pub const LINKS: &str = "content-url";

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

/// Whether this is Marketo's category 1: refused for the sender's name, means or content.
pub fn is_blocked(category: Category, status: Option<EnhancedStatus>) -> bool {
    marketo(category, status) == Some(1)
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

fn activecampaign(category: Category, status: Option<EnhancedStatus>) -> ActiveCampaign {
    let hard = category.effect() == Effect::Hard;
    let code = status.or(hard.then_some(NO_CODE));
    let row = code.and_then(listed);
    let classified = if hard { Kind::Hard } else { Kind::Soft };
    ActiveCampaign {
        code: code.map(|code| code.to_string()),
        kind: row.map_or(classified, |row| row.kind),
        means: row.map(|row| row.means.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_decides_the_type_and_the_category_where_it_is_silent() {
        let kind = |category, status: &str| activecampaign(category, status.parse().ok()).kind;
        assert_eq!(kind(Category::Policy, "5.7.1"), Kind::Hard);
        assert_eq!(kind(Category::UserUnknown, "5.2.1"), Kind::Soft);
        assert_eq!(kind(Category::Policy, "5.7.26"), Kind::Soft);
        assert_eq!(kind(Category::UserUnknown, "5.1.10"), Kind::Hard);
        assert_eq!(kind(Category::Blocked, ""), Kind::Soft);
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
            r#"{"marketo":2,"salesforce":"hard","salesforce_cause":null,"activecampaign":{"code":"9.1.1","type":"hard","means":"A hard bounce without a code: no such address, or refused by the sender's own server"},"quarantine":"long_term"}"#,
        );
        check(
            Category::MailboxFull,
            "4.2.2",
            "mailbox-full",
            r#"{"marketo":3,"salesforce":"soft","salesforce_cause":null,"activecampaign":{"code":"4.2.2","type":"soft","means":"The mailbox is over its quota"},"quarantine":"temporary"}"#,
        );
        check(
            Category::Blocked,
            "5.7.1",
            COMPLAINTS,
            r#"{"marketo":1,"salesforce":"block","salesforce_cause":"complaint","activecampaign":{"code":"5.7.1","type":"hard","means":"Delivery is not authorised, the message is refused"},"quarantine":"none"}"#,
        );
        check(
            Category::UserUnknown,
            "5.1.10",
            "no-such-user",
            r#"{"marketo":2,"salesforce":"hard","salesforce_cause":null,"activecampaign":{"code":"5.1.10","type":"hard"},"quarantine":"long_term"}"#,
        );
    }

    /// Every category that a reply can have, with what two of the platforms call it.
    const CALLED: [(Category, u8, Salesforce); 13] = [
        (Category::UserUnknown, 2, Salesforce::Hard),
        (Category::DomainUnknown, 2, Salesforce::Hard),
        (Category::MailboxFull, 3, Salesforce::Soft),
        (Category::MailboxInactive, 3, Salesforce::Soft),
        (Category::Deferred, 3, Salesforce::Soft),
        (Category::Throttled, 3, Salesforce::Soft),
        (Category::Technical, 4, Salesforce::Technical),
        (Category::Blocked, 1, Salesforce::Block),
        (Category::AuthFailed, 1, Salesforce::Block),
        (Category::SpamContent, 1, Salesforce::Block),
        (Category::MessageRejected, 4, Salesforce::Technical),
        (Category::Policy, 9, Salesforce::Block),
        (Category::Undetermined, 9, Salesforce::Technical),
    ];

    #[test]
    fn m01_m07_m08_m09_each_category_has_its_number() {
        for (category, number, _) in CALLED {
            assert_eq!(labels(category, None, "").marketo, Some(number), "{category}");
            // Hard by effect is category 2 and nothing else; category 1 is hard by number only.
            assert_eq!(category.effect() == Effect::Hard, number == 2, "{category}");
        }
        let refused = labels(Category::Policy, "5.7.1".parse().ok(), "");
        assert_eq!(refused.marketo, Some(1));
    }

    #[test]
    fn s01_each_category_has_one_of_four_types() {
        for (category, _, kind) in CALLED {
            assert_eq!(labels(category, None, "").salesforce, Some(kind), "{category}");
        }
    }

    #[test]
    fn s02_s03_a_block_has_one_of_five_causes() {
        use SalesforceCause::*;
        for (category, rule, cause) in [
            (Category::Blocked, COMPLAINTS, Complaint),
            (Category::Blocked, "", Blacklist),
            (Category::SpamContent, "", Content),
            (Category::SpamContent, LINKS, Url),
            (Category::AuthFailed, "", Authentication),
        ] {
            assert_eq!(
                labels(category, None, rule).salesforce_cause,
                Some(cause),
                "{category} {rule}"
            );
        }
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
