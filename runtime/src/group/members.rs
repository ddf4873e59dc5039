//! Who is in a group, and who waits for that to change.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::rc::Weak;
use std::sync::Arc;
use std::time::Duration;

use crate::group::handles::Survivors;
use crate::hub;
use crate::hub::Mode;
use crate::hub::UNWINDS;
use crate::hub::identity::Thread;
use crate::hub::reason::What;
use crate::join::interrupted;
use crate::packet::Head;
use crate::packet::Outcome as End;
use crate::packet::links::Chain;
use crate::packet::links::Link;
use crate::packet::links::Links;
use crate::scheduler::Outcome;
use crate::sys::clock::Deadline;
use crate::wait_queue::WaitQueue;

/// Who is in a group, and who waits for that to change.
pub(super) struct Members {
    /// By number; numbers of one thread grow with time.
    table: RefCell<BTreeMap<u64, Member>>,
    /// How many of them have swallowed their kill as often as it was thrown.
    ignoring: Cell<usize>,
    /// How many kill the group right now: who comes is killed as well.
    killers: Cell<usize>,
    /// How many have left.
    left: Cell<u64>,
    /// How often the last one has left.
    emptied: Cell<u64>,
    /// Those who wait for one to leave.
    leaving: WaitQueue<()>,
    /// Those who wait for all to leave, but for such as swallow their kill.
    emptying: WaitQueue<()>,
    /// The free places of a pool; of no meaning in a group.
    pub(super) places: WaitQueue<usize>,
}

struct Member {
    slot: u32,
    kill_ignored: bool,
    /// Where its link is.
    links: Arc<Links>,
}

impl Members {
    /// Makes a table without members and with so many places.
    pub(super) fn new(places: usize) -> Rc<Members> {
        Rc::new(Members {
            table: RefCell::new(BTreeMap::new()),
            ignoring: Cell::new(0),
            killers: Cell::new(0),
            left: Cell::new(0),
            emptied: Cell::new(0),
            leaving: WaitQueue::new(()),
            emptying: WaitQueue::new(()),
            places: WaitQueue::new(places),
        })
    }

    /// Adds a coroutine of this thread, unless it has ended.
    #[track_caller]
    pub(super) fn enter(self: &Rc<Self>, head: &Head) {
        let Some(hub) = hub::current().filter(|hub| head.is_of(hub)) else {
            panic!("a member of a group is a coroutine of the group's thread");
        };
        if head.slot().is_none() {
            // Another thread has sent it, and it waits in the inbox.
            hub.read_messages();
        }
        let Some(slot) = head.slot() else { return };
        if head.is_done() || self.table.borrow().contains_key(&head.id) {
            return;
        }
        let membership = Membership { next: None, members: Rc::downgrade(self), id: head.id };
        if let Ok(links) = head.add_link(Box::new(membership)) {
            let member = Member { slot, kill_ignored: false, links: Arc::clone(links) };
            self.table.borrow_mut().insert(head.id, member);
            if self.killers.get() > 0 {
                hub.kill(slot, head.id);
            }
        }
    }

    /// Removes a member, whose place is free then. False if it is none.
    pub(super) fn leave(&self, id: u64) -> bool {
        let Some(member) = self.table.borrow_mut().remove(&id) else { return false };
        self.ignoring.set(self.ignoring.get() - usize::from(member.kill_ignored));
        self.left.set(self.left.get() + 1);
        if self.len() == 0 {
            self.emptied.set(self.emptied.get() + 1);
        }
        self.release_place();
        self.leaving.wake_all();
        self.tell_killers();
        true
    }

    /// Gives a place back.
    pub(super) fn release_place(&self) {
        self.places.lock().state += 1;
        self.places.wake_one();
    }

    /// Notes that a member has swallowed its kill.
    fn note_ignored(&self, id: u64) {
        if let Some(member) = self.table.borrow_mut().get_mut(&id)
            && !member.kill_ignored
        {
            member.kill_ignored = true;
            self.ignoring.set(self.ignoring.get() + 1);
        }
        self.tell_killers();
    }

