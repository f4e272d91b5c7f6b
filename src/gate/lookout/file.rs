//! What the lookout keeps over a restart: the addresses known to be good, and what is usual. One file, replaced whole.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::policy::guard::{Guard, History, KnownGood, OutageSettings};
use crate::time::Timestamp;

const NAME: &str = "known-good";
/// While it is being written.
const FRESH: &str = "known-good.new";
const MAGIC: &[u8; 16] = b"rcptgate good 1\n";
/// Longest file that is read, in bytes: the largest capacity there is, and some.
const FILE_MAX: u64 = 1 << 30;
/// Bytes of what is usual under one key.
const HISTORY_BYTES: usize = 8 + 3 * 4;

/// What is kept of a guard. Made while it is locked, and written when it is not.
pub(super) struct Kept {
    known: KnownGood,
    histories: Vec<(u64, History)>,
}

impl Kept {
    pub(super) fn of(guard: &Guard) -> Self {
        Self { known: guard.known_good().clone(), histories: guard.histories() }
    }

    /// Writes it beside the old file, and puts it in its place when it is on disk.
    pub(super) fn write(&self, data_dir: &Path) -> io::Result<()> {
        let fresh = data_dir.join(FRESH);
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&self.to_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, data_dir.join(NAME))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let known = self.known.to_bytes();
        let mut bytes = Vec::with_capacity(known.len() + self.histories.len() * HISTORY_BYTES + 64);
        bytes.extend(MAGIC);
        bytes.extend((known.len() as u64).to_le_bytes());
        bytes.extend(&known);
        for (key, History { accepted, accepted_good, refused }) in &self.histories {
            bytes.extend(key.to_le_bytes());
            for weight in [accepted, accepted_good, refused] {
                bytes.extend(weight.to_le_bytes());
            }
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8], settings: &OutageSettings) -> Result<Self, String> {
        let cut = || "it is cut".to_owned();
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or_else(cut)?;
        let (magic, rest) = body.split_first_chunk::<16>().ok_or_else(cut)?;
        if magic != MAGIC {
            return Err("it is of another version".to_owned());
        }
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err("its checksum is wrong".to_owned());
        }
        let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (known, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        let known = KnownGood::from_bytes(known, settings.capacity, settings.known_good_for)
            .map_err(|fault| fault.to_string())?;
        let (rows, []) = rest.as_chunks::<HISTORY_BYTES>() else { return Err(cut()) };
        Ok(Self { known, histories: rows.iter().filter_map(history).collect() })
    }
}

/// A guard that knows what the file holds, and how many addresses' worth of bytes that was; an empty one where there is no file that can be
/// used, and why.
pub(super) fn guard(
    data_dir: &Path,
    settings: &OutageSettings,
    now: Timestamp,
) -> (Guard, Result<(), String>) {
    let fresh = || Guard::new(settings.clone(), seed(now));
    if !settings.enabled {
        return (fresh(), Ok(()));
    }
    let kept = match read(&data_dir.join(NAME)) {
        Ok(Some(bytes)) => Kept::from_bytes(&bytes, settings),
        Ok(None) => return (fresh(), Ok(())),
        Err(error) => Err(error.to_string()),
    };
    match kept {
        Ok(Kept { known, histories }) => {
            let mut guard = Guard::with_known_good(settings.clone(), known);
            guard.remember(histories, now);
            (guard, Ok(()))
        }
        Err(why) => (fresh(), Err(why)),
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn history(row: &[u8; HISTORY_BYTES]) -> Option<(u64, History)> {
    let (key, rest) = row.split_first_chunk::<8>()?;
    let (accepted, rest) = rest.split_first_chunk::<4>()?;
    let (accepted_good, rest) = rest.split_first_chunk::<4>()?;
    let (refused, _) = rest.split_first_chunk::<4>()?;
    let [accepted, accepted_good, refused] =
        [accepted, accepted_good, refused].map(|weight| f32::from_le_bytes(*weight));
    Some((u64::from_le_bytes(*key), History { accepted, accepted_good, refused }))
}

/// What makes the hashes of this installation its own.
fn seed(now: Timestamp) -> u64 {
    let mut seed = [0; 8];
    match getrandom::fill(&mut seed) {
        Ok(()) => u64::from_le_bytes(seed),
        // A machine without randomness still has a time that strangers do not know to the millisecond.
        Err(_) => now.as_millis().unsigned_abs(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::guard::{Observation, Outcome};
    use crate::smtp::address::RecipientKey;

    #[test]
    fn what_is_usual_is_kept_with_who_is_good_and_nothing_damaged_is_taken() {
        let settings = OutageSettings { capacity: 1000, ..OutageSettings::default() };
        let mut guard = Guard::new(settings.clone(), 7);
        let start = Timestamp::from_secs(1_764_000_000);
        for number in 0..200 {
            let address = RecipientKey::parse(&format!("u{number}@a.test")).expect("an address");
            // A window later the first hours have become what is usual.
            let at = start.plus(Duration::from_secs(number * 240));
            let (address, outcome) = (&address, Outcome::Accepted);
            guard.observe(&Observation { address, receiver: None, at, outcome });
        }
        let kept = Kept::of(&guard);
        let [(_, usual)] = kept.histories[..] else { panic!("{:?}", kept.histories) };
        assert!(usual.accepted > 90.0, "{usual:?}");
        let bytes = kept.to_bytes();
        let read = |bytes: &[u8]| Kept::from_bytes(bytes, &settings);
        let back = read(&bytes).expect("read");
        assert!(back.known == kept.known && back.histories == kept.histories);
        for place in [0, 13, 20, 30, bytes.len() / 2, bytes.len() - 20, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert!(read(&damaged).is_err(), "damaged at {place}");
        }
        for length in [0, 3, 16, 40, bytes.len() - 1] {
            assert!(read(&bytes[..length]).is_err(), "cut at {length}");
        }
    }
}
