//! What tests share: a run that may not hang and leaves nothing behind, and child processes.

use std::cell::RefCell;
use std::env;
use std::fmt::Debug;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::Once;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use corovent::JoinHandle;
use corovent::Killed;
use corovent::debug;
use corovent::net::TcpStream;

/// A test that takes longer hangs. Where a tool makes all things slow, `COROVENT_PATIENCE` says how
/// many seconds that is.
fn patience() -> Duration {
    let seconds = env::var("COROVENT_PATIENCE").map(|text| text.parse().unwrap());
    Duration::from_secs(seconds.unwrap_or(120))
}

/// Runs a test's body on the thread's own stack. If it hangs, the tables of all coroutines
/// are printed and the process is aborted; when it is over, nothing of the hub may be left.
#[track_caller]
pub(crate) fn run<T>(body: impl FnOnce() -> T) -> T {
    let _watch = Watch::start();
    let value = body();
    assert_clean();
    value
}

/// Checks that the thread's hub has no coroutine, timer, registration or waiter left.
#[track_caller]
pub(crate) fn assert_clean() {
    assert_eq!(debug::counters(), debug::Counters::default(), "left behind:\n{}", debug::dump());
}

/// Lets the others of this hub run until so many of them wait, whoever has its turn first.
pub(crate) fn until_waiting(count: usize) {
    let waiting = || debug::dump().tasks().filter(|task| task.state() == "blocked").count();
    while waiting() < count {
        corovent::yield_now();
    }
}

/// Lets the others of this hub run until none of them could, whoever has its turn first.
#[allow(dead_code)]
pub(crate) fn until_quiet() {
    let is_busy = || debug::dump().tasks().any(|task| task.state() == "ready");
    corovent::yield_now();
    while is_busy() {
        corovent::yield_now();
    }
}

/// Checks what came in which order, where that is first in, first out: with a seed, which draws
/// instead, only that all came.
#[allow(dead_code)]
#[track_caller]
pub(crate) fn assert_fifo<T: Clone + Debug + Ord>(found: &[T], expected: &[T]) {
    let (mut found, mut expected) = (found.to_vec(), expected.to_vec());
    if env::var_os("COROVENT_SEED").is_some() {
        found.sort_unstable();
        expected.sort_unstable();
    }
    assert_eq!(found, expected);
}

/// The bodies that are running, each with the time by which it is late.
static WATCHED: Mutex<Vec<(thread::ThreadId, String, Instant)>> = Mutex::new(Vec::new());

struct Watch;

impl Watch {
    fn start() -> Watch {
        static WATCHDOG: Once = Once::new();

        // Where a test is to be the only thread, whoever runs it sees to the time.
        WATCHDOG.call_once(|| {
            if env::var_os("COROVENT_TEST_ALONE").is_none() {
                thread::spawn(watch);
            }
        });
        let name = thread::current().name().unwrap_or("main").to_owned();
        WATCHED.lock().unwrap().push((thread::current().id(), name, Instant::now() + patience()));
        Watch
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let own = thread::current().id();
        WATCHED.lock().unwrap_or_else(|error| error.into_inner()).retain(|(id, ..)| *id != own);
    }
}

fn watch() {
    loop {
        thread::sleep(Duration::from_secs(1));
        let late = |(_, name, limit): &(thread::ThreadId, String, Instant)| {
            (Instant::now() > *limit).then(|| name.clone())
        };
        let late: Vec<String> = WATCHED.lock().unwrap().iter().filter_map(late).collect();
        if !late.is_empty() {
            eprintln!("these tests hang: {late:?}");
            debug::print_all();
            thread::sleep(Duration::from_secs(2));
            std::process::abort();
        }
    }
}

/// A log that coroutines write words to.
#[derive(Clone, Default)]
pub(crate) struct Log {
    words: Rc<RefCell<Vec<String>>>,
}

impl Log {
    pub(crate) fn new() -> Log {
        Log::default()
    }

    pub(crate) fn add(&self, word: impl Into<String>) {
        self.words.borrow_mut().push(word.into());
    }

