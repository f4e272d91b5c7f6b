//! `rcptgate check`: says everything that is wrong with a configuration, its lists, its policy and its rules, and opens nothing.
//! It also reads the end of the journal, if there is one, for the replies that no rule understands; that never fails.

use std::io::Write;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde_json::json;

use super::classify::unmatched;
use crate::app::trust;
use crate::bounce::classify::Classifier;
use crate::config::{
    self, ConfigError, ListenAuth, ListenTls, Mode, PolicySource, RouteKind, Settings, WaySettings,
};
use crate::credentials::readable_by_everyone;
use crate::failure::Failure;

/// Checks the configuration file that is given, or the one that would be used; prints a short summary of what it says.
///
/// # Errors
/// `Failure::Config` with every fault, one a line, each with file, line, key and value. With `json` the faults go to `out`.
pub fn run(given: Option<&Path>, json: bool, out: &mut impl Write) -> Result<(), Failure> {
    let checked = config::find(given).map_err(|error| vec![error]).and_then(|file| {
        let (settings, rules) = config::load_all(&file)?;
        let lists = config::load_lists(&settings.lists)?;
        Ok((settings, lists, rules.current()))
    });
    match checked {
        Ok((settings, _, rules)) if json => {
            let (file, cautions) = (settings.file.display().to_string(), cautions(&settings));
            let unmatched = unmatched::glance(&settings, &rules);
            let told =
                json!({"ok": true, "file": file, "cautions": cautions, "undetermined": unmatched});
            writeln!(out, "{told}")?;
            Ok(())
        }
        Ok((settings, lists, rules)) => Ok(summary(&settings, &lists, &rules, out)?),
        Err(errors) => {
            if json {
                writeln!(out, "{}", json!({"ok": false, "errors": errors}))?;
            }
            Err(refused(&errors))
        }
    }
}

fn refused(errors: &[ConfigError]) -> Failure {
    Failure::Config(config::listed(errors))
}

fn summary(
    settings: &Settings,
    lists: &crate::lists::Lists,
    rules: &Classifier,
    out: &mut impl Write,
) -> std::io::Result<()> {
    writeln!(out, "{}: ok", settings.file.display())?;
    for listen in &settings.listen {
        let clients: Vec<String> = listen.clients.iter().map(ToString::to_string).collect();
        let (address, protocol) = (listen.address, listen.protocol.name());
        let default = if settings.tenants.0.is_empty() { "tenant default" } else { "by tenant" };
        let named = listen.tenant.as_ref().map(|tenant| format!("tenant {tenant}"));
        let tenant = named.as_deref().unwrap_or(default);
        let tls = match listen.tls {
            ListenTls::Off => "tls off",
            ListenTls::Starttls => "tls by starttls",
            ListenTls::Required => "tls required",
            ListenTls::Implicit => "tls implicit",
        };
        let auth = match listen.auth {
            ListenAuth::Off => "",
            ListenAuth::Local => ", auth local",
            ListenAuth::Relay => ", auth relay",
        };
        let clients = clients.join(" ");
        writeln!(out, "  listen      {address} {protocol} for {clients}, {tls}{auth}, {tenant}")?;
    }
    for way in &settings.routes {
        writeln!(out, "  route       {} to {}", way.domains.join(" "), shown(way))?;
    }
    writeln!(out, "  downstream  {}", shown(&settings.downstream.way))?;
    let policy = match &settings.policy.source {
        PolicySource::Preset(name) => name.clone(),
        PolicySource::File(file) => file.display().to_string(),
    };
    let mode = match settings.policy.mode {
        Mode::Enforce => "enforced",
        Mode::Monitor => "monitored only, nothing is refused",
    };
    writeln!(out, "  policy      {policy}, {mode}")?;
    let disposable = &lists.disposable;
    writeln!(
        out,
        "  lists       disposable {} built in, {} added, {} removed; trusted {}; allowed {}",
        disposable.builtin().len(),
        disposable.added().len(),
        disposable.removed().len(),
        lists.trusted.as_ref().map_or_else(
            || crate::lists::Lists::embedded_trusted().len(),
            crate::lists::DomainSet::len
        ),
        lists.allow.len(),
    )?;
    let counts = rules.counts();
    let own = match &settings.classification.file {
        Some(file) => format!("{} of {}, ", counts.own, file.display()),
        None => String::new(),
    };
    writeln!(out, "  rules       {own}{} built in, {} off", counts.builtin, counts.off)?;
    writeln!(out, "  data_dir    {}", settings.data_dir.display())?;
    if let Some(count) = unmatched::glance(settings, rules) {
        let whence = "undetermined replies of the last 7 days (in the last 64 MiB of the journal)";
        let see = if count > 0 { "; see rcptgate classify --unmatched" } else { "" };
        writeln!(out, "  journal     {count} {whence}{see}")?;
    }
    for caution in cautions(settings) {
        writeln!(out, "  caution: {caution}")?;
    }
    Ok(())
}

