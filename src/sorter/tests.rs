use super::*;
use proptest::prelude::*;

fn sorted(limit: usize, runs_max: usize, entries: &[(Vec<u8>, Vec<u8>)]) -> (Vec<Pair>, usize) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut sorter = Sorter { runs_max, ..Sorter::new(dir.path(), limit) };
    for (key, value) in entries {
        sorter.push(key, value).expect("pushed");
    }
    let runs = sorter.runs.len();
    assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0, "no name is left");
    (sorter.sorted().expect("read").map(|pair| pair.expect("read")).collect(), runs)
}

proptest! {
    #[test]
    fn it_sorts_as_a_stable_sort_in_memory_does(
        keys in proptest::collection::vec(proptest::collection::vec(0_u8..4, 0..3), 0..80),
        limit in 0_usize..600,
        runs_max in 2_usize..6,
    ) {
        // The value says when it came.
        let came = |place: usize| place.to_string().into_bytes();
        let entries: Vec<_> =
            keys.into_iter().enumerate().map(|(place, key)| (key, came(place))).collect();
        let mut expected = entries.clone();
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        let (found, runs) = sorted(limit, runs_max, &entries);
        let found: Vec<_> = found.into_iter().map(|pair| (pair.key, pair.value)).collect();
        prop_assert_eq!(found, expected);
        // A few of each level, of which there are as many as the count has digits.
        prop_assert!(runs < runs_max * 7);
    }
}

#[test]
fn memory_keeps_within_its_limit_and_the_rest_goes_to_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut sorter = Sorter::new(dir.path(), 1000);
    for number in 0..500_u32 {
        sorter.push(&number.to_be_bytes(), &[0; 80]).expect("pushed");
        assert!(sorter.chunk.size() <= 1000);
    }
    // Ten entries of a hundred bytes each: four of the key, eighty of the value, sixteen to find them.
    assert_eq!(sorter.chunk.spans.len(), 10);
    // Of fifty chunks the last is in memory and thirty-two are one run.
    assert_eq!(
        sorter.runs.iter().map(|run| run.level).collect::<Vec<_>>(),
        [&[1][..], &[0; 17]].concat()
    );
}

#[test]
fn one_entry_above_the_limit_is_taken_all_the_same() {
    let entries = [(vec![2], vec![0; 5000]), (vec![1], vec![1; 5000])];
    let (found, runs) = sorted(100, 128, &entries);
    assert_eq!(found.iter().map(|pair| pair.key[0]).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((found[0].value.len(), runs), (5000, 1));
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error() {
    let mut sorter = Sorter::new(Path::new("/nonexistent"), 10);
    sorter.push(b"a", b"").expect("in memory");
    assert_eq!(sorter.push(b"b", b"").expect_err("no disk").kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_run_that_was_cut_short_is_an_error_and_no_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut sorter = Sorter::new(dir.path(), 40);
    for key in [b"aaaa", b"bbbb", b"cccc"] {
        sorter.push(key, b"0123456789").expect("pushed");
    }
    let file = &sorter.runs[0].file;
    file.set_len(file.metadata().expect("metadata").len() - 1).expect("cut");
    let error = match sorter.sorted() {
        Ok(mut sorted) => sorted.find_map(Result::err).expect("an error"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}
