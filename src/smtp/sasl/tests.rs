use super::*;

#[test]
fn the_argument_of_auth() {
    let check = |argument: &str, mechanism: &str, initial: Option<&str>| {
        let expected = Start { mechanism: mechanism.into(), initial: initial.map(Secret::new) };
        assert_eq!(Start::parse(argument), expected, "{argument}");
    };
    check("plain AGEAYg==", "PLAIN", Some("AGEAYg=="));
    check("PLAIN  =", "PLAIN", Some("="));
    check("Scram-Sha-256", "SCRAM-SHA-256", None);
    check("", "", None);
    check("PLAIN a b", "", Some("a"));
    check("PL+AIN", "", None);
    check(&"x".repeat(21), "", None);
}

#[test]
fn responses() {
    let check = |line: &str, expected: Result<&[u8], SaslFault>| {
        let got = response(line.as_bytes());
        assert_eq!(got.as_ref().map(Secret::expose).map_err(|fault| *fault), expected, "{line}");
    };
    check("AGEAYg==", Ok(b"\0a\0b"));
    check("", Ok(b""));
    check("*", Err(SaslFault::Cancelled));
    for bad in ["AGEAYg", "AGEAYg=", " AGEAYg==", "AGEAYg== ", "AGE=AYg=", "A_-A", "**", "="] {
        check(bad, Err(SaslFault::Malformed));
    }
    assert_eq!(initial(&Secret::new("=")), Ok(Secret::new("")));
    assert_eq!(initial(&Secret::new("*")), Err(SaslFault::Malformed));
}

#[test]
fn plain_has_two_nul_and_one_identity() {
    let check = |message: &str, expected: Result<(&str, &str), SaslFault>| {
        let expected = expected
            .map(|(user, password)| Login { user: user.into(), password: Secret::new(password) });
        assert_eq!(plain(&Secret::new(message)), expected, "{message:?}");
    };
    check("\0ann\0pa ss", Ok(("ann", "pa ss")));
    check("ann\0ann\0x", Ok(("ann", "x")));
    check("\0änn\0pä", Ok(("änn", "pä")));
    check("bob\0ann\0x", Err(SaslFault::OnBehalf));
    check("Ann\0ann\0x", Err(SaslFault::OnBehalf));
    for bad in ["", "\0", "\0ann", "\0ann\0", "\0\0x", "\0ann\0x\0", "\0ann\0x\0y", "ann"] {
        check(bad, Err(SaslFault::Malformed));
    }
    let invalid = Secret::new(*b"\0\xff\0x");
    assert_eq!(plain(&invalid), Err(SaslFault::Malformed));
}

#[test]
fn login_takes_neither_nothing_nor_nul() {
    assert!(login(b"ann", b"x").is_ok());
    for (user, password) in
        [(&b""[..], &b"x"[..]), (b"ann", b""), (b"a\0n", b"x"), (b"ann", b"x\0")]
    {
        assert_eq!(login(user, password), Err(SaslFault::Malformed));
    }
}

#[test]
fn our_own_side_of_it() {
    let text = |secret: &Secret| String::from_utf8(secret.expose().to_vec()).expect("ASCII");
    let check = |mechanism: Mechanism, password: &str, command: &str, then: &[&str]| {
        let login = Login { user: "ann".into(), password: Secret::new(password) };
        let (first, rest) = conversation(mechanism, &login);
        assert_eq!(text(&first), command);
        assert_eq!(rest.iter().map(text).collect::<Vec<_>>(), then);
    };
    check(Mechanism::Plain, "x", "AUTH PLAIN AGFubgB4", &[]);
    check(Mechanism::Login, "x", "AUTH LOGIN", &["YW5u", "eA=="]);
    let long = "x".repeat(400);
    let word = text(&encode(format!("\0ann\0{long}").as_bytes()));
    check(Mechanism::Plain, &long, "AUTH PLAIN", &[&word]);
}

#[test]
fn mechanisms_are_a_list_of_ours() {
    let words = "PLAIN login SCRAM-SHA-256-PLUS EXTERNAL XEVIL ANONYMOUS SCRAM-SHA-256";
    let all = Mechanisms::from_words(words.split(' '));
    assert_eq!(all.to_string(), "PLAIN LOGIN SCRAM-SHA-256");
    assert!(all.has("LOGIN") && !all.has("EXTERNAL") && !all.has("XOAUTH2"));
    let few = Mechanisms::from_words(["XOAUTH2", "LOGIN"].into_iter());
    assert_eq!(all.and(few).to_string(), "LOGIN");
    assert!(Mechanisms::default().is_empty());
}

#[test]
fn nobody_is_shown_a_secret() {
    let login = Login { user: "ann".into(), password: Secret::new("hunter2") };
    let start = Start::parse("PLAIN aHVudGVyMg==");
    let shown = format!("{login:?} {start:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("aHVud"), "{shown}");
}
