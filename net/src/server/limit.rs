//! How many handlers may be at work at once.

use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use corovent_runtime::sync::Condvar;
use corovent_runtime::sync::Mutex;

/// A number of permits, for the sites of one server.
pub(super) struct Limit {
    free: Mutex<usize>,
    given_back: Condvar,
}

/// The right to run one handler, until it is dropped.
pub(super) struct Permit(Arc<Limit>);

impl Limit {
    pub(super) fn new(count: usize) -> Arc<Limit> {
        Arc::new(Limit { free: Mutex::new(count), given_back: Condvar::new() })
    }

    /// Waits for a permit, but not longer than `timeout`.
    pub(super) fn acquire(self: &Arc<Limit>, timeout: Option<Duration>) -> Option<Permit> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = match timeout {
                None => self.given_back.wait(free).unwrap_or_else(PoisonError::into_inner),
                Some(timeout) => {
                    let result = self.given_back.wait_timeout(free, timeout);
                    let (free, result) = result.unwrap_or_else(PoisonError::into_inner);
                    if result.timed_out() && *free == 0 {
                        return None;
                    }
                    free
                }
            };
        }
        *free -= 1;
        Some(Permit(Arc::clone(self)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.given_back.notify_one();
    }
}
