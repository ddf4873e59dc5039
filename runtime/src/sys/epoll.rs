//! epoll and eventfd: the kernel's side of the hub.

// These calls have no wrapper in std.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::Ordering;
use crate::sys::check;
use crate::sys::clock::timespec;

/// One event as the kernel writes it.
pub(crate) use libc::epoll_event as Event;

/// The bits of an event.
pub(crate) const IN: u32 = libc::EPOLLIN as u32;
pub(crate) const OUT: u32 = libc::EPOLLOUT as u32;
pub(crate) const PRI: u32 = libc::EPOLLPRI as u32;
pub(crate) const ERR: u32 = libc::EPOLLERR as u32;
pub(crate) const HUP: u32 = libc::EPOLLHUP as u32;
pub(crate) const RDHUP: u32 = libc::EPOLLRDHUP as u32;
pub(crate) const EDGE: u32 = libc::EPOLLET as u32;
pub(crate) const ONCE: u32 = libc::EPOLLONESHOT as u32;

/// Makes an epoll instance that a child process does not inherit.
pub(crate) fn create() -> io::Result<OwnedFd> {
    // SAFETY: epoll_create1(2) takes no pointer.
    let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: epoll_create1(2) returned it and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes an eventfd with the count zero.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd(2) takes no pointer.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: eventfd(2) returned it and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds one to an eventfd; async-signal-safe. A full counter is as good as one more. False if it
/// is none: other code has closed it.
pub(crate) fn eventfd_raise(fd: RawFd) -> bool {
    let one = 1u64;
    // SAFETY: `one` is readable for its eight bytes; a wrong fd makes the call fail only.
    let written = unsafe { libc::write(fd, (&raw const one).cast(), size_of::<u64>()) };
    written != -1 || io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock
}

/// Sets an eventfd back to zero. False if it was, or if it is none.
pub(crate) fn eventfd_clear(fd: RawFd) -> bool {
    let mut count = 0u64;
    // SAFETY: `count` is writable for its eight bytes.
    let read = unsafe { libc::read(fd, (&raw mut count).cast(), size_of::<u64>()) };
    read != -1
}

/// Closes a descriptor by its number, whatever that gives.
///
/// # Safety
///
/// The caller must own what is there, if anything is, and use it no more.
pub(crate) unsafe fn close(fd: RawFd) {
    // SAFETY: the caller vouches for it; a number that is none makes the call fail only.
    unsafe { libc::close(fd) };
}

/// Puts a new file under the number of a descriptor: in the child of a fork, which shares the old
/// file with the parent. What was there is closed here alone. Without room for a new one the
/// number stays closed. Async-signal-safe.
///
/// # Safety
///
/// The caller must own what is there, if anything is, and be the only thread.
pub(crate) unsafe fn renew(fd: RawFd, make: impl Fn() -> io::Result<OwnedFd>) {
    // SAFETY: as the caller vouches.
    unsafe { close(fd) };
    let Ok(new) = make() else { return };
    if new.as_raw_fd() == fd {
        let _ = new.into_raw_fd();
        return;
    }
    // SAFETY: the kernel checks the numbers; `fd` was closed above, and no other thread has
    // opened anything there.
    unsafe { libc::dup3(new.as_raw_fd(), fd, libc::O_CLOEXEC) };
}

/// Adds an fd to an epoll instance.
pub(crate) fn add(epoll: RawFd, fd: RawFd, bits: u32, data: u64) -> io::Result<()> {
    control(epoll, libc::EPOLL_CTL_ADD, fd, bits, data)
}

/// Changes what an epoll instance reports of an fd.
pub(crate) fn modify(epoll: RawFd, fd: RawFd, bits: u32, data: u64) -> io::Result<()> {
    control(epoll, libc::EPOLL_CTL_MOD, fd, bits, data)
}

/// Removes an fd from an epoll instance.
pub(crate) fn delete(epoll: RawFd, fd: RawFd) -> io::Result<()> {
    control(epoll, libc::EPOLL_CTL_DEL, fd, 0, 0)
}

fn control(epoll: RawFd, op: libc::c_int, fd: RawFd, bits: u32, data: u64) -> io::Result<()> {
    let mut event = Event { events: bits, u64: data };
    // SAFETY: `event` is valid for the call; the fds are numbers that the kernel checks.
    check(unsafe { libc::epoll_ctl(epoll, op, fd, &raw mut event) })?;
    Ok(())
}

/// How long a wait for events may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Only look.
    None,
    /// At most this long.
    Limited(Duration),
    /// Until something happens.
    Unlimited,
}

