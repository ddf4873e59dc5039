//! Coroutines that wait for each other, for time, for signals and for other threads.

use std::cell::Cell;
use std::io;
use std::io::PipeReader;
use std::io::PipeWriter;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use corovent::io::wait_readable;
use corovent::io::wait_writable;
use corovent::scope;
use corovent::selectors::Events;
use corovent::selectors::PollFd;
use corovent::selectors::PollFlags;
use corovent::selectors::Selector;
use corovent::selectors::poll;
use corovent::shield;
use corovent::signal;
use corovent::signal::Signals;
use corovent::sleep;
use corovent::spawn;
use corovent::thread;
use corovent::thread::Thread;
use corovent::threadpool::blocking;
use corovent::time::sleep_until;
use corovent::yield_now;

use crate::case::Case;
use crate::case::Closable;
use crate::case::Gate;
use crate::case::Row;
use crate::case::is_over;

const LONG: Duration = Duration::from_secs(3600);

/// Only time ends it.
const NO_RELEASE: &[(&str, &str)] = &[
    ("satisfied", "nobody satisfies it"),
    ("threads", "nobody ends it"),
    ("ended hub", "nobody else waits for it"),
    ("unwinding", "it would wait for an hour"),
    ("shield", "it would wait for an hour"),
    ("root", "it would wait for an hour"),
];

pub(crate) const ROWS: &[Row] = &[
    Row { functions: &["JoinHandle::join"], make: join, lacks: &[] },
    Row { functions: &["JoinHandle::join_timeout"], make: join_timeout, lacks: &[] },
    Row {
        functions: &["JoinHandle::kill_timeout"],
        make: kill_timeout,
        lacks: &[("ended hub", "the killed one ends with its thread")],
    },
    Row { functions: &["ScopedJoinHandle::join"], make: scoped_join, lacks: SCOPES },
    Row {
        functions: &["ScopedJoinHandle::join_timeout"],
        make: scoped_join_timeout,
        lacks: SCOPES,
    },
    Row {
        functions: &["ScopedJoinHandle::kill_timeout"],
        make: scoped_kill_timeout,
        lacks: KILLED_CHILD,
    },
    Row { functions: &["scope"], make: scope_exit, lacks: SCOPES },
    Row {
        functions: &["park"],
        make: park,
        lacks: &[
            ("killed", "the token is the coroutine's own; `case::Gate` is made of it"),
            ("satisfied", "as above"),
            ("ended hub", "as above"),
        ],
    },
    Row {
        functions: &["park_timeout", "park_timeout_ms"],
        make: park_timeout,
        lacks: &[
            ("killed", "the token is the coroutine's own"),
            ("satisfied", "as above"),
            ("ended hub", "as above"),
        ],
    },
    Row { functions: &["sleep", "sleep_ms"], make: sleeping, lacks: NO_RELEASE },
    Row { functions: &["sleep_until"], make: sleeping_until, lacks: NO_RELEASE },
    Row {
        functions: &["yield_now"],
        make: yielding,
        lacks: &[
            ("killed", "it does not block: killing::one_that_waits_unwinds_from_its_wait"),
            ("satisfied", "it is always"),
            ("threads", "nobody ends it"),
            ("ended hub", "nobody waits"),
            ("unwinding", "it would go on for ever"),
            ("shield", "it would go on for ever"),
            ("root", "it would go on for ever"),
            ("seeds", "it does not block"),
        ],
    },
    Row {
        functions: &["blocking"],
        make: job,
        lacks: &[("ended hub", "each call has a job of its own")],
    },
    Row {
        functions: &["wait"],
        make: signal_wait,
        lacks: &[
            (
                "killed",
                "a signal is for all who wait, and is kept for one who comes when none does",
            ),
            ("satisfied", "as above"),
            ("threads", "as above, and it is of the whole process"),
            ("ended hub", "as above"),
        ],
    },
    Row { functions: &["Signals::wait", "Iter::next"], make: signals, lacks: &[] },
    Row { functions: &["wait_readable"], make: readable, lacks: &[] },
    Row { functions: &["wait_writable"], make: writable, lacks: &[] },
    Row { functions: &["Selector::select"], make: selecting, lacks: &[] },
    Row { functions: &["poll"], make: polling, lacks: &[] },
];

