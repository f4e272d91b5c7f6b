//! How many are released at once, and what is shown before.

use super::{Home, quarantine};

/// The addresses of [`quarantine`], one a line.
fn list(count: usize) -> String {
    (0..count).map(|number| format!("u{number}@example.com\n")).collect()
}

#[test]
fn ten_are_released_unseen_and_a_slice_never() {
    let home = Home::new();
    quarantine(&home, 23);
    let release = |from: usize, to: usize, slice: &[&str]| {
        // Who is on no list is passed over, and is no part of a slice.
        let mut some: String =
            list(to).lines().skip(from).map(|line| format!("{line}\n")).collect();
        if !slice.is_empty() {
            some = format!("clear@example.com\n{some}");
        }
        home.write("some.txt", &some);
        let words = ["release", "--file", "some.txt", "--reason", "r"];
        let end = home.run(&[&words[..], slice].concat());
        assert_eq!(end.code, 0, "{end:?}");
        (end, home.json(&["list"]).len())
    };
    let (end, left) = release(0, 23, &["--slice", "10"]);
    assert_eq!(left, 13, "{end:?}");
    assert!(end.out.contains("10  quarantined long-term  manual"), "{end:?}");
    assert!(end.out.contains("0  did not exist"), "{end:?}");
    assert!(end.err.contains("13 more are on the list"), "{end:?}");
    let (end, left) = release(10, 20, &[]);
    assert_eq!((end.out.lines().count(), left), (10, 3), "{end:?}");
    assert!(!end.out.contains("causes") && !end.out.contains("ok 10 released"), "{end:?}");
    let (end, left) = release(20, 23, &["--slice", "2"]);
    assert_eq!(left, 1, "{end:?}");
    assert!(end.out.contains("causes") && end.err.contains("1 more are on the list"), "{end:?}");
}

#[test]
fn off_the_blacklist_of_a_tenant_without_a_word_of_risk() {
    let home = Home::new();
    let rows = list(12);
    home.write("complaints.txt", &rows);
    let import = ["import", "complaints.txt", "--source", "esp", "--kind", "complaint", "--tenant"];
    home.ok(&[&import[..], &["acme", "--reason", "r", "--trust", "--yes"]].concat());
    let reasons: String = rows.lines().map(|line| format!("{line}, asked by phone\n")).collect();
    // Of another tenant's blacklist there is nobody.
    home.write("each.txt", &reasons);
    let words = ["release", "--from", "blacklist", "--file", "each.txt", "--reason", "r"];
    let told = home.ok(&[&words[..], &["--tenant", "other", "--yes"]].concat());
    assert!(told.contains("12  clear"), "{told}");
    assert!(told.ends_with("ok 0 released, 12 had nothing to be released from\n"), "{told}");
    let words = [&words[..], &["--tenant", "acme"]].concat();
    let end = home.run(&words);
    assert_eq!(end.code, 64, "{end:?}");
    assert!(end.out.contains("12  blacklisted            complaint"), "{end:?}");
    assert!(!end.out.contains("risk"), "{end:?}");
    let told = home.ok(&[&words[..], &["--yes"]].concat());
    assert!(told.ends_with("ok 12 released, 0 had nothing to be released from\n"), "{told}");
}

#[test]
fn a_few_that_a_mailing_cannot_bear_are_not_released_unasked() {
    let home = Home::new();
    home.write("dead.txt", "a@x.test\nb@x.test\n");
    let words = ["import", "dead.txt", "--source", "crm", "--kind", "hard", "--trust"];
    home.ok(&[&words[..], &["--columns", "address=#1", "--reason", "r", "--yes"]].concat());
    let words = ["release", "a@x.test", "b@x.test", "--reason", "r"];
    let end = home.run(&[&words[..], &["--campaign-size", "200"]].concat());
    assert_eq!(end.code, 64, "{end:?}");
    assert!(end.out.contains("1.00 %") && end.err.contains("--yes"), "{end:?}");
    assert_eq!(home.json(&["list"]).len(), 2);
    let end = home.run(&[&words[..], &["--campaign-size", "101", "--slice", "1"]].concat());
    assert!(end.out.contains("below 1 %") && end.out.contains("ok a@x.test"), "{end:?}");
    home.ok(&[&words[..], &["--campaign-size", "2", "--yes"]].concat());
    let told = home.ok(&[&words[..], &["--slice", "1"]].concat());
    assert_eq!(told, "ok none of these is on the list\n");
}

