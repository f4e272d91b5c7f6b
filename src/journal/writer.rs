//! The one writer: stages lines, then commits them with one write and one sync.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufReader, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::segment::{self, Line};
use super::{Entry, JournalError, LINE_MAX, Position, Said, io_error};

/// Modes of what is made here: it holds other people's addresses.
const FOLDER_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;

/// Appends to the journal.
///
/// After a failed commit nothing more is taken until [`Writer::recover`] has cut the segment back to what was acknowledged: a failed
/// sync may leave lines that the kernel believes are on disk and are not, so they are written again, never synced again.
pub struct Writer {
    dir: PathBuf,
    segment_bytes: u64,
    segment: u32,
    file: File,
    /// Bytes of the segment that are on disk for certain.
    len: u64,
    /// The last entry on disk.
    last_seq: u64,
    last_position: Option<Position>,
    staged: Vec<u8>,
    staged_seq: u64,
    staged_position: Option<Position>,
    paused: bool,
    #[cfg(test)]
    fault: Fault,
}

/// A torn last line that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub path: PathBuf,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
    /// Where they are kept.
    pub kept: PathBuf,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, kept) = (self.path.display(), self.kept.display());
        write!(f, "{} bytes behind byte {} of {path}, kept in {kept}", self.bytes, self.offset)
    }
}

impl Writer {
    /// Opens the journal in `dir`, making it if need be, and cuts off a torn last line. Checks every line of the last segment.
    ///
    /// A new segment is begun when the current one has `segment_bytes` or more.
    ///
    /// # Errors
    /// When a line of the last segment other than its last one is broken, when a segment is missing, or the file system fails.
    pub fn open(dir: &Path, segment_bytes: u64) -> Result<(Self, Option<Torn>), JournalError> {
        let mut folder = DirBuilder::new();
        folder.recursive(true).mode(FOLDER_MODE).create(dir).map_err(io_error(dir))?;
        if let Some(parent) = dir.parent() {
            segment::sync_dir(parent)?;
        }
        let mut numbers = segment::list(dir)?;
        let segment = numbers.pop().unwrap_or(1);
        let exists = segment::path(dir, segment).exists();
        let mut scan = if exists { scan(dir, segment)? } else { Scan::default() };
        let torn = scan.torn.take().map(|why| cut(dir, segment, scan.len, &why)).transpose()?;
        let len = scan.len;
        // Segments made just before a crash may be empty: the last entry is in one before.
        while scan.last.is_none()
            && let Some(number) = numbers.pop()
        {
            scan = self::scan(dir, number)?;
            if let Some(why) = scan.torn {
                return Err(segment::broken(segment::path(dir, number), scan.len, why));
            }
        }
        let (last_seq, last_position) = scan.last.map_or((0, None), |(seq, at)| (seq, Some(at)));
        let writer = Self {
            dir: dir.to_owned(),
            segment_bytes,
            segment,
            file: append_to(dir, segment)?,
            len,
            last_seq,
            last_position,
            staged: Vec::new(),
            staged_seq: last_seq,
            staged_position: last_position,
            paused: false,
            #[cfg(test)]
            fault: Fault::default(),
        };
        Ok((writer, torn))
    }

    /// The sequence and place of the last entry on disk.
    pub fn last(&self) -> Option<(u64, Position)> {
        self.last_position.map(|position| (self.last_seq, position))
    }

    /// Adds an event or an order to the next commit and says which sequence and place it will have.
    ///
    /// # Errors
    /// [`JournalError::Unwritable`] concerns this event alone, every other error all that is staged.
    pub fn stage(
        &mut self,
        said: &(impl Clone + Into<Said>),
    ) -> Result<(u64, Position), JournalError> {
        if self.paused {
            return Err(JournalError::Paused);
        }
        if self.staged.is_empty() && self.len >= self.segment_bytes {
            self.roll()?;
        }
        let entry = Entry { seq: self.staged_seq + 1, said: said.clone().into() };
        let line = encode(&entry)?;
        let staged = u64::try_from(self.staged.len()).unwrap_or(u64::MAX);
        let position = Position { segment: self.segment, offset: self.len + staged };
        self.staged.extend_from_slice(&line);
        self.staged_seq = entry.seq;
        self.staged_position = Some(position);
        Ok((entry.seq, position))
    }

    /// Puts all that is staged on disk: one write, one sync. On failure nothing of it counts as written.
    ///
    /// # Errors
    /// When the file system fails; see the type's own words for what follows.
    pub fn commit(&mut self) -> Result<(), JournalError> {
        if self.paused {
            return Err(JournalError::Paused);
        }
        let written = self.put();
        let staged = u64::try_from(self.staged.len()).unwrap_or(u64::MAX);
        self.staged.clear();
        match written {
            Ok(()) => {
                self.len += staged;
                self.last_seq = self.staged_seq;
                self.last_position = self.staged_position;
                Ok(())
            }
            Err(source) => {
                self.paused = true;
                Err(JournalError::Io { path: segment::path(&self.dir, self.segment), source })
            }
        }
    }

