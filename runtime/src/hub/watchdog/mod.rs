//! The watchdog: a thread that sees which hubs do not come round, and says who is to blame.
//!
//! It reads what the hubs write anyway (`hub/vitals.rs`), so that they are no slower for it.
//! `watched.rs` is what it may look at, `episode.rs` decides, `capture.rs` has a thread copy its
//! own stack, `unwind.rs` finds the frames in that, `report.rs` is what is said, `trace.rs` the
//! line of rates.
//!
//! **Invariant:** there is no thread unless somebody has asked for one. It holds no lock of the
//! runtime's while it waits, allocates or calls user code, and keeps nothing alive.

mod capture;
mod episode;
mod report;
mod trace;
#[cfg(feature = "backtrace")]
mod unwind;
pub(crate) mod watched;

use std::collections::HashMap;
use std::env;
use std::mem;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::process;
use std::ptr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::hub::Hub;
use crate::hub::shared;
use crate::hub::shared::Message;
use crate::hub::shared::SharedRecord;
use crate::hub::watchdog::episode::Allowance;
use crate::hub::watchdog::episode::Episode;
use crate::hub::watchdog::episode::Finding;
use crate::hub::watchdog::watched::Look;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::futex;
use crate::sys::lock::Lock;
use crate::sys::process::print_error;
use crate::sys::process::report;
use crate::sys::threads;

pub use crate::hub::watchdog::report::Stall;

/// What is called instead of writing to stderr.
pub(crate) type Callback = Arc<dyn Fn(&Stall) + Send + Sync>;

/// How long a hub may take to come round, in milliseconds; 0 is for ever.
static LIMIT_MS: AtomicU64 = AtomicU64::new(0);
/// How often a line of rates is printed; 0 is never.
static TRACE_MS: AtomicU64 = AtomicU64::new(0);
/// The process that has the thread or starts it, or 0: one that is forked off has none.
static CLAIMED: AtomicU32 = AtomicU32::new(0);
/// The process in which the thread runs, or 0.
static HERE: AtomicU32 = AtomicU32::new(0);
/// Changes when the settings do.
static SETTINGS: AtomicU32 = AtomicU32::new(0);
/// A fork takes the lock, so that no child inherits it held.
static CALLBACK: Lock<Option<Callback>> = Lock::new(None);

/// A hub is looked at so many times while it is given time to come round.
const LOOKS: u64 = 4;
const TICK_MIN: Duration = Duration::from_millis(5);

/// Is told of each new hub: with the first, the environment says what is wanted.
pub(crate) fn meet() {
    static ASKED: AtomicBool = AtomicBool::new(false);

    if !ASKED.swap(true, Ordering::Relaxed) {
        let ms = |name| env::var(name).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let (limit, trace) = (ms("COROVENT_WATCHDOG_MS"), ms("COROVENT_TRACE"));
        if limit > 0 {
            LIMIT_MS.store(limit, Ordering::Relaxed);
        }
        TRACE_MS.store(trace, Ordering::Relaxed);
    }
    if is_wanted() {
        start();
    }
}

/// Sets how long a hub may take to come round; zero is for ever. Gives what held before.
pub(crate) fn set_limit(limit: Duration) -> Duration {
    let ms = u64::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    let before = LIMIT_MS.swap(ms, Ordering::SeqCst);
    SETTINGS.fetch_add(1, Ordering::Release);
    futex::wake(&SETTINGS, i32::MAX);
    if is_wanted() {
        start();
    }
    Duration::from_millis(before)
}

/// Sets what is called instead of writing to stderr; gives what was.
pub(crate) fn set_callback(callback: Option<Callback>) -> Option<Callback> {
    watched::watch_forks();
    mem::replace(&mut *CALLBACK.lock(), callback)
}

/// Whether this process has a watchdog's thread, which wakes nobody.
pub(crate) fn is_running() -> bool {
    HERE.load(Ordering::Acquire) == process::id()
}

fn is_wanted() -> bool {
    LIMIT_MS.load(Ordering::SeqCst) > 0 || TRACE_MS.load(Ordering::SeqCst) > 0
}

/// Starts the thread, if this process has none.
fn start() {
    if CLAIMED.swap(process::id(), Ordering::SeqCst) == process::id() {
        return;
    }
    let builder = thread::Builder::new().name("corovent-watch".to_owned());
    if let Err(error) = threads::without_signals(|| builder.spawn(watch)) {
        CLAIMED.store(0, Ordering::SeqCst);
        report(&format!("corovent: there is no watchdog: {error}"));
    }
}

/// What the thread does, until nothing is wanted any more.
fn watch() {
    let own = process::id();
    HERE.store(own, Ordering::Release);
    let mut watchdog = Watchdog::default();
    // The callback may fork: in that process this is nobody's watchdog.
    while process::id() == own {
        let settings = SETTINGS.load(Ordering::Acquire);
        if !is_wanted() {
            HERE.store(0, Ordering::Release);
            CLAIMED.store(0, Ordering::SeqCst);
            // Whoever wants it again either finds that nobody has it, or is seen here.
            if !is_wanted() || CLAIMED.swap(own, Ordering::SeqCst) == own {
                return;
            }
            HERE.store(own, Ordering::Release);
        }
        let began = Deadline::now();
        let tick = tick();
        futex::wait(&SETTINGS, settings, Deadline::after(tick));
        let now = Deadline::now();
        // What is more than a tick is time in which this thread was stopped, or starved.
        watchdog.tick(now, now.since(began).min(tick));
    }
}

