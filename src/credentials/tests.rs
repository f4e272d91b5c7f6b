use argon2::password_hash::CustomizedPasswordHasher as _;

use super::*;
use crate::smtp::sasl::Secret;

/// Cheap, since many are made.
fn cheap(password: &str) -> String {
    let params = Params::new(8, 1, 1, None).expect("parameters");
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_params(password.as_bytes(), b"salt of a test", params)
        .expect("a hash");
    hash.to_string()
}

fn login(user: &str, password: &str) -> Login {
    Login { user: user.into(), password: Secret::new(password) }
}

#[test]
fn who_is_let_in() {
    let (one, two) = (cheap("pass:word"), cheap("pässword"));
    let file = format!("# ours\n\nann:{one}\r\nbob@x.test:{two}:acme\n");
    let users = Users::parse(file.as_bytes()).expect("users");
    let check = |user: &str, password: &str, expected: Checked| {
        assert_eq!(users.check(&login(user, password)), expected, "{user} {password}");
    };
    check("ann", "pass:word", Checked::Right(None));
    check("bob@x.test", "pässword", Checked::Right(Some(Tenant("acme".into()))));
    check("ann", "pässword", Checked::Wrong);
    check("ann", "", Checked::Wrong);
    check("Ann", "pass:word", Checked::Wrong);
    // The decoy is somebody's hash: knowing that password lets no other name in.
    check("nobody", "pass:word", Checked::Wrong);
    check("nobody", "pässword", Checked::Wrong);
    assert_eq!(Users::parse(b"").expect("none").check(&login("ann", "x")), Checked::Wrong);
}

#[test]
fn an_unknown_name_costs_what_the_dearest_costs() {
    let dear = hash(b"x").expect("a hash");
    let file = format!("ann:{}\nbob:{dear}\ncid:{}\n", cheap("x"), cheap("y"));
    let users = Users::parse(file.as_bytes()).expect("users");
    assert_eq!(users.decoy.to_string(), dear);
    let nobody = Users::parse(b"# nobody\n").expect("none").decoy;
    assert_eq!(price(&nobody), price(&PasswordHash::new(&dear).expect("a hash")));
}

#[test]
fn faults_name_the_line_and_never_the_hash() {
    let good = cheap("x");
    let check = |line: &str, name: &str, part: &str| {
        let file = format!("# one\n{line}\n");
        let faults = Users::parse(file.as_bytes()).expect_err(line);
        let [fault] = faults.as_slice() else { panic!("{faults:?}") };
        assert_eq!((fault.line, fault.text.as_str()), (2, name), "{line}");
        assert!(fault.why.contains(part), "{line}: {}", fault.why);
        assert!(!fault.why.contains("secret"), "{}", fault.why);
    };
    check("secret", "", "expected NAME:HASH");
    check("ann:secret", "ann", "Argon2");
    check("ann:$2b$10$secretsecretsecretsecre", "ann", "Argon2");
    check("ann:$argon2id$v=19$m=8,t=1,p=1", "ann", "Argon2");
    check(
        "ann:$argon2id$v=19$m=524288,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
        "ann",
        "256 MiB",
    );
    check(&format!(":{good}"), "", "1 to 255");
    check(&format!("ann :{good}"), "ann ", "space");
    check(&format!("ann:{good}:two words"), "ann", "letters, digits");
    check(&format!("ann:{good}:a:b"), "ann", "too many");
    let twice = format!("ann:{good}\nann:{good}\n");
    assert_eq!(Users::parse(twice.as_bytes()).expect_err("twice")[0].line, 2);
    assert_eq!(Users::parse(b"\xff:x\n").expect_err("bytes")[0].why, "not UTF-8");
}

#[tokio::test]
async fn a_broken_file_leaves_the_old_users_in_force() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.txt");
    fs::write(&file, format!("ann:{}\n", cheap("x"))).expect("written");
    let users = Credentials::open(&file, 1, Duration::from_secs(60)).expect("users");
    fs::write(&file, "ann:nonsense\n").expect("written");
    assert!(matches!(users.reload(), Err(CredentialsFault::Lines { .. })));
    assert_eq!(users.check(login("ann", "x")).await, Checked::Right(None));
    fs::write(&file, format!("bob:{}\n", cheap("x"))).expect("written");
    assert_eq!(users.reload().expect("users"), 1);
    assert_eq!(users.check(login("ann", "x")).await, Checked::Wrong);
    fs::remove_file(&file).expect("removed");
    assert!(matches!(users.reload(), Err(CredentialsFault::File { .. })));
    assert_eq!(users.check(login("bob", "x")).await, Checked::Right(None));
}

#[tokio::test]
async fn nobody_waits_longer_than_is_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.txt");
    fs::write(&file, format!("ann:{}\n", cheap("x"))).expect("written");
    let users = Credentials::open(&file, 1, Duration::ZERO).expect("users");
    let place = users.shared.places.acquire().await.expect("the only place");
    assert_eq!(users.check(login("ann", "x")).await, Checked::Unavailable);
    drop(place);
    assert_eq!(users.check(login("ann", "x")).await, Checked::Right(None));
}

#[test]
fn whoever_leaves_while_a_password_is_checked_makes_no_room_for_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.txt");
    fs::write(&file, format!("ann:{}\n", cheap("x"))).expect("written");
    let users = Credentials::open(&file, 1, Duration::from_secs(60)).expect("users");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        // The only thread is busy, so the check has begun and cannot end.
        let busy = tokio::task::spawn_blocking(move || wait.recv());
        let left = tokio::time::timeout(Duration::ZERO, users.check(login("ann", "x"))).await;
        assert!(left.is_err(), "{left:?}");
        assert_eq!(users.shared.places.available_permits(), 0);
        go.send(()).expect("somebody waits");
        busy.await.expect("a thread").expect("told");
        assert_eq!(users.check(login("ann", "x")).await, Checked::Right(None));
    });
}
