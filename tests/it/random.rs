//! Random programs: scopes, kills, timeouts and panics in each other, and handles that are
//! used on other threads while coroutines and threads end. What fails names its seed; more
//! rounds come with `COROVENT_RANDOM_ROUNDS`.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;

use corovent::Abandoned;
use corovent::Builder;
use corovent::JoinHandle;
use corovent::Killed;
use corovent::Remote;
use corovent::debug;
use corovent::scope;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::thread::park_timeout;
use corovent::threadpool::blocking;
use corovent::timeout;
use corovent::yield_now;

use crate::support::passes;
use crate::support::run;

/// Xorshift: what matters is that a seed gives the same numbers again.
struct Random(Cell<u64>);

impl Random {
    fn new(seed: u64) -> Random {
        Random(Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
    }

    fn below(&self, limit: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        x % limit
    }

    fn micros(&self, limit: u64) -> Duration {
        Duration::from_micros(self.below(limit))
    }
}

fn rounds(usual: u64) -> u64 {
    let asked = std::env::var("COROVENT_RANDOM_ROUNDS").ok();
    asked.map_or(usual, |rounds| rounds.parse().expect("a number of rounds"))
}

/// Panics are part of the programs; their messages would fill the log.
fn silence_panics() {
    std::panic::set_hook(Box::new(|info| {
        if !info.payload().is::<Expected>() {
            eprintln!("{info}");
        }
    }));
}

/// What the programs panic with on purpose.
struct Expected;

fn fail() -> ! {
    std::panic::panic_any(Expected)
}

/// Ends the test: a panic could be caught by the program, or be one in an unwinding.
fn give_up(what: &str) -> ! {
    eprintln!("{what}");
    std::process::abort();
}

/// Whether a coroutine ended in a way that a program may bring about.
fn check_payload(payload: Box<dyn std::any::Any + Send>) -> ControlFlow<()> {
    let expected = payload.is::<Expected>() || payload.is::<Killed>() || payload.is::<Abandoned>();
    let scoped = payload.downcast_ref::<&str>() == Some(&"a scoped thread panicked");
    if expected || scoped { ControlFlow::Continue(()) } else { std::panic::resume_unwind(payload) }
}

#[test]
fn no_coroutine_outlives_its_scope() {
    passes("random::child_nests_scopes");
}

thread_local! {
    static RANDOM: Random = const { Random(Cell::new(1)) };
    static FRAMES: Cell<i64> = const { Cell::new(0) };
}

fn below(limit: u64) -> u64 {
    RANDOM.with(|random| random.below(limit))
}

fn micros(limit: u64) -> Duration {
    RANDOM.with(|random| random.micros(limit))
}

/// A local that is counted in its parent's frame, and whose destructor may wait.
struct Frame<'a> {
    memory: Vec<u64>,
    _counted: Counted<'a>,
}

/// Dropped also if the frame's destructor is left by a kill.
struct Counted<'a>(&'a Cell<u64>);

impl<'a> Frame<'a> {
    fn new(siblings: &'a Cell<u64>) -> Frame<'a> {
        FRAMES.set(FRAMES.get() + 1);
        siblings.set(siblings.get() + 1);
        Frame { memory: vec![7; 16], _counted: Counted(siblings) }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        FRAMES.set(FRAMES.get() - 1);
        self.0.set(self.0.get() - 1);
    }
}

impl Drop for Frame<'_> {
    fn drop(&mut self) {
        if self.memory.iter().any(|word| *word != 7) {
            give_up("a frame was overwritten");
        }
        match below(12) {
            0 => yield_now(),
            1 => sleep(micros(50)),
            2 => drop(timeout(Duration::from_micros(30), || park_timeout(micros(60)))),
            3 => drop(spawn(yield_now).join()),
            4 => scope(|scope| drop(scope.spawn(yield_now))),
            _ => {}
        }
    }
}

fn wait() {
    match below(9) {
        0 => yield_now(),
        1 => sleep(micros(100)),
        2 => park_timeout(micros(300)),
        3 => fail(),
        4 => drop(spawn(|| sleep(micros(80))).join()),
        5 => blocking(|| ()),
        _ => {}
    }
}

