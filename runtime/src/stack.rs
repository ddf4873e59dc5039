//! Stacks: slabs of equal slots, a guard below each, and free lists.
//!
//! ```text
//! slab (one mapping):  │ guard │  usable  │ guard │  usable  │ …
//!                      └─────── slot ─────┘
//!                              ◄── grows down from the top
//! ```
//!
//! A stack is *reserved* when its coroutine is spawned and *bound* when it first runs, the
//! hottest free slot first. So a hundred thousand short coroutines run on one warm stack.
//!
//! The guards are markers in the page tables (`MADV_GUARD_INSTALL`) where a try finds them;
//! else `mprotect`, which takes two mappings a stack and stops at half of `vm.max_map_count`.
//!
//! **Invariant:** no slot is handed out without a guard, and none while it is in use.

// Guards and discards change memory that only this file knows to be unused.
#![allow(unsafe_code)]

use std::env;
use std::fmt;
use std::io;

use crate::sys::memory::Mapping;
use crate::sys::memory::page_bytes;
use crate::sys::process::proc_number;

pub(crate) use crate::stack::counts::StackSpan;

/// What keeps watch over the stacks, such as valgrind: it is told of each one once.
pub(crate) trait Watch {
    /// Ends the watch when it is dropped.
    type Token;

    /// Starts to watch the stack from `low` to `high`.
    fn watch(low: usize, high: usize) -> Self::Token;
}

/// A power of two of usable bytes, of which the pool keeps slabs of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SizeClass(u8);

impl SizeClass {
    /// The smallest class that has `bytes`.
    pub(crate) fn for_bytes(bytes: usize) -> io::Result<SizeClass> {
        match bytes.max(STACK_BYTES_MIN).checked_next_power_of_two() {
            Some(rounded) if rounded <= STACK_BYTES_MAX => {
                Ok(SizeClass((rounded.trailing_zeros() - STACK_BYTES_MIN.trailing_zeros()) as u8))
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a stack of {bytes} bytes is larger than the limit of {STACK_BYTES_MAX}"),
            )),
        }
    }

    /// The class used when nobody asks for another: `COROVENT_STACK_SIZE` bytes, or 256 KiB.
    pub(crate) fn default_class() -> io::Result<SizeClass> {
        let bytes = match env::var("COROVENT_STACK_SIZE") {
            Ok(text) => text.trim().parse().map_err(|_| {
                let message = format!("COROVENT_STACK_SIZE={text} is not a number of bytes");
                io::Error::new(io::ErrorKind::InvalidInput, message)
            })?,
            Err(_) => STACK_BYTES_DEFAULT,
        };
        SizeClass::for_bytes(bytes)
    }

    /// The bytes a coroutine may use.
    pub(crate) fn usable_bytes(self) -> usize {
        STACK_BYTES_MIN << self.0
    }

    /// The bytes that fault below them. C code may step over a small guard in one frame; a
    /// marker costs eight bytes a page, a tenth of a gigabyte for a hundred thousand stacks.
    fn guard_bytes(self) -> usize {
        if self.usable_bytes() >= STACK_BYTES_DEFAULT { 64 * 1024 } else { 16 * 1024 }
    }

    fn slot_bytes(self) -> usize {
        self.usable_bytes() + self.guard_bytes()
    }
}

/// Exclusive use of one slot. Losing it, as a coroutine that never ends does, keeps the
/// slot from ever being used again.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) place: Place,
}

/// Where a slot is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The highest address, where the stack begins.
    pub(crate) top: usize,
    slab: u32,
    slot: u16,
    pub(crate) class: SizeClass,
    /// Whether `trim` has looked at it since it came back; only of free ones.
    trimmed: bool,
}

impl Stack {
    /// The highest address: the first push goes below it.
    pub(crate) fn top(&self) -> usize {
        self.place.top
    }

    /// How many bytes a coroutine may use.
    pub(crate) fn usable_bytes(&self) -> usize {
        self.place.class.usable_bytes()
    }

    /// Whether an address lies in the guard.
    pub(crate) fn guards(&self, address: usize) -> bool {
        (self.guard_low()..self.place.top - self.usable_bytes()).contains(&address)
    }

    /// The lowest address of the guard.
    pub(crate) fn guard_low(&self) -> usize {
        self.place.top - self.place.class.slot_bytes()
    }

    /// A number that differs between neighbours.
    pub(crate) fn number(&self) -> usize {
        usize::from(self.place.slot)
    }
}

/// The stacks of one hub.
pub(crate) struct StackPool<W: Watch> {
    classes: Vec<ClassPool<W>>,
    guard: Guard,
    /// Stacks that came back since [`trim`](StackPool::trim) last looked.
    returned: usize,
    /// Those before that.
    returned_before: u64,
    /// Scratch for `mincore`.
    pages: Vec<u8>,
}

