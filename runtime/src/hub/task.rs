//! A task: a coroutine with an identity, and what it runs.

// A body is a pair of a pointer and the functions that understand it.
#![allow(unsafe_code)]

use std::panic::Location;
use std::ptr::NonNull;

use crate::coroutine::Coroutine;
use crate::coroutine::Job;
use crate::hub;
use crate::hub::Mode;
use crate::hub::identity::Thread;
use crate::hub::reason::Reason;
use crate::interrupt::Interrupts;
use crate::stack::SizeClass;
use crate::sys::process;
use crate::timers::TimerKey;

/// One entry of the task table. Kept small, since there may be a million; what a switch
/// reads comes first, to share a cache line with what the scheduler keeps.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Task {
    /// How the current wait may end.
    pub(crate) mode: Mode,
    pub(crate) class: SizeClass,
    /// How far below its coroutine's record the frames that wait end, about.
    pub(crate) depth_bytes: u16,
    /// When that wait began, by the hub's clock of milliseconds.
    pub(crate) since_ms: u32,
    /// `None` before the first run, and for the root.
    pub(crate) coroutine: Option<Coroutine>,
    pub(crate) interrupts: Interrupts,
    /// What the current or the last wait is for.
    pub(crate) reason: Reason,
    /// `None` for the root.
    pub(crate) body: Option<Body>,
    /// Unique in the process.
    pub(crate) id: u64,
    pub(crate) spawned_at: &'static Location<'static>,
    /// Of the current or the last wait with a deadline.
    pub(crate) timer: TimerKey,
}

/// What is needed to make a task.
#[derive(Debug)]
pub(crate) struct NewTask {
    /// The first ticket of the hub that it is for.
    pub(crate) hub: u64,
    pub(crate) id: u64,
    /// Private, since a body is copied easily and may be used once only.
    body: Body,
    /// `None` is the hub's default.
    pub(crate) class: Option<SizeClass>,
    pub(crate) spawned_at: &'static Location<'static>,
}

// SAFETY: who made it vouched that the body may go to the thread of its hub.
unsafe impl Send for NewTask {}

/// What a coroutine runs and where its result goes; the type of both is erased.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    data: NonNull<()>,
    calls: &'static BodyCalls,
}

/// What a hub does with a body. Each function gets the body's `data`.
#[derive(Debug)]
pub(crate) struct BodyCalls {
    /// What a coroutine does from its first run to its end, on its own stack, once. Runs the
    /// closure, or only drops it if the task was killed before that; destroys the locals; makes the
    /// result known and wakes who waits for it, or drops it if nobody will. Nothing unwinds out of
    /// it, and the body is not used after.
    pub(crate) run: unsafe fn(NonNull<()>, slot: u32, killed: bool),
    /// Tells those who wait that no result will come, without running or dropping anything
    /// of the user's. The body is not used after.
    pub(crate) abandon: unsafe fn(NonNull<()>),
    /// The same for a task that a fork has left behind: its scope does not wait for it.
    pub(crate) lose: unsafe fn(NonNull<()>),
    /// Tells those who wait for a kill that the task has swallowed it.
    pub(crate) kill_ignored: unsafe fn(NonNull<()>),
    /// Notes the slot that the task got.
    pub(crate) placed: unsafe fn(NonNull<()>, slot: u32),
    /// Who is told of the end; null for nobody.
    pub(crate) observer: unsafe fn(NonNull<()>) -> *const (),
    /// The name, or an empty one.
    pub(crate) name: unsafe fn(NonNull<()>) -> *const str,
    /// The handle of the coroutine, made when first asked for.
    pub(crate) thread: unsafe fn(NonNull<()>) -> NonNull<Thread>,
}

impl Task {
    /// The record of a thread's own stack.
    #[track_caller]
    pub(crate) fn root(id: u64, class: SizeClass) -> Task {
        Task {
            id,
            coroutine: None,
            body: None,
            interrupts: Interrupts::default(),
            reason: Reason::Start,
            since_ms: 0,
            spawned_at: Location::caller(),
            timer: TimerKey::NONE,
            mode: Mode::Masked,
            class,
            depth_bytes: 0,
        }
    }

    /// The record of a coroutine that has not run.
    #[inline(always)]
    pub(crate) fn new(
        id: u64,
        body: Body,
        spawned_at: &'static Location<'static>,
        class: SizeClass,
        since_ms: u32,
    ) -> Task {
        Task {
            id,
            coroutine: None,
            body: Some(body),
            interrupts: Interrupts::default(),
            reason: Reason::Start,
            since_ms,
            spawned_at,
            timer: TimerKey::NONE,
            mode: Mode::Masked,
            class,
            depth_bytes: 0,
        }
    }

