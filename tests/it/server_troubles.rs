//! Servers in trouble: no descriptors left, no room for a coroutine, clients that are gone,
//! and signals.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use corovent::net::TcpStream;
use corovent::os::unix::net::UnixDatagram;
use corovent::server::DatagramServer;
use corovent::server::StreamServer;
use corovent::server::Trouble;
use corovent::signal;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::mpsc;

use crate::peers::ANY;
use crate::peers::LONG;
use crate::peers::echo;
use crate::peers::ping;
use crate::servers::cpu_time;
use crate::servers::ended;
use crate::servers::refuses;
use crate::servers::send;
use crate::servers::until;
use crate::support::child;
use crate::support::passes;
use crate::support::run;
use crate::tcp::reset_on_close;

/// What was told to the hook of a server.
type Told = Arc<Mutex<Vec<String>>>;

fn hook(told: &Told) -> impl Fn(&Trouble<'_>) + Send + Sync + 'static {
    let told = Arc::clone(told);
    move |trouble| told.lock().unwrap().push(format!("{trouble}"))
}

/// The descriptors run out: the acceptor tries again now and then, those who are connected are
/// served, and so is everybody when there are descriptors again.
#[test]
fn a_server_without_descriptors_neither_spins_nor_gives_up() {
    assert!(passes("server_troubles::in_a_process_of_its_own_without_descriptors").contains("ok"));
}

#[test]
#[ignore = "takes all descriptors of the process"]
fn in_a_process_of_its_own_without_descriptors() {
    run(|| {
        let told = Told::default();
        let server = StreamServer::builder().on_error(hook(&told));
        let server = server.bind(ANY, |stream, _| echo(stream)).unwrap();
        let addr = server.local_addr();
        server.start().unwrap();
        let steady = TcpStream::connect(addr).unwrap();
        ping(&steady);
        let queued: Vec<_> = (0..20).map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
        let mut fill = take_all_descriptors();
        let (cpu, start) = (cpu_time(), Instant::now());
        while start.elapsed() < Duration::from_millis(500) {
            ping(&steady);
            sleep(Duration::from_millis(10));
        }
        let (used, errors) = (cpu_time() - cpu, server.stats().errors);
        assert!(used < Duration::from_millis(200), "{used:?}");
        // The pauses are 10, 20, 40, 80, 160 ms and so on; a hub that is late makes fewer.
        assert!(errors > 0);
        let pauses: u64 = (0..errors - 1).map(|n| 10 << n.min(6)).sum();
        assert!(pauses <= start.elapsed().as_millis() as u64, "{errors}");
        assert_eq!(told.lock().unwrap().len() as u64, errors);
        assert!(told.lock().unwrap()[0].contains("the next attempt is in 10ms"));
        fill.truncate(1);
        let start = Instant::now();
        let clients: Vec<_> =
            queued.into_iter().map(|stream| spawn(move || ping(TcpStream::from(stream)))).collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        let recovery = start.elapsed();
        until(|| server.stats().active == 1);
        // The pauses begin anew, and a stop does not wait for their end.
        let late = std::net::TcpStream::connect(addr).unwrap();
        fill.extend(open_until_none_is_left());
        let before = server.stats().errors;
        until(|| server.stats().errors > before + 4);
        // Nothing can be accepted any more, and the one that is served does not end.
        let report = server.stop(Duration::from_millis(20));
        assert_eq!(report.killed, [steady.local_addr().unwrap().to_string()]);
        assert!(ended(late));
        drop(fill);
        eprintln!("ok: {used:?} of CPU in 500 ms, 20 clients served {recovery:?} later");
    });
}

/// A worker thread that cannot make its hub is not missed in silence.
#[test]
fn a_server_whose_threads_cannot_serve_fails() {
    let said = passes("server_troubles::in_a_process_of_its_own_without_hubs");
    assert!(said.contains("could not serve"), "{said}");
}

#[test]
#[ignore = "takes all descriptors of the process"]
fn in_a_process_of_its_own_without_hubs() {
    run(|| {
        let server = StreamServer::builder().workers(2).bind(ANY, |_, _| ()).unwrap();
        let mut fill = take_all_descriptors();
        // For the second listener.
        fill.truncate(fill.len() - 1);
        let error = server.serve_forever().unwrap_err();
        drop(fill);
        eprintln!("{error}");
        // It may be started again.
        server.start().unwrap();
        assert!(ended(TcpStream::connect(server.local_addr()).unwrap()));
        assert!(server.stop(LONG).is_clean());
    });
}

/// Leaves the process no descriptor but those it has.
fn take_all_descriptors() -> Vec<File> {
    let limit = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
    // SAFETY: `limit` is valid for the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    open_until_none_is_left()
}

fn open_until_none_is_left() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// The connection is closed, the hook told, and the next is accepted.
#[test]
fn want_of_room_for_a_coroutine_is_not_the_end() {
    run(|| {
        let told = Told::default();
        let server = StreamServer::builder().stack_size(usize::MAX).on_error(hook(&told));
        let server = server.bind(ANY, |_, _| ()).unwrap();
        server.start().unwrap();
        for _ in 0..2 {
            assert!(ended(TcpStream::connect(server.local_addr()).unwrap()));
        }
        until(|| told.lock().unwrap().len() == 2);
        assert!(told.lock().unwrap()[0].contains("no coroutine for a handler"));
        let stats = server.stats();
        assert_eq!((stats.errors, stats.accepted, stats.active), (2, 0, 0));
        assert_eq!(server.stop(LONG).finished, 0);
    });
}

/// The address is the one that accept gave: getpeername fails by then.
#[test]
fn a_client_that_is_gone_before_it_is_accepted_is_the_handlers_affair() {
    run(|| {
        let told = Told::default();
        let server = StreamServer::builder().on_error(hook(&told));
        let server = server.bind(ANY, |stream, _| echo(stream)).unwrap();
        let client = TcpStream::connect(server.local_addr()).unwrap();
        let address = client.local_addr().unwrap().to_string();
        reset_on_close(&client);
        drop(client);
        server.start().unwrap();
        until(|| server.stats().failed == 1);
        assert!(told.lock().unwrap()[0].contains(&address));
        ping(TcpStream::connect(server.local_addr()).unwrap());
        assert!(server.stop(LONG).is_clean());
    });
}

/// The recipe of the documentation: the first SIGTERM lets those in flight end.
#[test]
fn a_first_sigterm_drains_and_a_second_exits() {
    assert!(passes("server_troubles::in_a_process_of_its_own_a_sigterm").contains("drained"));
    let output = child("server_troubles::in_a_process_of_its_own_two_sigterms");
    assert_eq!(output.status.code(), Some(9), "{output:?}");
    assert_eq!(output.status.signal(), None);
}

#[test]
#[ignore = "takes SIGTERM over"]
fn in_a_process_of_its_own_a_sigterm() {
    run(|| serve_until_sigterm(false));
}

#[test]
#[ignore = "ends the process"]
fn in_a_process_of_its_own_two_sigterms() {
    serve_until_sigterm(true);
    unreachable!("the process has ended");
}

fn serve_until_sigterm(twice: bool) {
    let server = Rc::new(StreamServer::bind(ANY, |stream, _| echo(stream)).unwrap());
    let (addr, handle) = (server.local_addr(), server.handle());
    let stopper = spawn(move || -> io::Result<()> {
        signal::wait(&[libc::SIGTERM])?;
        handle.request_stop(LONG);
        signal::wait(&[libc::SIGTERM])?;
        std::process::exit(9);
    });
    let inner = Rc::clone(&server);
    let main = spawn(move || inner.serve_forever());
    let stream = TcpStream::connect(addr).unwrap();
    ping(&stream);
    send(std::process::id(), libc::SIGTERM);
    until(|| refuses(addr));
    ping(&stream);
    if twice {
        send(std::process::id(), libc::SIGTERM);
        let Err(error) = main.join().unwrap() else { return };
        panic!("{error}");
    }
    drop(stream);
    main.join().unwrap().unwrap();
    eprintln!("drained");
    stopper.kill();
    drop(stopper.join());
}

#[test]
fn datagrams_are_handled_at_once_and_answered() {
    run(|| {
        let server = DatagramServer::bind(ANY, |data, peer, socket| {
            sleep(Duration::from_millis(1));
            socket.send_to(&data, peer)
        });
        let server = server.unwrap();
        server.start().unwrap();
        let addr = server.local_addr();
        let client = std::net::UdpSocket::bind(ANY).unwrap();
        let client = corovent::net::UdpSocket::from(client);
        for n in 0..50_u8 {
            client.send_to(&[n], addr).unwrap();
        }
        let mut answers: Vec<u8> = (0..50)
            .map(|_| {
                let mut byte = [0];
                assert_eq!(client.recv_from(&mut byte).unwrap(), (1, addr));
                byte[0]
            })
            .collect();
        answers.sort_unstable();
        assert!(answers.into_iter().eq(0..50));
        // As large as they come, and empty.
        for len in [65_507, 0] {
            client.send_to(&vec![7; len], addr).unwrap();
            let mut buf = vec![0; 70_000];
            assert_eq!(client.recv_from(&mut buf).unwrap().0, len);
        }
        assert_eq!(server.stats().accepted, 52);
        assert!(server.stop(LONG).is_clean());
        // And again, at the same address.
        server.start().unwrap();
        client.send_to(&[9], addr).unwrap();
        client.recv_from(&mut [0]).unwrap();
        assert!(server.stop(LONG).is_clean());
    });
}

/// gevent's rule for a full pool, and a stop that says whose datagrams were not handled.
#[test]
fn a_datagram_server_keeps_its_limit_and_its_report() {
    run(|| {
        let (sender, receiver) = mpsc::channel::<()>();
        let receiver = Rc::new(receiver);
        let server = DatagramServer::builder().limit(2).bind(ANY, move |_, _, _| {
            let _ = Rc::clone(&receiver).recv();
        });
        let server = server.unwrap();
        server.start().unwrap();
        let client = std::net::UdpSocket::bind(ANY).unwrap();
        for _ in 0..5 {
            client.send_to(b"x", server.local_addr()).unwrap();
        }
        until(|| server.stats().active == 2);
        sleep(Duration::from_millis(1));
        assert_eq!(server.stats().accepted, 2);
        sender.send(()).unwrap();
        until(|| server.stats().accepted == 3);
        server.handle().request_stop(LONG);
        // Those in the buffer are received, to wait for their turn.
        until(|| server.stats().accepted == 5);
        let report = server.stop(Duration::ZERO);
        assert_eq!((report.finished, report.killed.len()), (0, 4), "{report}");
        assert_eq!(report.killed[0], client.local_addr().unwrap().to_string());
        drop(sender);
    });
}

/// Nobody listens where the answer goes to; the next is served all the same.
#[test]
fn errors_that_the_network_sends_back_do_not_stop_a_datagram_server() {
    run(|| {
        let told = Told::default();
        let socket = std::net::UdpSocket::bind(ANY).unwrap();
        let addr = socket.local_addr().unwrap();
        // Connected, so that the kernel says so.
        let peer = std::net::UdpSocket::bind(ANY).unwrap();
        peer.connect(addr).unwrap();
        socket.connect(peer.local_addr().unwrap()).unwrap();
        let server = DatagramServer::builder()
            .on_error(hook(&told))
            .socket(corovent::net::UdpSocket::from(socket), |data, _, socket| socket.send(&data));
        let server = server.unwrap();
        peer.send(b"x").unwrap();
        let again = peer.local_addr().unwrap();
        drop(peer);
        server.start().unwrap();
        until(|| server.stats().errors == 1);
        assert!(told.lock().unwrap()[0].contains("refused"));
        let peer = std::net::UdpSocket::bind(again).unwrap();
        peer.connect(addr).unwrap();
        peer.send(b"y").unwrap();
        let peer = corovent::net::UdpSocket::from(peer);
        let mut byte = [0];
        peer.recv(&mut byte).unwrap();
        assert_eq!(&byte, b"y");
        assert!(server.stop(LONG).is_clean());
    });
}

#[test]
fn a_unix_datagram_server_takes_its_file_along() {
    run(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server");
        let server = DatagramServer::bind_unix(&path, |data, peer, socket| {
            socket.send_to_addr(&data, &peer)
        });
        let server = server.unwrap();
        let client = UnixDatagram::bind(directory.path().join("client")).unwrap();
        for _ in 0..2 {
            server.start().unwrap();
            client.send_to(b"ping", &path).unwrap();
            let mut buf = [0; 8];
            assert_eq!(client.recv_from(&mut buf).unwrap().0, 4);
            assert!(server.stop(LONG).is_clean());
            assert!(!path.exists());
        }
        let error = DatagramServer::bind_unix("/nowhere/socket", |_, _, _| ()).unwrap_err();
        assert!(error.to_string().contains("/nowhere/socket"), "{error}");
    });
}

