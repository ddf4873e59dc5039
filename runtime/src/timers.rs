//! Deadlines of blocked tasks, soonest first.
//!
//! Pure: the caller passes `now`, and no clock is read here. Removing a timer that has
//! fired is a no-op, so callers need not track which came first.
//!
//! A hierarchical timing wheel (Varghese and Lauck, 1987): level 0 has 64 slots of
//! 1.024 µs, each further level 64 slots that are 64 times as long. A timer stands at the
//! level of the highest digit in which its deadline differs from the wheel's own time, so
//! arming and cancelling are a few instructions whatever else is pending. When the time
//! reaches a slot of a higher level, its timers move down.
//!
//! ```text
//!   level 0  │·│·│x│·│…      each slot 2^10 ns
//!   level 1  │·│x│·│·│…                2^16
//!   level 2  │·│·│·│x│…                2^22      … level 8 ends beyond 2^64
//! ```
//!
//! The slots only sort roughly; what fires is decided by the full deadline, so nothing
//! ever fires early, and a batch is sorted before it is handed out.
//!
//! **Invariant:** a slot of a higher level holds only timers later than its own level's
//! current digit, so the first occupied slot of the lowest occupied level is the soonest.

use slab::Slab;

/// Timers that hand a `T` back when they are due.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    entries: Slab<Entry<T>>,
    levels: [Level; LEVELS],
    /// The wheel's own time in ticks: all due by then has fired.
    elapsed: u64,
    /// Counts the timers ever armed: the age of a timer and the proof of a key.
    armed: u64,
}

/// Names one armed timer, also after it has fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey {
    index: u32,
    serial: u64,
}

impl TimerKey {
    /// Names none.
    pub(crate) const NONE: TimerKey = TimerKey { index: 0, serial: 0 };
}

#[derive(Debug)]
struct Entry<T> {
    deadline: u64,
    serial: u64,
    value: T,
    /// Neighbours in the slot's ring-free list; `NONE` at the ends.
    previous: u32,
    next: u32,
    level: u8,
    slot: u8,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    /// Bit `n` is set if slot `n` is not empty.
    occupied: u64,
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    first: u32,
    /// No deadline in the slot is before this one. Exact, unless the soonest was cancelled.
    soonest: u64,
    exact: bool,
}

const TICK_BITS: u32 = 10;
const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = (64 - TICK_BITS).div_ceil(DIGIT_BITS) as usize;
const NONE: u32 = u32::MAX;
const EMPTY: Slot = Slot { first: NONE, soonest: u64::MAX, exact: true };
/// A longer list is not searched for its soonest: the wheel wakes at the last known
/// bound instead, and the slot then moves down a level.
const SEARCH_MAX: usize = 256;

impl<T: Copy> Timers<T> {
    /// Makes an empty wheel that starts at `now`.
    pub(crate) fn new(now: u64) -> Timers<T> {
        Timers {
            entries: Slab::new(),
            levels: [Level { occupied: 0, slots: [EMPTY; SLOTS] }; LEVELS],
            elapsed: now >> TICK_BITS,
            armed: 0,
        }
    }

    /// How many timers are pending.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no timer is pending.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a timer; it fires with `value` once `now` has reached `deadline`.
    #[inline]
    pub(crate) fn arm(&mut self, deadline: u64, value: T) -> TimerKey {
        self.armed += 1;
        let serial = self.armed;
        let entry =
            Entry { deadline, serial, value, previous: NONE, next: NONE, level: 0, slot: 0 };
        let index = self.entries.insert(entry) as u32;
        self.link(index);
        TimerKey { index, serial }
    }

    /// Removes a timer; whether it was still pending.
    #[inline(never)]
    pub(crate) fn cancel(&mut self, key: TimerKey) -> bool {
        match self.entries.get(key.index as usize) {
            Some(entry) if entry.serial == key.serial => {
                self.unlink(key.index);
                self.entries.remove(key.index as usize);
                true
            }
            _ => false,
        }
    }

    /// Removes the timers of which `is_meant` holds, by a look at all.
    pub(crate) fn cancel_all(&mut self, is_meant: impl Fn(&T) -> bool) {
        let meant = self.entries.iter().filter(|(_, entry)| is_meant(&entry.value));
        let indices: Vec<u32> = meant.map(|(index, _)| index as u32).collect();
        for index in indices {
            self.unlink(index);
            self.entries.remove(index as usize);
        }
    }

    /// Shows the deadline and the value of each, in no order.
    pub(crate) fn for_each(&self, mut show: impl FnMut(u64, &T)) {
        self.entries.iter().for_each(|(_, entry)| show(entry.deadline, &entry.value));
    }

