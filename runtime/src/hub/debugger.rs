//! What a debugger needs to find all coroutines of a process, live or dead, without types.
//!
//! An optimised build has line tables and no types, and a core file runs no code. So one
//! static says where the list of hubs begins and where in each record the fields are that
//! `gdb/corovent.py` reads; each hub's shared record leads to its tasks. Nothing here is
//! read by the program itself.
//!
//! The layout of `Location` and of fat pointers is std's: samples with known contents tell
//! the script what it is.

// Its test looks at the bytes of enumerations.
#![allow(unsafe_code)]

use std::hint;
use std::mem::offset_of;
use std::panic::Location;
use std::ptr;

use crate::coroutine::RECORD_OFFSETS;
use crate::hub::Hub;
use crate::hub::reason::Reason;
use crate::hub::reason::What;
use crate::hub::shared::HUBS;
use crate::hub::shared::Shared;
use crate::hub::task::Task;
use crate::overflow::Occupant;
use crate::scheduler::Entry;
use crate::scheduler::Table;
use crate::stack::Place;
use crate::stack::STACK_BYTES_MIN;
use crate::stack::Stack;
use crate::sys::atomic::AtomicPtr;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::Ordering;
use crate::sys::records::Record;
use crate::sys::records::Records;
use crate::sys::threads;

/// What the shared record of a hub shows of it.
#[derive(Debug)]
pub(super) struct Seen {
    /// Null unless the hub lives.
    hub: AtomicPtr<Hub>,
    table: AtomicPtr<Table>,
    /// The kernel's number of the hub's thread.
    thread: AtomicU32,
}

impl Seen {
    pub(super) fn nothing() -> Seen {
        Seen {
            hub: AtomicPtr::new(ptr::null_mut()),
            table: AtomicPtr::new(ptr::null_mut()),
            thread: AtomicU32::new(0),
        }
    }

    /// Shows a hub of this thread that lives until `hide`.
    pub(super) fn show(&self, hub: &Hub) {
        // What nobody refers to, the linker leaves out.
        hint::black_box(&COROVENT_LAYOUT);
        let table = ptr::from_ref(&hub.state().scheduler.table).cast_mut();
        self.table.store(table, Ordering::Relaxed);
        self.thread.store(threads::current_id().cast_unsigned(), Ordering::Relaxed);
        self.hub.store(ptr::from_ref(hub).cast_mut(), Ordering::Release);
    }

    pub(super) fn hide(&self) {
        self.hub.store(ptr::null_mut(), Ordering::Release);
    }
}

/// Text as two words whose order is known.
#[derive(Debug)]
#[repr(C)]
struct Text {
    start: &'static u8,
    len: usize,
}

impl Text {
    const fn of(text: &'static str) -> Text {
        Text { start: &text.as_bytes()[0], len: text.len() }
    }
}

/// The layout, of which the script knows the fields and their order by `VERSION`.
#[derive(Debug)]
#[repr(C)]
struct Layout {
    magic: [u8; 8],
    version: u32,
    numbers: u32,
    /// The list of hubs: it begins with the pointer to the first.
    hubs: &'static Records<Shared>,
    reasons: &'static [Text; REASONS.len()],
    whats: &'static [Text; WHATS.len()],
    /// A sample of a place in a source, and of a fat pointer.
    place: &'static Location<'static>,
    place_file: &'static str,
    place_line: u64,
    place_column: u64,
    reasons_len: u64,
    whats_len: u64,
    offsets: [u64; OFFSETS.len()],
}

const VERSION: u32 = 1;

const PLACE: &Location<'static> = Location::caller();

/// Where the fields are that lie behind each other on the way to a backtrace.
const OFFSETS: [usize; 24] = [
    offset_of!(Record<Shared>, used),
    offset_of!(Record<Shared>, next),
    offset_of!(Record<Shared>, value) + offset_of!(Shared, seen) + offset_of!(Seen, hub),
    offset_of!(Record<Shared>, value) + offset_of!(Shared, seen) + offset_of!(Seen, table),
    offset_of!(Record<Shared>, value) + offset_of!(Shared, seen) + offset_of!(Seen, thread),
    offset_of!(Hub, current),
    offset_of!(Hub, clock_ms),
    size_of::<Entry<Task>>(),
    offset_of!(Entry<Task>, state),
    // With a niche in it, an option has its value at its beginning.
    offset_of!(Entry<Task>, task) + offset_of_task(),
    offset_of!(Task, since_ms),
    offset_of!(Task, coroutine),
    offset_of!(Task, reason),
    offset_of!(Task, id),
    offset_of!(Task, spawned_at),
    RECORD_OFFSETS[0],
    RECORD_OFFSETS[1],
    RECORD_OFFSETS[2]
        + offset_of!(Occupant, stack)
        + offset_of!(Stack, place)
        + offset_of!(Place, top),
    RECORD_OFFSETS[2]
        + offset_of!(Occupant, stack)
        + offset_of!(Stack, place)
        + offset_of!(Place, class),
    RECORD_OFFSETS[2] + offset_of!(Occupant, id),
    RECORD_OFFSETS[2] + offset_of!(Occupant, name),
    RECORD_OFFSETS[2] + offset_of!(Occupant, name_bytes),
    STACK_BYTES_MIN,
    size_of::<Reason>(),
];