/// Whatever ends the call, its scope then waits for the child, and that for the release.
const KILLED_CHILD: &[(&str, &str)] = &[
    ("timeout", "its scope waits for what the call has waited for"),
    ("killed", "as above"),
    ("satisfied", "as above"),
    ("ended hub", "aborts: what borrows from it could not go on"),
];

/// The scope belongs to the call: when its thread ends, so does all of it.
const SCOPES: &[(&str, &str)] = &[("ended hub", "aborts: what borrows from it could not go on")];

/// A call that starts a coroutine, which ends when the gate is open, and waits for it.
fn gated(call: impl Fn(Arc<Gate>) + Send + Sync + 'static) -> Case {
    let gate = Arc::new(Gate::default());
    let opened = Arc::clone(&gate);
    Case::infallible(move || call(Arc::clone(&gate))).opened(move || opened.open())
}

fn join() -> Case {
    gated(|gate| spawn(move || gate.wait()).join().unwrap())
}

fn join_timeout() -> Case {
    let gate = Arc::new(Gate::default());
    let (inner, opened) = (Arc::clone(&gate), Arc::clone(&gate));
    let start = |gate: &Arc<Gate>| {
        let gate = Arc::clone(gate);
        spawn(move || gate.wait())
    };
    Case::infallible(move || start(&gate).join_timeout(LONG).unwrap().unwrap())
        .limited(move |limit| start(&inner).join_timeout(limit).is_err())
        .opened(move || opened.open())
}

fn kill_timeout() -> Case {
    gated(|gate| {
        let started = Rc::new(Cell::new(false));
        let flag = Rc::clone(&started);
        let stubborn = spawn(move || shield_from_kills(&flag, &gate));
        while !started.get() {
            yield_now();
        }
        assert!(stubborn.kill_timeout(LONG));
    })
}

/// One that has not run yet would be ended at once.
fn shield_from_kills(started: &Cell<bool>, gate: &Gate) {
    shield(|| {
        started.set(true);
        gate.wait();
    });
}

fn scoped_join() -> Case {
    gated(|gate| scope(|scope| scope.spawn(|| gate.wait()).join().unwrap()))
}

fn scoped_join_timeout() -> Case {
    gated(|gate| scope(|scope| drop(scope.spawn(|| gate.wait()).join_timeout(LONG))))
}

fn scoped_kill_timeout() -> Case {
    gated(|gate| {
        scope(|scope| {
            let started = Rc::new(Cell::new(false));
            let (flag, gate) = (Rc::clone(&started), &gate);
            let child = scope.spawn(move || shield_from_kills(&flag, gate));
            while !started.get() {
                yield_now();
            }
            assert!(child.kill_timeout(LONG));
        });
    })
}

fn scope_exit() -> Case {
    gated(|gate| scope(|scope| drop(scope.spawn(|| gate.wait()))))
}

/// The token of the thread that was the last to call.
fn with_token(call: impl Fn() + Send + Sync + 'static) -> Case {
    let last: Arc<Mutex<Option<Thread>>> = Arc::default();
    let seen = Arc::clone(&last);
    let noted = move || {
        *last.lock().unwrap() = Some(thread::current());
        call();
    };
    Case::infallible(noted).personal().released(move || {
        // A thread may have been started and not have come as far.
        loop {
            let thread = seen.lock().unwrap().take();
            if let Some(thread) = thread {
                return thread.unpark();
            }
            std::thread::yield_now();
        }
    })
}

fn park() -> Case {
    with_token(thread::park)
}

fn park_timeout() -> Case {
    with_token(|| thread::park_timeout(LONG)).limited(|limit| {
        let start = Instant::now();
        thread::park_timeout(limit);
        start.elapsed() >= limit
    })
}

fn sleeping() -> Case {
    Case::infallible(|| sleep(LONG)).limited(|limit| {
        sleep(limit);
        true
    })
}

fn sleeping_until() -> Case {
    Case::infallible(|| sleep_until(Instant::now() + LONG)).limited(|limit| {
        sleep_until(Instant::now() + limit);
        true
    })
}

fn yielding() -> Case {
    Case::infallible(|| {
        loop {
            yield_now();
        }
    })
}

