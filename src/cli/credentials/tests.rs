use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::credentials::Checked;
use crate::smtp::sasl::{Login, Secret};

fn add_to(file: &Path, name: &str, tenant: Option<&str>, password: &str) -> String {
    let line = Line::new(name, tenant).expect("a line");
    let mut out = Vec::new();
    add(file, &line, password.as_bytes(), &mut out).expect("added");
    String::from_utf8(out).expect("text")
}

fn let_in(file: &Path, user: &str, password: &str) -> bool {
    let users = Users::parse(&fs::read(file).expect("the file")).expect("users");
    let login = Login { user: user.into(), password: Secret::new(password) };
    matches!(users.check(&login), Checked::Right(_))
}

#[test]
fn adding_and_removing_users() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.txt");
    assert!(add_to(&file, "ann", None, "one").starts_with("ann may log in: "));
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&file).expect("the file");
    assert!(!text.contains("one"), "{text}");
    fs::write(&file, format!("# ours\n{}", text.trim_end())).expect("written");
    add_to(&file, "bob", Some("acme"), "two");
    assert!(let_in(&file, "ann", "one") && let_in(&file, "bob", "two"));
    assert!(add_to(&file, "ann", None, "three").starts_with("ann has a new password: "));
    assert!(!let_in(&file, "ann", "one") && let_in(&file, "ann", "three"));
    let text = fs::read_to_string(&file).expect("the file");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0] == "# ours" && lines[1].starts_with("ann:$argon2id$"), "{text}");
    assert!(lines[2].starts_with("bob:") && lines[2].ends_with(":acme"), "{text}");
    remove(&file, "ann", &mut Vec::new()).expect("removed");
    assert!(!let_in(&file, "ann", "three") && let_in(&file, "bob", "two"));
    assert_eq!(remove(&file, "ann", &mut Vec::new()).expect_err("gone").code(), 65);
}

#[test]
fn a_file_with_faults_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.txt");
    fs::write(&file, "ann:nonsense\n").expect("written");
    let line = Line::new("bob", None).expect("a line");
    let failure = add(&file, &line, b"x", &mut Vec::new()).expect_err("refused");
    assert_eq!(failure.code(), 78);
    assert_eq!(fs::read_to_string(&file).expect("the file"), "ann:nonsense\n");
}

#[test]
fn what_is_no_name_no_tenant_and_no_password() {
    for name in ["", "a:b", "#a", " a", "a\nb"] {
        assert!(Line::new(name, None).is_err(), "{name:?}");
    }
    assert!(Line::new("ann", Some("two words")).is_err());
    let read = |text: &[u8]| password_of(&mut &*text).map(|line| line.to_vec()).ok();
    assert_eq!(read(b"se cret\r\nmore\n"), Some(b"se cret".to_vec()));
    assert_eq!(read(b"last"), Some(b"last".to_vec()));
    assert_eq!(read(b"\n"), None);
    assert_eq!(read(b"a\0b\n"), None);
    assert_eq!(read(&[b'x'; 1025]), None);
}
