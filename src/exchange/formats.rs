//! The files of known exporters, told by their columns. Each form says which document it is from; what is documented nowhere is
//! left to `--kind` and `--columns`: SendGrid's unsubscribes and Mailgun's complaints are an address and a date, which any list may be;
//! what Brevo's and Postmark's web pages export.

use super::mapping::{Field, Head, Meaning, position};
use crate::event::ImportKind;
use crate::smtp::address::RecipientKey;

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Amazon SES, the account-level suppression list.
    Ses,
    /// Twilio SendGrid.
    Sendgrid,
    /// Mailgun.
    Mailgun,
    /// SparkPost.
    Sparkpost,
    /// Postmark.
    Postmark,
    /// Mailchimp.
    Mailchimp,
    /// Brevo.
    Brevo,
    /// This program's own export.
    Rcptgate,
    /// Any CSV.
    Csv,
    /// Any JSON lines.
    Jsonl,
}

/// One kind of file of one exporter.
#[derive(Debug)]
pub(super) struct Form {
    pub format: Format,
    /// In words.
    pub name: &'static str,
    /// The columns that tell it.
    heading: &'static [&'static str],
    /// Whether there are no others.
    exact: bool,
    columns: &'static [(Field, &'static [&'static str])],
    /// What all rows are.
    pub all: Option<ImportKind>,
    /// What to say when nothing tells what the rows are.
    pub ask: &'static str,
    /// What the values of the column of kinds stand for.
    pub words: &'static [(&'static str, Meaning)],
}

const HARD: Meaning = Meaning::Kind(ImportKind::Hard);
const BLOCKED: Meaning = Meaning::Kind(ImportKind::Blocked);
const COMPLAINT: Meaning = Meaning::Kind(ImportKind::Complaint);
const UNSUBSCRIBE: Meaning = Meaning::Kind(ImportKind::Unsubscribe);
const ACTIVE: Meaning = Meaning::Kind(ImportKind::Active);

use Field::{Address, At, Category, Ground, Kind, Reason, Tenant, Until};

