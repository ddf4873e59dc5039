//! What the watchdog may look at of each hub, and when.
//!
//! The words are the hub's own, inside of it. The watchdog looks at them, and sends signals to
//! the hub's thread, only under one lock for all, which a hub takes to begin and to end: so
//! neither the words nor the thread go away meanwhile. fork(2) takes it too, so that no child
//! inherits it held.

// The words of a hub are reached from another thread, by a pointer.
#![allow(unsafe_code)]

use std::mem;
use std::ptr;

use crate::hub::Hub;
use crate::hub::shared::SharedRecord;
use crate::hub::vitals::Pulse;
use crate::hub::vitals::Vitals;
use crate::hub::watchdog::CALLBACK;
use crate::hub::watchdog::capture;
use crate::overflow::Occupant;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicI32;
use crate::sys::atomic::AtomicPtr;
use crate::sys::atomic::Ordering;
use crate::sys::fork;
use crate::sys::fork::Repair;
use crate::sys::lock::Guard;
use crate::sys::lock::Lock;
use crate::sys::threads;

/// Where the words of a hub are.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Null if there is no hub; written under the lock.
    vitals: AtomicPtr<Vitals>,
    running: AtomicPtr<AtomicPtr<Occupant>>,
    thread: AtomicI32,
}

/// A hub as it was at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) pulse: Pulse,
    /// The number of the hub's thread.
    pub(super) thread: i32,
    /// It does not sleep in its own poll.
    pub(super) is_awake: bool,
    /// A coroutine's code runs.
    pub(super) in_coroutine: bool,
}

/// What a signal handler compares and reads: two words of the hub.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) running: *const AtomicPtr<Occupant>,
    pub(super) vitals: *const Vitals,
    pub(super) thread: i32,
}

/// Held while anybody looks at the words of any hub.
static LOOKING: Lock<()> = Lock::new(());

impl Watched {
    pub(crate) const fn new() -> Watched {
        Watched {
            vitals: AtomicPtr::new(ptr::null_mut()),
            running: AtomicPtr::new(ptr::null_mut()),
            thread: AtomicI32::new(0),
        }
    }

    /// Lets the watchdog look at the hub of this thread, until [`detach`](Watched::detach).
    ///
    /// # Safety
    ///
    /// The hub must not be freed before.
    pub(crate) unsafe fn attach(&self, hub: &Hub) {
        watch_forks();
        let _looking = LOOKING.lock();
        self.running.store((&raw const hub.running).cast_mut(), Ordering::Relaxed);
        self.thread.store(threads::current_id(), Ordering::Relaxed);
        self.vitals.store((&raw const hub.vitals).cast_mut(), Ordering::Relaxed);
    }

    /// The hub is about to be freed.
    pub(crate) fn detach(&self) {
        let _looking = LOOKING.lock();
        self.vitals.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// In a process that was forked off, which has one thread, and so without the lock: the hub
    /// is that thread's from now on.
    pub(crate) fn renew(&self) {
        self.thread.store(threads::current_id(), Ordering::Relaxed);
    }

    /// As [`renew`](Watched::renew), of a hub whose thread is not there.
    pub(crate) fn cut_off(&self) {
        self.vitals.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Where the words are, while somebody looks.
    fn target(&self, _looking: &Guard<'_, ()>) -> Option<Target> {
        let vitals = self.vitals.load(Ordering::Relaxed);
        let (running, thread) = (&self.running, &self.thread);
        (!vitals.is_null()).then(|| Target {
            running: running.load(Ordering::Relaxed),
            vitals,
            thread: thread.load(Ordering::Relaxed),
        })
    }
}

/// Looks at a hub; `None` if it has ended.
pub(super) fn look(hub: SharedRecord) -> Option<Look> {
    let looking = LOOKING.lock();
    let target = hub.watched.target(&looking)?;
    // SAFETY: the hub detaches, under the lock, before it is freed.
    let vitals = unsafe { &*target.vitals };
    // SAFETY: as above.
    let running = unsafe { &*target.running };
    Some(Look {
        pulse: vitals.pulse(),
        thread: target.thread,
        is_awake: hub.is_awake(),
        in_coroutine: !running.load(Ordering::Relaxed).is_null(),
    })
}

/// Calls a closure while the hub cannot end, unless it has, or it has turned since its loop
/// looked for the time numbered `looks`. It must not allocate, wait, or take this lock.
pub(super) fn while_stalled(hub: SharedRecord, looks: u64, f: impl FnOnce(Target)) -> bool {
    let looking = LOOKING.lock();
    let Some(target) = hub.watched.target(&looking) else { return false };
    // SAFETY: the hub detaches, under the lock, before it is freed.
    let stalled = unsafe { (*target.vitals).pulse() }.looks == looks;
    if stalled {
        f(target);
    }
    stalled
}

/// The watchdog's locks in processes that are forked off, where they are free.
struct Locks;

/// Prepares for forks: one of them is about to be used. Hubs use them without a watchdog too.
pub(super) fn watch_forks() {
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);

    fork::watch(&Locks, &IS_WATCHED);
}

impl Repair for Locks {
    fn prepare(&self) {
        mem::forget(LOOKING.lock());
        mem::forget(CALLBACK.lock());
    }

