//! Which addresses accepted mail of late: a few bits each, in generations of which the oldest is forgotten.
//!
//! A blocked Bloom filter: an address sets one bit in each of the eight words of one 64-byte block. With 16 bits an address, one
//! stranger in a thousand is taken for known in a full generation, so four in a thousand by the four. Beyond its room a generation ends
//! early: what is known is then of fewer days, the memory stays the same.

use std::collections::VecDeque;
use std::time::Duration;

use super::hash::siphash;
use crate::smtp::address::RecipientKey;
use crate::time::Timestamp;

/// Words of a block: 64 bytes, a cache line.
const WORDS: usize = 8;
/// Bits of memory for each address.
const BITS_PER_ADDRESS: u64 = 16;
/// Generations of what is known: three together cover the time that was asked for, the fourth is being filled.
const KNOWN_GENERATIONS: usize = 4;
/// Odd numbers that spread one hash over the words (those of Parquet's split block filter).
const SALTS: [u32; WORDS] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];
const MAGIC: &[u8; 8] = b"rcptgood";
/// Changes with anything that changes what a bit means: the hash, the salts, the layout.
const VERSION: u32 = 1;

/// Addresses that accepted mail within some span of time. Says "known" of a few in a thousand that did not, never "unknown" of one that did,
/// unless more came than there is room for.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownGood {
    /// Makes the hashes of one installation its own: nobody can choose addresses that collide.
    seed: u64,
    generations: Generations,
}

