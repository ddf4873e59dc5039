//! Random numbers from a seed: SplitMix64, as its author Sebastiano Vigna gives it.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// A source of random numbers.
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice { state: seed }
    }

    pub(crate) fn draw(&mut self) -> u64 {
        let value = mixed(self.state);
        self.state = self.state.wrapping_add(GAMMA);
        value
    }

    /// A number below `limit`, or 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.draw() % limit }
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// True once in so many times.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A number up to 2^`bits`, of which all sizes are as likely.
    pub(crate) fn size(&mut self, bits: u64) -> u64 {
        let bits = self.below(bits + 1);
        self.below(1 << bits)
    }

    /// Up to so many milliseconds, in microseconds, of which all sizes are as likely.
    pub(crate) fn millis(&mut self, max: u64) -> std::time::Duration {
        let micros = self.size(20).min(max * 1000);
        std::time::Duration::from_micros(micros)
    }
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number that follows a state.
pub(crate) fn mixed(state: u64) -> u64 {
    let mut z = state.wrapping_add(GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub(crate) fn seed_of_the_time() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    mixed(since.as_nanos() as u64) % 1_000_000
}
