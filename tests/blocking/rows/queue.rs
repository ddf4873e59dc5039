//! Queues, and selects over them.

use std::io;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use corovent::queue::Channel;
use corovent::queue::GetTimeoutError;
use corovent::queue::JoinableQueue;
use corovent::queue::LifoQueue;
use corovent::queue::PriorityQueue;
use corovent::queue::PutTimeoutError;
use corovent::queue::Queue;
use corovent::select;
use corovent::select::select;
use corovent::select::select_timeout;

use crate::case::Case;
use crate::case::Row;
use crate::case::aside;

const LONG: Duration = Duration::from_secs(3600);

pub(crate) const ROWS: &[Row] = &[
    Row { functions: &["get", "Gets::next_item"], make: get, lacks: &[] },
    Row { functions: &["get_timeout"], make: get_timeout, lacks: &[] },
    Row { functions: &["get"], make: get_smallest, lacks: &[] },
    Row { functions: &["get"], make: get_from_channel, lacks: &[] },
    Row { functions: &["peek", "peek_timeout"], make: peek, lacks: &[] },
    Row { functions: &["put", "put_timeout"], make: put, lacks: &[] },
    Row { functions: &["put"], make: put_on_stack, lacks: &[] },
    Row {
        functions: &["put"],
        make: put_into_channel,
        lacks: &[("behind", "one get is one meeting")],
    },
    Row { functions: &["JoinableQueue::join"], make: join, lacks: &[] },
    Row { functions: &["JoinableQueue::join_timeout"], make: join_timeout, lacks: &[] },
    Row { functions: &["select", "select_timeout"], make: select_to_know, lacks: &[] },
    Row { functions: &["run_for"], make: select_to_get, lacks: &[] },
    Row { functions: &["run_for"], make: select_to_put, lacks: &[] },
    Row {
        functions: &["run_for"],
        make: select_to_put_into_channel,
        lacks: &[("behind", "one get is one meeting")],
    },
];

fn closed<E>(_: E) -> io::Error {
    ErrorKind::BrokenPipe.into()
}

fn get() -> Case {
    let queue = Arc::new(Queue::unbounded());
    let (putting, limited, closing) = (Arc::clone(&queue), Arc::clone(&queue), Arc::clone(&queue));
    Case::waiting(move || queue.get().map_err(closed))
        .limited(move |limit| limited.get_timeout(limit) == Err(GetTimeoutError::Timeout))
        .released(move || _ = putting.put(()))
        .ended("closed", move || closing.close(), "BrokenPipe")
}

fn get_timeout() -> Case {
    let queue = Arc::new(LifoQueue::unbounded());
    let (putting, closing) = (Arc::clone(&queue), Arc::clone(&queue));
    Case::waiting(move || queue.get_timeout(LONG).map_err(closed))
        .released(move || _ = putting.put(()))
        .ended("closed", move || drop(closing.close_now()), "BrokenPipe")
}

fn get_smallest() -> Case {
    let queue = Arc::new(PriorityQueue::unbounded());
    let putting = Arc::clone(&queue);
    Case::waiting(move || queue.get().map(drop).map_err(closed))
        .released(move || putting.put(7).unwrap())
}

fn get_from_channel() -> Case {
    let channel = Arc::new(Channel::new());
    let (putting, closing) = (Arc::clone(&channel), Arc::clone(&channel));
    Case::waiting(move || channel.get().map_err(closed))
        .released(move || {
            let putting = Arc::clone(&putting);
            aside(move || _ = putting.put(()));
        })
        .ended("closed", move || closing.close(), "BrokenPipe")
}

fn peek() -> Case {
    let queue = Arc::new(Queue::unbounded());
    let (putting, limited, closing) = (Arc::clone(&queue), Arc::clone(&queue), Arc::clone(&queue));
    Case::waiting(move || queue.peek().map_err(closed))
        .limited(move |limit| limited.peek_timeout(limit) == Err(GetTimeoutError::Timeout))
        .opened(move || _ = putting.put(()))
        .ended("closed", move || closing.close(), "BrokenPipe")
}

fn put() -> Case {
    // Of one, the second of two releases in a row would find nothing, and let nobody go on.
    let queue = Arc::new(Queue::bounded(2));
    queue.put(()).unwrap();
    queue.put(()).unwrap();
    let (getting, limited, closing) = (Arc::clone(&queue), Arc::clone(&queue), Arc::clone(&queue));
    Case::waiting(move || queue.put(()).map_err(closed))
        .limited(move |limit| limited.put_timeout((), limit) == Err(PutTimeoutError::Timeout(())))
        .offering()
        .released(move || _ = getting.try_get())
        .ended("closed", move || closing.close(), "BrokenPipe")
}

