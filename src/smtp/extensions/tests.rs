use super::*;

#[test]
fn reads_what_it_knows_and_nothing_else() {
    let text = "mx.test greets you\nPIPELINING\nsize 1000\nXEVIL\n8BITMIME\nCHUNKING\nAUTH PLAIN";
    let all = Capabilities::from_ehlo(text);
    let expected = Capabilities {
        pipelining: true,
        eight_bit_mime: true,
        chunking: true,
        auth: Mechanisms::from_words(["PLAIN"].into_iter()),
        size: Size::Limited(1000),
        ..Capabilities::default()
    };
    assert_eq!(all, expected);
    assert_eq!(Capabilities::from_ehlo("SIZE"), Capabilities::default());
    assert_eq!(Capabilities::from_ehlo("x\nSIZE 0").size, Size::Unlimited);
}

#[test]
fn two_hops_share_the_smaller() {
    let one = Capabilities { size: Size::Limited(10), dsn: true, ..Capabilities::GATE };
    let two = Capabilities { size: Size::Limited(7), ..Capabilities::GATE };
    assert_eq!(one.and(two).size, Size::Limited(7));
    assert!(!one.and(two).dsn);
    let without = Capabilities::default();
    assert_eq!(without.and(without).size, Size::Absent);
    assert_eq!(without.and(one).size, Size::Limited(10));
    assert_eq!(without.offered_over().size, Size::Unlimited);
}

#[test]
fn limits() {
    let check = |words: &str, expected: &str| {
        let read = Capabilities::from_ehlo(&format!("x\nLIMITS {words}")).limits;
        assert_eq!(read.expect("limits").to_string(), expected, "{words}");
    };
    check("rcptmax=10 MAILMAX=5 RCPTDOMAINMAX=1", "MAILMAX=5 RCPTMAX=10 RCPTDOMAINMAX=1");
    check("RCPTMAX=0 MAILMAX=1000000 RCPTDOMAINMAX=-1 FUTURE=1 RCPTMAX", "");
    check("RCPTMAX=999999", "RCPTMAX=999999");
    let of = |words: &str| Capabilities::from_ehlo(&format!("x\n{words}"));
    let both = of("LIMITS RCPTMAX=10 MAILMAX=5").and(of("LIMITS RCPTMAX=7 RCPTDOMAINMAX=1"));
    assert_eq!(
        both.offered_over().limits.map(|limits| limits.to_string()).as_deref(),
        Some("MAILMAX=5 RCPTMAX=7 RCPTDOMAINMAX=1")
    );
    assert_eq!(of("DSN").limits, None);
    assert_eq!(of("DSN").and(of("LIMITS RCPTMAX=7")), of("LIMITS RCPTMAX=7"));
    assert_eq!(of("DSN").offered_over().limits, Some(Maxima::default()));
}

#[test]
fn what_is_withheld_takes_along_what_needs_it() {
    let all = Capabilities {
        dsn: true,
        chunking: true,
        binary_mime: true,
        require_tls: true,
        ..Capabilities::GATE
    };
    let check = |name: &str, expected: Capabilities| {
        let extension = Extension::by_name(name).expect("a name");
        assert_eq!(all.without(&[extension]), expected, "{name}");
    };
    check("pipelining", Capabilities { pipelining: false, ..all });
    check("ENHANCEDSTATUSCODES", Capabilities { enhanced_status_codes: false, ..all });
    check("8bitmime", Capabilities { eight_bit_mime: false, smtputf8: false, ..all });
    check("smtputf8", Capabilities { smtputf8: false, ..all });
    check("dsn", Capabilities { dsn: false, ..all });
    check("size", Capabilities { size: Size::Absent, ..all });
    check("chunking", Capabilities { chunking: false, binary_mime: false, ..all });
    check("binarymime", Capabilities { binary_mime: false, ..all });
    check("limits", Capabilities { limits: None, ..all });
    check("requiretls", Capabilities { require_tls: false, ..all });
    assert_eq!(Extension::by_name("starttls"), None);
}
