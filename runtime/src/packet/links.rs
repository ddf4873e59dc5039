//! Links: what is told that a coroutine has ended, besides who joins it.
//!
//! They are kept out of the packet, in an allocation that is made for the first, and that
//! whoever has a link there may hold as well, to take it back without a handle. The task's
//! side takes them all when it ends; who comes too late finds its own still there, and takes
//! it back.
//!
//! **Invariant:** a link is told, and dropped, on the thread of the coroutine's hub, or taken
//! back by who made it. Telling runs no code of the user's and never waits.

use std::sync::Arc;

use crate::packet::ABANDONED;
use crate::packet::DONE;
use crate::packet::Head;
use crate::packet::LINKED;
use crate::packet::PANICKED;
use crate::packet::WAS_KILLED;
use crate::sys::atomic::Ordering;
use crate::sys::lock::Lock;

/// How a coroutine has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Its closure has returned.
    Returned,
    /// Its closure has panicked.
    Panicked,
    /// A kill has ended it, or kept it from running at all.
    Killed,
    /// It never ended: its thread has, or its hub has given it up.
    Abandoned,
}

/// Whoever is told how a coroutine has ended.
pub(crate) trait Link {
    /// The place for the link that follows in the list.
    fn next(&mut self) -> &mut Chain;

    /// The same for who only looks.
    fn peek_next(&self) -> &Chain;

    /// The coroutine has ended: its result is with its handle, or dropped.
    fn ended(self: Box<Self>, outcome: Outcome);

    /// The coroutine has swallowed its kill as often as it was thrown. Called under the list's
    /// lock: it may wake tasks of the coroutine's own hub, and nothing else.
    fn kill_ignored(&self) {}

    /// Tells the links of one owner from others, by an address that only it has.
    fn owner(&self) -> usize;
}

/// Links, each of which holds the next.
pub(crate) type Chain = Option<Box<dyn Link>>;

/// The links of a coroutine.
pub(crate) struct Links {
    /// The newest first.
    newest: Lock<Chain>,
}

impl Links {
    #[expect(clippy::arc_with_non_send_sync, reason = "the links that cross threads may")]
    pub(super) fn new() -> Arc<Links> {
        Arc::new(Links { newest: Lock::new(None) })
    }

    /// Adds a link.
    fn push(&self, mut link: Box<dyn Link>) {
        let mut newest = self.newest.lock();
        *link.next() = newest.take();
        *newest = Some(link);
    }

    /// Takes the newest link of an owner, if the end has not come first. For who has made it.
    pub(crate) fn remove(&self, owner: usize) -> Chain {
        let mut newest = self.newest.lock();
        let mut at = &mut *newest;
        while at.as_ref().is_some_and(|link| link.owner() != owner) {
            at = at.as_mut().expect("it was just there").next();
        }
        let mut link = at.take()?;
        *at = link.next().take();
        Some(link)
    }

    /// Tells all links of the end, in the order in which they came.
    fn tell(&self, outcome: Outcome) {
        let mut newest = self.newest.lock().take();
        let mut oldest: Chain = None;
        while let Some(mut link) = newest {
            newest = link.next().take();
            *link.next() = oldest;
            oldest = Some(link);
        }
        while let Some(mut link) = oldest {
            oldest = link.next().take();
            link.ended(outcome);
        }
    }

    /// Tells all links that a kill was swallowed.
    pub(super) fn tell_ignored(&self) {
        let newest = self.newest.lock();
        let mut at = &*newest;
        while let Some(link) = at {
            link.kill_ignored();
            at = link.peek_next();
        }
    }
}

impl Head {
    /// How the coroutine has ended, if it has.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let state = self.state.load(Ordering::Acquire);
        (state & DONE != 0).then(|| outcome_of(state))
    }

    /// Adds a link, which is told of the end, and gives the list that it is in. One that comes
    /// after the end is given back.
    ///
    /// The link must be `Send` in fact, unless this is the thread of the coroutine's hub. For
    /// the handle's side.
    pub(crate) fn add_link(&self, link: Box<dyn Link>) -> Result<&Arc<Links>, Box<dyn Link>> {
        if self.is_done() {
            return Err(link);
        }
        let owner = link.owner();
        let links = self.links();
        links.push(link);
        if self.state.fetch_or(LINKED, Ordering::AcqRel) & DONE == 0 {
            return Ok(links);
        }
        // It ended meanwhile. Either the end has found the link, or nobody will.
        links.remove(owner).map_or(Ok(links), Err)
    }

    /// Takes back a link that was added for an owner, if the end has not come first. For the
    /// handle's side.
    pub(crate) fn remove_link(&self, owner: usize) -> Chain {
        self.known_links()?.remove(owner)
    }

    /// Tells the links of the end. For the task's side, after `DONE`.
    #[cold]
    pub(super) fn tell_links(&self) {
        let outcome = outcome_of(self.state.load(Ordering::Acquire));
        if let Some(links) = self.known_links() {
            links.tell(outcome);
        }
    }
}

/// What the bits say of how the coroutine has ended.
fn outcome_of(state: u32) -> Outcome {
    match state {
        _ if state & ABANDONED != 0 => Outcome::Abandoned,
        _ if state & WAS_KILLED != 0 => Outcome::Killed,
        _ if state & PANICKED != 0 => Outcome::Panicked,
        _ => Outcome::Returned,
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    struct Word {
        next: Chain,
        owner: usize,
        text: &'static str,
        log: Rc<RefCell<String>>,
    }

    impl Link for Word {
        fn next(&mut self) -> &mut Chain {
            &mut self.next
        }

        fn peek_next(&self) -> &Chain {
            &self.next
        }

        fn ended(self: Box<Self>, _: Outcome) {
            *self.log.borrow_mut() += self.text;
        }

        fn kill_ignored(&self) {
            *self.log.borrow_mut() += self.text;
        }

        fn owner(&self) -> usize {
            self.owner
        }
    }

    #[test]
    fn links_are_told_in_order_and_removed_by_owner() {
        for (removed, found, told) in
            [(&[][..], 0, "abc"), (&[1], 1, "ac"), (&[0, 0, 0], 2, "b"), (&[7], 0, "abc")]
        {
            let log = Rc::new(RefCell::new(String::new()));
            let links = Links::new();
            for (owner, text) in [(0, "a"), (1, "b"), (0, "c")] {
                links.push(Box::new(Word { next: None, owner, text, log: Rc::clone(&log) }));
            }
            let gone = removed.iter().filter(|owner| links.remove(**owner).is_some()).count();
            assert_eq!(gone, found);
            links.tell(Outcome::Returned);
            links.tell(Outcome::Returned);
            assert_eq!(*log.borrow(), told);
        }
    }
}
