use std::fs;

use crate::attribution::TenantRule;
use crate::smtp::address::RecipientKey;

use super::*;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/rcptgate.toml");
const CONFIGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/configs");

/// The shipped file with every default that it shows as a comment said for real.
fn uncommented() -> String {
    let text = fs::read_to_string(SHIPPED).expect("the shipped file");
    let shown = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => key.to_owned(),
        Some(_) | None => line.to_owned(),
    };
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

fn errors(text: &str) -> String {
    listed(&parse(Path::new("c.toml"), text, Files::Leave).1)
}

/// A configuration that is good but for what is put into it.
fn settings(text: &str) -> Settings {
    good(Path::new("dir/c.toml"), text)
}

fn good(file: &Path, text: &str) -> Settings {
    let (settings, errors) = parse(file, text, Files::Leave);
    assert!(errors.is_empty(), "{}", listed(&errors));
    settings
}

#[test]
fn the_shipped_file_is_good_and_says_the_defaults() {
    let file = Path::new(SHIPPED);
    let shipped = load(file).unwrap_or_else(|errors| panic!("{}", listed(&errors)));
    let mut expected = Settings::defaults(file);
    expected.downstream.way.route =
        RouteKind::Fixed(vec![HostPort { host: "127.0.0.1".to_owned(), port: 2526 }]);
    expected.hostname.clone_from(&shipped.hostname);
    assert_eq!(shipped, expected);

    let text = uncommented();
    let said = good(file, &text);
    expected.hostname = "gate.example.com".to_owned();
    for list in
        [&mut expected.lists.disposable, &mut expected.lists.trusted, &mut expected.lists.allow]
    {
        list.required = true;
    }
    assert_eq!(said, expected);
}

#[test]
fn the_shipped_file_has_every_key() {
    let text = uncommented();
    let reader = Reader::new(Path::new(SHIPPED), &text);
    let table = reader.parse();
    sections::settings(Path::new(SHIPPED), reader.top(table.get_ref()), Files::Leave);
    // They exclude what stands there, and are shown in its text.
    assert_eq!(
        *reader.not_given.borrow(),
        [
            "listen[0].certificate",
            "listen[0].key",
            "listen[0].credentials",
            "listen[0].tenant",
            "route",
            "tenant",
            "downstream.port",
            "downstream.ca",
            "downstream.certificate",
            "downstream.key",
            "downstream.username",
            "downstream.password_file",
            "downstream.source",
            "downstream.refused_networks",
            "downstream.mta_sts_port",
            "downstream.mta_sts_ca",
            "dns.dnssec",
            "policy.file",
            "classification.file",
            "import_source"
        ]
    );
}

/// `tests/configs/bad-*` are refused with exactly what their `expected-error` says; `good-*` are accepted.
#[test]
fn configurations_are_judged_as_expected() {
    let (mut judged, mut wrong) = (0, String::new());
    for entry in fs::read_dir(CONFIGS).expect("the folder") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let expected = match name.starts_with("bad-") {
            true => fs::read_to_string(folder.join("expected-error")).expect("the errors"),
            false => String::new(),
        };
        let errors = load_all(&folder.join("rcptgate.toml")).err().unwrap_or_default();
        let told = listed(&errors).replace(&format!("{}/", folder.display()), "");
        if told != expected.trim_end() || errors.is_empty() == name.starts_with("bad-") {
            wrong.push_str(&format!("--- {name}\n{told}\n"));
        }
        judged += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(judged > 5, "{judged}");
}

const FIXED: &str = "[downstream]\nhosts = [\"mx.example:25\"]\n";

#[test]
fn paths_are_relative_to_the_file() {
    let text =
        format!("data_dir = \"d\"\n{FIXED}[lists]\nallow = \"/abs\"\n[policy]\nfile = \"p.toml\"");
    let settings = settings(&text);
    assert_eq!(settings.data_dir, Path::new("dir/d"));
    assert_eq!(settings.lists.allow.path, Path::new("/abs"));
    assert_eq!(settings.lists.trusted.path, Path::new("dir/trusted-domains.txt"));
    assert_eq!(settings.policy.source, PolicySource::File("dir/p.toml".into()));
}