    /// The time until which nothing fires: the soonest deadline, but for what is said at
    /// [`SEARCH_MAX`].
    pub(crate) fn next(&mut self) -> Option<u64> {
        let (level, slot) = self.first_slot()?;
        let Slot { first, soonest, exact } = self.levels[level].slots[slot];
        if exact {
            return Some(soonest);
        }
        let mut found = u64::MAX;
        let mut at = first;
        for _ in 0..SEARCH_MAX {
            let entry = &self.entries[at as usize];
            found = found.min(entry.deadline);
            at = entry.next;
            if at == NONE {
                let slot = &mut self.levels[level].slots[slot];
                slot.soonest = found;
                slot.exact = true;
                return Some(found);
            }
        }
        Some(soonest)
    }

    /// Removes all timers that are due at `now` and appends their values to `due`, by
    /// deadline, then by age.
    pub(crate) fn expire(&mut self, now: u64, due: &mut Vec<Due<T>>) {
        let target = (now >> TICK_BITS).max(self.elapsed);
        let start = due.len();
        while let Some((level, slot)) = self.first_slot() {
            let slot_tick = self.slot_tick(level, slot);
            if slot_tick > target {
                break;
            }
            if level == 0 {
                self.elapsed = slot_tick;
                self.take_due(slot, now, due);
                if self.levels[0].occupied & (1 << slot) != 0 {
                    // The current tick has timers that are due within it, but later.
                    break;
                }
            } else {
                self.elapsed = slot_tick;
                self.move_down(level, slot);
            }
        }
        // Whatever is left differs from `target` in the digit of its level still: a slot
        // that the target has reached was emptied above.
        self.elapsed = target;
        due[start..].sort_unstable_by_key(|due| (due.deadline, due.serial));
    }

    /// The first occupied slot of the lowest occupied level.
    #[inline]
    fn first_slot(&self) -> Option<(usize, usize)> {
        let level = self.levels.iter().position(|level| level.occupied != 0)?;
        Some((level, self.levels[level].occupied.trailing_zeros() as usize))
    }

    /// The first tick of a slot that lies ahead.
    fn slot_tick(&self, level: usize, slot: usize) -> u64 {
        let shift = DIGIT_BITS * level as u32;
        let above = self.elapsed >> shift >> DIGIT_BITS << DIGIT_BITS;
        (above | slot as u64) << shift
    }

    fn take_due(&mut self, slot: usize, now: u64, due: &mut Vec<Due<T>>) {
        let mut at = self.levels[0].slots[slot].first;
        while at != NONE {
            let Entry { deadline, serial, value, next, .. } = self.entries[at as usize];
            if deadline <= now {
                self.unlink(at);
                self.entries.remove(at as usize);
                due.push(Due { deadline, serial, value });
            }
            at = next;
        }
    }

    /// Links the timers of a slot again, now that the time has reached it.
    fn move_down(&mut self, level: usize, slot: usize) {
        let mut at = self.levels[level].slots[slot].first;
        self.levels[level].slots[slot] = EMPTY;
        self.levels[level].occupied &= !(1 << slot);
        while at != NONE {
            let next = self.entries[at as usize].next;
            self.link(at);
            at = next;
        }
    }

    /// Puts a timer at the front of the slot it belongs to.
    #[inline]
    fn link(&mut self, index: u32) {
        let deadline = self.entries[index as usize].deadline;
        // What is past already belongs to the current tick.
        let tick = (deadline >> TICK_BITS).max(self.elapsed);
        let highest_bit = 63 - ((tick ^ self.elapsed) | 1).leading_zeros();
        let level = (highest_bit / DIGIT_BITS) as usize;
        let slot = (tick >> (DIGIT_BITS * level as u32)) as usize % SLOTS;

        let target = &mut self.levels[level].slots[slot];
        let old_first = target.first;
        target.first = index;
        if deadline <= target.soonest {
            target.soonest = deadline;
            target.exact = true;
        }
        self.levels[level].occupied |= 1 << slot;
        if old_first != NONE {
            self.entries[old_first as usize].previous = index;
        }
        let entry = &mut self.entries[index as usize];
        entry.previous = NONE;
        entry.next = old_first;
        entry.level = level as u8;
        entry.slot = slot as u8;
    }

