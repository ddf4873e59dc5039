//! A look at tasks before they are taken, so that the processor fetches what they will need.
//!
//! Of a few tasks that is in its caches. Of thousands not even the translations of the addresses
//! of their stacks are, and finding one takes as long as running a task. Addresses that are asked
//! for close together are translated at the same time, so the tasks are looked at in groups.

use std::ptr;

use crate::scheduler::NO_SLOT;
use crate::scheduler::Scheduler;
use crate::sys::cache::prefetch;

/// How far ahead a task is that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// It is behind the one that is taken.
    Next,
    /// The same in a long queue.
    NextOfMany,
    /// It is further behind, in a long queue.
    Later,
}

/// Which of the queue were looked at.
#[derive(Debug)]
pub(super) struct LookAhead {
    /// Whether there are more tasks than the caches hold.
    are_many: bool,
    /// How many at the front were looked at from further away, and the last of those; valid if
    /// they are not none, and not exact where the order is drawn.
    seen: u32,
    last: u32,
}

/// So many are looked at together: Intel's processors since 2021 translate four addresses at a
/// time, older ones two, AMD's six. (Measured on Sapphire Rapids: 8 are no better.)
const GROUP: u32 = 4;
/// The next group's turn comes when so many are left: enough time for what was asked for.
const LEFT: u32 = 2;
/// In a shorter queue the same few come again and again, and are in the caches.
const LONG: u32 = 8;

impl LookAhead {
    pub(super) const NONE: LookAhead = LookAhead { are_many: false, seen: 0, last: NO_SLOT };
}

impl<T> Scheduler<T> {
    /// Says whether there are more tasks than the processor's caches hold.
    pub(crate) fn expect_many(&mut self, are_many: bool) {
        self.look_ahead.are_many = are_many;
        self.forget_seen();
    }

    /// Looks at those behind the first one, which is about to be taken; `next` is behind it.
    #[inline]
    pub(super) fn look_behind_first(&mut self, next: u32, look: impl Fn(&T, Ahead)) {
        if self.look_ahead.are_many {
            return self.look_into_long_queue(next, look);
        }
        if let Some(task) = self.get(next) {
            look(task, Ahead::Next);
        }
    }

    #[inline(never)]
    fn look_into_long_queue(&mut self, next: u32, look: impl Fn(&T, Ahead)) {
        let is_long = self.ready > LONG;
        if let Some(task) = self.get(next) {
            look(task, if is_long { Ahead::NextOfMany } else { Ahead::Next });
        }
        if is_long {
            self.look_further(next, look);
        } else {
            self.forget_seen();
        }
    }

    fn look_further(&mut self, next: u32, look: impl Fn(&T, Ahead)) {
        self.look_ahead.seen = self.look_ahead.seen.saturating_sub(1);
        let seen = self.look_ahead.seen;
        if seen > LEFT {
            return;
        }
        let unseen = (self.ready - 1).saturating_sub(seen).min(GROUP);
        let mut slot = if seen == 0 { next } else { self.next_of(self.look_ahead.last) };
        for _ in 0..unseen {
            if let Some(task) = self.get(slot) {
                look(task, Ahead::Later);
            }
            self.look_ahead.last = slot;
            slot = self.next_of(slot);
        }
        self.look_ahead.seen += unseen;
        // The entry of the one behind them is only asked for, so that it is there the next time.
        if let Some(entry) = self.entries.get(slot as usize) {
            prefetch(ptr::from_ref(entry).cast());
        }
    }

    fn next_of(&self, slot: u32) -> u32 {
        self.entries.get(slot as usize).map_or(NO_SLOT, |entry| entry.next)
    }