/// What is allowed and rarely meant.
fn cautions(settings: &Settings) -> Vec<String> {
    let mut cautions = Vec::new();
    for (index, listen) in settings.listen.iter().enumerate() {
        if let Some(all) = listen.clients.iter().find(|network| network.prefix_len() == 0) {
            cautions.push(format!("listen[{index}].clients has {all}: anyone may relay"));
        }
        if let Some(file) = listen.credentials.as_deref().filter(|file| readable_by_everyone(file))
        {
            let file = file.display();
            let why = "everybody on this machine can read the hashes of passwords";
            cautions.push(format!("listen[{index}].credentials {file}: {why}; chmod o-r"));
        }
        cautions.extend(key_for_everyone(&format!("listen[{index}].key"), &listen.certificate));
        let anyone = |networks: &[IpNet]| networks.iter().any(|network| network.prefix_len() == 0);
        for (key, networks) in
            [("xclient", &listen.xclient), ("proxy_protocol", &listen.proxy_protocol)]
        {
            if anyone(networks) {
                let why = "anyone may claim to be a client that may relay";
                cautions.push(format!("listen[{index}].{key} has everybody: {why}"));
            }
        }
        let ip = listen.address.ip();
        let near = |network: &IpNet| network.network().is_loopback();
        if !ip.is_loopback()
            && !ip.is_unspecified()
            && listen.clients.iter().all(near)
            && listen.auth == ListenAuth::Off
        {
            let why = "nobody but this machine may relay";
            cautions.push(format!("listen[{index}].address {ip} with such clients: {why}"));
        }
    }
    cautions.extend(of_way("downstream", &settings.downstream.way));
    for (index, way) in settings.routes.iter().enumerate() {
        cautions.extend(of_way(&format!("route[{index}]"), way));
    }
    cautions.extend(trust::caution(&settings.dns));
    if let Some(admin) = settings.admin.listen.filter(|admin| !admin.ip().is_loopback()) {
        cautions.push(format!("admin.listen {admin} can be reached from other machines"));
    }
    cautions
}

