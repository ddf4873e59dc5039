//! Waiting for one of several things, whichever is there first.
//!
//! One who selects links a node into the list of each thing, all with the name of one wait, and
//! blocks once. A select is a wait for *readiness*: what is there is taken by a call afterwards
//! that does not wait, and if another was faster, all begins anew. So nothing is ever held that is
//! not returned.
//!
//! **Invariant:** all nodes are out of their lists before the select returns, whatever ends it;
//! and a wake that one of them got goes to the next in its list, unless what it was about is
//! taken here.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::hub;
use crate::hub::Mode;
use crate::hub::reason::Reason;
use crate::hub::reason::SEVERAL;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::join::JoinHandle;
use crate::join::got_it_after_all;
use crate::join::interrupted;
use crate::order;
use crate::scheduler::Outcome;
use crate::sys::clock::Deadline;
use crate::wait_queue::Claim;
use crate::wait_queue::Node;
use crate::wait_queue::Nodes;
use crate::wait_queue::Spot;

/// What a select can wait for.
///
/// | type | is ready when |
/// | --- | --- |
/// | [`JoinHandle`], [`ScopedJoinHandle`](crate::ScopedJoinHandle) | `join` need not wait |
/// | [`mpsc::Receiver`](crate::sync::mpsc::Receiver) | `recv` need not wait |
/// | the [queues](crate::queue), channels among them | `get` need not wait |
/// | [`Event`](crate::sync::Event) | it is set, or was while the select waited |
/// | [`AsyncResult`](crate::sync::AsyncResult) | `get` need not wait |
///
/// References and pointers (`&`, `Rc`, `Arc`) wait for what they point to. It is implemented here
/// only.
#[expect(private_bounds, reason = "nobody else can implement it")]
pub trait Selectable: Waitable {}

/// Lists of waiters in which one may wait beside others. No method waits.
pub(crate) trait Waitable {
    /// Whether a call that takes what is waited for need not wait.
    fn is_ready(&self) -> bool;

    /// The same for one whose node a wake may have taken out of the list. Things that are over
    /// when they are seen say here that they were.
    fn was_ready(&self, _was_woken: bool) -> bool {
        self.is_ready()
    }

    /// Links the node, unless it is ready, which is looked at under the lock of the list. False:
    /// it is ready, and the node is where it was.
    fn link(&self, spot: &Spot<'_>) -> bool;

    /// Takes the node out of the list, if it was ever linked. False if a wake has.
    fn unlink(&self, node: Pin<&Node>) -> bool;

    /// Wakes the next in the list, in the place of one who leaves.
    fn pass_on(&self);

    /// Whether the node is in the list, for its owner.
    fn is_linked(&self, node: Pin<&Node>) -> bool {
        node.is_linked()
    }
}

/// What `select!` takes from. It is implemented here only.
#[expect(private_bounds, reason = "nobody else can implement it")]
pub trait Takeable: Waitable {
    /// What is taken.
    type Output;