fn node(depth: u64, siblings: &Cell<u64>) {
    let _frame = Frame::new(siblings);
    let children = Cell::new(0);
    let body = || {
        scope(|scope| {
            let children = &children;
            let child = || {
                let _frame = Frame::new(children);
                if depth > 0 { node(depth - 1, children) } else { wait() }
            };
            let handles: Vec<_> = (0..below(4)).map(|_| scope.spawn(child)).collect();
            for handle in handles {
                match below(6) {
                    0 => drop(handle.kill()),
                    1 => drop(handle.join()),
                    2 => drop(handle.kill_timeout(micros(100))),
                    3 => drop(handle.join_timeout(micros(100))),
                    4 => std::mem::forget(handle),
                    _ => {}
                }
            }
            wait();
        });
    };
    match below(5) {
        0 => drop(timeout(micros(200), body)),
        1 => drop(corovent::catch_unwind(AssertUnwindSafe(body))),
        2 => drop(std::panic::catch_unwind(AssertUnwindSafe(body))),
        3 => shield(body),
        _ => body(),
    }
    if children.get() != 0 {
        give_up("a coroutine has outlived its scope");
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_nests_scopes() {
    silence_panics();
    for seed in 0..rounds(150) {
        eprintln!("seed {seed}");
        RANDOM.with(|random| random.0.set(Random::new(seed).0.get()));
        run(|| {
            corovent::run(|| {
                let tree = || node(3, &Cell::new(0));
                let trees: Vec<_> = (0..5).map(|_| spawn(tree)).collect();
                for tree in trees {
                    let ended = match below(4) {
                        0 => {
                            tree.kill();
                            continue;
                        }
                        1 => tree.join(),
                        2 => match timeout(micros(300), || tree.join()) {
                            Ok(ended) => ended,
                            Err(_) => continue,
                        },
                        _ => continue,
                    };
                    let _ = ended.map_err(check_payload);
                }
            });
        });
        assert_eq!(FRAMES.get(), 0, "frames are left");
    }
}

#[test]
fn handles_may_be_used_while_threads_end() {
    passes("random::child_uses_handles_everywhere");
}

static TRACKED: AtomicI64 = AtomicI64::new(0);

/// Checks that it is dropped on the thread that made it; a result may be dropped anywhere.
struct Tracked(Option<os::ThreadId>);

impl Tracked {
    fn new(home: Option<os::ThreadId>) -> Tracked {
        TRACKED.fetch_add(1, Ordering::SeqCst);
        Tracked(home)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        TRACKED.fetch_sub(1, Ordering::SeqCst);
        if self.0.is_some_and(|home| home != os::current().id()) {
            give_up("dropped on another thread");
        }
    }
}

/// Starts coroutines of many kinds, and gives their handles away.
fn make_handles(random: &Random, sender: &mpsc::Sender<JoinHandle<Tracked>>) {
    for n in 0..random.below(60) {
        let local = Tracked::new(Some(os::current().id()));
        let kind = random.below(6);
        let handle = spawn(move || {
            let _local = local;
            match kind {
                0 => {}
                1 => yield_now(),
                2 => sleep(Duration::from_micros(n * 3)),
                3 => park(),
                4 => {
                    yield_now();
                    fail();
                }
                _ => {
                    let wait = || park_timeout(Duration::from_micros(50));
                    let _ = std::panic::catch_unwind(wait);
                }
            }
            Tracked::new(None)
        });
        match random.below(8) {
            0 => drop(handle),
            1 | 2 => {
                if let Err(handle) = handle.join_timeout(Duration::from_micros(20)) {
                    let _ = sender.send(handle);
                }
            }
            _ => drop(sender.send(handle)),
        }
        if random.below(5) == 0 {
            yield_now();
        }
    }
    match random.below(3) {
        0 => sleep(Duration::from_micros(100)),
        1 => (0..random.below(20)).for_each(|_| yield_now()),
        _ => {}
    }
}

/// Does this and that with the handles, and joins all that are left.
fn use_handles(random: &Random, handles: mpsc::Receiver<JoinHandle<Tracked>>, hub: &Remote) {
    let has_hub = random.below(2) == 0;
    let mut held: Vec<JoinHandle<Tracked>> = Vec::new();
    let any = |held: &Vec<_>| random.below(held.len() as u64) as usize;
    for handle in handles {
        held.push(handle);
        if random.below(3) == 0 {
            let sent = hub.spawn(|| {
                yield_now();
                Tracked::new(None)
            });
            held.extend(sent);
        }
        if random.below(3) == 0 {
            let handle = &held[any(&held)];
            handle.kill();
            handle.thread().unpark();
        }
        if random.below(4) == 0 {
            held.swap_remove(any(&held));
        }
        if random.below(4) == 0 && !held.is_empty() {
            let handle = held.swap_remove(any(&held));
            held.extend(handle.join_timeout(random.micros(200)).err());
        }
        if random.below(4) == 0 && !held.is_empty() {
            held[any(&held)].kill_timeout(random.micros(300));
        }
        if has_hub && random.below(6) == 0 && !held.is_empty() {
            let handle = held.swap_remove(0);
            drop(spawn(move || {
                handle.kill();
                let _ = handle.join();
            }));
            yield_now();
        }
    }
    // The thread of the hub ends now, or has: all of them come to an end.
    for handle in held {
        let _ = handle.join().map_err(check_payload);
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_uses_handles_everywhere() {
    silence_panics();
    for seed in 0..rounds(150) {
        eprintln!("seed {seed}");
        let (sender, handles) = mpsc::channel();
        let (hub_sender, hub_receiver) = mpsc::channel();
        let maker = os::spawn(move || {
            let random = Random::new(seed);
            hub_sender.send(corovent::remote()).unwrap();
            match random.below(2) {
                0 => corovent::run(|| make_handles(&random, &sender)),
                _ => make_handles(&random, &sender),
            }
        });
        let hub = hub_receiver.recv().unwrap();
        let user = os::spawn(move || use_handles(&Random::new(!seed), handles, &hub));
        maker.join().unwrap();
        user.join().unwrap();
    }
    // Whatever of these threads was left parked is lost, and the rest is gone: a thread that
    // ends its coroutines leaves nothing.
    let before = TRACKED.load(Ordering::SeqCst);
    let (sender, handles) = mpsc::channel();
    let clean = os::spawn(move || corovent::run(|| make_handles(&Random::new(7), &sender)));
    clean.join().unwrap();
    handles.into_iter().for_each(|handle| drop(handle.join()));
    assert_eq!(TRACKED.load(Ordering::SeqCst), before);
}

/// Stacks of all sizes come and go, are used to some depth, and are nobody else's meanwhile.
#[test]
fn stacks_of_many_sizes_are_never_shared() {
    #[inline(never)]
    fn dig(kib: u64, tag: u64) -> bool {
        let frame = std::hint::black_box([tag; 128]);
        (kib == 0 || dig(kib - 1, tag)) && frame.iter().all(|word| *word == tag)
    }

    run(|| {
        for seed in 0..4 {
            let random = Random::new(seed);
            corovent::run(|| {
                let mut live: Vec<JoinHandle<bool>> = Vec::new();
                for _ in 0..1000 {
                    match random.below(4) {
                        0 | 1 => {
                            let bytes = 65_536 << random.below(4);
                            // A frame of a debug build is some times its array.
                            let depth = random.below(bytes / 8192);
                            let tag = random.below(1 << 60);
                            let body = move || {
                                let frame = std::hint::black_box([tag; 100]);
                                let dug = dig(depth, tag);
                                park();
                                dug && dig(depth / 2, tag) && frame.iter().all(|word| *word == tag)
                            };
                            let builder = Builder::new().stack_size(bytes as usize);
                            live.push(builder.spawn(body).unwrap());
                        }
                        2 if !live.is_empty() => {
                            let index = random.below(live.len() as u64) as usize;
                            let task = live.swap_remove(index);
                            if random.below(2) == 0 {
                                task.kill();
                                assert!(task.join().unwrap_err().is::<Killed>(), "seed {seed}");
                            } else {
                                task.thread().unpark();
                                assert!(task.join().unwrap(), "seed {seed}");
                            }
                        }
                        _ => yield_now(),
                    }
                }
                for task in live.drain(..).skip(5) {
                    task.thread().unpark();
                    assert!(task.join().unwrap(), "seed {seed}");
                }
            });
            assert_eq!(debug::counters(), debug::Counters::default());
        }
    });
}
