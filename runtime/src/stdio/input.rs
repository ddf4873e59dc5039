//! The standard input.
//!
//! **Invariant:** what was read from the descriptor is in the buffer until the call that asked
//! for it is complete. So a kill or a timeout takes nothing along.

use std::io;
use std::io::BufRead;
use std::io::IoSliceMut;
use std::io::Lines;
use std::io::Read;
use std::marker::PhantomData;
use std::sync::MutexGuard;

use crate::hub::Mode;
use crate::hub::reason::What;
use crate::join::interrupted;
use crate::stdio::raw::Raw;
use crate::stdio::standard_descriptor;
use crate::stdio::take_turn;
use crate::sys::clock::Deadline;
use crate::wait_queue::WaitQueue;

static INPUT: WaitQueue<State> =
    WaitQueue::new(State { input: Some(Input::new()), is_passed_on: false });

/// As much as std reads at once.
const PIECE: usize = 8 * 1024;

/// Who has the lock, and who should.
struct State {
    /// Whoever has the lock has taken it out.
    input: Option<Input>,
    /// One who waits was woken to take it.
    is_passed_on: bool,
}

/// The standard input and its buffer.
struct Input {
    raw: Raw,
    buffer: Vec<u8>,
    /// What has been read and not been taken.
    start: usize,
    end: usize,
}

/// The standard input: the mirror of [`std::io::Stdin`].
///
/// std's own handle has another buffer and stops the thread: what one of them has read, the
/// other does not see.
///
/// # Suspends
///
/// Every read does, until it has the lock and there is something to read.
///
/// # Cancellation
///
/// Nothing is lost: what a line, or all of a `read_to_end`, still lacks stays in the buffer,
/// for whoever reads next.
pub struct Stdin(());

/// The standard input, locked: the mirror of [`std::io::StdinLock`].
pub struct StdinLock<'a> {
    /// `Some` until it is dropped.
    input: Option<Input>,
    /// std's is a guard as well: it stays on its thread.
    _guard: PhantomData<MutexGuard<'a, ()>>,
}

/// Gives a handle of the standard input.
///
/// # Suspends
///
/// Never.
///
/// # Examples
///
/// ```no_run
/// let name = corovent_runtime::spawn(|| {
///     let mut name = String::new();
///     corovent_runtime::stdio::stdin().read_line(&mut name).map(|_| name)
/// });
/// println!("hello, {}", name.join().unwrap()?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn stdin() -> Stdin {
    Stdin(())
}

impl Stdin {
    /// Locks it, for several reads that nobody else comes between.
    ///
    /// A coroutine that locks it twice waits for itself, as in std.
    ///
    /// # Suspends
    ///
    /// Until those who came before have unlocked it.
    ///
    /// # Cancellation
    ///
    /// It is not locked then.
    pub fn lock(&self) -> StdinLock<'static> {
        let is_passed_on = INPUT.lock().state.is_passed_on;
        take_turn(is_passed_on);
        let taken = INPUT.wait(Deadline::NEVER, What::Stdio, Mode::Plain, |state| {
            let input = state.input.take()?;
            state.is_passed_on = false;
            Some(input)
        });
        match taken {
            Ok(input) => StdinLock { input: Some(input), _guard: PhantomData },
            Err(_) => interrupted(),
        }
    }

    /// Reads a line, with its end.
    ///
    /// # Suspends
    ///
    /// Until there is a line, or the end of the input.
    ///
    /// # Errors
    ///
    /// As for [`std::io::Stdin::read_line`].
    ///
    /// # Cancellation
    ///
    /// The part of a line that is there stays in the buffer.
    pub fn read_line(&self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_line(buf)
    }

    /// Gives the lines, without their ends. The lock is held meanwhile.
    ///
    /// # Suspends
    ///
    /// Until those who came before have unlocked it; the iterator, until there is a line.
    #[must_use = "the lines are read as they are asked for"]
    pub fn lines(self) -> Lines<StdinLock<'static>> {
        self.lock().lines()
    }
}