#[test]
fn many_are_released_only_after_their_causes_were_shown() {
    let home = Home::new();
    quarantine(&home, 12);
    let list: String = (0..12).map(|number| format!("u{number}@example.com\n")).collect();
    home.write("all.txt", &list);
    let words = ["release", "--file", "all.txt", "--reason", "an outage"];
    let end = home.run(&words);
    assert_eq!(end.code, 64, "{end:?}");
    assert!(end.out.contains("12  quarantined long-term  manual"), "{end:?}");
    assert!(end.err.contains("nothing was released") && end.err.contains("--yes"), "{end:?}");
    assert_eq!(home.json(&["list"]).len(), 12);
    let done = home.ok(&[&words[..], &["--yes"]].concat());
    assert!(done.ends_with("ok 12 released, 0 had nothing to be released from\n"), "{done}");
    assert_eq!(home.ok(&["list"]), "");
    // From standard input, and again: there is nothing left to do.
    let end = home.feed(&["release", "--file", "-", "--reason", "r", "--yes", "--json"], &list);
    assert_eq!((end.code, end.out.lines().count()), (0, 12), "{end:?}");
    assert!(end.out.lines().all(|line| line.contains(r#""done":false"#)), "{end:?}");
}

#[test]
fn q31_many_are_released_in_slices() {
    let home = Home::new();
    quarantine(&home, 25);
    let list: String = (0..25).map(|number| format!("u{number}@example.com\n")).collect();
    home.write("all.txt", &list);
    let words = ["release", "--file", "all.txt", "--slice", "11", "--campaign-size", "5000"];
    let words = [&words[..], &["--reason", "a new customer's best readers"]].concat();
    let end = home.run(&words);
    assert_eq!(end.code, 64, "{end:?}");
    assert!(end.out.contains("risk") && end.out.contains("0.00 %"), "{end:?}");
    assert_eq!(home.json(&["list"]).len(), 25);
    for left in [14, 3, 0] {
        let end = home.run(&[&words[..], &["--yes"]].concat());
        assert_eq!(end.code, 0, "{end:?}");
        assert_eq!(home.json(&["list"]).len(), left);
        assert_eq!(end.err.contains(&format!("{left} more are on the list")), left > 0, "{end:?}");
    }
}

#[test]
fn q16_off_the_blacklist_each_comes_with_a_reason_of_its_own() {
    let home = Home::new();
    for address in ["a@example.com", "b@example.com"] {
        home.ok(&["blacklist", address, "--tenant", "default", "--reason", "asked"]);
    }
    let words = ["release", "--from", "blacklist", "--reason", "wrote to us"];
    let end = home.run(&[&words[..], &["a@example.com", "b@example.com"]].concat());
    assert_eq!(end.code, 64, "{end:?}");
    assert!(end.err.contains("a reason of its own"), "{end:?}");
    home.write("bare.txt", "a@example.com, on 3 May\nb@example.com\n");
    let end = home.run(&[&words[..], &["--file", "bare.txt"]].concat());
    assert_eq!(end.code, 65, "{end:?}");
    assert!(end.err.contains("bare.txt:2"), "{end:?}");
    assert_eq!(home.json(&["list"]).len(), 2, "all or none");
    home.write("each.txt", "a@example.com, on 3 May\nb@example.com , by phone, ticket 7\n");
    home.ok(&[&words[..], &["--file", "each.txt"]].concat());
    assert_eq!(home.ok(&["list"]), "");
    let story = home.ok(&["explain", "b@example.com"]);
    assert!(story.contains("wrote to us: by phone, ticket 7"), "{story}");
}
