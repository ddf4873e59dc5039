//! Other threads of this process: what they do, how long they have run, and signals for them.

// Signals to threads and their clocks have no wrapper in std.
#![allow(unsafe_code)]

use std::fs;
use std::mem;
use std::ptr;

use crate::sys::atomic::AtomicUsize;
use crate::sys::check;

/// The kernel's number of the calling thread.
pub(crate) fn current_id() -> i32 {
    // SAFETY: the call has no preconditions.
    unsafe { libc::gettid() }
}

/// Whether the calling thread may run on one processor only, so that nobody it waits for runs
/// beside it.
pub(crate) fn has_one_processor() -> bool {
    let mut mask = [0u64; 16];
    // SAFETY: the mask is writable for as many bytes as is said. With more processors than it has
    // bits the call fails.
    let known =
        unsafe { libc::sched_getaffinity(0, size_of_val(&mask), mask.as_mut_ptr().cast()) } == 0;
    known && mask.iter().map(|word| word.count_ones()).sum::<u32>() == 1
}

/// Whether a thread runs or could, sleeps, …: the letter of proc(5). `None` if it has ended.
pub(crate) fn state(thread: i32) -> Option<u8> {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
    // The name before it may contain anything.
    let rest = &stat[stat.rfind(')')? + 1..];
    rest.trim_start().bytes().next()
}

/// The name of a thread; empty if it has ended.
pub(crate) fn name(thread: i32) -> String {
    let name = fs::read_to_string(format!("/proc/self/task/{thread}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// The system call that a thread sleeps in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SystemCall {
    pub(crate) number: i64,
    /// Its first argument, which often is a descriptor.
    pub(crate) first: i32,
    /// Where the thread's stack ends.
    pub(crate) stack: usize,
}

/// The system call that a thread sleeps in; `None` if it does not, or the kernel does not say.
pub(crate) fn call_of(thread: i32) -> Option<SystemCall> {
    parse_call(&fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).ok()?)
}

fn parse_call(line: &str) -> Option<SystemCall> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = words.first()?.parse().ok().filter(|number| *number >= 0)?;
    let hex = |at: usize| u64::from_str_radix(words.get(at)?.trim_start_matches("0x"), 16).ok();
    Some(SystemCall { number, first: hex(1)? as i32, stack: hex(7)? as usize })
}

/// The processor time that a thread of this process has used; `None` if it has ended.
pub(crate) fn processor_ns(thread: i32) -> Option<u64> {
    // The kernel's encoding of the clock of one thread: see MAKE_THREAD_CPUCLOCK.
    let clock = (!thread << 3) | 0b110;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; a wrong clock makes the call fail only.
    check(unsafe { libc::clock_gettime(clock, &raw mut time) }).ok()?;
    Some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Sends a signal with a value to one thread of this process.
pub(crate) fn send(thread: i32, signal: i32, value: *const ()) -> bool {
    /// siginfo_t as the kernel lays it out for a signal with a value.
    #[repr(C)]
    struct Queued {
        signo: libc::c_int,
        errno: libc::c_int,
        code: libc::c_int,
        _padding: libc::c_int,
        pid: libc::pid_t,
        uid: libc::uid_t,
        value: *const (),
    }

    // SAFETY: siginfo_t is plain data for which all zeros is valid.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    let pid = std::process::id() as libc::pid_t;
    // SAFETY: the call has no preconditions.
    let uid = unsafe { libc::getuid() };
    let code = libc::SI_QUEUE;
    let queued = Queued { signo: signal, errno: 0, code, _padding: 0, pid, uid, value };
    const { assert!(size_of::<Queued>() <= size_of::<libc::siginfo_t>()) };
    // SAFETY: the record is larger than what is written, and aligned as strictly.
    unsafe { (&raw mut info).cast::<Queued>().write(queued) };
    // SAFETY: the record is valid; a thread that is gone makes the call fail only.
    let sent =
        unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, thread, signal, &raw const info) };
    sent == 0
}

/// Whether a signal was sent by this process with that value; async-signal-safe.
///
/// # Safety
///
/// `info` must be what the kernel passed to a handler.
pub(crate) unsafe fn was_sent_with(info: *const libc::siginfo_t, value: *const ()) -> bool {
    // SAFETY: the caller vouches that the record is the kernel's.
    let info = unsafe { &*info };
    if info.si_code != libc::SI_QUEUE {
        return false;
    }
    // SAFETY: a signal of that code has both fields.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let got = unsafe { info.si_value() };
    // SAFETY: the call has no preconditions.
    let own = unsafe { libc::getpid() };
    pid == own && ptr::eq(got.sival_ptr.cast(), value)
}

/// Calls a closure in which no signal is handled on this thread, nor by the threads it starts.
pub(crate) fn without_signals<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: a set of signals is plain data.
    let mut all: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut before: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: the set is valid to write to.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: both sets are valid.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
    let result = f();
    // SAFETY: the set is the one from before.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
    result
}

