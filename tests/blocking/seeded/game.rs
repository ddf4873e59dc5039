//! One run of a cell: what is done, and what must hold.

use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;

use corovent::Killed;
use corovent::debug;
use corovent::shield;
use corovent::spawn;
use corovent::testing::with_seed;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::case::Case;
use crate::case::do_all_on_this_thread;
use crate::case::outcome;
use crate::columns::Waiter;
use crate::columns::check_usable;
use crate::columns::settle;
use crate::columns::until;
use crate::seeded::square::Event;
use crate::seeded::square::Square;
use crate::seeded::square::State;
use crate::seeded::square::is_solo;
use crate::support::on_drop;
use crate::support::run;

const LONG: Duration = Duration::from_secs(3600);
/// Over at the first look at the clock.
const SHORT: Duration = Duration::from_nanos(1);
/// What the victim got.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// The word for it.
    Done(String),
    Killed,
    /// Which block has said so.
    Elapsed(&'static str),
    /// Its own panic.
    Panicked,
}

/// The panics of this file, which print nothing.
struct Planned;

/// One run of a cell.
struct Game<'a> {
    case: &'a Case,
    square: &'a Square,
    is_solo: bool,
    /// So often it was released.
    released: Cell<u32>,
    /// For what the cell leaves open.
    seed: u64,
}

struct Victim {
    waiter: Waiter<Fate>,
    /// Its code has run; it is in the call that unwinding has led to; it has left the shield.
    has_run: Rc<Cell<bool>>,
    is_inside: Rc<Cell<bool>>,
    has_passed: Rc<Cell<bool>>,
    /// What the call has given that it made while it unwound.
    slot: Rc<RefCell<Option<Fate>>>,
}

/// Runs a cell with a seed, on a hub of its own.
pub(super) fn play(square: &Square, seed: u64) {
    with_seed(seed, || {
        do_all_on_this_thread();
        if !square.row.has_not("alone") {
            debug::deadlock(debug::Scope::Hub);
        }
        let body = || {
            let mut case = (square.row.make)();
            case.has_line = !square.row.has_not("behind");
            let is_solo = is_solo(square.row, &case);
            let game = Game { case: &case, square, is_solo, released: Cell::new(0), seed };
            match square.state {
                State::Waiting => game.waiting(),
                State::Ready => game.ready(),
                State::Racing => game.racing(),
                State::NotStarted => game.not_started(),
                State::Unwinding => game.unwinding(),
                State::Shielded => game.shielded(),
            }
            drop(case);
            settle();
        };
        // What the lost peer holds is never dropped, so its descriptor stays.
        if square.event == Event::PeerHubEnds { body() } else { run(body) }
    });
}