fn put_on_stack() -> Case {
    let queue = Arc::new(LifoQueue::bounded(2));
    queue.put(()).unwrap();
    queue.put(()).unwrap();
    let (getting, closing) = (Arc::clone(&queue), Arc::clone(&queue));
    Case::waiting(move || queue.put(()).map_err(closed))
        .offering()
        .released(move || _ = getting.try_get())
        .ended("closed", move || drop(closing.close_now()), "BrokenPipe")
}

fn put_into_channel() -> Case {
    let channel = Arc::new(Channel::new());
    let (getting, limited, closing) =
        (Arc::clone(&channel), Arc::clone(&channel), Arc::clone(&channel));
    Case::waiting(move || channel.put(()).map_err(closed))
        .limited(move |limit| limited.put_timeout((), limit) == Err(PutTimeoutError::Timeout(())))
        .offering()
        .released(move || {
            let getting = Arc::clone(&getting);
            aside(move || _ = getting.get());
        })
        .ended("closed", move || closing.close(), "BrokenPipe")
}

/// With one item on which the work is not done.
fn working() -> Arc<JoinableQueue<()>> {
    let queue = Arc::new(JoinableQueue::unbounded());
    queue.put(()).unwrap();
    queue.get().unwrap();
    queue
}

fn finish(queue: &JoinableQueue<()>) {
    if queue.unfinished() > 0 {
        queue.task_done();
    }
}

fn join() -> Case {
    let queue = working();
    let (working, limited) = (Arc::clone(&queue), Arc::clone(&queue));
    Case::infallible(move || queue.join())
        .limited(move |limit| !limited.join_timeout(limit))
        .opened(move || finish(&working))
}

fn join_timeout() -> Case {
    let queue = working();
    let working = Arc::clone(&queue);
    Case::infallible(move || assert!(queue.join_timeout(LONG))).opened(move || finish(&working))
}

fn select_to_know() -> Case {
    let queues = Arc::new((Queue::unbounded(), Channel::<()>::new()));
    let (putting, limited, closing) =
        (Arc::clone(&queues), Arc::clone(&queues), Arc::clone(&queues));
    Case::infallible(move || _ = select(&[&queues.0, &queues.1]))
        .limited(move |limit| select_timeout(&[&limited.0, &limited.1], limit).is_none())
        .opened(move || _ = putting.0.put(()))
        .ended("closed", move || closing.1.close(), "ok")
}

fn select_to_get() -> Case {
    let queues = Arc::new((Queue::unbounded(), Channel::new()));
    let (putting, limited, closing) =
        (Arc::clone(&queues), Arc::clone(&queues), Arc::clone(&queues));
    Case::waiting(move || {
        let item = select! {
            item = get(&queues.0) => item,
            item = get(&queues.1) => item,
        };
        item.map_err(closed)
    })
    .limited(move |limit| {
        select! {
            _ = get(&limited.0) => false,
            _ = get(&limited.1) => false,
            after(limit) => true,
        }
    })
    .released(move || _ = putting.0.put(()))
    .ended("closed", move || closing.1.close(), "BrokenPipe")
}

fn select_to_put() -> Case {
    let queues = Arc::new((Queue::bounded(2), Channel::<()>::new()));
    queues.0.put(()).unwrap();
    queues.0.put(()).unwrap();
    let (getting, limited, closing) =
        (Arc::clone(&queues), Arc::clone(&queues), Arc::clone(&queues));
    Case::waiting(move || {
        let mut item = Some(());
        select! {
            result = put(&queues.0, &mut item) => result.map_err(closed),
            item = get(&queues.1) => item.map_err(closed),
        }
    })
    .limited(move |limit| {
        let mut item = Some(());
        select! {
            _ = put(&limited.0, &mut item) => false,
            _ = get(&limited.1) => false,
            after(limit) => item.is_some(),
        }
    })
    .offering()
    .released(move || _ = getting.0.try_get())
    .ended("closed", move || closing.1.close(), "BrokenPipe")
}

fn select_to_put_into_channel() -> Case {
    let channels = Arc::new((Channel::new(), Channel::new()));
    let getting = Arc::clone(&channels);
    Case::waiting(move || {
        let (mut one, mut other) = (Some(()), Some(()));
        select! {
            result = put(&channels.0, &mut one) => result.map_err(closed),
            result = put(&channels.1, &mut other) => result.map_err(closed),
        }
    })
    .offering()
    .released(move || {
        let getting = Arc::clone(&getting);
        aside(move || _ = getting.1.get());
    })
}
