use super::*;

#[test]
fn every_spelling_has_one_key() {
    let spellings = [
        "<user@example.com>",
        "<USER@EXAMPLE.COM>",
        "<\"user\"@example.com>",
        "<\"us\\er\"@example.com>",
        "<user@example.com.>",
        "<@relay.test:user@example.com>",
        "<@a.test,@b.test:user@Example.Com>",
    ];
    for spelling in spellings {
        let recipient = Recipient::parse(spelling).expect(spelling);
        let key = recipient.key().expect("a mailbox has a key").clone();
        assert_eq!(key.as_str(), "user@example.com", "{spelling}");
        assert_eq!(key, RecipientKey::parse("user@example.com").expect("an address"));
        assert!(recipient.to_string().eq_ignore_ascii_case("<user@example.com>"), "{recipient}");
    }
}

#[test]
fn international_addresses() {
    let key = |text: &str| RecipientKey::parse(text).expect(text).as_str().to_owned();
    assert_eq!(key("user@b\u{fc}cher.example"), "user@xn--bcher-kva.example");
    assert_eq!(key("user@B\u{dc}CHER.example"), "user@xn--bcher-kva.example");
    assert_eq!(key("user@XN--BCHER-KVA.example"), "user@xn--bcher-kva.example");
    // Composed and decomposed, upper and lower case, are one mailbox.
    assert_eq!(key("Jos\u{e9}@x.example"), key("jose\u{301}@x.example"));
    assert_eq!(key("JOS\u{c9}@x.example"), key("jos\u{e9}@x.example"));
    assert!(Recipient::parse("<jos\u{e9}@x.example>").is_ok());
}

#[test]
fn case_is_folded_whatever_the_letter() {
    let check = |one: &str, other: &str, same: bool| {
        let key = |text: &str| RecipientKey::parse(text).expect("an address");
        assert_eq!(key(one) == key(other), same, "{one} and {other}");
        assert_eq!(key(key(one).as_str()), key(one), "{one}");
    };
    check("ΑΣ@x.test", "ας@x.test", true);
    check("ΑΣ@x.test", "ασ@x.test", true);
    check("u\u{17f}er@x.test", "user@x.test", true);
    check("STRASSE@x.test", "straße@x.test", true);
    check("É@x.test", "e\u{301}@x.test", true);
    check("ırmak@x.test", "irmak@x.test", false);
    check("ｕser@x.test", "user@x.test", false);
}

#[test]
fn what_is_no_address() {
    let cases = [
        ("user@example.com", NotAnAddress::Brackets),
        ("<user@example.com", NotAnAddress::Brackets),
        ("<user@example.com> extra", NotAnAddress::Brackets),
        ("<user>", NotAnAddress::NoAt),
        ("<>", NotAnAddress::NoAt),
        ("<@example.com>", NotAnAddress::Route),
        ("<user@>", NotAnAddress::Domain),
        ("<user@@example.com>", NotAnAddress::Domain),
        ("<user@ex ample.com>", NotAnAddress::Domain),
        ("<user@example..com>", NotAnAddress::Domain),
        ("<user@-example.com>", NotAnAddress::Domain),
        ("<user@example.com(comment)>", NotAnAddress::Domain),
        ("<us er@example.com>", NotAnAddress::Local),
        ("<.user@example.com>", NotAnAddress::Local),
        ("<us..er@example.com>", NotAnAddress::Local),
        ("<\"\"@example.com>", NotAnAddress::Local),
        ("<\"a\\\r\n\"@example.com>", NotAnAddress::Local),
        ("<\"a\0\"@example.com>", NotAnAddress::Local),
        ("<\"open@example.com>", NotAnAddress::Local),
        ("<\"a\"b@example.com>", NotAnAddress::NoAt),
        ("<user@[1.2.3]>", NotAnAddress::Literal),
        ("<user@[IPv6:::g]>", NotAnAddress::Literal),
        ("<user@[1.2.3.4>", NotAnAddress::Literal),
    ];
    for (path, wrong) in cases {
        assert_eq!(Recipient::parse(path), Err(wrong), "{path}");
    }
}

#[test]
fn lengths_at_their_edges() {
    let local = |octets: usize| format!("<{}@example.com>", "x".repeat(octets));
    assert!(Recipient::parse(&local(64)).is_ok());
    assert_eq!(Recipient::parse(&local(65)), Err(NotAnAddress::TooLong));
    let domain = |labels: usize| format!("<u@{}test>", "abcdefgh.".repeat(labels));
    assert!(Recipient::parse(&domain(27)).is_ok());
    assert_eq!(Recipient::parse(&domain(28)), Err(NotAnAddress::TooLong));
    assert_eq!(
        Recipient::parse(&format!("<u@{}.test>", "x".repeat(64))),
        Err(NotAnAddress::Domain)
    );
}

#[test]
fn a_sender_may_hold_a_whole_address_in_its_local_part() {
    // VERP and SRS put one there.
    let sender = |octets: usize| format!("<bounce-{}@x.test>", "y".repeat(octets));
    let parsed = ReversePath::parse(&sender(180)).map(|sender| sender.to_string());
    assert_eq!(parsed, Ok(sender(180)));
    assert_eq!(ReversePath::parse(&sender(250)), Err(NotAnAddress::TooLong));
}

#[test]
fn quoting_is_kept_only_where_it_is_needed() {
    let wire = |path: &str| Recipient::parse(path).expect(path).to_string();
    assert_eq!(wire("<\"user.name\"@x.test>"), "<user.name@x.test>");
    assert_eq!(wire("<\"a b\"@x.test>"), "<\"a b\"@x.test>");
    assert_eq!(wire("<\"a@b\"@x.test>"), "<\"a@b\"@x.test>");
    assert_eq!(wire("<\"a\\\"b\\\\\"@x.test>"), "<\"a\\\"b\\\\\"@x.test>");
    assert_eq!(wire("<u@[IPv6:2001:DB8::0:1]>"), "<u@[IPv6:2001:db8::1]>");
    assert_eq!(wire("<PostMaster>"), "<postmaster>");
}

#[test]
fn a_key_reads_back_from_json() {
    for address in ["user@example.com", "\"a@b\"@x.test", "\"a \\\"b\"@x.test", "jos\u{e9}@x.test"]
    {
        let key = RecipientKey::parse(address).expect(address);
        let json = serde_json::to_string(&key).expect("serialises");
        assert_eq!(serde_json::from_str::<RecipientKey>(&json).expect("reads back"), key);
    }
}

#[test]
fn null_sender_is_a_variant() {
    assert_eq!(ReversePath::parse("<>"), Ok(ReversePath::Null));
    assert_eq!(ReversePath::Null.to_string(), "<>");
    assert!(Recipient::parse("<>").is_err());
}

proptest::proptest! {
    #[test]
    fn what_a_key_shows_is_read_back_as_that_key(local in "[ -~]{1,20}") {
        let domain = Domain::Name("example.com".to_owned());
        let key = RecipientKey::of(&Mailbox { local, domain });
        let shown = key.to_string();
        proptest::prop_assert_eq!(RecipientKey::parse(&shown), Ok(key), "{}", shown);
    }
}
