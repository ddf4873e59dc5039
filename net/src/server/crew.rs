//! The handlers of a site: who is at work, for how long they may, and what became of them.
//!
//! **Invariant:** no borrow of the list is alive while code of the user's runs.

use std::cell::Cell;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use corovent_runtime::Builder;
use corovent_runtime::JoinHandle;
use corovent_runtime::catch_unwind;
use corovent_runtime::group::Pool;
use slab::Slab;

use crate::server::control::Control;
use crate::server::control::KILL_WAIT;
use crate::server::options::Config;
use crate::server::options::Limit;
use crate::server::options::Permit;
use crate::server::report::Report;
use crate::server::trouble::Failure;
use crate::server::trouble::Trouble;

/// The handlers that are at work on one hub, and the address of whom each serves.
pub(super) struct Crew<A> {
    members: RefCell<Slab<Member<A>>>,
    /// How many have left since the stop began; of those in the queue some may have been
    /// engaged, and have left, before the last one is engaged.
    left: Cell<usize>,
    pub(super) control: Arc<Control>,
    pub(super) config: Arc<Config>,
    pub(super) limit: Limit,
}

struct Member<A> {
    peer: A,
    task: JoinHandle<()>,
}

/// A handler's place in the crew, which it leaves when this is dropped: at its end, or when
/// its coroutine is killed before it has run.
struct Place<A> {
    crew: Rc<Crew<A>>,
    key: usize,
    /// Given back last, when the connection is closed. `None`: the handler waits for one first.
    permit: Option<Permit>,
}

/// What a handler's coroutine is made of. The fields are dropped in this order.
struct Engagement<A, J> {
    job: J,
    place: Place<A>,
}

impl<A: Clone + fmt::Debug + 'static> Crew<A> {
    pub(super) fn new(
        control: &Arc<Control>,
        config: &Arc<Config>,
        pool: Option<&Pool>,
    ) -> Rc<Crew<A>> {
        let limit = Limit::of(config, pool);
        let (control, config) = (Arc::clone(control), Arc::clone(config));
        Rc::new(Crew { members: RefCell::default(), left: Cell::new(0), control, config, limit })
    }

    /// Starts a coroutine that does a job, which owns the connection. Without a permit it waits
    /// for one first.
    ///
    /// The error says why there was no room for the coroutine; the job is dropped then.
    pub(super) fn engage<J>(
        self: &Rc<Self>,
        peer: A,
        permit: Option<Permit>,
        job: J,
    ) -> io::Result<()>
    where
        J: FnOnce() -> Result<(), Failure> + 'static,
    {
        let key = self.members.borrow().vacant_key();
        self.control.active.fetch_add(1, Ordering::Relaxed);
        let (place_of_pool, permit) = match permit {
            Some(Permit::Place(place)) => (Some(place), Some(Permit::Free)),
            permit => (None, permit),
        };
        let place = Place { crew: Rc::clone(self), key, permit };
        let engagement = Engagement { job, place };
        let mut builder = Builder::new();
        if let Some(bytes) = self.config.stack_bytes {
            builder = builder.stack_size(bytes);
        }
        let task = builder.spawn(move || engagement.run())?;
        if let Some(place) = place_of_pool {
            place.give(&task);
        }
        self.control.accepted.fetch_add(1, Ordering::Relaxed);
        let inserted = self.members.borrow_mut().insert(Member { peer, task });
        debug_assert_eq!(inserted, key, "spawning runs nobody");
        Ok(())
    }

    /// Does a job in the running coroutine, and tells the hook of what goes wrong.
    pub(super) fn run(&self, peer: impl FnOnce() -> A, job: impl FnOnce() -> Result<(), Failure>) {
        match catch_unwind(AssertUnwindSafe(job)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.control.failed.fetch_add(1, Ordering::Relaxed);
                self.config.tell(&Trouble::Handler { peer: &peer(), error: &*error });
            }
            Err(payload) => {
                self.control.panicked.fetch_add(1, Ordering::Relaxed);
                self.config.tell(&Trouble::Panic { peer: &peer(), payload: &*payload });
            }
        }
    }

    /// How many are at work.
    pub(super) fn len(&self) -> usize {
        self.members.borrow().len()
    }

    /// Waits until all have ended, or their time is up; kills those that are left, and says
    /// what became of each.
    pub(super) fn disband(&self) -> Report {
        let all_have_left = self.control.wait_for_crew(|| self.len() == 0);
        let mut report = Report { finished: self.left.get(), ..Report::default() };
        if all_have_left {
            return report;
        }
        let keys: Vec<usize> = self.members.borrow().iter().map(|(key, _)| key).collect();
        let mut killed = Vec::new();
        for key in keys {
            // A kill runs no code of the user's, and only marks.
            if let Some(member) = self.members.borrow().get(key) {
                member.task.kill();
                killed.push((key, format!("{:?}", member.peer)));
            }
        }
        self.control.wait_at_most(KILL_WAIT, || self.len() == 0);
        let members = self.members.borrow();
        for (key, name) in killed {
            // Nobody is engaged any more, so no key has come to another.
            if members.contains(key) { report.stuck.push(name) } else { report.killed.push(name) }
        }
        report
    }

    fn peer(&self, key: usize) -> A {
        self.members.borrow()[key].peer.clone()
    }
}

impl<A, J> Engagement<A, J>
where
    A: Clone + fmt::Debug + 'static,
    J: FnOnce() -> Result<(), Failure>,
{
    fn run(self) {
        let Engagement { job, mut place } = self;
        if place.permit.is_none() {
            place.wait_for_permit();
        }
        place.crew.run(|| place.crew.peer(place.key), job);
    }
}

impl<A> Place<A> {
    /// Waits in the handler's coroutine until there may be one more.
    fn wait_for_permit(&mut self) {
        match self.crew.limit.acquire(None) {
            Some(Permit::Place(place)) => {
                place.give(&self.crew.members.borrow()[self.key].task);
            }
            permit => self.permit = permit,
        }
    }
}

impl<A> Drop for Place<A> {
    fn drop(&mut self) {
        // There is none if the coroutine was not made.
        let member = self.crew.members.borrow_mut().try_remove(self.key);
        let was_engaged = member.is_some();
        drop(member);
        self.crew.control.active.fetch_sub(1, Ordering::Relaxed);
        if self.crew.control.is_stopping() {
            self.crew.left.update(|left| left + usize::from(was_engaged));
            self.crew.control.look_again();
        }
    }
}
