//! Signal-driven: the kernel sends a signal when something has come (`O_ASYNC`, `fcntl(2)`).
//!
//! With `F_SETSIG` it is a realtime signal, which queues and names its descriptor. Nothing is
//! done in a handler, where next to nothing is allowed: there is none. The signals are
//! blocked, and read from a `signalfd(2)`. The queue is limited; when it is full, the kernel
//! sends a plain SIGIO, which says only that something has happened to somebody.

// Signals are blocked, and descriptors told whom to send them to.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::io::Read;
use std::mem;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::RawFd;
use std::ptr;

use rustix::fs::OFlags;
use rustix::fs::fcntl_getfl;
use rustix::fs::fcntl_setfl;
use rustix::thread::gettid;

use crate::connection::Connection;
use crate::connection::Outcome;
use crate::connection::accept;
use crate::tally;

/// What `fcntl(2)` takes, by the kernel's `include/uapi/asm-generic/fcntl.h`.
const F_SETSIG: libc::c_int = 10;
const F_SETOWN_EX: libc::c_int = 15;
const F_OWNER_TID: libc::c_int = 0;

/// Like the kernel's `f_owner_ex`.
#[repr(C)]
struct Owner {
    kind: libc::c_int,
    pid: libc::pid_t,
}

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut signals = block_signals()?;
    send_signals(&listener)?;
    let mut server = Server { listener, connections: HashMap::new() };
    // Whoever came before the signals did is found like those whose signals were lost.
    server.serve_everybody();

    const SIGNAL_BYTES: usize = size_of::<libc::signalfd_siginfo>();
    let mut records = [0; 64 * SIGNAL_BYTES];
    loop {
        let count = tally::wait(|| signals.read(&mut records))?;
        tally::noticed(count / SIGNAL_BYTES);
        for record in records[..count].chunks_exact(SIGNAL_BYTES) {
            let field = |at: usize| record[at..].first_chunk().expect("it is inside the record");
            let number = *field(mem::offset_of!(libc::signalfd_siginfo, ssi_signo));
            let fd = *field(mem::offset_of!(libc::signalfd_siginfo, ssi_fd));
            if u32::from_ne_bytes(number) as libc::c_int == libc::SIGIO {
                server.serve_everybody();
            } else {
                server.serve_one(RawFd::from_ne_bytes(fd));
            }
        }
    }
}

struct Server {
    listener: TcpListener,
    connections: HashMap<RawFd, Connection>,
}

impl Server {
    fn serve_one(&mut self, fd: RawFd) {
        if fd == self.listener.as_raw_fd() {
            return self.accept_all();
        }
        // A signal may be about a connection that was closed since: then there is no such
        // descriptor any more, or a new one that is tried in vain.
        let Some(connection) = self.connections.get(&fd) else { return };
        // Like an edge: nobody says it twice. A client that never stops holds up the others.
        let outcome = loop {
            match connection.serve_often() {
                Outcome::Moved => {}
                outcome => break outcome,
            }
        };
        if outcome == Outcome::Closed {
            self.connections.remove(&fd);
        }
    }

    fn accept_all(&mut self) {
        while let Some(connection) = accept(&self.listener) {
            // One whose signals are not to be had is sent away.
            if send_signals(&connection).is_ok() {
                let fd = connection.as_raw_fd();
                self.connections.insert(fd, connection);
                // What came before the signals did.
                self.serve_one(fd);
            }
        }
    }

    fn serve_everybody(&mut self) {
        self.accept_all();
        let all: Vec<RawFd> = self.connections.keys().copied().collect();
        all.into_iter().for_each(|fd| self.serve_one(fd));
    }
}

/// Keeps the signals from interrupting this thread, and gives the descriptor that reads them.
fn block_signals() -> io::Result<File> {
    // SAFETY: sigset_t is plain data.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: `set` is valid for the call.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in [libc::SIGRTMIN(), libc::SIGIO] {
        // SAFETY: `set` is valid, and the number is a signal's.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    // SAFETY: `set` is valid for the call; the old mask is not asked for.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: `set` is valid for the call.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: signalfd(2) returned it and nobody else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Has the kernel send this thread a signal whenever something happens to a descriptor.
fn send_signals(fd: &(impl AsRawFd + std::os::fd::AsFd)) -> io::Result<()> {
    let owner = Owner { kind: F_OWNER_TID, pid: gettid().as_raw_nonzero().get() };
    // SAFETY: F_SETOWN_EX reads one `f_owner_ex`, and `owner` is one, valid for the call.
    let owned = unsafe { libc::fcntl(fd.as_raw_fd(), F_SETOWN_EX, &raw const owner) };
    // SAFETY: F_SETSIG takes a number.
    let set = unsafe { libc::fcntl(fd.as_raw_fd(), F_SETSIG, libc::SIGRTMIN()) };
    if owned == -1 || set == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::from_bits_retain(libc::O_ASYNC as u32))?)
}
