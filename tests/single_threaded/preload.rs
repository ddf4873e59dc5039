//! Lets a test believe that it is in a process of one thread, for as long as it has made none.
//!
//! The harness runs each test in a thread, so glibc notes that there are several, and what the
//! runtime does in a process of one thread is never tested. But with `--test-threads=1` the
//! thread of a test and the harness, which waits for its end, are as good as one. This library has
//! a note of its own in the place of glibc's: it says "one thread" from the begin of a test's
//! thread until that one makes another.
//!
//! It is for harnesses only: a thread that `main` makes is taken for a test's, for which `main`
//! waits. With LD_PRELOAD it stands before glibc. At the end it adds a line to the file that
//! COROVENT_TEST_ALONE names: of how many threads that was so.

// It takes the place of functions of C, and calls them.
#![allow(unsafe_code)]

use std::env;
use std::ffi::c_int;
use std::ffi::c_void;
use std::fs;
use std::fs::OpenOptions;
use std::io::Write;
use std::mem;
use std::process;
use std::sync::Once;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// What the runtime finds in the place of glibc's.
// SAFETY: it has the size of glibc's, which this process does not use from here on.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static __libc_single_threaded: AtomicU8 = AtomicU8::new(0);

/// Threads that have begun and have not returned.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
static BEGUN: AtomicUsize = AtomicUsize::new(0);
static BEGUN_ALONE: AtomicUsize = AtomicUsize::new(0);
/// The process whose threads are counted: not a child that was forked, which has the counts too.
static COUNTED: AtomicU32 = AtomicU32::new(0);

/// The first argument of [`begin`]: what the thread does, and whether `main` has made it.
type Start = (Body, *mut c_void, bool);
type Body = extern "C" fn(*mut c_void) -> *mut c_void;
type Create = unsafe extern "C" fn(
    *mut libc::pthread_t,
    *const libc::pthread_attr_t,
    Body,
    *mut c_void,
) -> c_int;

/// Makes a thread, as the function of this name does that is behind this one.
///
/// # Safety
///
/// As pthread_create(3).
// SAFETY: it does what the function of C does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    body: Body,
    argument: *mut c_void,
) -> c_int {
    static AT_EXIT: Once = Once::new();

    AT_EXIT.call_once(|| {
        COUNTED.store(process::id(), Ordering::SeqCst);
        // SAFETY: the function lives as long as the program.
        unsafe { libc::atexit(say) };
    });
    __libc_single_threaded.store(0, Ordering::SeqCst);
    // SAFETY: the name ends with a zero.
    let real = unsafe { libc::dlsym(libc::RTLD_NEXT, c"pthread_create".as_ptr()) };
    assert!(!real.is_null(), "there is a pthread_create(3)");
    // SAFETY: glibc's has this type.
    let real: Create = unsafe { mem::transmute(real) };
    RUNNING.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the call has no preconditions.
    let thread_id = unsafe { libc::gettid() };
    let is_of_main = thread_id.unsigned_abs() == process::id();
    let start: *mut Start = Box::into_raw(Box::new((body, argument, is_of_main)));
    // SAFETY: the caller vouches for the rest; the box is for `begin`.
    let result = unsafe { real(thread, attributes, begin, start.cast()) };
    if result != 0 {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
        // SAFETY: no thread has it.
        drop(unsafe { Box::from_raw(start) });
    }
    result
}

/// The first function of each thread.
extern "C" fn begin(start: *mut c_void) -> *mut c_void {
    // SAFETY: it is the box that was made for this thread.
    let (body, argument, is_of_main) = *unsafe { Box::from_raw(start.cast::<Start>()) };
    BEGUN.fetch_add(1, Ordering::SeqCst);
    // Not one that a test has left behind: the next test may have begun.
    if is_of_main && is_alone() {
        BEGUN_ALONE.fetch_add(1, Ordering::SeqCst);
        __libc_single_threaded.store(1, Ordering::SeqCst);
    }
    let result = body(argument);
    // Its thread-locals end in company of the harness, which goes on.
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    result
}

/// Whether there are this thread and that of `main` only. One that has returned is given a moment
/// to end.
fn is_alone() -> bool {
    let threads = || fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let is_gone = || {
        thread::sleep(Duration::from_millis(1));
        threads() == 2
    };
    RUNNING.load(Ordering::SeqCst) == 1 && (threads() == 2 || (0..100).any(|_| is_gone()))
}

/// Adds a line to the file that is named by the environment.
extern "C" fn say() {
    let [begun, alone] = [&BEGUN, &BEGUN_ALONE].map(|count| count.load(Ordering::SeqCst));
    if COUNTED.load(Ordering::SeqCst) != process::id() {
        return;
    }
    let Some(path) = env::var_os("COROVENT_TEST_ALONE") else { return };
    let file = OpenOptions::new().append(true).create(true).open(path);
    // A child that may not write is not counted.
    let _ = file.and_then(|mut file| file.write_all(format!("{alone} of {begun}\n").as_bytes()));
}