#[test]
fn one_datagram_is_handled_at_a_time() {
    run(|| {
        let server = DatagramServer::bind(ANY, |data, peer, socket| socket.send_to(&data, peer));
        let server = server.unwrap();
        let client = corovent::net::UdpSocket::bind(ANY).unwrap();
        let addr = server.local_addr();
        for _ in 0..2 {
            client.send_to(b"x", addr).unwrap();
            server.handle_request().unwrap();
            client.recv_from(&mut [0]).unwrap();
        }
        let short = Duration::from_millis(3);
        assert!(corovent::timeout(short, || server.handle_request()).is_err());
        server.start().unwrap();
        assert_eq!(server.handle_request().unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(server.stop(LONG).is_clean());
    });
}

/// An empty datagram is one; of one that is longer than 64 KiB the rest is cut off; and one
/// without an address cannot be answered, which is the handler's affair.
#[test]
fn datagrams_of_all_sizes_are_handled() {
    run(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server");
        let lens = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&lens);
        let builder = DatagramServer::builder().on_error(|_| ());
        let server = builder.bind_unix(&path, move |data: Vec<u8>, peer, socket: &UnixDatagram| {
            seen.borrow_mut().push(data.len());
            socket.send_to_addr(b"x", &peer)
        });
        let server = server.unwrap();
        server.start().unwrap();
        let client = UnixDatagram::bind(directory.path().join("client")).unwrap();
        for len in [0, 1, 64 << 10, 100_000] {
            assert_eq!(client.send_to(&vec![7; len], &path).unwrap(), len);
            assert_eq!(client.recv_from(&mut [0; 8]).unwrap().0, 1);
        }
        assert_eq!(*lens.borrow(), [0, 1, 64 << 10, 64 << 10]);
        UnixDatagram::unbound().unwrap().send_to(b"x", &path).unwrap();
        until(|| server.stats().failed == 1);
        assert!(server.stop(LONG).is_clean());

        let server = DatagramServer::bind(ANY, |data, peer, socket| socket.send_to(&data, peer));
        let server = server.unwrap();
        server.start().unwrap();
        let client = corovent::net::UdpSocket::bind(ANY).unwrap();
        let mut buf = vec![1; 70_000];
        for len in [0, 65_507] {
            client.send_to(&vec![7; len], server.local_addr()).unwrap();
            assert_eq!(client.recv_from(&mut buf).unwrap().0, len);
        }
        assert!(server.stop(LONG).is_clean());
    });
}
