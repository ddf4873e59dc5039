//! Limits on waiting, nested and swallowed.

use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::Elapsed;
use corovent::io::pipe;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::process::Command;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::Barrier;
use corovent::sync::Condvar;
use corovent::sync::Mutex;
use corovent::sync::Once;
use corovent::sync::OnceLock;
use corovent::sync::RwLock;
use corovent::thread::park;
use corovent::thread::park_timeout;
use corovent::timeout;
use corovent::yield_now;

use crate::full_listener::FullListener;
use crate::support::Log;
use crate::support::run;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

#[test]
fn an_outer_timeout_passes_through_an_inner_one() {
    run(|| {
        let log = Log::new();
        let outer = timeout(SHORT, || {
            let inner = timeout(LONG, || sleep(LONG));
            log.add(format!("inner {inner:?}"));
        });
        assert_eq!((outer, log.text()), (Err(Elapsed), String::new()));
    });
}

#[test]
fn an_inner_timeout_leaves_an_outer_one_alone() {
    run(|| {
        let outer = timeout(LONG, || {
            let inner = timeout(SHORT, || sleep(LONG));
            sleep(SHORT);
            inner
        });
        assert_eq!(outer, Ok(Err(Elapsed)));
    });
}

#[test]
fn when_both_are_over_the_outer_one_ends_its_block() {
    run(|| {
        let outer = timeout(SHORT, || {
            let inner = timeout(SHORT, || {
                std::thread::sleep(3 * SHORT);
                sleep(LONG);
            });
            unreachable!("{inner:?}");
        });
        assert_eq!(outer, Err(Elapsed));
    });
}

/// Each call that waits with a time of its own: an outer timeout is not lost in it.
#[test]
fn an_outer_timeout_is_not_lost() {
    let mut calls: Vec<(&str, fn())> = vec![
        ("sleep", || sleep(LONG)),
        ("park", park),
        ("park_timeout", || park_timeout(LONG)),
        ("yield_now", || {
            loop {
                yield_now();
            }
        }),
        ("join", || drop(spawn(|| sleep(5 * SHORT)).join())),
        ("join_timeout", || drop(spawn(|| sleep(5 * SHORT)).join_timeout(LONG))),
        ("kill_timeout", || {
            let stubborn = spawn(|| corovent::shield(|| sleep(5 * SHORT)));
            yield_now();
            stubborn.kill_timeout(LONG);
        }),
        ("timeout", || assert_eq!(timeout(LONG, || sleep(LONG)), Ok(()))),
        ("scope", || corovent::scope(|scope| drop(scope.spawn(|| sleep(LONG))))),
        ("blocking", || corovent::threadpool::blocking(|| std::thread::sleep(5 * SHORT))),
        ("block_on", || corovent::task::block_on(std::future::pending())),
        ("accept", || drop(TcpListener::bind("127.0.0.1:0").unwrap().accept())),
        ("read", || {
            let (client, _server) = pair();
            client.set_read_timeout(Some(LONG)).unwrap();
            drop((&client).read(&mut [0; 8]));
        }),
        ("peek", || drop(pair().0.peek(&mut [0; 8]))),
        ("wait_readable", || {
            let (client, _server) = pair();
            drop(client.wait_readable());
        }),
        ("write", || {
            let (client, _server) = pair();
            client.set_write_timeout(Some(LONG)).unwrap();
            drop((&client).write_all(&vec![0; 64 << 20]));
        }),
        ("pipe read", || drop(pipe().map(|(mut reader, _writer)| reader.read(&mut [0])))),
        ("pipe write", || drop(pipe().map(|(_rest, mut end)| end.write_all(&[0; 1 << 17])))),
        ("output", || drop(Command::new("sleep").arg("1000").output())),
        ("status", || drop(Command::new("sleep").arg("1000").status())),
        ("connect", || drop(TcpStream::connect(full_addr()))),
        ("connect_timeout", || drop(TcpStream::connect_timeout(&full_addr(), LONG))),
        ("catch_unwind", || {
            while corovent::catch_unwind(|| sleep(LONG)).is_err() {
                yield_now();
            }
        }),
        ("a loop that swallows", || {
            for _ in 0..7 {
                drop(catch_unwind(|| sleep(LONG)));
            }
            sleep(LONG);
        }),
    ];
    calls.extend(lock_calls());
    for (name, call) in calls {
        run(|| {
            // On the root and in a coroutine.
            let start = Instant::now();
            assert_eq!(timeout(SHORT, call), Err(Elapsed), "{name} on the root");
            assert!(start.elapsed() >= SHORT, "{name}");
            let task = spawn(move || timeout(SHORT, call));
            assert_eq!(task.join().unwrap(), Err(Elapsed), "{name} in a coroutine");
            while corovent::debug::counters().coroutines > 0 {
                sleep(SHORT);
            }
        });
    }
}

