//! Descriptors that are opened, duplicated, replaced and closed behind the hub's back, under those
//! who wait for them, compared with a model of what the kernel does.
//!
//! A failure names its seed; `COROVENT_FD_SEED` runs that one again.

use std::cell::Cell;
use std::cell::RefCell;
use std::env;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::time::Duration;

use corovent::JoinHandle;
use corovent::debug;
use corovent::io;
use corovent::os::unix::net::UnixStream;
use corovent::sleep;
use corovent::spawn;
use corovent::yield_now;

use crate::support::open_fds;
use crate::support::passes;
use crate::support::run;

/// Runs of so many operations each.
const SEEDS: u64 = 10;
const OPERATIONS: usize = 10_000;
/// Numbers that are closed and used again at any time.
const PLACES: usize = 8;
const WAITERS_MAX: usize = 12;

/// One end of a pair of sockets, as the kernel knows it.
struct End {
    /// The other end's index.
    peer: usize,
    /// Numbers that stand for it, those of waiters included.
    references: usize,
    /// Bytes that came and were not read.
    bytes: usize,
}

/// Who waits for an end, or reads from it.
struct Waiter {
    end: usize,
    is_reader: bool,
    task: JoinHandle<()>,
    /// Set when the wait is over.
    is_done: Rc<Cell<bool>>,
}

impl Waiter {
    fn name(&self) -> String {
        let by = if self.is_reader { "a stream" } else { "its number" };
        format!("who waits for end {} by {by}", self.end)
    }
}

/// The kernel as it should be.
struct Model {
    random: u64,
    ends: Vec<End>,
    /// What stands under each number; the numbers are the test's own.
    places: [Option<(RawFd, usize)>; PLACES],
    waiters: Vec<Waiter>,
    ended: usize,
}

impl Model {
    fn new(seed: u64) -> Model {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Model { random, ends: Vec::new(), places: [None; PLACES], waiters: Vec::new(), ended: 0 }
    }

    fn below(&mut self, limit: usize) -> usize {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }

    /// A number of those that are open, if the place has one.
    fn number(&mut self) -> Option<(usize, RawFd, usize)> {
        let place = self.below(PLACES);
        self.places[place].map(|(number, end)| (place, number, end))
    }

    fn is_readable(&self, end: usize) -> bool {
        self.ends[end].bytes > 0 || self.ends[self.ends[end].peer].references == 0
    }

    /// One operation, in the kernel and in the model.
    fn step(&mut self) {
        match self.below(10) {
            0 | 1 => self.open(),
            2 => self.close(),
            3 => self.duplicate(),
            4 => self.put_over(),
            5 | 6 => self.write(),
            7 => self.read(),
            _ if self.waiters.len() < WAITERS_MAX => self.wait(),
            _ => self.kill(),
        }
    }

    fn open(&mut self) {
        let (first, second) = (self.below(PLACES), self.below(PLACES));
        if first == second || self.places[first].is_some() || self.places[second].is_some() {
            return;
        }
        let (a, b) = StdUnixStream::pair().unwrap();
        let end = self.ends.len();
        self.ends.push(End { peer: end + 1, references: 1, bytes: 0 });
        self.ends.push(End { peer: end, references: 1, bytes: 0 });
        self.places[first] = Some((a.into_raw_fd(), end));
        self.places[second] = Some((b.into_raw_fd(), end + 1));
    }

    fn close(&mut self) {
        let Some((place, number, end)) = self.number() else { return };
        // SAFETY: the number is the test's own.
        assert_eq!(unsafe { libc::close(number) }, 0);
        self.places[place] = None;
        self.ends[end].references -= 1;
    }

    fn duplicate(&mut self) {
        let (Some((_, number, end)), place) = (self.number(), self.below(PLACES)) else { return };
        if self.places[place].is_none() {
            // SAFETY: the number is the test's own.
            let new = unsafe { libc::dup(number) };
            assert!(new >= 0);
            self.places[place] = Some((new, end));
            self.ends[end].references += 1;
        }
    }

    fn put_over(&mut self) {
        let (Some((_, from, end)), Some((place, to, old))) = (self.number(), self.number()) else {
            return;
        };
        // SAFETY: both numbers are the test's own.
        assert_eq!(unsafe { libc::dup2(from, to) }, to);
        self.ends[end].references += 1;
        self.ends[old].references -= 1;
        self.places[place] = Some((to, end));
    }

    fn write(&mut self) {
        let Some((_, number, end)) = self.number() else { return };
        let count = 1 + self.below(3);
        // SAFETY: the bytes are readable.
        let sent = unsafe { libc::send(number, [b'x'; 4].as_ptr().cast(), count, FLAGS) };
        let peer = self.ends[end].peer;
        if self.ends[peer].references == 0 {
            assert_eq!(sent, -1, "nobody could read it");
        } else if sent > 0 {
            self.ends[peer].bytes += count;
        }
    }

    fn read(&mut self) {
        let Some((_, number, end)) = self.number() else { return };
        let mut buf = [0u8; 64];
        // SAFETY: `buf` is writable for its length.
        let read = unsafe { libc::recv(number, buf.as_mut_ptr().cast(), buf.len(), FLAGS) };
        let expected = self.ends[end].bytes.min(buf.len());
        assert_eq!(read.max(0) as usize, expected);
        self.ends[end].bytes -= expected;
    }