/// Whether a socket's calls end by themselves after a time; not so for other descriptors.
pub(crate) fn has_timeout(fd: i32) -> bool {
    [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO].into_iter().any(|option| {
        let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
        let mut len = size_of::<libc::timeval>() as libc::socklen_t;
        let time_ptr = (&raw mut time).cast();
        // SAFETY: the option is written to `time`, which has `len` bytes.
        let got = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, time_ptr, &raw mut len) };
        got == 0 && (time.tv_sec, time.tv_usec) != (0, 0)
    })
}

/// Reads words of this process's memory, whatever is there: gives how many could be read.
/// Async-signal-safe.
pub(crate) fn read_words(address: usize, words: &[AtomicUsize]) -> usize {
    // SAFETY: the call has no preconditions.
    let pid = unsafe { libc::getpid() };
    let (mut read, bytes) = (0, size_of_val(words));
    while read < bytes {
        // Of each call the kernel reads all or nothing: it does not end in the middle of a page.
        let from = address.wrapping_add(read);
        let len = (PIECE_BYTES - from % PIECE_BYTES).min(bytes - read);
        let to = words.as_ptr().wrapping_byte_add(read).cast_mut().cast();
        let local = libc::iovec { iov_base: to, iov_len: len };
        let from = ptr::with_exposed_provenance_mut(from);
        let remote = libc::iovec { iov_base: from, iov_len: len };
        let (local, remote) = (&raw const local, &raw const remote);
        // SAFETY: the words are writable, and the kernel checks what it reads.
        if unsafe { libc::process_vm_readv(pid, local, 1, remote, 1, 0) } != len as isize {
            break;
        }
        read += len;
    }
    read / size_of::<usize>()
}

/// No page is smaller.
const PIECE_BYTES: usize = 4096;

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::sys::atomic::Ordering;
    use crate::sys::memory::Mapping;
    use crate::sys::memory::page_bytes;

    #[test]
    fn a_thread_is_told_that_it_has_one_processor() {
        let only_the_first = || {
            let mut mask = [0u64; 16];
            let bytes = size_of_val(&mask);
            // SAFETY: the mask is writable for as many bytes as is said.
            unsafe { libc::sched_getaffinity(0, bytes, mask.as_mut_ptr().cast()) };
            let first = mask.iter_mut().find(|word| **word != 0).unwrap();
            *first &= first.wrapping_neg();
            let rest = mask.iter_mut().skip_while(|word| **word == 0).skip(1);
            rest.for_each(|word| *word = 0);
            // SAFETY: the mask is readable for as many bytes as is said.
            assert_eq!(unsafe { libc::sched_setaffinity(0, bytes, mask.as_ptr().cast()) }, 0);
            has_one_processor()
        };
        assert!(std::thread::spawn(only_the_first).join().unwrap());
        // A quota makes it fewer than there are in the mask.
        let processors = std::thread::available_parallelism().unwrap().get();
        assert!(processors == 1 || !has_one_processor());
    }

    #[test]
    fn a_call_is_read_with_its_first_argument() {
        let line = "0 0x5 0x7ffc 0x1 0x0 0x0 0x0 0x7ffc10 0x7f0000\n";
        assert_eq!(parse_call(line), Some(SystemCall { number: 0, first: 5, stack: 0x7ffc10 }));
        assert_eq!(parse_call("running\n"), None);
        assert_eq!(parse_call("-1 0x7ffc10 0x7f0000\n"), None);
        assert_eq!(parse_call(""), None);
    }

    #[test]
    fn a_thread_that_runs_is_seen_to() {
        let id = current_id();
        assert_eq!(state(id), Some(b'R'));
        let before = processor_ns(id).unwrap();
        while processor_ns(id).unwrap() == before {}
        assert!(!name(id).is_empty());
        assert_eq!(state(i32::MAX), None);
    }

    #[test]
    fn memory_is_read_without_a_fault() {
        let words = [1_usize, 2, 3];
        let read = [const { AtomicUsize::new(0) }; 3];
        assert_eq!(read_words(words.as_ptr().expose_provenance(), &read), 3);
        assert_eq!(read.each_ref().map(|word| word.load(Ordering::Relaxed)), words);
        assert_eq!(read_words(16, &read), 0);
        // As far as there is something.
        let page = page_bytes();
        let mapping = Mapping::for_stacks(4 * page).unwrap();
        // SAFETY: nothing lives there.
        unsafe { mapping.protect(3 * page, page) }.unwrap();
        let all: Vec<_> = (0..page).map(|_| AtomicUsize::new(1)).collect();
        let most = (2 * page - 8) / size_of::<usize>();
        assert_eq!(read_words(mapping.start() + page + 8, &all), most);
        let zeros = all.iter().filter(|word| word.load(Ordering::Relaxed) == 0);
        assert_eq!(zeros.count(), most);
    }
}
