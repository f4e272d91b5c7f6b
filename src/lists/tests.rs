use super::*;

fn set(entries: &[&str]) -> DomainSet {
    entries.iter().collect()
}

fn key(address: &str) -> RecipientKey {
    RecipientKey::parse(address).expect("an address")
}

#[test]
fn a_domain_matches_with_its_sub_domains() {
    let domains = set(&["yopmail.com", "deep.example.org", "example.net", "sub.example.net"]);
    let check = |name: &str, expected: Option<&str>| {
        assert_eq!(domains.contains_suffix(name), expected, "{name}");
    };
    check("yopmail.com", Some("yopmail.com"));
    check("x.yopmail.com", Some("yopmail.com"));
    check("a.b.c.yopmail.com", Some("yopmail.com"));
    check("notyopmail.com", None);
    check("yopmail.com.example", None);
    check("com", None);
    check("", None);
    check(".", None);
    check("example.org", None);
    check("x.deep.example.org", Some("deep.example.org"));
    check("a.sub.example.net", Some("sub.example.net"));
    check("b.example.net", Some("example.net"));
}

#[test]
fn a_public_suffix_is_never_a_parent() {
    let domains = set(&["co.uk", "pp.ua", "ddns.net", "example.co.uk"]);
    let check = |name: &str, expected: Option<&str>| {
        assert_eq!(domains.contains_suffix(name), expected, "{name}");
    };
    check("co.uk", Some("co.uk"));
    check("shop.co.uk", None);
    check("customer.pp.ua", None);
    check("home.ddns.net", None);
    check("x.example.co.uk", Some("example.co.uk"));
}

#[test]
fn the_builtin_list_spares_honest_mail() {
    let disposable = Disposable::embedded();
    let check = |name: &str, expected: Option<&str>| {
        assert_eq!(disposable.contains_suffix(name), expected, "{name}");
    };
    assert!(disposable.builtin().len() > 50_000);
    assert!(disposable.builtin().iter().all(|name| !domains::is_public_suffix(name)));
    check("yopmail.com", Some("yopmail.com"));
    check("x.mailinator.com", Some("mailinator.com"));
    for honest in ["duck.com", "mozmail.com", "relay.firefox.com", "simplelogin.com", "keemail.me"]
    {
        check(honest, None);
    }
    check("anything.33mail.com", None);
    check("pp.ua", None);
    check("shop.za.com", None);
    check("gmail.com", None);
}

#[test]
fn every_line_of_the_embedded_files_is_an_entry() {
    for text in [include_str!("../../config/not-disposable.txt"), TRUSTED] {
        assert_eq!(parse_domains(text.as_bytes()).map(|set| set.is_empty()), Ok(false));
    }
    assert!(Lists::embedded_trusted().contains_suffix("gmail.com").is_some());
}

#[test]
fn the_operator_has_the_last_word() {
    let file = b"more.example\n!yopmail.com\n!fine.more.example\nbad.fine.more.example\n!x.mailinator.com\n";
    let disposable = parse_disposable(file, true).expect("a good list");
    let check = |name: &str, expected: Option<&str>| {
        assert_eq!(disposable.contains_suffix(name), expected, "{name}");
    };
    check("more.example", Some("more.example"));
    check("a.more.example", Some("more.example"));
    check("yopmail.com", None);
    check("x.yopmail.com", None);
    check("fine.more.example", None);
    check("a.fine.more.example", None);
    check("bad.fine.more.example", Some("bad.fine.more.example"));
    check("x.mailinator.com", None);
    check("mailinator.com", Some("mailinator.com"));
    check("guerrillamail.com", Some("guerrillamail.com"));
}

#[test]
fn the_later_of_two_lines_holds_and_the_builtin_list_can_be_left_out() {
    let both = parse_disposable(b"a.example\n!a.example\n!b.example\nb.example\n", false);
    let both = both.expect("a good list");
    assert_eq!(both.contains_suffix("a.example"), None);
    assert_eq!(both.contains_suffix("b.example"), Some("b.example"));
    assert_eq!(both.contains_suffix("yopmail.com"), None);
}

#[test]
fn list_files_are_read_as_people_write_them() {
    let check = |file: &[u8], expected: &[&str]| {
        let set = parse_domains(file).expect("a good list");
        let mut found: Vec<&str> = set.iter().collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(file));
    };
    check(b"", &[]);
    check(b"\n\n  \n# nothing\n", &[]);
    check(b"a.example", &["a.example"]);
    check(b"\xef\xbb\xbfa.example\r\n\r\n# no\r\nB.Example.\r\n", &["a.example", "b.example"]);
    check(b"  a.example \t# why\n#b.example\n", &["a.example"]);
    check("bücher.example\nXN--BCHER-KVA.example".as_bytes(), &["xn--bcher-kva.example"]);
    check(b"under_score.example\n", &["under_score.example"]);
}

#[test]
fn every_fault_is_told_with_its_line() {
    let file = b"good.example\nnot a domain\n\n*.example.com\nuser@example.com\nlabel\n!a.example\n\xff\xfe\n[192.0.2.1]\na..b\n.example.com\n-a.example\n";
    let faults = parse_domains(file).expect_err("a bad list");
    let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [2, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(faults[0].text, "not a domain");
    let faults = parse_disposable(b"!\n! b.example\n!!c.example\n", true).expect_err("a bad list");
    assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [1, 3]);
    let endless = "bad line\n".repeat(5000);
    assert_eq!(parse_domains(endless.as_bytes()).expect_err("a bad list").len(), 1000);
}

#[test]
fn an_allow_list_has_addresses_and_domains() {
    let file =
        b"VIP@Example.com\npartner.example\n\"odd one\"@example.com\na#b@example.com # why\n";
    let allow = parse_addresses(file).expect("a good list");
    assert_eq!(allow.len(), 4);
    let check = |address: &str, expected: bool| {
        assert_eq!(allow.contains(&key(address)), expected, "{address}");
    };
    check("vip@example.com", true);
    check("other@example.com", false);
    check("vip@sub.example.com", false);
    check("anyone@partner.example", true);
    check("anyone@mx.partner.example", true);
    check("a#b@example.com", true);
    let faults = parse_addresses(b"@example.com\na b@example.com\na@\n").expect_err("a bad list");
    assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn allow_beats_disposable() {
    let mut lists = Lists::embedded();
    assert_eq!(lists.listing(&key("a@x.yopmail.com")), (false, Some("yopmail.com")));
    lists.allow = parse_addresses(b"a@x.yopmail.com\n").expect("a good list");
    assert_eq!(lists.listing(&key("a@x.yopmail.com")), (true, None));
    assert_eq!(lists.listing(&key("b@x.yopmail.com")), (false, Some("yopmail.com")));
    assert_eq!(lists.listing(&key("b@example.com")), (false, None));
}

proptest::proptest! {
    /// The set agrees with the rule said plainly.
    #[test]
    fn a_set_matches_what_the_rule_says(
        entries in proptest::collection::vec("((a|b)\\.){0,2}(co\\.uk|com|a\\.b)", 0..6),
        name in "((a|b|x)\\.){0,3}(co\\.uk|com|a\\.b|uk)",
    ) {
        let set: DomainSet = entries.iter().collect();
        let matches = |entry: &&String| {
            let below = name.ends_with(&format!(".{entry}")) && !domains::is_public_suffix(entry);
            **entry == name || below
        };
        let longest = entries.iter().filter(matches).max_by_key(|entry| entry.len());
        proptest::prop_assert_eq!(set.contains_suffix(&name), longest.map(String::as_str));
    }
}