    /// Forgets who was looked at: the front of the queue may be another.
    pub(super) fn forget_seen(&mut self) {
        self.look_ahead.seen = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::cell::RefCell;

    use super::*;
    use crate::order::Order;

    /// A queue of as many numbered tasks, of which there are too many for the caches.
    fn many(count: usize, order: Order) -> Scheduler<usize> {
        let mut scheduler = Scheduler::new(order, 1);
        for n in 0..count {
            scheduler.insert_ready(n);
        }
        scheduler.expect_many(true);
        scheduler
    }

    type Looks = Vec<(usize, Ahead)>;

    /// Takes the next one, and gives its slot, its number and who was looked at.
    fn take(scheduler: &mut Scheduler<usize>) -> Option<(u32, usize, Looks)> {
        let looks = RefCell::new(vec![]);
        let note = |n: &usize, ahead| looks.borrow_mut().push((*n, ahead));
        let (slot, number) = scheduler.take_next(note).map(|(slot, _, n)| (slot, *n))?;
        Some((slot, number, looks.into_inner()))
    }

    fn later(looks: &[(usize, Ahead)]) -> impl Iterator<Item = usize> {
        looks.iter().filter(|(_, ahead)| *ahead == Ahead::Later).map(|(n, _)| *n)
    }

    #[test]
    fn in_a_long_queue_each_is_looked_at_once_a_few_places_ahead() {
        const COUNT: usize = 100;
        // Those that come while others are taken, too.
        for first in LONG as usize + 1..COUNT {
            let mut scheduler = many(first, Order::fifo());
            let mut looked_at_later = vec![];
            for n in 0..COUNT {
                let is_long = scheduler.ready() > LONG as usize;
                let (_, taken, looks) = take(&mut scheduler).unwrap();
                assert_eq!(taken, n);
                if is_long {
                    assert_eq!(looks[0], (n + 1, Ahead::NextOfMany));
                    assert!(n == 0 || looked_at_later.contains(&n));
                } else {
                    let is_next = |(next, ahead)| next == n + 1 && ahead == Ahead::Next;
                    assert_eq!(looks.len(), usize::from(scheduler.ready() > 0));
                    assert!(looks.iter().copied().all(is_next));
                }
                looked_at_later.extend(later(&looks));
                let furthest = looked_at_later.last().map_or(0, |last| last.saturating_sub(n));
                assert!(furthest <= (GROUP + LEFT) as usize, "{furthest} places ahead of {n}");
                if first + n < COUNT {
                    scheduler.insert_ready(first + n);
                }
            }
            assert!(looked_at_later.is_sorted_by(|a, b| a < b), "{looked_at_later:?}");
        }
    }

    #[test]
    fn of_few_the_next_is_looked_at() {
        let mut scheduler = many(20, Order::fifo());
        scheduler.expect_many(false);
        for n in 0..19 {
            assert_eq!(take(&mut scheduler).unwrap().2, [(n + 1, Ahead::Next)]);
        }
        assert_eq!(take(&mut scheduler).unwrap().2, []);
        assert!(take(&mut scheduler).is_none());
    }

    #[test]
    fn who_leaves_the_queue_is_not_looked_at() {
        for evicted in 1..20 {
            let mut scheduler = many(20, Order::fifo());
            let mut looked_at = vec![];
            looked_at.extend(later(&take(&mut scheduler).unwrap().2));
            assert_eq!(scheduler.evict(evicted as u32), Some(evicted));
            let mut left = (1..20).filter(|n| *n != evicted);
            let mut late_looks = vec![];
            while let Some((_, taken, looks)) = take(&mut scheduler) {
                assert_eq!(left.next(), Some(taken));
                if scheduler.ready() >= LONG as usize {
                    assert!(looked_at.contains(&taken), "{taken}, without {evicted}");
                }
                looked_at.extend(later(&looks));
                late_looks.extend(looks);
            }
            assert_eq!(left.next(), None);
            assert!(late_looks.iter().all(|(n, _)| *n != evicted));
        }
    }

    #[test]
    fn with_a_drawn_order_nobody_is_lost() {
        for seed in 0..50 {
            let mut scheduler = many(200, Order::seeded(seed));
            let mut taken = vec![];
            while let Some((slot, number, looks)) = take(&mut scheduler) {
                assert!(looks.len() <= 1 + GROUP as usize);
                assert!(looks.iter().all(|(n, _)| *n != number && !taken.contains(n)));
                taken.push(number);
                if taken.len() % 3 == 0 {
                    scheduler.remove(slot);
                }
            }
            taken.sort_unstable();
            assert!(taken.into_iter().eq(0..200));
        }
    }

    /// Whose entries are in use for other tasks, or vacant.
    #[test]
    fn a_look_by_old_knowledge_does_no_harm() {
        let mut scheduler = many(20, Order::fifo());
        take(&mut scheduler).unwrap();
        let old = Cell::new(scheduler.look_ahead.last);
        while let Some((slot, ..)) = take(&mut scheduler) {
            scheduler.remove(slot);
        }
        for n in 100..112 {
            scheduler.insert_ready(n);
        }
        scheduler.look_ahead.seen = 3;
        scheduler.look_ahead.last = old.get();
        for n in 100..112 {
            assert_eq!(take(&mut scheduler).unwrap().1, n);
        }
        assert!(take(&mut scheduler).is_none());
    }
}
