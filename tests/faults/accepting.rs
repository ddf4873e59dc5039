//! Errors of accept4(2): which a server passes over, waits out, or ends by; and that a listener
//! gives them as they are and goes on.

use std::net::TcpStream as StdStream;
use std::time::Duration;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::server::StreamServer;
use corovent::sleep;
use corovent::spawn;

use crate::peers::ANY;
use crate::peers::LONG;
use crate::peers::echo;
use crate::peers::ping;
use crate::strace::inject;
use crate::support::run;

/// What has run out comes back: the server says so, waits, and serves everybody.
#[test]
fn a_server_waits_until_there_is_something_again() {
    for error in ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EPERM", "EOPNOTSUPP"] {
        let fault = format!("accept4:error={error}:when=1..4");
        let Some(traced) = inject("accepting::child_serves", &[&fault]) else { return };
        assert_eq!(traced.injected("accept4"), 4, "{error}");
        for pause in ["10ms", "20ms", "40ms", "80ms"] {
            let line = format!("the next attempt is in {pause}");
            assert!(traced.said.contains(&line), "{error}: {}", traced.said);
        }
        // It asks once for each pause, and once more than there are clients for each of them.
        assert!(traced.count("accept4") <= 4 + 2 * CLIENTS + 2, "{}", traced.count("accept4"));
    }
}

/// The error is that of one connection, which is gone; the next may be there.
#[test]
fn a_server_passes_over_a_connection_that_is_lost() {
    let lost = ["ECONNABORTED", "EPROTO", "ENETDOWN", "ENETUNREACH"];
    for error in lost.iter().chain(&["EHOSTDOWN", "EHOSTUNREACH", "ENONET", "ENOPROTOOPT"]) {
        let fault = format!("accept4:error={error}:when=1..3");
        let Some(traced) = inject("accepting::child_serves", &[&fault]) else { return };
        assert_eq!(traced.injected("accept4"), 3, "{error}");
        assert_eq!(traced.said.matches("told: accept:").count(), 3, "{}", traced.said);
        assert!(!traced.said.contains("the next attempt"), "{error}: {}", traced.said);
    }
}

const CLIENTS: usize = 5;

#[test]
#[ignore = "its calls are made to fail"]
fn child_serves() {
    run(|| {
        let server = StreamServer::builder().on_error(|trouble| eprintln!("told: {trouble}"));
        let server = server.bind(ANY, |stream, _| echo(stream)).unwrap();
        server.start().unwrap();
        for _ in 0..CLIENTS {
            ping(TcpStream::connect(server.local_addr()).unwrap());
        }
        assert!(server.stop(LONG).is_clean());
    });
}

/// A listener that is none any more cannot be served on: the server says so, and has ended.
#[test]
fn a_server_ends_with_its_listener() {
    for (error, code) in
        [("EBADF", libc::EBADF), ("EINVAL", libc::EINVAL), ("ENOTSOCK", libc::ENOTSOCK)]
    {
        let fault = format!("accept4:error={error}:when=3");
        let Some(traced) = inject("accepting::child_serves_to_the_end", &[&fault]) else { return };
        assert!(traced.said.contains(&format!("error: Some({code})")), "{}", traced.said);
    }
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_serves_to_the_end() {
    run(|| {
        let server = StreamServer::bind(ANY, |stream: TcpStream, _| echo(stream)).unwrap();
        let addr = server.local_addr();
        // They are served as long as that goes; each makes the server accept again.
        let clients = spawn(move || {
            while let Ok(stream) = TcpStream::connect(addr) {
                drop(stream);
                sleep(Duration::from_millis(1));
            }
        });
        let error = server.serve_forever().unwrap_err();
        eprintln!("error: {:?}", error.raw_os_error());
        clients.join().unwrap();
    });
}

/// As std's listener does; only EINTR is tried again. No connection is lost by it.
#[test]
fn a_listener_gives_the_error_and_loses_no_connection() {
    let all = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EPERM", "ECONNABORTED", "EPROTO"];
    for error in all {
        let fault = format!("accept4:error={error}:when=2+2");
        let Some(traced) = inject("accepting::child_accepts", &[&fault]) else { return };
        let injected = traced.injected("accept4");
        assert!(injected > 2, "{error}: {injected}");
        assert!(traced.said.contains(&format!("errors: {injected}")), "{}", traced.said);
    }
    let Some(traced) = inject("accepting::child_accepts", &["accept4:error=EINTR:when=2+2"]) else {
        return;
    };
    assert!(traced.said.contains("errors: 0"), "{}", traced.said);
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_accepts() {
    run(|| {
        let listener = TcpListener::bind(ANY).unwrap();
        let addr = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..CLIENTS).map(|_| StdStream::connect(addr).unwrap()).collect();
        let (mut accepted, mut errors) = (Vec::new(), 0);
        while accepted.len() < clients.len() {
            match listener.accept() {
                Ok((_, peer)) => accepted.push(peer),
                Err(_) => errors += 1,
            }
        }
        accepted.sort();
        let mut sent: Vec<_> = clients.iter().map(|one| one.local_addr().unwrap()).collect();
        sent.sort();
        assert_eq!(accepted, sent);
        eprintln!("errors: {errors}");
    });
}
