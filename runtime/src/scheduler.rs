//! The task table and the ready queue.
//!
//! Pure and generic over what a task is: it knows no stack, no fd and no clock, and
//! resumes nobody. It answers which task is next, and turns a wake into a place in the
//! queue.
//!
//! Each wait of a task has a [`Ticket`] of its own, and a wake names the ticket. So a wake
//! that comes too late, for a wait that is over or a task that is gone, is a no-op.
//!
//! The ready queue is a list through the table itself, so that it takes no room of its own
//! and a task that is queued touches no memory but its entry and that of the last.
//!
//! **Invariant:** a task is in the ready queue exactly if its state is `Ready`.

mod look_ahead;

use std::num::NonZeroU64;

use crate::order::CHOICES_MAX;
use crate::order::Order;
use crate::scheduler::look_ahead::LookAhead;
use crate::sys::pages::Pages;

pub(crate) use crate::scheduler::look_ahead::Ahead;

/// The tasks of one hub.
#[derive(Debug)]
pub(crate) struct Scheduler<T> {
    /// Where the entries are, for a debugger.
    pub(crate) table: Table,
    /// A slot keeps its entry when its task has ended: the next one is written in its place.
    entries: Pages<Entry<T>>,
    /// The slot that is used next; `NO_SLOT` if all are in use.
    vacant: u32,
    /// How many are in use.
    len: usize,
    /// The ends of the ready queue; valid if `ready` is not zero.
    first: u32,
    last: u32,
    ready: u32,
    look_ahead: LookAhead,
    order: Order,
    /// The number of the ticket given out next.
    next_ticket: NonZeroU64,
}

/// One task with its place in the queue. A task whose first 50 bytes are what a switch
/// reads is switched to and from with one line of the processor's cache.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Entry<T> {
    /// Names the wait that the task is in, or enters next.
    ticket: NonZeroU64,
    /// The one behind it in the queue, if it is ready and not the last; the next vacant slot,
    /// if this one is vacant.
    next: u32,
    pub(crate) state: State,
    /// How its last wait ended; valid if it is ready or runs.
    outcome: Outcome,
    /// What the hub keeps of it; `None` if the slot is vacant.
    pub(crate) task: Option<T>,
}

/// Where the entries are, and how many.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Table {
    pub(crate) address: usize,
    pub(crate) len: usize,
}

const NO_SLOT: u32 = u32::MAX;

/// Where a task stands. A debugger knows it by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// In the ready queue.
    Ready,
    /// Its code runs.
    Running,
    /// Waits for a wake.
    Blocked,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// What was waited for may be there.
    Woken,
    /// The deadline of the wait has passed.
    TimedOut,
    /// A kill or an outer timeout wants the task.
    Interrupted,
}

/// Names one wait of one task of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) slot: u32,
    /// Never zero, so that an optional ticket is no larger.
    pub(crate) number: NonZeroU64,
}

