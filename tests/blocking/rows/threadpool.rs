//! Waits for the jobs of thread pools, and for room in their lines.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use corovent::threadpool::Builder;
use corovent::threadpool::ThreadPool;

use crate::case::Case;
use crate::case::Row;

const LONG: Duration = Duration::from_secs(3600);

/// What one caller waits for is no other's.
const OWN_JOB: &[(&str, &str)] = &[("ended hub", "each call has a job of its own")];

pub(crate) const ROWS: &[Row] = &[
    Row { functions: &["JobHandle::join"], make: join, lacks: OWN_JOB },
    Row { functions: &["JobHandle::join_timeout"], make: join_timeout, lacks: OWN_JOB },
    Row { functions: &["ThreadPool::apply"], make: apply, lacks: OWN_JOB },
    Row { functions: &["ThreadPool::map"], make: map, lacks: OWN_JOB },
    Row { functions: &["ThreadPool::submit"], make: submit, lacks: &[] },
    Row { functions: &["ThreadPool::join"], make: join_all, lacks: &[] },
    Row { functions: &["ThreadPool::join_timeout"], make: join_all_timeout, lacks: &[] },
    Row { functions: &["ThreadPool::shutdown"], make: shutdown, lacks: &[] },
];

/// Jobs that end when the gate is open.
#[derive(Clone)]
struct Gate(Arc<Mutex<mpsc::Receiver<()>>>);

impl Gate {
    /// Makes a gate, and what opens it.
    fn new() -> (Gate, impl Fn() + Send + Sync + 'static) {
        let (sender, receiver) = mpsc::channel();
        let sender = Mutex::new(Some(sender));
        let open = move || drop(sender.lock().unwrap().take());
        (Gate(Arc::new(Mutex::new(receiver))), open)
    }

    /// A job that passes it.
    fn job(&self) -> impl FnOnce() + Send + 'static {
        let gate = self.clone();
        // It is an error when the gate is open.
        move || _ = gate.0.lock().unwrap().recv()
    }
}

/// A call with a pool and a gate for the jobs.
fn gated(call: impl Fn(&ThreadPool, &Gate) + Send + Sync + 'static) -> Case {
    let (gate, open) = Gate::new();
    let pool = ThreadPool::new(4);
    Case::infallible(move || call(&pool, &gate)).opened(open)
}

fn join() -> Case {
    gated(|pool, gate| pool.submit(gate.job()).join().unwrap())
}

fn join_timeout() -> Case {
    let (gate, open) = Gate::new();
    let pool = Arc::new(ThreadPool::new(4));
    let (inner_pool, inner) = (Arc::clone(&pool), gate.clone());
    Case::infallible(move || pool.submit(gate.job()).join_timeout(LONG).unwrap().unwrap())
        .limited(move |limit| inner_pool.submit(inner.job()).join_timeout(limit).is_err())
        .opened(open)
}

fn apply() -> Case {
    gated(|pool, gate| pool.apply(gate.job()))
}

fn map() -> Case {
    gated(|pool, gate| _ = pool.map([gate.clone(), gate.clone()], |gate| gate.job()()))
}

/// The only thread is busy, and the line full: each release lets it take one job.
fn submit() -> Case {
    let (turns, taken) = mpsc::channel::<()>();
    let taken = Arc::new(Mutex::new(taken));
    let job = move || {
        let taken = Arc::clone(&taken);
        // It is an error at the end.
        move || _ = taken.lock().unwrap().recv()
    };
    let pool = Builder::new().threads(1).queue_limit(1).build();
    let (runs, is_running) = mpsc::channel();
    let first = job();
    drop(pool.submit(move || {
        runs.send(()).unwrap();
        first();
    }));
    is_running.recv().unwrap();
    drop(pool.submit(job()));
    let call = move || drop(pool.submit(job()));
    let turns = Mutex::new(turns);
    Case::infallible(call).released(move || turns.lock().unwrap().send(()).unwrap())
}

/// The call waits for a job of the pool that is there already.
fn with_job(call: impl Fn(&ThreadPool) + Send + Sync + 'static) -> Case {
    let (gate, open) = Gate::new();
    let pool = ThreadPool::new(1);
    drop(pool.submit(gate.job()));
    Case::infallible(move || call(&pool)).opened(open)
}

fn join_all() -> Case {
    with_job(ThreadPool::join)
}

fn join_all_timeout() -> Case {
    let (gate, open) = Gate::new();
    let pool = Arc::new(ThreadPool::new(1));
    drop(pool.submit(gate.job()));
    let inner = Arc::clone(&pool);
    Case::infallible(move || assert!(pool.join_timeout(LONG)))
        .limited(move |limit| !inner.join_timeout(limit))
        .opened(open)
}

fn shutdown() -> Case {
    with_job(ThreadPool::shutdown)
}
