//! Groups, pools, and waiting for several coroutines.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corovent::JoinHandle;
use corovent::group::Group;
use corovent::group::Pool;
use corovent::group::as_completed;
use corovent::group::imap;
use corovent::group::imap_unordered;
use corovent::group::join_all;
use corovent::group::join_all_timeout;
use corovent::group::kill_all_timeout;
use corovent::group::map;
use corovent::group::try_join_all;
use corovent::group::wait_any;
use corovent::group::wait_any_timeout;
use corovent::group::wait_count;
use corovent::group::wait_count_timeout;
use corovent::shield;
use corovent::spawn;
use corovent::yield_now;

use crate::case::Case;
use crate::case::Gate;
use crate::case::Row;

const LONG: Duration = Duration::from_secs(3600);

/// What is killed ends with its thread.
const OWN: &[(&str, &str)] = &[("ended hub", "the killed ones end with their thread")];

/// The scope belongs to the call: when its thread ends, so does all of it.
const SCOPES: &[(&str, &str)] = &[("ended hub", "aborts: what borrows from it could not go on")];

/// It lacks nothing.
const ALL: &[(&str, &str)] = &[];

pub(crate) const ROWS: &[Row] = &[
    Row { functions: &["Group::join", "Pool::join"], make: group_join, lacks: ALL },
    Row {
        functions: &["Group::join_timeout", "Pool::join_timeout"],
        make: group_join_timeout,
        lacks: ALL,
    },
    Row { functions: &["Group::join_next"], make: join_next, lacks: ALL },
    Row {
        functions: &["Group::kill_timeout", "Pool::kill_timeout"],
        make: group_kill_timeout,
        lacks: OWN,
    },
    Row { functions: &["Pool::spawn"], make: pool_spawn, lacks: ALL },
    Row { functions: &["Pool::spawn_timeout"], make: pool_spawn_timeout, lacks: ALL },
    Row { functions: &["Pool::wait_available"], make: available, lacks: ALL },
    Row { functions: &["Pool::wait_available_timeout"], make: available_timeout, lacks: ALL },
    Row { functions: &["Pool::apply"], make: apply, lacks: SCOPES },
    Row { functions: &["map", "Pool::map"], make: mapped, lacks: SCOPES },
    Row { functions: &["Imap::next"], make: imap_next, lacks: ALL },
    Row { functions: &["ImapUnordered::next"], make: unordered_next, lacks: ALL },
    Row { functions: &["join_all"], make: all, lacks: ALL },
    Row { functions: &["join_all_timeout"], make: all_timeout, lacks: ALL },
    Row { functions: &["try_join_all"], make: try_all, lacks: ALL },
    Row { functions: &["kill_all_timeout"], make: kill_all, lacks: OWN },
    Row { functions: &["wait_any"], make: any, lacks: ALL },
    Row { functions: &["wait_any_timeout"], make: any_timeout, lacks: ALL },
    Row { functions: &["wait_count"], make: count, lacks: ALL },
    Row { functions: &["wait_count_timeout"], make: count_timeout, lacks: ALL },
    Row { functions: &["AsCompleted::next"], make: completed, lacks: ALL },
    Row { functions: &["AsCompleted::next_timeout"], make: completed_timeout, lacks: ALL },
];

/// A call that starts coroutines, which end when the gate is open, and waits for them.
fn gated(call: impl Fn(&Arc<Gate>) + Send + Sync + 'static) -> Case {
    let gate = Arc::new(Gate::default());
    let opened = Arc::clone(&gate);
    Case::infallible(move || call(&gate)).opened(move || opened.open())
}

/// The same with a limit, and whether that was over.
fn limited(call: impl Fn(&Arc<Gate>, Duration) -> bool + Send + Sync + 'static) -> Case {
    let (gate, call) = (Arc::new(Gate::default()), Arc::new(call));
    let (inner, opened, limited) = (Arc::clone(&gate), Arc::clone(&gate), Arc::clone(&call));
    Case::infallible(move || assert!(!call(&gate, LONG)))
        .limited(move |limit| limited(&inner, limit))
        .opened(move || opened.open())
}

