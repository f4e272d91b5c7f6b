//! The numbers and words of a policy. A preset is a file in `config/policies/`; this is its one schema.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::guard::OutageSettings;
use super::replies::Replies;
use crate::bounce::host_of;
use crate::lists::DomainSet;
use crate::smtp::address::domain_key;

/// The presets that come with the program, by name.
const PRESETS: &[(&str, &str)] = &[
    ("quarantine", include_str!("../../config/policies/quarantine.toml")),
    ("marketo", include_str!("../../config/policies/marketo.toml")),
    ("salesforce", include_str!("../../config/policies/salesforce.toml")),
    ("activecampaign", include_str!("../../config/policies/activecampaign.toml")),
];

/// Most bounces that may be tolerated: beyond it the setting is a slip of the pen.
const TOLERATED_MAX: u32 = 1000;
/// Most steps of a soft quarantine.
const STEPS_MAX: usize = 64;
/// Longest span of time that a policy may name, ten years.
const SPAN_MAX: Duration = Duration::from_secs(3650 * 86_400);

/// How standings move and what is said about them. Every key is documented in `config/policies/quarantine.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Domains, with their sub-domains, at which a hard bounce is believed at once. A list of its own (`[lists] trusted`), so not
    /// in the file of the policy; whoever reads the lists puts it here.
    #[serde(skip)]
    pub trusted: DomainSet,
    /// Receiving hosts, with everything below them, whose hard bounces are believed at once.
    #[serde(deserialize_with = "domains")]
    pub trusted_receivers: DomainSet,
    /// Whether an opening or a click clears bounces as a delivery does.
    pub engaged_clears: bool,
    /// Whether ActiveCampaign's table of codes decides between hard and soft, before the category.
    pub literal_codes: bool,
    /// Whether refusals for the sender's name, means or content are counted. They move nothing.
    pub count_blocked: bool,
    /// A temporary quarantine that ends within this time is deferred rather than refused.
    #[serde(deserialize_with = "span")]
    pub defer_within: Duration,
    /// Hard bounces.
    pub hard: Hard,
    /// Soft bounces.
    pub soft: Soft,
    /// When hard bounces are held.
    pub outage: OutageSettings,
    /// What refused clients read.
    pub replies: Replies,
}

/// How hard bounces count.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hard {
    /// How many are tolerated; the next one quarantines for good.
    pub tolerated: u32,
    /// The same at trusted domains.
    pub trusted_tolerated: u32,
    /// What makes two bounces distinct.
    pub distinct: Distinct,
    /// The run must last longer than this before it quarantines; trusted domains and released addresses do not wait.
    #[serde(deserialize_with = "span")]
    pub longer_than: Duration,
    /// Bounces closer than this to the last counted one count with it.
    #[serde(deserialize_with = "span")]
    pub min_gap: Duration,
}

/// How soft bounces count.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Soft {
    /// How many in a row are tolerated before the first step.
    pub tolerated: u32,
    /// What makes two bounces distinct.
    pub distinct: Distinct,
    /// How long each quarantine lasts.
    #[serde(deserialize_with = "spans")]
    pub steps: Vec<Duration>,
    /// What the bounce after the last step brings.
    pub after_steps: AfterSteps,
    /// The bounce in a row, from 1, that quarantines for good whatever the steps say; 0 is none.
    pub long_term_at: u32,
    /// Deferred attempts of one message become a soft bounce when they have gone on for this long.
    #[serde(deserialize_with = "span")]
    pub retry_window: Duration,
    /// Attempts that stop are a soft bounce if they went on for at least this long.
    #[serde(deserialize_with = "span")]
    pub min_span: Duration,
}

/// What the soft bounce after the last step brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterSteps {
    /// Quarantine for good.
    LongTerm,
    /// The last step again.
    Repeat,
}

/// What a soft bounce brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sentence {
    /// It is tolerated.
    None,
    /// A quarantine of this length.
    For(Duration),
    /// A quarantine for good.
    ForGood,
}

/// What makes two bounces distinct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distinct {
    /// Another message.
    Message,
    /// Another campaign; without one, another sender or UTC day.
    Campaign,
}

/// What is wrong with a policy file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct PolicyFault {
    /// The line, from 1, as far as it is known.
    pub line: Option<usize>,
    /// The key with its tables, `soft.steps`; empty when the file as a whole does not parse.
    pub key: String,
    /// What is wrong with it, the offending value included.
    pub problem: String,
}

impl Policy {
    /// A policy that comes with the program.
    pub fn preset(name: &str) -> Option<Self> {
        let (_, text) = PRESETS.iter().find(|(known, _)| *known == name)?;
        Self::from_toml(text).ok()
    }

