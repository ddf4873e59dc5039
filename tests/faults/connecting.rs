//! Errors of connect(2), and of the socket(2) before it.

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::net::UdpSocket;
use corovent::os::unix::net::UnixStream;
use corovent::spawn;

use crate::peers::ANY;
use crate::peers::echo;
use crate::peers::ping;
use crate::strace::code;
use crate::strace::inject;
use crate::support::run;

#[test]
fn a_connect_that_is_interrupted_goes_on() {
    let fault = "connect:error=EINTR:when=1..5";
    let Some(traced) = inject("connecting::child_connects", &[fault]) else { return };
    assert_eq!(traced.injected("connect"), 5);
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_connects() {
    run(|| {
        let listener = TcpListener::bind(ANY).unwrap();
        let addr = listener.local_addr().unwrap();
        let server = spawn(move || echo(listener.accept().unwrap().0));
        ping(TcpStream::connect(addr).unwrap());
        server.join().unwrap().unwrap();
    });
}

/// The error is given as it is, the next attempt is whole, and of several addresses the next is
/// tried.
#[test]
fn an_error_of_connect_is_given_as_it_is() {
    for (error, code) in [
        ("EADDRNOTAVAIL", libc::EADDRNOTAVAIL),
        ("ENETUNREACH", libc::ENETUNREACH),
        ("EHOSTUNREACH", libc::EHOSTUNREACH),
        ("ETIMEDOUT", libc::ETIMEDOUT),
        ("EACCES", libc::EACCES),
        ("ENOBUFS", libc::ENOBUFS),
    ] {
        let fault = format!("connect:error={error}:when=1");
        let Some(traced) = inject("connecting::child_cannot_connect", &[&fault]) else { return };
        assert!(traced.said.contains(&format!("error: {code},")), "{}", traced.said);
        assert!(inject("connecting::child_tries_two_addresses", &[&fault]).is_some());
    }
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_cannot_connect() {
    run(|| {
        let listener = TcpListener::bind(ANY).unwrap();
        let addr = listener.local_addr().unwrap();
        eprintln!("error: {},", code(TcpStream::connect(addr)));
        let server = spawn(move || echo(listener.accept().unwrap().0));
        ping(TcpStream::connect(addr).unwrap());
        server.join().unwrap().unwrap();
    });
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_tries_two_addresses() {
    run(|| {
        let listener = TcpListener::bind(ANY).unwrap();
        let addr = listener.local_addr().unwrap();
        let server = spawn(move || echo(listener.accept().unwrap().0));
        ping(TcpStream::connect(&[addr, addr][..]).unwrap());
        server.join().unwrap().unwrap();
    });
}

/// Without a socket there is an error, and nothing else.
#[test]
fn want_of_sockets_is_an_error_of_the_call() {
    for (error, code) in [
        ("EMFILE", libc::EMFILE),
        ("ENFILE", libc::ENFILE),
        ("ENOMEM", libc::ENOMEM),
        ("ENOBUFS", libc::ENOBUFS),
    ] {
        let faults =
            [format!("socket:error={error}:when=1..4"), format!("socketpair:error={error}:when=1")];
        let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
        let Some(traced) = inject("connecting::child_has_no_sockets", &faults) else { return };
        assert_eq!(traced.injected("socket"), 4);
        assert!(traced.said.contains(&format!("errors: {:?}", [code; 5])), "{}", traced.said);
    }
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_has_no_sockets() {
    run(|| {
        let errors = [
            code(TcpListener::bind(ANY)),
            code(TcpStream::connect("127.0.0.1:9")),
            code(UdpSocket::bind(ANY)),
            code(UnixStream::connect("/nowhere")),
            code(UnixStream::pair()),
        ];
        eprintln!("errors: {errors:?}");
        // What is there again is used.
        let listener = TcpListener::bind(ANY).unwrap();
        let addr = listener.local_addr().unwrap();
        let server = spawn(move || echo(listener.accept().unwrap().0));
        ping(TcpStream::connect(addr).unwrap());
        server.join().unwrap().unwrap();
    });
}