#[test]
fn what_this_version_does_not_have_is_refused() {
    let check = |text: &str, expected: &str| assert_eq!(errors(text), expected);
    check(
        &format!("[[listen]]\nprotocol = \"milter\"\ntls = \"starttls\"\n{FIXED}"),
        "c.toml:2: listen[0].protocol = \"milter\": this version does not have it yet, only \"smtp\" or \"lmtp\"\n\
         c.toml:3: listen[0].tls = \"starttls\": needs certificate = \"FILE\" and key = \"FILE\", both PEM",
    );
}

#[test]
fn values_are_read_as_they_are_written() {
    let size = |text: &str| settings(&format!("{FIXED}[limits]\nsize = {text}")).limits.size;
    assert_eq!(size("\"50MiB\""), 50 << 20);
    assert_eq!(size("\"64 KiB\""), 64 << 10);
    assert_eq!(size("\"2048\""), 2048);
    assert_eq!(size("1_000_000"), 1_000_000);
    let hosts = "[downstream]\nhosts = [\"MX.Example.\", \"[::1]:26\", \"192.0.2.1\", \"[::1]\", \"bücher.example:587\"]";
    let RouteKind::Fixed(hosts) = settings(hosts).downstream.way.route else { panic!("not fixed") };
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    assert_eq!(
        hosts,
        ["mx.example:25", "[::1]:26", "192.0.2.1:25", "[::1]:25", "xn--bcher-kva.example:587"]
    );
    let off = settings(&format!("{FIXED}[admin]\nlisten = \"off\""));
    assert_eq!(off.admin.listen, None);
    let wait = settings(&format!("{FIXED}[timeouts]\nconnect = \"1m 30s\"")).timeouts.connect;
    assert_eq!(wait.as_secs(), 90);
    for name in ["gate.example.com", "[192.0.2.1]", "localhost"] {
        assert_eq!(settings(&format!("hostname = \"{name}\"\n{FIXED}")).hostname, name);
    }
}

#[test]
fn tenants_and_keys_are_read_in_the_order_of_the_file() {
    use crate::attribution::Signs;
    let text = "[[tenant]]\nname = \"acme\"\nnetworks = [\"192.0.2.0/24\"]\n\
                [[tenant]]\nname = \"bob\"\nusers = [\"bob\"]\n\
                [[tenant]]\nname = \"blue\"\nsenders = [\"*@blue.test\"]\n\
                [[tenant]]\nname = \"{}\"\nsenders = [\"b-{}@*\"]\n\
                [keys]\nmessage = [\"envid\"]\ncampaign = [\"sender:b-{}@*\"]\n";
    let Settings { tenants, keys, .. } = settings(&format!("{text}{FIXED}"));
    let name = |rule: &TenantRule| rule.name.as_ref().map(|name| name.0.clone());
    let names: Vec<_> = tenants.0.iter().map(name).collect();
    assert_eq!(
        names,
        [Some("acme"), Some("bob"), Some("blue"), None].map(|name| name.map(str::to_owned))
    );
    let of = |client: &str, login| {
        let client = client.parse().expect("an address");
        tenants.of_connection(None, Some(client), login, None).map(|tenant| tenant.0)
    };
    assert_eq!(of("192.0.2.1", None).as_deref(), Some("acme"));
    assert_eq!(of("198.51.100.1", Some("bob")).as_deref(), Some("bob"));
    assert_eq!(tenants.of_sender("b-red@blue.test").0, "blue");
    assert_eq!(tenants.of_sender("b-red@x.test").0, "red");
    let signs = Signs { ident: Some("4F5"), envid: Some("e1"), sender: "b-red@x.test", client: "" };
    assert_eq!(keys.message(&signs).as_deref(), Some("envid/e1"));
    assert_eq!(keys.campaign(&signs).as_deref(), Some("sender/red"));
}

#[test]
fn the_file_given_beats_the_environment_and_that_the_usual_places() {
    let check =
        |given: Option<&str>, named: Option<&str>, there: &[&str], expected: Option<&str>| {
            let exists = |path: &Path| there.iter().any(|place| path == Path::new(place));
            let chosen = choose(given.map(Path::new), named.map(OsString::from), exists);
            assert_eq!(chosen.ok().as_deref(), expected.map(Path::new));
        };
    let [near, far] = PLACES;
    check(Some("a"), Some("b"), &[near], Some("a"));
    check(None, Some("b"), &[near], Some("b"));
    check(None, Some(""), &[near, far], Some(near));
    check(None, None, &[far], Some(far));
    check(None, None, &[], None);
}