/// By what a guard faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    /// Not found out yet.
    Untried,
    /// Markers in the page tables.
    Marker,
    /// A mapping without access.
    Protection,
}

/// The stacks of one size.
struct ClassPool<W: Watch> {
    slabs: Vec<Slab<W>>,
    /// Slots that were used and came back, the hottest last.
    free: Vec<Place>,
    /// How many of `free`, from the front, have had their pages discarded.
    cold: usize,
    /// Stacks promised to coroutines, bound or not.
    reserved: usize,
    /// How many may be promised without a further look: the slots there are, or those with
    /// a guard where guards are made early.
    ready: usize,
    /// Slots of all slabs.
    slots: usize,
    /// The slab that fresh slots come from; all before it are used up.
    fresh_slab: usize,
}

struct Slab<W: Watch> {
    /// The watch over each slot that was ever used; dropped before the mapping.
    tokens: Vec<W::Token>,
    mapping: Mapping,
    slots: u16,
    /// Slots from here on have never been used.
    fresh: u16,
    /// Slots from here on have no guard yet.
    unguarded: u16,
}

/// Smaller stacks do not hold a panic with its backtrace (measured: 25 KiB).
pub(crate) const STACK_BYTES_MIN: usize = 64 * 1024;
/// Debug builds of real client libraries use up to 132 KiB.
const STACK_BYTES_DEFAULT: usize = 256 * 1024;
const STACK_BYTES_MAX: usize = 1 << 30;
const SLAB_BYTES_FIRST: usize = 4 << 20;
/// The largest slabs are 256 MiB.
const SLAB_DOUBLINGS_MAX: usize = 6;
/// A stack that came back keeps this much of its deep end in memory.
pub(crate) const WARM_BYTES: usize = 32 * 1024;
/// So many free stacks keep their pages; colder ones give them back.
const WARM_STACKS_MAX: usize = 1024;

impl<W: Watch> StackPool<W> {
    /// Makes a pool without slabs. `COROVENT_STACK_GUARD=mprotect` rules markers out.
    pub(crate) fn new() -> StackPool<W> {
        let forced = env::var_os("COROVENT_STACK_GUARD").is_some_and(|value| value == "mprotect");
        let guard = if forced { Guard::Protection } else { Guard::Untried };
        StackPool { classes: Vec::new(), guard, returned: 0, returned_before: 0, pages: Vec::new() }
    }

    /// Promises room for one more stack; the error names the limit that is in the way.
    #[inline]
    pub(crate) fn reserve(&mut self, class: SizeClass) -> io::Result<()> {
        let index = usize::from(class.0);
        if let Some(pool) = self.classes.get_mut(index)
            && pool.reserved < pool.ready
        {
            pool.reserved += 1;
            return Ok(());
        }
        self.reserve_slowly(class)
    }

    #[cold]
    fn reserve_slowly(&mut self, class: SizeClass) -> io::Result<()> {
        let index = usize::from(class.0);
        while self.classes.len() <= index {
            self.classes.push(ClassPool::new());
        }
        let pool = &mut self.classes[index];
        if pool.reserved == pool.slots {
            pool.grow(class).map_err(|error| explain("map", class, pool.slots, error))?;
        }
        if self.guard == Guard::Untried {
            self.guard = pool.try_marker(class);
        }
        if self.guard == Guard::Protection {
            // A protection can fail much later than its mapping: make it now.
            pool.protect_up_to(class, pool.reserved + 1)
                .map_err(|error| explain("guard", class, pool.reserved, error))?;
            pool.ready = pool.reserved + 1;
        } else {
            pool.ready = pool.slots;
        }
        pool.reserved += 1;
        Ok(())
    }

    /// Gives up a promise that was not, or is no longer, in use.
    #[inline]
    pub(crate) fn release(&mut self, class: SizeClass) {
        let pool = &mut self.classes[usize::from(class.0)];
        assert!(pool.reserved > 0, "every release has its reserve");
        pool.reserved -= 1;
    }

    /// Binds a reserved stack if there is a warm one: that which came back last, and its shallow
    /// end is as it was then.
    #[inline]
    pub(crate) fn bind_warm(&mut self, class: SizeClass) -> Option<Stack> {
        let pool = &mut self.classes[usize::from(class.0)];
        if pool.free.len() <= pool.cold {
            return None;
        }
        let place = pool.free.pop()?;
        Some(Stack { place: Place { trimmed: false, ..place } })
    }

