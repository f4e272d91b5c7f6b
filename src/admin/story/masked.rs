//! Events that do not count, and what takes them out of the standing.

use crate::admin::desk::end_of;
use crate::admin::wire::{Chapter, Holding, Voided};
use crate::event::Event;
use crate::event::order::Order;
use crate::policy::{Masked, Masks, Policy, Record, Standing, settled};

/// An event that does nothing, and why.
pub(super) fn without_effect(
    record: &Record,
    (seq, event): (u64, &Event),
    masked: Masked<'_>,
    masks: &Masks,
    policy: &Policy,
) -> Chapter {
    let record = settled(record, event.at, policy);
    let standing = Standing::of(&record, &event.tenant, event.at, policy);
    let (did, voided, held) = match masked {
        Masked::Undone(order) => {
            (format!("voided by {}: {}", order.id, order.act.reason), Some(by(order)), None)
        }
        Masked::Unfinished => ("nothing: its import was not finished".to_owned(), None, None),
        Masked::Voided(outage) => {
            let order = masks.order(outage.last_order());
            let reason = order.map_or("", |order| &order.act.reason);
            let did = format!("voided with outage {} of {}: {reason}", outage.id, outage.key);
            (did, order.map(by), None)
        }
        Masked::Held(outage) => {
            let since = outage.state().since;
            let did = format!("held by outage {} of {} since {since}", outage.id, outage.key);
            let (outage, key) = (outage.id.to_string(), outage.key.to_string());
            (did, None, Some(Holding { outage, key, since }))
        }
    };
    Chapter {
        seq,
        before: standing.name().to_owned(),
        after: standing.name().to_owned(),
        until: end_of(standing),
        did,
        voided,
        held,
        event: event.clone(),
    }
}

fn by(order: &Order) -> Voided {
    let Order { id, at, act, .. } = order;
    Voided { id: id.to_string(), at: *at, reason: act.reason.clone(), by: act.by.clone() }
}
