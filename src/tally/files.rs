//! One file a day, of JSON lines that are added up. A line that a crash tore is cut off before the next one is written, and never read.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::outcome::Cause;
use crate::time::Timestamp;

/// Longest line that is read, in bytes; names and counts are bounded far below.
const LINE_MAX: u64 = 64 * 1024;
/// Who may read: campaigns and replies are nobody's business.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
/// The first line of a file that has one line a key.
const IN_ORDER: &str = "{\"in_order\":true}\n";

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "nearly all are counts")]
pub(super) enum Line {
    /// So much more of a key.
    Counts { tenant: String, receiver: String, campaign: String, counts: Counts },
    /// A reply of this cause.
    Example { cause: Cause, example: String },
}

/// What is read whole of a day: one line a key.
type Keys = BTreeMap<(String, String, String), Counts>;

/// The folder of all days.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    fn path(&self, day: i64) -> PathBuf {
        self.0.join(format!("{}.jsonl", name_of(day)))
    }

    /// Adds lines to a day. What of them does not get to the disk is lost, and nothing that was there before.
    pub(super) fn append(&self, day: i64, lines: &[Line]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.0)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(self.path(day))?;
        let end = cut_torn(&mut file)?;
        file.seek(SeekFrom::Start(end))?;
        file.write_all(&text(lines)?)
    }

    /// The lines of a day, one by one; how many could not be read. Without a file there are none.
    pub(super) fn read(&self, day: i64, mut each: impl FnMut(Line)) -> io::Result<u64> {
        let file = match File::open(self.path(day)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let (mut input, mut buffer, mut broken) = (BufReader::new(file), Vec::new(), 0);
        loop {
            buffer.clear();
            (&mut input).take(LINE_MAX).read_until(b'\n', &mut buffer)?;
            if buffer.len() as u64 == LINE_MAX && buffer.last() != Some(&b'\n') {
                // No line of ours: what is left of it is as unreadable.
                broken += 1;
                continue;
            }
            if buffer.last() != Some(&b'\n') {
                return Ok(broken);
            }
            match serde_json::from_slice(&buffer) {
                Ok(line) => each(line),
                Err(_) if buffer == IN_ORDER.as_bytes() => {}
                Err(_) => broken += 1,
            }
        }
    }

    /// The days that have a file, in order.
    pub(super) fn days(&self) -> io::Result<Vec<i64>> {
        let files = match fs::read_dir(&self.0) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut days = Vec::new();
        for file in files {
            let name = file?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
            days.extend(name.and_then(day_of));
        }
        days.sort_unstable();
        Ok(days)
    }

    /// Puts what is older than `keep` days away and the other days before `today` in order. A day that is in order already costs one
    /// read of its first line.
    pub(super) fn tidy(&self, today: i64, keep: u32) -> io::Result<()> {
        let mut result = Ok(());
        for day in self.days()?.into_iter().filter(|day| *day < today) {
            let done = match day <= today.saturating_sub(i64::from(keep)) {
                true => fs::remove_file(self.path(day)),
                false => self.compact(day),
            };
            result = result.and(done);
        }
        result
    }

    /// Writes a day anew, one line a key. It is there whole, before or after, whenever the machine stops. One with lines that cannot be read
    /// is left as it is, for whoever wants to mend it.
    fn compact(&self, day: i64) -> io::Result<()> {
        let path = self.path(day);
        let mut first = Vec::new();
        BufReader::new(File::open(&path)?).take(LINE_MAX).read_until(b'\n', &mut first)?;
        if first == IN_ORDER.as_bytes() {
            return Ok(());
        }
        let (mut keys, mut examples) = (Keys::new(), BTreeMap::new());
        let broken = self.read(day, |line| match line {
            Line::Counts { tenant, receiver, campaign, counts } => {
                keys.entry((tenant, receiver, campaign)).or_default().merge(&counts);
            }
            Line::Example { cause, example } => {
                examples.entry(cause).or_insert(example);
            }
        })?;
        if broken > 0 {
            return Ok(());
        }
        let examples =
            examples.into_iter().map(|(cause, example)| Line::Example { cause, example });
        let keys = keys.into_iter().map(|((tenant, receiver, campaign), counts)| Line::Counts {
            tenant,
            receiver,
            campaign,
            counts,
        });
        let lines: Vec<Line> = examples.chain(keys).collect();
        let beside = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&beside)?;
        file.write_all(IN_ORDER.as_bytes())?;
        file.write_all(&text(&lines)?)?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    }
}

fn text(lines: &[Line]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Cuts off what stands behind the last newline; the length that is left.
fn cut_torn(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let whole = end;
    let mut piece = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(piece.len() as u64);
        let length = usize::try_from(end - start).unwrap_or(piece.len());
        let Some(piece) = piece.get_mut(..length) else { break };
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < whole {
        file.set_len(end)?;
    }
    Ok(end)
}

/// A day as its file is named, `2026-11-28`.
pub(super) fn name_of(day: i64) -> String {
    Timestamp::from_secs(day.saturating_mul(86_400)).date()
}

/// The day that a file is of.
fn day_of(name: &str) -> Option<i64> {
    let at: Timestamp = format!("{name}T00:00:00Z").parse().ok()?;
    Some(at.utc_day())
}
