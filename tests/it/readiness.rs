//! What is known of a socket without asking, and when the kernel is asked all the same.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::run;
use crate::tcp::pair;
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
