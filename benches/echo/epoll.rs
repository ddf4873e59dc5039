//! The kernel's own calls: epoll, and on which processor a process runs.

// std has no functions for them.
#![allow(unsafe_code)]

use std::fs;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;

pub(crate) fn create() -> OwnedFd {
    // SAFETY: epoll_create1(2) takes no pointer.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    assert!(fd >= 0);
    // SAFETY: the call returned it and nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

pub(crate) fn add(epoll: RawFd, fd: RawFd, data: u64) {
    let bits = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
    let mut event = libc::epoll_event { events: bits as u32, u64: data };
    // SAFETY: `event` is valid for the call.
    let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    assert_eq!(result, 0);
}

pub(crate) fn wait(epoll: RawFd, events: &mut [libc::epoll_event]) -> usize {
    // SAFETY: the kernel writes at most as many events as there is room for.
    let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), events.len() as i32, -1) };
    usize::try_from(count).unwrap_or(0)
}

/// Keeps this thread on one processor, if there are two.
pub(crate) fn pin(cpu: usize) {
    pin_task(0, cpu);
}

pub(crate) fn pin_process(pid: u32, cpu: usize) {
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let name = task.unwrap().file_name();
        pin_task(name.to_str().unwrap().parse().unwrap(), cpu);
    }
}

fn pin_task(task: libc::pid_t, cpu: usize) {
    // SAFETY: cpu_set_t is plain data for which all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number is far below the size of the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is valid. On a machine with one processor the call fails, as it may.
    unsafe { libc::sched_setaffinity(task, size_of::<libc::cpu_set_t>(), &raw const set) };
}