/// Waits in locks, each for what does not come.
fn lock_calls() -> Vec<(&'static str, fn())> {
    vec![
        ("Mutex::lock", || {
            let lock = Mutex::new(());
            let _guard = lock.lock();
            drop(lock.lock());
        }),
        ("RwLock::read", || {
            let lock = RwLock::new(());
            let _guard = lock.write();
            drop(lock.read());
        }),
        ("RwLock::write", || {
            let lock = RwLock::new(());
            let _guard = lock.read();
            drop(lock.write());
        }),
        ("Condvar::wait", || drop(Condvar::new().wait(Mutex::new(()).lock().unwrap()))),
        ("Condvar::wait_timeout", || {
            drop(Condvar::new().wait_timeout(Mutex::new(()).lock().unwrap(), LONG));
        }),
        ("Barrier::wait", || assert!(!Barrier::new(2).wait().is_leader())),
        ("Once::wait", || Once::new().wait()),
        ("OnceLock::wait", || OnceLock::<()>::new().wait().to_owned()),
    ]
}

pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

/// An address that answers nothing.
pub(crate) fn full_addr() -> SocketAddr {
    thread_local!(static FULL: FullListener = FullListener::new());

    FULL.with(|full| full.addr)
}

#[test]
fn a_zero_timeout_gives_what_is_there() {
    run(|| {
        let (mut client, mut server) = pair();
        server.write_all(b"x").unwrap();
        client.wait_readable().unwrap();
        let mut byte = [0];
        let read = timeout(Duration::ZERO, || client.read(&mut byte));
        assert_eq!(read.unwrap().unwrap(), 1);
        let read = timeout(Duration::ZERO, || client.read(&mut byte));
        assert_eq!(read.map(|_| ()), Err(Elapsed));
        assert_eq!(timeout(Duration::ZERO, || 5), Ok(5));
    });
}

/// Both are there when the loop comes round: I/O is looked at first.
#[test]
fn data_wins_over_a_timeout_of_the_same_turn() {
    run(|| {
        for _ in 0..20 {
            let (mut client, mut server) = pair();
            let reader = spawn(move || timeout(SHORT, || client.read(&mut [0; 8])));
            yield_now();
            server.write_all(b"data").unwrap();
            std::thread::sleep(2 * SHORT);
            assert_eq!(reader.join().unwrap().unwrap().unwrap(), 4);
        }
    });
}

/// Of more descriptors than one look asks the kernel for.
#[test]
fn data_wins_over_a_timeout_for_each_of_many() {
    run(|| {
        // Nobody waits so long before the data is sent, however busy the machine is.
        let limit = 100 * SHORT;
        let (clients, mut servers): (Vec<_>, Vec<_>) = (0..150).map(|_| pair()).unzip();
        let read = move |mut client: TcpStream| timeout(limit, || client.read(&mut [0; 8]));
        let readers: Vec<_> =
            clients.into_iter().map(|client| spawn(move || read(client))).collect();
        yield_now();
        for server in &mut servers {
            server.write_all(b"data").unwrap();
        }
        std::thread::sleep(2 * limit);
        for reader in readers {
            assert_eq!(reader.join().unwrap().unwrap().unwrap(), 4);
        }
    });
}

#[test]
fn a_timeout_never_fires_after_its_block() {
    run(|| {
        for _ in 0..100 {
            assert_eq!(timeout(Duration::from_micros(50), || ()), Ok(()));
        }
        std::thread::sleep(SHORT);
        // All of them are past; none of them may end these waits.
        yield_now();
        sleep(SHORT);
        assert_eq!(timeout(LONG, || sleep(SHORT)), Ok(()));
    });
}

