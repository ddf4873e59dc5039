//! What epoll said of each registered fd, and which tasks wait for more.
//!
//! Pure: it knows numbers and bits, and makes no call. The entry of an fd is found by its
//! number and checked by the id of its owner, since numbers are used again; an event names
//! the generation of the entry, since it may be older than the entry.
//!
//! Registrations are edge-triggered, so an edge must not be lost: a direction stays worth a
//! call until one has found it empty. An edge wakes one waiter, and that one passes the
//! baton when it leaves something behind.
//!
//! **Invariant:** a direction that is ready has no waiter that was not woken since, but
//! for those behind the one who holds the baton.

use std::collections::VecDeque;
use std::os::fd::RawFd;

use crate::order::Order;
use crate::scheduler::Ticket;
use crate::sys::epoll;

/// One direction of an fd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Data, an end of the stream, or a connection to accept.
    Read,
    /// Room to write, or a connection made.
    Write,
}

/// What is known of one direction of a registered fd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// A call found nothing; an edge will tell.
    No,
    /// Nobody knows: it was just registered, or a call has used what an edge told of and
    /// may have left something.
    Untried,
    /// An edge has told, and no call was made since.
    Yes,
}

/// What follows from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) fd: RawFd,
    /// Whom to wake, for each direction.
    pub(crate) woken: [Option<Ticket>; 2],
}

/// The registered fds of one hub.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    /// Indexed by fd.
    entries: Vec<Entry>,
    /// How many fds have an entry.
    registered: usize,
    /// How many tasks wait for each direction of an fd.
    waiting: [usize; 2],
    /// The generation given out last.
    generations: u32,
}

#[derive(Debug)]
struct Entry {
    /// The owner of the fd; zero is nobody.
    id: u64,
    generation: u32,
    ready: [Ready; 2],
    /// An end, an error or urgent data was seen: from then on only a real call tells.
    sticky: bool,
    /// How epoll was told of the fd; while the entry is nobody's, what was left there.
    told: Told,
    waiters: [Waiters; 2],
}

/// How epoll was told of an fd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// To tell of all changes. Of an entry that is nobody's: nothing is known.
    Changes,
    /// To tell that a direction is ready, once.
    Once(Direction),
    /// That, and it has told; now it tells nothing, unless the number is another file's.
    Spent,
}

/// Tasks that wait for one direction, the one that came first at the front.
#[derive(Debug, Default)]
struct Waiters {
    first: Option<Ticket>,
    /// Few fds ever have a second waiter, and an entry is to fit a cache line.
    #[expect(clippy::box_collection, reason = "8 bytes instead of 32")]
    others: Option<Box<VecDeque<Ticket>>>,
}

/// An entry that fits a line of the processor's cache costs one miss, if any.
const _: () = assert!(size_of::<Entry>() <= 64);

/// The bits that an entry is registered for, unless it is for one wait only.
pub(crate) const BITS: u32 = epoll::IN | epoll::OUT | epoll::RDHUP | epoll::PRI | epoll::EDGE;

const READ_BITS: u32 = epoll::IN | epoll::RDHUP | epoll::HUP | epoll::ERR;
const WRITE_BITS: u32 = epoll::OUT | epoll::HUP | epoll::ERR;
const STICKY_BITS: u32 = epoll::RDHUP | epoll::HUP | epoll::ERR | epoll::PRI;

impl Readiness {
    /// Makes an entry for an fd that is being registered, in the place of an older one,
    /// and gives the data word of its events. Both directions are taken to be ready until
    /// a call says otherwise.
    pub(crate) fn insert(&mut self, fd: RawFd, id: u64) -> u64 {
        self.insert_as(fd, id, [Ready::Untried; 2], Told::Changes)
    }