    /// The name, or an empty one.
    pub(crate) fn name(&self) -> &str {
        match self.body {
            Some(body) => {
                // SAFETY: the task still has its body, so the packet is there.
                let name = unsafe { body.name() };
                // SAFETY: the name lives as long as the body.
                unsafe { &*name }
            }
            None => "",
        }
    }
}

impl NewTask {
    /// Makes a task of a body.
    ///
    /// # Safety
    ///
    /// No other task is made of the body. If the hub is that of another thread, what the body
    /// runs and gives must be `Send`.
    #[inline(always)]
    pub(crate) unsafe fn new(
        hub: u64,
        id: u64,
        body: Body,
        class: Option<SizeClass>,
        spawned_at: &'static Location<'static>,
    ) -> NewTask {
        NewTask { hub, id, body, class, spawned_at }
    }

    /// What it runs.
    #[inline]
    pub(crate) fn body(&self) -> Body {
        self.body
    }
}

impl Body {
    /// Pairs what is run with the functions that understand it.
    ///
    /// # Safety
    ///
    /// The functions must be those for `data`, which lives until the end of `run`, or `abandon`.
    #[inline(always)]
    pub(crate) unsafe fn new(data: NonNull<()>, calls: &'static BodyCalls) -> Body {
        Body { data, calls }
    }

    /// What is run; its type is for who made it to know.
    #[inline]
    pub(crate) fn data(self) -> NonNull<()> {
        self.data
    }

    /// What the coroutine of the task in `slot` runs; see [`BodyCalls::run`].
    #[inline]
    pub(crate) fn job(self, slot: u32, killed: bool) -> Job {
        Job { run: self.calls.run, data: self.data, slot, killed }
    }

    /// The name, or an empty one.
    ///
    /// # Safety
    ///
    /// Neither `run` nor `abandon` may have returned.
    #[inline]
    pub(crate) unsafe fn name(self) -> *const str {
        // SAFETY: the caller vouches that the body is valid.
        unsafe { (self.calls.name)(self.data) }
    }

    /// Tells that no result will come; see [`BodyCalls::abandon`].
    ///
    /// # Safety
    ///
    /// Once, of a task that never goes on; nobody uses the body afterwards.
    pub(crate) unsafe fn abandon(self) {
        // SAFETY: the caller vouches for the same.
        unsafe { (self.calls.abandon)(self.data) }
    }

    /// The same in the child of a fork; see [`BodyCalls::lose`].
    ///
    /// # Safety
    ///
    /// As for [`abandon`](Body::abandon).
    pub(crate) unsafe fn lose(self) {
        // SAFETY: the caller vouches for the same.
        unsafe { (self.calls.lose)(self.data) }
    }

    /// Tells that a kill was swallowed; see [`BodyCalls::kill_ignored`].
    ///
    /// # Safety
    ///
    /// Neither `run` nor `abandon` may have returned.
    pub(crate) unsafe fn kill_ignored(self) {
        // SAFETY: the caller vouches for the same.
        unsafe { (self.calls.kill_ignored)(self.data) }
    }

    /// Notes the slot of the task.
    ///
    /// # Safety
    ///
    /// Neither `run` nor `abandon` may have returned.
    #[inline]
    pub(crate) unsafe fn placed(self, slot: u32) {
        // SAFETY: the caller vouches for the same.
        unsafe { (self.calls.placed)(self.data, slot) }
    }

    /// Who is told of the end; null for nobody.
    ///
    /// # Safety
    ///
    /// Neither `run` nor `abandon` may have returned.
    pub(crate) unsafe fn observer(self) -> *const () {
        // SAFETY: the caller vouches for the same.
        unsafe { (self.calls.observer)(self.data) }
    }

    /// The handle of the coroutine, made when first asked for.
    ///
    /// # Safety
    ///
    /// Neither `run` nor `abandon` may have returned, and neither may for as long as the
    /// reference is used.
    pub(crate) unsafe fn thread<'a>(self) -> &'a Thread {
        // SAFETY: the caller vouches for the same.
        let thread = unsafe { (self.calls.thread)(self.data) };
        // SAFETY: it is in the packet, or in a box of that: as the caller vouches.
        unsafe { thread.as_ref() }
    }
}

/// Checks that the task whose code ends is the one that the loop has resumed, which it would
/// take the end for.
#[inline]
pub(crate) fn check_end(slot: u32) {
    if hub::running_hub().is_none_or(|hub| hub.slot() != slot) {
        process::abort_with("a coroutine ends after a switch which the hub knows not of");
    }
}
