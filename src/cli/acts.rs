//! `rcptgate quarantine`, `blacklist` and `allow`: an operator's acts on one address.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::args::{Allow, Blacklist, Quarantine, Signed};
use super::out::{self, Out, harmless, plain, tone};
use crate::admin::desk::{self, Deed};
use crate::admin::wire::{ActRequest, Done};
use crate::failure::Failure;

pub fn quarantine(config: Option<&Path>, args: &Quarantine, out: &mut Out) -> Result<(), Failure> {
    let length = args.length.map(|length| humantime::format_duration(length).to_string());
    let request = ActRequest { length, ..request(&args.address, &args.signed)? };
    act(config, Deed::Quarantine, &request, args.signed.json, out)
}

pub fn blacklist(config: Option<&Path>, args: &Blacklist, out: &mut Out) -> Result<(), Failure> {
    let tenant =
        desk::tenant(Some(&args.tenant)).map_err(|fault| Failure::Usage(fault.to_string()))?;
    let request = ActRequest { tenant: Some(tenant.0), ..request(&args.address, &args.signed)? };
    act(config, Deed::Blacklist, &request, args.signed.json, out)
}

pub fn allow(config: Option<&Path>, args: &Allow, out: &mut Out) -> Result<(), Failure> {
    let request = request(&args.address, &args.signed)?;
    act(config, Deed::Allow, &request, args.signed.json, out)
}

fn request(address: &str, signed: &Signed) -> Result<ActRequest, Failure> {
    desk::address(address)?;
    Ok(ActRequest {
        address: address.to_owned(),
        reason: reason(&signed.reason)?,
        by: by(signed.by.as_deref()),
        ..ActRequest::default()
    })
}

/// Why, which must say something.
pub fn reason(reason: &str) -> Result<String, Failure> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Failure::Usage("--reason must say why".to_owned()));
    }
    // Before anything is read or shown: the gate would refuse it in the end.
    if reason.len() > desk::WORDS_MAX {
        return Err(Failure::Usage(format!("--reason has {} bytes at most", desk::WORDS_MAX)));
    }
    Ok(reason.to_owned())
}

/// Who: as told, else who became root by sudo, else who is logged in, else (cron and services have no such variable) whoever this
/// process runs as.
pub fn by(said: Option<&str>) -> String {
    let said = said.filter(|by| !by.trim().is_empty()).map(str::to_owned);
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    said.or_else(|| ["SUDO_USER", "USER"].into_iter().find_map(named)).unwrap_or_else(runs_as)
}

/// The name of the user that this process runs as, or `uid 1000` where it has none.
fn runs_as() -> String {
    let Ok(process) = std::fs::metadata("/proc/self") else { return String::new() };
    let id = process.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(&id)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid {id}"))
}

fn act(
    config: Option<&Path>,
    deed: Deed,
    request: &ActRequest,
    json: bool,
    out: &mut Out,
) -> Result<(), Failure> {
    let done = super::access(config)?.act(deed, request)?;
    if json { Ok(out::json(out, &done)?) } else { show(&done, out) }
}

/// `ok` and the new standing. It is on disk.
pub fn show(done: &Done, out: &mut Out) -> Result<(), Failure> {
    let address = harmless(&done.address);
    let after = out.paint(tone(&done.after), &plain(&done.after));
    if !done.done {
        write!(out, "nothing to do: {address} is {after}")?;
        let tenants: Vec<&str> = done.blacklisted.iter().map(|tenant| &*tenant.0).collect();
        if !tenants.is_empty() {
            let tenants = harmless(&tenants.join(", "));
            write!(out, "; blacklisted for {tenants}: release it --from blacklist --tenant T")?;
        }
        writeln!(out)?;
        return Ok(());
    }
    let until = done.until.map(|until| format!(" until {until}")).unwrap_or_default();
    if done.after.is_empty() {
        // The index does not take it now; the journal has it.
        writeln!(out, "ok {address}: kept, and in force as soon as the index is writable again")?;
    } else if done.before == done.after {
        writeln!(out, "ok {address}: {after}{until}, as before")?;
    } else {
        writeln!(out, "ok {address}: {after}{until} (was {})", plain(&done.before))?;
    }
    Ok(())
}
