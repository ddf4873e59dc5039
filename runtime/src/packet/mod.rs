//! What a coroutine and its handle share: the closure, then the result.
//!
//! Both live in one allocation, the packet, in the same place of it. The task's side is used on
//! its hub's thread only; the handle's side wherever the handle is. Bits of one word say how far
//! each has come, and the side that comes last frees it.
//!
//! ```text
//!   task:    execute ─► DONE ─► wake who waits ─► RELEASED ─┐
//!                                                           ├─► the later one frees
//!   handle:  join or drop ────────────────────► DROPPED ────┘
//! ```
//!
//! **Invariants:** the closure is run, dropped or leaked by the task's side only. The result
//! is written before `DONE` is set; it then belongs to the handle's side, or to the task's
//! if that found `DROPPED`. Nobody touches the packet after setting its own last bit.

// The packet is reached by raw pointers from both sides.
#![allow(unsafe_code)]

mod body;
mod extras;
pub(crate) mod links;

use std::alloc::Layout;
use std::any::Any;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem;
use std::mem::ManuallyDrop;
use std::mem::MaybeUninit;
use std::ptr;
use std::ptr::NonNull;
use std::thread;

use once_cell::race::OnceBox;

use crate::error::Abandoned;
use crate::error::is_interrupt;
use crate::hub;
use crate::hub::Hub;
use crate::hub::shared::Message;
use crate::hub::shared::SharedRecord;
use crate::hub::task::Body;
use crate::packet::body::Calls;
use crate::packet::extras::Extras;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering;
use crate::sys::blocks;
use crate::sys::single_threaded::AtomicU32;

pub(crate) use crate::packet::body::drop_quietly;
pub use crate::packet::links::Outcome;

/// The handle's side of a packet.
pub(crate) struct HandleSide<T> {
    packet: NonNull<Packet<T>>,
    _result: PhantomData<T>,
}

/// The packet as the handle knows it, and the task once the closure has ended.
#[repr(C)]
struct Packet<T> {
    head: Head,
    /// Valid between the end of the closure and whoever takes it.
    result: UnsafeCell<MaybeUninit<thread::Result<T>>>,
}

/// The part that does not depend on what is run. Kept small, since a million may be made before
/// the first of them runs.
pub(crate) struct Head {
    /// The bits below.
    state: AtomicU32,
    /// The task's slot in its hub; `NO_SLOT` until the hub has given one.
    slot: AtomicU32,
    pub(crate) id: u64,
    hub: SharedRecord,
    /// The first ticket of the hub, which tells it from one that has its record later.
    hub_number: u64,
    /// Who is in `join`, if it is a task of the same hub: its slot.
    home_joiner: AtomicU32,
    /// What few coroutines need, made when asked for.
    extras: ManuallyDrop<OnceBox<Extras>>,
    /// What is told when the coroutine has ended, such as its scope.
    observer: Option<NonNull<dyn Observer>>,
    /// Frees the packet, whose full type it knows.
    free: unsafe fn(NonNull<()>),
}

/// The packet before the closure is run.
#[repr(C)]
struct Unrun<F> {
    head: Head,
    /// Valid until the task's side takes it; leaked if that never happens.
    closure: UnsafeCell<MaybeUninit<F>>,
}

/// What is allocated. The head is in the same place of both, and outlives the change.
#[repr(C)]
union FullPacket<F, T> {
    unrun: ManuallyDrop<Unrun<F>>,
    packet: ManuallyDrop<Packet<T>>,
}

/// Whoever is told of a coroutine's end.
pub(crate) trait Observer {
    /// The coroutine has ended and all that it could borrow is dropped, or belongs to its
    /// handle.
    fn ended(&self);

    /// Nobody has taken the payload of the coroutine's panic.
    fn panic_unseen(&self);

    /// The coroutine has swallowed its kill as often as it was thrown.
    fn kill_ignored(&self);
}