    /// Binds a reserved stack if there is no warm one.
    ///
    /// The error is that the kernel refused a guard.
    #[cold]
    pub(crate) fn bind_cold(&mut self, class: SizeClass) -> io::Result<Stack> {
        let guard = self.guard;
        let pool = &mut self.classes[usize::from(class.0)];
        let place = match pool.free.pop() {
            Some(place) => {
                pool.cold = pool.free.len();
                Place { trimmed: false, ..place }
            }
            None => pool.carve(class, guard)?,
        };
        Ok(Stack { place })
    }

    /// Takes a stack back for the next coroutine, and ends its reservation.
    ///
    /// # Safety
    ///
    /// Until `bind_warm` gives it again nothing on the stack may be used, and then its upper
    /// `WARM_BYTES` only; nor `stack` as one that is bound.
    #[inline]
    pub(crate) unsafe fn give_back(&mut self, stack: &Stack) {
        let pool = &mut self.classes[usize::from(stack.place.class.0)];
        pool.reserved -= 1;
        pool.free.push(stack.place);
        self.returned += 1;
    }

    /// How many stacks came back since the last trim.
    #[inline]
    pub(crate) fn returned(&self) -> usize {
        self.returned
    }

    /// Gives memory of free stacks back to the kernel: all of the coldest beyond a number, at most
    /// so many of a size, and the deep end of others that somebody used deeply. Whether that was
    /// all; stacks that are left count as if they came back later.
    pub(crate) fn trim(&mut self, at_most: usize) -> bool {
        let mut left = 0;
        for (index, pool) in self.classes.iter_mut().enumerate() {
            let class = SizeClass(index as u8);
            left += pool.discard_cold(class, at_most);
            pool.discard_deep(class, &mut self.pages);
        }
        self.returned_before += self.returned.saturating_sub(left) as u64;
        self.returned = left.min(self.returned);
        left == 0
    }

    /// Unmaps the slabs of sizes that no coroutine has a stack of.
    pub(crate) fn unmap_unused(&mut self) {
        for pool in &mut self.classes {
            if pool.reserved == 0 {
                *pool = ClassPool::new();
            }
        }
    }
}

impl<W: Watch> ClassPool<W> {
    fn new() -> ClassPool<W> {
        ClassPool {
            slabs: Vec::new(),
            free: Vec::new(),
            cold: 0,
            reserved: 0,
            ready: 0,
            slots: 0,
            fresh_slab: 0,
        }
    }

    /// Maps one more slab, twice as large as the one before.
    fn grow(&mut self, class: SizeClass) -> io::Result<()> {
        let doublings = self.slabs.len().min(SLAB_DOUBLINGS_MAX);
        let bytes = SLAB_BYTES_FIRST << doublings;
        let slots = (bytes / class.slot_bytes()).max(1);
        let mapping = Mapping::for_stacks(slots * class.slot_bytes())?;
        self.slabs.push(Slab {
            mapping,
            slots: u16::try_from(slots).expect("a slab has at most a few thousand slots"),
            fresh: 0,
            unguarded: 0,
            tokens: Vec::new(),
        });
        self.slots += slots;
        Ok(())
    }

    /// Tries the markers on the first slot of the newest slab.
    fn try_marker(&mut self, class: SizeClass) -> Guard {
        let slab = self.slabs.last_mut().expect("a slab was just mapped");
        match slab.guard_next(class, Guard::Marker) {
            Ok(()) => Guard::Marker,
            // EINVAL: the kernel is older than 6.13, or its memory is locked.
            Err(_) => Guard::Protection,
        }
    }

    /// Protects slots until as many as `count` have a guard.
    fn protect_up_to(&mut self, class: SizeClass, count: usize) -> io::Result<()> {
        let mut guarded = 0;
        for slab in &mut self.slabs {
            while slab.unguarded < slab.slots && guarded + usize::from(slab.unguarded) < count {
                slab.guard_next(class, Guard::Protection)?;
            }
            guarded += usize::from(slab.unguarded);
        }
        Ok(())
    }

    /// Takes a slot that was never used.
    #[cold]
    fn carve(&mut self, class: SizeClass, guard: Guard) -> io::Result<Place> {
        while self.slabs[self.fresh_slab].fresh == self.slabs[self.fresh_slab].slots {
            self.fresh_slab += 1;
        }
        let slab = &mut self.slabs[self.fresh_slab];
        if slab.unguarded == slab.fresh {
            slab.guard_next(class, guard)
                // The memory was locked since the markers were tried.
                .or_else(|_| slab.guard_next(class, Guard::Protection))
                .map_err(|error| explain("guard", class, self.reserved, error))?;
        }
        let slot = slab.fresh;
        slab.fresh += 1;
        let top = slab.mapping.start() + (usize::from(slot) + 1) * class.slot_bytes();
        slab.tokens.push(W::watch(top - class.usable_bytes(), top));
        let slab = u32::try_from(self.fresh_slab).expect("fewer than 2^32 slabs");
        Ok(Place { top, slab, slot, class, trimmed: false })
    }

