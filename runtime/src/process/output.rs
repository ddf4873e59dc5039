//! What a child writes, read to its end; and what becomes of a child whose wait is cut short.

use std::io;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::process::Output;

use crate::fd::Direction;
use crate::fd::Done;
use crate::fd::Limit;
use crate::fd::Source;
use crate::hub;
use crate::hub::Mode;
use crate::pipe;
use crate::process::child::Child;
use crate::task::Builder;
use crate::task::shield;

/// Does something with a child that nobody else has a handle of. If that fails, or a kill or
/// a timeout ends it, the child is killed and reaped, for nobody else would do it.
pub(super) fn or_end<T>(
    mut child: Child,
    f: impl FnOnce(&mut Child) -> io::Result<T>,
) -> io::Result<T> {
    // Without a hub nothing but an error can end it.
    let result = match hub::get() {
        Ok(hub) => hub.catch(|| f(&mut child)),
        Err(_) => Ok(f(&mut child)),
    };
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            end(child);
            Err(error)
        }
        Err(payload) => {
            // Outside of the unwinding, so that the wait for the child is one like others.
            end(child);
            hub::current().expect("the hub has caught it").rethrow(payload)
        }
    }
}

/// Kills a child and reaps it.
#[cold]
fn end(mut child: Child) {
    // Once it is reaped, by whomever, its number may be somebody else's.
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    if child.kill().is_err() {
        // It runs as another user, and for as long as it likes; nobody may be held up by that.
        let _ = Builder::new().spawn(move || drop(child.wait()));
        return;
    }
    // Of the kernel's errors there is one: nobody is there to be reaped.
    if shield(|| child.wait()).is_err_and(|error| error.raw_os_error().is_none()) {
        // The coroutine unwinds, and such a wait is refused.
        let _ = child.wait_by_looking(Mode::Masked);
    }
}

/// Reads the pipes of a child to their ends, and waits for it.
pub(super) fn collect(child: &mut Child) -> io::Result<Output> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut pipes = Vec::with_capacity(2);
    if let Some(pipe) = child.stdout.take() {
        pipes.push(Pipe { source: Source::new(pipe.into()), read: &mut stdout });
    }
    if let Some(pipe) = child.stderr.take() {
        pipes.push(Pipe { source: Source::new(pipe.into()), read: &mut stderr });
    }
    read_all(pipes)?;
    let status = child.wait()?;
    Ok(Output { status, stdout, stderr })
}

/// A pipe, and what was read from it.
struct Pipe<'a> {
    source: Source<OwnedFd>,
    read: &'a mut Vec<u8>,
}

/// Reads pipes to their ends, whichever has something: a child that finds one full does not
/// go on with the other.
fn read_all(mut pipes: Vec<Pipe<'_>>) -> io::Result<()> {
    /// What a pipe holds.
    const BYTES: usize = 64 * 1024;

    let mut buf = vec![0; BYTES];
    while !pipes.is_empty() {
        let mut found = false;
        let mut n = 0;
        while n < pipes.len() {
            match pipes[n].read_some(&mut buf) {
                // The end.
                Ok(0) => {
                    pipes.swap_remove(n);
                    found = true;
                    continue;
                }
                Ok(_) => found = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            n += 1;
        }
        if !found {
            let sources: Vec<_> = pipes.iter().map(|pipe| &pipe.source).collect();
            Source::any_readable(&sources)?;
        }
    }
    Ok(())
}

impl Pipe<'_> {
    /// Reads what is there; `WouldBlock` if that is nothing.
    fn read_some(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let limit = || Limit::NonBlocking;
        let count = self.source.call(Direction::Read, limit, |fd| {
            pipe::read_once(fd, &mut [IoSliceMut::new(buf)]).map(Done::more)
        })?;
        self.read.extend_from_slice(&buf[..count]);
        Ok(count)
    }
}
