//! Futures, awaited where code blocks.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::Poll;
use std::task::Waker;

use corovent::task::block_on;

use crate::case::Case;
use crate::case::Row;

pub(crate) const ROWS: &[Row] = &[Row { functions: &["block_on"], make: awaiting, lacks: &[] }];

/// Permits, and who waits for one.
#[derive(Default)]
struct Permits {
    count: u32,
    wakers: Vec<Waker>,
}

fn awaiting() -> Case {
    let permits: Arc<Mutex<Permits>> = Arc::default();
    let given = Arc::clone(&permits);
    let call = move || {
        block_on(poll_fn(|context| {
            let mut permits = permits.lock().unwrap();
            if permits.count > 0 {
                permits.count -= 1;
                return Poll::Ready(());
            }
            permits.wakers.push(context.waker().clone());
            Poll::Pending
        }));
    };
    Case::infallible(call).released(move || {
        let mut permits = given.lock().unwrap();
        permits.count += 1;
        // All of them look: one that was killed is among them.
        permits.wakers.drain(..).for_each(Waker::wake);
    })
}
