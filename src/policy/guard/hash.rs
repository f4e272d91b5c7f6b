//! SipHash-2-4, written out: what it gives for an address is on disk, so it must be the same in every build and on every machine.
//! The hashers of the libraries promise that for one run at most, and a checksum is too easy to steer.

/// The hash of these bytes under this key (Aumasson and Bernstein, 2012).
pub(super) fn siphash(key: [u64; 2], bytes: &[u8]) -> u64 {
    let mut state = State::new(key);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state.take(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    // The length, modulo 256, is the last byte of the last word.
    state.take(u64::from_le_bytes(last) | (bytes.len() as u64) << 56);
    state.end()
}

struct State([u64; 4]);

impl State {
    fn new([k0, k1]: [u64; 2]) -> Self {
        Self([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ])
    }

    fn take(&mut self, word: u64) {
        let [_, _, _, v3] = &mut self.0;
        *v3 ^= word;
        self.rounds(2);
        let [v0, ..] = &mut self.0;
        *v0 ^= word;
    }

    fn end(mut self) -> u64 {
        let [_, _, v2, _] = &mut self.0;
        *v2 ^= 0xff;
        self.rounds(4);
        let [v0, v1, v2, v3] = self.0;
        v0 ^ v1 ^ v2 ^ v3
    }

    fn rounds(&mut self, count: u32) {
        let [v0, v1, v2, v3] = &mut self.0;
        for _ in 0..count {
            *v0 = v0.wrapping_add(*v1);
            *v1 = v1.rotate_left(13) ^ *v0;
            *v0 = v0.rotate_left(32);
            *v2 = v2.wrapping_add(*v3);
            *v3 = v3.rotate_left(16) ^ *v2;
            *v0 = v0.wrapping_add(*v3);
            *v3 = v3.rotate_left(21) ^ *v0;
            *v2 = v2.wrapping_add(*v1);
            *v1 = v1.rotate_left(17) ^ *v2;
            *v2 = v2.rotate_left(32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_paper_does() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(siphash(key, &bytes), 0xa129_ca61_49be_45e5);
        // From the vectors of the reference implementation.
        assert_eq!(siphash(key, &[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(siphash(key, &bytes[..8]), 0x93f5_f579_9a93_2462);
    }
}
