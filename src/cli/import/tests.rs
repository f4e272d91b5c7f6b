use super::rows::Body;
use super::*;
use crate::event::Act;
use crate::exchange::column;

fn terms() -> Terms {
    Terms {
        now: Timestamp::from_secs(1_767_225_600),
        source: "old-esp".to_owned(),
        batch: "b1".to_owned(),
        tenant: None,
        act: Act { reason: "move".to_owned(), by: "eve".to_owned() },
        reset: false,
        again: false,
        force_unsubscribes: false,
    }
}

/// The rows of a file that read as `before` does when it was looked at.
fn rows(text: &str, before: &str) -> Vec<Result<ImportRow, Failure>> {
    let columns =
        vec![column("address=mail").expect("a column"), column("kind=kind").expect("one")];
    let wanted = Wanted { columns, ..Wanted::default() };
    let (terms, policy) = (terms(), Policy::default());
    let (mut summed, sum) = Summed::new(before.as_bytes());
    io::copy(&mut summed, &mut io::sink()).expect("bytes");
    let (summed, now) = Summed::new(text.as_bytes());
    let reader = Reader::open(summed, &wanted).expect("a form");
    let sums = (now, sum.value());
    Rows { reader, terms: &terms, policy: &policy, name: "list.csv", sums, over: false }
        .take(9)
        .collect()
}

#[test]
fn rows_that_do_nothing_are_left_out() {
    let text = "mail,kind\na@x.test,hard\nb@x.test,active\nc@x.test,soft\n";
    let rows: Vec<ImportRow> = rows(text, text).into_iter().map(|row| row.expect("good")).collect();
    assert_eq!(rows.iter().map(|row| row.row).collect::<Vec<_>>(), [Some(1), Some(3)]);
    assert_eq!((rows[1].address.as_str(), rows[1].kind), ("c@x.test", ImportKind::Soft));
}

#[test]
fn a_file_that_has_changed_since_is_told_and_ends_there() {
    let told = |text: &str, before: &str, entries: usize, part: &str| {
        let found = rows(text, before);
        assert_eq!(found.len(), entries + 1, "{found:?}");
        let Some(Err(Failure::Data(why))) = found.last() else { panic!("{found:?}") };
        assert!(why.starts_with("list.csv: changed while it was read, so nothing was"), "{why}");
        assert!(why.contains(part), "{why}");
    };
    let good = "mail,kind\na@x.test,hard\nb@x.test,hard\n";
    told("mail,kind\na@x.test,hard\nnobody,hard\n", good, 1, "row 2 (line 3), column mail");
    // As many rows, and as many bytes.
    told("mail,kind\na@x.test,hard\nc@x.test,hard\n", good, 2, "other bytes than before");
    told("mail,kind\na@x.test,hard\n", good, 1, "other bytes than before");
}

#[test]
fn a_body_is_a_head_and_lines_and_breaks_off_at_a_failure() {
    let good = "mail,kind\na@x.test,hard\nb@x.test,hard\n";
    let head = head(&terms(), 2);
    let mut text = String::new();
    let mut body = Body::new(&head, rows(good, good).into_iter(), |_| {}).expect("a body");
    body.read_to_string(&mut text).expect("whole");
    assert_eq!(text.lines().count(), 3);
    assert_eq!(
        serde_json::from_str::<ImportHead>(text.lines().next().expect("one")).ok(),
        Some(head.clone())
    );
    let changed = "mail,kind\na@x.test,hard\nc@x.test,hard\n";
    let mut body = Body::new(&head, rows(changed, good).into_iter(), |_| {}).expect("a body");
    for _ in 0..2 {
        assert!(body.read_to_string(&mut text).is_err());
    }
    assert!(matches!(body.failure, Some(Failure::Data(_))));
}

#[test]
fn an_import_has_a_name_of_its_own_that_is_one_word() {
    let now = Timestamp::from_secs(1_767_225_600);
    let (one, two) = (batch(now).expect("a name"), batch(now).expect("a name"));
    assert!(one.starts_with("20260101T000000Z-") && plain_word(&one).is_ok(), "{one}");
    assert_ne!(one, two);
}

#[test]
fn a_gate_that_cannot_say_is_told_and_ends_nothing() {
    let mut said = Vec::new();
    let found: Result<(), _> = Err(Failure::Unavailable("the admin API\u{1b}".to_owned()));
    assert_eq!(known::or_say(found, &mut said), None);
    let words = "rcptgate: what is so already was not looked up: the admin API\\u{1b}\n";
    assert_eq!(String::from_utf8(said).expect("text"), words);
    let mut said = Vec::new();
    assert_eq!((known::or_say(Ok(1), &mut said), said.len()), (Some(1), 0));
}