/// In this order: of two that fit the first one is taken.
static FORMS: &[Form] = &[
    // This program: `rcptgate export`.
    Form {
        format: Format::Rcptgate,
        name: "rcptgate export",
        heading: &["address", "kind", "at", "until", "tenant", "category", "reason"],
        columns: &[
            (Address, &["address"]),
            (Kind, &["kind"]),
            (At, &["at"]),
            (Until, &["until"]),
            (Reason, &["reason"]),
            (Tenant, &["tenant"]),
            (Category, &["category"]),
            (Ground, &["ground"]),
        ],
        words: &[("watch", Meaning::Skip), ("clear", Meaning::Skip)],
        ..FORM
    },
    // Amazon SES API v2, SuppressedDestinationSummary: as JSON lines by
    // `aws sesv2 list-suppressed-destinations | jq -c '.SuppressedDestinationSummaries[]'`.
    Form {
        format: Format::Ses,
        name: "Amazon SES suppression list",
        heading: &["EmailAddress", "Reason", "LastUpdateTime"],
        columns: &[(Address, &["EmailAddress"]), (Kind, &["Reason"]), (At, &["LastUpdateTime"])],
        words: SES_WORDS,
        ..FORM
    },
    // Amazon SES Developer Guide, "Using the account-level suppression list", bulk files: JSON lines, and CSV without a heading.
    Form {
        format: Format::Ses,
        name: "Amazon SES bulk file",
        heading: &["emailAddress", "reason"],
        exact: true,
        columns: &[(Address, &["emailAddress"]), (Kind, &["reason"])],
        words: SES_WORDS,
        ..FORM
    },
    Form {
        format: Format::Ses,
        name: "Amazon SES bulk file",
        heading: &["#1", "#2"],
        exact: true,
        columns: &[(Address, &["#1"]), (Kind, &["#2"])],
        words: SES_WORDS,
        ..FORM
    },
    // Twilio SendGrid API v3, "Retrieve all bounces", "... blocks"; the CSV of the web pages has the same columns
    // (SparkPost/sparkpost-cli, "Importing SendGrid Suppression List").
    Form {
        format: Format::Sendgrid,
        name: "SendGrid bounces or blocks",
        heading: &["email", "created", "reason", "status"],
        exact: true,
        columns: &[(Address, &["email"]), (At, &["created"]), (Reason, &["status", "reason"])],
        ask: "both have these columns. Say --kind hard for bounces; blocks are refusals for the sender's sake, best left out",
        ..FORM
    },
    // The same, "Retrieve all invalid emails".
    Form {
        format: Format::Sendgrid,
        name: "SendGrid invalid emails",
        heading: &["email", "created", "reason"],
        exact: true,
        columns: &[(Address, &["email"]), (At, &["created"]), (Reason, &["reason"])],
        all: Some(ImportKind::Hard),
        ..FORM
    },
    // The same, "Retrieve all spam reports".
    Form {
        format: Format::Sendgrid,
        name: "SendGrid spam reports",
        heading: &["email", "created", "ip"],
        exact: true,
        columns: &[(Address, &["email"]), (At, &["created"])],
        all: Some(ImportKind::Complaint),
        ..FORM
    },
    // Mailgun API reference, "Bounces", import of a CSV: "must contain the following column headers". Permanent failures only.
    Form {
        format: Format::Mailgun,
        name: "Mailgun bounces",
        heading: &["address", "code", "error", "created_at"],
        columns: &[(Address, &["address"]), (At, &["created_at"]), (Reason, &["code", "error"])],
        all: Some(ImportKind::Hard),
        ..FORM
    },
    // Mailgun API reference, "Unsubscribe".
    Form {
        format: Format::Mailgun,
        name: "Mailgun unsubscribes",
        heading: &["address", "tags", "created_at"],
        columns: &[(Address, &["address"]), (At, &["created_at"]), (Reason, &["tags"])],
        all: Some(ImportKind::Unsubscribe),
        ..FORM
    },
    // SparkPost API, "Suppression List", the suppression object.
    Form {
        format: Format::Sparkpost,
        name: "SparkPost suppression list",
        heading: &["recipient", "type", "source", "description", "created"],
        columns: &[
            (Address, &["recipient"]),
            (Kind, &["source"]),
            (At, &["created"]),
            (Reason, &["description"]),
        ],
        words: &[
            ("Bounce Rule", HARD),
            ("Spam Complaint", COMPLAINT),
            ("FBL", COMPLAINT),
            ("List Unsubscribe", UNSUBSCRIBE),
            ("Unsubscribe Link", UNSUBSCRIBE),
            ("Manually Added", BLOCKED),
            ("Compliance", BLOCKED),
        ],
        ..FORM
    },
    // Postmark developer documentation, "Suppressions API", dump: JSON lines by `jq -c '.Suppressions[]'`. A recipient who
    // suppresses himself by hand has unsubscribed.
    Form {
        format: Format::Postmark,
        name: "Postmark suppressions",
        heading: &["EmailAddress", "SuppressionReason", "Origin", "CreatedAt"],
        columns: &[
            (Address, &["EmailAddress"]),
            (Kind, &["SuppressionReason", "Origin"]),
            (At, &["CreatedAt"]),
        ],
        words: &[
            ("HardBounce", HARD),
            ("SpamComplaint", COMPLAINT),
            ("ManualSuppression/Recipient", UNSUBSCRIBE),
            ("ManualSuppression", BLOCKED),
        ],
        ..FORM
    },
    // Mailchimp, the three files of an audience export ("Cleaned", "Unsubscribed", "Subscribed"); the help pages do not name
    // their columns, which several public programs that read such files agree on. Times are taken as UTC.
    Form {
        format: Format::Mailchimp,
        name: "Mailchimp cleaned contacts",
        heading: &["Email Address", "CLEAN_TIME", "LEID", "EUID"],
        columns: &[
            (Address, &["Email Address"]),
            (At, &["CLEAN_TIME"]),
            (Reason, &["CLEAN_CAMPAIGN_TITLE"]),
        ],
        all: Some(ImportKind::Hard),
        ..FORM
    },
    Form {
        format: Format::Mailchimp,
        name: "Mailchimp unsubscribed contacts",
        heading: &["Email Address", "UNSUB_TIME", "LEID", "EUID"],
        columns: &[
            (Address, &["Email Address"]),
            (At, &["UNSUB_TIME"]),
            (Reason, &["UNSUB_REASON"]),
        ],
        all: Some(ImportKind::Unsubscribe),
        ..FORM
    },
    Form {
        format: Format::Mailchimp,
        name: "Mailchimp subscribed contacts",
        heading: &["Email Address", "MEMBER_RATING", "OPTIN_TIME", "LEID", "EUID"],
        columns: &[(Address, &["Email Address"])],
        all: Some(ImportKind::Active),
        ..FORM
    },
    // Mailchimp Marketing API, "List members", as JSON lines by `jq -c '.members[]'`.
    Form {
        format: Format::Mailchimp,
        name: "Mailchimp list members",
        heading: &["email_address", "status", "last_changed"],
        columns: &[(Address, &["email_address"]), (Kind, &["status"]), (At, &["last_changed"])],
        words: &[
            ("cleaned", HARD),
            ("unsubscribed", UNSUBSCRIBE),
            ("subscribed", ACTIVE),
            ("pending", Meaning::Skip),
            ("transactional", Meaning::Skip),
            ("archived", Meaning::Skip),
        ],
        ..FORM
    },
    // Brevo API reference, "Get the list of blocked or unsubscribed transactional contacts", as JSON lines by
    // `jq -c '.contacts[]'`; the codes are from sendinblue/APIv3-java-library, GetTransacBlockedContactsReason.
    Form {
        format: Format::Brevo,
        name: "Brevo blocked contacts",
        heading: &["email", "reason.code", "blockedAt"],
        columns: &[
            (Address, &["email"]),
            (Kind, &["reason.code"]),
            (At, &["blockedAt"]),
            (Reason, &["reason.message"]),
        ],
        words: &[
            ("hardBounce", HARD),
            ("contactFlaggedAsSpam", COMPLAINT),
            ("unsubscribedViaMA", UNSUBSCRIBE),
            ("unsubscribedViaEmail", UNSUBSCRIBE),
            ("unsubscribedViaApi", UNSUBSCRIBE),
            ("adminBlocked", BLOCKED),
        ],
        ..FORM
    },
];