#[test]
fn sockets_that_cannot_both_be_bound_clash() {
    let two = |one: &str, other: &str| {
        let text =
            format!("[[listen]]\naddress=\"{one}\"\n[[listen]]\naddress=\"{other}\"\n{FIXED}");
        !errors(&text).is_empty()
    };
    assert!(two("127.0.0.1:25", "127.0.0.1:25"));
    assert!(two("0.0.0.0:25", "127.0.0.1:25"));
    assert!(two("[::]:25", "[::1]:25"));
    assert!(!two("[::1]:25", "127.0.0.1:25"));
    assert!(!two("127.0.0.1:0", "127.0.0.1:0"));
    assert!(!two("127.0.0.1:25", "127.0.0.2:25"));
}

/// A folder with a configuration and lists in it, and the lists in force.
struct Live {
    folder: tempfile::TempDir,
    lists: LiveLists,
}

impl Live {
    fn open(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("written");
        }
        let paths = Settings::defaults(&folder.path().join("c.toml")).lists;
        let lists = LiveLists::open(paths).unwrap_or_else(|errors| panic!("{}", listed(&errors)));
        Self { folder, lists }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("written");
    }

    fn disposable(&self, address: &str) -> bool {
        let key = RecipientKey::parse(address).expect("an address");
        self.lists.current().load().listing(&key).1.is_some()
    }
}

#[test]
fn a_good_list_is_swapped_in() {
    let mut live = Live::open(&[]);
    assert!(!live.disposable("a@x.example"));
    live.write("disposable-domains.txt", "x.example\n");
    assert_eq!(live.lists.reload(), Reload::Swapped);
    assert!(live.disposable("a@x.example"));
    live.write("disposable-domains.txt", "");
    assert_eq!(live.lists.reload(), Reload::Swapped);
    assert!(!live.disposable("a@x.example"));
    assert_eq!(live.lists.counts(), (2, 0));
}

#[test]
fn a_bad_list_keeps_the_old_one_in_force_and_the_others_alone() {
    let mut live = Live::open(&[("disposable-domains.txt", "x.example\n"), ("allow.txt", "")]);
    let file = live.folder.path().join("disposable-domains.txt");
    live.write("disposable-domains.txt", "y.example\nnot a domain\n");
    live.write("allow.txt", "a@x.example");
    let Reload::Kept(faults) = live.lists.reload() else { panic!("swapped") };
    assert_eq!((&faults[0].file, faults[0].line), (&file, Some(2)));
    // Of the bad file nothing comes in; the allow list, which beats it, is in force.
    assert!(!live.disposable("a@x.example") && !live.disposable("a@y.example"));
    assert!(live.disposable("b@x.example"));
    fs::remove_file(&file).expect("removed");
    let Reload::Kept(faults) = live.lists.reload() else { panic!("swapped") };
    assert_eq!((&faults[0].file, faults[0].line), (&file, None));
    assert!(live.disposable("b@x.example"));
    assert_eq!(live.lists.counts(), (0, 2));
    live.write("disposable-domains.txt", "y.example\n");
    assert_eq!(live.lists.reload(), Reload::Swapped);
    assert!(!live.disposable("b@x.example") && live.disposable("a@y.example"));
}

#[test]
fn a_snapshot_does_not_move_under_a_transaction() {
    let mut live = Live::open(&[("disposable-domains.txt", "x.example\n")]);
    let key = RecipientKey::parse("a@x.example").expect("an address");
    let current = live.lists.current();
    let snapshot = current.load_full();
    live.write("disposable-domains.txt", "");
    live.lists.reload();
    assert_eq!(snapshot.listing(&key), (false, Some("x.example")));
    assert_eq!(current.load().listing(&key), (false, None));
}

#[test]
fn the_trusted_list_replaces_the_policys_own() {
    let trusts = |lists: &crate::lists::Lists, domain: &str| {
        let policy = load_policy(&PolicyChoice::default(), lists).expect("a policy");
        policy.trusts(domain, None)
    };
    let mut lists = crate::lists::Lists::embedded();
    assert!(trusts(&lists, "gmail.com") && !trusts(&lists, "example.com"));
    lists.trusted = Some(["example.com"].into_iter().collect());
    assert!(!trusts(&lists, "gmail.com") && trusts(&lists, "example.com"));
}
