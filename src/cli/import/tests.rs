use std::fmt::Write as _;

use super::*;
use crate::exchange::column;

fn terms() -> Terms {
    Terms {
        now: Timestamp::from_secs(1_767_225_600),
        source: "old-esp".to_owned(),
        batch: "b1".to_owned(),
        tenant: None,
        act: Act { reason: "move".to_owned(), by: "eve".to_owned() },
        reset: false,
        force_unsubscribes: false,
    }
}

fn batches(text: &str) -> Vec<Result<Vec<Draft>, Failure>> {
    let columns =
        vec![column("address=mail").expect("a column"), column("kind=kind").expect("one")];
    let wanted = Wanted { columns, ..Wanted::default() };
    let reader = Reader::open(text.as_bytes(), &wanted).expect("a form");
    let (terms, policy) = (terms(), Policy::default());
    Batches { reader, terms: &terms, policy: &policy, name: "list.csv" }.take(9).collect()
}

#[test]
fn entries_come_in_batches_and_rows_that_do_nothing_not_at_all() {
    let mut text = "mail,kind\n".to_owned();
    for row in 0..1200 {
        writeln!(text, "u{row}@x.test,{}", if row % 2 == 0 { "hard" } else { "active" })
            .expect("text");
    }
    let drafts: Vec<Vec<Draft>> =
        batches(&text).into_iter().map(|batch| batch.expect("good")).collect();
    assert_eq!(drafts.iter().map(Vec::len).collect::<Vec<_>>(), [512, 88]);
    let last = drafts[1].last().expect("a draft");
    assert_eq!(last.at, terms().now);
    let What::Imported(imported) = &last.what else { panic!("{last:?}") };
    assert_eq!((imported.row, imported.batch.as_str()), (Some(1199), "b1"));
}

#[test]
fn a_file_that_has_changed_since_is_told() {
    let found = batches("mail,kind\na@x.test,hard\nnobody,hard\n");
    let Some(Err(Failure::Data(why))) = found.first() else { panic!("{found:?}") };
    assert!(
        why.starts_with("list.csv: changed while it was read: row 2 (line 3), column mail"),
        "{why}"
    );
}

#[test]
fn an_import_has_a_name_of_its_own_that_is_one_word() {
    let now = Timestamp::from_secs(1_767_225_600);
    let (one, two) = (batch(now).expect("a name"), batch(now).expect("a name"));
    assert!(one.starts_with("20260101T000000Z-") && plain_word(&one).is_ok(), "{one}");
    assert_ne!(one, two);
}