/// The result is there, or never will be.
const DONE: u32 = 1;
/// It never will be: the hub has ended.
const ABANDONED: u32 = 1 << 1;
/// The task's side is through with the packet.
const RELEASED: u32 = 1 << 2;
/// The handle's side is through with the packet.
const DROPPED: u32 = 1 << 3;
/// Somebody waits in `join` who is not of the coroutine's hub.
const JOINING: u32 = 1 << 4;
/// A task of the coroutine's own hub waits in `join`: it does not run meanwhile.
const JOINING_HOME: u32 = 1 << 5;
/// Somebody waits, or has waited, in `kill_timeout`.
const WATCHED: u32 = 1 << 6;
/// A kill was swallowed as often as it was thrown.
const KILL_IGNORED: u32 = 1 << 7;
/// A kill came before the task had a slot.
const KILL_EARLY: u32 = 1 << 8;
/// Links are told of the end.
const LINKED: u32 = 1 << 9;
/// What the closure ended with was a panic.
const PANICKED: u32 = 1 << 10;
/// What the closure ended with was a kill, or it never ran for one.
const WAS_KILLED: u32 = 1 << 11;

const NO_SLOT: u32 = u32::MAX;

/// Panics that nobody has joined, in this process.
static UNSEEN_PANICS: AtomicU64 = AtomicU64::new(0);

/// The origin of a coroutine, for its packet.
pub(crate) struct Birth {
    pub(crate) id: u64,
    pub(crate) name: Option<Box<str>>,
    pub(crate) hub: SharedRecord,
    pub(crate) hub_number: u64,
    pub(crate) observer: Option<NonNull<dyn Observer>>,
}

// SAFETY: through the handle nothing but the result is reached, which is `Send`.
unsafe impl<T: Send> Send for HandleSide<T> {}
// SAFETY: through a shared handle nothing of `T` is reached: the bits are atomic.
unsafe impl<T> Sync for HandleSide<T> {}

/// Makes a packet and gives both of its sides. The task's side has no slot yet.
///
/// # Safety
///
/// `closure`, what it returns and the observer must live until the task has ended, or for
/// ever if it never does.
#[inline(always)]
pub(crate) unsafe fn new_packet<F, T>(birth: Birth, closure: F) -> (Body, HandleSide<T>)
where
    F: FnOnce() -> T,
{
    let extras = OnceBox::new();
    if birth.name.is_some() {
        let _ = extras.set(Box::new(Extras::new(birth.id, birth.name)));
    }
    let full = allocate::<F, T>();
    let head = Head {
        state: AtomicU32::new(0),
        slot: AtomicU32::new(NO_SLOT),
        id: birth.id,
        hub: birth.hub,
        hub_number: birth.hub_number,
        home_joiner: AtomicU32::new(NO_SLOT),
        extras: ManuallyDrop::new(extras),
        observer: birth.observer,
        free: free::<F, T>,
    };
    let unrun = Unrun { head, closure: UnsafeCell::new(MaybeUninit::new(closure)) };
    // SAFETY: it was allocated for a packet of these types, and is nobody's yet.
    unsafe { full.cast().write(unrun) };
    let handle = HandleSide { packet: full.cast(), _result: PhantomData };
    // SAFETY: the packet is of these types, and freed after both sides are through.
    let body = unsafe { Body::new(full.cast(), Calls::<F, T>::TABLE) };
    (body, handle)
}

impl<T> HandleSide<T> {
    /// The part of the packet that is shared with the task's side.
    #[inline]
    pub(crate) fn head(&self) -> &Head {
        // SAFETY: the packet is freed by the handle's side, or after it.
        unsafe { &(*self.packet.as_ptr()).head }
    }

    /// Takes the result of a coroutine that has ended.
    #[inline]
    pub(crate) fn take(self) -> thread::Result<T> {
        debug_assert!(self.head().is_done());
        let packet = self.packet;
        mem::forget(self);
        // SAFETY: the coroutine has ended, and the handle is used up.
        unsafe { take_and_drop(packet) }
    }
}

