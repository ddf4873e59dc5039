//! fork(3) while coroutines live: in the child only the caller and the root are left, with a
//! hub of their own, and the parent notices nothing.

use std::cell::Cell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::process::Command;
use std::rc::Rc;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc as std_mpsc;
use std::thread as os;
use std::time::Duration;

use corovent::Abandoned;
use corovent::JoinHandle;
use corovent::debug;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::os::unix::net::UnixStream;
use corovent::scope;
use corovent::signal;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::Mutex;
use corovent::sync::mpsc;
use corovent::thread::park;
use corovent::threadpool::ThreadPool;
use corovent::threadpool::blocking;
use corovent::timeout;
use corovent::yield_now;

use crate::support::on_drop;
use crate::support::open_fds;
use crate::support::passes;
use crate::support::until_waiting;

/// Forks; true in the child, which ends with this process and may not hang.
fn fork() -> Option<libc::pid_t> {
    // SAFETY: the child uses nothing that other threads had a hand in.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", io::Error::last_os_error()),
        0 => {
            // SAFETY: alarm(2) has no preconditions.
            unsafe { libc::alarm(60) };
            None
        }
        pid => Some(pid),
    }
}

/// Ends the child at once.
fn leave(status: i32) -> ! {
    // SAFETY: nothing of the process is used any more.
    unsafe { libc::_exit(status) }
}

/// Runs a closure in a child, where it must not panic; gives the child's number to the parent.
fn in_child(f: impl FnOnce()) -> libc::pid_t {
    if let Some(pid) = fork() {
        return pid;
    }
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    leave(if result.is_ok() { 0 } else { 101 });
}

/// Waits for a child and gives its exit status.
#[track_caller]
fn status_of(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is valid for the call.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status), "the child has died: {status:#x}");
    libc::WEXITSTATUS(status)
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = [0; 700];
    loop {
        let n = stream.read(&mut buf)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..n])?;
    }
}

/// Starts an echo server; gives its address.
fn start_server() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    spawn(move || {
        loop {
            let (stream, _) = listener.accept()?;
            spawn(move || echo(stream));
        }
        #[expect(unreachable_code, reason = "it says what the closure gives")]
        io::Result::Ok(())
    });
    addr
}

/// Sends and receives a message of a client's own; every byte must come back.
fn round(stream: &mut TcpStream, client: usize, round: usize) {
    let len = 1 + (client * 131 + round * 977) % 3000;
    let message: Vec<u8> = (0..len).map(|n| (n * 7 + client + round) as u8).collect();
    let mut answer = vec![0; len];
    stream.write_all(&message).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert!(answer == message, "client {client}, round {round}");
}

