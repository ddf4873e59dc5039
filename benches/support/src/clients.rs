//! The other ends of many connections, in a process with descriptors of its own.
//!
//! The program runs itself once more as that process, so its `main` first calls
//! [`become_clients`].

use std::env;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

const MESSAGE_BYTES: usize = 64;

/// Connections that others hold open, each after one echoed message.
pub struct Clients {
    child: Child,
}

impl Clients {
    /// Starts to connect; the caller serves meanwhile.
    pub fn start(addr: SocketAddr, connections: usize) -> Clients {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--clients", &addr.to_string(), &connections.to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Clients { child }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the clients' process if the arguments say so, until its stdin ends.
pub fn become_clients() {
    let args: Vec<String> = env::args().collect();
    let [_, role, addr, connections] = args.as_slice() else { return };
    if role != "--clients" {
        return;
    }
    raise_fd_limit();
    let held: Vec<TcpStream> =
        (0..connections.parse().unwrap()).map(|_| talk(addr.parse().unwrap())).collect();
    // The parent's end closes with the parent, however that ends.
    let _ = io::stdin().read(&mut [0]);
    drop(held);
    std::process::exit(0);
}

fn talk(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    let message = [7; MESSAGE_BYTES];
    let mut answer = [0; MESSAGE_BYTES];
    stream.write_all(&message).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, message);
    stream
}

/// Reads one line that a child prints when it is ready.
pub fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// Each connection takes a descriptor; gives how many there may be.
pub fn raise_fd_limit() -> usize {
    use rustix::process::Resource;

    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If that is refused, fewer connections are possible.
    let _ = rustix::process::setrlimit(Resource::Nofile, limit);
    let current = rustix::process::getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |limit| limit as usize)
}