impl<T> Drop for HandleSide<T> {
    fn drop(&mut self) {
        let head = self.head();
        let observer = head.observer;
        let running = |state: u32| (state & DONE == 0).then_some(state | DROPPED);
        let detached = head.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, running);
        if detached.is_err() {
            // SAFETY: the coroutine has ended, and the handle is being dropped.
            let result = unsafe { take_and_drop(self.packet) };
            if let Err(payload) = &result {
                note_unseen(&**payload, observer);
            }
        }
    }
}

impl Head {
    /// Whether the coroutine has ended.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) & DONE != 0
    }

    /// Whether `hub` is the one that the task belongs to.
    #[inline]
    pub(crate) fn is_of(&self, hub: &Hub) -> bool {
        ptr::eq(hub.shared(), self.hub) && self.hub.first_ticket() == self.hub_number
    }

    /// Ends the coroutine for its handle, if its thread is gone in the child of a fork. For the
    /// handle's side.
    #[cold]
    pub(crate) fn lose_if_orphaned(&self) -> bool {
        let is_orphaned = self.hub.is_orphaned();
        if is_orphaned {
            // There is no task's side any more.
            self.state.fetch_or(DONE | ABANDONED | RELEASED, Ordering::AcqRel);
        }
        is_orphaned
    }

    /// The hub that the task belongs to, with what tells it from one that has its record later.
    pub(crate) fn hub(&self) -> (SharedRecord, u64) {
        (self.hub, self.hub_number)
    }

    /// The task's slot in its hub, if it has got one.
    #[inline]
    pub(crate) fn slot(&self) -> Option<u32> {
        let slot = self.slot.load(Ordering::SeqCst);
        (slot != NO_SLOT).then_some(slot)
    }

    /// Notes the slot of a task that its own thread has spawned.
    #[inline]
    pub(crate) fn set_slot(&self, slot: u32) {
        self.slot.store(slot, Ordering::Relaxed);
    }

    /// Sends a kill to the hub of another thread. False if it has ended.
    pub(crate) fn send_kill(&self) -> bool {
        let slot = self.slot().or_else(|| {
            self.state.fetch_or(KILL_EARLY, Ordering::SeqCst);
            self.slot()
        });
        match slot {
            Some(slot) => self.hub.post(self.hub_number, Message::Kill { slot, id: self.id }),
            // The hub looks at the bit when it gives the slot.
            None => true,
        }
    }

    /// Announces a joiner that is a task of the coroutine's own hub, by its slot: whoever
    /// could look at it or change the bits is on this thread.
    #[inline]
    pub(crate) fn start_joining_at_home(&self, slot: u32) {
        self.home_joiner.store(slot, Ordering::Relaxed);
        let state = self.state.load(Ordering::Relaxed);
        self.state.store(state | JOINING_HOME, Ordering::Relaxed);
    }

    /// Takes either announcement back, if there is one.
    #[inline]
    pub(crate) fn stop_joining(&self) {
        let state = self.state.load(Ordering::Relaxed);
        if state & JOINING_HOME != 0 {
            self.state.store(state & !JOINING_HOME, Ordering::Relaxed);
        } else if state & JOINING != 0 {
            self.state.fetch_and(!JOINING, Ordering::AcqRel);
        }
    }

    /// Forgets that an earlier kill was swallowed.
    pub(crate) fn clear_kill_ignored(&self) {
        self.state.fetch_and(!KILL_IGNORED, Ordering::Relaxed);
    }

    /// What a watcher waits for: true if the coroutine has ended, false if it swallowed its
    /// kill.
    pub(crate) fn fate(&self) -> Option<bool> {
        let state = self.state.load(Ordering::Acquire);
        (state & (DONE | KILL_IGNORED) != 0).then_some(state & DONE != 0)
    }
}

impl Drop for Head {
    #[inline]
    fn drop(&mut self) {
        // The most of them have none, and are not to pay for the call.
        if self.extras.get().is_some() {
            extras::drop_extras(&mut self.extras);
        }
    }
}

