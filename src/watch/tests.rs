use std::os::unix::fs::symlink;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use super::*;

/// Far beyond what any of this takes: a test that hangs says where.
const PATIENCE: Duration = Duration::from_secs(60);

fn watch(file: &Path) -> (Watch, Receiver<Change>) {
    let (tell, told) = channel();
    let watch = Watch::start(vec![file.to_owned()], move |change| _ = tell.send(change));
    (watch.expect("a watch"), told)
}

fn expect_change(told: &Receiver<Change>, file: &Path) {
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Change::Files(vec![file.to_owned()])));
}

#[test]
fn a_file_written_in_place_or_renamed_over_or_removed_is_a_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("list.txt");
    fs::write(&file, "a.example\n").expect("written");
    let (_watch, told) = watch(&file);
    fs::write(&file, "b.example\n").expect("written");
    expect_change(&told, &file);
    let other = folder.path().join("new");
    fs::write(&other, "c.example\n").expect("written");
    fs::rename(&other, &file).expect("renamed");
    expect_change(&told, &file);
    fs::remove_file(&file).expect("removed");
    expect_change(&told, &file);
}

#[test]
fn a_swapped_link_is_a_change() {
    // As Kubernetes mounts a ConfigMap: list.txt -> ..data/list.txt, ..data -> ..version.
    let folder = tempfile::tempdir().expect("a folder");
    for version in ["..1", "..2"] {
        let version_folder = folder.path().join(version);
        fs::create_dir(&version_folder).expect("created");
        fs::write(version_folder.join("list.txt"), version).expect("written");
    }
    let (data, file) = (folder.path().join("..data"), folder.path().join("list.txt"));
    symlink("..1", &data).expect("linked");
    symlink("..data/list.txt", &file).expect("linked");
    let (_watch, told) = watch(&file);
    symlink("..2", folder.path().join("..new")).expect("linked");
    fs::rename(folder.path().join("..new"), &data).expect("renamed");
    expect_change(&told, &file);
    // The watch followed the link: writing where it leads now is seen too.
    fs::write(folder.path().join("..2/list.txt"), "more").expect("written");
    expect_change(&told, &file);
}

#[test]
fn asking_reads_again_without_a_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let (watch, told) = watch(&folder.path().join("none"));
    watch.poke();
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Change::Asked));
}

#[test]
fn a_dropped_watch_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let (watch, told) = watch(&folder.path().join("none"));
    drop(watch);
    assert_eq!(told.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_half_written_file_is_waited_out() {
    let check = |looks: &[u64], before: u64, expected: u64, pauses: usize| {
        let mut script = looks.iter();
        let mut paused = 0;
        let look = || vec![Some(*script.next().expect("no further look"))];
        assert_eq!(settled(look, || paused += 1, &[Some(before)]), [Some(expected)], "{looks:?}");
        assert_eq!(paused, pauses, "{looks:?}");
    };
    check(&[1], 1, 1, 0);
    check(&[2, 2], 1, 2, 1);
    check(&[2, 3, 4, 4], 1, 4, 3);
    check(&[2, 1, 1], 1, 1, 2);
    let mut number = 1;
    let restless = || {
        number += 1;
        vec![Some(number)]
    };
    assert_eq!(settled(restless, || (), &[Some(1)]), [Some(2 + LOOKS_MAX as u64)]);
}

#[test]
fn looking_is_no_change() {
    use notify::event::{CreateKind, ModifyKind};
    assert!(!writes(EventKind::Access(AccessKind::Open(AccessMode::Any))));
    assert!(!writes(EventKind::Access(AccessKind::Close(AccessMode::Read))));
    assert!(writes(EventKind::Access(AccessKind::Close(AccessMode::Write))));
    assert!(writes(EventKind::Modify(ModifyKind::Any)));
    assert!(writes(EventKind::Create(CreateKind::File)));
    assert!(writes(EventKind::Any));
}

#[test]
fn nothing_of_a_watch_is_left_when_it_is_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    // The gate, for one: it waits for its writer when its last holder lets go, and the program ends behind the watch.
    let held = Arc::new(());
    let holder = Arc::clone(&held);
    let watch = Watch::start(vec![folder.path().join("list.txt")], move |_| _ = &holder);
    drop(watch.expect("a watch"));
    assert_eq!(Arc::strong_count(&held), 1);
}
