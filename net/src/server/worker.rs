//! What a worker process has inherited: which it is, and the listeners of its parent.
//!
//! An environment variable says so: the parent's number, the worker's, and a line for each
//! listener of a server with worker processes, its descriptor and its key; the first is the
//! one that this worker serves. It is for the direct child alone: programs that a worker
//! starts find another parent in it than their own.

// The descriptors that an environment variable names become this process's own.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::os::unix::process::parent_id;
use std::process;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::Weak;

use crate::sys::inherit;
use crate::sys::listener::is_listening;

/// The variable.
pub(super) const VARIABLE: &str = "COROVENT_WORKER";

/// Gives the number of this worker process, from 0 on; `None` if it is none, but the one that
/// the user has started.
///
/// A worker runs the program from its start. What is for the first process alone, such as
/// writing a pid file or binding other sockets, is done only if this is `None`.
///
/// # Suspends
///
/// Never.
///
/// # Examples
///
/// ```
/// assert_eq!(corovent_net::server::worker_number(), None);
/// ```
#[must_use]
pub fn worker_number() -> Option<usize> {
    inheritance().map(|inheritance| inheritance.number)
}

/// What this process has from its parent.
struct Inheritance {
    number: usize,
    /// The key of the server that it is a worker of.
    serves: String,
    /// What nobody has asked for yet.
    listeners: Mutex<BTreeMap<String, OwnedFd>>,
}

/// The part of a server with worker processes that a process is to play.
pub(super) enum Part {
    /// It has the listener, and starts the workers.
    Parent(Arc<Passed>),
    /// It serves.
    Worker,
    /// It is the worker of another server, and only keeps this one's address.
    Bystander,
}

/// A listener that worker processes inherit.
pub(super) struct Passed {
    key: String,
    /// `None` when the server has stopped.
    fd: Mutex<Option<OwnedFd>>,
}

/// The listeners that are passed to every worker, so that the program finds them all there.
static PASSED: Mutex<Vec<Weak<Passed>>> = Mutex::new(Vec::new());

/// Tells servers apart that ask for the same address, such as port 0, by their order.
pub(super) fn key_of(address: &str) -> String {
    static ASKED: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let count = asked.entry(address.to_owned()).or_default();
    *count += 1;
    format!("{count} {address}")
}

/// Gives the listener that this process has inherited for a server; `None` in the first
/// process, which has to bind it.
pub(super) fn inherited(key: &str) -> Option<io::Result<(OwnedFd, Part)>> {
    let inheritance = inheritance()?;
    let part = if inheritance.serves == key { Part::Worker } else { Part::Bystander };
    let mut listeners = inheritance.listeners.lock().unwrap_or_else(PoisonError::into_inner);
    let missing = || {
        io::Error::other(
            "this worker process has not inherited the listener: all servers with worker \
             processes are bound, in the same order, before one of them is started",
        )
    };
    Some(listeners.remove(key).map(|fd| (fd, part)).ok_or_else(missing))
}

impl Passed {
    /// Enters a listener among those that are passed on.
    pub(super) fn new(key: String, listener: BorrowedFd<'_>) -> io::Result<Arc<Passed>> {
        let fd = Mutex::new(Some(listener.try_clone_to_owned()?));
        let passed = Arc::new(Passed { key, fd });
        let mut all = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|passed| passed.strong_count() > 0);
        all.push(Arc::downgrade(&passed));
        Ok(passed)
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Closes it here: no worker is started any more.
    pub(super) fn close(&self) {
        drop(self.fd().take());
    }

    fn fd(&self) -> MutexGuard<'_, Option<OwnedFd>> {
        self.fd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next worker inherits: the value of the variable, and duplicates that are open
    /// until they are dropped.
    pub(super) fn legacy(self: &Arc<Passed>, number: usize) -> io::Result<(String, Vec<OwnedFd>)> {
        let all = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        let others = all.iter().filter_map(Weak::upgrade);
        let others = others.filter(|other| !Arc::ptr_eq(self, other));
        let mut text = format!("{} {number}", process::id());
        let mut descriptors = Vec::new();
        for passed in [Arc::clone(self)].into_iter().chain(others) {
            let Some(fd) = passed.fd().as_ref().map(OwnedFd::try_clone) else { continue };
            let fd = fd?;
            write!(text, "\n{} {}", fd.as_raw_fd(), passed.key).expect("memory takes all");
            descriptors.push(fd);
        }
        Ok((text, descriptors))
    }
}

fn inheritance() -> Option<&'static Inheritance> {
    static INHERITANCE: OnceLock<Option<Inheritance>> = OnceLock::new();

    // SAFETY: the parent names the descriptors that it has left to this process, and they are
    // asked for once. If one is not a listener by now, `parse` gives it back.
    let take_over = |fd| unsafe { inherit::take_over(fd) };
    let get = || parse(&env::var(VARIABLE).ok()?, parent_id(), take_over);
    INHERITANCE.get_or_init(get).as_ref()
}

/// Reads the variable. What is not for this process is passed over.
fn parse(
    text: &str,
    parent: u32,
    take_over: impl Fn(RawFd) -> io::Result<OwnedFd>,
) -> Option<Inheritance> {
    let mut lines = text.split('\n');
    let (pid, number) = lines.next()?.split_once(' ')?;
    if pid.parse() != Ok(parent) {
        return None;
    }
    let mut listeners = BTreeMap::new();
    let mut serves = None;
    for line in lines {
        let (fd, key) = line.split_once(' ')?;
        let fd = take_over(fd.parse().ok()?).ok()?;
        // Somebody else's descriptor by now, if it is none.
        if !is_listening(fd.as_fd()) {
            std::mem::forget(fd);
            return None;
        }
        serves.get_or_insert_with(|| key.to_owned());
        listeners.insert(key.to_owned(), fd);
    }
    let listeners = Mutex::new(listeners);
    Some(Inheritance { number: number.parse().ok()?, serves: serves?, listeners })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "it makes sockets")]
    fn what_is_for_another_process_is_passed_over() {
        let listener = || std::net::TcpListener::bind("127.0.0.1:0").map(OwnedFd::from);
        let parse = |text: &str| super::parse(text, 77, |_| listener());
        let inheritance = parse("77 3\n5 1 tcp a\n6 1 tcp b").unwrap();
        assert_eq!((inheritance.number, inheritance.serves.as_str()), (3, "1 tcp a"));
        assert_eq!(inheritance.listeners.lock().unwrap().len(), 2);
        for text in ["", "77", "77 3", "78 3\n5 1 tcp a", "77 x\n5 k", "77 3\nx k", "77 3\n5"] {
            assert!(parse(text).is_none(), "{text}");
        }
        let none = |_| Err(io::Error::from_raw_os_error(libc::EBADF));
        assert!(super::parse("77 3\n5 1 tcp a", 77, none).is_none());
    }

    #[test]
    fn servers_at_the_same_address_are_told_apart_by_their_order() {
        assert_eq!(key_of("tcp test:0"), "1 tcp test:0");
        assert_eq!(key_of("tcp test:0"), "2 tcp test:0");
        assert_eq!(key_of("tcp test:1"), "1 tcp test:1");
    }
}