const SES_WORDS: &[(&str, Meaning)] = &[("BOUNCE", HARD), ("COMPLAINT", COMPLAINT)];

/// A form that says nothing, to be filled in.
const FORM: Form = Form {
    format: Format::Csv,
    name: "",
    heading: &[],
    exact: false,
    columns: &[],
    all: None,
    ask: "nothing says what the rows are: say --kind KIND",
    words: &[],
};

/// A list of addresses and nothing else.
static BARE: Form = Form { name: "list of addresses", columns: &[(Address, &["#1"])], ..FORM };

/// A table with a heading in plain words. Last of all: the columns of an exporter say more.
pub(super) static PLAIN: Form = Form { name: "table with a heading", ..FORM };

/// The form of a file with these columns.
pub(super) fn recognise(format: Option<Format>, head: &Head) -> Option<&'static Form> {
    let wanted = |form: &&Form| match format {
        None => true,
        Some(format) => form.format == format || format.is_json().is_some(),
    };
    FORMS.iter().filter(wanted).find(|form| form.fits(head))
}

/// The form of a list of addresses and nothing else.
pub(super) fn bare() -> &'static Form {
    &BARE
}

impl Form {
    fn fits(&self, head: &Head) -> bool {
        let named = |name: &&str| position(&head.names, name).is_some();
        let numbered = self.heading.iter().any(|name| name.starts_with('#'));
        let right_size = !self.exact || self.heading.len() == head.names.len();
        right_size
            && self.heading.iter().all(named)
            && match &head.first {
                // Without names the values must tell.
                Some(first) => numbered && self.knows(first.get(1)),
                None => !numbered,
            }
    }

    fn knows(&self, word: Option<&String>) -> bool {
        word.is_some_and(|word| self.words.iter().any(|(known, _)| *known == word.trim()))
    }

    /// The columns to read, of those that there are.
    pub fn columns(&self, there: &[String]) -> Vec<(Field, Vec<String>)> {
        let kept = |names: &[&str]| {
            let names = names.iter().filter(|name| position(there, name).is_some());
            names.map(|name| (*name).to_owned()).collect::<Vec<_>>()
        };
        let columns = self.columns.iter().map(|(field, names)| (*field, kept(names)));
        columns.filter(|(_, names)| !names.is_empty()).collect()
    }
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Ses,
        Self::Sendgrid,
        Self::Mailgun,
        Self::Sparkpost,
        Self::Postmark,
        Self::Mailchimp,
        Self::Brevo,
        Self::Rcptgate,
        Self::Csv,
        Self::Jsonl,
    ];

    /// As the command line has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ses => "ses",
            Self::Sendgrid => "sendgrid",
            Self::Mailgun => "mailgun",
            Self::Sparkpost => "sparkpost",
            Self::Postmark => "postmark",
            Self::Mailchimp => "mailchimp",
            Self::Brevo => "brevo",
            Self::Rcptgate => "rcptgate",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    /// Whether it says nothing but how rows are written, and then whether as JSON.
    pub(super) const fn is_json(self) -> Option<bool> {
        match self {
            Self::Csv => Some(false),
            Self::Jsonl => Some(true),
            Self::Ses
            | Self::Sendgrid
            | Self::Mailgun
            | Self::Sparkpost
            | Self::Postmark
            | Self::Mailchimp
            | Self::Brevo
            | Self::Rcptgate => None,
        }
    }
}

/// Whether a first row is one of data rather than a heading: it has an address in it.
pub(super) fn is_data(cells: &[String]) -> bool {
    cells.iter().any(|cell| RecipientKey::parse(cell).is_ok())
}