impl Game<'_> {
    fn waiting(&self) {
        let lost = (self.square.event == Event::PeerHubEnds).then(|| self.lost_peer());
        lost.into_iter().for_each(Lost::end);
        let (victim, other) = self.both_wait();
        match self.square.event {
            Event::Kill => assert!(victim.waiter.kill()),
            Event::Ending(nth) => return self.ended(victim, other, nth),
            Event::PeerPanics => self.release_by_panic(),
            _ => {}
        }
        if matches!(self.square.event, Event::PeerPanics | Event::PeerHubEnds) {
            return self.all_get_it(victim, other);
        }
        let fate = victim.join();
        let expected = match self.square.event {
            Event::Kill => &[Fate::Killed][..],
            Event::Timeout => &[Fate::Elapsed("only")],
            Event::Inner => &[Fate::Elapsed("inner")],
            Event::Outer => &[Fate::Elapsed("outer")],
            Event::Limit => &[Fate::Elapsed("limit")],
            _ => &[Fate::Elapsed("inner"), Fate::Elapsed("outer")],
        };
        assert!(expected.contains(&fate), "{fate:?} instead of {expected:?}");
        self.settle(&fate, other);
    }

    fn ready(&self) {
        let lost = (self.square.event == Event::PeerHubEnds).then(|| self.lost_peer());
        let (victim, other) = self.both_wait();
        if let Some(lost) = lost {
            self.release();
            (0..self.seed % 4).for_each(|_| yield_now());
            lost.end();
            // All try again, since one is lost.
            until(|| debug::dump().tasks().all(|task| task.state() != "ready"));
            let is_blocked = other.as_ref().is_none_or(Waiter::is_blocked);
            if self.case.offers && is_blocked && victim.waiter.is_blocked() {
                // It is that of the lost one which was taken.
                self.case.release.as_ref().unwrap()();
            }
            return self.all_get_it(victim, other);
        }
        let was_there = victim.waiter.is_blocked();
        let is_elsewhere = self.seed & 1 == 0 && !self.square.event.is_interrupt();
        if was_there && is_elsewhere {
            // The wake is a message, which comes in the turn that looks at the clock as well.
            self.released.set(1);
            let release = Arc::clone(self.case.release.as_ref().unwrap());
            os::spawn(move || release()).join().unwrap();
        } else if was_there {
            self.release();
        }
        // If both try, it is for one of them.
        let is_alone = !self.case.consumes || other.as_ref().is_none_or(Waiter::is_blocked);
        let has_it = was_there && is_alone && !self.case.is_stepwise && !victim.waiter.is_blocked();
        match self.square.event {
            Event::Kill => _ = victim.waiter.kill(),
            Event::Ending(nth) => {
                self.case.endings[nth].1();
                return self.ended(victim, other, nth);
            }
            _ => {}
        }
        let fate = victim.join();
        if has_it {
            assert_eq!(fate, Fate::Done("ok".to_owned()), "it had it already");
        }
        self.settle(&fate, other);
    }

    fn racing(&self) {
        let victim = Rc::new(self.victim());
        let other = self.other();
        let mut actors = Vec::new();
        if self.square.event != Event::PeerPanics {
            let release = Arc::clone(self.case.release.as_ref().unwrap());
            self.released.set(1);
            actors.push(spawn(move || release()));
        }
        match self.square.event {
            Event::Kill => {
                let victim = Rc::clone(&victim);
                actors.push(spawn(move || _ = victim.waiter.kill()));
            }
            Event::Ending(nth) => {
                let act = Arc::clone(&self.case.endings[nth].1);
                actors.push(spawn(move || act()));
            }
            Event::PeerPanics => self.release_by_panic(),
            _ => {}
        }
        actors.into_iter().for_each(|actor| actor.join().unwrap());
        let Ok(victim) = Rc::try_unwrap(victim) else { unreachable!("the killer has ended") };
        match self.square.event {
            Event::Ending(nth) => self.ended(victim, other, nth),
            Event::PeerPanics => self.all_get_it(victim, other),
            _ => {
                let fate = victim.join();
                self.settle(&fate, other);
            }
        }
    }

    fn not_started(&self) {
        let other = self.other();
        if let Some(other) = &other {
            until(|| other.is_blocked());
        }
        if let Event::Ending(nth) = self.square.event {
            self.case.endings[nth].1();
            let victim = self.victim();
            return self.ended(victim, other, nth);
        }
        let victim = self.victim();
        assert!(victim.waiter.kill());
        let has_run = Rc::clone(&victim.has_run);
        let fate = victim.join();
        assert_eq!((fate.clone(), has_run.get()), (Fate::Killed, false));
        self.settle(&fate, other);
    }

    fn unwinding(&self) {
        // Some calls take a lock first, and what cannot wait for more than that could for it.
        let is_first = self.case.fails || self.square.event == Event::Limit;
        let other = if is_first { None } else { self.other() };
        let victim = self.victim();
        if self.is_killed_first() {
            until(|| victim.waiter.is_blocked());
            assert!(victim.waiter.kill());
        }
        until(|| victim.is_inside.get());
        until(|| victim.waiter.is_settled());
        let ends = if self.is_killed_first() { Fate::Killed } else { Fate::Panicked };
        let slot = Rc::clone(&victim.slot);
        let inner = move || slot.borrow_mut().take().expect("the call has returned");
        if self.case.fails {
            assert_eq!(victim.join(), ends);
            assert_eq!(inner(), Fate::Done("Other".to_owned()));
            return self.settle(&ends, other);
        }
        match self.square.event {
            Event::Kill => {
                assert!(victim.waiter.kill());
                (0..5).for_each(|_| yield_now());
                assert!(!victim.waiter.task.is_finished(), "a kill waits until it has unwound");
            }
            Event::Limit => {
                assert_eq!(victim.join(), ends);
                assert_eq!(inner(), Fate::Elapsed("limit"));
                return self.settle(&ends, other);
            }
            Event::Ending(nth) => {
                let (_, act, expected) = &self.case.endings[nth];
                act();
                assert_eq!(victim.join(), ends);
                assert_eq!(inner(), Fate::Done((*expected).to_owned()));
                let other = other.map(|other| outcome(&other.join().unwrap()));
                assert!(other.as_ref().is_none_or(|word| word == expected), "{other:?}");
                return;
            }
            Event::PeerPanics => self.release_by_panic(),
            _ => (0..5).for_each(|_| yield_now()),
        }
        self.release_for(&other);
        assert_eq!(victim.join(), ends);
        assert_eq!(inner(), Fate::Done("ok".to_owned()));
        self.end(other);
    }

    fn shielded(&self) {
        let (victim, other) = self.both_wait();
        match self.square.event {
            Event::Kill => assert!(victim.waiter.kill()),
            Event::Limit => {
                let fate = victim.join();
                assert_eq!(fate, Fate::Elapsed("limit"));
                return self.settle(&fate, other);
            }
            Event::Ending(nth) => return self.ended(victim, other, nth),
            Event::PeerPanics => {
                self.release_by_panic();
                return self.all_get_it(victim, other);
            }
            _ => {}
        }
        (0..5).for_each(|_| yield_now());
        assert!(!victim.has_passed.get() && !victim.waiter.task.is_finished(), "a shield holds");
        self.release_for(&other);
        let has_passed = Rc::clone(&victim.has_passed);
        let fate = victim.join();
        assert!(has_passed.get(), "{fate:?}");
        let expected = match self.square.event {
            Event::Kill => &[Fate::Killed][..],
            Event::Timeout => &[Fate::Elapsed("only")],
            Event::Inner => &[Fate::Elapsed("inner")],
            Event::Outer => &[Fate::Elapsed("outer")],
            _ => &[Fate::Elapsed("inner"), Fate::Elapsed("outer")],
        };
        assert!(expected.contains(&fate), "{fate:?} instead of {expected:?}");
        self.end(other);
    }

    /// Starts the victim and the bystander, one or the other first, and runs until both wait.
    fn both_wait(&self) -> (Victim, Option<Waiter<io::Result<()>>>) {
        // A limit is the call's, and may not be that of what its turn depends on.
        let is_first = self.seed & 2 == 0 || self.square.event == Event::Limit;
        let wait = |victim: &Victim| {
            let waiter = &victim.waiter;
            until(|| waiter.is_settled());
        };
        let early = is_first.then(|| self.victim());
        early.iter().for_each(wait);
        let other = self.other();
        if let Some(other) = &other {
            until(|| other.is_blocked());
        }
        let victim = early.unwrap_or_else(|| self.victim());
        wait(&victim);
        (victim, other)
    }

    fn victim(&self) -> Victim {
        let Square { event, state, .. } = *self.square;
        let (call, limited) = (Arc::clone(&self.case.call), self.case.limited.clone());
        let has_run = Rc::new(Cell::new(false));
        let is_inside = Rc::new(Cell::new(false));
        let has_passed = Rc::new(Cell::new(false));
        let slot = Rc::new(RefCell::new(None));
        let flags = (Rc::clone(&has_run), Rc::clone(&is_inside), Rc::clone(&has_passed));
        let inner_slot = Rc::clone(&slot);
        let is_killed_first = self.is_killed_first();
        let attempt = move |f: &dyn Fn() -> io::Result<()>| match event {
            Event::Limit if limited.as_ref().unwrap()(SHORT) => Fate::Elapsed("limit"),
            Event::Limit => Fate::Done("ok".to_owned()),
            _ => attempt(event, f),
        };
        let waiter = Waiter::spawn(move || {
            let (has_run, is_inside, has_passed) = flags;
            has_run.set(true);
            match state {
                State::Unwinding => {
                    let _guard = on_drop(move || {
                        is_inside.set(true);
                        *inner_slot.borrow_mut() = Some(attempt(&*call));
                    });
                    if is_killed_first {
                        park();
                    }
                    resume_unwind(Box::new(Planned))
                }
                State::Shielded => attempt(&|| {
                    let result = shield(|| call());
                    has_passed.set(true);
                    if event.is_interrupt() {
                        park();
                    }
                    result
                }),
                _ => attempt(&*call),
            }
        });
        Victim { waiter, has_run, is_inside, has_passed, slot }
    }

    /// Whether the victim comes to unwind by a kill; else by a panic.
    fn is_killed_first(&self) -> bool {
        self.seed & 1 == 0
    }

    /// A second one, if there can be two.
    fn other(&self) -> Option<Waiter<io::Result<()>>> {
        let can_be = self.case.has_line && self.case.release.is_some() && !self.is_solo;
        let call = Arc::clone(&self.case.call);
        can_be.then(|| Waiter::spawn(move || call()))
    }

    fn release(&self) {
        self.released.set(self.released.get() + 1);
        self.case.release.as_ref().expect("there is no such cell")();
    }

    fn release_by_panic(&self) {
        self.released.set(self.released.get() + 1);
        let release = Arc::clone(self.case.release.as_ref().unwrap());
        let peer = spawn(move || {
            let _guard = on_drop(move || release());
            resume_unwind(Box::new(Planned))
        });
        assert!(peer.join().is_err_and(|payload| payload.is::<Planned>()));
    }

    /// Releases it as often as it takes for the victim and the bystander, whoever is first.
    fn release_for(&self, other: &Option<Waiter<io::Result<()>>>) {
        let needed = if self.case.consumes { 1 + u32::from(other.is_some()) } else { 1 };
        while self.released.get() < needed {
            self.release();
        }
    }

    /// Nobody has left: whoever waits gets it.
    fn all_get_it(&self, victim: Victim, other: Option<Waiter<io::Result<()>>>) {
        self.release_for(&other);
        assert_eq!(victim.join(), Fate::Done("ok".to_owned()));
        self.end(other);
    }

    /// After as many releases as there were calls.
    fn end(&self, other: Option<Waiter<io::Result<()>>>) {
        if let Some(other) = other {
            assert_eq!(outcome(&other.join().unwrap()), "ok", "of the bystander");
        }
        if !self.is_solo {
            check_usable(self.case, !self.case.consumes);
        }
    }

    /// The victim has left, with what it waited for or without: nothing is lost.
    fn settle(&self, fate: &Fate, other: Option<Waiter<io::Result<()>>>) {
        let has_it = *fate == Fate::Done("ok".to_owned());
        assert!(has_it || !matches!(fate, Fate::Done(_)), "{fate:?}");
        if self.is_solo || self.case.release.is_none() {
            return;
        }
        let mut left = self.released.get() - u32::from(has_it && self.case.consumes);
        if let Some(other) = other {
            if left == 0 {
                self.release();
                left = 1;
            }
            assert_eq!(outcome(&other.join().unwrap()), "ok", "of the bystander");
            left -= u32::from(self.case.consumes);
        }
        check_usable(self.case, left > 0);
    }

    /// It is closed, or so, and may have been released before.
    fn ended(&self, victim: Victim, other: Option<Waiter<io::Result<()>>>, nth: usize) {
        let (_, act, expected) = &self.case.endings[nth];
        if matches!(self.square.state, State::Waiting | State::Shielded) {
            let act = Arc::clone(act);
            spawn(move || act()).join().unwrap();
        }
        let mut words = Vec::new();
        match victim.join() {
            Fate::Done(word) => words.push(word),
            fate => panic!("{fate:?}"),
        }
        words.extend(other.map(|other| outcome(&other.join().unwrap())));
        let had_it = words.iter().filter(|word| *word == "ok").count();
        assert!(words.iter().all(|word| word == expected || word == "ok"), "{words:?}");
        if self.case.consumes && *expected != "ok" {
            assert!(had_it <= self.released.get() as usize, "{words:?}");
        }
        if self.released.get() == 0 && *expected != "ok" {
            assert_eq!(had_it, 0, "{words:?}");
        }
    }

    /// One that waits on a thread whose hub does not run any more.
    fn lost_peer(&self) -> Lost {
        let call = Arc::clone(&self.case.call);
        let (sender, is_there) = mpsc::channel();
        let (end, may_end) = mpsc::channel::<()>();
        let thread = os::spawn(move || {
            let waiter = Waiter::spawn(move || call());
            until(|| waiter.is_blocked());
            sender.send(()).unwrap();
            // An error is the end as well.
            let _ = may_end.recv();
        });
        is_there.recv().unwrap();
        Lost { end, thread }
    }
}