#[test]
fn a_block_that_computes_is_not_interrupted() {
    run(|| {
        let result = timeout(SHORT, || {
            std::thread::sleep(3 * SHORT);
            "computed"
        });
        assert_eq!(result, Ok("computed"));
    });
}

#[test]
fn a_timeout_ends_a_loop_of_yields() {
    run(|| {
        let rounds = Cell::new(0u64);
        let result = timeout(SHORT, || {
            loop {
                rounds.set(rounds.get() + 1);
                yield_now();
            }
        });
        assert_eq!(result, Err::<(), _>(Elapsed));
        assert!(rounds.get() > 0);
    });
}

#[test]
fn a_swallowed_timeout_is_thrown_again_at_the_next_wait() {
    run(|| {
        let swallowed = Cell::new(0);
        let result = timeout(SHORT, || {
            for _ in 0..3 {
                assert!(catch_unwind(|| sleep(LONG)).is_err());
                swallowed.set(swallowed.get() + 1);
            }
            sleep(LONG);
        });
        assert_eq!((result, swallowed.get()), (Err(Elapsed), 3));
        // One that swallows them all goes on.
        let result = timeout(SHORT, || {
            while catch_unwind(|| sleep(2 * SHORT)).is_err() {
                swallowed.set(swallowed.get() + 1);
            }
        });
        assert_eq!((result, swallowed.get()), (Ok(()), 3 + 8));
    });
}

#[test]
fn destructors_run_and_may_wait_when_a_timeout_unwinds() {
    run(|| {
        let log = Log::new();
        let result = timeout(SHORT, || {
            let _guard = crate::support::on_drop(|| {
                sleep(SHORT);
                log.add("destructor");
            });
            sleep(LONG);
        });
        assert_eq!((result, log.text()), (Err(Elapsed), "destructor".to_owned()));
        assert!(!corovent::thread::panicking());
    });
}

#[test]
fn a_panic_in_the_block_is_not_a_timeout() {
    run(|| {
        let payload = catch_unwind(|| timeout(LONG, || panic!("inside"))).unwrap_err();
        assert!(crate::support::is_message(&*payload, "inside"));
    });
}

#[test]
fn a_timeout_that_is_killed_stays_a_kill() {
    run(|| {
        let task = spawn(|| timeout(LONG, || sleep(LONG)));
        yield_now();
        task.kill();
        assert!(task.join().unwrap_err().is::<corovent::Killed>());
    });
}

#[test]
fn the_time_of_several_writes_counts_together() {
    run(|| {
        let (client, server) = pair();
        // The reader takes a little, so that each write moves something.
        let reader = spawn(move || {
            let mut server = server;
            let mut buffer = vec![0; 4096];
            while server.read(&mut buffer).is_ok_and(|count| count > 0) {
                sleep(Duration::from_micros(200));
            }
        });
        let data = vec![0; 256 << 20];
        let result = timeout(Duration::from_millis(30), || (&client).write_all(&data));
        assert_eq!(result.map(|_| ()), Err(Elapsed));
        drop(client);
        reader.kill();
        let _ = reader.join();
    });
}

#[test]
fn timeouts_of_many_coroutines_do_not_mix() {
    run(|| {
        let tasks: Vec<_> = (0..200u64)
            .map(|n| {
                spawn(move || {
                    let limit = Duration::from_micros(500 + n % 10 * 300);
                    let start = Instant::now();
                    let result = timeout(limit, || sleep(LONG));
                    assert!(start.elapsed() >= limit);
                    result
                })
            })
            .collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap() == Err(Elapsed)));
    });
}

#[test]
fn a_value_that_was_computed_in_time_is_moved_out() {
    run(|| {
        let value = Rc::new(5);
        let moved = timeout(LONG, || {
            yield_now();
            Rc::clone(&value)
        });
        assert!(Rc::ptr_eq(&moved.unwrap(), &value));
        let _ = AssertUnwindSafe(value);
    });
}
