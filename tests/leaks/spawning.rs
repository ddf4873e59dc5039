//! Coroutines, and threads, that come and go, in whatever way.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::thread as os;
use std::time::Duration;

use corovent::Builder;
use corovent::JoinHandle;
use corovent::catch_unwind;
use corovent::coroutine_local;
use corovent::debug;
use corovent::group::Group;
use corovent::group::Pool;
use corovent::group::as_completed;
use corovent::group::imap;
use corovent::group::imap_unordered;
use corovent::group::join_all;
use corovent::group::kill_all;
use corovent::group::map;
use corovent::group::wait_any;
use corovent::remote;
use corovent::run;
use corovent::scope;
use corovent::spawn;
use corovent::spawn_after;
use corovent::thread::park;
use corovent::threadpool::ThreadPool;
use corovent::threadpool::blocking;
use corovent::yield_now;

use crate::Work;
use crate::settle;
use crate::support::until_quiet;

pub(crate) const WORK: &[Work] = &[
    ("spawned and joined", |count| {
        (0..count).for_each(|n| assert_eq!(spawn(move || n).join().unwrap(), n));
    }),
    ("many at once", |count| {
        let tasks: Vec<_> = (0..count).map(|n| spawn(move || vec![n; 8])).collect();
        join_all(tasks);
    }),
    ("spawned and left alone", |count| {
        (0..count).for_each(|n| drop(spawn(move || vec![n; 8])));
    }),
    ("with names and sizes", |count| {
        for n in 0..count {
            let builder = Builder::new().name(format!("number {n}")).stack_size(128 << 10);
            builder.spawn(yield_now).unwrap().join().unwrap();
        }
    }),
    ("that panic", |count| {
        for _ in 0..count {
            spawn(|| resume_unwind(Box::new("as expected"))).join().unwrap_err();
            catch_unwind(|| resume_unwind(Box::new("as expected"))).unwrap_err();
        }
    }),
    ("killed before they run", |count| {
        for _ in 0..count {
            let task = spawn(|| ());
            task.kill();
            task.join().unwrap_err();
        }
    }),
    ("killed while they wait", |count| {
        let tasks: Vec<_> = (0..count).map(|_| spawn(park)).collect();
        until_quiet();
        kill_all(&tasks);
        assert!(join_all(tasks).iter().all(Result::is_err));
    }),
    ("later, or not", |count| {
        for n in 0..count {
            let task = spawn_after(Duration::from_nanos(1), || ());
            if n % 2 == 0 {
                task.join().unwrap();
            } else {
                task.kill();
            }
        }
    }),
    ("in scopes", |count| {
        for n in 0..count {
            scope(|scope| {
                scope.spawn(yield_now);
                assert_eq!(scope.spawn(|| n).join().unwrap(), n);
            });
        }
    }),
    ("with locals and exit hooks", |count| {
        coroutine_local!(static LOCAL: Cell<Vec<usize>> = const { Cell::new(Vec::new()) });

        for n in 0..count {
            let task = spawn(move || LOCAL.set(vec![n; 8]));
            let hooks = [(); 2].map(|()| task.on_exit(|_| ()));
            let [kept, cancelled] = hooks;
            drop(kept);
            cancelled.cancel();
            task.join().unwrap();
        }
    }),
    ("in groups and pools", |count| {
        let (group, pool) = (Group::new(), Pool::new(4));
        for n in 0..count {
            group.spawn(move || n);
            pool.spawn(yield_now);
        }
        group.join();
        pool.join();
    }),
    ("mapped", |count| {
        assert_eq!(map(4, 0..count, |n| n).len(), count);
        assert_eq!(imap(4, 0..count, |n| n).count(), count);
        assert_eq!(imap_unordered(4, 0..count, |n| n).count(), count);
        // What was begun and is not wanted is ended.
        assert!(imap(4, 0..count, |n| n).next().is_some());
    }),
    ("waited for", |count| {
        let tasks: Vec<_> = (0..count).map(|n| spawn(move || n)).collect();
        assert!(wait_any(&tasks).is_some());
        assert_eq!(as_completed(tasks).count(), count);
    }),
    ("futures", |count| {
        for _ in 0..count {
            let (sender, receiver) = futures::channel::oneshot::channel();
            spawn(move || sender.send(1).unwrap());
            assert_eq!(corovent::task::block_on(receiver).unwrap(), 1);
        }
    }),
    ("jobs of the pool", |count| {
        for n in 0..count / 5 {
            assert_eq!(blocking(move || n), n);
        }
    }),
    ("pools of threads", |count| {
        for n in 0..count / 100 {
            let pool = ThreadPool::new(2);
            assert_eq!(pool.submit(move || n).join().unwrap(), n);
            assert_eq!(pool.map(0..10, |n| n).len(), 10);
            pool.kill();
            pool.join();
        }
    }),
    ("threads with hubs", |count| {
        for _ in 0..count / 50 {
            let hub = || run(|| join_all((0..10).map(|n| spawn(move || n))).len());
            assert_eq!(os::spawn(hub).join().unwrap(), 10);
        }
    }),
    ("from other threads", |count| {
        let here = remote();
        let other = os::spawn(move || -> Vec<JoinHandle<usize>> {
            (0..count).map(|n| here.spawn(move || n).unwrap()).collect()
        });
        settle();
        let tasks = blocking(|| other.join().unwrap());
        assert_eq!(join_all(tasks).len(), count);
    }),
    ("dumps", |count| {
        let task = spawn(park);
        until_quiet();
        for _ in 0..count / 50 {
            assert!(debug::dump().to_string().contains("unpark"));
            assert!(debug::dump().to_json().contains("unpark"));
        }
        task.thread().unpark();
        task.join().unwrap();
    }),
];