/// Waits for the gate.
fn task(gate: &Arc<Gate>) -> impl FnOnce() + use<> {
    let gate = Arc::clone(gate);
    move || gate.wait()
}

fn tasks(gate: &Arc<Gate>) -> [JoinHandle<()>; 2] {
    [spawn(task(gate)), spawn(task(gate))]
}

fn group(gate: &Arc<Gate>) -> Group {
    let group = Group::new();
    group.spawn(task(gate));
    group
}

/// A pool whose one place is taken.
fn full(gate: &Arc<Gate>) -> Pool {
    let pool = Pool::new(1);
    pool.spawn(task(gate));
    pool
}

/// A coroutine that only the gate ends.
fn stubborn(gate: &Arc<Gate>) -> impl FnOnce() + use<> {
    let gate = Arc::clone(gate);
    move || shield(|| gate.wait())
}

/// Lets a coroutine begin.
fn begun(start: impl FnOnce(Box<dyn FnOnce()>), body: impl FnOnce() + 'static) {
    let is_there = Rc::new(Cell::new(false));
    let flag = Rc::clone(&is_there);
    start(Box::new(move || {
        flag.set(true);
        body();
    }));
    while !is_there.get() {
        yield_now();
    }
}

fn group_join() -> Case {
    gated(|gate| group(gate).join())
}

fn group_join_timeout() -> Case {
    limited(|gate, limit| !group(gate).join_timeout(limit))
}

fn join_next() -> Case {
    gated(|gate| assert!(group(gate).join_next()))
}

fn group_kill_timeout() -> Case {
    limited(|gate, limit| {
        let group = Group::new();
        begun(|f| drop(group.spawn(f)), stubborn(gate));
        group.kill_timeout(limit).is_err()
    })
}

fn pool_spawn() -> Case {
    gated(|gate| drop(full(gate).spawn(|| ())))
}

fn pool_spawn_timeout() -> Case {
    limited(|gate, limit| full(gate).spawn_timeout(limit, || ()).is_err())
}

fn available() -> Case {
    gated(|gate| full(gate).wait_available())
}

fn available_timeout() -> Case {
    limited(|gate, limit| !full(gate).wait_available_timeout(limit))
}

fn apply() -> Case {
    gated(|gate| Pool::new(1).apply(|| gate.wait()))
}

fn mapped() -> Case {
    gated(|gate| drop(map(2, 0..3, |_| gate.wait())))
}

fn imap_next() -> Case {
    gated(|gate| {
        let gate = Arc::clone(gate);
        assert_eq!(imap(2, 0..3, move |_| gate.wait()).next(), Some(()));
    })
}

fn unordered_next() -> Case {
    gated(|gate| {
        let gate = Arc::clone(gate);
        assert_eq!(imap_unordered(2, 0..3, move |_| gate.wait()).next(), Some(()));
    })
}

fn all() -> Case {
    gated(|gate| assert!(join_all(tasks(gate)).iter().all(Result::is_ok)))
}

fn all_timeout() -> Case {
    limited(|gate, limit| join_all_timeout(tasks(gate), limit).iter().any(Result::is_err))
}

fn try_all() -> Case {
    gated(|gate| assert_eq!(try_join_all(tasks(gate)).ok().map(|all| all.len()), Some(2)))
}

fn kill_all() -> Case {
    limited(|gate, limit| {
        let mut tasks = Vec::new();
        begun(|f| tasks.push(spawn(f)), stubborn(gate));
        kill_all_timeout(&tasks, limit).is_err()
    })
}

fn any() -> Case {
    gated(|gate| assert!(wait_any(&tasks(gate)).is_some()))
}

fn any_timeout() -> Case {
    limited(|gate, limit| wait_any_timeout(&tasks(gate), limit).is_none())
}

fn count() -> Case {
    gated(|gate| assert_eq!(wait_count(&tasks(gate), 2).len(), 2))
}

fn count_timeout() -> Case {
    limited(|gate, limit| wait_count_timeout(&tasks(gate), 2, limit).len() < 2)
}

fn completed() -> Case {
    gated(|gate| assert_eq!(as_completed(tasks(gate)).count(), 2))
}

fn completed_timeout() -> Case {
    limited(|gate, limit| as_completed(tasks(gate)).next_timeout(limit).is_none())
}
