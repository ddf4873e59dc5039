//! The one place that chooses where several choices are right.
//!
//! Production takes the first. With `COROVENT_SEED` set to a number, a generator started
//! by it chooses, so that tests find what depends on an order nobody promised.

use std::env;

use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering;

/// Chooses one of several.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// The state of the generator; `None` is first-in-first-out.
    seeded: Option<u64>,
}

impl Order {
    /// First-in-first-out.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn fifo() -> Order {
        Order { seeded: None }
    }

    /// What the environment asks for.
    pub(crate) fn from_env() -> Order {
        let seed = env::var("COROVENT_SEED").ok();
        Order { seeded: seed.and_then(|text| text.trim().parse().ok()) }
    }

    /// Shuffled by `seed`.
    #[cfg(test)]
    pub(crate) fn seeded(seed: u64) -> Order {
        Order { seeded: Some(seed) }
    }

    /// Whether the choice is not simply the first.
    #[inline]
    pub(crate) fn is_seeded(&self) -> bool {
        self.seeded.is_some()
    }

    /// Chooses an index below `len`.
    #[inline]
    pub(crate) fn pick(&mut self, len: usize) -> usize {
        match &mut self.seeded {
            None => 0,
            Some(state) if len > 1 => (next_random(state) % len as u64) as usize,
            Some(_) => 0,
        }
    }

    /// Puts a batch into the order in which it is to be worked on.
    #[inline]
    pub(crate) fn arrange<T>(&mut self, batch: &mut [T]) {
        if let Some(state) = &mut self.seeded {
            for end in (2..=batch.len()).rev() {
                let chosen = (next_random(state) % end as u64) as usize;
                batch.swap(end - 1, chosen);
            }
        }
    }
}

/// Chooses an index below `len` where always the first would starve the others. The choices of a
/// process are the same in every run, until its threads race for them.
pub(crate) fn draw(len: usize) -> usize {
    static STATE: AtomicU64 = AtomicU64::new(0);

    let mut state = STATE.fetch_add(STEP, Ordering::Relaxed);
    (next_random(&mut state) % len as u64) as usize
}

/// Of SplitMix64, from one state to the next.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(STEP);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_takes_the_first() {
        let mut order = Order::fifo();
        let mut batch = [1, 2, 3];
        order.arrange(&mut batch);
        assert_eq!((order.pick(5), batch), (0, [1, 2, 3]));
    }

    #[test]
    fn a_draw_favours_nobody() {
        let mut counts = [0; 3];
        (0..3000).for_each(|_| counts[draw(3)] += 1);
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_seed_gives_the_same_order_again() {
        let shuffled = |seed| {
            let mut batch: Vec<u32> = (0..100).collect();
            Order::seeded(seed).arrange(&mut batch);
            batch
        };
        assert_eq!(shuffled(7), shuffled(7));
        assert_ne!(shuffled(7), shuffled(8));
        let mut sorted = shuffled(7);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }
}