impl StdinLock<'_> {
    fn input(&mut self) -> &mut Input {
        self.input.as_mut().expect("it is there until the lock is dropped")
    }
}

impl Drop for StdinLock<'_> {
    fn drop(&mut self) {
        let input = self.input.take();
        INPUT.lock().state = State { input, is_passed_on: true };
        if !INPUT.wake_one() {
            INPUT.lock().state.is_passed_on = false;
        }
    }
}

impl Input {
    const fn new() -> Input {
        Input { raw: Raw::new(libc::STDIN_FILENO), buffer: Vec::new(), start: 0, end: 0 }
    }

    /// What has been read and not been taken.
    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads more behind what is there. Zero is the end.
    fn read_more(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        // The room doubles, as a vector's does.
        let room = (self.end * 2).max(PIECE);
        if self.buffer.len() < self.end + PIECE {
            self.buffer.resize(room.max(self.end + PIECE), 0);
        }
        let count = self.raw.read(&mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// Reads until there are so many bytes, or no more.
    fn read_up_to(&mut self, wanted: usize) -> io::Result<()> {
        while self.end - self.start < wanted && self.read_more()? > 0 {}
        Ok(())
    }

    /// Reads until there is a part that ends with a byte, or no more; gives its length.
    fn find(&mut self, byte: u8) -> io::Result<usize> {
        let mut searched = 0;
        loop {
            let found = self.unread()[searched..].iter().position(|there| *there == byte);
            if let Some(at) = found {
                return Ok(searched + at + 1);
            }
            searched = self.unread().len();
            if self.read_more()? == 0 {
                return Ok(searched);
            }
        }
    }

    /// Gives bytes away.
    fn take(&mut self, count: usize) -> &[u8] {
        let from = self.start;
        self.start = (from + count).min(self.end);
        let taken = from..self.start;
        &self.buffer[taken]
    }
}

impl Read for StdinLock<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let count = self.fill_buf()?.read(buf)?;
        self.consume(count);
        Ok(count)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let count = self.fill_buf()?.read_vectored(bufs)?;
        self.consume(count);
        Ok(count)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let input = self.input();
        input.read_up_to(usize::MAX)?;
        let count = input.unread().len();
        buf.extend_from_slice(input.take(count));
        // It is not needed again, and was as large as all there was.
        input.buffer = Vec::new();
        Ok(count)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        // It is std's to say what is wrong with a text.
        bytes.as_slice().read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        let input = self.input();
        input.read_up_to(buf.len())?;
        let count = buf.len().min(input.unread().len());
        input.take(count).read_exact(buf)
    }
}

impl BufRead for StdinLock<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let input = self.input();
        if input.unread().is_empty() {
            input.read_more()?;
        }
        Ok(input.unread())
    }

    fn consume(&mut self, amount: usize) {
        self.input().take(amount);
    }

    fn read_until(&mut self, byte: u8, buf: &mut Vec<u8>) -> io::Result<usize> {
        let input = self.input();
        let count = input.find(byte)?;
        buf.extend_from_slice(input.take(count));
        Ok(count)
    }

    fn read_line(&mut self, buf: &mut String) -> io::Result<usize> {
        let input = self.input();
        let count = input.find(b'\n')?;
        input.take(count).read_to_string(buf)
    }
}

/// Implements reading for a handle, by its lock.
macro_rules! read_by_lock {
    ($($type:ty),*) => {
        $(
            impl Read for $type {
                fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                    self.lock().read(buf)
                }

                fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                    self.lock().read_vectored(bufs)
                }

                fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
                    self.lock().read_to_end(buf)
                }

                fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
                    self.lock().read_to_string(buf)
                }

                fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
                    self.lock().read_exact(buf)
                }
            }
        )*
    };
}

read_by_lock!(Stdin, &Stdin);
standard_descriptor!(Stdin = libc::STDIN_FILENO, StdinLock<'_> = libc::STDIN_FILENO);