    /// Discards all pages of the coldest free stacks, runs of neighbours in one call. How many more
    /// there are than it may.
    fn discard_cold(&mut self, class: SizeClass, at_most: usize) -> usize {
        let surplus = self.free.len().saturating_sub(WARM_STACKS_MAX).saturating_sub(self.cold);
        let keep_from = self.cold + surplus.min(at_most);
        let colder = &mut self.free[self.cold..keep_from];
        colder.sort_unstable_by_key(|free| (free.slab, free.slot));
        for run in colder.chunk_by(|a, b| a.slab == b.slab && a.slot + 1 == b.slot) {
            let offset = usize::from(run[0].slot) * class.slot_bytes();
            let mapping = &self.slabs[run[0].slab as usize].mapping;
            // SAFETY: these slots are free, and cold from now on: `bind_warm` gives none of them.
            unsafe { mapping.discard(offset, run.len() * class.slot_bytes()) };
        }
        self.cold = keep_from;
        surplus.saturating_sub(at_most)
    }

    /// Discards the deep end of warm free stacks that have one.
    fn discard_deep(&mut self, class: SizeClass, pages: &mut Vec<u8>) {
        let deep_bytes = class.usable_bytes() - WARM_BYTES;
        // More of them are soon discarded as a whole.
        for free in self.free[self.cold..].iter_mut().rev().take(WARM_STACKS_MAX) {
            if free.trimmed {
                // So are all below: what came back since the last look lies on top.
                break;
            }
            free.trimmed = true;
            let mapping = &self.slabs[free.slab as usize].mapping;
            let offset = usize::from(free.slot) * class.slot_bytes() + class.guard_bytes();
            // Stacks are touched page by page from the top, so the first page beyond the
            // warm ones tells.
            let page = page_bytes();
            mapping.resident(offset + deep_bytes - page, page, pages);
            if pages[0] & 1 != 0 {
                // SAFETY: the slot is free; what may be used again lies above, in `WARM_BYTES`.
                unsafe { mapping.discard(offset, deep_bytes) };
            }
        }
    }
}

impl<W: Watch> Slab<W> {
    /// Gives the next slot its guard.
    fn guard_next(&mut self, class: SizeClass, guard: Guard) -> io::Result<()> {
        let offset = usize::from(self.unguarded) * class.slot_bytes();
        match guard {
            // SAFETY: the slot is fresh: it has never been handed out.
            Guard::Marker => unsafe { self.mapping.install_guard(offset, class.guard_bytes()) },
            // SAFETY: as above.
            _ => unsafe { self.mapping.protect(offset, class.guard_bytes()) },
        }?;
        self.unguarded += 1;
        Ok(())
    }
}

impl<W: Watch> Drop for StackPool<W> {
    fn drop(&mut self) {
        for pool in self.classes.drain(..) {
            let mut in_use: Vec<u32> = pool.slabs.iter().map(|slab| slab.fresh.into()).collect();
            pool.free.iter().for_each(|place| in_use[place.slab as usize] -= 1);
            for (slab, in_use) in pool.slabs.into_iter().zip(in_use) {
                if in_use > 0 {
                    // A coroutine that never ended lives there, and may be referred to.
                    slab.mapping.leak();
                }
            }
        }
    }
}

impl<W: Watch> fmt::Debug for StackPool<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackPool").field("guard", &self.guard).finish_non_exhaustive()
    }
}

/// Says which limit of the system a stack ran into.
#[cold]
fn explain(what: &str, class: SizeClass, stacks: usize, error: io::Error) -> io::Error {
    let maps = proc_number("/proc/sys/vm/max_map_count");
    let strict = proc_number("/proc/sys/vm/overcommit_memory") == Some(2);
    let hint = match (error.raw_os_error(), what) {
        (Some(libc::ENOMEM), "guard") => format!(
            "each guard takes mappings, and vm.max_map_count is {}",
            maps.map_or("unknown".to_owned(), |maps| maps.to_string())
        ),
        (Some(libc::ENOMEM), _) if strict => {
            "vm.overcommit_memory is 2, so stacks count in full".to_owned()
        }
        (Some(libc::ENOMEM), _) => {
            "the limit is RLIMIT_AS (ulimit -v) or vm.max_map_count".to_owned()
        }
        _ => "see the error".to_owned(),
    };
    let kib = class.usable_bytes() / 1024;
    io::Error::new(
        error.kind(),
        format!("cannot {what} a stack of {kib} KiB after {stacks} others: {hint} ({error})"),
    )
}

mod counts;

#[cfg(test)]
#[cfg(not(miri))]
mod tests;
