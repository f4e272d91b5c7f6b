//! Chance that can be repeated: everything follows from a seed.

/// A splitmix64 generator.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or_default()
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        *of.get(self.below(of.len())).expect("something to pick from")
    }

    /// The same bytes in one piece, in single bytes, or in pieces of any size.
    pub fn pieces(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let how = self.below(4);
        let (mut pieces, mut rest) = (Vec::new(), bytes);
        while !rest.is_empty() {
            let length = match how {
                0 | 1 => rest.len(),
                2 => 1,
                _ => 1 + self.below(rest.len()),
            };
            let (head, tail) = rest.split_at(length);
            pieces.push(head.to_vec());
            rest = tail;
        }
        pieces
    }
}

/// A number from the environment, for long runs: `RCPTGATE_SEED=7 RCPTGATE_RUNS=1000000 cargo test ...`.
pub fn from_environment(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    given.unwrap_or(otherwise)
}
