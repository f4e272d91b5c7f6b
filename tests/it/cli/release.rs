//! What a release says of a few addresses before it does anything.

use super::Home;

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
