use super::*;

fn told(known: Attributes, argument: &str) -> Option<Identity> {
    Identity::of("198.51.100.9".parse().expect("an address"), 1).told(known, argument)
}

#[test]
fn the_sets_are_listed_as_postfix_lists_them() {
    assert_eq!(
        Attributes::XCLIENT.to_string(),
        "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
    );
    assert_eq!(Attributes::XFORWARD.to_string(), "NAME ADDR PORT PROTO HELO IDENT SOURCE");
    let some = Attributes::from_words(["addr", "SHOE", "NAME"]);
    assert_eq!(some.to_string(), "NAME ADDR");
}

#[test]
fn values_are_checked_to_the_letter() {
    let check = |argument: &str, xclient: bool, xforward: bool| {
        assert_eq!(told(Attributes::XCLIENT, argument).is_some(), xclient, "XCLIENT {argument}");
        assert_eq!(told(Attributes::XFORWARD, argument).is_some(), xforward, "XFORWARD {argument}");
    };
    check("ADDR=192.0.2.1", true, true);
    check("addr=ipv6:2001:db8::1", true, true);
    check("ADDR=IPV6:2001:db8::1 PORT=4711 NAME=a_b.example", true, true);
    check("ADDR=[unavailable] NAME=[TEMPUNAVAIL]", true, true);
    check("HELO=caf+C3+A9", true, true);
    check("PROTO=esmtp", true, true);
    check("PROTO=LMTP", false, true);
    check("LOGIN=someone DESTADDR=192.0.2.2 DESTPORT=25", true, false);
    check("IDENT=4F+2BA SOURCE=local", false, true);
    for argument in [
        "",
        " ",
        "ADDR",
        "ADDR=2001:db8::1",
        "ADDR=IPV6:192.0.2.1",
        "ADDR=192.0.2.1.example",
        "ADDR=192.0.2.1/8",
        "ADDR=192.0.2.1 ADDR=192.0.2.2",
        "PORT=-1",
        "PORT=+2B5",
        "PORT=65536",
        "NAME=a+20b",
        "NAME=caf+C3+A9",
        "HELO=a+0Ab",
        "HELO=a+00b",
        "HELO=a+0",
        "HELO=a+FF",
        "SOURCE=here",
        "DESTPORT=x",
        "SHOE=42",
    ] {
        check(argument, false, false);
    }
    assert!(told(Attributes::XFORWARD, &format!("HELO={}", "x".repeat(256))).is_none());
}

#[test]
fn another_address_is_another_client() {
    let first = told(Attributes::XCLIENT, "ADDR=192.0.2.1 NAME=a.example LOGIN=a").expect("told");
    let renamed = first.told(Attributes::XCLIENT, "LOGIN=b").expect("told");
    assert_eq!((renamed.name.as_deref(), renamed.login.as_deref()), (Some("a.example"), Some("b")));
    let other = first.told(Attributes::XCLIENT, "ADDR=192.0.2.2").expect("told");
    assert_eq!(other, Identity { address: other.address, ..Identity::default() });
    let unknown = first.told(Attributes::XCLIENT, "ADDR=[UNAVAILABLE]").expect("told");
    assert_eq!(unknown, Identity::default());
    let mapped = first.told(Attributes::XCLIENT, "ADDR=IPV6:::ffff:192.0.2.3").expect("told");
    assert_eq!(mapped.address_text(), "192.0.2.3");
}

#[test]
fn xforward_says_what_is_known_and_listed() {
    let mut identity = Identity::of("2001:db8::1".parse().expect("an address"), 4711);
    identity.helo = Some("a=b+c".into());
    identity.ident = Some("4F".into());
    let all = identity.xforward(Attributes::XFORWARD);
    assert_eq!(all, ["XFORWARD ADDR=IPV6:2001:db8::1 PORT=4711 HELO=a+3Db+2Bc IDENT=4F\r\n"]);
    assert_eq!(identity.xforward(Attributes::from_words(["IDENT"])), ["XFORWARD IDENT=4F\r\n"]);
    assert!(identity.xforward(Attributes::from_words(["NAME"])).is_empty());
}

/// nginx CVE-2026-28753: a name with a line end in it became a command of its own.
#[test]
fn no_value_can_end_the_line() {
    let hostile = "a\r\nMAIL FROM:<evil@x.test>\r\n\0\u{1b}\u{e9}";
    let all = Identity {
        name: Some(hostile.into()),
        protocol: Some(hostile.into()),
        helo: Some(hostile.into()),
        ident: Some(hostile.into()),
        source: Some(hostile.into()),
        login: Some(hostile.into()),
        ..Identity::of("192.0.2.1".parse().expect("an address"), 25)
    };
    let mut lines = all.xforward(Attributes::XFORWARD);
    lines.extend(all.xclient(Attributes::XCLIENT));
    assert!(lines.len() > 1);
    for line in lines {
        let (body, end) = line.split_at(line.len() - 2);
        assert_eq!(end, "\r\n");
        assert!(body.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{line:?}");
        assert!(!body.contains("MAIL FROM"), "{line:?}");
    }
}

#[test]
fn no_line_is_longer_than_every_server_takes() {
    let long = || Some(Arc::from("+".repeat(100)));
    let all = Identity {
        name: long(),
        helo: long(),
        ident: Some("+".repeat(255).into()),
        login: long(),
        ..Identity::of("192.0.2.1".parse().expect("an address"), 25)
    };
    let lines = all.xforward(Attributes::XFORWARD);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.len() <= 512), "{lines:?}");
    // What fits on no line is left out.
    assert!(lines.iter().all(|line| !line.contains("IDENT")), "{lines:?}");
    let line = all.xclient(Attributes::XCLIENT).expect("a line");
    assert!(line.len() <= 512, "{line}");
    assert!(line.starts_with("XCLIENT ADDR=192.0.2.1 NAME=+2B") && line.contains(" PORT=25 "));
    assert!(line.ends_with(" LOGIN=[UNAVAILABLE] HELO=[UNAVAILABLE]\r\n"), "{line}");
}

#[test]
fn xclient_knows_two_protocols_and_one_of_them_has_extensions() {
    let check = |protocol: &str, said: &str| {
        let address = "192.0.2.1".parse().expect("an address");
        let client = Identity { protocol: Some(protocol.into()), ..Identity::of(address, 25) };
        let line = client.xclient(Attributes::from_words(["ADDR", "PROTO"])).expect("a line");
        assert_eq!(line, format!("XCLIENT ADDR=192.0.2.1{said}\r\n"));
    };
    check("SMTP", " PROTO=SMTP");
    check("esmtp", " PROTO=ESMTP");
    // A server that refuses one value refuses them all.
    check("LMTP", " PROTO=ESMTP");
    check("HTTP", "");
}