    /// After a failure: opens the segment afresh and cuts it back to what was acknowledged.
    ///
    /// # Errors
    /// When that fails too, or acknowledged bytes are gone; the writer stays paused.
    pub fn recover(&mut self) -> Result<(), JournalError> {
        self.paused = true;
        self.staged.clear();
        self.staged_seq = self.last_seq;
        self.staged_position = self.last_position;
        #[cfg(test)]
        self.fault.check().map_err(io_error(&self.dir))?;
        let path = segment::path(&self.dir, self.segment);
        let file = append_to(&self.dir, self.segment)?;
        let found = file.metadata().map_err(io_error(&path))?.len();
        if found < self.len {
            let why = format!("{} bytes where {} were acknowledged", found, self.len);
            return Err(segment::broken(path, found, why));
        }
        file.set_len(self.len).and_then(|()| file.sync_all()).map_err(io_error(&path))?;
        self.file = file;
        self.paused = false;
        Ok(())
    }

    fn put(&mut self) -> std::io::Result<()> {
        #[cfg(test)]
        if let Err(full) = self.fault.check() {
            // A full disk takes what it has room for.
            let half = self.staged.len() / 2;
            self.file.write_all(&self.staged[..half])?;
            return Err(full);
        }
        self.file.write_all(&self.staged)?;
        self.file.sync_data()
    }

    fn roll(&mut self) -> Result<(), JournalError> {
        let next = self.segment + 1;
        self.file = append_to(&self.dir, next)?;
        self.segment = next;
        self.len = 0;
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }
}

/// Opens a segment for appending, making it, durably, if need be.
fn append_to(dir: &Path, number: u32) -> Result<File, JournalError> {
    let path = segment::path(dir, number);
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(FILE_MODE).open(&path);
    let file = file.map_err(io_error(&path))?;
    segment::sync_dir(dir)?;
    Ok(file)
}

/// The line of an entry, newline included, known to read back as the same entry.
fn encode(entry: &Entry) -> Result<Vec<u8>, JournalError> {
    let unwritable = |why: String| JournalError::Unwritable { id: entry.said.id().to_owned(), why };
    let mut line = serde_json::to_vec(entry).map_err(|fault| unwritable(fault.to_string()))?;
    line.push(b'\n');
    if line.len() > LINE_MAX {
        return Err(unwritable(format!("{} bytes, at most {LINE_MAX} are allowed", line.len())));
    }
    // A line that did not read back would stop the gate at its next start, so it is refused now, when only one event is at stake.
    match segment::parse(&line, 0) {
        Ok(read) if read == *entry => Ok(line),
        Ok(_) => Err(unwritable("it would read back as another event".to_owned())),
        Err(why) => Err(unwritable(why)),
    }
}

/// What a segment holds.
#[derive(Default)]
struct Scan {
    last: Option<(u64, Position)>,
    /// Bytes of good lines.
    len: u64,
    /// What is wrong with the bytes behind them, if there are any.
    torn: Option<String>,
}

/// Reads a segment to its end. Only what nothing follows may be torn.
fn scan(dir: &Path, number: u32) -> Result<Scan, JournalError> {
    let path = segment::path(dir, number);
    let mut input = BufReader::new(File::open(&path).map_err(io_error(&path))?);
    let mut scan = Scan::default();
    let mut buffer = Vec::new();
    loop {
        let line = segment::read_line(&mut input, &mut buffer).map_err(io_error(&path))?;
        if let Some(why) = scan.torn.take() {
            if matches!(line, Line::End) {
                scan.torn = Some(why);
                return Ok(scan);
            }
            return Err(segment::broken(path, scan.len, why));
        }
        let after = scan.last.map_or(0, |(seq, _)| seq);
        match line {
            Line::End => return Ok(scan),
            Line::Unterminated => scan.torn = Some("the line does not end".to_owned()),
            Line::Whole => match segment::parse(&buffer, after) {
                Ok(entry) => {
                    scan.last = Some((entry.seq, Position { segment: number, offset: scan.len }));
                    scan.len += u64::try_from(buffer.len()).unwrap_or(u64::MAX);
                }
                Err(why) => scan.torn = Some(why),
            },
        }
    }
}

/// Cuts a torn line off, after keeping its bytes in a file of their own.
fn cut(dir: &Path, number: u32, offset: u64, why: &str) -> Result<Torn, JournalError> {
    let path = segment::path(dir, number);
    let all = fs::read(&path).map_err(io_error(&path))?;
    let torn = all.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
    let kept = dir.join(format!("{number:010}.torn-at-{offset}"));
    fs::write(&kept, torn).map_err(io_error(&kept))?;
    let file = OpenOptions::new().write(true).open(&path).map_err(io_error(&path))?;
    file.set_len(offset).and_then(|()| file.sync_all()).map_err(io_error(&path))?;
    let bytes = u64::try_from(torn.len()).unwrap_or(u64::MAX);
    tracing::warn!(
        event = "store",
        result = "torn_line_cut",
        file = %path.display(),
        offset,
        bytes,
        kept = %kept.display(),
        error = why,
    );
    Ok(Torn { path, offset, bytes, kept })
}

/// Makes the disk full, for tests.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub(crate) struct Fault(std::sync::Arc<std::sync::atomic::AtomicBool>);

#[cfg(test)]
impl Fault {
    pub(crate) fn set(&self, full: bool) {
        self.0.store(full, std::sync::atomic::Ordering::SeqCst);
    }

    pub(crate) fn check(&self) -> std::io::Result<()> {
        if self.0.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}