/// Reads the result, and ends the handle's side.
///
/// # Safety
///
/// `DONE` must be set and `DROPPED` not; the handle's side does not use the packet
/// afterwards.
#[inline]
unsafe fn take_and_drop<T>(packet: NonNull<Packet<T>>) -> thread::Result<T> {
    // SAFETY: `DONE` is set and the result not taken yet.
    let result = unsafe { read_result(packet) };
    // SAFETY: the handle's side is not through yet, so the packet is valid.
    let head = unsafe { &(*packet.as_ptr()).head };
    let free = head.free;
    let released = head.state.load(Ordering::Acquire) & RELEASED != 0
        || head.state.fetch_or(DROPPED, Ordering::AcqRel) & RELEASED != 0;
    if released {
        // SAFETY: both sides are through with the packet.
        unsafe { free(packet.cast()) };
    }
    result
}

/// Takes the result out of a packet.
///
/// # Safety
///
/// The packet must be valid and `DONE` set, and the result be the caller's; once.
#[inline]
unsafe fn read_result<T>(packet: NonNull<Packet<T>>) -> thread::Result<T> {
    // SAFETY: the caller vouches for the packet.
    let state = unsafe { (*packet.as_ptr()).head.state.load(Ordering::Acquire) };
    if state & ABANDONED != 0 {
        return Err(Box::new(Abandoned));
    }
    // SAFETY: as above.
    let cell = unsafe { &(*packet.as_ptr()).result };
    // SAFETY: the result is the caller's, so nobody else uses the cell.
    let result = unsafe { cell.get().read() };
    // SAFETY: `DONE` without `ABANDONED` means that the result was written.
    unsafe { result.assume_init() }
}

/// Counts a panic that nobody joined.
#[cold]
fn note_unseen(payload: &(dyn Any + Send), observer: Option<NonNull<dyn Observer>>) {
    if is_interrupt(payload) || payload.is::<Abandoned>() {
        return;
    }
    UNSEEN_PANICS.fetch_add(1, Ordering::Relaxed);
    if let Some(observer) = observer {
        // SAFETY: the observer outlives the handles of its coroutines, see `new_packet`.
        unsafe { observer.as_ref().panic_unseen() };
    }
}

/// How many coroutines of this process panicked without anybody joining them.
pub(crate) fn unseen_panics() -> u64 {
    UNSEEN_PANICS.load(Ordering::Relaxed)
}

/// Takes back a packet whose task could not be made: gives the closure up by dropping it.
///
/// # Safety
///
/// The body must be unused, and `F` the closure's type.
pub(crate) unsafe fn discard<F, T>(body: Body, handle: HandleSide<T>) {
    mem::forget(handle);
    let unrun: NonNull<Unrun<F>> = body.data().cast();
    // SAFETY: neither side was used, so the packet is there, and this is the only pointer to it.
    let cell = unsafe { &(*unrun.as_ptr()).closure };
    // SAFETY: as above, so nobody else uses the cell.
    let closure = unsafe { cell.get().read() };
    // SAFETY: as above; what is left is not used any more.
    unsafe { free::<F, T>(body.data()) };
    // SAFETY: the closure was never taken.
    drop(unsafe { closure.assume_init() });
}

/// Gives memory for a packet.
#[inline]
fn allocate<F, T>() -> NonNull<FullPacket<F, T>> {
    let layout = Layout::new::<FullPacket<F, T>>();
    let kept = hub::running_hub().and_then(|hub| hub.blocks.take(layout));
    kept.unwrap_or_else(|| blocks::allocate(layout)).cast()
}

/// Frees the memory of a packet; the closure and the result are gone, or leaked.
///
/// # Safety
///
/// `data` must be a `FullPacket<F, T>` that neither side uses any more.
unsafe fn free<F, T>(data: NonNull<()>) {
    let head: NonNull<Head> = data.cast();
    // SAFETY: both sides are through with the packet, which begins with its head.
    unsafe { head.drop_in_place() };
    let layout = Layout::new::<FullPacket<F, T>>();
    // SAFETY: as above, and it was allocated for one of this type.
    if !hub::running_hub().is_some_and(|hub| unsafe { hub.blocks.keep(data.cast(), layout) }) {
        // SAFETY: as above, and it was not kept.
        unsafe { blocks::free(data.cast(), layout) };
    }
}
