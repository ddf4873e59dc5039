//! What a row makes: a call that waits, and what others can do about it.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;

use corovent::spawn;
use corovent::thread::Thread;
use corovent::thread::park;
use corovent::yield_now;

/// The call, which any coroutine or thread can make, one after another.
pub(crate) type Call = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Something that another coroutine or thread does.
pub(crate) type Act = Arc<dyn Fn() + Send + Sync>;

/// A row of the table.
pub(crate) struct Row {
    /// The functions that it is about, as their documentation names them: `Type::function`.
    pub(crate) functions: &'static [&'static str],
    pub(crate) make: fn() -> Case,
    /// Columns that it has not, with the reason.
    pub(crate) lacks: &'static [(&'static str, &'static str)],
}

impl Row {
    pub(crate) fn has_not(&self, column: &str) -> bool {
        self.lacks.iter().any(|(lacked, _)| *lacked == column)
    }
}

/// A wait that is about to happen.
pub(crate) struct Case {
    /// Waits, until it is released.
    pub(crate) call: Call,
    /// Lets a call go on: the one that waits or, if none does, the next.
    pub(crate) release: Option<Act>,
    /// One release is for one call; else for all that come.
    pub(crate) consumes: bool,
    /// The release is for whoever waits already, and is not kept.
    pub(crate) is_personal: bool,
    /// What it waits to give away may be taken from it though it never runs again.
    pub(crate) offers: bool,
    /// It waits again after what it has waited for.
    pub(crate) is_stepwise: bool,
    /// Two may wait for it, and each release is for one of them.
    pub(crate) has_line: bool,
    /// It returns `io::Result`, and fails where it may not wait.
    pub(crate) fails: bool,
    /// The call with a time of its own, which tells whether that was over.
    pub(crate) limited: Option<Limited>,
    /// What others may do to the waiter, and what the call gives then.
    pub(crate) endings: Vec<(&'static str, Act, &'static str)>,
    /// What has to live as long.
    kept: Vec<Box<dyn Any>>,
}

/// A call with a limit: whether its time was over.
pub(crate) type Limited = Arc<dyn Fn(Duration) -> bool + Send + Sync>;