    /// Takes it without a wait; `None` if another was faster.
    fn try_take(&self) -> Option<Self::Output>;
}

/// Waits until one of several things is ready, and gives its index.
///
/// Nothing is taken: a call that does so need not wait now, but another may come first. Of several
/// that are ready one is chosen by chance, so that none is always left behind.
///
/// # Suspends
///
/// Until one of them is ready. After many calls in a row that need not wait, the others run
/// first. A thread without a hub is stopped.
///
/// # Panics
///
/// If the list is empty; or if a coroutine is to wait for its own end.
///
/// # Cancellation
///
/// Nothing was taken, and nobody else misses a wake.
///
/// # Examples
///
/// ```
/// use corovent_runtime::select::select;
/// use corovent_runtime::spawn;
/// use corovent_runtime::sync::mpsc::channel;
///
/// let (sender, receiver) = channel();
/// let task = spawn(corovent_runtime::thread::park);
/// spawn(move || sender.send('a').unwrap());
/// assert_eq!(select(&[&task, &receiver]), 1);
/// assert_eq!(receiver.try_recv(), Ok('a'));
/// task.thread().unpark();
/// ```
#[must_use]
pub fn select(things: &[&dyn Selectable]) -> usize {
    assert!(!things.is_empty(), "a select of nothing would never end");
    wait(things, Deadline::NEVER, None).expect("it has no deadline")
}

/// Waits until one of several things is ready, but not longer than `timeout`, and gives its index.
///
/// See [`select`]. Of no things at all none is ever ready.
///
/// # Suspends
///
/// Until one of them is ready, or the time is up. After many calls in a row that need not wait,
/// the others run first. A thread without a hub is stopped.
///
/// # Panics
///
/// If a coroutine is to wait for its own end.
///
/// # Cancellation
///
/// Nothing was taken, and nobody else misses a wake.
#[must_use]
pub fn select_timeout(things: &[&dyn Selectable], timeout: Duration) -> Option<usize> {
    wait(things, Deadline::after(timeout), None)
}

/// Gives the index of one of several things that is ready now.
///
/// # Suspends
///
/// Never.
///
/// # Examples
///
/// ```
/// use corovent_runtime::select::try_select;
///
/// let task = corovent_runtime::spawn(|| 7);
/// assert_eq!(try_select(&[&task]), None);
/// corovent_runtime::yield_now();
/// assert_eq!(try_select(&[&task]), Some(0));
/// assert_eq!(task.join().unwrap(), 7);
/// ```
#[must_use]
pub fn try_select(things: &[&dyn Selectable]) -> Option<usize> {
    try_wait(things, None)
}

/// Waits until one of the things is ready, and taken if `take` is given: that takes by the index,
/// and is false if another was faster. `None`: the time is up.
pub(crate) fn wait<W: Waitable + ?Sized>(
    things: &[&W],
    deadline: Deadline,
    take: Option<Take<'_>>,
) -> Option<usize> {
    if choose(things, |thing, _| thing.is_ready()).is_some() {
        hub::spend();
        // Others may have run.
        let chosen = try_wait(things, take);
        if chosen.is_some() {
            return chosen;
        }
    }
    wait_slowly(things, deadline, take)
}

/// The same for what is ready now.
pub(crate) fn try_wait<W: Waitable + ?Sized>(
    things: &[&W],
    take: Option<Take<'_>>,
) -> Option<usize> {
    choose(things, |thing, _| thing.is_ready())
        .filter(|index| take.is_none_or(|take| take(*index, false)))
}

/// See [`wait`].
pub(crate) type Take<'a> = &'a dyn Fn(usize, bool) -> bool;

/// Chooses one that is ready, all alike; `None` if there is none.
fn choose<W: Waitable + ?Sized>(
    things: &[&W],
    is_ready: impl Fn(&W, usize) -> bool,
) -> Option<usize> {
    let mut chosen = None;
    let mut count = 0;
    for (index, thing) in things.iter().enumerate() {
        if is_ready(*thing, index) {
            count += 1;
            // Each of them with the same chance in the end.
            if count == 1 || order::draw(count) == 0 {
                chosen = Some(index);
            }
        }
    }
    chosen
}

#[cold]
fn wait_slowly<W: Waitable + ?Sized>(
    things: &[&W],
    deadline: Deadline,
    take: Option<Take<'_>>,
) -> Option<usize> {
    const REASON: Reason = Reason::Queue(What::Select, SEVERAL);

    let (nodes, claim) = (Nodes::new(things.len()), Claim::new());
    let turns = vec![Turn::default(); things.len()];
    let mut waiting = Waiting { things, nodes: &nodes, claim: &claim, turns, taken: None };
    loop {
        let place = Place::announced(REASON);
        claim.open();
        let mut outcome = Outcome::Woken;
        if waiting.begin(&place) {
            outcome = place.block(deadline, REASON, Mode::Plain);
        } else {
            place.forgo();
        }
        let mut chosen = claim.close();
        match outcome {
            // What was offered is taken already, whatever came after that.
            _ if chosen.is_some() => got_it_after_all(),
            Outcome::Woken => chosen = waiting.look(),
            Outcome::TimedOut => return None,
            Outcome::Interrupted => {
                drop(waiting);
                interrupted();
            }
        }
        while let Some(index) = chosen {
            let Some(take) = take else { return chosen };
            if take(index, waiting.turns[index].is_on) {
                waiting.taken = chosen;
                return chosen;
            }
            // Another was faster; but there may be more.
            chosen = waiting.look();
        }
    }
}

/// One who has nodes in lists. It takes them out before they go away, even if that is by a panic,
/// and passes on the wakes that it did not use.
struct Waiting<'a, W: Waitable + ?Sized> {
    things: &'a [&'a W],
    nodes: &'a Nodes,
    claim: &'a Claim,
    turns: Vec<Turn>,
    /// What it leaves with.
    taken: Option<usize>,
}