fn job() -> Case {
    let (sender, receiver) = mpsc::channel::<()>();
    let receiver = Arc::new(Mutex::new(receiver));
    let sender = Mutex::new(Some(sender));
    let call = move || {
        let receiver = Arc::clone(&receiver);
        // It is an error when the gate is open.
        blocking(move || _ = receiver.lock().unwrap().recv());
    };
    Case::infallible(call).opened(move || drop(sender.lock().unwrap().take()))
}

/// Signals are the whole process's: one row at a time.
static SIGNALS: Mutex<()> = Mutex::new(());

fn signal_wait() -> Case {
    let turn = SIGNALS.lock().unwrap_or_else(|error| error.into_inner());
    let send = || {
        // SAFETY: the signal is waited for, so its default action is off.
        unsafe { libc::kill(std::process::id() as libc::pid_t, libc::SIGUSR2) };
    };
    Case::new(|| signal::wait(&[libc::SIGUSR2]).map(drop)).released(send).keep(turn)
}

/// Of real-time signals none is merged with another.
fn signals() -> Case {
    let turn = SIGNALS.lock().unwrap_or_else(|error| error.into_inner());
    let number = signal::real_time(1).unwrap();
    let signals = Signals::new(&[number]).unwrap();
    let send = move || {
        // SAFETY: the signal is caught, so its default action is off.
        unsafe { libc::kill(std::process::id() as libc::pid_t, number) };
    };
    Case::new(move || signals.wait().map(drop)).released(send).keep(turn)
}

/// Tries again until there is something: several may be told of one byte.
fn each(mut call: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}

fn set_nonblocking(fd: &impl AsRawFd) {
    // SAFETY: fcntl(2) with F_SETFL has no preconditions.
    assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }, 0);
}

fn readable() -> Case {
    let (reader, writer) = std::io::pipe().unwrap();
    set_nonblocking(&reader);
    let reader = Closable::new(reader);
    let (inner, read) = (Arc::clone(&reader), Arc::clone(&reader));
    let call = move || {
        each(|| {
            wait_readable(&**reader, None)?;
            std::io::Read::read_exact(&mut &**reader, &mut [0])
        })
    };
    Case::new(call)
        .limited(move |limit| is_over(wait_readable(&**inner, Instant::now() + limit)))
        .released(move || std::io::Write::write_all(&mut &writer, &[1]).unwrap())
        .keep(read)
}

fn writable() -> Case {
    let (reader, writer) = std::io::pipe().unwrap();
    let page = [0; 4096];
    let writer = Arc::new(writer);
    let inner = Arc::clone(&writer);
    for _ in 0..16 {
        std::io::Write::write_all(&mut &*writer, &page).unwrap();
    }
    set_nonblocking(&*writer);
    let call = move || {
        each(|| {
            wait_writable(&*writer, None)?;
            std::io::Write::write_all(&mut &*writer, &page)
        })
    };
    Case::new(call)
        .limited(move |limit| is_over(wait_writable(&*inner, Instant::now() + limit)))
        .released(move || std::io::Read::read_exact(&mut &reader, &mut [0; 4096]).unwrap())
}

/// A call that waits until a pipe has something; the wait tells whether that was so.
fn with_pipe(
    (reader, mut writer): (PipeReader, PipeWriter),
    wait: impl Fn(&PipeReader, Option<Duration>) -> io::Result<bool> + Send + Sync + 'static,
) -> Case {
    let (reader, wait) = (Arc::new(reader), Arc::new(wait));
    let (inner, limited) = (Arc::clone(&reader), Arc::clone(&wait));
    set_nonblocking(&*reader);
    let call = move || {
        each(|| {
            assert!(wait(&reader, None)?);
            (&*reader).read_exact(&mut [0])
        })
    };
    let write = Mutex::new(move || writer.write_all(&[1]).unwrap());
    Case::new(call)
        .limited(move |limit| !limited(&inner, Some(limit)).unwrap())
        .released(move || write.lock().unwrap()())
}

fn selecting() -> Case {
    let (reader, writer) = io::pipe().unwrap();
    let selector = Selector::new().unwrap();
    selector.register(reader.try_clone().unwrap(), Events::READ, ()).unwrap();
    with_pipe((reader, writer), move |_, limit| Ok(!selector.select(limit)?.is_empty()))
}

fn polling() -> Case {
    with_pipe(io::pipe().unwrap(), |reader, limit| {
        Ok(poll(&mut [PollFd::new(reader.as_raw_fd(), PollFlags::IN)], limit)? == 1)
    })
}