    pub(crate) fn words(&self) -> std::cell::RefMut<'_, Vec<String>> {
        self.words.borrow_mut()
    }

    /// As [`assert_fifo`]; the words are separated by spaces.
    #[allow(dead_code)]
    #[track_caller]
    pub(crate) fn assert_fifo(&self, expected: &str) {
        let expected: Vec<String> = expected.split_whitespace().map(str::to_owned).collect();
        assert_fifo(&self.words(), &expected);
    }

    pub(crate) fn text(&self) -> String {
        self.words.borrow().join(" ")
    }

    /// Adds a word when it is dropped.
    pub(crate) fn on_drop(&self, word: &str) -> OnDrop<impl FnOnce() + use<>> {
        let log = self.clone();
        let word = word.to_owned();
        on_drop(move || log.add(word))
    }
}

/// Calls a closure when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

pub(crate) fn on_drop<F: FnOnce()>(f: F) -> OnDrop<F> {
    OnDrop(Some(f))
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// Whether a payload is the text of a panic.
pub(crate) fn is_message(payload: &(dyn std::any::Any + Send), text: &str) -> bool {
    payload.downcast_ref::<&str>().is_some_and(|message| *message == text)
        || payload.downcast_ref::<String>().is_some_and(|message| message == text)
}

/// Joins a coroutine, and tells whether a kill has ended it.
pub(crate) fn was_killed<T>(task: JoinHandle<T>) -> bool {
    task.join().is_err_and(|payload| payload.is::<Killed>())
}

/// Runs an ignored test of this binary in a process of its own: for what aborts, exits or
/// changes what all threads share.
pub(crate) fn child(test: &str) -> Output {
    child_with(test, &[])
}

/// The same with environment variables.
pub(crate) fn child_with(test: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = child_command(test);
    command.envs(variables.iter().copied()).output().unwrap()
}

/// The command of [`child`]. One that hangs is ended by SIGALRM.
pub(crate) fn child_command(test: &str) -> Command {
    child_of(Command::new(env::current_exe().unwrap()), test)
}

/// The same with a command that ends with the path of this binary, such as strace's.
pub(crate) fn child_of(mut command: Command, test: &str) -> Command {
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env_remove("RUST_BACKTRACE");
    // The alarm is set after the fork, and execve(2) keeps it.
    let seconds = patience().as_secs() as libc::c_uint;
    let limit = move || {
        // SAFETY: alarm(2) has no preconditions.
        unsafe { libc::alarm(seconds) };
        Ok(())
    };
    // SAFETY: alarm(2) is async-signal-safe.
    unsafe { command.pre_exec(limit) };
    command
}

/// Checks that an ignored test passes in a process of its own; gives what it said on stderr.
#[track_caller]
pub(crate) fn passes(test: &str) -> String {
    has_passed(test, &child(test))
}

/// Checks that the one test of a process has passed; gives what it said on stderr.
#[track_caller]
pub(crate) fn has_passed(test: &str, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{test}: {:?}\n{text}", output.status);
    // A name that is misspelt runs nothing.
    let summary = String::from_utf8_lossy(&output.stdout);
    assert!(summary.contains("1 passed"), "{test}: {summary}");
    text
}

/// Where a program is that a test cannot do without. If it is `None`, which was said, the test
/// is over.
// Only some of the binaries that share this file have such tests.
#[allow(dead_code)]
#[track_caller]
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|place| place.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// Says why the test that calls it is skipped. Where `COROVENT_TOOLS` is `required`, as in
/// `.ci/run`, that is a failure: a test that is never run proves nothing.
#[allow(dead_code)]
#[track_caller]
pub(crate) fn skip(why: &str) {
    let required = env::var_os("COROVENT_TOOLS").is_some_and(|value| value == "required");
    assert!(!required, "{why}, and COROVENT_TOOLS requires it; .ci/install installs the tools");
    let name = thread::current().name().unwrap_or("a test").to_owned();
    // Past the capture of the test's output: whoever runs the tests is to know.
    let _ = writeln!(std::io::stderr(), "{name} is SKIPPED: {why}");
}

/// Writes until there is no more room, and gives how much. There will be none until the reader has
/// taken nearly all: what is still on its way is acknowledged later, which frees the sender's
/// memory, but by then that has to suffice with less.
// Only some of the binaries that share this file fill sockets.
#[allow(dead_code)]
pub(crate) fn fill(stream: &TcpStream) -> usize {
    // More than the peer's kernel takes by itself.
    set_send_buffer(stream, 1 << 18);
    let mut total = 0;
    stream.set_nonblocking(true).unwrap();
    for size in [1 << 16, 1] {
        while let Ok(count) = (&*stream).write(&vec![0; size]) {
            total += count;
        }
    }
    stream.set_nonblocking(false).unwrap();
    set_send_buffer(stream, 0);
    total
}

/// Asks for so much memory to send from; the kernel has a least and a most.
#[allow(dead_code)]
pub(crate) fn set_send_buffer(stream: &TcpStream, size: libc::c_int) {
    let len = size_of_val(&size) as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_SNDBUF);
    let value = (&raw const size).cast();
    // SAFETY: the value is an int, and read during the call only.
    let result = unsafe { libc::setsockopt(stream.as_raw_fd(), level, option, value, len) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Whether poll(2) says that there is room to write.
#[allow(dead_code)]
pub(crate) fn is_writable(fd: &impl AsRawFd) -> bool {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: `entry` is one pollfd.
    unsafe { libc::poll(&raw mut entry, 1, 0) == 1 && entry.revents & libc::POLLOUT != 0 }
}

/// The number of descriptors that this process has open.
pub(crate) fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The bytes of memory that this process has in use, without those of its files: of the program
/// itself, parts come and go as they are run.
pub(crate) fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: Vec<usize> = statm.split(' ').take(3).map(|field| field.parse().unwrap()).collect();
    (pages[1] - pages[2]) * 4096
}

/// The number of mappings of this process.
pub(crate) fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

/// Makes a signal interrupt this process every now and then, for good.
pub(crate) fn storm_of_signals() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: all zeros is a valid action; without SA_RESTART calls are interrupted.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    let none = std::ptr::null_mut();
    // SAFETY: the handler does nothing.
    assert_eq!(unsafe { libc::sigaction(libc::SIGALRM, &raw const action, none) }, 0);
    let every = libc::timeval { tv_sec: 0, tv_usec: 200 };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    let none = std::ptr::null_mut();
    // SAFETY: `timer` is valid for the call.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, none) }, 0);
}

