//! What becomes of a row: its dates, the terms of the import, its columns.

use super::*;

/// The first row's entry, as it goes into the journal.
fn first(text: &str, wanted: &Wanted, terms: &Terms) -> crate::event::Imported {
    let mut reader = Reader::open(text.as_bytes(), wanted).expect("a form");
    match reader.outcome(terms, &Policy::default()) {
        Ok(Some(Ok(Outcome::Entry(entry)))) => entry.imported,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_end_is_over_when_it_comes_and_a_date_may_lie_a_day_ahead() {
    let wanted = columns(&["address=mail", "kind=status", "at=date", "until=until"]);
    let text = "mail,status,date,until\n\
                a@x.test,hard,2025-12-01,2026-01-01T00:00:00Z\n\
                b@x.test,hard,2025-12-01,2026-01-01T00:00:00.001Z\n\
                c@x.test,hard,2026-01-02T00:00:00Z,\n\
                d@x.test,hard,2026-01-02T00:00:00.001Z,\n";
    let told = read_with(text.as_bytes(), &wanted, &terms()).expect("a form");
    assert_eq!(told[0], "a@x.test over_already");
    assert!(told[1].ends_with(" quarantined"), "{}", told[1]);
    // What lies ahead counts as of now.
    assert_eq!(told[2], "c@x.test hard 2026-01-01T00:00:00Z shop [] quarantined_long_term");
    assert!(told[3].ends_with("lies in the future"), "{}", told[3]);
}

#[test]
fn an_entry_says_on_what_terms_it_came() {
    let wanted = || columns(&["address=mail", "kind=status", "reason=why"]);
    let text = "mail,status,why\na@x.test,hard,no\n";
    for again in [false, true] {
        let entry = first(text, &wanted(), &Terms { again, ..terms() });
        assert_eq!((entry.again, entry.forced), (again, false));
    }
    // Only an unsubscribe can be forced.
    for (text, forced) in [(text, false), ("mail,status,why\na@x.test,unsubscribed,\n", true)] {
        let terms = Terms { force_unsubscribes: true, ..terms() };
        assert_eq!(first(text, &wanted(), &terms).forced, forced, "{text}");
    }
    let long = format!("mail,status,why\na@x.test,hard,{}\n", "\u{20ac}".repeat(300));
    let detail = first(&long, &wanted(), &terms()).detail;
    assert_eq!(detail, "\u{20ac}".repeat(166), "no letter is cut");
    // The guard is taken off where this program put it, and nowhere else.
    let own = "address,kind,at,until,tenant,category,reason\na@x.test,hard,,,,,'=1+1\n";
    assert_eq!(first(own, &Wanted::default(), &terms()).detail, "=1+1");
    let other = "mail,status,why\na@x.test,hard,'=1+1\n";
    assert_eq!(first(other, &wanted(), &terms()).detail, "'=1+1");
}

#[test]
fn a_column_is_found_by_its_name_before_its_number() {
    let names = ["#2", "Mail", "why"].map(str::to_owned);
    let place = |wanted: &str| super::mapping::position(&names, wanted);
    assert_eq!(["#2", "mail", "#1", "#3"].map(place), [Some(0), Some(1), Some(0), Some(2)]);
    assert_eq!(["#0", "#4", "#", "#x", "reason"].map(place), [None; 5]);
}