    /// Takes a timer out of its slot.
    #[inline(always)]
    fn unlink(&mut self, index: u32) {
        let Entry { deadline, previous, next, level, slot, .. } = self.entries[index as usize];
        let level = &mut self.levels[level as usize];
        let owner = &mut level.slots[slot as usize];
        if previous == NONE {
            owner.first = next;
        }
        if owner.first == NONE {
            *owner = EMPTY;
            level.occupied &= !(1 << slot);
        } else if deadline == owner.soonest {
            owner.exact = false;
        }
        if previous != NONE {
            self.entries[previous as usize].next = next;
        }
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
    }
}

/// A timer that has fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due<T> {
    /// When it was due.
    pub(crate) deadline: u64,
    /// Its age among those armed.
    pub(crate) serial: u64,
    /// What it was armed with.
    pub(crate) value: T,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(timers: &mut Timers<u32>, now: u64) -> Vec<u32> {
        let mut due = Vec::new();
        timers.expire(now, &mut due);
        due.into_iter().map(|due| due.value).collect()
    }

    #[test]
    fn fires_in_order_and_never_early() {
        let mut timers = Timers::new(5_000);
        timers.arm(9_000, 3);
        timers.arm(7_000, 1);
        timers.arm(7_001, 2);
        assert_eq!(timers.next(), Some(7_000));
        assert_eq!(fired(&mut timers, 6_999), []);
        assert_eq!(fired(&mut timers, 7_000), [1]);
        assert_eq!(timers.next(), Some(7_001));
        assert_eq!(fired(&mut timers, 1_000_000), [2, 3]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn equal_deadlines_fire_by_age() {
        let mut timers = Timers::new(0);
        for value in 0..100 {
            timers.arm(1 << 40, value);
        }
        assert_eq!(fired(&mut timers, 1 << 40), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_past_deadline_is_due_at_once() {
        let mut timers = Timers::new(1 << 50);
        timers.arm(3, 1);
        assert_eq!(timers.next(), Some(3));
        assert_eq!(fired(&mut timers, 1 << 50), [1]);
    }

    #[test]
    fn a_million_take_little_and_leave_their_places() {
        const COUNT: u64 = if cfg!(miri) { 100 } else { 1_000_000 };

        let mut timers = Timers::new(0);
        let arm = |timers: &mut Timers<u64>| -> Vec<TimerKey> {
            (0..COUNT).map(|n| timers.arm(3_600_000_000_000 + n * 7919 % COUNT, n)).collect()
        };
        let keys = arm(&mut timers);
        let room = timers.entries.capacity();
        assert!(room * size_of::<(usize, Entry<u64>)>() <= 100 * COUNT as usize * 2);
        assert!(size_of::<(usize, Entry<u64>)>() <= 100);
        assert!(keys.into_iter().all(|key| timers.cancel(key)));
        assert!(timers.is_empty() && timers.next().is_none());
        arm(&mut timers);
        assert_eq!(timers.entries.capacity(), room);
    }

    #[test]
    fn cancelling_twice_or_late_is_a_no_op() {
        let mut timers = Timers::new(0);
        let first = timers.arm(10, 1);
        assert!(timers.cancel(first));
        let second = timers.arm(10, 2);
        assert!(!timers.cancel(first), "the slot has a new owner");
        assert_eq!(fired(&mut timers, 10), [2]);
        assert!(!timers.cancel(second));
    }

    #[test]
    fn next_is_exact_after_the_soonest_was_cancelled() {
        let mut timers = Timers::new(0);
        let soonest = timers.arm(1 << 33, 1);
        timers.arm((1 << 33) + 77, 2);
        timers.cancel(soonest);
        assert_eq!(timers.next(), Some((1 << 33) + 77));
    }

    #[test]
    fn next_is_a_lower_bound_when_many_share_the_slot() {
        let mut timers = Timers::new(0);
        let base = 1u64 << 45;
        let keys: Vec<_> = (0..1000).map(|n| timers.arm(base + n, n as u32)).collect();
        timers.cancel(keys[0]);
        let bound = timers.next().unwrap();
        assert!(bound <= base + 1);
        // Waking at the bound moves the slot down, after which the answer is exact.
        let mut wakes = 0;
        while timers.len() == 999 {
            let next = timers.next().unwrap();
            fired(&mut timers, next);
            wakes += 1;
            assert!(wakes <= 2 + LEVELS, "each wake makes progress");
        }
    }

    #[test]
    fn the_last_representable_deadline_works() {
        let mut timers = Timers::new(0);
        timers.arm(u64::MAX, 1);
        timers.arm(u64::MAX - 1, 2);
        assert_eq!(timers.next(), Some(u64::MAX - 1));
        assert_eq!(fired(&mut timers, u64::MAX), [2, 1]);
    }
}
