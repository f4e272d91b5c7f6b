use super::*;
use crate::event::Tenant;

fn signs<'a>(ident: Option<&'a str>, envid: Option<&'a str>, sender: &'a str) -> Signs<'a> {
    Signs { client: "192.0.2.1", ident, envid, sender }
}

fn sources(texts: &[&str]) -> Vec<KeySource> {
    texts.iter().map(|text| KeySource::parse(text).expect("a source")).collect()
}

#[test]
fn patterns_match_whole_senders() {
    let check = |pattern: &str, sender: &str, expected: Option<Match<'_>>| {
        let pattern = AddressPattern::parse(pattern).expect("a pattern");
        assert_eq!(pattern.find(sender), expected, "{pattern} {sender}");
    };
    check("acme.example", "news@acme.example", Some(Match::Whole));
    check("acme.example", "news@MAIL.Acme.Example", Some(Match::Whole));
    check("acme.example", "news@notacme.example", None);
    check("acme.example", "news@acme.example.test", None);
    check("acme.example", "acme.example", None);
    check("acme.example", "", None);
    check("news@acme.example", "NEWS@acme.example", Some(Match::Whole));
    check("news@acme.example", "xnews@acme.example", None);
    check("n.ws@acme.example", "news@acme.example", None);
    check("bounce-{}@x.test", "bounce-77@x.test", Some(Match::Part("77")));
    check("bounce-{}-*@*", "bounce-77-12-a=b.c@x.test", Some(Match::Part("77")));
    check("bounce-{}-*@*", "bounce--12@x.test", None);
    check("*+{}@x.test", "a+b+c@x.test", Some(Match::Part("c")));
    check("*@{}.x.test", "a@blue.x.test", Some(Match::Part("blue")));
    check("b-{}@x.test", "b-@x.test", None);
    // Who has an @ in the local part is not from there.
    check("acme.example", "a@acme.example@evil.test", None);
    check("b-{}-*@*", "b-acme-1@x.test@evil.test", None);
}

#[test]
fn bad_patterns_say_why() {
    let check = |pattern: &str, why: &str| {
        let fault = AddressPattern::parse(pattern).expect_err(pattern);
        assert!(fault.contains(why), "{pattern}: {fault}");
    };
    check("", "1 to 256 bytes");
    check(&"a".repeat(257), "1 to 256 bytes");
    check("a b@c", "no spaces");
    check("{}-{}@c", "once");
    check("bounce-*", "needs an @");
    check("a@b@c", "one @");
    check("@c", "one @");
    check("a@", "one @");
}