    /// Wakes those who wait for all to leave, if only such are left as will not.
    fn tell_killers(&self) {
        if self.len() == self.ignoring.get() {
            self.emptying.wake_all();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.borrow().len()
    }

    pub(super) fn has(&self, head: &Head) -> bool {
        self.table.borrow().contains_key(&head.id)
    }

    /// Whether the running coroutine is a member.
    pub(super) fn has_current(&self) -> bool {
        let id = hub::current().map(|hub| hub.with_current(|task| task.id));
        id.is_some_and(|id| self.table.borrow().contains_key(&id))
    }

    pub(super) fn threads(&self) -> Vec<Thread> {
        let Some(hub) = hub::current() else { return Vec::new() };
        let table = self.table.borrow();
        table.iter().filter_map(|(id, member)| hub.thread_of(member.slot, *id)).collect()
    }

    #[track_caller]
    pub(super) fn join(&self, deadline: Deadline) -> bool {
        assert!(!self.has_current(), "a member of a group cannot wait for the group");
        let before = self.emptied.get();
        let is_over = || self.len() == 0 || self.emptied.get() != before;
        wait(&self.emptying, deadline, is_over)
    }

    pub(super) fn join_next(&self) -> bool {
        let before = self.left.get();
        wait(&self.leaving, Deadline::NEVER, || self.len() == 0 || self.left.get() != before);
        self.left.get() != before
    }

    pub(super) fn kill(&self) -> usize {
        let Some(hub) = hub::current() else { return 0 };
        let mut table = self.table.borrow_mut();
        self.ignoring.set(0);
        let killed = table.iter_mut().map(|(id, member)| {
            member.kill_ignored = false;
            usize::from(hub.kill(member.slot, *id))
        });
        killed.sum()
    }

    pub(super) fn kill_timeout(&self, timeout: Duration) -> Result<(), Survivors> {
        let deadline = Deadline::after(timeout);
        let before = self.emptied.get();
        let _killer = Killer::of(self);
        let killed = self.kill();
        if !UNWINDS && killed < self.len() {
            return Err(Survivors::new(self.threads()));
        }
        let is_empty = || self.len() == 0 || self.emptied.get() != before;
        wait(&self.emptying, deadline, || is_empty() || self.len() == self.ignoring.get());
        if is_empty() { Ok(()) } else { Err(Survivors::new(self.threads())) }
    }

    /// What the links of its members know it by.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// Waits until something holds that the members' changes may bring about. False if the time
/// was up first.
fn wait(queue: &WaitQueue<()>, deadline: Deadline, is_over: impl Fn() -> bool) -> bool {
    match queue.wait(deadline, What::Group, Mode::Plain, |()| is_over().then_some(())) {
        Ok(()) => true,
        Err(Outcome::Interrupted) => interrupted(),
        Err(_) => false,
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        let address = self.address();
        for member in self.table.get_mut().values() {
            drop(member.links.remove(address));
        }
    }
}

/// Somebody who kills the group, until it is dropped.
struct Killer<'a> {
    members: &'a Members,
}

impl Killer<'_> {
    fn of(members: &Members) -> Killer<'_> {
        members.killers.set(members.killers.get() + 1);
        Killer { members }
    }
}

impl Drop for Killer<'_> {
    fn drop(&mut self) {
        self.members.killers.set(self.members.killers.get() - 1);
    }
}

/// The link by which a member's end is known.
struct Membership {
    next: Chain,
    members: Weak<Members>,
    id: u64,
}

impl Link for Membership {
    fn next(&mut self) -> &mut Chain {
        &mut self.next
    }

    fn peek_next(&self) -> &Chain {
        &self.next
    }

    fn ended(self: Box<Self>, _: End) {
        if let Some(members) = self.members.upgrade() {
            members.leave(self.id);
        }
    }

    fn kill_ignored(&self) {
        if let Some(members) = self.members.upgrade() {
            members.note_ignored(self.id);
        }
    }

    fn owner(&self) -> usize {
        self.members.as_ptr().addr()
    }
}
