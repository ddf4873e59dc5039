//! The one place that chooses where several choices are right.
//!
//! Production takes the first. A thread that has a seed, by `COROVENT_SEED` or by
//! `testing::with_seed`, draws instead, so that tests find what depends on an order nobody
//! promised. The hub draws from an [`Order`] of its own; what may be reached without one, the
//! lists of those who wait and `select`, from the thread's.

use std::cell::Cell;
use std::env;

use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering;

/// Chooses one of several.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// The state of the generator; `None` is first-in-first-out.
    seeded: Option<u64>,
}

/// A seed chooses among so many of the first in a line: those behind them come closer with each
/// choice, and a choice among 100,000 would take a walk past as many.
pub(crate) const CHOICES_MAX: usize = 64;

/// Whether any thread has been given a seed: all that others look at.
static IS_SEEDED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The state of the thread's generator; `None`: it has no seed.
    static STREAM: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The seed that the environment asks for. The error is a text that is no number.
pub(crate) fn seed_of_env() -> Result<Option<u64>, String> {
    match env::var("COROVENT_SEED") {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| text),
        Err(_) => Ok(None),
    }
}

/// Whether any thread has been given a seed.
#[inline]
pub(crate) fn is_seeded() -> bool {
    IS_SEEDED.load(Ordering::Relaxed)
}

/// Gives the calling thread a seed, which a hub that it makes from then on has as well.
pub(crate) fn seed_thread(seed: u64) {
    STREAM.set(Some(seed));
    IS_SEEDED.store(true, Ordering::Relaxed);
}

/// Chooses an index below `len`, by the thread's seed if it has one; else it is the first.
pub(crate) fn pick(len: usize) -> usize {
    if len > 1 { draw_seeded(len).unwrap_or(0) } else { 0 }
}

fn draw_seeded(len: usize) -> Option<usize> {
    let mut state = STREAM.get()?;
    let drawn = next_random(&mut state) % len as u64;
    STREAM.set(Some(state));
    Some(drawn as usize)
}

impl Order {
    /// First-in-first-out.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn fifo() -> Order {
        Order { seeded: None }
    }

    /// That of a hub which the calling thread makes.
    pub(crate) fn of_thread() -> Order {
        if STREAM.get().is_none()
            && let Ok(Some(seed)) = seed_of_env()
        {
            seed_thread(seed);
        }
        Order { seeded: STREAM.get() }
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
/// process are the same in every run, until its threads race for them; those of a thread with a
/// seed are always.
pub(crate) fn draw(len: usize) -> usize {
    if is_seeded()
        && let Some(drawn) = draw_seeded(len)
    {
        return drawn;
    }
    draw_unseeded(len)
}

fn draw_unseeded(len: usize) -> usize {
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
    fn a_thread_without_a_seed_takes_the_first() {
        let others = std::thread::spawn(|| {
            seed_thread(3);
            (0..100).map(|_| pick(10)).collect::<Vec<_>>()
        });
        let drawn = others.join().unwrap();
        assert!((0..10).all(|index| drawn.contains(&index)), "{drawn:?}");
        assert!((0..100).all(|_| pick(10) == 0));
    }

    #[test]
    fn a_hub_has_the_seed_of_its_thread() {
        let draws = |seed| {
            let draws = move || {
                seed_thread(seed);
                let mut order = Order::of_thread();
                (0..20).map(|_| (order.pick(10), pick(10), draw(10))).collect::<Vec<_>>()
            };
            std::thread::spawn(draws).join().unwrap()
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
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
