//! Kills, timeouts and panics inside of spans.

use std::time::Duration;

use corovent::Killed;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;
use tracing::info;
use tracing::info_span;

use crate::log::Log;
use crate::log::Noisy;
use crate::log::Told;
use crate::support;

const LONG: Duration = Duration::from_secs(1000);

/// Waits when it is dropped, inside of whatever span there is.
struct Slow {
    _noisy: Noisy,
}

impl Drop for Slow {
    fn drop(&mut self) {
        yield_now();
        yield_now();
    }
}

#[test]
fn a_kill_unwinds_inside_of_the_span() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let victim = spawn(|| {
            let _span = info_span!("victim").entered();
            let _noisy = Noisy("unwinds");
            sleep(LONG);
        });
        support::until_waiting(1);
        let _root = info_span!("root").entered();
        assert!(victim.kill());
        info!("killed");
        assert!(victim.join().unwrap_err().is::<Killed>());
        info!("joined");
    });
    log.check(&["root: killed", "victim: unwinds", "root: joined"]);
    assert_eq!(log.count(Told::Close, "victim"), 1);
}

#[test]
fn one_that_is_killed_before_it_begins_has_no_span() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let _root = info_span!("root").entered();
        let capture = Noisy("dropped");
        let victim = spawn(move || drop(capture));
        victim.kill();
        assert!(victim.join().is_err());
    });
    log.check(&["dropped"]);
}

#[test]
fn a_timeout_ends_the_spans_inside_of_it_only() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let waiting = spawn(|| {
            let _outer = info_span!("outer").entered();
            let result = timeout(Duration::from_millis(1), || {
                let _inner = info_span!("inner").entered();
                let _noisy = Noisy("unwinds");
                sleep(LONG);
            });
            assert!(result.is_err());
            info!("elapsed");
            yield_now();
            info!("goes on");
        });
        waiting.join().unwrap();
        info!("root");
    });
    log.check(&["outer:inner: unwinds", "outer: elapsed", "outer: goes on", "root"]);
    assert_eq!(log.count(Told::Close, "inner"), 1);
}

#[test]
fn a_panic_ends_the_spans_of_its_coroutine_only() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let _root = info_span!("root").entered();
        let panicking = spawn(|| {
            let _span = info_span!("panics").entered();
            let _noisy = Noisy("unwinds");
            yield_now();
            panic!("on purpose");
        });
        assert!(panicking.join().is_err());
        info!("joined");
        spawn(|| info!("next")).join().unwrap();
    });
    log.check(&["panics: unwinds", "root: joined", "next"]);
}

#[test]
fn destructors_that_wait_keep_the_span() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let unwinding = |name: &'static str| {
            spawn(move || {
                let _span = info_span!("unwinding", name).entered();
                let _slow = Slow { _noisy: Noisy("waited") };
                panic!("on purpose: {name}");
            })
        };
        let handles = [unwinding("one"), unwinding("two")];
        for _ in 0..4 {
            spawn(|| info!("beside")).join().unwrap();
        }
        handles.into_iter().for_each(|handle| assert!(handle.join().is_err()));
        info!("root");
    });
    let lines = log.take();
    assert_eq!(lines.iter().filter(|line| *line == "unwinding: waited").count(), 2, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| *line == "beside").count(), 4, "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("root"));
    assert_eq!(lines.len(), 7);
}

/// The root's wait is thrown as well: it is back in its spans by then.
#[test]
fn a_timeout_on_the_root_unwinds_inside_of_its_spans() {
    let (log, _guard) = Log::set();
    support::run(|| {
        let _outer = info_span!("outer").entered();
        let result = timeout(Duration::from_millis(1), || {
            let _inner = info_span!("inner").entered();
            let _noisy = Noisy("unwinds");
            sleep(LONG);
        });
        assert!(result.is_err());
        info!("elapsed");
    });
    log.check(&["outer:inner: unwinds", "outer: elapsed"]);
}
