//! A thread that does something whenever a signal comes: for what has to happen though a hub
//! hangs.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;

use crate::hub::turn::change_idle_helpers;
use crate::signal::bell::Ringing;
use crate::signal::caught::catch;
use crate::signal::caught::check;
use crate::signal::caught::count_of;
use crate::signal::caught::tell;
use crate::sys::epoll;

/// Calls `act` on a thread of its own whenever the signal has come, once for several that come
/// at the same time, for as long as the process lives. `act` wakes no task.
pub(crate) fn watch(signal: i32, act: fn()) -> io::Result<()> {
    check(&[signal])?;
    let bell = Ringing::of_nobody()?;
    let seen = count_of(signal);
    let (caught, is_caught) = mpsc::channel();
    let watcher = move || {
        if is_caught.recv().is_ok() {
            change_idle_helpers(1);
            watch_for_ever(signal, &bell, seen, act);
        }
    };
    // Before the signal is caught, which would stay so if this failed.
    thread::Builder::new().name("corovent signal".to_owned()).spawn(watcher)?;
    catch(&[signal])?;
    // It waits for this.
    _ = caught.send(());
    Ok(())
}

/// Catches a signal that is watched, and may have been given back.
pub(crate) fn again(signal: i32) -> io::Result<()> {
    catch(&[signal])
}

fn watch_for_ever(signal: i32, bell: &Ringing, mut seen: u32, act: fn()) {
    loop {
        // What ends the wait besides is as good a reason to look.
        _ = epoll::poll_one(bell.as_fd().as_raw_fd(), libc::EPOLLIN as u32, None);
        epoll::eventfd_clear(bell.as_fd().as_raw_fd());
        let came = count_of(signal);
        if came != seen {
            seen = came;
            tell(signal, came);
            act();
        }
    }
}
