//! A filter in memory that says of most addresses that nothing is known of them, without touching the disk.
//!
//! A blocked Bloom filter: an address sets one bit in each of the eight words of one 64-byte block, so that asking costs one cache line.
//! False "maybe": a few in a thousand. False "no": never. Addresses are not taken out; the next start builds it anew.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use foldhash::quality::RandomState;

/// Words of a block: 64 bytes, a cache line.
const WORDS: usize = 8;
/// Bits of memory for each address. With eight set some 0.15 % of strangers are taken for known; each of them costs a look into the
/// index, tens of microseconds when that is not in memory, where a stranger otherwise costs well under one.
const BITS_PER_ADDRESS: u64 = 16;
/// Addresses that the smallest layer has room for (128 KiB).
const ROOM_MIN: u64 = 1 << 16;
/// Odd, as [`bits`] needs: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Which addresses may have a record. Asked and filled from any thread without a lock.
pub struct Filter {
    /// Keyed at random, so that nobody can choose addresses that collide; if somebody finds some, the index is asked more often.
    hasher: RandomState,
    /// The newest, and largest, last. Each takes as many as it has room for; then one twice its size is put behind it, since
    /// building one large filter anew would hold up the writer for seconds.
    layers: ArcSwap<Vec<Arc<Layer>>>,
    growing: Mutex<()>,
}

struct Layer {
    blocks: Box<[[AtomicU64; WORDS]]>,
    room: u64,
    taken: AtomicU64,
}

impl Filter {
    /// An empty filter with room for so many addresses before it grows.
    pub fn with_room(addresses: u64) -> Self {
        let first = Arc::new(Layer::new(addresses.max(ROOM_MIN)));
        Self {
            hasher: RandomState::default(),
            layers: ArcSwap::from_pointee(vec![first]),
            growing: Mutex::new(()),
        }
    }

    /// Takes an address in. It is seen by whoever learns of it afterwards.
    pub fn insert(&self, address: &str) {
        let hash = self.hasher.hash_one(address);
        let layers = self.layers.load();
        if layers.iter().any(|layer| layer.contains(hash)) {
            return;
        }
        if let Some(newest) = layers.last() {
            newest.insert(hash);
            if newest.taken.fetch_add(1, Ordering::Relaxed) + 1 >= newest.room {
                self.grow();
            }
        }
    }

    /// `false`: no record. `true`: look it up.
    pub fn may_contain(&self, address: &str) -> bool {
        let hash = self.hasher.hash_one(address);
        self.layers.load().iter().any(|layer| layer.contains(hash))
    }

    /// The memory it takes.
    pub fn bytes(&self) -> usize {
        self.layers.load().iter().map(|layer| layer.blocks.len() * WORDS * 8).sum()
    }

    /// How many blocks a look-up reads: more than one when it has grown.
    pub fn layers(&self) -> usize {
        self.layers.load().len()
    }

    fn grow(&self) {
        let _one = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let layers = self.layers.load();
        let full = |layer: &Arc<Layer>| layer.taken.load(Ordering::Relaxed) >= layer.room;
        if let Some(newest) = layers.last().filter(|newest| full(newest)) {
            let mut more = layers.to_vec();
            more.push(Arc::new(Layer::new(newest.room.saturating_mul(2))));
            self.layers.store(Arc::new(more));
        }
    }
}

impl Layer {
    fn new(room: u64) -> Self {
        let bits = u64::try_from(WORDS).unwrap_or(8) * 64;
        let blocks = room.saturating_mul(BITS_PER_ADDRESS).div_ceil(bits).max(1);
        let blocks =
            (0..blocks).map(|_| std::array::from_fn(|_| AtomicU64::new(0))).collect::<Vec<_>>();
        Self { blocks: blocks.into(), room, taken: AtomicU64::new(0) }
    }

    fn insert(&self, hash: u64) {
        for (word, bit) in self.block(hash).iter().zip(bits(hash)) {
            word.fetch_or(bit, Ordering::Release);
        }
    }

    fn contains(&self, hash: u64) -> bool {
        self.block(hash)
            .iter()
            .zip(bits(hash))
            .all(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
    }

    /// The block of a hash: its upper half, scaled to the number of blocks.
    fn block(&self, hash: u64) -> &[AtomicU64] {
        let scaled = (u128::from(hash) * (self.blocks.len() as u128)) >> 64;
        let at = usize::try_from(scaled).unwrap_or(0);
        self.blocks.get(at).map_or(&[], |block| block.as_slice())
    }
}

/// One bit for each word, from multiplications that carry the low half of the hash into the top six bits.
fn bits(hash: u64) -> impl Iterator<Item = u64> {
    let mut state = hash;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(SPREAD).rotate_left(29) ^ hash;
        1 << (state >> 58)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whoever_was_taken_in_is_never_denied(
            addresses in proptest::collection::vec("[a-z]{1,8}@[a-z]{1,8}", 0..400),
        ) {
            let filter = Filter { layers: ArcSwap::from_pointee(vec![Arc::new(Layer::new(3))]),
                ..Filter::with_room(0) };
            for address in &addresses {
                filter.insert(address);
            }
            for address in &addresses {
                prop_assert!(filter.may_contain(address));
            }
        }
    }

    #[test]
    fn strangers_are_nearly_always_told_apart() {
        let filter = Filter::with_room(0);
        for number in 0..ROOM_MIN * 3 {
            filter.insert(&format!("known{number}@a.test"));
        }
        let mistaken = (0..100_000)
            .filter(|number| filter.may_contain(&format!("stranger{number}@a.test")))
            .count();
        assert!(mistaken < 600, "{mistaken} of 100000");
        assert_eq!(filter.layers(), 2);
    }
}
