//! Names for events and orders: 26 characters, unique everywhere, that sort by time.

use std::hash::{BuildHasher, RandomState};

use crate::time::Timestamp;

/// Crockford's base 32: no I, L, O, U; sorts like the number.
const DIGITS: [u8; 32] = *b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 26;

/// A new id: 48 bits of milliseconds, 80 random bits.
pub(super) fn new(at: Timestamp) -> String {
    let mut random = [0; 10];
    if getrandom::fill(&mut random).is_err() {
        // Unique is enough, nobody must be unable to guess it: the hasher's keys differ with every call.
        let hashes = [RandomState::new().hash_one(at), RandomState::new().hash_one(at)];
        let bytes = hashes.iter().flat_map(|hash| hash.to_le_bytes());
        random.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = byte);
    }
    let random = random.iter().fold(0_u128, |bits, &byte| bits << 8 | u128::from(byte));
    let millis = u128::from(at.as_millis().max(0).unsigned_abs()) & ((1 << 48) - 1);
    encode(millis << 80 | random)
}

fn encode(bits: u128) -> String {
    let digit = |place: usize| {
        let value = usize::try_from(bits >> (5 * place) & 31).unwrap_or(0);
        DIGITS.get(value).map_or('0', |&digit| char::from(digit))
    };
    (0..LENGTH).rev().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_never_meet() {
        assert_eq!(encode(0), "0".repeat(26));
        assert_eq!(encode(u128::MAX), format!("7{}", "Z".repeat(25)));
        let early = new(Timestamp::from_secs(1_700_000_000));
        let late = new(Timestamp::from_secs(1_700_000_001));
        assert!(early < late);
        assert_eq!(early.len(), 26);
        assert_ne!(early, new(Timestamp::from_secs(1_700_000_000)));
    }
}
