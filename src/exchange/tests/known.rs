//! What a survey tells of rows that repeat what a gate knows, or each other.

use super::*;

#[test]
fn what_is_so_already_is_told_from_what_is_new() {
    let text = "mail,status\na@x.test,hard\nA@x.test,hard\nb@x.test,hard\nb@x.test,complaint\n\
                c@x.test,active\nc@x.test,active\n";
    let wanted = columns(&["address=mail", "kind=status"]);
    let terms = Terms { reset: true, ..terms() };
    let survey_with = |known: Option<&mut Known<'_>>| {
        let mut reader = Reader::open(text.as_bytes(), &wanted).expect("a form");
        survey(&mut reader, &terms, &Policy::default(), known, |_| {}).expect("read")
    };
    let alone = survey_with(None);
    assert!(!alone.compared);
    assert_eq!(alone.kinds["hard"].becomes["quarantined_long_term"], 3);
    assert_eq!(alone.kinds["hard"].already["quarantined_long_term"], 1);
    assert!(
        alone.kinds["complaint"].already.is_empty() && alone.kinds["active"].already.is_empty()
    );
    let mut asked = 0;
    let mut known = |entries: &[Entry]| {
        asked += entries.len();
        let so = |entry: &Entry| entry.address.as_str() == "b@x.test";
        let comes = |entry| if so(entry) { Comes::Already } else { Comes::New };
        Some(entries.iter().map(comes).collect())
    };
    let compared = survey_with(Some(&mut known));
    assert!(compared.compared);
    assert_eq!(compared.kinds["hard"].already["quarantined_long_term"], 2);
    assert_eq!(compared.kinds["complaint"].already["blacklisted"], 1);
    assert_eq!(asked, 6);
}

#[test]
fn rows_that_end_otherwise_repeat_none() {
    let text = "mail,status,until\na@x.test,soft,2026-02-01\na@x.test,soft,2026-03-01\na@x.test,soft,2026-03-01\n";
    let wanted = columns(&["address=mail", "kind=status", "until=until"]);
    let mut reader = Reader::open(text.as_bytes(), &wanted).expect("a form");
    let report = survey(&mut reader, &terms(), &Policy::default(), None, |_| {}).expect("read");
    assert_eq!(report.kinds["soft"].already["quarantined"], 1);
}

/// A gate that cannot say any more takes its words back, and no row is lost.
#[test]
fn half_a_comparison_is_none() {
    let rows: String = (0..600).map(|row| format!("a{}@x.test,hard\n", row / 2)).collect();
    let text = format!("mail,status\n{rows}");
    let wanted = columns(&["address=mail", "kind=status"]);
    let survey_with = |known: &mut Known<'_>| {
        let mut reader = Reader::open(text.as_bytes(), &wanted).expect("a form");
        survey(&mut reader, &terms(), &Policy::default(), Some(known), |_| {}).expect("read")
    };
    for known in [Comes::Already, Comes::Added, Comes::Answered] {
        let mut asked = 0;
        let report = survey_with(&mut |entries| {
            asked += 1;
            (asked == 1).then(|| vec![known; entries.len()])
        });
        assert_eq!((report.compared, report.entries, asked), (false, 600, 2));
        let of = &report.kinds["hard"];
        assert_eq!(of.already["quarantined_long_term"], 300, "{known:?}");
        assert!(of.added.is_empty() && of.answered.is_empty(), "{of:?}");
    }
    // A row that does nothing is none that a later one repeats.
    let mut answers = [Comes::Answered, Comes::New].into_iter().cycle();
    let mut told = |entries: &[Entry]| Some(answers.by_ref().take(entries.len()).collect());
    let report = survey_with(&mut told);
    let of = &report.kinds["hard"];
    assert!(report.compared && of.already.is_empty(), "{of:?}");
    assert_eq!(of.answered["quarantined_long_term"], 300);
    // Added once, it is so.
    let mut told = |entries: &[Entry]| Some(vec![Comes::Added; entries.len()]);
    let of = &survey_with(&mut told).kinds["hard"];
    assert_eq!(
        (of.added["quarantined_long_term"], of.already["quarantined_long_term"]),
        (300, 300)
    );
}
