//! `rcptgate release`: takes addresses off a list; many of them only after their causes and the risk were shown.

mod addresses;
mod survey;

use std::io::{self, Write as _};
use std::path::Path;

use super::access::Access;
use super::acts::{by, reason, show};
use super::args::{From, Release};
use super::out::{self, Out};
use crate::admin::desk::{self, BATCH_MAX};
use crate::admin::wire::{Done, ReleaseRequest};
use crate::failure::Failure;
use addresses::Wanted;

/// More addresses than this are not released unseen.
pub const UNSEEN_MAX: usize = 10;

pub fn run(config: Option<&Path>, args: &Release, out: &mut Out) -> Result<(), Failure> {
    let usage = |fault: desk::Fault| Failure::Usage(fault.to_string());
    desk::tenant(args.tenant.as_deref()).map_err(usage)?;
    let reason = reason(&args.signed.reason)?;
    let mut wanted = match &args.file {
        Some(file) => addresses::from_file(file, args.from)?,
        None => addresses::given(&args.addresses, args.from)?,
    };
    let access = super::access(config)?;
    let many = wanted.len() > UNSEEN_MAX;
    let mut more = 0;
    if many || args.slice.is_some() || args.campaign_size.is_some() {
        more = look_first(&access, &mut wanted, args, out)?;
    }
    let (mut released, mut left) = (0_usize, 0_usize);
    for request in requests(&wanted, args, &reason) {
        let results = access.release(&request).inspect_err(|_| partly(released))?;
        for done in results {
            if done.done {
                released += 1
            } else {
                left += 1
            }
            tell(&done, many, args, out)?;
        }
    }
    if many && !args.signed.json {
        writeln!(out, "ok {released} released, {left} had nothing to be released from")?;
    }
    if more > 0 {
        let next =
            format!("{more} more are on the list: say the same again after the next mailing");
        writeln!(io::stderr(), "rcptgate: {next}")?;
    }
    Ok(())
}

/// Shows what there is to know before many are released, or as much as a mailing may bear, and takes the slice. Says how many are left
/// for later.
fn look_first(
    access: &Access,
    wanted: &mut Vec<Wanted>,
    args: &Release,
    out: &mut Out,
) -> Result<usize, Failure> {
    let (survey, more) =
        survey::survey(access, wanted, args.tenant.as_ref(), args.from, args.slice)?;
    if wanted.is_empty() && !args.signed.json {
        writeln!(out, "ok none of these is on the list")?;
        return Ok(more);
    }
    // Beside the results, which a program may be reading.
    let mut text = Vec::new();
    survey.show_causes(out, &mut text)?;
    if args.from == From::Quarantine {
        survey.show_risk(args.campaign_size, out, &mut text)?;
    }
    if args.signed.json {
        io::stderr().write_all(&text)?;
    } else {
        out.write_all(&text)?;
    }
    let too_risky = args.from == From::Quarantine
        && args.campaign_size.is_some_and(|campaign| survey.is_too_risky(campaign));
    if (wanted.len() > UNSEEN_MAX || too_risky) && !args.yes {
        let count = wanted.len();
        return Err(Failure::Usage(format!(
            "nothing was released: say --yes to release these {count} addresses"
        )));
    }
    Ok(more)
}

/// Many at a time, but those with a reason of their own one by one.
fn requests(wanted: &[Wanted], args: &Release, reason: &str) -> Vec<ReleaseRequest> {
    let request = |addresses: &[Wanted], reason: &str| ReleaseRequest {
        addresses: addresses.iter().map(|wanted| wanted.address.clone()).collect(),
        from: args.from.into(),
        tenant: args.tenant.clone(),
        reason: reason.to_owned(),
        by: by(args.signed.by.as_deref()),
    };
    if wanted.iter().all(|wanted| wanted.reason.is_none()) {
        return wanted.chunks(BATCH_MAX).map(|batch| request(batch, reason)).collect();
    }
    let own = |one: &[Wanted]| {
        let words = one.iter().find_map(|wanted| wanted.reason.as_deref());
        words.map_or_else(|| reason.to_owned(), |words| format!("{reason}: {words}"))
    };
    wanted.chunks(1).map(|one| request(one, &own(one))).collect()
}

fn tell(done: &Done, many: bool, args: &Release, out: &mut Out) -> Result<(), Failure> {
    if args.signed.json {
        out::json(out, done)?;
    } else if !many {
        show(done, out)?;
    }
    Ok(())
}

/// What was done before it failed is done; a second try finds nothing to do there.
fn partly(released: usize) {
    if released > 0 {
        let _ = writeln!(io::stderr(), "rcptgate: {released} were released before this failed");
    }
}
