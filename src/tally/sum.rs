//! What the files say about a span of days. Bounded: however many campaigns a year had, so many are told apart.

use std::collections::{BTreeMap, HashMap};
use std::io;

use super::OTHER;
use super::counts::Counts;
use super::files::{Folder, Line, name_of};
use super::outcome::Cause;
use crate::attribution::is_campaign;

/// Groups that are told apart; all others are [`OTHER`].
const GROUPS_MAX: usize = 100_000;

/// By what counts are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// The UTC day.
    #[default]
    Day,
    /// The organisation that received.
    Receiver,
    /// The tenant.
    Tenant,
    /// The campaign.
    Campaign,
}

/// Which counts are wanted; all that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// By what they are put together.
    pub by: By,
    /// From this UTC day on.
    pub first: Option<i64>,
    /// Until this UTC day, included.
    pub last: Option<i64>,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Of this receiver.
    pub receiver: Option<String>,
    /// Of this campaign.
    pub campaign: Option<String>,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// By group.
    pub groups: HashMap<String, Counts>,
    /// All of it.
    pub total: Counts,
    /// A reply of each cause, the latest there is; of all mail, whatever the question.
    pub examples: BTreeMap<Cause, String>,
    /// Lines that could not be read: so much is missing.
    pub broken: u64,
}

pub(super) fn sum(folder: &Folder, question: &Question) -> io::Result<Sum> {
    let mut sum = Sum::default();
    for day in folder.days()? {
        if question.first.is_some_and(|first| day < first)
            || question.last.is_some_and(|last| day > last)
        {
            continue;
        }
        let of_day = name_of(day);
        let broken = folder.read(day, |line| match line {
            Line::Counts { tenant, receiver, campaign, counts } => {
                if question.wants(&tenant, &receiver, &campaign) {
                    let group = match question.by {
                        By::Day => of_day.clone(),
                        By::Receiver => receiver,
                        By::Tenant => tenant,
                        By::Campaign => campaign,
                    };
                    sum.add(group, &counts);
                }
            }
            Line::Example { cause, example } => {
                sum.examples.insert(cause, example);
            }
        })?;
        sum.broken += broken;
    }
    Ok(sum)
}

impl Question {
    fn wants(&self, tenant: &str, receiver: &str, campaign: &str) -> bool {
        let fits =
            |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        fits(&self.tenant, tenant)
            && fits(&self.receiver, receiver)
            && self.campaign.as_deref().is_none_or(|meant| is_campaign(campaign, meant))
    }
}

impl Sum {
    fn add(&mut self, group: String, counts: &Counts) {
        self.total.merge(counts);
        let room = self.groups.len() < GROUPS_MAX || self.groups.contains_key(&group);
        let group = if room { group } else { OTHER.to_owned() };
        self.groups.entry(group).or_default().merge(counts);
    }
}