/// Puts so many of what is ready at most into `events`, in place of what is there.
#[inline]
pub(crate) fn wait(
    epoll: RawFd,
    events: &mut Vec<Event>,
    at_most: usize,
    patience: Patience,
) -> io::Result<()> {
    events.clear();
    events.reserve_exact(at_most);
    let room = &mut events.spare_capacity_mut()[..at_most];
    let room_ptr: *mut Event = room.as_mut_ptr().cast();
    let room_len = libc::c_int::try_from(room.len()).unwrap_or(libc::c_int::MAX);
    let count = match patience {
        Patience::None => wait_ms(epoll, room_ptr, room_len, 0),
        Patience::Unlimited => wait_ms(epoll, room_ptr, room_len, -1),
        Patience::Limited(limit) => wait_limited(epoll, room_ptr, room_len, limit),
    }?;
    // SAFETY: the kernel wrote `count` events into the spare capacity.
    unsafe { events.set_len(count as usize) };
    Ok(())
}

/// Waits to the nanosecond where the kernel can (5.11), else to the millisecond above.
fn wait_limited(
    epoll: RawFd,
    room: *mut Event,
    len: libc::c_int,
    limit: Duration,
) -> io::Result<libc::c_int> {
    /// A seccomp filter or an old kernel refused the call once.
    static COARSE: AtomicBool = AtomicBool::new(false);

    if !COARSE.load(Ordering::Relaxed) {
        let limit = timespec(limit);
        let no_mask: *const libc::sigset_t = std::ptr::null();
        // SAFETY: `room` has space for `len` events and `limit` is a relative timeout.
        let result = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                epoll,
                room,
                len,
                &raw const limit,
                no_mask,
                0usize,
            )
        };
        match check(result as libc::c_int) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                COARSE.store(true, Ordering::Relaxed);
            }
            other => return other,
        }
    }
    let limit_ms = limit.as_nanos().div_ceil(1_000_000);
    wait_ms(epoll, room, len, libc::c_int::try_from(limit_ms).unwrap_or(libc::c_int::MAX))
}

fn wait_ms(
    epoll: RawFd,
    room: *mut Event,
    len: libc::c_int,
    limit_ms: libc::c_int,
) -> io::Result<libc::c_int> {
    // SAFETY: the callers pass room for `len` events.
    check(unsafe { libc::epoll_wait(epoll, room, len, limit_ms) })
}

/// Blocks the OS thread until `fd` is ready for `bits` or the limit has passed; the
/// way to wait on a thread without a hub. EINTR counts as the limit: look again.
pub(crate) fn poll_one(fd: RawFd, bits: u32, limit: Option<Duration>) -> io::Result<bool> {
    // The bits of poll(2) and epoll(7) are the same numbers.
    let mut entry = libc::pollfd { fd, events: bits as libc::c_short, revents: 0 };
    let limit = limit.map(timespec);
    let limit_ptr = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let no_mask = std::ptr::null();
    // SAFETY: `entry` is one pollfd, and `limit_ptr` is null or a valid timeout.
    match check(unsafe { libc::ppoll(&raw mut entry, 1, limit_ptr, no_mask) }) {
        Ok(0) => Ok(false),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error),
    }
}

/// Blocks the OS thread until one of several descriptors is ready for `bits`, or a signal has
/// come: look again.
pub(crate) fn poll_any(fds: &[RawFd], bits: u32) -> io::Result<()> {
    let entry = |fd: &RawFd| libc::pollfd { fd: *fd, events: bits as libc::c_short, revents: 0 };
    let mut entries: Vec<libc::pollfd> = fds.iter().map(entry).collect();
    // SAFETY: `entries` are as many as is said.
    match check(unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as _, -1) }) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// One entry of [`poll_now`], as the kernel reads and writes it.
pub(crate) use libc::pollfd as PollEntry;

/// Asks what several descriptors are ready for, and writes it into the entries. Gives how many
/// have something.
pub(crate) fn poll_now(entries: &mut [PollEntry]) -> io::Result<usize> {
    let len = entries.len() as libc::nfds_t;
    // SAFETY: `entries` are as many as is said.
    let count = check(unsafe { libc::poll(entries.as_mut_ptr(), len, 0) })?;
    Ok(count as usize)
}
