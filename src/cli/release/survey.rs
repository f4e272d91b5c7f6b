//! What many addresses are on a list for, and what it risks to write to them again.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::addresses::Wanted;
use crate::admin::desk::BATCH_MAX;
use crate::admin::wire::{Found, LookupRequest};
use crate::bounce::{Category, Effect};
use crate::cli::access::Access;
use crate::cli::args::From;
use crate::cli::out::{Out, Tone, harmless, plain};
use crate::failure::Failure;

/// Hard bounces that a mailing stays below, in per cent: above it receivers take the sender for one who does not know his readers.
const PER_CENT: f64 = 1.0;

/// What is known of the addresses that are to be released.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// By standing and cause: how many, and an example.
    groups: BTreeMap<(String, String), (usize, String)>,
    /// Those that do not exist, as far as is known.
    gone: usize,
    /// All that are looked at.
    all: usize,
}

/// Looks the addresses up, and keeps of those that are on the list the first `slice`. Says how many more are on it.
pub(super) fn survey(
    access: &Access,
    wanted: &mut Vec<Wanted>,
    tenant: Option<&String>,
    from: From,
    slice: Option<usize>,
) -> Result<(Survey, usize), Failure> {
    let mut survey = Survey::default();
    let (mut chosen, mut more) = (Vec::new(), 0);
    for batch in wanted.chunks(BATCH_MAX) {
        let addresses = batch.iter().map(|wanted| wanted.address.clone()).collect();
        let found =
            access.lookup(&LookupRequest { addresses, tenant: tenant.cloned(), record: false })?;
        for (wanted, found) in batch.iter().zip(found) {
            if slice.is_some() && !is_on(&found, from) {
                continue;
            }
            if slice.is_some_and(|most| chosen.len() >= most) {
                more += 1;
                continue;
            }
            survey.add(&found, from);
            chosen.push(wanted.clone());
        }
    }
    *wanted = chosen;
    Ok((survey, more))
}

impl Survey {
    fn add(&mut self, found: &Found, from: From) {
        self.all += 1;
        self.gone += usize::from(is_on(found, from) && is_gone(found));
        let key = (plain(&found.standing), ground(found, from));
        self.groups.entry(key).or_insert_with(|| (0, example(found))).0 += 1;
    }

    /// Why these addresses are where they are, by count: an outage of one receiver looks different from two hundred dead mailboxes.
    pub(super) fn show_causes(&self, out: &Out, text: &mut impl Write) -> io::Result<()> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        writeln!(text, "{}", out.paint(Tone::Head, "causes"))?;
        for ((standing, ground), (count, example)) in groups {
            let such =
                if example.is_empty() { String::new() } else { format!("  such as: {example}") };
            writeln!(text, "{count:>8}  {standing:<21}  {ground:<16}{such}")?;
        }
        Ok(())
    }

    /// What it would do to a mailing of this size if all of them bounced again that are known not to exist.
    pub(super) fn show_risk(
        &self,
        campaign: Option<u64>,
        out: &Out,
        text: &mut impl Write,
    ) -> io::Result<()> {
        writeln!(text, "{}", out.paint(Tone::Head, "risk"))?;
        let gone = self.gone;
        let Some(campaign) = campaign else {
            return writeln!(
                text,
                "{gone:>8}  did not exist when they were last written to; --campaign-size N tells what that risks"
            );
        };
        let share = per_cent(gone, campaign);
        write!(
            text,
            "{gone:>8}  did not exist when they were last written to: at worst {share:.2} % hard bounces of a mailing to {campaign}"
        )?;
        if !self.is_too_risky(campaign) {
            return writeln!(text, ", below {PER_CENT:.0} %");
        }
        writeln!(text)?;
        match self.safe_slice(campaign) {
            0 => writeln!(
                text,
                "          {}",
                out.paint(Tone::Bad, "too many for a mailing of that size, in whatever slices")
            ),
            slice => {
                let most = format!(
                    "keep it below {PER_CENT:.0} %: --slice {slice} releases that many, the rest after the next mailing"
                );
                writeln!(text, "          {}", out.paint(Tone::Bad, &most))
            }
        }
    }

    /// Whether such a mailing would not stay below the limit.
    pub(super) fn is_too_risky(&self, campaign: u64) -> bool {
        per_cent(self.gone, campaign) >= PER_CENT
    }

    /// How many of them, mixed as they are, stay below the limit.
    fn safe_slice(&self, campaign: u64) -> usize {
        let allowed = usize::try_from(campaign.saturating_sub(1) / 100).unwrap_or(usize::MAX);
        match self.gone {
            0 => self.all,
            gone => allowed.saturating_mul(self.all) / gone,
        }
    }
}

fn per_cent(part: usize, whole: u64) -> f64 {
    // Counts far below 2^52.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let share = part as f64 * 100.0 / whole.max(1) as f64;
    share
}

