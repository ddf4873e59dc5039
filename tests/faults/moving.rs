//! Errors of recvfrom(2), sendto(2) and their vectored kin: what was not moved can be moved again,
//! and what was moved is counted.

use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::net::UdpSocket;
use corovent::spawn;

use crate::peers::ANY;
use crate::strace::code;
use crate::strace::inject;
use crate::support::run;

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(ANY).unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

const CALLS: [&str; 4] = ["recvfrom", "sendto", "recvmsg", "sendmsg"];

/// Every second call of each kind is interrupted, and nobody sees it.
#[test]
fn interrupted_calls_are_made_again() {
    let faults = CALLS.map(|call| format!("{call}:error=EINTR:when=1+2"));
    let faults = faults.each_ref().map(String::as_str);
    let Some(traced) = inject("moving::child_moves", &faults) else { return };
    for call in CALLS {
        assert!(traced.injected(call) >= 5, "{call}: {}", traced.injected(call));
    }
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_moves() {
    run(|| {
        let (mut one, mut other) = pair();
        let echo = spawn(move || {
            let mut buf = [0; 16];
            loop {
                let (left, right) = buf.split_at_mut(8);
                let mut bufs = [IoSliceMut::new(left), IoSliceMut::new(right)];
                let count = other.read_vectored(&mut bufs).unwrap();
                if count == 0 {
                    return;
                }
                other.write_all(&buf[..count]).unwrap();
            }
        });
        let mut buf = [0; 16];
        for n in 0..10u8 {
            let (left, right) = ([n; 8], [n + 1; 8]);
            let bufs = [IoSlice::new(&left), IoSlice::new(&right)];
            assert_eq!(one.write_vectored(&bufs).unwrap(), 16);
            one.read_exact(&mut buf).unwrap();
            assert_eq!(buf[..8], left);
            assert_eq!(buf[8..], right);
        }
        drop(one);
        echo.join().unwrap();
        let (one, other) = (UdpSocket::bind(ANY).unwrap(), UdpSocket::bind(ANY).unwrap());
        one.connect(other.local_addr().unwrap()).unwrap();
        let reader = spawn(move || {
            let mut buf = [0; 8];
            for n in 0..10u8 {
                assert_eq!(other.recv_from(&mut buf).unwrap().0, 1);
                assert_eq!(buf[0], n);
            }
        });
        (0..10u8).for_each(|n| assert_eq!(one.send(&[n]).unwrap(), 1));
        reader.join().unwrap();
    });
}

/// An error of one call is given once, as it is, and no byte is lost by it.
#[test]
fn an_error_that_passes_takes_no_byte_along() {
    for (error, code) in [
        ("ENOBUFS", libc::ENOBUFS),
        ("ENOMEM", libc::ENOMEM),
        ("EFAULT", libc::EFAULT),
        ("EPERM", libc::EPERM),
    ] {
        let faults =
            [format!("recvfrom:error={error}:when=3"), format!("sendto:error={error}:when=2")];
        let faults = faults.each_ref().map(String::as_str);
        let Some(traced) = inject("moving::child_meets_errors", &faults) else { return };
        assert!(traced.said.contains(&format!("written: {:?}", [0, code, 0])), "{}", traced.said);
        assert!(traced.said.contains(&format!("read: {:?}", [code])), "{}", traced.said);
    }
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_meets_errors() {
    run(|| {
        let (mut one, mut other) = pair();
        let code =
            |result: std::io::Result<usize>| result.map_or_else(|e| code::<()>(Err(e)), |_| 0);
        let written = ["first", "second", "third"].map(|text| code(one.write(text.as_bytes())));
        eprintln!("written: {written:?}");
        drop(one);
        let (mut text, mut errors, mut buf) = (Vec::new(), Vec::new(), [0; 3]);
        loop {
            match other.read(&mut buf) {
                Ok(0) => break,
                Ok(count) => text.extend_from_slice(&buf[..count]),
                error => errors.push(code(error)),
            }
        }
        eprintln!("read: {errors:?}");
        assert_eq!(text, b"firstthird");
    });
}

/// The part that was written before is counted, and the rest can be written by the next call:
/// no byte is lost, and none sent twice.
#[test]
fn an_error_in_the_middle_of_a_write_tells_of_the_part() {
    for error in ["ECONNRESET", "EPIPE", "ENOBUFS", "ENOMEM", "EINTR"] {
        let fault = format!("sendto:error={error}:when=2+3");
        let Some(traced) = inject("moving::child_writes_much", &[&fault]) else { return };
        assert!(traced.injected("sendto") >= 2, "{error}: {}", traced.injected("sendto"));
    }
}

/// One that lasts is given by the call after the one that told of the part.
#[test]
fn an_error_that_lasts_comes_with_the_next_write() {
    for (error, code) in [("ECONNRESET", libc::ECONNRESET), ("EPIPE", libc::EPIPE)] {
        let fault = format!("sendto:error={error}:when=2+");
        let Some(traced) = inject("moving::child_cannot_write_all", &[&fault]) else { return };
        assert!(traced.said.contains(&format!("error: {code},")), "{}", traced.said);
    }
}

const MUCH: usize = 16 << 20;

fn byte_at(n: usize) -> u8 {
    (n % 251) as u8
}

/// Reads to the end; gives how much that was.
fn read_all(mut stream: TcpStream) -> usize {
    let (mut total, mut buf) = (0, vec![0; 64 * 1024]);
    loop {
        match stream.read(&mut buf).unwrap() {
            0 => return total,
            count => {
                let is_right = |(n, byte): (usize, &u8)| *byte == byte_at(total + n);
                assert!(buf[..count].iter().enumerate().all(is_right), "after {total}");
                total += count;
            }
        }
    }
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_writes_much() {
    run(|| {
        let (mut one, other) = pair();
        let data: Vec<u8> = (0..MUCH).map(byte_at).collect();
        let reader = spawn(move || read_all(other));
        let (mut written, mut errors) = (0, 0);
        while written < MUCH {
            match one.write(&data[written..]) {
                Ok(count) => written += count,
                Err(_) => errors += 1,
            }
        }
        // Errors at the beginning of a write are those of the call; in its middle they are none.
        eprintln!("errors: {errors}");
        drop(one);
        assert_eq!(reader.join().unwrap(), MUCH);
    });
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_cannot_write_all() {
    run(|| {
        let (mut one, other) = pair();
        let data: Vec<u8> = (0..MUCH).map(byte_at).collect();
        let reader = spawn(move || read_all(other));
        let written = one.write(&data).unwrap();
        assert!(0 < written && written < MUCH, "{written}");
        eprintln!("error: {},", code(one.write(&data[written..])));
        drop(one);
        assert_eq!(reader.join().unwrap(), written);
    });
}