impl<T> Scheduler<T> {
    /// Makes an empty table. Its tickets are numbered from `first_ticket`.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn new(order: Order, first_ticket: u64) -> Scheduler<T> {
        Scheduler::over(Pages::new(), order, first_ticket)
    }

    /// The same in memory that is empty, and may have room.
    pub(crate) fn over(entries: Pages<Entry<T>>, order: Order, first_ticket: u64) -> Scheduler<T> {
        let next_ticket = NonZeroU64::new(first_ticket).expect("tickets are numbered from one");
        Scheduler {
            table: Table { address: 0, len: 0 },
            entries,
            vacant: NO_SLOT,
            len: 0,
            first: 0,
            last: 0,
            ready: 0,
            look_ahead: LookAhead::NONE,
            order,
            next_ticket,
        }
    }

    /// Adds a task that is already running: the root.
    pub(crate) fn insert_running(&mut self, task: T) -> u32 {
        self.insert(task, State::Running)
    }

    /// Adds a task that waits for its first wake, and gives the name of that wait.
    pub(crate) fn insert_blocked(&mut self, task: T) -> Ticket {
        let slot = self.insert(task, State::Blocked);
        self.ticket(slot)
    }

    /// Adds a task at the end of the ready queue.
    #[inline(always)]
    pub(crate) fn insert_ready(&mut self, task: T) -> u32 {
        let slot = self.insert(task, State::Ready);
        self.append(slot);
        slot
    }

    // In the frame of who makes the task, which then needs no place of its own.
    #[inline(always)]
    fn insert(&mut self, task: T, state: State) -> u32 {
        if self.vacant == NO_SLOT {
            self.add_entry();
        }
        let slot = self.vacant;
        let entry = &mut self.entries[slot as usize];
        self.vacant = entry.next;
        self.len += 1;
        entry.ticket = take_number(&mut self.next_ticket);
        entry.state = state;
        entry.outcome = Outcome::Woken;
        entry.task = Some(task);
        slot
    }

    #[cold]
    fn add_entry(&mut self) {
        let slot = u32::try_from(self.entries.len()).expect("fewer than 2^32 tasks");
        assert!(slot < NO_SLOT);
        self.entries.push(Entry {
            ticket: NonZeroU64::MIN,
            next: self.vacant,
            state: State::Running,
            outcome: Outcome::Woken,
            task: None,
        });
        self.vacant = slot;
        self.table = Table { address: self.entries.as_ptr().addr(), len: self.entries.len() };
    }

    /// How many tasks there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many tasks could run.
    pub(crate) fn ready(&self) -> usize {
        self.ready as usize
    }

    /// Whether a task could run.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        self.ready != 0
    }

    /// The task in a slot.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.entries.get(slot as usize)?.task.as_ref()
    }

    /// The task in a slot.
    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.entries.get_mut(slot as usize)?.task.as_mut()
    }

    /// Where the task in a slot stands.
    pub(crate) fn state(&self, slot: u32) -> Option<State> {
        let entry = self.entries.get(slot as usize)?;
        entry.task.as_ref().map(|_| entry.state)
    }

    /// All tasks with their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, State, &T)> {
        let slots = self.entries.iter().zip(0..);
        slots.filter_map(|(entry, slot)| Some((slot, entry.state, entry.task.as_ref()?)))
    }

    /// The name of the wait that a task is in, or enters next.
    #[inline]
    pub(crate) fn ticket(&self, slot: u32) -> Ticket {
        Ticket { slot, number: self.entries[slot as usize].ticket }
    }

    /// Takes the next task from the queue and makes it the running one. `look` is given the one
    /// that would be taken after it; in a long queue of many also each some places ahead.
    #[inline]
    pub(crate) fn take_next(&mut self, look: impl Fn(&T, Ahead)) -> Option<(u32, Outcome, &mut T)> {
        if self.ready == 0 {
            return None;
        }
        if self.order.is_seeded() {
            self.choose();
        }
        let slot = self.first;
        let next = self.entries[slot as usize].next;
        if self.ready != 1 {
            self.look_behind_first(next, look);
        }
        let entry = &mut self.entries[slot as usize];
        debug_assert_eq!(entry.state, State::Ready);
        self.first = next;
        self.ready -= 1;
        entry.state = State::Running;
        let task = entry.task.as_mut().expect("a ready slot has a task");
        Some((slot, entry.outcome, task))
    }

    /// The same without a look ahead.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn next(&mut self) -> Option<(u32, Outcome, &mut T)> {
        self.take_next(|_, _| ())
    }

    /// The task that would be taken next.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn peek(&self) -> Option<&T> {
        let slot = self.has_ready().then_some(self.first)?;
        self.get(slot)
    }

    /// Makes the running task wait for its ticket, which is given, if `check` agrees.
    #[inline(always)]
    pub(crate) fn block_if(
        &mut self,
        slot: u32,
        check: impl FnOnce(&mut T) -> bool,
    ) -> Option<Ticket> {
        let entry = &mut self.entries[slot as usize];
        debug_assert_eq!(entry.state, State::Running);
        if !check(entry.task.as_mut().expect("the running slot has a task")) {
            return None;
        }
        entry.state = State::Blocked;
        Some(Ticket { slot, number: entry.ticket })
    }

    /// Puts the running task at the end of the ready queue, if `check` agrees.
    #[inline]
    pub(crate) fn requeue_if(&mut self, slot: u32, check: impl FnOnce(&mut T) -> bool) -> bool {
        let entry = &mut self.entries[slot as usize];
        debug_assert_eq!(entry.state, State::Running);
        if !check(entry.task.as_mut().expect("the running slot has a task")) {
            return false;
        }
        entry.state = State::Ready;
        entry.outcome = Outcome::Woken;
        self.append(slot);
        true
    }

    /// Ends the wait that a ticket names: its task goes to the end of the ready queue.
    /// False if that wait is over already.
    #[inline]
    pub(crate) fn wake(&mut self, ticket: Ticket, outcome: Outcome) -> bool {
        match self.entries.get_mut(ticket.slot as usize) {
            Some(entry) if entry.ticket == ticket.number && entry.state == State::Blocked => {
                entry.ticket = take_number(&mut self.next_ticket);
                entry.state = State::Ready;
                entry.outcome = outcome;
                self.append(ticket.slot);
                true
            }
            _ => false,
        }
    }

    /// Ends the wait of a task, whichever it is.
    #[inline]
    pub(crate) fn wake_slot(&mut self, slot: u32) {
        if let Some(entry) = self.entries.get_mut(slot as usize)
            && entry.state == State::Blocked
        {
            entry.ticket = take_number(&mut self.next_ticket);
            entry.state = State::Ready;
            entry.outcome = Outcome::Woken;
            self.append(slot);
        }
    }

    /// Voids the ticket of a wait that the task did not enter.
    pub(crate) fn void_ticket(&mut self, slot: u32) {
        self.entries[slot as usize].ticket = take_number(&mut self.next_ticket);
    }

    /// The number of the ticket given out next.
    pub(crate) fn next_ticket(&self) -> u64 {
        self.next_ticket.get()
    }

    /// Drops a task that is not in the queue.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) {
        let entry = &mut self.entries[slot as usize];
        debug_assert_ne!(entry.state, State::Ready);
        // Not `Blocked`, so that no late wake takes it for a task.
        entry.state = State::Running;
        entry.task = None;
        entry.next = self.vacant;
        self.vacant = slot;
        self.len -= 1;
    }

    /// Takes a task out, wherever it stands; for those that are given up.
    ///
    /// The slot is never used again, since others may still name it.
    pub(crate) fn evict(&mut self, slot: u32) -> Option<T> {
        if self.state(slot)? == State::Ready {
            self.forget_seen();
            let position = self.position(slot);
            if position != 0 {
                self.bring_forward(position);
            }
            self.first = self.entries[slot as usize].next;
            self.ready -= 1;
            self.entries[slot as usize].state = State::Blocked;
        }
        let entry = &mut self.entries[slot as usize];
        // Not `Blocked`, so that no late wake takes it for a task.
        entry.state = State::Running;
        self.len -= 1;
        entry.task.take()
    }

    /// The order in which this hub chooses.
    pub(crate) fn order(&mut self) -> &mut Order {
        &mut self.order
    }

    #[inline]
    fn append(&mut self, slot: u32) {
        if self.ready == 0 {
            self.first = slot;
        } else {
            self.entries[self.last as usize].next = slot;
        }
        self.last = slot;
        self.ready += 1;
    }

    /// How many are before a ready task.
    fn position(&self, slot: u32) -> usize {
        let mut at = self.first;
        let mut position = 0;
        while at != slot {
            at = self.entries[at as usize].next;
            position += 1;
        }
        position
    }

    /// Puts the one that the seed chooses to the front.
    #[cold]
    fn choose(&mut self) {
        let chosen = self.order.pick((self.ready as usize).min(CHOICES_MAX));
        if chosen != 0 {
            self.bring_forward(chosen);
        }
    }

    /// Moves the one at `position`, not the first, to the front of the queue.
    #[cold]
    fn bring_forward(&mut self, position: usize) {
        self.forget_seen();
        let mut before = self.first;
        for _ in 1..position {
            before = self.entries[before as usize].next;
        }
        let chosen = self.entries[before as usize].next;
        self.entries[before as usize].next = self.entries[chosen as usize].next;
        if self.last == chosen {
            self.last = before;
        }
        self.entries[chosen as usize].next = self.first;
        self.first = chosen;
    }
}

