//! Servers: who is served, what a stop does to whom, and what errors do not do.

use std::cell::Cell;
use std::cell::RefCell;
use std::fs;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;

use corovent::debug;
use corovent::group::Pool;
use corovent::net::SocketAddr;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::os::unix::net::UnixListener;
use corovent::os::unix::net::UnixStream;
use corovent::server::Builder;
use corovent::server::Report;
use corovent::server::RequestHandler;
use corovent::server::StreamServer;
use corovent::server::Trouble;
use corovent::server::requests;
use corovent::server::worker_number;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::Semaphore;
use corovent::sync::mpsc;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::peers::ANY;
use crate::peers::LONG;
use crate::peers::echo;
use crate::peers::ping;
use crate::support::Log;
use crate::support::child_command;
use crate::support::open_fds;
use crate::support::passes;
use crate::support::run;
use crate::support::was_killed;

const SHORT: Duration = Duration::from_millis(3);

pub(crate) fn ended(mut stream: impl Read) -> bool {
    matches!(stream.read(&mut [0; 8]), Ok(0) | Err(_))
}

/// Says nothing of what goes wrong.
fn quiet() -> Builder {
    StreamServer::builder().on_error(|_| ())
}

pub(crate) fn refuses(addr: SocketAddr) -> bool {
    TcpStream::connect(addr).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Runs the others until it is so.
pub(crate) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(Duration::from_micros(100));
    }
}

