//! What is known of a socket without asking, and when the kernel is asked all the same.

use std::cell::RefCell;
use std::io;
use std::io::ErrorKind;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::thread as os;
use std::time::Duration;

use corovent::net::Shutdown;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::fill;
use crate::support::is_writable;
use crate::support::run;
use crate::tcp::pair;
use crate::tcp::until_readable;
use crate::tcp::with_small_buffers;

const SHORT: Duration = Duration::from_millis(3);

#[test]
fn the_users_wish_not_to_block_is_honoured() {
    run(|| {
        let (mut client, mut server) = pair();
        client.set_nonblocking(true).unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(client.peek(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(client.wait_readable().unwrap_err().kind(), ErrorKind::WouldBlock);
        let chunk = vec![0; 1 << 20];
        let error =
            std::iter::from_fn(|| Some(client.write(&chunk))).find_map(Result::err).unwrap();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        client.set_nonblocking(false).unwrap();
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 1);

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        while listener.accept().is_err() {
            yield_now();
        }
    });
}

#[test]
fn a_reader_may_wait_before_it_takes_a_buffer() {
    run(|| {
        let (client, mut server) = pair();
        let reader = spawn(move || {
            let mut words = Vec::new();
            loop {
                client.wait_readable().unwrap();
                let mut buffer = vec![0; 64];
                let count = (&client).read(&mut buffer).unwrap();
                if count == 0 {
                    return words.concat();
                }
                words.push(String::from_utf8(buffer[..count].to_vec()).unwrap());
            }
        });
        for word in ["one ", "two ", "three"] {
            yield_now();
            server.write_all(word.as_bytes()).unwrap();
            sleep(Duration::from_micros(200));
        }
        drop(server);
        assert_eq!(reader.join().unwrap(), "one two three");
    });
}

#[test]
fn wait_readable_knows_what_came_before_it_was_asked() {
    run(|| {
        let (client, mut server) = pair();
        server.write_all(b"x").unwrap();
        // Never registered, with data there.
        client.wait_readable().unwrap();
        client.wait_readable().unwrap();
        client.wait_writable().unwrap();
        assert_eq!((&client).read(&mut [0; 8]).unwrap(), 1);
        let limit = timeout(SHORT, || client.wait_readable());
        assert!(limit.is_err(), "there is no more");
        client.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(client.wait_readable().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(server);
        client.wait_readable().unwrap();
        assert_eq!((&client).read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn wait_writable_ends_when_there_is_room() {
    run(|| {
        let (mut client, mut server) = pair();
        with_small_buffers(&client);
        client.set_nonblocking(true).unwrap();
        while client.write(&[0; 4096]).is_ok() {}
        client.set_nonblocking(false).unwrap();
        let writer = spawn(move || {
            client.wait_writable().unwrap();
            client.write(&[1]).unwrap()
        });
        yield_now();
        sleep(SHORT);
        assert!(!writer.is_finished());
        let mut sink = vec![0; 1 << 20];
        while !writer.is_finished() {
            let _ = server.read(&mut sink).unwrap();
            yield_now();
        }
        assert_eq!(writer.join().unwrap(), 1);
    });
}

/// A connection of which the hub knows that there is nothing to read.
fn known_empty_pair() -> (TcpStream, TcpStream) {
    let (client, server) = pair();
    assert!(timeout(SHORT, || (&client).read(&mut [0])).is_err());
    (client, server)
}

fn send_urgent(stream: &TcpStream) {
    // SAFETY: the buffer is readable for its one byte.
    let sent = unsafe { libc::send(stream.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1);
}

/// Programs with an event loop of their own: poll(2) says that there is data.
#[test]
fn a_call_that_may_not_wait_sees_what_is_there() {
    run(|| {
        let (mut client, mut server) = known_empty_pair();
        client.set_nonblocking(true).unwrap();
        for _ in 0..3 {
            server.write_all(b"data").unwrap();
            until_readable(&client);
            assert_eq!(client.peek(&mut [0; 8]).unwrap(), 4);
            client.wait_readable().unwrap();
            assert_eq!(client.read(&mut [0; 8]).unwrap(), 4);
            assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(client.wait_readable().unwrap_err().kind(), ErrorKind::WouldBlock);
        }

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(timeout(SHORT, || listener.accept()).is_err());
        listener.set_nonblocking(true).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        until_readable(&listener);
        listener.accept().unwrap();
    });
}

#[test]
fn the_shortest_timeout_sees_what_is_there() {
    run(|| {
        let (mut client, mut server) = known_empty_pair();
        client.set_read_timeout(Some(Duration::from_nanos(1))).unwrap();
        server.write_all(b"x").unwrap();
        until_readable(&client);
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 1);
    });
}

/// A destructor that runs while the coroutine unwinds cannot wait, but need not.
#[test]
fn a_destructor_reads_what_is_there() {
    struct Farewell {
        stream: TcpStream,
        log: Rc<RefCell<Vec<io::Result<usize>>>>,
    }

    impl Drop for Farewell {
        fn drop(&mut self) {
            until_readable(&self.stream);
            self.log.borrow_mut().push(self.stream.wait_readable().map(|()| 0));
            self.log.borrow_mut().push(self.stream.read(&mut [0; 8]));
            self.log.borrow_mut().push(self.stream.wait_readable().map(|()| 0));
            self.log.borrow_mut().push(self.stream.read(&mut [0; 8]));
            self.log.borrow_mut().push(self.stream.write(b"bye"));
        }
    }

    run(|| {
        let (client, mut server) = known_empty_pair();
        let log = Rc::new(RefCell::new(Vec::new()));
        let farewell = Farewell { stream: client, log: Rc::clone(&log) };
        let task = spawn(move || {
            let _farewell = farewell;
            std::panic::resume_unwind(Box::new("unwinding"));
        });
        server.write_all(b"late").unwrap();
        assert!(task.join().is_err());
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "bye");
        let log = log.take().into_iter().map(|result| result.map_err(|error| error.kind()));
        let refused = Err(ErrorKind::Other);
        assert_eq!(log.collect::<Vec<_>>(), [Ok(0), Ok(4), refused, refused, Ok(3)]);
    });
}

#[test]
fn wait_readable_does_not_end_for_nothing() {
    run(|| {
        let waits = |stream: &TcpStream| timeout(SHORT, || stream.wait_readable()).is_err();
        let (client, mut server) = known_empty_pair();
        // A read that filled its buffer proves nothing; the kernel is asked.
        server.write_all(b"1234").unwrap();
        client.wait_readable().unwrap();
        assert_eq!((&client).read(&mut [0; 4]).unwrap(), 4);
        assert!(waits(&client));
        // So is it after an urgent byte, which is not part of the stream.
        send_urgent(&server);
        assert!(waits(&client));
        server.write_all(b"behind").unwrap();
        client.wait_readable().unwrap();
        assert_eq!((&client).read(&mut [0; 16]).unwrap(), 6);
        assert!(waits(&client) && waits(&client));
        server.shutdown(Shutdown::Write).unwrap();
        client.wait_readable().unwrap();
        client.wait_readable().unwrap();
    });
}

/// Two wait, and what comes is enough for one: the other goes on waiting.
#[test]
fn wait_readable_goes_on_when_another_was_faster() {
    run(|| {
        let (client, mut server) = known_empty_pair();
        let client = Rc::new(client);
        let waiters = [(); 2].map(|()| {
            let client = Rc::clone(&client);
            spawn(move || {
                client.wait_readable().unwrap();
                let count = (&*client).read(&mut [0; 8]).unwrap();
                client.set_nonblocking(true).unwrap();
                let rest = (&*client).read(&mut [0; 8]).map_err(|error| error.kind());
                client.set_nonblocking(false).unwrap();
                (count, rest)
            })
        });
        sleep(SHORT);
        for waiter in 0..2 {
            server.write_all(b"x").unwrap();
            while waiters.iter().filter(|waiter| waiter.is_finished()).count() <= waiter {
                sleep(SHORT / 10);
            }
        }
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), (1, Err(ErrorKind::WouldBlock)));
        }
    });
}

/// An end of the other direction makes nothing writable.
#[test]
fn wait_writable_does_not_end_for_nothing() {
    run(|| {
        let (client, server) = pair();
        client.wait_writable().unwrap();
        fill(&client);
        let waits = || timeout(SHORT, || client.wait_writable()).is_err();
        server.shutdown(Shutdown::Write).unwrap();
        until_readable(&client);
        assert!(!is_writable(&client));
        assert!(waits() && waits());
        // Room that was there once may be used up by now.
        let reader = os::spawn(move || io::copy(&mut &server, &mut io::sink()).unwrap());
        client.wait_writable().unwrap();
        drop(client);
        while !reader.is_finished() {
            yield_now();
        }
        reader.join().unwrap();
    });
}

/// More buffers than one call takes, and bytes left in the socket for the next.
#[test]
fn a_vectored_read_of_many_buffers_leaves_the_rest() {
    run(|| {
        let (mut client, mut server) = known_empty_pair();
        server.write_all(&[1; 2000]).unwrap();
        until_readable(&client);
        let mut bytes = [0; 3000];
        let mut bufs: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
        assert_eq!(client.read_vectored(&mut bufs).unwrap(), 1024);
        assert_eq!(client.read_vectored(&mut bufs).unwrap(), 976, "it is there");
    });
}

/// Urgent bytes in every place of the stream: none of the others is stuck behind one.
#[test]
fn urgent_bytes_hold_up_no_others() {
    run(|| {
        for seed in 1..60u32 {
            let (mut client, mut server) = known_empty_pair();
            let writer = os::spawn(move || {
                let mut random = seed.wrapping_mul(2_654_435_761);
                let mut normal = 0;
                for _ in 0..30 {
                    random ^= random << 13;
                    random ^= random >> 17;
                    random ^= random << 5;
                    if random.is_multiple_of(3) {
                        send_urgent(&server);
                    } else {
                        let count = random as usize % 7 + 1;
                        server.write_all(&vec![b'a'; count]).unwrap();
                        normal += count;
                    }
                }
                normal
            });
            let mut total = 0;
            loop {
                match client.read(&mut [0; 64]).unwrap() {
                    0 => break,
                    count => total += count,
                }
            }
            // An urgent byte that another overtakes becomes a normal one.
            assert!(total >= writer.join().unwrap(), "seed {seed}");
        }
    });
}

/// The thread's hub has ended, or never was, and the thread is stopped where it waits.
#[test]
fn a_socket_works_in_a_destructor_of_a_thread_local() {
    struct Late(TcpStream);

    impl Drop for Late {
        fn drop(&mut self) {
            assert_eq!(self.0.read(&mut [0; 8]).unwrap(), 2);
            self.0.wait_writable().unwrap();
            self.0.set_read_timeout(Some(SHORT)).unwrap();
            let error = self.0.wait_readable().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            assert_eq!(self.0.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
            self.0.write_all(b"done").unwrap();
        }
    }

    thread_local! {
        static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
    }

    run(|| {
        for with_hub in [false, true] {
            let (client, mut server) = pair();
            let thread = os::spawn(move || {
                LATE.with_borrow(|late| assert!(late.is_none()));
                if with_hub {
                    let _ = timeout(Duration::ZERO, || client.wait_readable());
                }
                LATE.set(Some(Late(client)));
            });
            server.write_all(b"ab").unwrap();
            let mut text = String::new();
            server.read_to_string(&mut text).unwrap();
            assert_eq!(text, "done");
            thread.join().unwrap();
        }
    });
}
