//! Bytes that are moved: sockets, pipes, files, processes, servers.

use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::time::Duration;

use corovent::fs;
use corovent::io::pipe;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::net::ToSocketAddrs;
use corovent::net::UdpSocket;
use corovent::os::unix::net::UnixDatagram;
use corovent::os::unix::net::UnixStream;
use corovent::process::Command;
use corovent::scope;
use corovent::server::StreamServer;
use corovent::timeout;

use crate::Work;

pub(crate) const WORK: &[Work] = &[
    ("TCP: reads of what is there", |count| {
        let (mut client, mut server) = pair();
        for _ in 0..count {
            client.write_all(b"x").unwrap();
            server.read_exact(&mut [0]).unwrap();
        }
    }),
    ("TCP: reads that wait", |count| {
        let (client, server) = pair();
        ping_pong(&client, &server, count);
    }),
    ("TCP: reads whose time is over", |count| {
        let (mut client, _server) = pair();
        client.set_read_timeout(Some(MOMENT)).unwrap();
        (0..count).for_each(|_| assert!(client.read(&mut [0]).is_err()));
        client.set_read_timeout(None).unwrap();
        (0..count).for_each(|_| assert!(timeout(MOMENT, || client.read(&mut [0])).is_err()));
    }),
    ("TCP: writes that wait", |count| {
        let (mut client, server) = pair();
        scope(|scope| {
            scope.spawn(|| io::copy(&mut &server, &mut io::sink()).unwrap());
            (0..count).for_each(|_| client.write_all(&[1; 1 << 14]).unwrap());
            drop(client);
        });
    }),
    ("TCP: accepts of what is there", |count| (0..count / 10).for_each(|_| drop(pair()))),
    ("TCP: accepts that wait", |count| {
        let listener = TcpListener::bind(ANY).unwrap();
        let addr = listener.local_addr().unwrap();
        scope(|scope| {
            scope.spawn(|| (0..count / 10).for_each(|_| drop(listener.accept().unwrap())));
            (0..count / 10).for_each(|_| drop(TcpStream::connect(addr).unwrap()));
        });
    }),
    ("TCP: connects that are refused", |count| {
        let addr = TcpListener::bind(ANY).unwrap().local_addr().unwrap();
        (0..count / 10).for_each(|_| assert!(TcpStream::connect(addr).is_err()));
    }),
    ("UDP", |count| {
        let [one, other] = [(); 2].map(|()| UdpSocket::bind(ANY).unwrap());
        let addr = other.local_addr().unwrap();
        scope(|scope| {
            // One at a time: the kernel drops what it has no room for.
            let (answer, answered) = corovent::sync::mpsc::channel();
            scope.spawn(|| {
                let answer = answer;
                for _ in 0..count {
                    other.recv_from(&mut [0]).unwrap();
                    answer.send(()).unwrap();
                }
            });
            for _ in 0..count {
                one.send_to(b"x", addr).unwrap();
                answered.recv().unwrap();
            }
        });
    }),
    ("Unix streams", |count| {
        let (one, other) = UnixStream::pair().unwrap();
        ping_pong(&one, &other, count);
    }),
    ("Unix datagrams", |count| {
        let (one, other) = UnixDatagram::pair().unwrap();
        scope(|scope| {
            scope.spawn(|| (0..count).for_each(|_| assert_eq!(other.recv(&mut [0]).unwrap(), 1)));
            (0..count).for_each(|_| assert_eq!(one.send(b"x").unwrap(), 1));
        });
    }),
    ("pipes", |count| {
        let (mut reader, mut writer) = pipe().unwrap();
        scope(|scope| {
            scope.spawn(move || (0..count).for_each(|_| reader.read_exact(&mut [0; 512]).unwrap()));
            (0..count).for_each(|_| writer.write_all(&[1; 512]).unwrap());
        });
    }),
    ("copies", |count| {
        for _ in 0..count / 10 {
            let ((client, server), (out, mut found)) = (pair(), pair());
            (&client).write_all(b"word").unwrap();
            drop(client);
            assert_eq!(corovent::io::copy(&mut &server, &mut &out).unwrap(), 4);
            drop(out);
            assert_eq!(found.read_to_end(&mut Vec::new()).unwrap(), 4);
        }
    }),
    ("files", |count| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for _ in 0..count / 10 {
            fs::write(&path, b"word").unwrap();
            let mut file = fs::File::open(&path).unwrap();
            file.seek(SeekFrom::Start(1)).unwrap();
            assert_eq!(file.read_to_end(&mut Vec::new()).unwrap(), 3);
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }),
    ("processes", |count| {
        for _ in 0..count / 100 {
            assert!(Command::new("true").status().unwrap().success());
            assert_eq!(Command::new("echo").arg("x").output().unwrap().stdout, b"x\n");
        }
    }),
    ("lookups", |count| {
        for _ in 0..count / 10 {
            assert!(("127.0.0.1", 80).to_socket_addrs().unwrap().next().is_some());
            assert!(("localhost", 80).to_socket_addrs().unwrap().next().is_some());
        }
    }),
    ("a server", |count| {
        let server = StreamServer::builder()
            .limit(3)
            .bind(ANY, |mut stream: TcpStream, _| io::copy(&mut stream.try_clone()?, &mut stream))
            .unwrap();
        server.start().unwrap();
        for _ in 0..count / 10 {
            let mut client = TcpStream::connect(server.local_addr()).unwrap();
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
        }
        assert!(server.stop(Duration::from_secs(60)).is_clean());
    }),
];

const ANY: &str = "127.0.0.1:0";
const MOMENT: Duration = Duration::from_micros(1);

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(ANY).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Each waits for the other's byte.
fn ping_pong<S>(one: &S, other: &S, count: usize)
where
    for<'a> &'a S: Read + Write,
{
    let say = |mut stream: &S| stream.write_all(b"x").unwrap();
    let hear = |mut stream: &S| stream.read_exact(&mut [0]).unwrap();
    scope(|scope| {
        scope.spawn(|| {
            for _ in 0..count {
                hear(other);
                say(other);
            }
        });
        for _ in 0..count {
            say(one);
            hear(one);
        }
    });
}