/// Runs clients that each do so many rounds.
fn talk(addr: std::net::SocketAddr, clients: usize, rounds: usize) {
    let clients: Vec<_> = (0..clients)
        .map(|client| {
            spawn(move || {
                let mut stream = TcpStream::connect(addr).unwrap();
                (0..rounds).for_each(|n| round(&mut stream, client, n));
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
}

/// A hundred connections are served in the parent while the child runs a server and clients of
/// its own; the fork is called by a coroutine in the middle of all that.
#[test]
fn parent_and_child_serve_side_by_side() {
    passes("forks::child_parent_and_child_serve_side_by_side");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_parent_and_child_serve_side_by_side() {
    const CLIENTS: usize = 100;
    static ROUNDS: AtomicUsize = AtomicUsize::new(0);

    let addr = start_server();
    let is_over = Rc::new(Cell::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let is_over = Rc::clone(&is_over);
            spawn(move || {
                let mut stream = TcpStream::connect(addr).unwrap();
                let mut n = 0;
                while n < 20 || !is_over.get() {
                    round(&mut stream, client, n);
                    ROUNDS.fetch_add(1, Ordering::Relaxed);
                    n += 1;
                }
            })
        })
        .collect();
    let forker = spawn(move || {
        while ROUNDS.load(Ordering::Relaxed) < 5 * CLIENTS {
            yield_now();
        }
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let pid = in_child(|| {
            let rounds = ROUNDS.load(Ordering::Relaxed);
            talk(start_server(), 30, 30);
            sleep(Duration::from_millis(1));
            assert_eq!(ROUNDS.load(Ordering::Relaxed), rounds, "only the caller is left");
            there.write_all(b"done").unwrap();
        });
        drop(there);
        let mut text = String::new();
        here.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), status_of(pid)), ("done", 0));
    });
    forker.join().unwrap();
    is_over.set(true);
    clients.into_iter().for_each(|client| client.join().unwrap());
}

/// Two hundred idle connections, each with a reader that waits: none of them is told anything by
/// the child's end, and all of them are served after it.
#[test]
fn idle_connections_of_the_parent_stay_registered() {
    passes("forks::child_idle_connections_of_the_parent_stay_registered");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_idle_connections_of_the_parent_stay_registered() {
    let (mut ends, readers): (Vec<_>, Vec<_>) = (0..200)
        .map(|_| {
            let (mut reader, end) = UnixStream::pair().unwrap();
            let reader = spawn(move || {
                let mut text = String::new();
                reader.read_to_string(&mut text).map(|_| text)
            });
            (end, reader)
        })
        .unzip();
    until_waiting(200);
    let fds = open_fds();
    for _ in 0..5 {
        let pid = in_child(|| {
            assert_eq!(open_fds(), fds, "the child's hub took the places of the parent's");
            yield_now();
            assert_eq!(debug::counters().coroutines, 0);
            // The child closes its copies of everything.
            ends.clear();
            talk(start_server(), 3, 3);
        });
        assert_eq!(status_of(pid), 0);
    }
    for (n, end) in ends.iter_mut().enumerate() {
        write!(end, "line {n}").unwrap();
    }
    drop(ends);
    for (n, reader) in readers.into_iter().enumerate() {
        assert_eq!(reader.join().unwrap().unwrap(), format!("line {n}"));
    }
}

/// What the root forks off has no coroutine, timer or registration; joiners are told, locks and
/// channels of the coroutines that are gone go on to work, and no destructor of theirs runs.
#[test]
fn the_child_of_a_root_has_the_root_alone() {
    passes("forks::child_the_child_of_a_root_has_the_root_alone");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_the_child_of_a_root_has_the_root_alone() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    let count = || on_drop(|| _ = DROPPED.fetch_add(1, Ordering::Relaxed));

    let (sender, receiver) = mpsc::channel::<u32>();
    let mutex = Rc::new(Mutex::new(0));
    let guard = mutex.lock().unwrap();
    let mut parked = Some(spawn(move || {
        let _count = count();
        park();
        1
    }));
    let mut sleeping = Some(spawn(move || {
        let _count = count();
        sleep(Duration::from_secs(1000));
    }));
    let locking = spawn({
        let mutex = Rc::clone(&mutex);
        move || {
            let _count = count();
            *mutex.lock().unwrap() += 1;
        }
    });
    let receiving = spawn(move || {
        let _count = count();
        receiver.recv()
    });
    until_waiting(4);
    let captured = count();
    let new = spawn(move || drop(captured));
    let pid = in_child(|| {
        drop(guard);
        // Those who are gone do not take the lock, and nobody waits for it in vain.
        drop(mutex.lock().unwrap());
        sender.send(1).unwrap();
        for end in [sleeping.take().unwrap().join(), locking.join(), new.join()] {
            assert!(end.unwrap_err().is::<Abandoned>());
        }
        let parked = parked.take().unwrap();
        assert!(!parked.kill());
        assert!(parked.is_finished());
        assert!(parked.join().unwrap_err().is::<Abandoned>());
        assert!(receiving.join().unwrap_err().is::<Abandoned>());
        assert_eq!(*mutex.lock().unwrap(), 0);
        assert_eq!(debug::counters(), debug::Counters::default());
        assert_eq!(debug::dump().tasks().count(), 1);
        // All that the hub does works as ever.
        assert_eq!(spawn(|| spawn(|| 6).join().unwrap() * 7).join().unwrap(), 42);
        assert!(timeout(Duration::from_millis(1), park).is_err());
        talk(start_server(), 5, 5);
        assert_eq!(DROPPED.load(Ordering::Relaxed), 0);
    });
    assert_eq!(status_of(pid), 0);
    // The parent is as it was.
    assert_eq!(DROPPED.load(Ordering::Relaxed), 0);
    let parked = parked.unwrap();
    parked.thread().unpark();
    assert_eq!(parked.join().unwrap(), 1);
    sleeping.unwrap().kill();
    sender.send(5).unwrap();
}

/// A coroutine that forks returns twice, and so does the root that joins it.
#[test]
fn a_coroutine_that_forks_ends_in_both_processes() {
    passes("forks::child_a_coroutine_that_forks_ends_in_both_processes");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_a_coroutine_that_forks_ends_in_both_processes() {
    let other = spawn(park);
    let forker = spawn(|| {
        let pid = fork();
        yield_now();
        let sibling = spawn(|| 5);
        sleep(Duration::from_millis(1));
        (pid, sibling.join().unwrap())
    });
    let (pid, five) = forker.join().unwrap();
    assert_eq!(five, 5);
    let Some(pid) = pid else {
        // The root goes on in the child.
        assert!(other.join().unwrap_err().is::<Abandoned>());
        assert_eq!(spawn(|| 7).join().unwrap(), 7);
        leave(17);
    };
    assert_eq!(status_of(pid), 17);
    other.thread().unpark();
    other.join().unwrap();
}

/// What the root waited for when a coroutine forked: the end of another, which never comes, is
/// told; a deadline, a byte, a lock of the caller and a scope end its wait as ever.
#[test]
fn the_wait_of_the_root_goes_on_in_the_child() {
    passes("forks::child_the_wait_of_the_root_goes_on_in_the_child");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_the_wait_of_the_root_goes_on_in_the_child() {
    /// Spawns a coroutine that forks while the root is in `wait`; `after` runs then, in both
    /// processes. The root must come back in both.
    fn check(after: impl FnOnce() + 'static, wait: impl FnOnce()) {
        let forker: JoinHandle<Option<libc::pid_t>> = spawn(move || {
            let pid = fork();
            after();
            pid
        });
        wait();
        match forker.join().unwrap() {
            None => leave(3),
            Some(pid) => assert_eq!(status_of(pid), 3),
        }
    }
    check(|| (), || sleep(Duration::from_millis(2)));
    check(|| (), || assert!(timeout(Duration::from_millis(2), park).is_err()));
    let own = corovent::thread::current();
    check(move || own.unpark(), park);

    // Each process writes a byte into the same socket, and reads one.
    let (mut reader, mut writer) = UnixStream::pair().unwrap();
    let mut byte = [0];
    check(move || writer.write_all(b"c").unwrap(), || reader.read_exact(&mut byte).unwrap());
    assert_eq!(byte, *b"c");

    // A lock that the caller has.
    let mutex = Rc::new(Mutex::new(()));
    let taken = Rc::clone(&mutex);
    let (sender, receiver) = mpsc::channel();
    let forker = spawn(move || {
        let guard = taken.lock().unwrap();
        sender.send(()).unwrap();
        yield_now();
        let pid = fork();
        drop(guard);
        pid
    });
    receiver.recv().unwrap();
    drop(mutex.lock().unwrap());
    match forker.join().unwrap() {
        None => leave(3),
        Some(pid) => assert_eq!(status_of(pid), 3),
    }

    // A scope: those of it that are gone are not waited for.
    let mut forked = None;
    scope(|scope| {
        let parked: Vec<_> = (0..3).map(|_| scope.spawn(park)).collect();
        forked = scope.spawn(fork).join().unwrap();
        if forked.is_some() {
            yield_now();
            parked.iter().for_each(|parked| parked.thread().unpark());
        }
    });
    match forked {
        None => leave(3),
        Some(pid) => assert_eq!(status_of(pid), 3),
    }
}

#[test]
fn the_wait_of_the_root_for_a_foreign_file_goes_on_in_the_child() {
    passes("forks::child_the_wait_of_the_root_for_a_foreign_file_goes_on_in_the_child");
}

/// The number is another file's by the time of the fork.
#[test]
#[ignore = "runs in a process of its own"]
fn child_the_wait_of_the_root_for_a_foreign_file_goes_on_in_the_child() {
    let (own, mut peer) = StdUnixStream::pair().unwrap();
    let (other, _other_peer) = StdUnixStream::pair().unwrap();
    let number = own.as_raw_fd();
    let forker = spawn(move || {
        // SAFETY: the number is owned by what is not read any more.
        assert_eq!(unsafe { libc::dup2(other.as_raw_fd(), number) }, number);
        let pid = fork();
        peer.write_all(b"f").unwrap();
        pid
    });
    corovent::io::wait_readable(&own, None).unwrap();
    match forker.join().unwrap() {
        None => leave(3),
        Some(pid) => assert_eq!(status_of(pid), 3),
    }
}

/// Threads without a hub, and hubs of other threads: those are gone in the child, and their
/// epoll instances are not touched.
#[test]
fn the_hubs_of_other_threads_are_gone() {
    passes("forks::child_the_hubs_of_other_threads_are_gone");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_the_hubs_of_other_threads_are_gone() {
    let (sender, receiver) = std_mpsc::channel();
    let (mut end, other_end) = StdUnixStream::pair().unwrap();
    let other = os::spawn(move || {
        let mut reader = UnixStream::from(other_end);
        let shared = std::sync::Arc::new(reader.try_clone().unwrap());
        let remote = corovent::remote();
        let parked: JoinHandle<i32> = spawn(|| {
            park();
            1
        });
        let waiting = spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        until_waiting(2);
        sender.send((parked, remote, shared)).unwrap();
        waiting.join().unwrap().unwrap()
    });
    let (parked, remote, shared) = receiver.recv().unwrap();
    // By a thread without a hub,
    let pid = in_child(|| {
        assert_eq!(remote.spawn(|| ()).unwrap_err().kind(), io::ErrorKind::NotConnected);
        drop(remote.clone());
        talk(start_server(), 3, 3);
    });
    assert_eq!(status_of(pid), 0);
    // and by one with a hub.
    let parked = spawn(move || {
        let mut parked = Some(parked);
        let pid = in_child(|| {
            let parked = parked.take().unwrap();
            // The other hub had registered it: closing it here must not unregister it there.
            drop(shared);
            assert!(!parked.kill());
            assert!(parked.join().unwrap_err().is::<Abandoned>());
            assert!(remote.spawn(|| ()).is_err());
            let second = os::spawn(|| talk(start_server(), 3, 3));
            talk(start_server(), 3, 3);
            second.join().unwrap();
        });
        assert_eq!(status_of(pid), 0);
        parked
    });
    let parked = parked.join().unwrap().unwrap();
    end.write_all(b"still here").unwrap();
    drop(end);
    parked.thread().unpark();
    assert_eq!(other.join().unwrap(), "still here");
}

/// Pools have no threads in the child, and start new ones; lookups in flight are begun anew.
#[test]
fn pools_start_anew_in_the_child() {
    passes("forks::child_pools_start_anew_in_the_child");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_pools_start_anew_in_the_child() {
    let pool = ThreadPool::new(1);
    let (release, gate) = std_mpsc::channel::<()>();
    let gate = StdMutex::new(gate);
    // One job runs, others are in line; the pools for files and names have idle threads.
    let running = pool.submit(move || gate.lock().unwrap().recv().is_err());
    let in_line = pool.submit(|| 2);
    assert_eq!(blocking(|| 1), 1);
    assert!(corovent::net::TcpListener::bind("localhost:0").is_ok());
    let idle = spawn(|| corovent::fs::read("/proc/self/stat").unwrap().len());
    assert!(idle.join().unwrap() > 0);
    for from_a_job in [false, true] {
        let check = |pool: &ThreadPool| {
            pool.join();
            assert_eq!(pool.apply(|| 3), 3);
            assert_eq!(pool.map(0..10, |n| n * n).len(), 10);
            assert_eq!(blocking(|| 1), 1);
            assert!(corovent::net::TcpListener::bind("localhost:0").is_ok());
            assert!(!corovent::fs::read("/proc/self/stat").unwrap().is_empty());
        };
        let pid = if from_a_job {
            // A job that forks: its thread is the process.
            blocking(|| {
                in_child(|| {
                    let pool = ThreadPool::new(2);
                    assert_eq!(pool.apply(|| 3), 3);
                    talk(start_server(), 2, 2);
                })
            })
        } else {
            in_child(|| check(&pool))
        };
        assert_eq!(status_of(pid), 0);
    }
    drop(release);
    assert!(running.join().unwrap());
    assert_eq!(in_line.join().unwrap(), 2);
}

/// A signal to the child is heard there alone.
#[test]
fn signals_are_heard_by_the_process_they_are_sent_to() {
    passes("forks::child_signals_are_heard_by_the_process_they_are_sent_to");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_signals_are_heard_by_the_process_they_are_sent_to() {
    let listener = signal::Signals::new(&[signal::SIGUSR1]).unwrap();
    let heard = spawn(|| signal::wait(&[signal::SIGUSR1]));
    until_waiting(1);
    let raise = || {
        // SAFETY: the signal is handled.
        assert_eq!(unsafe { libc::raise(signal::SIGUSR1) }, 0);
    };
    let pid = in_child(|| {
        raise();
        assert_eq!(listener.wait().unwrap(), signal::SIGUSR1);
        let again = spawn(|| signal::wait(&[signal::SIGUSR2]).unwrap());
        until_waiting(1);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::raise(signal::SIGUSR2) }, 0);
        assert_eq!(again.join().unwrap(), signal::SIGUSR2);
    });
    assert_eq!(status_of(pid), 0);
    (0..3).for_each(|_| yield_now());
    assert!(!heard.is_finished());
    assert_eq!(listener.try_wait(), None);
    raise();
    assert_eq!(heard.join().unwrap().unwrap(), signal::SIGUSR1);
    assert_eq!(listener.wait().unwrap(), signal::SIGUSR1);
}

/// A lock of the standard output whose holder is not in the child does not stop it; and one that
/// the caller holds stays its own.
#[test]
fn the_standard_streams_are_free_in_the_child() {
    let text = passes("forks::child_the_standard_streams_are_free_in_the_child");
    assert!(text.contains("on stderr"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_the_standard_streams_are_free_in_the_child() {
    let holder = spawn(|| {
        let _out = corovent::io::stdout().lock();
        let _err = corovent::io::stderr().lock();
        park();
    });
    let (sender, receiver) = std_mpsc::channel::<()>();
    let (locked, is_locked) = std_mpsc::channel();
    yield_now();
    let pid = in_child(|| {
        corovent::println!("on stdout");
        corovent::eprintln!("on stderr");
    });
    assert_eq!(status_of(pid), 0);
    holder.thread().unpark();
    holder.join().unwrap();
    // Another thread has them.
    let thread = os::spawn(move || {
        let _out = corovent::io::stdout().lock();
        let _err = corovent::io::stderr().lock();
        locked.send(()).unwrap();
        let _ = receiver.recv();
    });
    is_locked.recv().unwrap();
    let pid = in_child(|| {
        corovent::println!("on stdout");
        corovent::eprintln!("on stderr");
    });
    assert_eq!(status_of(pid), 0);
    drop(sender);
    thread.join().unwrap();
    let out = corovent::io::stdout().lock();
    let pid = in_child(|| {
        corovent::println!("on stdout");
        drop(out);
        spawn(|| corovent::println!("on stdout")).join().unwrap();
    });
    assert_eq!(status_of(pid), 0);
}

/// execve(2) and posix_spawn(3) from among coroutines, and a `pre_exec`, which forks.
#[test]
fn programs_are_started_from_among_coroutines() {
    passes("forks::child_programs_are_started_from_among_coroutines");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_programs_are_started_from_among_coroutines() {
    use std::os::unix::process::CommandExt;

    let parked: Vec<_> = (0..1000).map(|_| spawn(park)).collect();
    until_waiting(1000);
    let pid = in_child(|| {
        let error = Command::new("true").exec();
        panic!("{error}");
    });
    assert_eq!(status_of(pid), 0);
    let started = spawn(|| {
        let mut command = corovent::process::Command::new("sh");
        command.args(["-c", "exit 3"]);
        // SAFETY: the closure does nothing.
        unsafe { corovent::os::unix::process::CommandExt::pre_exec(&mut command, || Ok(())) };
        command.status().unwrap().code()
    });
    assert_eq!(started.join().unwrap(), Some(3));
    // In the child of a fork too.
    let pid = in_child(|| {
        let output = corovent::process::Command::new("echo").arg("word").output().unwrap();
        assert_eq!(output.stdout, b"word\n");
    });
    assert_eq!(status_of(pid), 0);
    parked.iter().for_each(|parked| parked.thread().unpark());
    parked.into_iter().for_each(|parked| parked.join().unwrap());
}

/// exit(3) in the child, by the root and by a coroutine: handlers run in each process once, and
/// no destructor of a coroutine in either.
#[test]
fn the_child_exits_like_any_process() {
    let text = passes("forks::child_the_child_exits_like_any_process");
    assert_eq!(text.matches("at exit").count(), 4, "{text}");
    assert!(!text.contains("destructor"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_the_child_exits_like_any_process() {
    extern "C" fn at_exit() {
        let text = b"at exit\n";
        // SAFETY: `text` is readable for its length.
        unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    }
    // SAFETY: the function lives as long as the program.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
    let parked = spawn(|| {
        let _guard = on_drop(|| eprintln!("a destructor has run"));
        park();
    });
    until_waiting(1);
    let by_root = fork();
    if by_root.is_none() {
        std::process::exit(4);
    }
    assert_eq!(by_root.map(status_of), Some(4));
    let by_coroutine = spawn(|| {
        let pid = fork();
        if pid.is_none() {
            yield_now();
            std::process::exit(5);
        }
        pid
    });
    assert_eq!(by_coroutine.join().unwrap().map(status_of), Some(5));
    // A thread that ends in the child ends its hub there.
    let by_thread = os::spawn(|| {
        let parked = spawn(park);
        yield_now();
        drop(parked);
        fork()
    });
    // The child's only thread ends, and the process with it.
    assert_eq!(by_thread.join().unwrap().map(status_of), Some(0));
    std::mem::forget(parked);
}

/// A child forks as well, twice without a wait in between.
#[test]
fn a_child_has_children() {
    passes("forks::child_a_child_has_children");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_a_child_has_children() {
    let parked = spawn(park);
    let addr = start_server();
    talk(addr, 2, 2);
    let pid = in_child(|| {
        let mut early = Some(spawn(|| 1));
        let pid = in_child(|| {
            assert!(early.take().unwrap().join().unwrap_err().is::<Abandoned>());
            talk(start_server(), 2, 2);
            let mut late = Some(spawn(park));
            yield_now();
            let pid = in_child(|| {
                assert!(late.take().unwrap().join().unwrap_err().is::<Abandoned>());
                talk(start_server(), 2, 2);
            });
            assert_eq!(status_of(pid), 0);
        });
        assert_eq!(status_of(pid), 0);
        assert_eq!(early.unwrap().join().unwrap(), 1);
        talk(start_server(), 2, 2);
    });
    assert_eq!(status_of(pid), 0);
    talk(addr, 2, 2);
    drop(parked);
}

/// The process that the handler has made; 0 before.
static HANDLED: AtomicI32 = AtomicI32::new(0);
/// What the handler writes a byte to, in both processes.
static WRITES_TO: AtomicI32 = AtomicI32::new(-1);

extern "C" fn fork_in_handler(_signal: libc::c_int) {
    // SAFETY: the child does what a handler may, until this returns.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: alarm(2) has no preconditions.
        unsafe { libc::alarm(60) };
    } else {
        HANDLED.store(pid, Ordering::SeqCst);
    }
    // SAFETY: one byte is readable.
    unsafe { libc::write(WRITES_TO.load(Ordering::SeqCst), b"x".as_ptr().cast(), 1) };
}

extern "C" fn fork_and_execute(_signal: libc::c_int) {
    // SAFETY: the child does what a handler may.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let arguments = [c"true".as_ptr(), std::ptr::null()];
        // SAFETY: the arguments are strings, and null ends them.
        unsafe { libc::execv(c"/bin/true".as_ptr(), arguments.as_ptr()) };
        leave(1);
    }
    HANDLED.store(pid, Ordering::SeqCst);
    // SAFETY: one byte is readable.
    unsafe { libc::write(WRITES_TO.load(Ordering::SeqCst), b"x".as_ptr().cast(), 1) };
}

/// Calls a handler on this thread when its hub sleeps, where a byte can be read afterwards.
fn handle_asleep(handler: extern "C" fn(libc::c_int)) -> UnixStream {
    let (reader, writer) = UnixStream::pair().unwrap();
    WRITES_TO.store(std::os::fd::IntoRawFd::into_raw_fd(writer), Ordering::SeqCst);
    // SAFETY: the handlers of these tests do what a handler may.
    unsafe { libc::signal(libc::SIGUSR1, handler as *const () as libc::sighandler_t) };
    let process = std::process::id();
    // SAFETY: the call has no preconditions.
    let thread = unsafe { libc::gettid() };
    let calls = [libc::SYS_epoll_wait, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2];
    os::spawn(move || {
        let is_asleep = || {
            let call = std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall"));
            let call = call.unwrap().split(' ').next().unwrap().trim().parse();
            call.is_ok_and(|call| calls.contains(&call))
        };
        while !is_asleep() {
            os::yield_now();
        }
        // SAFETY: the thread is there, and handles the signal.
        unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGUSR1) };
    });
    reader
}

#[test]
fn a_handler_that_forks_while_the_hub_sleeps_returns_in_both_processes() {
    passes("forks::child_a_handler_that_forks_while_the_hub_sleeps_returns_in_both_processes");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_a_handler_that_forks_while_the_hub_sleeps_returns_in_both_processes() {
    let own = std::process::id();
    let other = spawn(park);
    let mut reader = handle_asleep(fork_in_handler);
    // Each process writes a byte, and each takes one.
    reader.read_exact(&mut [0]).unwrap();
    if std::process::id() != own {
        // It has a hub of its own, and the root alone.
        let is_well = other.is_finished() && spawn(|| 5).join().is_ok_and(|five| five == 5);
        sleep(Duration::from_millis(1));
        leave(if is_well { 0 } else { 101 });
    }
    assert_eq!(status_of(HANDLED.load(Ordering::SeqCst)), 0);
    assert!(!other.is_finished());
    other.thread().unpark();
    other.join().unwrap();
}

#[test]
fn a_handler_may_start_a_program() {
    passes("forks::child_a_handler_may_start_a_program");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_a_handler_may_start_a_program() {
    for _ in 0..5 {
        let mut reader = handle_asleep(fork_and_execute);
        reader.read_exact(&mut [0]).unwrap();
        assert_eq!(status_of(HANDLED.load(Ordering::SeqCst)), 0);
    }
}

/// What looks inside takes locks of the process, which no child inherits held.
#[test]
fn a_child_may_look_inside_whatever_others_did_at_the_fork() {
    passes("forks::child_may_look_inside_whatever_others_did_at_the_fork");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_may_look_inside_whatever_others_did_at_the_fork() {
    let is_over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let again_and_again = |f: fn()| {
        let is_over = std::sync::Arc::clone(&is_over);
        os::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                f();
            }
        })
    };
    let set = again_and_again(|| {
        debug::on_stall(|_| ());
        debug::dump_on_signal(signal::SIGUSR2).unwrap();
    });
    for _ in 0..200 {
        let pid = in_child(|| {
            debug::on_stall(|_| ());
            debug::dump_on_signal(signal::SIGUSR2).unwrap();
        });
        assert_eq!(status_of(pid), 0);
    }
    let dump = again_and_again(|| drop(debug::dump_with_backtraces().to_string()));
    for _ in 0..5 {
        let pid = in_child(|| {
            assert!(debug::dump_with_backtraces().to_string().contains("root"));
        });
        assert_eq!(status_of(pid), 0);
    }
    is_over.store(true, Ordering::Relaxed);
    set.join().unwrap();
    dump.join().unwrap();
}
