//! Sorting more than memory should hold: what does not fit goes to disk in sorted runs, which are merged when they are read.
//!
//! The index is a tree on disk. Filled in the order of its keys it grows at its edge, and every page is written once; filled in any other
//! order each entry touches a page of its own, which for millions of addresses is not in memory. So whatever puts very many addresses into
//! it goes through here first: a build from the journal, an import.
//!
//! The runs are files without a name: they go with the process, however that ends.

mod merge;

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};
use std::path::{Path, PathBuf};

pub use merge::Sorted;

/// Most runs of about one length: a file each. So many are merged into one that is longer, so a byte is written a few times at most however
/// much comes in, and few files are open.
const RUNS_MAX: usize = 32;
/// What a run is written with.
const WRITE_BYTES: usize = 1 << 20;

/// Takes entries in any order.
pub struct Sorter {
    dir: PathBuf,
    /// Bytes of memory, of entries and what finds them.
    limit: usize,
    chunk: Chunk,
    /// What went to disk, the earliest first.
    runs: Vec<Run>,
    runs_max: usize,
}

/// What went to disk at once.
struct Run {
    /// Rewound.
    file: File,
    /// How often its entries were merged.
    level: u32,
}

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// What it is sorted by.
    pub key: Vec<u8>,
    /// What comes with it.
    pub value: Vec<u8>,
}

/// Entries in memory, one behind the other.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// Where one entry is: its key begins there, and its value behind that.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    key: u32,
    value: u32,
}

impl Sorter {
    /// One that keeps so many bytes in memory, and puts the rest into files of that directory: as many bytes as come in, and up to twice that
    /// while runs are merged.
    pub fn new(dir: &Path, limit: usize) -> Self {
        let (chunk, runs) = (Chunk::default(), Vec::new());
        Self { dir: dir.to_owned(), limit, chunk, runs, runs_max: RUNS_MAX }
    }

    /// Takes an entry in. Key and value have 4 GiB at most.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let more = key.len() + value.len() + size_of::<Span>();
        if self.chunk.size() + more > self.limit && !self.chunk.spans.is_empty() {
            self.spill()?;
        }
        self.chunk.push(key, value)
    }

    /// All entries, by key; those of one key in the order in which they came.
    ///
    /// # Errors
    /// When the disk cannot be written or read.
    pub fn sorted(mut self) -> io::Result<Sorted> {
        self.chunk.sort();
        Sorted::new(self.runs.into_iter().map(|run| run.file), self.chunk)
    }

    fn spill(&mut self) -> io::Result<()> {
        self.chunk.sort();
        let mut run = BufWriter::with_capacity(WRITE_BYTES, tempfile::tempfile_in(&self.dir)?);
        for (key, value) in self.chunk.pairs() {
            write(&mut run, key, value)?;
        }
        self.chunk.clear();
        self.runs.push(Run { file: rewound(run)?, level: 0 });
        self.merge()
    }

    /// Makes one run of the last ones as long as there are too many of one level. They are neighbours, so what came first stays first.
    fn merge(&mut self) -> io::Result<()> {
        while let Some(level) = self.runs.last().map(|last| last.level)
            && let alike = self.runs.iter().rev().take_while(|run| run.level == level).count()
            && alike >= self.runs_max
        {
            let runs = self.runs.split_off(self.runs.len() - alike);
            let file = self.merged(runs)?;
            self.runs.push(Run { file, level: level + 1 });
        }
        Ok(())
    }

    fn merged(&self, runs: Vec<Run>) -> io::Result<File> {
        let runs = runs.into_iter().map(|run| run.file);
        let mut one = BufWriter::with_capacity(WRITE_BYTES, tempfile::tempfile_in(&self.dir)?);
        for pair in Sorted::new(runs, Chunk::default())? {
            let Pair { key, value } = pair?;
            write(&mut one, &key, &value)?;
        }
        rewound(one)
    }
}

impl Chunk {
    fn push(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let start = self.bytes.len();
        self.spans.push(Span { start, key: length(key)?, value: length(value)? });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<Span>()
    }

    fn sort(&mut self) {
        let Self { bytes, spans } = self;
        // Stable: entries of one key stay in order.
        spans.sort_by(|one, other| one.key(bytes).cmp(other.key(bytes)));
    }

    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.spans.iter().map(|span| (span.key(&self.bytes), span.value(&self.bytes)))
    }

    fn get(&self, place: usize) -> Option<Pair> {
        let span = self.spans.get(place)?;
        let (key, value) = (span.key(&self.bytes), span.value(&self.bytes));
        Some(Pair { key: key.to_owned(), value: value.to_owned() })
    }

    /// Keeps the memory for the next entries.
    fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }
}

impl Span {
    fn key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start..self.middle()).unwrap_or_default()
    }

    fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let end = self.middle() + usize::try_from(self.value).unwrap_or(usize::MAX);
        bytes.get(self.middle()..end).unwrap_or_default()
    }

    fn middle(&self) -> usize {
        self.start + usize::try_from(self.key).unwrap_or(usize::MAX)
    }
}

fn write(run: &mut impl Write, key: &[u8], value: &[u8]) -> io::Result<()> {
    run.write_all(&length(key)?.to_le_bytes())?;
    run.write_all(&length(value)?.to_le_bytes())?;
    run.write_all(key)?;
    run.write_all(value)
}

fn length(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(bytes.len()).map_err(|_| io::Error::other("an entry of more than 4 GiB"))
}

/// Nothing is synced: what a crash cuts short is begun again.
fn rewound(run: BufWriter<File>) -> io::Result<File> {
    let mut file = run.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