/// A system call that this process is to be refused: its number, which of the 32-bit words of
/// what the kernel shows of a call is looked at, the bits of which one must be set there, and
/// the error. Zero ends the process by SIGSYS instead.
pub(crate) struct Refused(pub(crate) i64, pub(crate) u32, pub(crate) u32, pub(crate) i32);

impl Refused {
    /// The word with the number of the call.
    pub(crate) const NUMBER: u32 = 0;
    /// The low word of the third argument.
    pub(crate) const THIRD: u32 = 16 + 2 * 8;
    /// The low word of the sixth argument.
    pub(crate) const SIXTH: u32 = 16 + 5 * 8;
}

/// Refuses system calls to this thread, and those that it starts, for good: as an older kernel
/// would.
pub(crate) fn refuse_calls(calls: &[Refused]) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const IF_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = Vec::new();
    for Refused(number, word, bits, error) in calls {
        let errno = libc::SECCOMP_RET_ERRNO | *error as u32;
        program.extend([
            step(LOAD, 0, 0, Refused::NUMBER),
            step(IF_EQUAL, 0, 3, *number as u32),
            step(LOAD, 0, 0, *word),
            step(IF_SET, 0, 1, *bits),
            step(RETURN, 0, 0, if *error == 0 { libc::SECCOMP_RET_TRAP } else { errno }),
        ]);
    }
    program.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the call takes numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the filter is a valid program of that length.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) }, 0);
}
