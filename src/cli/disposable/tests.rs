use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// A folder with a configuration and a disposable list.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(list: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = "[downstream]\nhosts = [\"mx.example\"]\n";
        fs::write(folder.path().join("rcptgate.toml"), config).expect("written");
        let this = Self(folder);
        fs::write(this.file(), list).expect("written");
        this
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("disposable-domains.txt")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("the list")
    }

    fn run(&self, command: &Command) -> (Result<u8, u8>, String) {
        let mut out = Vec::new();
        let outcome = run(Some(&self.0.path().join("rcptgate.toml")), command, &mut out);
        (outcome.map_err(|failure| failure.code()), String::from_utf8(out).expect("text"))
    }

    fn add(&self, domain: &str) -> (Result<u8, u8>, String) {
        self.run(&Command::Add { domain: domain.to_owned() })
    }

    fn remove(&self, domain: &str) -> (Result<u8, u8>, String) {
        self.run(&Command::Remove { domain: domain.to_owned() })
    }

    fn test(&self, domain: &str) -> (Result<u8, u8>, String) {
        self.run(&Command::Test { domain: domain.to_owned(), json: false })
    }
}

#[test]
fn adding_and_removing_edits_the_list() {
    // (list before, command, domain, list after)
    let check = |before: &str, adds: bool, domain: &str, after: &str| {
        let folder = Folder::new(before);
        let (code, out) = if adds { folder.add(domain) } else { folder.remove(domain) };
        assert_eq!(code, Ok(0), "{out}");
        assert_eq!(folder.text(), after, "{adds} {domain}: {out}");
        let disposable = if adds { Ok(0) } else { Ok(1) };
        assert_eq!(folder.test(domain).0, disposable, "{adds} {domain}");
    };
    check("", true, "X.Example", "x.example\n");
    check("# why\na.example", true, "x.example", "# why\na.example\nx.example\n");
    check("a.example\r\n", true, "x.example", "a.example\r\nx.example\r\n");
    check("\u{feff}", true, "bücher.example", "\u{feff}xn--bcher-kva.example\n");
    check("a.example\n", true, "a.example", "a.example\n");
    check("a.example\n", true, "x.a.example", "a.example\n");
    check("", true, "x.yopmail.com", "");
    check("!yopmail.com # ours\n# end\n", true, "yopmail.com", "# end\n");
    check("!a.example\n", true, "a.example", "a.example\n");
    check("!a.example\n", true, "x.a.example", "!a.example\nx.a.example\n");
    check("", true, "co.uk", "co.uk\n");

    check("# top\na.example # why\nb.example\n", false, "a.example", "# top\nb.example\n");
    check("\u{feff}a.example\nA.example.\n", false, "a.example", "\u{feff}");
    check("", false, "yopmail.com", "!yopmail.com\n");
    check("yopmail.com\n", false, "yopmail.com", "!yopmail.com\n");
    check("", false, "x.yopmail.com", "!x.yopmail.com\n");
    check("a.example", false, "x.a.example", "a.example\n!x.a.example\n");
    check("a.example\n", false, "b.example", "a.example\n");
}

#[test]
fn what_is_no_domain_changes_nothing() {
    let folder = Folder::new("a.example\n");
    for bad in ["", "no domain", "user@example.com", "*.example.com", "!a.example", "label"] {
        assert_eq!(folder.add(bad).0, Err(65), "{bad}");
        assert_eq!(folder.remove(bad).0, Err(65), "{bad}");
        assert_eq!(folder.test(bad).0, Err(65), "{bad}");
    }
    assert_eq!(folder.text(), "a.example\n");
}

#[test]
fn a_list_with_faults_is_not_touched() {
    let folder = Folder::new("a.example\nno domain\n");
    assert_eq!(folder.add("b.example").0, Err(78));
    assert_eq!(folder.text(), "a.example\nno domain\n");
}

#[test]
fn test_says_which_entry_decides() {
    let folder = Folder::new("a.example\n!yopmail.com\n");
    let file = folder.file();
    let check = |domain: &str, code: u8, expected: String| {
        assert_eq!(folder.test(domain), (Ok(code), expected + "\n"));
    };
    check("x.a.example", 0, format!("x.a.example: disposable, by a.example ({})", file.display()));
    check("mailinator.com", 0, "mailinator.com: disposable, by mailinator.com (builtin)".into());
    check(
        "x.yopmail.com",
        1,
        format!("x.yopmail.com: not disposable, by !yopmail.com ({})", file.display()),
    );
    check("example.com", 1, "example.com: not disposable".into());
    let (code, out) = folder.run(&Command::Test { domain: "x.mailinator.com".into(), json: true });
    let answer = r#"{"domain":"x.mailinator.com","disposable":true,"entry":"mailinator.com","list":"builtin"}"#;
    assert_eq!((code, out.trim_end()), (Ok(0), answer));
}

#[test]
fn list_prints_the_operators_entries() {
    let folder = Folder::new("b.example\n# no\n!yopmail.com\na.example\n");
    let list = |all, json| folder.run(&Command::List { all, json }).1;
    assert_eq!(list(false, false), "a.example\nb.example\n!yopmail.com\n");
    assert!(list(true, false).lines().count() > 50_000);
    let line = r#"{"domain":"a.example","removes":false,"list":"file"}"#;
    assert_eq!(list(false, true).lines().next(), Some(line));
}

#[test]
fn the_file_keeps_its_permissions_and_its_link() {
    let folder = Folder::new("a.example\n");
    let real = folder.0.path().join("real.txt");
    fs::rename(folder.file(), &real).expect("renamed");
    symlink("real.txt", folder.file()).expect("linked");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("set");
    assert_eq!(folder.add("b.example").0, Ok(0));
    assert!(fs::symlink_metadata(folder.file()).expect("there").is_symlink());
    assert_eq!(fs::read_to_string(&real).expect("text"), "a.example\nb.example\n");
    assert_eq!(fs::metadata(&real).expect("there").permissions().mode() & 0o777, 0o640);
    // Nothing is left over.
    assert_eq!(fs::read_dir(folder.0.path()).expect("a folder").count(), 3);
}

#[test]
fn a_list_that_is_not_there_is_made() {
    let folder = Folder::new("");
    fs::remove_file(folder.file()).expect("removed");
    assert_eq!(folder.test("a.example").0, Ok(1));
    assert!(!folder.file().exists());
    assert_eq!(folder.add("a.example").0, Ok(0));
    assert_eq!(folder.text(), "a.example\n");
}