#[test]
fn the_first_source_that_has_a_key_decides() {
    let keys = Keys::default();
    assert_eq!(keys.message(&signs(Some("4F5"), Some("e1"), "")).as_deref(), Some("192.0.2.1/4F5"));
    assert_eq!(keys.message(&signs(None, Some("e1"), "")).as_deref(), Some("envid/e1"));
    assert_eq!(keys.message(&signs(None, None, "b-1@x.test")), None);
    assert_eq!(keys.campaign(&signs(Some("4F5"), Some("e1"), "")).as_deref(), Some("envid/e1"));
    assert_eq!(keys.campaign(&signs(Some("4F5"), None, "")), None);

    let message = sources(&["sender:b-*-{}@*", "xforward"]);
    let campaign = sources(&["header:X-Campaign", "sender:b-{}-*@*", "envid"]);
    let keys = Keys::default().with(Some(message), Some(campaign)).expect("keys");
    let verp = signs(Some("4F5"), Some("e1"), "b-spring-00017@x.test");
    assert_eq!(keys.message(&verp).as_deref(), Some("sender/00017"));
    assert_eq!(keys.campaign(&verp).as_deref(), Some("sender/spring"));
    let other = signs(Some("4F5"), Some("e1"), "info@x.test");
    assert_eq!(keys.message(&other).as_deref(), Some("192.0.2.1/4F5"));
    assert_eq!(keys.campaign(&other).as_deref(), Some("envid/e1"));
    assert_eq!(keys.headers(&other).collect::<Vec<_>>(), ["x-campaign"]);
    let keys = Keys::default()
        .with(Some(Vec::new()), Some(sources(&["envid", "header:A", "header:B"])))
        .expect("keys");
    assert_eq!(keys.headers(&verp).count(), 0, "the envelope goes before");
    let bare = signs(None, None, "");
    assert_eq!(keys.headers(&bare).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(keys.message(&verp), None);
}

#[test]
fn a_campaign_is_meant_by_its_key_or_its_name() {
    for meant in ["sender/spring", "spring"] {
        assert!(is_campaign("sender/spring", meant), "{meant}");
    }
    assert!(is_campaign("spring", "spring") && is_campaign("envid/a/b", "a/b"));
    assert!(!is_campaign("sender/spring", "sprin") && !is_campaign("spring", "sender/spring"));
}

#[test]
fn sources_that_cannot_be_are_refused() {
    for text in [
        "",
        "ENVID",
        "sender",
        "sender:acme.example",
        "sender:b-*@*",
        "header:",
        "header:a b",
        "subject:x",
    ] {
        assert!(KeySource::parse(text).is_err(), "{text}");
    }
    let late = Keys::default().with(Some(sources(&["header:Message-ID"])), None);
    assert!(late.is_err_and(|why| why.contains("too late")));
}

#[test]
fn headers_are_found_however_they_are_cut() {
    let check = |content: &str, expected: Option<&str>| {
        for size in [1, 2, 3, 7, content.len().max(1)] {
            let mut watch =
                HeaderWatch::new(["x-campaign", "list-id"].into_iter()).expect("a watch");
            for piece in content.as_bytes().chunks(size) {
                watch.feed(piece);
            }
            assert_eq!(watch.into_value().as_deref(), expected, "{content:?} by {size}");
        }
    };
    check("Subject: a\r\nX-Campaign: spring\r\n\r\nbody", Some("spring"));
    check("x-CAMPAIGN :\r\n  spring\r\n\tsale  \r\n\r\n", Some("spring sale"));
    check("List-Id: <l>\r\nX-Campaign: c\r\n\r\n", Some("c"));
    check("List-Id: <l>\r\n\r\nX-Campaign: c\r\n", Some("<l>"));
    check("X-Campaign: first\r\nX-Campaign: second\r\n\r\n", Some("first"));
    check("X-Campaign:\r\n\r\n", None);
    check("\r\nX-Campaign: c\r\n", None);
    check("X-Campaign: without end", Some("without end"));
    check("no colon at all\r\n\r\n", None);
    check("", None);
    let long = format!("X-Campaign: {}\r\n\r\n", "é".repeat(300));
    check(&long, Some(&"é".repeat(100)));
    let far = format!("{}X-Campaign: c\r\n\r\n", "A: b\r\n".repeat(11_000));
    check(&far, None);
    assert!(HeaderWatch::new(std::iter::empty()).is_none());
}

#[test]
fn a_tenant_is_known_by_listener_network_login_and_sender_in_this_order() {
    let named = |name: &str| Some(Tenant(name.to_owned()));
    let pattern = |text: &str| AddressPattern::parse(text).expect("a pattern");
    let rule = |name: &str, network: &str, user: &str, sender: &str| TenantRule {
        name: named(name),
        networks: vec![network.parse().expect("a network")],
        users: vec![user.to_owned()],
        senders: vec![pattern(sender)],
    };
    let any = TenantRule {
        name: None,
        networks: Vec::new(),
        users: Vec::new(),
        senders: vec![pattern("b-{}-*@*")],
    };
    let tenants = Tenants(vec![
        rule("red", "192.0.2.0/24", "ruth", "red.test"),
        rule("blue", "198.51.100.0/24", "bob", "blue.test"),
        any,
        rule("all", "0.0.0.0/0", "ruth", "esp.test"),
    ]);
    let of = |listener: Option<&str>, client: &str, login: Option<&str>, of_login: Option<&str>| {
        let listener = listener.map(|name| Tenant(name.to_owned()));
        let of_login = of_login.map(|name| Tenant(name.to_owned()));
        let client = Some(client.parse().expect("an address"));
        tenants.of_connection(listener.as_ref(), client, login, of_login.as_ref())
    };
    assert_eq!(of(Some("green"), "192.0.2.1", Some("bob"), Some("users")), named("green"));
    assert_eq!(of(None, "192.0.2.1", Some("bob"), Some("users")), named("red"));
    assert_eq!(of(None, "::ffff:198.51.100.1", None, None), named("blue"));
    assert_eq!(of(None, "203.0.113.1", None, None), named("all"));
    assert_eq!(of(None, "2001:db8::1", Some("ruth"), None), named("red"), "the first that matches");
    assert_eq!(of(None, "2001:db8::1", Some("bob"), Some("users")), named("users"));
    assert_eq!(of(None, "2001:db8::1", Some("bob"), None), named("blue"));
    assert_eq!(of(None, "2001:db8::1", Some("Bob"), None), None);
    assert_eq!(tenants.of_connection(None, None, None, None), None);

    assert_eq!(tenants.of_sender("news@mail.blue.test").0, "blue");
    assert_eq!(tenants.of_sender("b-ACME-7@x.test").0, "acme");
    assert_eq!(tenants.of_sender("b-a=b-7@x.test").0, "default", "no name of a tenant");
    assert_eq!(tenants.of_sender("b-a=b-7@esp.test").0, "all", "what is no name is no match");
    assert_eq!(tenants.of_sender("b-acme-7@red.test").0, "red", "the first that matches");
    assert_eq!(tenants.of_sender("").0, "default");
    assert!(tenants.ask_senders());
    assert!(!Tenants::default().ask_senders());
}