fn is_on(found: &Found, from: From) -> bool {
    match from {
        From::Quarantine => !matches!(found.standing.as_str(), "clear" | "on_watch"),
        From::Blacklist => found.standing == "blacklisted",
        From::Allow => found.standing == "allowed",
    }
}

/// Whether it is there for a hard bounce: one that was learnt, or one that another system knew of.
fn is_gone(found: &Found) -> bool {
    // Lists of other systems seldom say which category their dead mailboxes were of.
    if found.reason == "imported" && found.standing == "quarantined_long_term" {
        return true;
    }
    let hard = [Category::UserUnknown, Category::DomainUnknown];
    debug_assert!(hard.iter().all(|category| category.effect() == Effect::Hard));
    found.category.as_ref().is_some_and(|name| hard.iter().any(|it| it.name() == name))
}

fn ground(found: &Found, from: From) -> String {
    if from == From::Blacklist && found.complained.is_some() {
        return "complaint".to_owned();
    }
    found.category.clone().unwrap_or_else(|| plain(&found.reason))
}

fn example(found: &Found) -> String {
    let text = found.cause.as_ref().or(found.note.as_ref()).map(|text| harmless(text));
    text.unwrap_or_default().chars().take(70).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risk(gone: usize, all: usize, campaign: Option<u64>) -> String {
        let survey = Survey { gone, all, ..Survey::default() };
        let mut text = Vec::new();
        survey.show_risk(campaign, &Out::standard(), &mut text).expect("written");
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn mailboxes_that_another_system_knew_as_dead_are_a_risk() {
        let found = |standing: &str, reason: &str, category: Option<&str>| Found {
            standing: standing.to_owned(),
            reason: reason.to_owned(),
            category: category.map(str::to_owned),
            ..Found::default()
        };
        let long = "quarantined_long_term";
        assert!(is_gone(&found(long, "imported", None)));
        assert!(is_gone(&found(long, "quarantine_long_term", Some("user_unknown"))));
        assert!(!is_gone(&found("quarantined", "imported", None)));
        assert!(!is_gone(&found(long, "manual", None)));
    }

    #[test]
    fn only_those_on_the_list_that_are_gone_are_a_risk() {
        let found = |standing: &str, category: &str| Found {
            standing: standing.to_owned(),
            category: Some(category.to_owned()),
            ..Found::default()
        };
        let mut survey = Survey::default();
        for (standing, category) in [
            // Released before, and not written to since.
            ("clear", "user_unknown"),
            ("on_watch", "user_unknown"),
            ("quarantined_long_term", "user_unknown"),
            ("quarantined_long_term", "domain_unknown"),
            ("quarantined", "mailbox_full"),
            ("quarantined", "mailbox_full"),
        ] {
            survey.add(&found(standing, category), From::Quarantine);
        }
        assert_eq!((survey.gone, survey.all), (2, 6));
        let mut text = Vec::new();
        survey.show_causes(&Out::standard(), &mut text).expect("written");
        let text = String::from_utf8(text).expect("text");
        let first = text.lines().nth(1).expect("a cause");
        assert!(first.contains("2  quarantined") && first.contains("mailbox_full"), "{text}");
    }

    #[test]
    fn each_list_has_its_own_standings() {
        let on = |standing: &str| {
            let found = Found { standing: standing.to_owned(), ..Found::default() };
            [From::Quarantine, From::Blacklist, From::Allow].map(|from| is_on(&found, from))
        };
        assert_eq!(on("clear"), [false; 3]);
        assert_eq!(on("on_watch"), [false; 3]);
        assert_eq!(on("quarantined"), [true, false, false]);
        assert_eq!(on("quarantined_long_term"), [true, false, false]);
        assert!(on("blacklisted")[1] && !on("blacklisted")[2]);
        assert!(on("allowed")[2] && !on("allowed")[1]);
    }

    #[test]
    fn q29_the_rule_of_one_per_cent() {
        assert!(risk(30, 40, None).contains("--campaign-size"));
        assert!(risk(99, 200, Some(10_000)).contains("0.99 %"));
        assert!(risk(99, 200, Some(10_000)).ends_with("below 1 %\n"));
        // Exactly one per cent is not below it.
        let at = risk(100, 200, Some(10_000));
        assert!(at.contains("1.00 %") && at.contains("--slice 198 "), "{at}");
        let far = risk(5000, 5000, Some(10_000));
        assert!(far.contains("50.00 %") && far.contains("--slice 99 "), "{far}");
        assert!(risk(1, 1, Some(100)).contains("in whatever slices"));
        assert!(risk(1, 2, Some(101)).contains("0.99 %"));
        assert!(risk(0, 5000, Some(1)).contains("0.00 %"));
    }
}