    /// Makes an entry for an fd of others that is registered for one wait only, which must be
    /// [`vacant`](Readiness::is_vacant). Gives the data word and the bits of its event, and
    /// whether a registration may have been left.
    pub(crate) fn insert_once(
        &mut self,
        fd: RawFd,
        id: u64,
        direction: Direction,
    ) -> (u64, u32, bool) {
        let was_spent = self.entries.get(fd as usize).is_some_and(|one| one.told == Told::Spent);
        let told = Told::Once(direction);
        (self.insert_as(fd, id, [Ready::No; 2], told), told.bits(), was_spent)
    }

    /// Removes that entry, if it still belongs to `id`, whoever waits there. Whether its event
    /// has come, so that a registration without effect is left; `None` if it was another's.
    pub(crate) fn remove_once(&mut self, fd: RawFd, id: u64) -> Option<bool> {
        let entry = self.entries.get(fd as usize).filter(|entry| entry.id == id)?;
        let has_come = entry.ready.contains(&Ready::Yes);
        self.remove(fd);
        if has_come {
            self.entries[fd as usize].told = Told::Spent;
        }
        Some(has_come)
    }

    /// Whether nobody has the entry of an fd.
    pub(crate) fn is_vacant(&self, fd: RawFd) -> bool {
        self.entries.get(fd as usize).is_none_or(|entry| entry.id == 0)
    }

