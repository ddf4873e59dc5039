//! A tour of limits: what gives up waiting, when, and what is left.
//!
//! ```text
//! cargo run --example timeouts
//! ```
//!
//! Each stop of the tour is a function that waits for what does not come, checks what it got
//! instead, and says so.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::cell::Cell;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use corovent::Elapsed;
use corovent::Killed;
use corovent::os::unix::net::UnixStream;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::mpsc;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    match tour() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("timeouts: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tour() -> io::Result<()> {
    around_any_code();
    nested();
    of_one_read()?;
    of_a_whole_conversation()?;
    with_what_it_had_open()?;
    of_a_join();
    by_a_kill();
    held_off_by_a_shield();
    Ok(())
}

/// `timeout` takes any closure. Only its waits are given up, by unwinding to the block.
fn around_any_code() {
    assert_eq!(timeout(LONG, || 6 * 7), Ok(42));
    println!("in time: the value of the block");

    assert_eq!(timeout(SHORT, || sleep(LONG)), Err(Elapsed));
    println!("too late: Elapsed");

    // A block that does not wait is not interrupted, however little time it has.
    let sum = timeout(Duration::ZERO, || (1..=1000).sum::<u32>());
    assert_eq!(sum, Ok(500_500));
    println!("no time at all: what needs no wait is given");
}

/// Each block ends by its own time only.
fn nested() {
    let result = timeout(LONG, || {
        let inner = timeout(SHORT, park);
        (inner, "and the outer block goes on")
    });
    assert_eq!(result, Ok((Err(Elapsed), "and the outer block goes on")));
    println!("nested: the inner time ends the inner block");

    let result = timeout(SHORT, || timeout(LONG, park));
    assert_eq!(result, Err(Elapsed));
    println!("nested: the outer time passes through the inner block");
}

/// A read timeout is the socket's and gives an error; it starts anew with each read.
fn of_one_read() -> io::Result<()> {
    let (mut here, mut there) = UnixStream::pair()?;
    here.set_read_timeout(Some(SHORT))?;
    let mut byte = [0];
    let error = here.read(&mut byte).expect_err("nobody writes");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    println!("one read: WouldBlock");

    // Nothing is lost: what comes later is there for the next read.
    there.write_all(b"x")?;
    here.read_exact(&mut byte)?;
    assert_eq!(&byte, b"x");
    println!("the next read: what came meanwhile");
    Ok(())
}

/// A client that sends a byte now and then never meets a read timeout; a block around it all does.
fn of_a_whole_conversation() -> io::Result<()> {
    let (mut here, mut there) = UnixStream::pair()?;
    let dripping = spawn(move || {
        while there.write_all(b".").is_ok() {
            sleep(SHORT / 20);
        }
    });
    here.set_read_timeout(Some(LONG))?;
    let mut request = vec![0; 1 << 20];
    assert!(timeout(SHORT, || here.read_exact(&mut request)).is_err());
    println!("a slow client: given up as a whole");

    // The other end finds that nobody is there any more.
    drop(here);
    assert!(dripping.join().is_ok());
    println!("a slow client: finds the connection closed");
    Ok(())
}

/// Unwinding drops what the block holds: its sockets are closed, its guards let go.
fn with_what_it_had_open() -> io::Result<()> {
    let (here, mut there) = UnixStream::pair()?;
    let given_up = timeout(SHORT, || {
        let mut mine = here;
        mine.read(&mut [0])
    });
    assert!(given_up.is_err());
    assert_eq!(there.read(&mut [0])?, 0);
    println!("what the block owned: closed");
    Ok(())
}

/// A join with a limit gives the handle back, and leaves the coroutine alone.
fn of_a_join() {
    let (sender, receiver) = mpsc::channel();
    let worker = spawn(move || receiver.recv());
    let worker = worker.join_timeout(SHORT).expect_err("nobody has sent anything");
    assert!(!worker.is_finished());
    println!("a join: the handle back, and the worker goes on");

    assert!(sender.send("done").is_ok());
    assert!(matches!(worker.join(), Ok(Ok("done"))));
    println!("a join: the value, later");
}

/// Destructors run on the way; who joins gets `Killed`.
fn by_a_kill() {
    struct Note(Rc<Cell<bool>>);
    impl Drop for Note {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }

    let dropped = Rc::new(Cell::new(false));
    let note = Note(Rc::clone(&dropped));
    let waiting = spawn(move || {
        let _note = note;
        park();
    });
    yield_now();
    assert!(waiting.kill_timeout(LONG));
    assert!(dropped.get());
    assert!(waiting.join().is_err_and(|payload| payload.is::<Killed>()));
    println!("a kill: what was held is dropped, and the joiner gets Killed");
}

/// A step that must not be left half done is shielded; the kill comes right after it.
fn held_off_by_a_shield() {
    let steps = Rc::new(Cell::new(0));
    let (sender, receiver) = mpsc::channel();
    let working = spawn({
        let steps = Rc::clone(&steps);
        move || {
            shield(|| {
                steps.set(1);
                if receiver.recv().is_ok() {
                    steps.set(2);
                }
            });
            park();
            steps.set(3);
        }
    });
    yield_now();
    assert!(!working.kill_timeout(SHORT), "it waits in the shield");
    println!("a shield: the kill has to wait");

    assert!(sender.send("go on").is_ok());
    assert!(working.join().is_err_and(|payload| payload.is::<Killed>()));
    assert_eq!(steps.get(), 2);
    println!("a shield: the step is done, and nothing after it");
}
