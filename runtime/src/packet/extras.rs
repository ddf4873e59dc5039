//! What the packets of few coroutines have besides: a handle, and those who are told of the end
//! otherwise than a joiner of the same hub is. Both are made when first asked for, and live as
//! long as the packet.

// The name of a joiner is written by it, and read at the end.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::mem::MaybeUninit;
use std::sync::Arc;

use once_cell::race::OnceBox;

use crate::hub::identity::Thread;
use crate::hub::wake::WakeRef;
use crate::packet::DONE;
use crate::packet::Head;
use crate::packet::JOINING;
use crate::packet::WATCHED;
use crate::packet::links::Links;
use crate::sys::atomic::Ordering;
use crate::wait_queue::WaitQueue;

/// What few coroutines have.
pub(super) struct Extras {
    /// The handle and the name.
    thread: Thread,
    end: OnceBox<End>,
}

/// Who is told of the end.
struct End {
    links: OnceBox<Arc<Links>>,
    /// Who is in `join`, if it is not a task of the same hub. Written by the joiner, and only
    /// while neither it nor the end is announced; read by the task's side once `DONE` keeps it
    /// from changing.
    joiner: UnsafeCell<MaybeUninit<WakeRef>>,
    /// Those in `kill_timeout`.
    watchers: WaitQueue<()>,
}

impl Extras {
    pub(super) fn new(id: u64, name: Option<Box<str>>) -> Extras {
        Extras { thread: Thread::new(id, name), end: OnceBox::new() }
    }
}

impl End {
    fn new() -> Box<End> {
        Box::new(End {
            links: OnceBox::new(),
            joiner: UnsafeCell::new(MaybeUninit::uninit()),
            watchers: WaitQueue::new(()),
        })
    }
}

impl Head {
    /// The handle that names and unparks the coroutine, made when first asked for.
    pub(crate) fn thread(&self) -> &Thread {
        &self.extras().thread
    }

    fn extras(&self) -> &Extras {
        self.extras.get_or_init(|| Box::new(Extras::new(self.id, None)))
    }

    /// Who is told of the end: made for the first.
    fn end(&self) -> &End {
        self.extras().end.get_or_init(End::new)
    }

    /// The same, if there may be somebody.
    fn known_end(&self) -> Option<&End> {
        self.extras.get()?.end.get()
    }

    /// The links, made for the first.
    pub(super) fn links(&self) -> &Arc<Links> {
        self.end().links.get_or_init(|| Box::new(Links::new()))
    }

    /// The links, if there may be one.
    pub(super) fn known_links(&self) -> Option<&Arc<Links>> {
        self.known_end()?.links.get()
    }

    /// The name, or an empty one.
    #[inline]
    pub(super) fn name(&self) -> &str {
        match self.extras.get() {
            Some(extras) => extras.thread.name().unwrap_or(""),
            None => "",
        }
    }

    /// Announces a joiner by the name of its wait. False if the coroutine has ended.
    ///
    /// # Safety
    ///
    /// The caller must have the handle to itself until it has called
    /// [`stop_joining`](Head::stop_joining).
    pub(crate) unsafe fn start_joining(&self, joiner: WakeRef) -> bool {
        let cell = self.end().joiner.get();
        // SAFETY: the caller has the one handle to itself and no joining bit is set, so
        // nobody reads the cell.
        unsafe { cell.write(MaybeUninit::new(joiner)) };
        self.state.fetch_or(JOINING, Ordering::AcqRel) & DONE == 0
    }

    /// The one that has announced itself.
    ///
    /// # Safety
    ///
    /// `DONE` must be set, and `JOINING` have been before that.
    pub(super) unsafe fn joiner(&self) -> WakeRef {
        // SAFETY: since `DONE` is set the joiner writes no other name.
        let joiner = unsafe { self.end().joiner.get().read() };
        // SAFETY: it had written this one before it set `JOINING`.
        unsafe { joiner.assume_init() }
    }

    /// Makes the end, and a kill that was swallowed, wake the watchers. Those who wait for
    /// either may wait there from now on.
    pub(crate) fn start_watching(&self) -> &WaitQueue<()> {
        let watchers = &self.end().watchers;
        self.state.fetch_or(WATCHED, Ordering::AcqRel);
        watchers
    }

    /// Where somebody may watch who has called [`start_watching`](Head::start_watching).
    pub(crate) fn watchers(&self) -> Option<&WaitQueue<()>> {
        self.known_end().map(|end| &end.watchers)
    }

    /// Makes the watchers look, after a change of the bits by a read-modify-write: so they see
    /// it, or are seen.
    pub(super) fn wake_watchers(&self) {
        if let Some(watchers) = self.watchers() {
            watchers.wake_all();
        }
    }
}

/// Drops them with their packet.
#[cold]
pub(super) fn drop_extras(extras: &mut ManuallyDrop<OnceBox<Extras>>) {
    // SAFETY: the head is being dropped, so nobody uses them afterwards.
    unsafe { ManuallyDrop::drop(extras) };
}
