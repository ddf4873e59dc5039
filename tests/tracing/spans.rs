//! Whose span an event is in.

use std::mem;
use std::thread;

use corovent::debug;
use corovent::spawn;
use corovent::sync::mpsc;
use corovent::yield_now;
use tracing::Span;
use tracing::dispatcher;
use tracing::info;
use tracing::info_span;

use crate::log::Log;
use crate::log::Told;
use crate::support;

#[test]
fn two_coroutines_and_the_root_have_spans_of_their_own() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let root = info_span!("root").entered();
        let one = spawn(|| {
            info!("begins");
            let _span = info_span!("one").entered();
            info!("first");
            yield_now();
            info!("second");
            yield_now();
            info!("third");
        });
        let two = spawn(|| {
            let _span = info_span!("two").entered();
            yield_now();
            info!("second");
        });
        let none = spawn(|| {
            yield_now();
            info!("nowhere");
        });
        info!("before");
        yield_now();
        info!("between");
        one.join().unwrap();
        two.join().unwrap();
        none.join().unwrap();
        drop(root);
        info!("after");
    });
    log.check(&[
        "root: before",
        "begins",
        "one: first",
        "root: between",
        "one: second",
        "two: second",
        "nowhere",
        "one: third",
        "after",
    ]);
    assert!(Span::current().is_none());
}

#[test]
fn nested_spans_come_back_in_their_order() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let nested = spawn(|| {
            let outer = info_span!("outer").entered();
            let middle = info_span!("middle").entered();
            let inner = info_span!("inner").entered();
            yield_now();
            info!("three");
            drop(inner);
            yield_now();
            info!("two");
            // Not in the order in which they were entered.
            drop(outer);
            yield_now();
            assert_eq!(Span::current().metadata().map(|span| span.name()), Some("middle"));
            drop(middle);
            yield_now();
            info!("none");
        });
        let other = spawn(|| {
            for _ in 0..6 {
                info!("other");
                yield_now();
            }
        });
        nested.join().unwrap();
        other.join().unwrap();
    });
    log.check(&[
        "other",
        "outer:middle:inner: three",
        "other",
        "outer:middle: two",
        "other",
        "other",
        "none",
        "other",
        "other",
    ]);
    let others = log.others();
    // At the first wait the innermost is left first, and entered last.
    let first = [
        (Told::Enter, "outer"),
        (Told::Enter, "middle"),
        (Told::Enter, "inner"),
        (Told::Exit, "inner"),
        (Told::Exit, "middle"),
        (Told::Exit, "outer"),
        (Told::Enter, "outer"),
        (Told::Enter, "middle"),
        (Told::Enter, "inner"),
    ];
    assert_eq!(others[..first.len()], first);
    for name in ["outer", "middle", "inner"] {
        let count = |told| others.iter().filter(|other| **other == (told, name)).count();
        assert_eq!(count(Told::Enter), count(Told::Exit), "{name}");
        assert_eq!(count(Told::Close), 1, "{name}");
    }
}

/// A function that calls itself, with the same span.
#[test]
fn a_span_that_is_entered_twice_is_left_twice() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let span = info_span!("twice");
        let twice = spawn(move || {
            let _outer = span.enter();
            let other = info_span!("other").entered();
            let inner = span.enter();
            yield_now();
            info!("three guards");
            drop(inner);
            yield_now();
            info!("two guards");
            drop(other);
            yield_now();
            info!("one guard");
        });
        spawn(|| info!("elsewhere")).join().unwrap();
        twice.join().unwrap();
        info!("elsewhere");
    });
    log.check(&[
        "elsewhere",
        "twice:other: three guards",
        "twice:other: two guards",
        "twice: one guard",
        "elsewhere",
    ]);
    assert_eq!(log.count(Told::Enter, "twice"), log.count(Told::Exit, "twice"));
    assert_eq!(log.count(Told::Close, "twice"), 1);
}

#[test]
fn a_coroutine_begins_without_spans_and_one_may_be_carried_in() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let _request = info_span!("request").entered();
        let plain = spawn(|| info!("plain"));
        let span = Span::current();
        let carried = spawn(move || {
            span.in_scope(|| {
                info!("carried");
                yield_now();
                info!("carried still");
            });
            info!("left");
        });
        plain.join().unwrap();
        carried.join().unwrap();
        info!("joined");
    });
    log.check(&["plain", "request: carried", "request: carried still", "left", "request: joined"]);
    assert_eq!(log.count(Told::Close, "request"), 1);
}

#[test]
fn each_threads_hub_has_spans_of_its_own() {
    let (log, _guard) = Log::set();
    let dispatch = dispatcher::get_default(Clone::clone);
    support::run(|| {
        let (to_here, here) = mpsc::channel();
        let (to_there, there) = mpsc::channel();
        let thread = thread::spawn(move || {
            let _guard = dispatcher::set_default(&dispatch);
            let waiting = spawn(move || {
                let _span = info_span!("there").entered();
                for () in there {
                    info!("woken");
                    to_here.send(()).unwrap();
                }
            });
            waiting.join().unwrap();
            info!("thread ends");
        });
        let waiting = spawn(move || {
            let _span = info_span!("here").entered();
            for _ in 0..2 {
                to_there.send(()).unwrap();
                here.recv().unwrap();
                info!("woken");
            }
        });
        waiting.join().unwrap();
        thread.join().unwrap();
    });
    log.check(&["there: woken", "here: woken", "there: woken", "here: woken", "thread ends"]);
}

#[test]
fn those_who_are_looked_at_leave_no_span() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let parked = spawn(|| {
            let _span = info_span!("parked").entered();
            corovent::thread::park();
            info!("unparked");
        });
        let _root = info_span!("root").entered();
        support::until_waiting(1);
        log.others();
        for _ in 0..3 {
            let dump = debug::dump_with_backtraces().to_string();
            assert!(dump.contains("park"), "{dump}");
        }
        assert_eq!(log.others(), []);
        info!("looked");
        parked.thread().unpark();
        parked.join().unwrap();
    });
    log.check(&["root: looked", "parked: unparked"]);
}

/// The handle is gone, and the guard does not close it: what is entered stays open.
#[test]
fn a_span_whose_guard_was_forgotten_ends_with_its_coroutine() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let forgetful = spawn(|| {
            mem::forget(info_span!("forgotten").entered());
            yield_now();
            info!("inside");
        });
        spawn(|| info!("beside")).join().unwrap();
        forgetful.join().unwrap();
        spawn(|| info!("later")).join().unwrap();
        info!("root");
    });
    log.check(&["beside", "forgotten: inside", "later", "root"]);
    assert_eq!(log.count(Told::Enter, "forgotten"), log.count(Told::Exit, "forgotten"));
}

/// A guard is not `Send`, but a result need not be.
#[test]
fn a_guard_that_is_given_away_enters_nothing() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let guard = spawn(|| info_span!("given").entered()).join().unwrap();
        info!("with the guard");
        yield_now();
        drop(guard);
        info!("without");
    });
    log.check(&["with the guard", "without"]);
    assert_eq!(log.count(Told::Close, "given"), 1);
}