    fn insert_as(&mut self, fd: RawFd, id: u64, ready: [Ready; 2], told: Told) -> u64 {
        let index = index_of(fd);
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, Entry::vacant);
        }
        self.generations = self.generations.wrapping_add(1);
        let entry = &mut self.entries[index];
        self.registered += usize::from(entry.id == 0);
        debug_assert!(entry.waiters.iter().all(|waiters| waiters.first.is_none()));
        *entry = Entry { id, generation: self.generations, ready, told, ..Entry::vacant() };
        data_of(index, self.generations)
    }

    /// Whether the entry of an fd belongs to `id`.
    #[inline]
    pub(crate) fn holds(&self, fd: RawFd, id: u64) -> bool {
        self.entries.get(fd as usize).is_some_and(|entry| entry.id == id)
    }

    /// Whether the entry of an fd belongs to `id`, or to an owner before that one, under
    /// which the fd was closed by other code.
    pub(crate) fn holds_up_to(&self, fd: RawFd, id: u64) -> bool {
        self.entries.get(fd as usize).is_some_and(|entry| (1..=id).contains(&entry.id))
    }

    /// Removes the entry of an fd, whoever owns it, and gives the tasks that waited.
    pub(crate) fn remove(&mut self, fd: RawFd) -> Vec<Ticket> {
        let Some(entry) = self.entries.get_mut(fd as usize) else { return Vec::new() };
        let old = std::mem::replace(entry, Entry::vacant());
        self.registered -= usize::from(old.id != 0);
        let mut left = Vec::new();
        for (waiters, waiting) in old.waiters.into_iter().zip(&mut self.waiting) {
            let before = left.len();
            left.extend(waiters.first);
            left.extend(waiters.others.into_iter().flat_map(|others| *others));
            *waiting -= left.len() - before;
        }
        left
    }

    /// Whether anybody waits for an fd, whoever owns its entry.
    #[inline]
    pub(crate) fn has_waiters(&self, fd: RawFd) -> bool {
        self.is_waited_for(fd, Direction::Read) || self.is_waited_for(fd, Direction::Write)
    }

    /// Whether anybody waits for a direction of an fd, whoever owns its entry.
    #[inline]
    pub(crate) fn is_waited_for(&self, fd: RawFd, direction: Direction) -> bool {
        let entry = self.entries.get(fd as usize);
        entry.is_some_and(|entry| entry.waiters[direction as usize].first.is_some())
    }

    /// Whether a call in this direction is worth making: false only if epoll will tell of
    /// a change. An fd that is not registered is worth a try. So is a write, unless others
    /// wait for their turn: epoll tells of room only when a third is free.
    #[inline]
    pub(crate) fn may_be_ready(&self, fd: RawFd, id: u64, direction: Direction) -> bool {
        if direction == Direction::Write && self.waiting[Direction::Write as usize] == 0 {
            return true;
        }
        match self.entries.get(fd as usize) {
            Some(entry) if entry.id == id => {
                entry.ready[direction as usize] != Ready::No
                    || entry.sticky
                    || (direction == Direction::Write && entry.waiters[1].first.is_none())
            }
            _ => true,
        }
    }

    /// What is known of a direction; `None` if the fd is not registered.
    #[inline]
    pub(crate) fn known(&self, fd: RawFd, id: u64, direction: Direction) -> Option<Ready> {
        let entry = self.entries.get(fd as usize).filter(|entry| entry.id == id)?;
        Some(match entry.ready[direction as usize] {
            Ready::No if entry.sticky => Ready::Untried,
            // Writes that had room do not note that they have used some of it.
            Ready::Yes if direction == Direction::Write => Ready::Untried,
            ready => ready,
        })
    }

    /// Whether an end or an error may have been seen; an fd that is not registered may have
    /// any.
    pub(crate) fn may_have_failed(&self, fd: RawFd, id: u64) -> bool {
        let entry = self.entries.get(fd as usize).filter(|entry| entry.id == id);
        entry.is_none_or(|entry| entry.sticky)
    }

    /// Notes that a call found nothing left in this direction.
    #[inline]
    pub(crate) fn clear(&mut self, fd: RawFd, id: u64, direction: Direction) {
        if let Some(entry) = self.entries.get_mut(fd as usize)
            && entry.id == id
        {
            entry.ready[direction as usize] = Ready::No;
        }
    }

    /// Notes that a call has used some of what was there; if `drained`, all of it, though no
    /// EAGAIN has said so: after an end, an error or urgent data that proves nothing. Whether
    /// somebody waits for what may be left.
    #[inline]
    pub(crate) fn note_call(
        &mut self,
        fd: RawFd,
        id: u64,
        direction: Direction,
        drained: bool,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(fd as usize).filter(|entry| entry.id == id) else {
            return false;
        };
        let ready = &mut entry.ready[direction as usize];
        *ready = match *ready {
            _ if drained && !entry.sticky => Ready::No,
            Ready::No if !drained => Ready::No,
            _ => Ready::Untried,
        };
        let may_be_left = *ready != Ready::No || entry.sticky;
        may_be_left && entry.waiters[direction as usize].first.is_some()
    }

    /// Adds a waiter: at the end, or where it was if it had its turn and lost the race.
    #[inline]
    pub(crate) fn enqueue(
        &mut self,
        fd: RawFd,
        direction: Direction,
        ticket: Ticket,
        had_its_turn: bool,
    ) {
        self.waiting[direction as usize] += 1;
        let waiters = &mut self.entries[fd as usize].waiters[direction as usize];
        match waiters.first {
            None => waiters.first = Some(ticket),
            Some(first) => waiters.join(first, ticket, had_its_turn),
        }
    }

    /// Removes a waiter that leaves unwoken; it may have been taken out already.
    pub(crate) fn dequeue(&mut self, fd: RawFd, direction: Direction, ticket: Ticket) {
        let Some(entry) = self.entries.get_mut(fd as usize) else { return };
        if entry.waiters[direction as usize].remove(ticket) {
            self.waiting[direction as usize] -= 1;
        }
    }

    /// Removes every waiter of the task slots that `is_meant` names, whatever it waits for: their
    /// tasks are given up.
    pub(crate) fn forget_slots(&mut self, is_meant: impl Fn(u32) -> bool) {
        for entry in &mut self.entries {
            for (waiters, waiting) in entry.waiters.iter_mut().zip(&mut self.waiting) {
                *waiting -= waiters.remove_slots(&is_meant);
            }
        }
    }

    /// The registered fds that nobody waits for.
    pub(crate) fn unwatched(&self) -> Vec<RawFd> {
        let is_unwatched =
            |entry: &Entry| entry.waiters.iter().all(|waiters| waiters.first.is_none());
        let entries = (0..).zip(&self.entries);
        let unwatched = entries.filter(|(_, entry)| entry.id != 0 && is_unwatched(entry));
        unwatched.map(|(fd, _)| fd).collect()
    }

    /// The registered fds, with the data words and the bits of their events: for another epoll
    /// instance, which tells of what is ready as if it were new.
    pub(crate) fn registrations(&self) -> Vec<(RawFd, u64, u32)> {
        let entries = (0..).zip(&self.entries).filter(|(_, entry)| entry.id != 0);
        let data = |fd: RawFd, entry: &Entry| data_of(fd as usize, entry.generation);
        entries.map(|(fd, entry)| (fd, data(fd, entry), entry.told.bits())).collect()
    }

    /// Takes the waiter whose turn it is, if there is something for it.
    #[inline]
    pub(crate) fn pass_on(
        &mut self,
        fd: RawFd,
        direction: Direction,
        order: &mut Order,
    ) -> Option<Ticket> {
        let entry = self.entries.get_mut(fd as usize)?;
        if entry.ready[direction as usize] == Ready::No && !entry.sticky {
            return None;
        }
        let taken = entry.waiters[direction as usize].take(order)?;
        self.waiting[direction as usize] -= 1;
        Some(taken)
    }

    /// Notes an event, and takes the waiter whose turn it is in each direction. `None` if the
    /// entry of the fd does not stand any more.
    #[inline]
    pub(crate) fn note(&mut self, data: u64, bits: u32, order: &mut Order) -> Option<Noted> {
        let index = data as u32 as usize;
        let entry = self.entries.get_mut(index)?;
        if entry.id == 0 || entry.generation != (data >> 32) as u32 {
            return None;
        }
        let mut woken = [None; 2];
        if bits & READ_BITS != 0 {
            entry.ready[Direction::Read as usize] = Ready::Yes;
        }
        entry.sticky |= bits & STICKY_BITS != 0;
        // An urgent byte alone says nothing of the stream, but who waits may look.
        if bits & (READ_BITS | STICKY_BITS) != 0
            && let Some(ticket) = entry.waiters[Direction::Read as usize].take(order)
        {
            self.waiting[Direction::Read as usize] -= 1;
            woken[Direction::Read as usize] = Some(ticket);
        }
        if bits & WRITE_BITS != 0 {
            entry.ready[Direction::Write as usize] = Ready::Yes;
            if let Some(ticket) = entry.waiters[Direction::Write as usize].take(order) {
                self.waiting[Direction::Write as usize] -= 1;
                woken[Direction::Write as usize] = Some(ticket);
            }
        }
        Some(Noted { fd: index as RawFd, woken })
    }

    /// How many tasks wait for an fd.
    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.iter().sum()
    }

    /// How many fds have an entry.
    #[inline]
    pub(crate) fn registered(&self) -> usize {
        self.registered
    }
}

