//! The faults: kills, panics, moments without descriptors, storms of signals; and the watch over
//! the soak itself.

use std::any::Any;
use std::fs;
use std::panic;
use std::process;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use corovent::debug;
use corovent::signal;
use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::Signal;
use rustix::process::getpid;
use rustix::process::getrlimit;
use rustix::process::kill_process;
use rustix::process::setrlimit;

use crate::dice::Dice;
use crate::world::World;

/// What panics carry that are part of the plan.
#[derive(Debug)]
pub(crate) struct OnPurpose;

/// The others.
pub(crate) static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// The signals of the storms that have come.
pub(crate) static SIGNALS: AtomicU64 = AtomicU64::new(0);

/// A soak whose root has not come round for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// From one moment without descriptors, or storm, to the next.
const PAUSE: Duration = Duration::from_millis(200);

/// Panics where nobody joins.
pub(crate) fn panic_on_purpose(world: &World) -> ! {
    world.tally.panics.add(1);
    panic::panic_any(OnPurpose);
}

pub(crate) fn silence_panics_on_purpose() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let payload: &(dyn Any + Send) = info.payload();
        if !payload.is::<OnPurpose>() {
            PANICS.lock().unwrap_or_else(|error| error.into_inner()).push(info.to_string());
            before(info);
        }
    }));
}

/// Asks for what a debugger would.
pub(crate) fn dump(world: &Rc<World>, _dice: &mut Dice) {
    let dump = debug::dump();
    let (tasks, counted) = (dump.tasks().count(), debug::counters().coroutines + 1);
    world.check(tasks == counted, || format!("the dump has {tasks} of {counted} tasks"));
    let text = dump.to_string();
    world.check(!text.is_empty(), || "the dump is empty".to_owned());
    world.tally.dumps.add(1);
    corovent::sleep(Duration::from_millis(5));
}

/// The faults that come from outside the work.
pub(crate) struct Faults {
    next_kill: Instant,
    next_exhaustion: Instant,
    next_storm: Instant,
    exhaustion: Option<(Exhaustion, Instant)>,
    storm: Option<(Storm, Instant)>,
    listener: Option<signal::Guard>,
}

impl Faults {
    pub(crate) fn new(world: &World) -> Faults {
        // What it does is not much; that it interrupts calls is what counts.
        let heard = || {
            SIGNALS.fetch_add(1, Ordering::Relaxed);
        };
        let listener = signal::on(&[signal::SIGUSR2], move |_| heard());
        let listener = listener.map_err(|error| world.trouble(error.to_string())).ok();
        let now = Instant::now();
        Faults {
            next_kill: now,
            next_exhaustion: now + Duration::from_millis(100),
            // At once: on a slow machine there may be no second time.
            next_storm: now,
            exhaustion: None,
            storm: None,
            listener,
        }
    }

    /// Begins and ends what is due.
    pub(crate) fn inflict(&mut self, world: &World, dice: &mut Dice) {
        let now = Instant::now();
        if now >= self.next_kill {
            for _ in 0..1 + dice.size(3) {
                world.tally.kills.add(u64::from(world.crew.kill_one(dice)));
            }
            self.next_kill = now + dice.millis(20);
        }
        self.exhaustion.take_if(|(_, until)| now >= *until);
        self.storm.take_if(|(_, until)| now >= *until);
        if now >= self.next_exhaustion {
            world.tally.exhaustions.add(1);
            self.exhaustion = Some((Exhaustion::begin(), now + dice.millis(30)));
            self.next_exhaustion = now + PAUSE + dice.millis(1000);
        }
        if now >= self.next_storm {
            world.tally.storms.add(1);
            // One that has not ended goes on instead.
            let storm = self.storm.take().map_or_else(Storm::begin, |(storm, _)| storm);
            self.storm = Some((storm, now + dice.millis(100)));
            self.next_storm = now + PAUSE + dice.millis(1000);
        }
        world.ledgers.settle(world);
    }

    pub(crate) fn end(self) {
        drop(self.storm);
        drop(self.exhaustion);
        drop(self.listener);
    }
}

/// No descriptor more than there are, until it is dropped.
struct Exhaustion {
    before: Rlimit,
}

impl Exhaustion {
    fn begin() -> Exhaustion {
        let before = getrlimit(Resource::Nofile);
        let highest = fs::read_dir("/proc/self/fd").map_or(0, |entries| {
            let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            names.filter_map(|name| name.parse().ok()).max().unwrap_or(0)
        });
        let limit = Rlimit { current: Some(highest), maximum: before.maximum };
        // A limit may always be lowered.
        let _ = setrlimit(Resource::Nofile, limit);
        Exhaustion { before }
    }
}

impl Drop for Exhaustion {
    fn drop(&mut self) {
        let _ = setrlimit(Resource::Nofile, self.before);
    }
}

/// A thread that sends this process signals, until it is dropped.
struct Storm {
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Storm {
    fn begin() -> Storm {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let storm = move || {
            while !told.load(Ordering::Relaxed) {
                let _ = kill_process(getpid(), Signal::USR2);
                thread::sleep(Duration::from_micros(100));
            }
        };
        let thread = thread::Builder::new().name("soak-storm".to_owned()).spawn(storm).ok();
        Storm { is_over, thread }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Ends the process, with the tables of all coroutines, if the root does not come round.
pub(crate) struct Watch {
    beats: Arc<AtomicU64>,
}

impl Watch {
    pub(crate) fn start(seed: u64) -> Watch {
        let beats = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&beats);
        let watch = move || {
            let mut last = (u64::MAX, Instant::now());
            loop {
                thread::sleep(Duration::from_secs(1));
                let beat = seen.load(Ordering::Relaxed);
                if beat != last.0 {
                    last = (beat, Instant::now());
                } else if last.1.elapsed() > PATIENCE {
                    hangs(seed);
                }
            }
        };
        // Without it the soak is the same.
        let _ = thread::Builder::new().name("soak-watch".to_owned()).spawn(watch);
        Watch { beats }
    }

    pub(crate) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }
}

#[allow(clippy::print_stderr)]
fn hangs(seed: u64) -> ! {
    eprintln!("soak: seed {seed}: it hangs");
    debug::print_all();
    thread::sleep(Duration::from_secs(5));
    process::exit(1)
}

/// Each connection takes two descriptors of this process.
pub(crate) fn raise_fd_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
}
