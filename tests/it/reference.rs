//! OS threads as the reference: the same program, once with std's names and once with ours,
//! must come out the same.

/// A program in both worlds: `$std` and `$green` are modules with the same body.
macro_rules! in_both_worlds {
    ($std:ident, $green:ident, $body:tt) => {
        mod $std {
            #[allow(unused_imports)]
            use std::net::{Shutdown, TcpListener, TcpStream};
            #[allow(unused_imports)]
            use std::thread::{self, spawn};

            in_both_worlds!(@body $body);
        }

        mod $green {
            #[allow(unused_imports)]
            use corovent::net::{Shutdown, TcpListener, TcpStream};
            #[allow(unused_imports)]
            use corovent::thread::{self, spawn};

            in_both_worlds!(@body $body);
        }
    };
    (@body { $($body:tt)* }) => { $($body)* };
}

in_both_worlds!(std_echo, green_echo, {
    use std::io::{Read, Write};

    /// Clients that each send words and collect what comes back.
    pub(super) fn program() -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = spawn(move || {
            let handlers: Vec<_> = listener
                .incoming()
                .take(20)
                .map(|stream| {
                    let mut stream = stream.unwrap();
                    spawn(move || {
                        let mut buffer = [0; 7];
                        loop {
                            let count = stream.read(&mut buffer).unwrap();
                            if count == 0 {
                                break;
                            }
                            stream.write_all(&buffer[..count]).unwrap();
                        }
                    })
                })
                .collect();
            handlers.into_iter().for_each(|handler| handler.join().unwrap());
        });
        let clients: Vec<_> = (0..20)
            .map(|n| {
                spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    let mut got = String::new();
                    for word in 0..n {
                        let text = format!("client {n} word {word};");
                        stream.write_all(text.as_bytes()).unwrap();
                        let mut answer = vec![0; text.len()];
                        stream.read_exact(&mut answer).unwrap();
                        got += std::str::from_utf8(&answer).unwrap();
                    }
                    got
                })
            })
            .collect();
        let results = clients.into_iter().map(|client| client.join().unwrap()).collect();
        server.join().unwrap();
        results
    }
});

in_both_worlds!(std_ping_pong, green_ping_pong, {
    use std::io::{Read, Write};

    /// Two ends that answer each other.
    pub(super) fn program() -> Vec<u32> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut left = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut right, _) = listener.accept().unwrap();
        let other = spawn(move || {
            let mut number = [0; 4];
            while right.read_exact(&mut number).is_ok() {
                let next = u32::from_be_bytes(number) * 3 + 1;
                right.write_all(&next.to_be_bytes()).unwrap();
            }
        });
        let mut numbers = vec![1u32];
        for _ in 0..15 {
            left.write_all(&numbers.last().unwrap().to_be_bytes()).unwrap();
            let mut answer = [0; 4];
            left.read_exact(&mut answer).unwrap();
            numbers.push(u32::from_be_bytes(answer));
        }
        drop(left);
        other.join().unwrap();
        numbers
    }
});

in_both_worlds!(std_half_close, green_half_close, {
    use std::io::{Read, Write};

    /// One end says that it is through, and the other answers all the same; then both find
    /// out what a closed connection gives.
    pub(super) fn program() -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let answering = spawn(move || {
            let mut question = String::new();
            server.read_to_string(&mut question).unwrap();
            server.write_all(question.chars().rev().collect::<String>().as_bytes()).unwrap();
            server.shutdown(Shutdown::Write).unwrap();
            let again = server.read(&mut [0; 8]);
            let twice = server.write(b"x").map_err(|error| error.kind());
            format!("{question} {again:?} {twice:?}")
        });
        client.write_all(b"half-closed").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        let end = format!("{:?}", client.read(&mut [0; 8]).map_err(|error| error.kind()));
        let write = format!("{:?}", client.write(b"x").map_err(|error| error.kind()));
        vec![answer, end, write, answering.join().unwrap()]
    }
});

in_both_worlds!(std_big_write, green_big_write, {
    use std::io::{Read, Write};

    /// Much more than the socket holds, to a reader that takes odd pieces.
    pub(super) fn program() -> (usize, u64) {
        const TOTAL: usize = 3_000_000;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let writer = spawn(move || {
            let data: Vec<u8> = (0..TOTAL).map(|n| (n * 31 % 256) as u8).collect();
            client.write_all(&data).unwrap();
        });
        let mut sum = 0u64;
        let mut seen = 0;
        let mut buffer = vec![0; 12_345];
        loop {
            let count = server.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            let weigh = |(at, byte): (usize, &u8)| (seen + at) as u64 * u64::from(*byte);
            sum = buffer[..count].iter().enumerate().map(weigh).fold(sum, u64::wrapping_add);
            seen += count;
        }
        writer.join().unwrap();
        (seen, sum)
    }
});

in_both_worlds!(std_panics, green_panics, {
    /// What a joiner gets of threads that return, panic, and have a name.
    pub(super) fn program() -> Vec<String> {
        let named = thread::Builder::new().name("named".to_owned());
        let named = named.spawn(|| thread::current().name().map(str::to_owned)).unwrap();
        let panics = spawn(|| -> u8 { std::panic::panic_any("payload") });
        let parked = spawn(|| {
            thread::park();
            "unparked"
        });
        parked.thread().unpark();
        vec![
            format!("{:?}", named.join().unwrap()),
            format!("{:?}", panics.join().unwrap_err().downcast_ref::<&str>()),
            parked.join().unwrap().to_owned(),
        ]
    }
});

#[test]
fn the_same_echo() {
    let expected = std_echo::program();
    crate::support::run(|| assert_eq!(green_echo::program(), expected));
}

#[test]
fn the_same_ping_pong() {
    let expected = std_ping_pong::program();
    crate::support::run(|| assert_eq!(green_ping_pong::program(), expected));
}

#[test]
fn the_same_half_close() {
    let expected = std_half_close::program();
    crate::support::run(|| assert_eq!(green_half_close::program(), expected));
}

#[test]
fn the_same_big_write() {
    let expected = std_big_write::program();
    crate::support::run(|| assert_eq!(green_big_write::program(), expected));
}

#[test]
fn the_same_panics_names_and_tokens() {
    let expected = std_panics::program();
    crate::support::run(|| assert_eq!(green_panics::program(), expected));
}
