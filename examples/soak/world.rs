//! What all coroutines of the soak share: the counters, the books, the crew, what went wrong.

use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use corovent::debug;
use corovent::net::TcpListener;
use corovent::os::unix::net::UnixListener;
use corovent::threadpool;
use corovent::threadpool::ThreadPool;
use rustix::io::Errno;
use tempfile::TempDir;

use crate::bargain;
use crate::chat;
use crate::chat::Room;
use crate::crew::Crew;
use crate::crew::Duty;
use crate::dice::Dice;
use crate::echo;
use crate::faults;
use crate::faults::PANICS;
use crate::files;
use crate::jobs;
use crate::ledger::Ledgers;
use crate::processes;
use crate::processes::Orphans;
use crate::sleepers;
use crate::tally::Tally;
use crate::wire::Door;

pub(crate) struct World {
    pub(crate) tally: Tally,
    pub(crate) crew: Crew,
    pub(crate) ledgers: Ledgers,
    pub(crate) orphans: Orphans,
    pub(crate) directory: TempDir,
    pub(crate) room: Room,
    pub(crate) doors: [Door; 2],
    pub(crate) chat_door: Door,
    /// There while work is done.
    pub(crate) pool: RefCell<Option<Rc<ThreadPool>>>,
    connections: usize,
    dice: RefCell<Dice>,
    troubles: RefCell<Vec<String>>,
    panics_unseen: u64,
}

/// A kind of work: its name, how many of a hundred at once, and what is done.
type Work = (&'static str, usize, fn(&Rc<World>, &mut Dice));

const WORK: [Work; 10] = [
    ("client", 100, echo::converse),
    ("visitor", 12, chat::visit),
    ("sleeper", 30, sleepers::sleep_about),
    ("bargain", 8, bargain::bargain),
    ("job", 8, jobs::work_elsewhere),
    ("remote", 1, jobs::come_from_elsewhere),
    ("process", 2, processes::have_children),
    ("file", 3, files::write_and_read),
    ("burst", 1, sleepers::burst),
    ("dump", 1, faults::dump),
];

/// More trouble than that tells nothing new.
const TROUBLES_MAX: usize = 10;

impl World {
    pub(crate) fn new(seed: u64, connections: usize) -> io::Result<Rc<World>> {
        let directory = TempDir::new()?;
        let tcp = || TcpListener::bind("127.0.0.1:0");
        let path = directory.path().join("door");
        let doors = [Door::tcp(tcp()?)?, Door::unix(UnixListener::bind(&path)?, path)];
        Ok(Rc::new(World {
            tally: Tally::default(),
            crew: Crew::default(),
            ledgers: Ledgers::default(),
            orphans: Orphans::default(),
            room: Room::default(),
            doors,
            chat_door: Door::tcp(tcp()?)?,
            pool: RefCell::default(),
            directory,
            connections,
            dice: RefCell::new(Dice::new(seed)),
            troubles: RefCell::default(),
            panics_unseen: debug::unjoined_panics(),
        }))
    }

    /// A seed for somebody's own dice.
    pub(crate) fn draw(&self) -> u64 {
        self.dice.borrow_mut().draw()
    }

    pub(crate) fn open(self: &Rc<World>) -> Servers {
        let pool = threadpool::Builder::new().threads(4).name("soak-pool").build();
        *self.pool.borrow_mut() = Some(Rc::new(pool));
        Servers::default()
    }

    /// Starts of each kind of work what is missing.
    pub(crate) fn fill_up(self: &Rc<World>, dice: &mut Dice) {
        for (kind, (name, share, work)) in WORK.into_iter().enumerate() {
            let wanted = (share * self.connections).div_ceil(100);
            // Not all at once, except now and then.
            let step = if dice.one_in(50) { wanted } else { wanted.div_ceil(10) };
            let missing = wanted.saturating_sub(self.crew.working_at(kind));
            for _ in 0..missing.min(step) {
                Crew::spawn(self, Duty::Works(kind), name, work);
            }
        }
    }

    pub(crate) fn trouble(&self, trouble: impl Into<String>) {
        let mut troubles = self.troubles.borrow_mut();
        if troubles.len() < TROUBLES_MAX {
            troubles.push(trouble.into());
        }
    }

    /// Notes what must hold and does not.
    pub(crate) fn check(&self, holds: bool, rule: impl FnOnce() -> String) {
        if !holds {
            self.trouble(rule());
        }
    }

    /// Counts a call that failed because of a fault of ours; any other failure is trouble.
    pub(crate) fn note_error(&self, what: &str, error: &io::Error) {
        self.tally.io_errors.add(1);
        let is_ours = Errno::from_io_error(error).is_some_and(|errno| {
            let cut = [Errno::CONNRESET, Errno::PIPE, Errno::NOTCONN, Errno::CONNABORTED];
            let short = [Errno::MFILE, Errno::AGAIN, Errno::TIMEDOUT];
            cut.contains(&errno) || short.contains(&errno)
        });
        // Timeouts of connects are made without a number.
        let is_timeout = error.kind() == io::ErrorKind::TimedOut;
        self.check(is_ours || is_timeout, || format!("{what}: {error} ({:?})", error.kind()));
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.troubles.borrow().is_empty()
    }

    pub(crate) fn troubles(&self) -> Vec<String> {
        self.troubles.borrow().clone()
    }

    /// Looks at the books, when all work has ended.
    pub(crate) fn audit(&self) {
        *self.pool.borrow_mut() = None;
        self.ledgers.close(self);
        self.room.check_empty(self);
        self.orphans.reap(self);
        self.check(self.crew.len() == 0, || {
            format!("{} of the crew are left:\n{}", self.crew.len(), debug::dump())
        });
        let unseen = debug::unjoined_panics() - self.panics_unseen;
        let unjoined = self.tally.panics.count();
        // Those in bursts are joined, unless the joiner was killed.
        let most = unjoined + self.tally.joined_panics.count();
        self.check((unjoined..=most).contains(&unseen), || {
            format!("{unjoined} to {most} panicked unseen on purpose, and {unseen} were counted")
        });
        for text in PANICS.lock().unwrap_or_else(|error| error.into_inner()).drain(..) {
            self.trouble(format!("a panic that is not on purpose: {text}"));
        }
        let signals = faults::SIGNALS.swap(0, Ordering::Relaxed);
        self.tally.signals.add(signals);
    }
}

/// The coroutines that accept, which are killed at times like all others.
#[derive(Default)]
pub(crate) struct Servers {
    accepting: [Rc<Cell<bool>>; 3],
    is_closed: Cell<bool>,
}

impl Servers {
    /// Starts those again that have ended.
    pub(crate) fn keep_open(&self, world: &Rc<World>) {
        for (n, accepting) in self.accepting.iter().enumerate() {
            if accepting.get() || self.is_closed.get() {
                continue;
            }
            let running = Running::new(accepting);
            Crew::spawn(world, Duty::Serves, "acceptor", move |world, _| {
                let _running = running;
                match n {
                    2 => chat::accept(world),
                    n => echo::accept(world, n),
                }
            });
        }
    }

    /// Ends them.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
    }
}

/// Says whether a coroutine is there, while it or its closure is.
struct Running(Rc<Cell<bool>>);

impl Running {
    fn new(flag: &Rc<Cell<bool>>) -> Running {
        flag.set(true);
        Running(Rc::clone(flag))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