    /// Starts one who waits until a number is readable, or who reads by a stream of ours.
    fn wait(&mut self) {
        let Some((_, number, end)) = self.number() else { return };
        let is_done = Rc::new(Cell::new(false));
        let done = Rc::clone(&is_done);
        let is_reader = self.below(2) == 0;
        // SAFETY: the number is the test's own, and open.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        let task = if is_reader {
            let stream = UnixStream::from(fd.try_clone_to_owned().unwrap());
            spawn(move || {
                stream.wait_readable().unwrap();
                done.set(true);
            })
        } else {
            spawn(move || {
                io::wait_readable(fd, None).unwrap();
                done.set(true);
            })
        };
        // A foreign descriptor is duplicated as the wait begins, and before the next operation.
        yield_now();
        self.ends[end].references += 1;
        self.waiters.push(Waiter { end, is_reader, task, is_done });
    }

    fn kill(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        let index = self.below(self.waiters.len());
        let waiter = self.waiters.swap_remove(index);
        waiter.task.kill();
        let _ = waiter.task.join();
        self.ends[waiter.end].references -= 1;
    }

    /// Lets everybody come back who should, and nobody else.
    fn settle(&mut self) {
        // One that comes back closes its number, and that may be what another waits for.
        let mut back = Vec::new();
        while let Some(index) = self.waiters.iter().position(|one| self.is_readable(one.end)) {
            let waiter = self.waiters.swap_remove(index);
            self.ends[waiter.end].references -= 1;
            back.push(waiter);
        }
        // Two polls for each: what was woken by the first has run at the second.
        (0..2 * back.len() + 2).for_each(|_| sleep(Duration::from_nanos(1)));
        self.ended += back.len();
        for waiter in back {
            assert!(waiter.is_done.get(), "{} was not woken", waiter.name());
            waiter.task.join().unwrap();
        }
        for waiter in &self.waiters {
            assert!(!waiter.is_done.get(), "{} was woken", waiter.name());
        }
    }

    /// Ends all that is left.
    fn finish(mut self) -> usize {
        while !self.waiters.is_empty() {
            self.kill();
        }
        for (number, _) in self.places.into_iter().flatten() {
            // SAFETY: the number is the test's own.
            assert_eq!(unsafe { libc::close(number) }, 0);
        }
        self.ended
    }
}

const FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

#[test]
fn a_hundred_thousand_operations_agree_with_the_model() {
    passes("fd_model::child_agrees_with_the_model");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_agrees_with_the_model() {
    let chosen = env::var("COROVENT_FD_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = chosen.map_or(0..SEEDS, |seed: u64| seed..seed + 1);
    for seed in seeds {
        eprintln!("COROVENT_FD_SEED={seed}");
        run(|| {
            spawn(|| ()).join().unwrap();
            let fds = open_fds();
            let mut model = Model::new(seed);
            for _ in 0..OPERATIONS {
                model.step();
                model.settle();
            }
            assert!(debug::counters().waiting <= WAITERS_MAX);
            assert!(is_idle_when_it_sleeps(), "the hub spins");
            assert!(model.finish() > OPERATIONS / 100, "few have waited");
            assert_eq!(open_fds(), fds);
        });
    }
}

/// Whether the thread spends less than half of a sleep computing.
fn is_idle_when_it_sleeps() -> bool {
    let used = || {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is valid for the call.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let before = used();
    sleep(Duration::from_millis(40));
    used() - before < Duration::from_millis(20)
}

/// Streams of ours whose very numbers are closed and replaced by raw calls while a reader waits:
/// the reader may wait until it is killed, but no stream that comes under its number is harmed,
/// gets a byte too few, or loses one to it.
#[test]
fn numbers_taken_from_streams_harm_no_other_stream() {
    passes("fd_model::child_takes_numbers_from_streams");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_takes_numbers_from_streams() {
    run(|| {
        let mut model = Model::new(7);
        let stale = Rc::new(RefCell::new(0));
        for round in 0..2_000u32 {
            let (victim, end) = StdUnixStream::pair().unwrap();
            let number = victim.as_raw_fd();
            let count = Rc::clone(&stale);
            let reader = spawn(move || {
                let mut stream = UnixStream::from(OwnedFd::from(victim));
                let read = std::io::Read::read(&mut stream, &mut [0; 64]);
                // The number is another's by now.
                std::mem::forget(stream);
                // What came under its number was not for it.
                *count.borrow_mut() += usize::from(matches!(read, Ok(1..)));
            });
            yield_now();
            if model.below(2) == 0 {
                // SAFETY: the reader gives the number up.
                assert_eq!(unsafe { libc::close(number) }, 0);
            }
            let (new, mut far) = StdUnixStream::pair().unwrap();
            let new = OwnedFd::from(new);
            let new = if new.as_raw_fd() == number {
                new
            } else {
                // SAFETY: as above.
                assert_eq!(unsafe { libc::dup2(new.as_raw_fd(), number) }, number);
                // SAFETY: the number was just made to be this file.
                unsafe { OwnedFd::from_raw_fd(number) }
            };
            let mut new = UnixStream::from(new);
            let second = spawn(move || {
                let mut bytes = [0; 4];
                std::io::Read::read_exact(&mut new, &mut bytes).unwrap();
                u32::from_le_bytes(bytes)
            });
            yield_now();
            drop(end);
            for byte in round.to_le_bytes() {
                std::io::Write::write_all(&mut far, &[byte]).unwrap();
                sleep(Duration::from_nanos(1));
            }
            assert_eq!(second.join().unwrap(), round);
            reader.kill();
            let _ = reader.join();
        }
        assert_eq!(*stale.borrow(), 0);
        assert!(is_idle_when_it_sleeps(), "the hub spins");
    });
}