/// What became of a node.
#[derive(Clone, Copy, Default)]
struct Turn {
    /// It is in the list, unless a wake has taken it out.
    is_in: bool,
    /// A wake has taken it out, and it has not been linked again.
    is_on: bool,
    /// That has happened before.
    was_on: bool,
}

impl<W: Waitable + ?Sized> Waiting<'_, W> {
    /// Links all nodes. False if one of the things is ready, or an offer was taken meanwhile: then
    /// there is nothing to wait for.
    fn begin(&mut self, place: &Place) -> bool {
        for (index, (thing, turn)) in self.things.iter().zip(&mut self.turns).enumerate() {
            let (node, claim) = (self.nodes.get(index), self.claim);
            let (was_linked, had_its_turn) = (turn.is_in, turn.was_on);
            if !thing.link(&Spot { index, claim, node, place, was_linked, had_its_turn }) {
                return false;
            }
            // If it was woken, it has found nothing, and so has used the wake up.
            *turn = Turn { is_in: true, is_on: false, was_on: turn.was_on };
        }
        // Else the wake for that may have gone to the last wait, whose name a node had still.
        self.claim.is_open()
    }

    /// Sees which nodes were taken out by wakes, and chooses one of the things that are ready.
    fn look(&mut self) -> Option<usize> {
        for (index, turn) in self.turns.iter_mut().enumerate() {
            if turn.is_in && !self.things[index].is_linked(self.nodes.get(index)) {
                *turn = Turn { is_in: false, is_on: true, was_on: true };
            }
        }
        choose(self.things, |thing, index| thing.was_ready(self.turns[index].is_on))
    }
}

impl<W: Waitable + ?Sized> Drop for Waiting<'_, W> {
    fn drop(&mut self) {
        for (index, (thing, turn)) in self.things.iter().zip(&self.turns).enumerate() {
            if !(turn.is_in || turn.is_on) {
                continue;
            }
            let was_woken = !thing.unlink(self.nodes.get(index));
            if was_woken && self.taken != Some(index) {
                thing.pass_on();
            }
        }
    }
}

/// Implements `Waitable` for what waits as something in it does.
macro_rules! waits_as {
    ([$($generics:tt)*] $type:ty, $this:ident => $inner:expr) => {
        impl<$($generics)*> $crate::select::Waitable for $type {
            fn is_ready(&self) -> bool {
                let $this = self;
                $inner.is_ready()
            }

            fn was_ready(&self, was_woken: bool) -> bool {
                let $this = self;
                $inner.was_ready(was_woken)
            }

            fn link(&self, spot: &$crate::wait_queue::Spot<'_>) -> bool {
                let $this = self;
                $inner.link(spot)
            }

            fn unlink(&self, node: std::pin::Pin<&$crate::wait_queue::Node>) -> bool {
                let $this = self;
                $inner.unlink(node)
            }

            fn pass_on(&self) {
                let $this = self;
                $inner.pass_on();
            }

            fn is_linked(&self, node: std::pin::Pin<&$crate::wait_queue::Node>) -> bool {
                let $this = self;
                $inner.is_linked(node)
            }
        }
    };
}

pub(crate) use waits_as;

/// What is pointed to is waited for.
macro_rules! through_pointers {
    ($($pointer:ty),*) => {$(
        waits_as!([S: Waitable + ?Sized] $pointer, this => (**this));

        impl<S: Selectable + ?Sized> Selectable for $pointer {}

        impl<S: Takeable + ?Sized> Takeable for $pointer {
            type Output = S::Output;

            fn try_take(&self) -> Option<S::Output> {
                (**self).try_take()
            }
        }
    )*};
}

through_pointers!(&S, Arc<S>, Rc<S>);

impl<T> Selectable for JoinHandle<T> {}

impl<T> Waitable for JoinHandle<T> {
    fn is_ready(&self) -> bool {
        let head = self.side.head();
        let is_own = |hub| head.is_of(hub) && head.slot() == Some(hub.slot());
        assert!(!hub::current().is_some_and(is_own), "a coroutine cannot wait for its own end");
        head.is_done()
    }

    fn link(&self, spot: &Spot<'_>) -> bool {
        let head = self.side.head();
        head.start_watching().link_unless(spot, |()| head.is_done())
    }

    fn unlink(&self, node: Pin<&Node>) -> bool {
        self.side.head().watchers().is_some_and(|watchers| watchers.unlink(node))
    }

    fn pass_on(&self) {
        // All are woken at the end.
    }
}
