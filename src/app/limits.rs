//! File descriptors: each session takes two, one for each peer.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for everything but sessions: journal, index, lists, the admin API, goodbyes to the next hop.
const RESERVE: u64 = 128;
/// What a session takes.
const EACH: u64 = 2;

/// Raises the soft limit on open files to the hard one, and returns it; `None` is no limit.
pub fn raise_descriptors() -> Option<u64> {
    let now = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: now.maximum, maximum: now.maximum };
    // If it fails, the soft limit stays what it was.
    let _ = setrlimit(Resource::Nofile, wanted);
    getrlimit(Resource::Nofile).current
}

/// How many connections each listener may have with so many descriptors, when it wants so many; all of them keep their share.
/// Without this a full house would leave none for the journal, the next hop and `/ready`: learning and mail would stop instead
/// of the surplus client hearing 421.
pub fn affordable(wanted: &[usize], descriptors: Option<u64>) -> Vec<usize> {
    let all: u64 = wanted.iter().map(|count| *count as u64).sum();
    let Some(descriptors) = descriptors else { return wanted.to_vec() };
    let room = descriptors.saturating_sub(RESERVE.min(descriptors / 2)) / EACH;
    let share = |count: u64| match all {
        0 => count,
        _ if all <= room => count,
        _ => (u128::from(count) * u128::from(room) / u128::from(all)).try_into().unwrap_or(count),
    };
    wanted
        .iter()
        .map(|count| usize::try_from(share(*count as u64)).unwrap_or(*count).max(1.min(*count)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_leave_descriptors_for_the_rest() {
        let check = |wanted: &[usize], descriptors: Option<u64>, expected: &[usize]| {
            assert_eq!(affordable(wanted, descriptors), expected, "{wanted:?} of {descriptors:?}");
        };
        check(&[1000], None, &[1000]);
        check(&[1000], Some(1_048_576), &[1000]);
        check(&[1000], Some(2128), &[1000]);
        check(&[1000], Some(1024), &[448]);
        check(&[1000], Some(64), &[16]);
        check(&[1000, 3000], Some(1024), &[112, 336]);
        check(&[1000, 1], Some(1024), &[447, 1]);
        check(&[0, 1000], Some(1024), &[0, 448]);
        check(&[usize::MAX], Some(1024), &[448]);
        check(&[], Some(1024), &[]);
    }
}