impl Entry {
    fn vacant() -> Entry {
        let waiters = [Waiters::default(), Waiters::default()];
        let (ready, told) = ([Ready::No; 2], Told::Changes);
        Entry { id: 0, generation: 0, ready, sticky: false, told, waiters }
    }
}

impl Told {
    /// The bits that an fd is registered for.
    fn bits(self) -> u32 {
        match self {
            Told::Changes | Told::Spent => BITS,
            Told::Once(Direction::Read) => epoll::IN | epoll::ONCE,
            Told::Once(Direction::Write) => epoll::OUT | epoll::ONCE,
        }
    }
}

impl Waiters {
    /// Adds one to those that there are.
    #[cold]
    fn join(&mut self, first: Ticket, ticket: Ticket, had_its_turn: bool) {
        let others = self.others.get_or_insert_default();
        if had_its_turn {
            others.push_front(first);
            self.first = Some(ticket);
        } else {
            others.push_back(ticket);
        }
    }

    #[inline]
    fn take(&mut self, order: &mut Order) -> Option<Ticket> {
        let first = self.first?;
        if self.others.is_some() {
            return self.take_one_of(first, order);
        }
        self.first = None;
        Some(first)
    }

    /// Takes one, where there are or were several.
    #[cold]
    fn take_one_of(&mut self, first: Ticket, order: &mut Order) -> Option<Ticket> {
        let others = self.others.as_mut().expect("there were several");
        let chosen = order.pick(1 + others.len());
        if chosen > 0 {
            return others.remove(chosen - 1);
        }
        self.first = others.pop_front();
        Some(first)
    }