impl Case {
    pub(crate) fn new(call: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Case {
        Case {
            call: Arc::new(call),
            release: None,
            consumes: true,
            is_personal: false,
            offers: false,
            is_stepwise: false,
            has_line: true,
            fails: true,
            limited: None,
            endings: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// A call that has no error to return: it waits whatever the coroutine does.
    pub(crate) fn infallible(call: impl Fn() + Send + Sync + 'static) -> Case {
        let call = move || {
            call();
            Ok(())
        };
        Case { fails: false, ..Case::new(call) }
    }

    /// A call whose error is none of `io`: it waits whatever the coroutine does.
    pub(crate) fn waiting(call: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Case {
        Case { fails: false, ..Case::new(call) }
    }

    /// Each time lets one call go on.
    pub(crate) fn released(self, release: impl Fn() + Send + Sync + 'static) -> Case {
        Case { release: Some(Arc::new(release)), ..self }
    }

    /// Lets all calls go on from then on.
    pub(crate) fn opened(self, release: impl Fn() + Send + Sync + 'static) -> Case {
        Case { consumes: false, ..self.released(release) }
    }

    /// The release is for whoever waits already.
    pub(crate) fn personal(self) -> Case {
        Case { is_personal: true, ..self }
    }

    /// It has more to wait for when it is released.
    pub(crate) fn stepwise(self) -> Case {
        Case { is_stepwise: true, ..self }
    }

    /// It waits until somebody takes what it has.
    pub(crate) fn offering(self) -> Case {
        Case { offers: true, ..self }
    }

    pub(crate) fn limited(self, call: impl Fn(Duration) -> bool + Send + Sync + 'static) -> Case {
        Case { limited: Some(Arc::new(call)), ..self }
    }

    pub(crate) fn ended(
        mut self,
        name: &'static str,
        act: impl Fn() + Send + Sync + 'static,
        outcome: &'static str,
    ) -> Case {
        self.endings.push((name, Arc::new(act), outcome));
        self
    }

    pub(crate) fn keep(mut self, value: impl Any) -> Case {
        self.kept.push(Box::new(value));
        self
    }
}

/// Closed until it is opened, for all.
#[derive(Default)]
pub(crate) struct Gate {
    is_open: AtomicBool,
    waiting: Mutex<Vec<Thread>>,
}

impl Gate {
    pub(crate) fn wait(&self) {
        self.waiting.lock().unwrap().push(corovent::thread::current());
        while !self.is_open.load(Ordering::SeqCst) {
            park();
        }
    }

    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
        self.waiting.lock().unwrap().drain(..).for_each(|thread| thread.unpark());
    }
}

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Makes the calling thread do all by itself from now on: what else is done by another thread is
/// done by a coroutine, so that nothing depends on who is faster.
pub(crate) fn do_all_on_this_thread() {
    ALONE.set(true);
}

/// Does something at its own pace: on an OS thread without a hub, or in a coroutine.
pub(crate) fn aside(f: impl FnOnce() + Send + 'static) {
    if ALONE.get() {
        drop(spawn(f));
    } else {
        drop(os::spawn(f));
    }
}

/// For who waits until something that was begun aside is so far.
pub(crate) fn let_others_run() {
    if ALONE.get() { yield_now() } else { os::yield_now() }
}

/// An OS thread without a hub, or a coroutine, that holds something until it is released.
pub(crate) struct Holder {
    order: Arc<Order>,
    thread: Mutex<Option<os::JoinHandle<()>>>,
}

/// What a holder waits for.
#[derive(Default)]
struct Order {
    gate: Gate,
    /// It is to let go by a panic.
    is_to_panic: AtomicBool,
}

impl Holder {
    /// Runs `hold` with a closure that returns when it is to let go, or unwinds.
    pub(crate) fn new(hold: impl FnOnce(&dyn Fn()) + Send + 'static) -> Arc<Holder> {
        let (order, holds) = (Arc::new(Order::default()), Arc::new(AtomicBool::new(false)));
        let (inner, flag) = (Arc::clone(&order), Arc::clone(&holds));
        let body = move || {
            hold(&|| {
                flag.store(true, Ordering::SeqCst);
                inner.gate.wait();
                if inner.is_to_panic.load(Ordering::SeqCst) {
                    resume_unwind(Box::new("the holder panics"));
                }
            });
        };
        let thread = if ALONE.get() {
            drop(spawn(body));
            None
        } else {
            Some(os::spawn(body))
        };
        while !holds.load(Ordering::SeqCst) {
            let_others_run();
        }
        Arc::new(Holder { order, thread: Mutex::new(thread) })
    }

    pub(crate) fn release(&self) {
        self.order.gate.open();
    }

    /// Makes it let go by a panic.
    pub(crate) fn panic(&self) {
        self.order.is_to_panic.store(true, Ordering::SeqCst);
        self.release();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.release();
        if let Some(thread) = self.thread.lock().unwrap().take() {
            let result = thread.join();
            assert!(result.is_ok() || self.order.is_to_panic.load(Ordering::SeqCst));
        }
    }
}

/// A socket, pipe or file that can be closed while others use it.
pub(crate) struct Closable<T: FromRawFd + AsRawFd> {
    inner: ManuallyDrop<T>,
    is_closed: AtomicBool,
}

impl<T: FromRawFd + AsRawFd> Closable<T> {
    pub(crate) fn new(inner: T) -> Arc<Closable<T>> {
        Arc::new(Closable { inner: ManuallyDrop::new(inner), is_closed: AtomicBool::new(false) })
    }

    /// Closes the descriptor through another owner, as code does that has counted wrong.
    pub(crate) fn close(&self) {
        if !self.is_closed.swap(true, Ordering::SeqCst) {
            // SAFETY: it is open, and the first owner no longer closes it.
            drop(unsafe { T::from_raw_fd(self.inner.as_raw_fd()) });
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }
}

impl<T: FromRawFd + AsRawFd> std::ops::Deref for Closable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: FromRawFd + AsRawFd> Drop for Closable<T> {
    fn drop(&mut self) {
        if !*self.is_closed.get_mut() {
            // SAFETY: it is dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.inner) };
        }
    }
}

/// Turns the count of a read into an outcome: nothing is the end.
pub(crate) fn some(count: io::Result<usize>) -> io::Result<()> {
    match count? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// What a call with a limit gave: whether its time was over. Any other error fails the test.
pub(crate) fn is_over<T>(result: io::Result<T>) -> bool {
    match result {
        Ok(_) => false,
        Err(error) => {
            let over = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
            assert!(over.contains(&error.kind()), "{error}");
            true
        }
    }
}

/// The word for what a call gave.
pub(crate) fn outcome(result: &io::Result<()>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => "EBADF".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    }
}