#[test]
fn many_clients_are_served_at_once_and_counted() {
    run(|| {
        let server = StreamServer::bind(ANY, |stream: TcpStream, _| echo(stream)).unwrap();
        let addr = server.local_addr();
        assert_ne!(addr.port(), 0);
        server.start().unwrap();
        server.start().unwrap();
        let clients: Vec<_> = (0..100)
            .map(|_| {
                spawn(move || {
                    let stream = TcpStream::connect(addr).unwrap();
                    (0..3).for_each(|_| ping(&stream));
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        assert_eq!(server.stats().accepted, 100);
        assert!(server.stop(LONG).is_clean());
        assert_eq!(server.stats().active, 0);
        assert!(!server.handle().is_running());
        assert!(refuses(addr));
    });
}

#[test]
fn a_bind_error_names_the_address() {
    run(|| {
        let first = StreamServer::bind(ANY, |_, _| ()).unwrap();
        let addr = first.local_addr();
        let error = StreamServer::bind(addr, |_, _| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&addr.to_string()), "{error}");
        let error = StreamServer::bind_unix("/nowhere/socket", |_, _| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("/nowhere/socket"), "{error}");
        assert!(StreamServer::builder().reuse_port(true).bind(addr, |_, _| ()).is_err());
    });
}

/// Whoever stops it: a coroutine, a thread without a hub, a handler, one before it starts.
#[test]
fn serve_forever_returns_after_a_stop_from_anywhere() {
    run(|| {
        let server = StreamServer::bind(ANY, |stream, _| echo(stream)).unwrap();
        let (handle, addr) = (server.handle(), server.local_addr());
        let stopper = spawn(move || {
            let stream = TcpStream::connect(addr).unwrap();
            ping(&stream);
            drop(stream);
            handle.stop(LONG)
        });
        server.serve_forever().unwrap();
        assert_eq!(stopper.join().unwrap().to_string(), "1 finished");

        let server = StreamServer::bind(ANY, |stream, _| echo(stream)).unwrap();
        let handle = server.handle();
        let thread = os::spawn(move || handle.stop(LONG));
        server.serve_forever().unwrap();
        assert!(thread.join().unwrap().is_clean());

        let slot = Rc::new(RefCell::new(None));
        let inner = Rc::clone(&slot);
        let handler = move |_: TcpStream, _| {
            let handle: &Option<corovent::server::Handle> = &inner.borrow();
            handle.as_ref().unwrap().request_stop(LONG);
        };
        let server = StreamServer::bind(ANY, handler).unwrap();
        *slot.borrow_mut() = Some(server.handle());
        let client = TcpStream::connect(server.local_addr()).unwrap();
        server.serve_forever().unwrap();
        assert!(ended(client));

        let server = StreamServer::bind(ANY, |_, _| ()).unwrap();
        server.handle().request_stop(LONG);
        server.serve_forever().unwrap();
    });
}

#[test]
fn a_stop_waits_for_those_in_flight_and_refuses_new_ones_at_once() {
    run(|| {
        let server = StreamServer::bind(ANY, |stream, _| echo(stream)).unwrap();
        server.start().unwrap();
        let addr = server.local_addr();
        let stream = TcpStream::connect(addr).unwrap();
        ping(&stream);
        server.handle().request_stop(LONG);
        until(|| refuses(addr));
        ping(&stream);
        drop(stream);
        // The first look may have come before the server had its turn.
        let report = server.stop(LONG);
        assert!(report.is_clean() && (1..=2).contains(&report.finished), "{report}");
    });
}

#[test]
fn a_stop_kills_those_whose_time_is_up_and_says_who() {
    run(|| {
        let log = Log::new();
        let inner = log.clone();
        let server = quiet()
            .bind(ANY, move |mut stream: TcpStream, _| {
                let _guard = inner.on_drop("unwound");
                stream.write_all(b"x").unwrap();
                park();
            })
            .unwrap();
        server.start().unwrap();
        let mut client = TcpStream::connect(server.local_addr()).unwrap();
        client.read_exact(&mut [0]).unwrap();
        let report = server.stop(SHORT);
        assert_eq!(report.killed, [client.local_addr().unwrap().to_string()]);
        assert!(report.finished == 0 && report.stuck.is_empty());
        assert!(ended(client));
        assert_eq!(log.text(), "unwound");
        let stats = server.stats();
        assert_eq!((stats.active, stats.failed, stats.panicked), (0, 0, 0));
        // Again: the same report.
        assert_eq!(server.stop(LONG), report);
    });
}

#[test]
fn a_handler_that_would_not_end_is_said_to_be_stuck() {
    run(|| {
        let (sender, receiver) = mpsc::channel::<()>();
        let receiver = Rc::new(receiver);
        let server = StreamServer::bind(ANY, move |_: TcpStream, _| {
            let receiver = Rc::clone(&receiver);
            shield(|| receiver.recv().unwrap_err());
        })
        .unwrap();
        server.start().unwrap();
        let client = TcpStream::connect(server.local_addr()).unwrap();
        until(|| server.stats().active == 1);
        let report = server.stop(Duration::ZERO);
        assert_eq!(report.stuck, [client.local_addr().unwrap().to_string()]);
        assert!(report.to_string().contains("1 would not end"), "{report}");
        drop(sender);
        until(|| server.stats().active == 0);
    });
}

/// What it fails with is told all the same, when it ends at last; and the server may serve
/// again meanwhile.
#[test]
fn a_handler_that_was_stuck_is_told_of_when_it_fails() {
    run(|| {
        let (sender, receiver) = mpsc::channel::<()>();
        let receiver = Rc::new(receiver);
        let told = Arc::new(Mutex::new(Vec::new()));
        let inner = Arc::clone(&told);
        let server = StreamServer::builder()
            .on_error(move |trouble| inner.lock().unwrap().push(trouble.to_string()))
            .bind(ANY, move |mut stream: TcpStream, _| {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                if &byte == b"s" {
                    shield(|| receiver.recv().unwrap_err());
                    // It goes on where nothing waits.
                    return Err(io::Error::other("too late"));
                }
                stream.write_all(&byte)
            })
            .unwrap();
        server.start().unwrap();
        let mut client = TcpStream::connect(server.local_addr()).unwrap();
        client.write_all(b"s").unwrap();
        until(|| server.stats().active == 1);
        sleep(SHORT);
        assert_eq!(server.stop(Duration::ZERO).stuck.len(), 1);
        server.start().unwrap();
        ping(TcpStream::connect(server.local_addr()).unwrap());
        drop(sender);
        until(|| server.stats().active == 0);
        let name = client.local_addr().unwrap();
        assert_eq!(*told.lock().unwrap(), [format!("the handler of {name}: too late")]);
        assert_eq!((server.stats().failed, server.stats().panicked), (1, 0));
        assert_eq!(server.stop(LONG), Report::default());
    });
}

/// It waits for itself, so it is killed when the time is up; a second stop changes nothing.
#[test]
fn a_handler_that_stops_its_server_is_killed_and_one_that_requests_it_is_not() {
    run(|| {
        for waits in [true, false] {
            let slot = Rc::new(RefCell::new(None::<corovent::server::Handle>));
            let inner = Rc::clone(&slot);
            let server = quiet()
                .bind(ANY, move |_: TcpStream, _| {
                    let handle = inner.borrow().clone().unwrap();
                    if waits {
                        handle.stop(SHORT);
                        unreachable!("it is killed there");
                    }
                    handle.request_stop(LONG);
                })
                .unwrap();
            *slot.borrow_mut() = Some(server.handle());
            let client = TcpStream::connect(server.local_addr()).unwrap();
            server.serve_forever().unwrap();
            assert!(ended(&client));
            let report = server.stop(Duration::ZERO);
            let killed =
                if waits { vec![client.local_addr().unwrap().to_string()] } else { vec![] };
            assert_eq!(report.killed, killed);
            assert_eq!(server.stats().panicked, 0);
        }
    });
}

/// A hub that looks at itself alone knows not that another thread will wake who stops a server
/// there.
#[test]
fn a_stop_of_a_server_on_another_thread_is_no_deadlock() {
    run(|| {
        let before = debug::deadlock(debug::Scope::Hub);
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = os::spawn(move || {
            let server = StreamServer::bind(ANY, |stream, _| echo(stream)).unwrap();
            sender.send((server.handle(), server.local_addr())).unwrap();
            server.serve_forever().unwrap();
        });
        let (handle, addr) = receiver.recv().unwrap();
        let mut client = std::net::TcpStream::connect(addr).unwrap();
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
        // The last connection ends some time after the listener was closed.
        let other = os::spawn(move || {
            while std::net::TcpStream::connect(addr).is_ok() {}
            drop(client);
        });
        let report = handle.stop(Duration::MAX);
        debug::deadlock(before);
        assert!(report.is_clean(), "{report}");
        other.join().unwrap();
        thread.join().unwrap();
    });
}

/// A kernel's queue has room for one more than its backlog says.
#[test]
fn a_stop_serves_all_of_a_short_queue() {
    run(|| {
        for backlog in [0, 3] {
            let builder = StreamServer::builder().backlog(backlog);
            let server = builder.bind(ANY, |stream, _| echo(stream)).unwrap();
            let addr = server.local_addr();
            let connect = |_| std::net::TcpStream::connect(addr).unwrap();
            let queued: Vec<_> = (0..=backlog).map(connect).collect();
            server.handle().request_stop(LONG);
            server.start().unwrap();
            let clients: Vec<_> = queued
                .into_iter()
                .map(|stream| spawn(move || ping(&TcpStream::from(stream))))
                .collect();
            clients.into_iter().for_each(|client| client.join().unwrap());
            assert_eq!(server.stop(LONG).finished, backlog as usize + 1);
        }
    });
}

/// Whoever is served first need not be the first of these.
fn ping_at_once<S: Read + Write + 'static>(streams: impl IntoIterator<Item = S>) {
    let clients: Vec<_> = streams.into_iter().map(|stream| spawn(move || ping(stream))).collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
}

/// The connections that were complete before the stop, but not accepted, are served.
#[test]
fn a_stop_serves_what_is_in_the_queue() {
    run(|| {
        let server = StreamServer::bind(ANY, |stream, _| echo(stream)).unwrap();
        let addr = server.local_addr();
        let queued: Vec<_> =
            (0..200).map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
        server.start().unwrap();
        server.handle().request_stop(LONG);
        ping_at_once(queued.into_iter().map(TcpStream::from));
        assert_eq!(server.stop(LONG).to_string(), "200 finished");
    });
}

#[test]
fn a_server_is_started_again_at_the_same_address() {
    run(|| {
        let server = StreamServer::bind(ANY, |stream, _| echo(stream)).unwrap();
        let addr = server.local_addr();
        for _ in 0..3 {
            server.start().unwrap();
            ping(TcpStream::connect(addr).unwrap());
            assert_eq!(server.stop(LONG).to_string(), "1 finished");
            assert!(refuses(addr));
        }
        let given = TcpListener::bind(ANY).unwrap();
        let server = StreamServer::builder().listener(given, |_, _| ()).unwrap();
        server.start().unwrap();
        server.stop(LONG);
        assert_eq!(server.start().unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

/// gevent's rule for a full pool: the others wait in the kernel's queue.
#[test]
fn never_more_than_the_limit_are_served_and_the_others_later() {
    run(|| {
        let now = Rc::new(Cell::new(0));
        let most = Rc::new(Cell::new(0));
        let (n, m) = (Rc::clone(&now), Rc::clone(&most));
        let server = StreamServer::builder()
            .limit(3)
            .bind(ANY, move |stream: TcpStream, _| {
                n.set(n.get() + 1);
                m.set(m.get().max(n.get()));
                let result = echo(stream);
                n.set(n.get() - 1);
                result
            })
            .unwrap();
        let addr = server.local_addr();
        server.start().unwrap();
        let clients: Vec<_> =
            (0..40).map(|_| spawn(move || ping(TcpStream::connect(addr).unwrap()))).collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        assert_eq!(most.get(), 3);
        assert!(server.stop(LONG).is_clean());
        assert_eq!(server.stats().accepted, 40);
    });
}

/// An idle server keeps no permit from the other.
#[test]
fn two_servers_share_a_limit() {
    run(|| {
        let permits = Arc::new(Semaphore::new(1));
        let make = || {
            let builder = StreamServer::builder().shared_limit(Arc::clone(&permits));
            let server = builder.bind(ANY, |stream, _| echo(stream)).unwrap();
            server.start().unwrap();
            server
        };
        let servers = [make(), make()];
        for _ in 0..3 {
            servers.iter().for_each(|s| ping(TcpStream::connect(s.local_addr()).unwrap()));
        }
        let first = TcpStream::connect(servers[0].local_addr()).unwrap();
        ping(&first);
        let addr = servers[1].local_addr();
        let second = spawn(move || ping(TcpStream::connect(addr).unwrap()));
        sleep(SHORT);
        assert_eq!((servers[1].stats().active, permits.available_permits()), (0, 0));
        drop(first);
        second.join().unwrap();
        servers.iter().for_each(|server| assert!(server.stop(LONG).is_clean()));
        assert_eq!(permits.available_permits(), 1);
    });
}

/// gevent's `spawn=pool`: two servers and a coroutine of the pool's own are never more than its
/// limit, and who has to wait is served later.
#[test]
fn servers_share_a_pool_and_never_exceed_it() {
    run(|| {
        let pool = Pool::new(3);
        let (now, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let make = || {
            let (now, most, of) = (Rc::clone(&now), Rc::clone(&most), pool.clone());
            let handler = move |stream: TcpStream, _| {
                assert!(of.len() <= 3);
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                let result = echo(stream);
                now.set(now.get() - 1);
                result
            };
            let server = StreamServer::builder().pool(&pool).bind(ANY, handler).unwrap();
            server.start().unwrap();
            server
        };
        let servers = [make(), make()];
        let other = pool.spawn(park);
        let clients: Vec<_> = (0..40)
            .map(|n| servers[n % 2].local_addr())
            .map(|addr| spawn(move || ping(TcpStream::connect(addr).unwrap())))
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        assert_eq!(most.get(), 2);
        other.thread().unpark();
        other.join().unwrap();
        for server in &servers {
            assert!(server.stop(LONG).is_clean());
            assert_eq!((server.stats().accepted, server.stats().panicked), (20, 0));
        }
        assert_eq!((pool.len(), pool.free_count()), (0, 3));
    });
}

#[test]
fn handlers_are_members_of_their_pool() {
    run(|| {
        let pool = Pool::new(2);
        let of = pool.clone();
        let handler = move |stream: TcpStream, _| {
            // In place, since it is a member.
            of.apply(|| of.apply(|| echo(stream)))
        };
        let server = quiet().limit(1).pool(&pool).bind(ANY, handler).unwrap();
        let addr = server.local_addr();
        server.start().unwrap();
        let streams: Vec<_> = (0..3).map(|_| TcpStream::connect(addr).unwrap()).collect();
        ping(&streams[0]);
        ping(&streams[1]);
        assert_eq!((pool.len(), pool.free_count(), server.stats().active), (2, 0, 2));
        assert_eq!(pool.kill(), 2);
        assert!(ended(&streams[0]) && ended(&streams[1]));
        // The server goes on.
        ping(&streams[2]);
        assert_eq!((pool.len(), server.stats().accepted), (1, 3));
        drop(streams);
        let report = server.stop(LONG);
        assert!(report.is_clean(), "{report}");
        assert_eq!((pool.len(), pool.free_count()), (0, 2));
    });
}

/// Whoever is in the queue is a handler that waits for its place, and so is a member when it
/// serves.
#[test]
fn a_stop_with_a_full_pool_serves_the_queue_in_its_places() {
    run(|| {
        for time in [LONG, SHORT] {
            let pool = Pool::new(1);
            let of = pool.clone();
            let handler = move |stream: TcpStream, _| {
                assert_eq!((of.len(), of.free_count()), (1, 0));
                echo(stream)
            };
            let server = quiet().pool(&pool).bind(ANY, handler).unwrap();
            let addr = server.local_addr();
            server.start().unwrap();
            let streams: Vec<_> = (0..4).map(|_| TcpStream::connect(addr).unwrap()).collect();
            ping(&streams[0]);
            let stopper = server.handle();
            let stopper = spawn(move || stopper.stop(time));
            until(|| refuses(addr));
            if time == LONG {
                ping_at_once(streams);
            }
            let report = stopper.join().unwrap();
            assert_eq!(report.is_clean(), time == LONG, "{report}");
            assert!(report.stuck.is_empty(), "{report}");
            assert_eq!(server.stats().panicked, 0);
            assert_eq!((pool.len(), pool.free_count()), (0, 1));
        }
    });
}

#[test]
#[should_panic = "a pool is one thread's"]
fn a_pool_is_of_one_thread() {
    drop(StreamServer::builder().pool(&Pool::new(1)).workers(2));
}

/// While the limit is reached and connections wait, the hub has nothing to do.
#[test]
fn a_full_server_does_not_spin() {
    assert!(passes("servers::in_a_process_of_its_own_a_full_server").contains("idle"));
}

#[test]
#[ignore = "counts the process's time"]
fn in_a_process_of_its_own_a_full_server() {
    for builder in [StreamServer::builder().limit(1), StreamServer::builder().pool(&Pool::new(1))] {
        run(|| a_full_server_waits(builder));
    }
    eprintln!("idle");
}

fn a_full_server_waits(builder: Builder) {
    let server = builder.bind(ANY, |stream, _| echo(stream)).unwrap();
    let addr = server.local_addr();
    server.start().unwrap();
    let first = TcpStream::connect(addr).unwrap();
    ping(&first);
    let others: Vec<_> = (0..5).map(|_| TcpStream::connect(addr).unwrap()).collect();
    let before = cpu_time();
    sleep(Duration::from_millis(500));
    let used = cpu_time() - before;
    assert!(used < Duration::from_millis(100), "{used:?}");
    assert_eq!(server.stats().accepted, 1);
    drop(first);
    let others: Vec<_> = others.into_iter().map(|stream| spawn(|| ping(stream))).collect();
    others.into_iter().for_each(|client| client.join().unwrap());
    assert!(server.stop(LONG).is_clean());
}

/// The time that this process has computed for.
pub(crate) fn cpu_time() -> Duration {
    // SAFETY: all zeros is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for the call.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) }, 0);
    let of = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// Over a Unix socket: whoever has connected is in the queue.
#[test]
fn a_stop_while_the_limit_is_reached_serves_those_that_wait_or_kills_them() {
    run(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        for is_cut_short in [false, true] {
            let server = quiet().limit(1).bind_unix(&path, |stream, _| echo(stream)).unwrap();
            server.start().unwrap();
            let streams: Vec<_> = (0..4).map(|_| UnixStream::connect(&path).unwrap()).collect();
            ping(&streams[0]);
            assert_eq!(server.stats().accepted, 1);
            server.handle().request_stop(LONG);
            // The stop takes in the others, who now wait for the first one's permit.
            until(|| server.stats().accepted == 4);
            let report = if is_cut_short {
                server.stop(Duration::ZERO)
            } else {
                ping_at_once(streams);
                server.stop(LONG)
            };
            assert!(report.stuck.is_empty());
            let ends = if is_cut_short { (0, 4) } else { (4, 0) };
            assert_eq!((report.finished, report.killed.len()), ends, "{report}");
        }
    });
}

/// Neither harms anybody else; both are counted, and told.
#[test]
fn a_handler_that_panics_or_fails_closes_its_connection_and_is_told_of() {
    run(|| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let inner = Arc::clone(&told);
        let server = StreamServer::builder()
            .on_error(move |trouble| {
                let word = match trouble {
                    Trouble::Handler { .. } => format!("{trouble}"),
                    Trouble::Panic { payload, .. } => {
                        assert!(payload.is::<&str>());
                        format!("{trouble}")
                    }
                    _ => panic!("{trouble}"),
                };
                inner.lock().unwrap().push(word);
                // What the hook does is its own affair.
                panic!("the hook panics");
            })
            .bind(ANY, |mut stream: TcpStream, _| {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                match byte[0] {
                    b'p' => panic!("the handler panics"),
                    b'e' => Err(io::Error::other("it fails")),
                    _ => stream.write_all(&byte),
                }
            })
            .unwrap();
        server.start().unwrap();
        let other = TcpStream::connect(server.local_addr()).unwrap();
        for byte in [b"p", b"e"] {
            let mut client = TcpStream::connect(server.local_addr()).unwrap();
            client.write_all(byte).unwrap();
            let address = client.local_addr().unwrap();
            assert!(ended(client));
            until(|| server.stats().active == 1);
            let told = told.lock().unwrap().pop().unwrap();
            assert!(told.contains(&address.to_string()), "{told}");
            assert_eq!(told.contains("it fails"), byte == b"e");
        }
        ping(other);
        let stats = server.stats();
        assert_eq!((stats.accepted, stats.panicked, stats.failed), (3, 1, 1));
        assert!(server.stop(LONG).is_clean());
    });
}

/// socketserver's three steps, of which the last is done whatever ends the second.
#[test]
fn finish_runs_after_an_error_a_panic_and_a_kill() {
    struct Steps(Log);

    impl RequestHandler<TcpStream, SocketAddr> for Steps {
        type Request = TcpStream;

        fn setup(&self, mut stream: TcpStream, _: SocketAddr) -> io::Result<TcpStream> {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            self.0.add("setup");
            if byte == *b"s" { Err(io::Error::other("setup")) } else { Ok(stream) }
        }

        fn handle(&self, stream: &mut TcpStream) -> io::Result<()> {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            self.0.add("handle");
            match byte[0] {
                b'p' => panic!("handle"),
                b'e' => return Err(io::Error::other("handle")),
                b'k' => park(),
                _ => {}
            }
            Ok(())
        }

        fn finish(&self, mut stream: TcpStream) -> io::Result<()> {
            self.0.add("finish");
            stream.write_all(b"bye")?;
            panic!("at the end");
        }
    }

    run(|| {
        let log = Log::new();
        let steps = requests(Steps(log.clone()));
        let server = quiet().bind(ANY, steps).unwrap();
        server.start().unwrap();
        let start = |bytes: &[u8]| {
            let mut client = TcpStream::connect(server.local_addr()).unwrap();
            client.write_all(bytes).unwrap();
            client
        };
        let end = |mut client: TcpStream| {
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            text
        };
        for bytes in [b"xo", b"xe", b"xp"] {
            assert_eq!(end(start(bytes)), "bye");
            assert_eq!(std::mem::take(&mut *log.words()).join(" "), "setup handle finish");
        }
        assert_eq!(end(start(b"s")), "");
        assert_eq!(std::mem::take(&mut *log.words()).join(" "), "setup");
        let client = start(b"xk");
        until(|| log.text() == "setup handle");
        assert_eq!(server.stop(SHORT).killed.len(), 1);
        assert_eq!(end(client), "bye");
        assert_eq!(log.text(), "setup handle finish");
    });
}

#[test]
fn one_request_is_handled_at_a_time() {
    run(|| {
        let server = StreamServer::bind(ANY, |stream, _| echo(stream)).unwrap();
        let addr = server.local_addr();
        let client = spawn(move || ping(TcpStream::connect(addr).unwrap()));
        server.handle_request().unwrap();
        client.join().unwrap();
        assert!(timeout(SHORT, || server.handle_request()).is_err());
        // It was put back.
        server.start().unwrap();
        ping(TcpStream::connect(addr).unwrap());
        let error = server.handle_request().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(server.stop(LONG).is_clean());
    });
}

#[test]
fn a_unix_server_serves_and_takes_its_file_along() {
    run(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let server = StreamServer::bind_unix(&path, |stream, _| echo(stream)).unwrap();
        assert_eq!(server.local_addr().as_pathname(), Some(path.as_path()));
        for _ in 0..2 {
            server.start().unwrap();
            ping(UnixStream::connect(&path).unwrap());
            assert_eq!(server.stop(LONG).to_string(), "1 finished");
            assert!(!path.exists());
        }
        // What somebody else has put there stays.
        server.start().unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        server.stop(LONG);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        // A listener that was given keeps its file, as in std.
        let path = directory.path().join("given");
        let given = UnixListener::bind(&path).unwrap();
        let server = StreamServer::builder().listener(given, |stream, _| echo(stream)).unwrap();
        server.start().unwrap();
        ping(UnixStream::connect(&path).unwrap());
        server.stop(LONG);
        assert!(path.exists());
        // One that is dropped before it was started has bound nothing for good.
        let path = directory.path().join("dropped");
        drop(StreamServer::bind_unix(&path, |_, _| ()).unwrap());
        assert!(!path.exists());
    });
}

/// A listener that was made non-blocking, as an event loop leaves it, does not make it spin.
#[test]
fn a_given_listener_is_served_whatever_its_mode() {
    run(|| {
        let given = std::net::TcpListener::bind(ANY).unwrap();
        given.set_nonblocking(true).unwrap();
        let addr = given.local_addr().unwrap();
        let server =
            StreamServer::builder().listener(TcpListener::from(given), |s, _| echo(s)).unwrap();
        server.start().unwrap();
        sleep(SHORT);
        ping(TcpStream::connect(addr).unwrap());
        assert!(server.stop(LONG).is_clean());
    });
}

/// The descriptor is closed from under it: there is no going on.
#[test]
fn serve_forever_gives_the_error_of_a_broken_listener() {
    run(|| {
        let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
        let given = UnixListener::from(std::os::fd::OwnedFd::from(a));
        let server =
            StreamServer::builder().grace(Duration::ZERO).listener(given, |_, _| ()).unwrap();
        let error = server.serve_forever().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        assert!(!server.handle().is_running());
    });
}

/// Whoever waits for it unwinds, or it is dropped: it accepts no more, and handlers go on.
#[test]
fn a_server_that_is_left_accepts_no_more_and_lets_its_handlers_go_on() {
    run(|| {
        let server = Rc::new(StreamServer::bind(ANY, |stream, _| echo(stream)).unwrap());
        let addr = server.local_addr();
        let inner = Rc::clone(&server);
        let task = spawn(move || inner.serve_forever());
        let stream = TcpStream::connect(addr).unwrap();
        ping(&stream);
        task.kill();
        assert!(was_killed(task));
        until(|| refuses(addr));
        ping(&stream);
        drop(stream);
        assert!(server.stop(LONG).is_clean());
        assert!(timeout(SHORT, || server.serve_forever()).is_err(), "it is started again");
        assert!(server.stop(LONG).is_clean());

        server.start().unwrap();
        let stream = TcpStream::connect(addr).unwrap();
        ping(&stream);
        drop(server);
        until(|| refuses(addr));
        ping(&stream);
        drop(stream);
        until(|| corovent::debug::counters().coroutines == 0);
    });
}

#[test]
fn a_server_leaves_nothing_behind() {
    assert!(passes("servers::in_a_process_of_its_own_a_server_ends").contains("clean"));
}

#[test]
#[ignore = "counts the process's descriptors and threads"]
fn in_a_process_of_its_own_a_server_ends() {
    run(|| {
        let once = |builder: Builder| {
            let server = builder.bind(ANY, |stream, _| echo(stream)).unwrap();
            server.start().unwrap();
            let stream = TcpStream::connect(server.local_addr()).unwrap();
            ping(&stream);
            server.stop(Duration::ZERO);
            assert!(ended(stream));
        };
        once(quiet());
        let (fds, threads) = (open_fds(), threads());
        (0..5).for_each(|_| once(quiet().limit(2)));
        let server = quiet().workers(2).bind(ANY, |stream, _| echo(stream)).unwrap();
        server.start().unwrap();
        ping(TcpStream::connect(server.local_addr()).unwrap());
        assert!(server.stop(LONG).is_clean());
        drop(server);
        assert_eq!(open_fds(), fds);
        // One that was joined is still listed for a moment.
        until(|| self::threads() <= threads);
        eprintln!("clean");
    });
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Each connection goes to one of the threads, and in the end to all of them.
#[test]
fn worker_threads_all_serve() {
    run(|| {
        let names = Arc::new(Mutex::new(Vec::new()));
        let inner = Arc::clone(&names);
        let server = StreamServer::builder()
            .workers(2)
            .bind(ANY, move |stream: TcpStream, _| {
                inner.lock().unwrap().push(os::current().name().unwrap().to_owned());
                echo(stream)
            })
            .unwrap();
        let addr = server.local_addr();
        for _ in 0..2 {
            server.start().unwrap();
            names.lock().unwrap().clear();
            let both = ["corovent worker 0", "corovent worker 1"];
            until(|| {
                ping(TcpStream::connect(addr).unwrap());
                let names = names.lock().unwrap();
                both.iter().all(|name| names.iter().any(|other| other == name))
            });
            let served = names.lock().unwrap().len();
            assert_eq!(server.stop(LONG).killed, Vec::<String>::new());
            assert!(served >= 2);
            assert!(refuses(addr));
        }
    });
}

/// What SO_REUSEPORT is known for: a listener that closes resets what is in its queue. All
/// queues are emptied first.
#[test]
fn a_stop_of_worker_threads_loses_no_connection() {
    run(|| {
        let served = Arc::new(AtomicUsize::new(0));
        let inner = Arc::clone(&served);
        let server = StreamServer::builder()
            .workers(2)
            .bind(ANY, move |stream: TcpStream, _| {
                inner.fetch_add(1, Ordering::SeqCst);
                echo(stream)
            })
            .unwrap();
        let addr = server.local_addr();
        server.start().unwrap();
        let streams: Vec<_> =
            (0..100).map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
        server.handle().request_stop(LONG);
        let clients: Vec<_> = streams
            .into_iter()
            .map(|stream| spawn(move || ping(TcpStream::from(stream))))
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        assert_eq!(server.stop(LONG).finished, 100);
        assert_eq!(served.load(Ordering::SeqCst), 100);
    });
}

#[test]
fn worker_threads_share_a_unix_listener_and_a_limit() {
    run(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (n, m) = (Arc::clone(&now), Arc::clone(&most));
        let server = StreamServer::builder()
            .limit(2)
            .workers(3)
            .bind_unix(&path, move |stream: UnixStream, _| {
                m.fetch_max(n.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let result = echo(stream);
                n.fetch_sub(1, Ordering::SeqCst);
                result
            })
            .unwrap();
        server.start().unwrap();
        let clients: Vec<_> = (0..60)
            .map(|_| {
                let path = path.clone();
                spawn(move || ping(UnixStream::connect(path).unwrap()))
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
        assert!(server.stop(LONG).is_clean());
        assert!(!path.exists());
    });
}

#[test]
fn worker_threads_say_whom_they_killed() {
    run(|| {
        let server = quiet().workers(2).bind(ANY, |stream, _| echo(stream)).unwrap();
        server.start().unwrap();
        let streams: Vec<_> =
            (0..10).map(|_| TcpStream::connect(server.local_addr()).unwrap()).collect();
        streams.iter().for_each(ping);
        let Report { mut killed, finished: 0, .. } = server.stop(SHORT) else { panic!() };
        let mut expected: Vec<_> =
            streams.iter().map(|stream| stream.local_addr().unwrap().to_string()).collect();
        killed.sort();
        expected.sort();
        assert_eq!(killed, expected);
    });
}

/// Its thread stays, but nobody waits for that.
#[test]
fn worker_threads_say_who_would_not_end() {
    run(|| {
        let permits = Arc::new(Semaphore::new(0));
        let inner = Arc::clone(&permits);
        let server = StreamServer::builder().workers(2).bind(ANY, move |_: TcpStream, _| {
            drop(shield(|| inner.acquire()));
        });
        let server = server.unwrap();
        server.start().unwrap();
        let client = TcpStream::connect(server.local_addr()).unwrap();
        until(|| server.stats().active == 1);
        server.handle().request_stop(Duration::ZERO);
        server.serve_forever().unwrap();
        let report = server.stop(LONG);
        assert_eq!(report.stuck, [client.local_addr().unwrap().to_string()]);
        assert!(!report.is_partial && !server.handle().is_running(), "{report}");
        permits.add_permits(1);
        until(|| server.stats().active == 0);
    });
}

#[test]
fn a_storm_of_connections_loses_none() {
    const COUNT: usize = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
    const AT_ONCE: usize = 250;

    run(|| {
        let server = StreamServer::bind(ANY, |stream, _| echo(stream)).unwrap();
        let addr = server.local_addr();
        server.start().unwrap();
        // Served all the time, since an acceptor takes only so many in a row.
        let steady = TcpStream::connect(addr).unwrap();
        ping(&steady);
        for _ in 0..COUNT / AT_ONCE {
            let clients: Vec<_> = (0..AT_ONCE)
                .map(|_| spawn(move || ping(TcpStream::connect(addr).unwrap())))
                .collect();
            ping(&steady);
            clients.into_iter().for_each(|client| client.join().unwrap());
        }
        drop(steady);
        assert!(server.stop(LONG).is_clean());
        assert_eq!(server.stats().accepted, COUNT as u64 + 1);
        assert_eq!(server.stats().errors, 0);
    });
}

/// The acceptor is in the middle of its batch: those that have a connection go on.
#[test]
fn accepting_is_bounded_so_that_others_have_their_turn() {
    run(|| {
        let server = StreamServer::bind(ANY, |_, _| ()).unwrap();
        let addr = server.local_addr();
        let queued: Vec<_> =
            (0..500).map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
        server.start().unwrap();
        let handle = server.handle();
        let other = spawn(move || {
            let mut seen = Vec::new();
            while handle.stats().accepted < 500 {
                seen.push(handle.stats().accepted);
                yield_now();
            }
            seen
        });
        let seen = other.join().unwrap();
        assert!(seen.windows(2).all(|pair| pair[1] - pair[0] <= 130), "{seen:?}");
        assert!(seen.len() >= 4, "{seen:?}");
        drop(queued);
        assert!(server.stop(LONG).is_clean());
    });
}

/// Gives the number of the process that serves, and then serves.
fn say_who(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(&std::process::id().to_be_bytes())?;
    echo(stream)
}

/// Connects, and gives who serves.
fn connect_to_worker(addr: SocketAddr) -> (TcpStream, u32) {
    let mut stream = TcpStream::connect(addr).unwrap();
    let mut pid = [0; 4];
    stream.read_exact(&mut pid).unwrap();
    (stream, u32::from_be_bytes(pid))
}

/// Connects until another has served than these.
fn another_worker(addr: SocketAddr, known: &[u32]) -> (TcpStream, u32) {
    loop {
        // The one that has it may just have been killed.
        let worker = os::spawn(move || connect_to_worker(addr));
        match worker.join() {
            Ok((stream, pid)) if !known.contains(&pid) => return (stream, pid),
            _ => sleep(Duration::from_millis(1)),
        }
    }
}

pub(crate) fn send(pid: u32, signal: libc::c_int) {
    // SAFETY: kill(2) takes numbers.
    assert_eq!(unsafe { libc::kill(pid as libc::pid_t, signal) }, 0);
}

fn is_alive(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}

/// Nobody is left to be reaped, whoever it was.
fn has_children() -> bool {
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) != -1 }
}

#[test]
fn worker_processes_all_serve_and_are_started_again() {
    let said = passes("servers::in_processes_of_their_own_workers_serve");
    assert!(said.contains("worker 0") || said.contains("worker 1"), "{said}");
}

#[test]
#[ignore = "starts itself again"]
fn in_processes_of_their_own_workers_serve() {
    run(|| {
        let other = StreamServer::builder().processes(1).bind(ANY, |_, _| ()).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let inner = Arc::clone(&told);
        let server = StreamServer::builder()
            .processes(2)
            .on_error(move |trouble| inner.lock().unwrap().push(trouble.to_string()))
            .bind(ANY, |stream, _| say_who(stream))
            .unwrap();
        let addr = server.local_addr();
        if worker_number().is_some() {
            let waits = spawn(move || other.serve_forever());
            server.serve_forever().unwrap();
            waits.join().unwrap().unwrap();
            return;
        }
        server.start().unwrap();
        let (first, one) = connect_to_worker(addr);
        let (second, two) = another_worker(addr, &[one]);
        assert!(one != std::process::id() && two != std::process::id());
        // Killed: its connections are gone, and nobody else notices.
        send(one, libc::SIGKILL);
        assert!(ended(first));
        ping(&second);
        let (third, three) = another_worker(addr, &[one, two]);
        ping(&third);
        let told = told.lock().unwrap().join("\n");
        assert!(told.contains("ended: signal: 9"), "{told}");
        eprintln!("{told}");
        // One that is told to end, by whomever, ends in an orderly way.
        let handle = server.handle();
        let stop = spawn(move || handle.stop(LONG));
        until(|| refuses(addr));
        ping(&second);
        ping(&third);
        drop((second, third));
        assert_eq!(stop.join().unwrap().to_string(), "2 finished");
        assert!(!is_alive(two) && !is_alive(three) && !has_children());

        // Again, at the same address, and not in time.
        server.start().unwrap();
        let (stream, pid) = connect_to_worker(addr);
        let report = server.stop(Duration::from_millis(1));
        assert!(!report.killed.is_empty() && report.stuck.is_empty(), "{report}");
        assert!(report.killed.iter().any(|name| name.contains(&format!("(pid {pid})"))));
        assert!(ended(stream) && !has_children());
    });
}

/// Two servers, one of them at a path. What a worker starts is no worker, and has no listener.
#[test]
fn worker_processes_serve_at_a_path() {
    passes("servers::in_processes_of_their_own_workers_serve_at_a_path");
}

#[test]
#[ignore = "starts itself again"]
fn in_processes_of_their_own_workers_serve_at_a_path() {
    run(|| {
        let first = match worker_number() {
            None => std::process::id(),
            Some(_) => std::os::unix::process::parent_id(),
        };
        let path = std::env::temp_dir().join(format!("corovent_workers_{first}"));
        let server = StreamServer::builder().processes(2).bind_unix(&path, |mut stream, _| {
            let name = "servers::in_a_process_of_its_own_a_grandchild";
            let output = child_command(name).output().unwrap();
            assert!(output.status.success());
            stream.write_all(&std::process::id().to_be_bytes())?;
            echo(stream)
        });
        let server = server.unwrap();
        let other = StreamServer::builder().processes(1);
        let other = other.bind(ANY, |stream, _| say_who(stream)).unwrap();
        server.start().unwrap();
        other.start().unwrap();
        if worker_number().is_some() {
            server.serve_forever().unwrap();
            return other.serve_forever().unwrap();
        }
        let connect = || {
            let mut stream = UnixStream::connect(&path).unwrap();
            let mut pid = [0; 4];
            stream.read_exact(&mut pid).unwrap();
            (stream, u32::from_be_bytes(pid))
        };
        let (mut stream, one) = connect();
        let (_stream, two) = connect_to_worker(other.local_addr());
        assert!(one != two && one != std::process::id() && two != std::process::id());
        send(one, libc::SIGKILL);
        assert!(ended(&stream) && path.exists());
        let (next, three) = connect();
        assert!(three != one && three != two);
        stream = next;
        ping(&stream);
        drop(stream);
        // The other's workers have closed this one's listener.
        assert_eq!(server.stop(LONG).to_string(), "2 finished");
        assert!(!path.exists());
        server.start().unwrap();
        assert!(path.exists());
        assert_eq!(server.stop(Duration::ZERO).stuck, Vec::<String>::new());
        ping(&_stream);
        drop(_stream);
        assert_eq!(other.stop(LONG).to_string(), "1 finished");
        assert!(!path.exists() && !has_children());
    });
}

#[test]
#[ignore = "is started by a worker"]
fn in_a_process_of_its_own_a_grandchild() {
    assert!(std::env::var("COROVENT_WORKER").is_ok_and(|value| !value.is_empty()));
    assert_eq!(worker_number(), None);
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        // The one that lists them is closed by now.
        let file = fs::read_link(entry.unwrap().path()).unwrap_or_default();
        assert!(!file.to_string_lossy().contains("socket"), "{file:?}");
    }
}

/// A program that ends before it serves is started again ever more slowly, and a stop does not
/// wait for the next attempt.
#[test]
fn worker_processes_that_end_at_once_are_not_started_without_pause() {
    let said = passes("servers::in_processes_of_their_own_workers_end_at_once");
    for pause in ["100ms", "200ms", "400ms"] {
        let text = format!("worker 0 ended: exit status: 7; the next is started in {pause}");
        assert!(said.contains(&text), "{said}");
    }
}

#[test]
#[ignore = "starts itself again"]
fn in_processes_of_their_own_workers_end_at_once() {
    if worker_number().is_some() {
        std::process::exit(7);
    }
    run(|| {
        let server = StreamServer::builder().processes(1).bind(ANY, |_, _| ()).unwrap();
        server.start().unwrap();
        until(|| server.stats().errors == 3);
        let report = server.stop(LONG);
        assert!(report.is_clean() && !has_children(), "{report}");
    });
}

/// However the first process ends, the workers do.
#[test]
fn worker_processes_end_with_their_parent() {
    let mut parent = child_command("servers::in_processes_of_their_own_workers_are_left");
    let mut parent = parent.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(parent.stdout.take().unwrap());
    let mut line = String::new();
    let pid: u32 = loop {
        line.clear();
        output.read_line(&mut line).unwrap();
        if let Some((_, pid)) = line.trim().rsplit_once("worker is ") {
            break pid.parse().unwrap();
        }
    };
    assert!(is_alive(pid));
    parent.kill().unwrap();
    parent.wait().unwrap();
    // At the end of the pipe all who had it are gone.
    std::io::copy(&mut output, &mut std::io::sink()).unwrap();
}

#[test]
#[ignore = "starts itself again"]
fn in_processes_of_their_own_workers_are_left() {
    run(|| {
        let server = StreamServer::builder()
            .processes(2)
            .grace(Duration::ZERO)
            .bind(ANY, |stream, _| say_who(stream))
            .unwrap();
        if worker_number().is_none() {
            server.start().unwrap();
            let (_stream, pid) = connect_to_worker(server.local_addr());
            println!("worker is {pid}");
            park();
        }
        server.serve_forever().unwrap();
    });
}
