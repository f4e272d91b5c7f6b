//! J07: MTA-STS policies (RFC 8461) from a host of our own, over HTTPS.

pub mod host;
mod world;

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use rcptgate::mta_sts::{Policies, Settings};
use rcptgate::routing::sts::Mode;
use rcptgate::tls::{Connector, Trust};

use crate::certificates::{Authority, named};
use host::{Host, ok};
use world::World;

const ENFORCE: &str =
    "version: STSv1\r\nmode: enforce\r\nmx: mx.one.test\r\nmx: *.mail.test\r\nmax_age: 86400\r\n";
const NAMES: [&str; 4] = ["one.test", "two.test", "three.test", "four.test"];

/// A policy host for all of [`NAMES`], and the world in which they announce policy "1".
struct Lab {
    authority: Authority,
    host: Host,
    world: World,
    folder: tempfile::TempDir,
    deadline: Duration,
    at_once: usize,
    most: u64,
}

impl Lab {
    async fn new(policy: &str) -> Self {
        let authority = Authority::new();
        let names = NAMES.map(|name| format!("mta-sts.{name}"));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let host = Host::new(&authority.sign("host", &named(&names)), ok(policy)).await;
        let world = World::new();
        for name in NAMES {
            world.announce(name, &["v=spf1 -all", "v=STSv1; id=1;"]);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let deadline = Duration::from_secs(60);
        Self { authority, host, world, folder, deadline, at_once: 20, most: 100 }
    }

    fn policies(&self) -> Policies<World> {
        let settings = Settings {
            port: self.host.port,
            deadline: self.deadline,
            at_once: self.at_once,
            most: self.most,
            ..Settings::new(self.folder.path().join("mta-sts"))
        };
        let connector = Connector::new(&Trust::File(self.authority.file())).expect("a connector");
        Policies::open(settings, connector, self.world.clone()).expect("policies")
    }

    fn files(&self) -> Vec<String> {
        let listing = fs::read_dir(self.folder.path().join("mta-sts")).expect("a folder");
        let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a name");
        let mut names: Vec<_> = listing.map(|entry| name(entry.expect("an entry"))).collect();
        names.sort();
        names
    }

    /// No policy, for this reason.
    async fn nothing(&self, what: &str, why: &str) {
        assert_eq!(self.policies().policy("one.test").await, None, "{what}");
        let faults = self.world.faults();
        assert!(matches!(&faults[..], [fault] if fault.contains(why)), "{what}: {faults:?}");
        assert!(self.files().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_policy_is_fetched_once_and_says_which_hosts_fit() {
    let lab = Lab::new(ENFORCE).await;
    let policies = lab.policies();
    for domain in ["one.test", "ONE.test", "one.test."] {
        let policy = policies.policy(domain).await.expect("a policy");
        assert_eq!(policy.mode, Mode::Enforce);
        assert!(policy.admits("MX.one.test") && policy.admits("a.mail.test"));
        assert!(!policy.admits("mx.evil.test") && !policy.admits("a.b.mail.test"));
    }
    let heard = lab.host.heard();
    assert_eq!(heard.len(), 1);
    let (asked, head) = &heard[0];
    assert_eq!(asked, "mta-sts.one.test");
    assert!(head.starts_with("get /.well-known/mta-sts.txt http/1.1\r\n"), "{head}");
    let authority = format!("\r\nhost: mta-sts.one.test:{}\r\n", lab.host.port);
    assert!(head.contains(&authority), "{head}");
    // It belongs to the domain, whoever carries mail for it.
    policies.policy("two.test").await.expect("a policy of its own");
    assert_eq!(lab.host.heard().len(), 1);
    assert!(lab.world.faults().is_empty());
}

#[tokio::test]
async fn modes_are_for_the_caller_to_look_at() {
    for (mode, expected) in [("testing", Mode::Testing), ("none", Mode::None)] {
        let lab = Lab::new(&ENFORCE.replace("enforce", mode)).await;
        let policy = lab.policies().policy("one.test").await.expect("a policy");
        assert_eq!(policy.mode, expected);
    }
}

#[tokio::test]
async fn a_host_that_does_not_prove_its_name_has_no_policy() {
    let lab = Lab::new(ENFORCE).await;
    let mut expired = named(&["mta-sts.one.test"]);
    expired.not_before = rcgen::date_time_ymd(2000, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2001, 1, 1);
    for (what, files) in [
        ("expired", lab.authority.sign("expired", &expired)),
        ("the domain's name", lab.authority.sign("name", &named(&["one.test", "mx.one.test"]))),
        ("unknown authority", Authority::new().sign("other", &named(&["mta-sts.one.test"]))),
    ] {
        lab.host.show(&files);
        lab.nothing(what, "invalid peer certificate").await;
        assert!(lab.host.heard().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn answers_that_are_no_policy() {
    let lab = Lab::new(ENFORCE).await;
    let long = |octets: usize| format!("{ENFORCE}x: {}", "y".repeat(octets - ENFORCE.len() - 3));
    let moved = "HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
    let html = ok(ENFORCE).replace("text/plain", "text/html");
    let no_kind = ok(ENFORCE).replace("Content-Type", "X-Type");
    let short = ok(ENFORCE).replace("Content-Length: ", "Content-Length: 9");
    let head = ok(ENFORCE).replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "y".repeat(20_000)));
    let endless = ok(&long(70_000)).replace("Content-Length", "X-Length");
    for (answer, why) in [
        (moved, "HTTP status 301"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP status 404"),
        ("HTTP/1.1 204 Nothing\r\n\r\n", "HTTP status 204"),
        (&html, "text/plain"),
        (&no_kind, "text/plain"),
        (&short, "HTTP: "),
        (&head, "HTTP: "),
        ("250 ok\r\n", "HTTP: "),
        ("", "HTTP: "),
        (&ok(&long(65_537)), "longer than 64 KiB"),
        (&endless, "longer than 64 KiB"),
        (&ok("<html></html>"), "policy: "),
        (&ok(""), "policy: "),
    ] {
        lab.host.say(answer);
        lab.nothing(answer.get(..40).unwrap_or(answer), why).await;
        // Whatever it says, it is asked once, and nobody else is.
        assert_eq!(lab.host.heard().len(), 1);
    }
    lab.host.say(&ok(&long(65_536)).replace("text/plain", "Text/Plain; charset=utf-8"));
    lab.policies().policy("one.test").await.expect("a policy");
}

#[tokio::test]
async fn no_more_is_read_than_a_policy_may_have() {
    let mut lab = Lab::new(ENFORCE).await;
    lab.host.say(&ok(&"y".repeat(32 << 20)).replace("Content-Length", "X-Length"));
    lab.nothing("endless", "longer than 64 KiB").await;
    assert!(!lab.host.was_taken().await);
}

#[tokio::test]
async fn a_host_that_is_slow_holds_mail_up_no_longer_than_the_deadline() {
    let lab = Lab { deadline: Duration::from_millis(300), ..Lab::new(ENFORCE).await };
    lab.host.hold();
    let policies = lab.policies();
    assert_eq!(policies.policy("one.test").await, None);
    lab.world.fault().await;
    assert_eq!(lab.world.faults().len(), 1);
    // Nor does DNS.
    lab.world.be_silent("two.test");
    assert_eq!(policies.policy("two.test").await, None);
}

#[tokio::test]
async fn a_host_that_is_down_is_left_alone_for_a_while() {
    let lab = Lab::new(ENFORCE).await;
    let policies = lab.policies();
    lab.host.say("");
    let asks = [(0, 1), (1, 0), (298, 0), (1, 1)];
    for (seconds, fetches) in asks {
        lab.world.pass(seconds);
        assert_eq!(policies.policy("one.test").await, None);
        assert_eq!(lab.world.faults().len(), fetches, "{seconds}");
    }
    lab.world.pass(300);
    lab.host.say(&ok(ENFORCE));
    policies.policy("one.test").await.expect("a policy");
}

#[tokio::test]
async fn a_policy_goes_on_until_it_ends_whatever_an_attacker_does() {
    let lab = Lab::new(ENFORCE).await;
    let policies = lab.policies();
    let policy = policies.policy("one.test").await.expect("a policy");
    lab.host.say("");
    let _ = lab.host.heard();
    let attacks: [&[&str]; 5] = [
        &[],
        &["v=spf1 -all"],
        &["v=STSv1; id=1;", "v=STSv1; id=1;"],
        &["v=STSv1; id=;"],
        &["v=STSv1; id=2;"],
    ];
    for attack in attacks {
        lab.world.announce("one.test", attack);
        assert_eq!(policies.policy("one.test").await, Some(policy.clone()), "{attack:?}");
    }
    lab.world.break_dns("one.test");
    assert_eq!(policies.policy("one.test").await, Some(policy.clone()));
    // Only the new id had it fetched.
    assert_eq!(lab.host.heard().len(), 1);
    lab.world.pass(86_399);
    assert_eq!(policies.policy("one.test").await, Some(policy));
    lab.world.pass(1);
    assert_eq!(policies.policy("one.test").await, None);
}

#[tokio::test]
async fn a_new_id_replaces_the_policy() {
    let lab = Lab::new(ENFORCE).await;
    let policies = lab.policies();
    policies.policy("one.test").await.expect("a policy");
    lab.host.say(&ok(&ENFORCE.replace("mx.one.test", "mx.new.test")));
    let old = policies.policy("one.test").await.expect("the old one");
    assert!(!old.admits("mx.new.test"));
    lab.world.announce("one.test", &["v=STSv1; id=2;"]);
    let new = policies.policy("one.test").await.expect("the new one");
    assert!(new.admits("mx.new.test") && !new.admits("mx.one.test"));
    assert_eq!(lab.host.heard().len(), 2);
    // One that has ended is fetched under the same id.
    lab.world.pass(86_400);
    policies.policy("one.test").await.expect("a policy");
    assert_eq!(lab.host.heard().len(), 1);
}

#[tokio::test]
async fn without_exactly_one_record_nothing_is_fetched() {
    let lab = Lab::new(ENFORCE).await;
    let policies = lab.policies();
    let records: [&[&str]; 3] = [&[], &["v=STSv1; id=1", "v=STSv1; id=2"], &["v=STSv1; id=a b"]];
    for records in records {
        lab.world.announce("one.test", records);
        assert_eq!(policies.policy("one.test").await, None, "{records:?}");
    }
    lab.world.break_dns("one.test");
    assert_eq!(policies.policy("one.test").await, None);
    assert!(lab.host.heard().is_empty());
}

#[tokio::test]
async fn policies_survive_a_restart_as_far_as_they_are_whole() {
    let lab = Lab::new(ENFORCE).await;
    let policies = lab.policies();
    for domain in NAMES {
        policies.policy(domain).await.expect("a policy");
    }
    drop(policies);
    let file = |name: &str| lab.folder.path().join("mta-sts").join(name);
    let whole = fs::read(file("two.test.json")).expect("a file");
    fs::write(file("two.test.json"), &whole[..whole.len() / 2]).expect("written");
    fs::copy(file("one.test.json"), file("three.test.json")).expect("copied");
    let longer = [&whole[..], &vec![b' '; 300_000], b"!"].concat();
    fs::write(file("four.test.json"), longer).expect("written");
    fs::write(file("two.test.new"), "half").expect("written");
    fs::write(file("README"), "the operator's").expect("written");
    lab.host.say("");
    let _ = lab.host.heard();

    let policies = lab.policies();
    assert_eq!(lab.files(), ["README", "one.test.json"]);
    let policy = policies.policy("one.test").await.expect("a policy");
    assert!(policy.admits("mx.one.test") && !policy.admits("x.test"));
    assert!(lab.host.heard().is_empty());
    // What is lost is fetched anew.
    lab.host.say(&ok(ENFORCE));
    policies.policy("two.test").await.expect("a policy");
    assert_eq!(lab.files(), ["README", "one.test.json", "two.test.json"]);
    // What has ended is not read, nor does a clock that was ahead prolong anything.
    lab.world.pass(-86_400);
    drop(lab.policies());
    lab.world.pass(2 * 86_400);
    drop(lab.policies());
    assert_eq!(lab.files(), ["README"]);
}

#[tokio::test]
async fn a_clock_that_was_ahead_prolongs_nothing() {
    let lab = Lab::new(ENFORCE).await;
    lab.world.pass(1_000_000);
    lab.policies().policy("one.test").await.expect("a policy");
    lab.world.pass(-1_000_000);
    let policies = lab.policies();
    lab.host.say("");
    policies.policy("one.test").await.expect("a policy");
    lab.world.pass(86_400);
    assert_eq!(policies.policy("one.test").await, None);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_leaves_the_policy_in_force() {
    let lab = Lab::new(ENFORCE).await;
    let policies = lab.policies();
    fs::remove_dir_all(lab.folder.path()).expect("removed");
    policies.policy("one.test").await.expect("a policy");
    policies.policy("one.test").await.expect("a policy");
    assert_eq!(lab.host.heard().len(), 1);
    let faults = lab.world.faults();
    let why = "cannot be written down";
    assert!(matches!(&faults[..], [fault] if fault.contains(why)), "{faults:?}");
}

#[tokio::test]
async fn hostile_domains_reach_neither_dns_nor_disk() {
    let lab = Lab::new(ENFORCE).await;
    let policies = lab.policies();
    let long = format!("{}.test", ["x"; 121].join("."));
    let label = format!("{}.test", "x".repeat(64));
    for domain in [
        "",
        ".",
        "..",
        "../one.test",
        "/etc/passwd",
        "a/../b.test",
        "one.test/x",
        "one.test\0",
        "one.test..",
        ".one.test",
        "one test",
        "one.test\r\nhost: x",
        "[127.0.0.1]",
        "ünï.test",
        "*.test",
        "a@b.test",
        "a:80",
        "?x.test",
        "#x.test",
        &long,
        &label,
    ] {
        lab.world.announce(domain, &["v=STSv1; id=1;"]);
        assert_eq!(policies.policy(domain).await, None, "{domain:?}");
    }
    assert!(lab.world.asked().is_empty(), "{:?}", lab.world.asked());
    assert!(lab.files().is_empty());
    // The longest that can have a policy makes a name that the file system takes.
    let longest =
        format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(53));
    let name = format!("mta-sts.{longest}");
    lab.world.announce(&longest, &["v=STSv1; id=1;"]);
    lab.host.show(&lab.authority.sign("long", &named(&[&name])));
    policies.policy(&longest).await.expect("a policy");
    assert_eq!(lab.files(), [format!("{longest}.json")]);
}

#[tokio::test]
async fn addresses_that_are_refused_are_not_connected_to() {
    let lab = Lab::new(ENFORCE).await;
    let loopback: IpAddr = "127.0.0.1".parse().expect("an address");
    lab.world.refuse(loopback);
    lab.nothing("refused", "127.0.0.1, which is refused").await;
    assert!(lab.host.heard().is_empty());
    lab.world.resolve(&[]);
    lab.nothing("none", "no address").await;
    // Another address will do, and one that refuses connections is passed over.
    let others = ["127.0.0.1", "127.0.0.2"].map(|address| address.parse().expect("an address"));
    let lab = Lab::new(ENFORCE).await;
    lab.world.resolve(&[others[1], others[0]]);
    lab.policies().policy("one.test").await.expect("a policy");
}

#[tokio::test]
async fn one_fetch_of_a_domain_at_a_time() {
    let lab = Lab::new(ENFORCE).await;
    let policies = lab.policies();
    lab.host.hold();
    let asks: Vec<_> = (0..20)
        .map(|_| {
            let policies = policies.clone();
            tokio::spawn(async move { policies.policy("one.test").await })
        })
        .collect();
    lab.host.request().await;
    lab.host.release();
    for ask in asks {
        ask.await.expect("no panic").expect("a policy");
    }
    assert_eq!(lab.host.heard().len(), 1);
}

#[tokio::test]
async fn so_many_fetches_at_once() {
    let lab = Lab { at_once: 2, ..Lab::new(ENFORCE).await };
    let policies = lab.policies();
    lab.host.hold();
    let asks = NAMES.map(|name| {
        let policies = policies.clone();
        tokio::spawn(async move { policies.policy(name).await })
    });
    lab.host.request().await;
    lab.host.request().await;
    // On this one thread the others have come as far as they may.
    let asked = lab.world.asked();
    assert_eq!(asked.iter().filter(|name| name.starts_with("mta-sts.")).count(), 2, "{asked:?}");
    lab.host.release();
    for ask in asks {
        ask.await.expect("no panic").expect("a policy");
    }
    assert_eq!(lab.host.most_at_once(), 2);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_end_the_fetch() {
    let lab = Lab::new(ENFORCE).await;
    let policies = lab.policies();
    lab.host.hold();
    let ask = {
        let policies = policies.clone();
        tokio::spawn(async move { policies.policy("one.test").await })
    };
    lab.host.request().await;
    ask.abort();
    assert!(ask.await.expect_err("gone").is_cancelled());
    lab.host.release();
    policies.policy("one.test").await.expect("a policy");
    assert_eq!(lab.host.heard().len(), 1);
}

#[tokio::test]
async fn policies_in_use_are_renewed_and_those_that_ended_forgotten() {
    let lab = Lab::new(ENFORCE).await;
    let policies = lab.policies();
    policies.policy("one.test").await.expect("a policy");
    policies.policy("two.test").await.expect("a policy");
    policies.refresh().await;
    assert_eq!(lab.host.heard().len(), 2, "nothing is due");
    lab.world.pass(50_000);
    lab.world.announce("two.test", &[]);
    policies.refresh().await;
    assert_eq!(lab.host.heard().len(), 1);
    // Nobody has asked since: it is not fetched a third time.
    lab.world.pass(50_000);
    policies.refresh().await;
    assert!(lab.host.heard().is_empty());
    assert_eq!(lab.files(), ["one.test.json"]);
    lab.host.say("");
    policies.policy("one.test").await.expect("a policy");
    lab.world.pass(40_000);
    policies.refresh().await;
    assert!(lab.files().is_empty());
}

#[tokio::test]
async fn so_many_policies_and_no_more() {
    let lab = Lab { most: 2, ..Lab::new(ENFORCE).await };
    let policies = lab.policies();
    for domain in NAMES {
        policies.policy(domain).await.expect("a policy");
        policies.refresh().await;
    }
    assert_eq!(lab.files(), ["four.test.json", "three.test.json"]);
    // One that is huge counts for many.
    lab.host.say(&ok(&format!("{ENFORCE}{}", "mx: a.test\n".repeat(200))));
    lab.world.announce("one.test", &["v=STSv1; id=3;"]);
    policies.policy("one.test").await.expect("a policy");
    policies.refresh().await;
    assert!(!lab.files().contains(&"one.test.json".to_owned()), "{:?}", lab.files());
}