/// Gives the next number of a ticket. It would take centuries to use them up.
#[inline]
fn take_number(next: &mut NonZeroU64) -> NonZeroU64 {
    let number = *next;
    *next = number.saturating_add(1);
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduler(names: &[&'static str]) -> Scheduler<&'static str> {
        let mut scheduler = Scheduler::new(Order::fifo(), 1);
        for name in names {
            scheduler.insert_ready(*name);
        }
        scheduler
    }

    fn next(scheduler: &mut Scheduler<&'static str>) -> Option<&'static str> {
        scheduler.next().map(|(_, _, name)| *name)
    }

    #[test]
    fn tasks_start_in_the_order_of_their_spawning() {
        let mut scheduler = scheduler(&["a", "b", "c"]);
        assert_eq!(next(&mut scheduler), Some("a"));
        assert_eq!(next(&mut scheduler), Some("b"));
        assert_eq!(next(&mut scheduler), Some("c"));
        assert_eq!(next(&mut scheduler), None);
    }

    #[test]
    fn a_task_may_begin_with_a_wait() {
        let mut scheduler = scheduler(&["a"]);
        let ticket = scheduler.insert_blocked("late");
        assert_eq!(next(&mut scheduler), Some("a"));
        assert_eq!(next(&mut scheduler), None);
        assert!(scheduler.wake(ticket, Outcome::TimedOut));
        assert!(!scheduler.wake(ticket, Outcome::Interrupted));
        assert_eq!(next(&mut scheduler), Some("late"));
        assert_eq!(scheduler.len(), 2);
    }

    #[test]
    fn a_requeued_task_goes_behind_the_others() {
        let mut scheduler = scheduler(&["a", "b"]);
        let (slot, _, _) = scheduler.next().unwrap();
        assert!(scheduler.requeue_if(slot, |_| true));
        assert_eq!(next(&mut scheduler), Some("b"));
        assert_eq!(next(&mut scheduler), Some("a"));
    }

    #[test]
    fn a_wake_works_once() {
        let mut scheduler = scheduler(&["a"]);
        let (slot, _, _) = scheduler.next().unwrap();
        let ticket = scheduler.ticket(slot);
        assert!(scheduler.block_if(slot, |_| true).is_some());
        assert!(scheduler.wake(ticket, Outcome::Woken));
        assert!(!scheduler.wake(ticket, Outcome::TimedOut));
        assert_eq!(scheduler.next().unwrap().1, Outcome::Woken);
        // In the next wait the old ticket means nothing.
        assert!(scheduler.block_if(slot, |_| true).is_some());
        assert!(!scheduler.wake(ticket, Outcome::Woken));
    }

    #[test]
    fn a_ticket_does_not_outlive_its_task() {
        let mut scheduler = scheduler(&["a"]);
        let (slot, _, _) = scheduler.next().unwrap();
        let ticket = scheduler.ticket(slot);
        scheduler.remove(slot);
        assert!(!scheduler.wake(ticket, Outcome::Woken));
        assert_eq!(scheduler.insert_ready("b"), slot, "the slot is used again");
        assert_eq!(scheduler.len(), 1);
        scheduler.next().unwrap();
        assert!(scheduler.block_if(slot, |_| true).is_some());
        assert!(!scheduler.wake(ticket, Outcome::Woken));
    }

    #[test]
    fn a_voided_ticket_wakes_nobody() {
        let mut scheduler = scheduler(&["a"]);
        let (slot, _, _) = scheduler.next().unwrap();
        let ticket = scheduler.ticket(slot);
        scheduler.void_ticket(slot);
        assert!(scheduler.block_if(slot, |_| true).is_some());
        assert!(!scheduler.wake(ticket, Outcome::Woken));
    }

    #[test]
    fn an_evicted_task_leaves_the_queue() {
        for evicted in 0..3 {
            let mut scheduler = scheduler(&["a", "b", "c"]);
            let name = scheduler.evict(evicted).unwrap();
            assert!(scheduler.evict(evicted).is_none());
            let left = [next(&mut scheduler), next(&mut scheduler), next(&mut scheduler)];
            let expected = ["a", "b", "c"].into_iter().filter(|other| *other != name);
            assert_eq!(
                left.into_iter().flatten().collect::<Vec<_>>(),
                expected.collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_seed_shuffles_and_loses_nobody() {
        let mut scheduler = Scheduler::new(Order::seeded(3), 1);
        for n in 0..50 {
            scheduler.insert_ready(n);
        }
        let mut seen: Vec<i32> = Vec::new();
        while let Some((_, _, n)) = scheduler.next() {
            seen.push(*n);
        }
        assert_ne!(seen, (0..50).collect::<Vec<_>>());
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
    }
}