/// A way out, on one line.
fn shown(way: &WaySettings) -> String {
    let hosts = match &way.route {
        RouteKind::Fixed(hosts) => {
            hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        RouteKind::Mx(25) => "the mail hosts of the domain".to_owned(),
        RouteKind::Mx(port) => format!("the mail hosts of the domain, port {port}"),
        RouteKind::Original => "where redirected connections were going".to_owned(),
    };
    let lmtp = if way.lmtp { ", lmtp" } else { "" };
    format!("{hosts}{lmtp}, tls {}", way.tls.name())
}

/// What of a way out is better otherwise.
fn of_way(name: &str, way: &WaySettings) -> Vec<String> {
    let key = key_for_everyone(&format!("{name}.key"), &way.certificate);
    let mut cautions: Vec<_> = key.into_iter().collect();
    if let Some((_, file)) = &way.login
        && readable_by_everyone(file)
    {
        let file = file.display();
        let why = "everybody on this machine can read the password";
        cautions.push(format!("{name}.password_file {file}: {why}; chmod o-r"));
    }
    cautions
}

/// A private key that is none.
fn key_for_everyone(name: &str, pair: &Option<(PathBuf, PathBuf)>) -> Option<String> {
    let (_, key) = pair.as_ref()?;
    let why = "everybody on this machine can read the private key";
    readable_by_everyone(key).then(|| format!("{name} {}: {why}; chmod o-r", key.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ListenSettings;

    fn configs(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs").join(name)
    }

    fn check(name: &str, json: bool) -> (String, Option<Failure>) {
        let mut out = Vec::new();
        let failure = run(Some(&configs(name).join("rcptgate.toml")), json, &mut out).err();
        (String::from_utf8(out).expect("text"), failure)
    }

    #[test]
    fn a_good_configuration_is_summed_up() {
        let (out, failure) = check("good-everything", false);
        assert!(failure.is_none(), "{failure:?}");
        assert!(
            out.contains("listen      127.0.0.1:0 smtp for 192.0.2.0/24 2001:db8::1/128, tls off, tenant acme\n"),
            "{out}"
        );
        assert!(
            out.contains("disposable 0 built in, 1 added, 1 removed; trusted 0; allowed 2\n"),
            "{out}"
        );
    }

    #[test]
    fn every_fault_of_a_bad_one_is_told_at_once() {
        let (_, failure) = check("bad-everything", false);
        let failure = failure.expect("a failure");
        assert_eq!(failure.code(), 78);
        let expected = std::fs::read_to_string(configs("bad-everything").join("expected-error"));
        assert_eq!(failure.to_string().lines().count(), expected.expect("text").lines().count());
        let (out, failure) = check("bad-lists", true);
        let told: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(told["errors"][1]["line"], 2);
        assert_eq!(told["errors"][1]["value"], "not a domain");
        assert_eq!(failure.expect("a failure").code(), 78);
    }

    #[test]
    fn a_file_that_is_not_there_is_a_fault_of_the_configuration() {
        let (_, failure) = check("none", false);
        assert_eq!(failure.expect("a failure").code(), 78);
    }

    #[test]
    fn a_key_that_everybody_can_read_is_cautioned_against() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("a.key");
        std::fs::write(&key, "").expect("a file");
        let check = |mode: u32, expected: usize| {
            std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).expect("a mode");
            let mut settings = Settings::defaults(Path::new("c.toml"));
            settings.listen[0].certificate = Some(("a.pem".into(), key.clone()));
            settings.downstream.way.certificate = Some(("a.pem".into(), key.clone()));
            let told = cautions(&settings);
            assert_eq!(told.len(), expected, "{mode:o}: {told:?}");
        };
        check(0o644, 2);
        check(0o640, 0);
    }

    #[test]
    fn an_open_relay_is_cautioned_against() {
        let mut settings = Settings::defaults(Path::new("c.toml"));
        assert_eq!(cautions(&settings), Vec::<String>::new());
        settings.listen[0].clients = vec!["0.0.0.0/0".parse().expect("a network")];
        settings.admin.listen = Some(([0, 0, 0, 0], 8025).into());
        assert_eq!(cautions(&settings).len(), 2);
        settings.admin.listen = None;
        settings.listen[0] = ListenSettings::default();
        settings.listen[0].xclient = vec!["::/0".parse().expect("a network")];
        assert_eq!(
            cautions(&settings),
            ["listen[0].xclient has everybody: anyone may claim to be a client that may relay"]
        );
        settings.listen[0] = ListenSettings::default();
        settings.listen[0].address = ([192, 0, 2, 1], 25).into();
        assert_eq!(
            cautions(&settings),
            ["listen[0].address 192.0.2.1 with such clients: nobody but this machine may relay"]
        );
    }
}