    /// The names that `preset` knows.
    pub fn presets() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|(name, _)| *name)
    }

    /// Reads a policy file. What it leaves out is as in the preset `quarantine`.
    ///
    /// # Errors
    /// Every fault that can be told at once.
    pub fn from_toml(text: &str) -> Result<Self, Vec<PolicyFault>> {
        let policy: Self = match toml::Deserializer::parse(text) {
            Ok(file) => serde_path_to_error::deserialize(file).map_err(|error| {
                let key = error.path().to_string();
                vec![PolicyFault { key, ..unreadable(text, error.inner()) }]
            })?,
            Err(error) => return Err(vec![unreadable(text, &error)]),
        };
        let faults = policy.faults(text);
        if faults.is_empty() { Ok(policy) } else { Err(faults) }
    }

    /// Whether a hard bounce from this domain, or seen at this receiving host (a port may follow), is believed at once.
    pub fn trusts(&self, domain: &str, receiver: Option<&str>) -> bool {
        self.trusted.contains_suffix(domain).is_some()
            || receiver.is_some_and(|receiver| {
                self.trusted_receivers.contains_suffix(host_of(receiver)).is_some()
            })
    }

    fn faults(&self, text: &str) -> Vec<PolicyFault> {
        let mut faults = self.replies.faults();
        let mut bound = |broken: bool, key: &str, problem: String| {
            if broken {
                faults.push(PolicyFault { line: None, key: key.to_owned(), problem });
            }
        };
        for (key, tolerated) in [
            ("hard.tolerated", self.hard.tolerated),
            ("hard.trusted_tolerated", self.hard.trusted_tolerated),
            ("soft.tolerated", self.soft.tolerated),
            ("soft.long_term_at", self.soft.long_term_at),
        ] {
            bound(
                tolerated > TOLERATED_MAX,
                key,
                format!("{tolerated} is more than {TOLERATED_MAX}"),
            );
        }
        let steps = self.soft.steps.len();
        bound(steps > STEPS_MAX, "soft.steps", format!("{steps} steps are more than {STEPS_MAX}"));
        bound(
            steps == 0 && self.soft.after_steps == AfterSteps::Repeat,
            "soft.after_steps",
            "\"repeat\" without a step to repeat".to_owned(),
        );
        bound(
            self.soft.steps.contains(&Duration::ZERO),
            "soft.steps",
            "a step of \"0s\" would be no quarantine".to_owned(),
        );
        bound(
            self.soft.retry_window.is_zero(),
            "soft.retry_window",
            "\"0s\" would make a bounce of every deferral".to_owned(),
        );
        for (key, problem) in self.outage.faults() {
            bound(true, key, problem);
        }
        for fault in &mut faults {
            fault.line = line_of_key(text, &fault.key);
        }
        faults
    }
}

impl Soft {
    /// The number of the first soft bounce in a row that brings a quarantine as long as that.
    pub(super) fn number_of(&self, length: Duration) -> u32 {
        let first = self.tolerated.saturating_add(1);
        let long_enough = |number: &u32| match self.sentence(*number) {
            Sentence::None => false,
            Sentence::For(step) => step >= length,
            Sentence::ForGood => true,
        };
        let steps = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        let last = first.saturating_add(steps);
        (first..=last).find(long_enough).unwrap_or(last)
    }

    /// What the soft bounce of this number in a row brings, from 1.
    pub(super) fn sentence(&self, number: u32) -> Sentence {
        if self.long_term_at > 0 && number >= self.long_term_at {
            return Sentence::ForGood;
        }
        let Some(step) = number.checked_sub(self.tolerated.saturating_add(1)) else {
            return Sentence::None;
        };
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        let again = match self.after_steps {
            AfterSteps::Repeat => self.steps.last(),
            AfterSteps::LongTerm => None,
        };
        self.steps.get(step).or(again).map_or(Sentence::ForGood, |length| Sentence::For(*length))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            trusted: ["gmail.com", "hotmail.com", "hotmail.fr"].iter().collect(),
            trusted_receivers: DomainSet::default(),
            engaged_clears: false,
            literal_codes: false,
            count_blocked: false,
            defer_within: Duration::from_secs(4 * 3600),
            hard: Hard::default(),
            soft: Soft::default(),
            outage: OutageSettings::default(),
            replies: Replies::default(),
        }
    }
}

impl Default for Hard {
    fn default() -> Self {
        Self {
            tolerated: 2,
            trusted_tolerated: 0,
            distinct: Distinct::Message,
            longer_than: Duration::ZERO,
            min_gap: Duration::from_secs(3600),
        }
    }
}

impl Default for Soft {
    fn default() -> Self {
        let week = Duration::from_secs(7 * 86_400);
        Self {
            tolerated: 0,
            distinct: Distinct::Message,
            steps: [1, 2, 4, 8, 16].map(|weeks| week * weeks).into(),
            after_steps: AfterSteps::LongTerm,
            long_term_at: 0,
            retry_window: Duration::from_secs(72 * 3600),
            min_span: Duration::from_secs(12 * 3600),
        }
    }
}

fn unreadable(text: &str, error: &toml::de::Error) -> PolicyFault {
    PolicyFault {
        line: error.span().map(|span| line_at(text, span.start)),
        key: String::new(),
        problem: error.message().to_owned(),
    }
}

/// The line of a key such as `replies.manual`, which a check behind the parser found wrong.
fn line_of_key(text: &str, key: &str) -> Option<usize> {
    let file = toml::de::DeTable::parse(text).ok()?;
    let mut table = file.get_ref();
    let mut at = None;
    for part in key.split('.') {
        let Some((_, value)) = table.iter().find(|(name, _)| name.get_ref() == part) else {
            break;
        };
        at = Some(value.span().start);
        let toml::de::DeValue::Table(inner) = value.get_ref() else { break };
        table = inner;
    }
    at.map(|at| line_at(text, at))
}

fn line_at(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

fn parse_span<E: serde::de::Error>(text: &str) -> Result<Duration, E> {
    let span = humantime::parse_duration(text).map_err(|error| {
        E::custom(format_args!(
            "{text:?} is no span of time ({error}); write it like \"90s\", \"4h\" or \"7d\""
        ))
    })?;
    if span > SPAN_MAX {
        return Err(E::custom(format_args!("{text:?} is longer than ten years")));
    }
    Ok(span)
}

pub(super) fn span<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    parse_span(&String::deserialize(input)?)
}

fn spans<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Duration>, D::Error> {
    Vec::<String>::deserialize(input)?.iter().map(|text| parse_span(text)).collect()
}

fn domains<'de, D: Deserializer<'de>>(input: D) -> Result<DomainSet, D::Error> {
    Ok(Vec::<String>::deserialize(input)?.iter().map(|name| domain_key(name.trim())).collect())
}