/// Bytes that are no filter of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list of known good addresses of version {VERSION}: {0}")]
pub struct NotAFilter(&'static str);

impl KnownGood {
    /// An empty one with room for so many addresses in `kept`. It remembers each for `kept` at least and four thirds of it at most.
    pub fn new(capacity: u64, kept: Duration, seed: u64) -> Self {
        let parts = KNOWN_GENERATIONS - 1;
        let room = capacity.div_ceil(parts as u64);
        let generations = Generations::new(KNOWN_GENERATIONS, room, kept / parts as u32);
        Self { seed, generations }
    }

    /// The address accepted mail at `now`.
    pub fn insert(&mut self, address: &RecipientKey, now: Timestamp) {
        let hash = self.hash(address.as_str());
        self.insert_hash(hash, now);
    }

    /// Whether the address accepted mail of late.
    pub fn contains(&self, address: &RecipientKey) -> bool {
        self.contains_hash(self.hash(address.as_str()))
    }

    /// The memory of its bits, in bytes. It does not change.
    pub fn bytes(&self) -> usize {
        self.generations.bytes()
    }

    pub(super) fn hash(&self, text: &str) -> u64 {
        siphash([self.seed, !self.seed], text.as_bytes())
    }

    pub(super) fn insert_hash(&mut self, hash: u64, now: Timestamp) {
        self.generations.insert(hash, now);
    }

    pub(super) fn contains_hash(&self, hash: u64) -> bool {
        self.generations.contains(hash)
    }

    /// As a file holds it, with version and checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes() + 256);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.seed.to_le_bytes());
        for generation in &self.generations.kept {
            bytes.extend(generation.since.as_millis().to_le_bytes());
            bytes.extend(generation.room.to_le_bytes());
            bytes.extend(generation.taken.to_le_bytes());
            bytes.extend((generation.blocks.len() as u64).to_le_bytes());
            bytes.extend(generation.blocks.iter().flatten().flat_map(|word| word.to_le_bytes()));
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// Reads `to_bytes` back. With another capacity or span than it was written with, what it holds stays as it is and what comes
    /// has the new ones.
    ///
    /// # Errors
    /// The bytes are of another version, cut, or damaged.
    pub fn from_bytes(bytes: &[u8], capacity: u64, kept: Duration) -> Result<Self, NotAFilter> {
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(NotAFilter("too short"))?;
        let mut rest = body;
        if take::<8>(&mut rest)? != *MAGIC {
            return Err(NotAFilter("another kind of file"));
        }
        if u32::from_le_bytes(take(&mut rest)?) != VERSION {
            return Err(NotAFilter("another version"));
        }
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err(NotAFilter("its checksum is wrong"));
        }
        let mut filter = Self::new(capacity, kept, u64::from_le_bytes(take(&mut rest)?));
        for generation in &mut filter.generations.kept {
            *generation = Generation::read(&mut rest)?;
        }
        if rest.is_empty() { Ok(filter) } else { Err(NotAFilter("too long")) }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], NotAFilter> {
    let (taken, behind) = rest.split_first_chunk::<N>().ok_or(NotAFilter("too short"))?;
    *rest = behind;
    Ok(*taken)
}

/// Generations of hashes, the newest first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Generations {
    kept: VecDeque<Generation>,
    room: u64,
    span: Duration,
}

#[derive(Clone, Debug, PartialEq)]
struct Generation {
    blocks: Vec<[u64; WORDS]>,
    room: u64,
    taken: u64,
    /// When its first hash came.
    since: Timestamp,
}

impl Generations {
    /// So many generations, each with room for `room` hashes and ended after `span`.
    pub(super) fn new(count: usize, room: u64, span: Duration) -> Self {
        Self { kept: (0..count).map(|_| Generation::new(room)).collect(), room, span }
    }

    /// Takes a hash in. One generation at most ends by it, so a clock that jumps makes it forget one, never all.
    pub(super) fn insert(&mut self, hash: u64, now: Timestamp) {
        let full = self.kept.front().is_none_or(|newest| newest.is_over(now, self.span));
        if full {
            // The memory of the oldest serves again, unless the capacity has changed since.
            let oldest = self.kept.pop_back();
            self.kept.push_front(match oldest {
                Some(oldest) if oldest.room == self.room => oldest.emptied(),
                Some(_) | None => Generation::new(self.room),
            });
        }
        if let Some(newest) = self.kept.front_mut() {
            newest.insert(hash, now);
        }
    }

    /// Whether it was taken in and is not forgotten.
    pub(super) fn contains(&self, hash: u64) -> bool {
        self.kept.iter().any(|generation| generation.contains(hash))
    }

    pub(super) fn bytes(&self) -> usize {
        self.kept.iter().map(|generation| generation.blocks.len() * WORDS * 8).sum()
    }
}

impl Generation {
    fn new(room: u64) -> Self {
        let bits = WORDS as u64 * 64;
        let blocks = room.saturating_mul(BITS_PER_ADDRESS).div_ceil(bits).max(1);
        let blocks = vec![[0; WORDS]; usize::try_from(blocks).unwrap_or(1)];
        Self { blocks, room, taken: 0, since: Timestamp::default() }
    }

    fn read(rest: &mut &[u8]) -> Result<Self, NotAFilter> {
        let since = Timestamp::from_millis(i64::from_le_bytes(take(rest)?));
        let room = u64::from_le_bytes(take(rest)?);
        let taken = u64::from_le_bytes(take(rest)?);
        let count = u64::from_le_bytes(take(rest)?);
        // Grows with what is really there, whatever the count says.
        let mut blocks = Vec::new();
        for _ in 0..count {
            let mut block = [0; WORDS];
            for word in &mut block {
                *word = u64::from_le_bytes(take(rest)?);
            }
            blocks.push(block);
        }
        if blocks.is_empty() {
            return Err(NotAFilter("a part without room"));
        }
        Ok(Self { blocks, room, taken, since })
    }

    fn emptied(mut self) -> Self {
        self.blocks.fill([0; WORDS]);
        Self { taken: 0, ..self }
    }

    fn is_over(&self, now: Timestamp, span: Duration) -> bool {
        self.taken > 0 && (self.taken >= self.room || now.since(self.since) >= span)
    }

    fn insert(&mut self, hash: u64, now: Timestamp) {
        let new = !self.contains(hash);
        // A clock that was set back must not keep a generation for ever.
        self.since = if self.taken == 0 { now } else { self.since.min(now) };
        self.taken = self.taken.saturating_add(u64::from(new));
        let at = self.place(hash);
        if let Some(block) = self.blocks.get_mut(at) {
            for (word, bit) in block.iter_mut().zip(bits(hash)) {
                *word |= bit;
            }
        }
    }

    fn contains(&self, hash: u64) -> bool {
        let block = self.blocks.get(self.place(hash));
        block.is_some_and(|block| block.iter().zip(bits(hash)).all(|(word, bit)| word & bit != 0))
    }

    /// The block of a hash: its upper half, scaled to the number of blocks.
    fn place(&self, hash: u64) -> usize {
        usize::try_from((u128::from(hash) * self.blocks.len() as u128) >> 64).unwrap_or(0)
    }
}

/// The bit of each word: from the lower half, which has no part in the choice of the block.
fn bits(hash: u64) -> [u64; WORDS] {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    let lower = hash as u32;
    SALTS.map(|salt| 1 << (lower.wrapping_mul(salt) >> 26))
}
