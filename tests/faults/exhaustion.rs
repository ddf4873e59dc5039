//! Everything of the pool in use: what has a lane of its own goes on.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::Barrier;

use corovent::fs;
use corovent::net::ToSocketAddrs;
use corovent::spawn;
use corovent::threadpool;
use corovent::yield_now;

use crate::support::passes;
use crate::support::run;

/// As many as run at once.
const THREADS: usize = 64;

/// Jobs take all threads, and more are in line: names are looked up all the same, sockets are
/// nobody's affair, and the jobs in line have their turn when there is a thread.
#[test]
fn names_are_looked_up_while_the_pool_is_full() {
    passes("exhaustion::child_fills_its_pool");
}

#[test]
#[ignore = "takes all threads of the pool of its process"]
fn child_fills_its_pool() {
    run(|| {
        // The test is one of those who meet there.
        let meeting = || Arc::new(Barrier::new(THREADS + 1));
        let (all_run, all_end) = (meeting(), meeting());
        let job = |_| {
            let (all_run, all_end) = (Arc::clone(&all_run), Arc::clone(&all_end));
            spawn(move || {
                threadpool::blocking(move || {
                    all_run.wait();
                    all_end.wait();
                });
            })
        };
        let jobs: Vec<_> = (0..THREADS).map(job).collect();
        yield_now();
        all_run.wait();
        let file = spawn(|| fs::read_to_string("/proc/self/stat").unwrap());
        for _ in 0..5 {
            assert!(("localhost", 80).to_socket_addrs().unwrap().count() > 0);
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        drop(corovent::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        assert!(!file.is_finished(), "a job has run without a thread");
        all_end.wait();
        jobs.into_iter().for_each(|job| job.join().unwrap());
        assert!(!file.join().unwrap().is_empty());
    });
}