    fn remove(&mut self, ticket: Ticket) -> bool {
        if self.first == Some(ticket) {
            self.first = self.others.as_mut().and_then(|others| others.pop_front());
            return true;
        }
        let Some(others) = &mut self.others else { return false };
        let position = others.iter().position(|other| *other == ticket);
        position.is_some_and(|position| others.remove(position).is_some())
    }

    /// How many were removed.
    fn remove_slots(&mut self, is_meant: impl Fn(u32) -> bool) -> usize {
        let mut removed = 0;
        if let Some(others) = &mut self.others {
            let before = others.len();
            others.retain(|other| !is_meant(other.slot));
            removed += before - others.len();
        }
        if self.first.is_some_and(|first| is_meant(first.slot)) {
            self.first = self.others.as_mut().and_then(|others| others.pop_front());
            removed += 1;
        }
        removed
    }
}

/// The data word of an entry's events.
fn data_of(index: usize, generation: u32) -> u64 {
    u64::from(generation) << 32 | index as u64
}

fn index_of(fd: RawFd) -> usize {
    usize::try_from(fd).expect("an open fd is not negative")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::Scheduler;

    fn tickets<const N: usize>() -> [Ticket; N] {
        let mut scheduler = Scheduler::new(Order::fifo(), 1);
        std::array::from_fn(|n| {
            let slot = scheduler.insert_ready(n);
            scheduler.ticket(slot)
        })
    }

    /// Notes an event; gives whom it wakes.
    fn note(table: &mut Readiness, data: u64, bits: u32) -> Option<[Option<Ticket>; 2]> {
        table.note(data, bits, &mut Order::fifo()).map(|noted| noted.woken)
    }

    fn take_read(table: &mut Readiness, fd: RawFd) -> Option<Ticket> {
        table.pass_on(fd, Direction::Read, &mut Order::fifo())
    }

    #[test]
    fn an_event_of_an_older_generation_is_dropped() {
        let mut table = Readiness::default();
        let old = table.insert(5, 1);
        table.remove(5);
        let new = table.insert(5, 2);
        assert_eq!(note(&mut table, old, epoll::IN), None);
        assert_eq!(note(&mut table, new, epoll::IN), Some([None, None]), "nobody waits");
        let [ticket] = tickets();
        table.enqueue(5, Direction::Read, ticket, false);
        assert_eq!(note(&mut table, new, epoll::IN | epoll::OUT), Some([Some(ticket), None]));
        assert_eq!(table.waiting(), 0);
        assert_eq!(note(&mut table, u64::from(u32::MAX), epoll::IN), None);
    }

    #[test]
    fn what_is_watched_for_one_wait_leaves_nothing_that_tells() {
        let mut table = Readiness::default();
        let [reader, writer] = tickets();
        let (data, bits, was_spent) = table.insert_once(4, 1, Direction::Read);
        assert_eq!((bits, was_spent), (epoll::IN | epoll::ONCE, false));
        assert_eq!(table.registrations(), [(4, data, bits)]);
        table.enqueue(4, Direction::Read, reader, false);
        assert_eq!(note(&mut table, data, epoll::HUP), Some([Some(reader), None]));
        assert_eq!(table.remove_once(4, 1), Some(true));
        assert_eq!(table.remove_once(4, 1), None, "it is gone");
        assert!(table.is_vacant(4) && table.registered() == 0);
        // Another direction, and a wait that nothing has come of: the registration is taken back.
        let (data, bits, was_spent) = table.insert_once(4, 2, Direction::Write);
        assert_eq!((bits, was_spent), (epoll::OUT | epoll::ONCE, true));
        assert!(!table.is_vacant(4));
        table.enqueue(4, Direction::Write, writer, false);
        assert_eq!(table.remove_once(4, 2), Some(false));
        assert_eq!((table.waiting(), note(&mut table, data, epoll::OUT)), (0, None));
        assert!(!table.insert_once(4, 3, Direction::Read).2);
        // An owner takes the number over.
        table.remove(4);
        table.insert(4, 4);
        assert_eq!(table.remove_once(4, 3), None);
        assert!(table.holds(4, 4) && table.registrations()[0].2 == BITS);
    }

    #[test]
    fn an_edge_without_a_waiter_is_kept() {
        let mut table = Readiness::default();
        let data = table.insert(3, 1);
        table.clear(3, 1, Direction::Read);
        assert!(!table.may_be_ready(3, 1, Direction::Read));
        note(&mut table, data, epoll::IN);
        assert!(table.may_be_ready(3, 1, Direction::Read));
    }

    #[test]
    fn a_sticky_bit_forces_real_calls() {
        for bit in [epoll::RDHUP, epoll::HUP, epoll::ERR, epoll::PRI] {
            let mut table = Readiness::default();
            let data = table.insert(3, 1);
            note(&mut table, data, epoll::IN | bit);
            table.note_call(3, 1, Direction::Read, true);
            assert!(table.may_be_ready(3, 1, Direction::Read));
        }
    }

    #[test]
    fn what_a_call_has_used_is_in_doubt() {
        let mut table = Readiness::default();
        let data = table.insert(3, 1);
        let known = |table: &Readiness, direction| table.known(3, 1, direction);
        assert_eq!(known(&table, Direction::Read), Some(Ready::Untried));
        note(&mut table, data, epoll::IN | epoll::OUT);
        assert_eq!(known(&table, Direction::Read), Some(Ready::Yes));
        assert_eq!(known(&table, Direction::Write), Some(Ready::Untried), "it may be used up");
        table.note_call(3, 1, Direction::Read, false);
        assert_eq!(known(&table, Direction::Read), Some(Ready::Untried));
        table.clear(3, 1, Direction::Read);
        table.note_call(3, 1, Direction::Read, false);
        assert_eq!(known(&table, Direction::Read), Some(Ready::No), "nothing was found");
        note(&mut table, data, epoll::PRI);
        assert_eq!(known(&table, Direction::Read), Some(Ready::Untried), "only a call tells");
    }

    #[test]
    fn a_write_is_worth_a_call_unless_others_wait() {
        let [a] = tickets();
        let mut table = Readiness::default();
        table.insert(3, 1);
        table.clear(3, 1, Direction::Write);
        table.clear(3, 1, Direction::Read);
        assert!(table.may_be_ready(3, 1, Direction::Write));
        assert!(!table.may_be_ready(3, 1, Direction::Read));
        table.enqueue(3, Direction::Write, a, false);
        assert!(!table.may_be_ready(3, 1, Direction::Write));
    }

    #[test]
    fn a_slot_is_forgotten_in_every_queue() {
        let [a, b, c] = tickets();
        let mut table = Readiness::default();
        for fd in [3, 7] {
            table.insert(fd, 1);
            for ticket in [a, b, a, c] {
                table.enqueue(fd, Direction::Read, ticket, false);
            }
            table.enqueue(fd, Direction::Write, a, false);
        }
        table.forget_slots(|slot| slot == a.slot);
        assert_eq!(table.waiting(), 4);
        assert_eq!(table.remove(3), [b, c]);
        assert_eq!(table.remove(7), [b, c]);
        assert_eq!(table.waiting(), 0);
    }

    #[test]
    fn an_entry_of_an_owner_before_is_found() {
        let mut table = Readiness::default();
        assert!(!table.holds_up_to(3, 9), "no entry");
        table.insert(3, 5);
        assert!(table.holds_up_to(3, 5) && table.holds_up_to(3, 6));
        assert!(!table.holds_up_to(3, 4), "a later owner of the number");
        table.remove(3);
        assert!(!table.holds_up_to(3, 9), "vacant");
    }

    #[test]
    fn waiters_are_first_in_first_out_and_a_loser_keeps_its_place() {
        let [a, b, c] = tickets();
        let mut table = Readiness::default();
        let data = table.insert(3, 1);
        table.clear(3, 1, Direction::Read);
        for ticket in [a, b, c] {
            table.enqueue(3, Direction::Read, ticket, false);
        }
        assert_eq!(take_read(&mut table, 3), None, "nothing is there");
        assert_eq!(note(&mut table, data, epoll::IN), Some([Some(a), None]));
        table.clear(3, 1, Direction::Read);
        table.enqueue(3, Direction::Read, a, true);
        assert_eq!(note(&mut table, data, epoll::IN), Some([Some(a), None]));
        assert_eq!(take_read(&mut table, 3), Some(b), "the baton");
        table.dequeue(3, Direction::Read, c);
        assert_eq!((take_read(&mut table, 3), table.waiting()), (None, 0));
    }

    #[test]
    fn another_owner_of_the_number_is_not_held() {
        let mut table = Readiness::default();
        table.insert(4, 1);
        assert!(table.holds(4, 1));
        assert!(!table.holds(4, 2));
        assert!(table.may_be_ready(4, 2, Direction::Read), "worth a try");
        assert!(!table.holds(400, 1));
    }

    #[test]
    fn removing_gives_everybody_who_waited() {
        let [a, b, c] = tickets();
        let mut table = Readiness::default();
        table.insert(3, 1);
        table.enqueue(3, Direction::Read, a, false);
        table.enqueue(3, Direction::Read, b, false);
        table.enqueue(3, Direction::Write, c, false);
        assert!(table.has_waiters(3));
        assert_eq!(table.remove(3), [a, b, c]);
        assert_eq!((table.waiting(), table.registered()), (0, 0));
    }

    /// However a waiter leaves, it leaves the count of its direction.
    #[test]
    fn those_who_wait_are_counted_by_direction() {
        const FDS: RawFd = 3;
        let names: [Ticket; 8] = tickets();
        let mut table = Readiness::default();
        let mut data: [u64; FDS as usize] = std::array::from_fn(|fd| table.insert(fd as RawFd, 1));
        let mut order = Order::fifo();
        let mut random = 1u64;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % limit
        };
        for _ in 0..if cfg!(miri) { 200 } else { 20_000 } {
            let fd = below(FDS as u64) as RawFd;
            let direction = [Direction::Read, Direction::Write][below(2) as usize];
            let name = names[below(8) as usize];
            match below(8) {
                0..=2 => table.enqueue(fd, direction, name, below(2) == 0),
                3 => table.dequeue(fd, direction, name),
                4 => _ = table.pass_on(fd, direction, &mut order),
                5 => {
                    let bits = [epoll::IN, epoll::OUT, epoll::HUP, epoll::PRI][below(4) as usize];
                    table.note(data[fd as usize], bits, &mut order);
                    table.clear(fd, 1, direction);
                }
                6 if below(8) == 0 => {
                    table.remove(fd);
                    data[fd as usize] = table.insert(fd, 1);
                }
                6 => table.forget_slots(|slot| slot == name.slot),
                _ => table.clear(fd, 1, direction),
            }
            let waiting = |direction: usize| {
                let waiters = table.entries.iter().map(|entry| &entry.waiters[direction]);
                let each = waiters.map(|waiters| {
                    let others = waiters.others.as_ref().map_or(0, |others| others.len());
                    usize::from(waiters.first.is_some()) + others
                });
                each.sum()
            };
            assert_eq!(table.waiting, [waiting(0), waiting(1)]);
            for fd in 0..FDS {
                let is_free = !table.is_waited_for(fd, Direction::Write);
                assert!(!is_free || table.may_be_ready(fd, 1, Direction::Write));
            }
        }
    }
}
