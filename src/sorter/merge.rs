//! Reading several sorted runs as one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, Read};

use super::{Chunk, Pair};

/// What a run is read with, so that many of them take little memory.
const READ_BYTES: usize = 64 << 10;

/// Entries by key. Ends after the first error.
pub struct Sorted {
    sources: Vec<Source>,
    /// The next entry of each source that has one: the smallest key, and of one key the earliest source, comes first.
    heads: BinaryHeap<Reverse<Head>>,
}

enum Source {
    Run(BufReader<File>),
    /// What never left memory, and how far it was read.
    Chunk(Chunk, usize),
}

/// Compared by key, then by source; never by value, of which a source has one at a time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    key: Vec<u8>,
    source: usize,
    value: Vec<u8>,
}

impl Sorted {
    /// The chunk is sorted, and came behind all runs.
    pub(super) fn new(runs: impl Iterator<Item = File>, chunk: Chunk) -> io::Result<Self> {
        let runs = runs.map(|run| BufReader::with_capacity(READ_BYTES, run));
        let sources = runs.map(Source::Run).chain([Source::Chunk(chunk, 0)]).collect();
        let mut sorted = Self { sources, heads: BinaryHeap::new() };
        for source in 0..sorted.sources.len() {
            sorted.pull(source)?;
        }
        Ok(sorted)
    }

    fn pull(&mut self, source: usize) -> io::Result<()> {
        let pair = match self.sources.get_mut(source) {
            Some(Source::Run(run)) => read(run)?,
            Some(Source::Chunk(chunk, place)) => {
                *place += 1;
                chunk.get(*place - 1)
            }
            None => None,
        };
        if let Some(Pair { key, value }) = pair {
            self.heads.push(Reverse(Head { key, source, value }));
        }
        Ok(())
    }
}

impl Iterator for Sorted {
    type Item = io::Result<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse(Head { key, source, value }) = self.heads.pop()?;
        if let Err(error) = self.pull(source) {
            self.heads.clear();
            return Some(Err(error));
        }
        Some(Ok(Pair { key, value }))
    }
}

fn read(run: &mut BufReader<File>) -> io::Result<Option<Pair>> {
    let mut lengths = [0; 8];
    // Only between two entries a run may end.
    if run.read(&mut lengths[..1])? == 0 {
        return Ok(None);
    }
    run.read_exact(&mut lengths[1..])?;
    let [a, b, c, d, e, f, g, h] = lengths;
    let key = bytes(run, u32::from_le_bytes([a, b, c, d]))?;
    let value = bytes(run, u32::from_le_bytes([e, f, g, h]))?;
    Ok(Some(Pair { key, value }))
}

fn bytes(run: &mut BufReader<File>, length: u32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    run.read_exact(&mut bytes)?;
    Ok(bytes)
}