struct Lost {
    end: mpsc::Sender<()>,
    thread: os::JoinHandle<()>,
}

impl Lost {
    fn end(self) {
        drop(self.end);
        self.thread.join().unwrap();
    }
}

impl Victim {
    fn join(self) -> Fate {
        match self.waiter.join() {
            Ok(fate) => fate,
            Err(payload) if payload.is::<Killed>() => Fate::Killed,
            Err(payload) if payload.is::<Planned>() => Fate::Panicked,
            Err(payload) => resume_unwind(payload),
        }
    }
}

/// Makes the call in the blocks that the event is about.
fn attempt(event: Event, f: &dyn Fn() -> io::Result<()>) -> Fate {
    let done = |result: io::Result<()>| Fate::Done(outcome(&result));
    let nested = |outer, inner| match timeout(outer, || timeout(inner, f)) {
        Ok(Ok(result)) => done(result),
        Ok(Err(_)) => Fate::Elapsed("inner"),
        Err(_) => Fate::Elapsed("outer"),
    };
    match event {
        Event::Timeout => timeout(SHORT, f).map_or(Fate::Elapsed("only"), done),
        Event::Inner => nested(LONG, SHORT),
        Event::Outer => nested(SHORT, LONG),
        Event::Both => nested(SHORT, SHORT),
        _ => done(f()),
    }
}