    fn parent(&self) {
        CALLBACK.free_forgotten();
        LOOKING.free_forgotten();
    }

    fn child(&self) {
        CALLBACK.free_forgotten();
        LOOKING.free_forgotten();
        capture::begin_anew();
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use std::ffi::c_void;
    use std::ptr;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// A hub takes the lock without a watchdog too; whoever forked meanwhile had a child whose
    /// hub never ended.
    #[test]
    fn a_lock_that_another_thread_holds_is_free_in_a_child() {
        crate::spawn(|| ()).join().unwrap();
        let forking = threads::current_id();
        let (held, is_held) = mpsc::channel();
        let (over, is_over) = mpsc::channel::<()>();
        let holder = thread::spawn(move || {
            let looking = LOOKING.lock();
            held.send(()).unwrap();
            // The fork waits for the lock, or is over.
            while threads::state(forking) != Some(b'S')
                && is_over.try_recv() == Err(mpsc::TryRecvError::Empty)
            {
                thread::yield_now();
            }
            drop(looking);
        });
        is_held.recv().unwrap();
        // SAFETY: the child calls nothing that takes a lock of others.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let was_held = LOOKING.free_in_child();
            // SAFETY: the call has no preconditions.
            unsafe { libc::_exit(was_held.into()) };
        }
        drop(over);
        holder.join().unwrap();
        assert_eq!(status_of(pid), 0);
    }

    /// Threads fork at the same time, while hubs begin and end: nobody waits for ever, and the
    /// children's hubs begin and end as well.
    #[test]
    fn threads_fork_at_once_while_hubs_come_and_go() {
        // What a process does once is done: std's part of that knows nothing of forks.
        use_hub();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..100).for_each(|_| use_hub()));
                scope.spawn(|| {
                    for _ in 0..20 {
                        // SAFETY: the child takes locks of the runtime's and of libc alone.
                        let pid = unsafe { libc::fork() };
                        if pid == 0 {
                            // SAFETY: the call has no preconditions.
                            unsafe { libc::alarm(60) };
                            use_hub();
                            // SAFETY: the call has no preconditions.
                            unsafe { libc::_exit(0) };
                        }
                        assert_eq!(status_of(pid), 0);
                    }
                });
            }
        });
    }

    /// Uses a hub on a thread that std has not made: std takes a lock when its threads begin,
    /// which a child finds taken if another thread began at the fork.
    fn use_hub() {
        extern "C" fn run(_: *mut c_void) -> *mut c_void {
            crate::spawn(|| ()).join().expect("it does nothing");
            ptr::null_mut()
        }

        let mut thread = 0;
        // SAFETY: `thread` is valid for the call, and the function wants no argument.
        let error = unsafe { libc::pthread_create(&mut thread, ptr::null(), run, ptr::null_mut()) };
        assert_eq!(error, 0);
        // SAFETY: it was made just now, and is joined once.
        assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
    }

    fn status_of(pid: libc::pid_t) -> i32 {
        let mut status = 0;
        // SAFETY: `status` is valid for the call.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        status
    }
}
