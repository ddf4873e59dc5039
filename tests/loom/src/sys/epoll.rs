//! The eventfd that ends a hub's sleep, made of the checker's locks, and no epoll instance.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use loom::sync::Condvar;
use loom::sync::Mutex;

/// An eventfd.
#[derive(Clone)]
struct Alarm(Arc<(Mutex<bool>, Condvar)>);

loom::lazy_static! {
    static ref ALARMS: Mutex<Vec<Alarm>> = Mutex::new(Vec::new());
}

/// Opens one.
pub(crate) fn eventfd() -> RawFd {
    let mut alarms = ALARMS.lock().unwrap();
    alarms.push(Alarm(Arc::new((Mutex::new(false), Condvar::new()))));
    alarms.len() as RawFd - 1
}

/// Raises it. It is always one.
pub(crate) fn eventfd_raise(fd: RawFd) -> bool {
    let Alarm(alarm) = ALARMS.lock().unwrap()[fd as usize].clone();
    *alarm.0.lock().unwrap() = true;
    alarm.1.notify_one();
    true
}

/// Sleeps until it is raised, and takes that back.
pub(crate) fn eventfd_wait(fd: RawFd) {
    let Alarm(alarm) = ALARMS.lock().unwrap()[fd as usize].clone();
    let mut is_raised = alarm.0.lock().unwrap();
    while !*is_raised {
        is_raised = alarm.1.wait(is_raised).unwrap();
    }
    *is_raised = false;
}

/// Finds no descriptor registered.
pub(crate) fn delete(_epoll: RawFd, _fd: RawFd) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOENT))
}