const fn offset_of_task() -> usize {
    assert!(size_of::<Option<Task>>() == size_of::<Task>());
    0
}

/// In the order of their numbers.
const REASONS: [Reason; 13] = [
    Reason::Yield,
    Reason::Sleep,
    Reason::Readable(0),
    Reason::Writable(0),
    Reason::Descriptors(0),
    Reason::Join(0),
    Reason::Park,
    Reason::Ends,
    // Its kind is that of what is waited for.
    Reason::Queue(What::Barrier, 0),
    Reason::Process(0),
    Reason::Signal,
    Reason::Delay,
    Reason::Start,
];

/// In the order of their numbers.
const WHATS: [What; 30] = [
    What::Barrier,
    What::Blocking,
    What::Completion,
    What::Condvar,
    What::Demand,
    What::Event,
    What::File,
    What::Finish,
    What::Future,
    What::Get,
    What::Group,
    What::Jobs,
    What::Kill,
    What::Lock,
    What::Lookup,
    What::Once,
    What::Open,
    What::Permit,
    What::Place,
    What::Put,
    What::ReadLock,
    What::Receive,
    What::Result,
    What::Room,
    What::Scope,
    What::Select,
    What::Send,
    What::Stdio,
    What::Work,
    What::WriteLock,
];

static REASON_TEXTS: [Text; REASONS.len()] = {
    let mut texts = [const { Text::of("?") }; REASONS.len()];
    let mut n = 0;
    while n < REASONS.len() {
        texts[n] = Text::of(REASONS[n].kind());
        n += 1;
    }
    texts
};

static WHAT_TEXTS: [Text; WHATS.len()] = {
    let mut texts = [const { Text::of("?") }; WHATS.len()];
    let mut n = 0;
    while n < WHATS.len() {
        texts[n] = Text::of(Reason::Queue(WHATS[n], 0).kind());
        n += 1;
    }
    texts
};

/// The script looks for this name among the symbols.
#[used]
static COROVENT_LAYOUT: Layout = Layout {
    magic: *b"corovent",
    version: VERSION,
    numbers: OFFSETS.len() as u32,
    hubs: &HUBS,
    reasons: &REASON_TEXTS,
    whats: &WHAT_TEXTS,
    place: PLACE,
    place_file: PLACE.file(),
    place_line: PLACE.line() as u64,
    place_column: PLACE.column() as u64,
    reasons_len: REASONS.len() as u64,
    whats_len: WHATS.len() as u64,
    offsets: {
        let mut offsets = [0; OFFSETS.len()];
        let mut n = 0;
        while n < OFFSETS.len() {
            offsets[n] = OFFSETS[n] as u64;
            n += 1;
        }
        offsets
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The number by which a debugger knows a reason.
    fn number(reason: &Reason) -> u8 {
        // SAFETY: an enumeration of `repr(u8)` begins with its number.
        unsafe { *ptr::from_ref(reason).cast::<u8>() }
    }

    #[test]
    fn the_texts_stand_in_the_order_of_the_numbers() {
        for (n, reason) in REASONS.iter().enumerate() {
            assert_eq!(usize::from(number(reason)), n, "{reason:?}");
        }
        for (n, what) in WHATS.iter().enumerate() {
            assert_eq!(*what as usize, n, "{what:?}");
        }
    }

    #[test]
    fn what_is_waited_for_follows_the_number() {
        let reason = Reason::Queue(What::WriteLock, 0);
        let place = ptr::from_ref(&reason).cast::<u8>().wrapping_add(1);
        // SAFETY: the first field of a variant, a byte, follows the number.
        let what = unsafe { *place };
        assert_eq!(what, What::WriteLock as u8);
    }
}