/// How long the thread sleeps between two looks.
fn tick() -> Duration {
    let limit = LIMIT_MS.load(Ordering::Relaxed);
    let trace = TRACE_MS.load(Ordering::Relaxed);
    let ms = [limit.div_ceil(LOOKS), trace].into_iter().filter(|ms| *ms > 0).min().unwrap_or(1000);
    Duration::from_millis(ms.min(1000)).max(TICK_MIN)
}

/// What the thread knows.
#[derive(Default)]
struct Watchdog {
    hubs: HashMap<Key, Watch>,
    allowance: Allowance,
    /// When the next lines of rates are due; `None` before the first.
    next_trace: Option<Deadline>,
}

/// The record of a hub, and the first ticket of the hub that has it.
type Key = (usize, u64);

/// What it knows of one hub.
#[derive(Default)]
struct Watch {
    episode: Episode,
    /// `switches` and `looks` when the last line of rates was asked for.
    traced: (u64, u64),
    is_gone: bool,
}

impl Watchdog {
    /// Looks at every hub. So much time has passed since the last look.
    fn tick(&mut self, now: Deadline, passed: Duration) {
        let limit = Duration::from_millis(LIMIT_MS.load(Ordering::Relaxed));
        let traces = self.is_trace_due(now);
        self.hubs.values_mut().for_each(|watch| watch.is_gone = true);
        let mut hubs = Vec::new();
        shared::for_each(|hub| hubs.push(hub));
        for hub in hubs {
            let Some(look) = watched::look(hub) else { continue };
            let key = (ptr::from_ref(hub).addr(), hub.first_ticket());
            let watch = self.hubs.entry(key).or_default();
            watch.is_gone = false;
            let busy = look.is_awake && (look.in_coroutine || look.pulse.coroutines != Some(0));
            let limit = if limit.is_zero() { Duration::MAX } else { limit };
            match watch.episode.note(look.pulse, busy, passed, limit) {
                Finding::Well if busy => {
                    watch.episode.processor_ns = threads::processor_ns(look.thread);
                }
                Finding::Stalled(time) if is_to_blame(&mut watch.episode, look.thread, limit) => {
                    watch.episode.set_reported();
                    if let Some(left_out) = self.allowance.take(Duration::from_nanos(now.as_ns())) {
                        say(&report::investigate(hub, &look, time, left_out));
                    }
                }
                _ => {}
            }
            if traces {
                trace(hub, key.1, &look, watch);
            }
        }
        self.hubs.retain(|_, watch| !watch.is_gone);
    }

    /// Whether the lines of rates are due.
    fn is_trace_due(&mut self, now: Deadline) -> bool {
        let every = Duration::from_millis(TRACE_MS.load(Ordering::Relaxed));
        if every.is_zero() {
            return false;
        }
        let next = *self.next_trace.get_or_insert(now);
        let is_due = now >= next;
        if is_due {
            self.next_trace = Some(Deadline::from_ns(now.as_ns() + every.as_nanos() as u64));
        }
        is_due
    }
}

/// Whether a hub that has not come round had the processor meanwhile, or sleeps in the kernel.
/// A thread that only waits for a processor is not to blame, nor one that a debugger has stopped.
fn is_to_blame(episode: &mut Episode, thread: i32, limit: Duration) -> bool {
    match threads::state(thread) {
        Some(b'R') => {
            let now = threads::processor_ns(thread);
            let before = *episode.processor_ns.get_or_insert(now.unwrap_or_default());
            let used = now.unwrap_or_default().saturating_sub(before);
            // Its time began up to one look before it was first seen.
            Duration::from_nanos(used) >= limit / 2
        }
        Some(b'S' | b'D') => true,
        _ => {
            episode.restart();
            false
        }
    }
}

/// Asks a hub for its line of rates, or speaks for it. One that has slept since has none.
fn trace(hub: SharedRecord, first_ticket: u64, look: &Look, watch: &mut Watch) {
    let Look { pulse, .. } = look;
    let before = mem::replace(&mut watch.traced, (pulse.switches, pulse.looks));
    if look.is_awake && before.1 == pulse.looks && pulse.looks > 0 {
        let name = threads::name(look.thread);
        let time = watch.episode.stalled();
        let line = format!("corovent: thread '{name}': has not come round for {time:.1?}\n");
        print_error(line.as_bytes());
    } else if before.0 != pulse.switches {
        hub.post(first_ticket, Message::Call(Hub::trace));
    }
}

/// Hands a report over.
fn say(stall: &Stall) {
    let callback = CALLBACK.lock().clone();
    match callback {
        Some(callback) => {
            // If another one has taken its place, it is dropped in there as well.
            let call = AssertUnwindSafe(move || callback(stall));
            if let Err(payload) = panic::catch_unwind(call) {
                // Its destructor may panic as well.
                mem::forget(payload);
            }
        }
        // Not by std's stderr, which the hub's thread may hold.
        None => print_error(stall.to_string().as_bytes()),
    }
}
