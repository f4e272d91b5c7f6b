//! What bounced, out of the journal: each with code, reason and labels, across all campaigns.

use std::path::Path;

use super::desk::{Fault, address, category, tenant};
use super::wire::{EventsRequest, Happened};
use crate::attribution::is_campaign;
use crate::bounce::labels::{description, labels};
use crate::bounce::{Category, host_of};
use crate::event::{Event, What};
use crate::journal::{JournalError, Reader};
use crate::routing::receiver::organisation;
use crate::smtp::address::RecipientKey;
use crate::smtp::reply::Reply;

/// The bounces and complaints that fit, in the order in which they were learnt. Streams: memory does not grow with their number.
///
/// # Errors
/// `Bad` names the filter that makes no sense; else when the journal cannot be read.
pub fn events(
    journal: &Path,
    request: &EventsRequest,
) -> Result<impl Iterator<Item = Result<Happened, Fault>> + Send + use<>, Fault> {
    let filter = Filter::new(request)?;
    let reader = Reader::open(journal).map_err(unreadable)?;
    Ok(reader.filter_map(move |found| match found {
        Ok(located) => {
            let happened = located.entry.event().and_then(happened);
            happened.filter(|it| filter.fits(it)).map(Ok)
        }
        Err(error) => Some(Err(unreadable(error))),
    }))
}

fn unreadable(error: JournalError) -> Fault {
    match &error {
        JournalError::Io { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
            Fault::Later(format!("{}: no gate has kept a journal there yet", path.display()))
        }
        JournalError::Io { .. }
        | JournalError::Broken { .. }
        | JournalError::Missing { .. }
        | JournalError::Unwritable { .. }
        | JournalError::Paused => Fault::Disk(error.to_string()),
    }
}

struct Filter {
    request: EventsRequest,
    address: Option<RecipientKey>,
    receiver: Option<String>,
}

impl Filter {
    fn new(request: &EventsRequest) -> Result<Self, Fault> {
        if let Some(name) = request.category.as_deref().filter(|name| category(name).is_none()) {
            return Err(Fault::Bad(format!("{name:?} is no category")));
        }
        tenant(request.tenant.as_deref())?;
        Ok(Self {
            request: request.clone(),
            address: request.address.as_deref().map(address).transpose()?,
            receiver: request.receiver.as_deref().map(|name| host_of(name).to_ascii_lowercase()),
        })
    }

    fn fits(&self, it: &Happened) -> bool {
        let wanted = &self.request;
        let is = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == is)
        };
        let from = |wanted: &String| {
            it.receiver.as_deref().is_some_and(|receiver| {
                host_of(receiver).eq_ignore_ascii_case(wanted) || organisation(receiver) == *wanted
            })
        };
        wanted.since.is_none_or(|since| it.at >= since)
            && wanted.until.is_none_or(|until| it.at < until)
            && is(&wanted.category, Some(&it.category))
            && wanted
                .campaign
                .as_ref()
                .is_none_or(|meant| it.campaign.as_ref().is_some_and(|key| is_campaign(key, meant)))
            && is(&wanted.tenant, Some(&it.tenant))
            && self.address.as_ref().is_none_or(|wanted| wanted.to_string() == it.address)
            && self.receiver.as_ref().is_none_or(from)
    }
}

/// A bounce or a complaint; none for anything else that the journal holds.
fn happened(event: &Event) -> Option<Happened> {
    let (category, evidence) = match &event.what {
        What::Reply(evidence) => (evidence.category, Some(evidence)),
        What::Complaint { .. } => (Category::Complaint, None),
        What::Delivered(_)
        | What::Engaged
        | What::Quarantine { .. }
        | What::Blacklist { .. }
        | What::Allow { .. }
        | What::Release { .. }
        | What::Imported(_) => return None,
    };
    let happened = Happened {
        at: event.at,
        address: event.address.to_string(),
        kind: "none".to_owned(),
        category: category.name().to_owned(),
        description: description(category).to_owned(),
        tenant: event.tenant.0.clone(),
        id: event.id.to_string(),
        ..Happened::default()
    };
    let Some(evidence) = evidence else {
        return Some(Happened { labels: Some(labels(category, None, "")), ..happened });
    };
    let reply = Reply::from_text(&evidence.reply);
    let status = reply.as_ref().and_then(|reply| reply.status);
    let context = evidence.context.clone();
    Some(Happened {
        kind: evidence.effect().name().to_owned(),
        code: reply.as_ref().map(|reply| reply.code.get()),
        status: status.map(|status| status.to_string()),
        reply: Some(evidence.reply.clone()),
        stage: Some(evidence.stage.name().to_owned()),
        rule: Some(evidence.rule.clone()),
        labels: Some(labels(category, status, &evidence.rule)),
        campaign: context.campaign,
        message: context.message,
        sender: context.sender,
        receiver: context.receiver,
        ..happened
    })
}
