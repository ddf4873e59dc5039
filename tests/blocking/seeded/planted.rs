//! A row with a fault, to see whether the table finds it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use corovent::thread::Thread;
use corovent::thread::current;
use corovent::thread::park;
use corovent::yield_now;

use crate::case::Case;
use crate::case::Row;
use crate::support::on_drop;

/// A semaphore that loses a permit if one who was given it is killed before it has got away.
#[derive(Default)]
struct Lossy {
    permits: Mutex<u32>,
    waiting: Mutex<VecDeque<(Thread, Arc<AtomicBool>)>>,
}

impl Lossy {
    fn take(&self) {
        {
            let mut permits = self.permits.lock().unwrap();
            if *permits > 0 {
                *permits -= 1;
                return;
            }
        }
        let is_given = Arc::new(AtomicBool::new(false));
        self.waiting.lock().unwrap().push_back((current(), Arc::clone(&is_given)));
        let own = Arc::clone(&is_given);
        let _guard = on_drop(|| {
            self.waiting.lock().unwrap().retain(|(_, other)| !Arc::ptr_eq(other, &own));
        });
        while !is_given.load(Ordering::SeqCst) {
            park();
        }
        yield_now();
    }

    fn give(&self) {
        match self.waiting.lock().unwrap().pop_front() {
            Some((thread, is_given)) => {
                is_given.store(true, Ordering::SeqCst);
                thread.unpark();
            }
            None => *self.permits.lock().unwrap() += 1,
        }
    }
}

pub(super) static PLANTED: Row = Row {
    functions: &["Lossy::take"],
    make: || {
        let semaphore = Arc::new(Lossy::default());
        let giving = Arc::clone(&semaphore);
        Case::infallible(move || semaphore.take()).released(move || giving.give()).stepwise()
    },
    lacks: &[],
};
