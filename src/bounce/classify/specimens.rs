//! Rules are held to their word: each wins its specimens, and none takes what is another's.

use std::collections::BTreeMap;

use super::{Classifier, read_reply};
use crate::bounce::rules::{Draft, Rule, RuleFault, Specimen};

/// What specimens show of rules that were just compiled. Those of the file come first, then those of the built-in rules.
pub(super) fn faults(classifier: &Classifier, draft: &Draft) -> Vec<RuleFault> {
    let specimens = classifier.rules.specimens();
    let (own, builtin) = specimens.split_at_checked(draft.specimens).unwrap_or((specimens, &[]));
    // Where a rule is missing for a fault of its own, what it keeps from others is not known.
    let whole = draft.faults.is_empty();
    let asked = own.iter().filter(|specimen| whole || specimen.wins);
    let mut faults: Vec<_> = asked.filter_map(|specimen| misread(classifier, specimen)).collect();
    let mut taken = BTreeMap::new();
    for specimen in builtin {
        let Some(winner) = winner(classifier, specimen) else { continue };
        match classifier.rules.named(&winner) {
            Some(rule) if rule.own => {
                if !may_take(rule, specimen) {
                    let pair = (rule.line, &*specimen.rule);
                    taken.entry(pair).or_insert((rule, Vec::new())).1.push(specimen);
                }
            }
            Some(_) | None if (winner == specimen.rule) == specimen.wins => {}
            Some(_) | None => faults.extend(whole.then(|| unsettled(specimen, &winner, draft))),
        }
    }
    faults.extend(taken.values().filter_map(|(rule, specimens)| shadowed(rule, specimens)));
    faults
}

/// The name of the rule that wins a specimen, or what there is in place of a rule; `None` without a reply code.
fn winner(classifier: &Classifier, specimen: &Specimen) -> Option<std::sync::Arc<str>> {
    let Specimen { stage, receiver, reply, .. } = specimen;
    let reply = read_reply(*stage, &reply.value)?;
    Some(classifier.classify(*stage, &reply, 1, receiver.as_deref()).rule)
}

/// What is wrong with the reading of a specimen of the file's own rules.
fn misread(classifier: &Classifier, specimen: &Specimen) -> Option<RuleFault> {
    let Specimen { wins, rule, reply, .. } = specimen;
    let Some(winner) = winner(classifier, specimen) else {
        return Some(reply.fault("has no reply code"));
    };
    let named = |name: &str| classifier.rules.named(name);
    let same_file = |other: &Rule| named(rule).is_none_or(|rule| rule.own == other.own);
    match (wins, named(&winner)) {
        (true, _) if winner == *rule => None,
        (false, _) if winner != *rule => None,
        (false, _) => Some(reply.fault("the rule wins it, and must not")),
        (true, Some(other)) if same_file(other) => {
            Some(reply.fault(format!("goes to rule {winner:?} of line {}", other.line)))
        }
        (true, Some(_)) => {
            let why = "the rule does not match it, or not by its words";
            Some(reply.fault(format!("goes to the built-in rule {winner:?}: {why}")))
        }
        (true, None) => Some(reply.fault("the rule does not match it")),
    }
}

/// Whether an operator's rule says that it takes this from a built-in one: from the rule whose specimen it is, or, of a near-miss,
/// from the one that has it now.
fn may_take(rule: &Rule, specimen: &Specimen) -> bool {
    let over = |name: &str| rule.over.iter().any(|other| other == name);
    over(&specimen.rule)
        || !specimen.wins
            && winner(&Classifier::builtin(), specimen).is_some_and(|name| over(&name))
}

/// An operator's rule takes these, which are one built-in rule's.
fn shadowed(rule: &Rule, specimens: &[&Specimen]) -> Option<RuleFault> {
    let first = specimens.first()?;
    let kind = if first.wins { "specimen" } else { "near-miss" };
    let more = match specimens.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more of its specimens and near-misses"),
    };
    let name = &first.rule;
    Some(RuleFault {
        line: rule.line,
        key: format!("rule {:?}", rule.name),
        value: first.reply.source.clone(),
        why: format!(
            "takes this {kind} of the built-in rule {name:?}{more}; if that is meant, say over = [{name:?}]"
        ),
    })
}

/// A built-in rule that is read otherwise, though no rule of the file took anything: for what was turned off or taken out.
fn unsettled(specimen: &Specimen, now: &str, draft: &Draft) -> RuleFault {
    let before = winner(&Classifier::builtin(), specimen);
    let off = draft.disable.iter().find(|off| before.as_deref() == Some(off.value.as_str()));
    let (rule, reply) = (&specimen.rule, &specimen.reply.value);
    let why = match specimen.wins {
        true => format!("then the built-in rule {rule:?} loses {reply:?} to {now:?}"),
        false => format!("then the built-in rule {rule:?} wins {reply:?}, and must not"),
    };
    let cause = off.or(draft.noise.as_ref()).or(draft.disable.first());
    cause.map_or_else(|| specimen.reply.fault(&why), |cause| cause.fault(&why))
}
