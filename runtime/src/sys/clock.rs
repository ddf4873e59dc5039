//! The monotonic clock, and deadlines on it.

// The clock is read by `clock_gettime`, since `Instant` hides its value.
#![allow(unsafe_code)]

use std::time::Duration;
use std::time::Instant;

/// A point of the monotonic clock in nanoseconds, or never.
///
/// Inside the runtime there are only deadlines: they need no arithmetic when a wait
/// is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(u64);

impl Deadline {
    /// The deadline that does not come.
    pub const NEVER: Deadline = Deadline(u64::MAX);

    /// Reads the clock.
    #[inline]
    pub fn now() -> Deadline {
        Deadline(monotonic_ns())
    }

    /// Gives the deadline `timeout` from now; one that is too far off never comes.
    #[inline]
    pub fn after(timeout: Duration) -> Deadline {
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Deadline(monotonic_ns().saturating_add(timeout_ns))
    }

    /// Gives the deadline of an optional timeout; `None` never comes.
    #[inline]
    pub fn after_option(timeout: Option<Duration>) -> Deadline {
        timeout.map_or(Deadline::NEVER, Deadline::after)
    }

    /// Gives the deadline of a point in std's time.
    #[inline]
    pub fn at(instant: Instant) -> Deadline {
        Deadline::after(instant.saturating_duration_since(Instant::now()))
    }

    /// Gives the time from `earlier` to this deadline; zero if it is past.
    #[inline]
    pub fn since(self, earlier: Deadline) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Whether this is the deadline that does not come.
    #[inline]
    pub fn is_never(self) -> bool {
        self == Deadline::NEVER
    }

    /// The nanoseconds of the clock at this point.
    #[inline]
    pub(crate) fn as_ns(self) -> u64 {
        self.0
    }

    /// The point at which the clock shows `ns` nanoseconds.
    #[inline]
    pub(crate) const fn from_ns(ns: u64) -> Deadline {
        Deadline(ns)
    }
}

/// Converts to the kernel's form. A point that `time_t` cannot hold becomes the last one it can.
pub(crate) fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(duration.subsec_nanos() as i32),
    }
}

#[inline]
fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to, and CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    // Neither part is negative, and 2^64 ns is 584 years of uptime.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_timeout_never_comes() {
        assert!(Deadline::after(Duration::MAX).is_never());
        assert!(Deadline::after_option(None).is_never());
    }

    /// To the nanosecond: a test that measures a sleep takes in how late the thread is woken.
    #[test]
    fn a_timeout_is_neither_shorter_nor_longer() {
        for nanos in [0, 1, 999, 1_000, 1_024, 1_000_000, 3_600_000_000_000] {
            let timeout = Duration::from_nanos(nanos);
            let before = Deadline::now();
            let deadline = Deadline::after(timeout);
            assert!(deadline.since(before) >= timeout);
            assert!(deadline.since(Deadline::now()) <= timeout);
        }
    }

    #[test]
    fn past_instants_are_now() {
        let before = Deadline::now();
        let deadline = Deadline::at(Instant::now() - Duration::from_millis(1));
        assert!(deadline >= before);
        assert_eq!(before.since(deadline), Duration::ZERO);
    }
}
