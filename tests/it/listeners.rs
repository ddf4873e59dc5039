//! Listeners: who gets a connection, and whose O_NONBLOCK it is.

use std::cell::Cell;
use std::cell::RefCell;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::spawn;
use corovent::yield_now;

use crate::support::run;
use crate::tcp::reset_on_close;

/// Ten accept from one listener: each connection goes to one, and none is lost.
#[test]
fn several_accept_from_one_listener() {
    run(|| {
        const EACH: usize = 5;
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = listener.local_addr().unwrap();
        let served = Rc::new(RefCell::new(vec![0; 10]));
        let acceptors: Vec<_> = (0..10)
            .map(|n| {
                let (listener, served) = (Rc::clone(&listener), Rc::clone(&served));
                spawn(move || {
                    for _ in 0..EACH {
                        let (mut stream, peer) = listener.accept().unwrap();
                        stream.write_all(peer.port().to_string().as_bytes()).unwrap();
                        served.borrow_mut()[n] += 1;
                    }
                })
            })
            .collect();
        yield_now();
        let clients: Vec<_> = (0..10 * EACH)
            .map(|_| {
                spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    let mut text = String::new();
                    stream.read_to_string(&mut text).unwrap();
                    assert_eq!(text, stream.local_addr().unwrap().port().to_string());
                })
            })
            .collect();
        clients.into_iter().for_each(|task| task.join().unwrap());
        acceptors.into_iter().for_each(|task| task.join().unwrap());
        assert!(served.borrow().iter().all(|served| *served == EACH));
    });
}

#[test]
fn an_address_in_use_or_absent_cannot_be_bound() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = TcpListener::bind(listener.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let error = TcpListener::bind("192.0.2.1:0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

/// The client resets before it is accepted: Linux hands the connection over, and the read
/// tells.
#[test]
fn a_client_that_is_gone_before_accept_is_found_out_by_the_read() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        reset_on_close(&client);
        drop(client);
        let (mut stream, peer) = listener.accept().unwrap();
        assert!(peer.ip().is_loopback(), "the address is the one accept gave");
        assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    });
}

/// A storm of connections while the acceptor is busy with each.
#[test]
fn a_storm_of_connections_is_accepted() {
    const COUNT: usize = if cfg!(debug_assertions) { 1_000 } else { 3_000 };

    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let served = Rc::new(Cell::new(0));
        let acceptor = spawn({
            let served = Rc::clone(&served);
            move || {
                for stream in listener.incoming().take(COUNT) {
                    let (mut stream, served) = (stream.unwrap(), Rc::clone(&served));
                    spawn(move || {
                        let mut byte = [0];
                        stream.read_exact(&mut byte).unwrap();
                        stream.write_all(&byte).unwrap();
                        served.set(served.get() + 1);
                    });
                }
            }
        });
        let clients: Vec<_> = (0..COUNT)
            .map(|n| {
                spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    let byte = [n as u8];
                    stream.write_all(&byte).unwrap();
                    let mut answer = [0];
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, byte);
                })
            })
            .collect();
        clients.into_iter().for_each(|task| task.join().unwrap());
        acceptor.join().unwrap();
        assert_eq!(served.get(), COUNT);
    });
}
