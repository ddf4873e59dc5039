//! The load for one server: an epoll loop in a process of its own.

use std::env;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;

use crate::LOAD_CPU;
use crate::epoll;
use crate::support::clients::raise_fd_limit;

const MESSAGE_BYTES: usize = 64;

/// The load as its parent sees it.
pub(crate) struct LoadProcess {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl LoadProcess {
    pub(crate) fn start(addr: SocketAddr, connections: usize) -> LoadProcess {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--load", &addr.to_string(), &connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        LoadProcess { child, answers }
    }

    /// Has so many requests done.
    pub(crate) fn run(&mut self, requests: usize) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{requests}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n", "the load has failed");
    }
}

impl Drop for LoadProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connections that each have one request under way.
pub(crate) struct Load {
    epoll: OwnedFd,
    streams: Vec<TcpStream>,
}

impl Load {
    /// Does as many requests as each line of stdin says, until it ends.
    pub(crate) fn serve(addr: SocketAddr, connections: usize) {
        raise_fd_limit();
        epoll::pin(LOAD_CPU);
        let mut load = Load::connect(addr, connections);
        for line in io::stdin().lines() {
            load.run(line.unwrap().trim().parse().unwrap());
            println!("done");
        }
    }

    fn connect(addr: SocketAddr, connections: usize) -> Load {
        let epoll = epoll::create();
        let mut streams = Vec::new();
        for n in 0..connections {
            let stream = TcpStream::connect(addr).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_nonblocking(true).unwrap();
            epoll::add(epoll.as_raw_fd(), stream.as_raw_fd(), n as u64);
            streams.push(stream);
        }
        Load { epoll, streams }
    }

    /// Sends `requests` requests in all, a new one on each connection when its answer is in.
    fn run(&mut self, requests: usize) {
        let message = [7u8; MESSAGE_BYTES];
        let mut answer = [0u8; 4096];
        let mut sent = 0;
        let mut done = 0;
        for stream in self.streams.iter_mut().take(requests) {
            stream.write_all(&message).unwrap();
            sent += 1;
        }
        let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 512];
        let mut partial = vec![0usize; self.streams.len()];
        while done < requests {
            let count = epoll::wait(self.epoll.as_raw_fd(), &mut events);
            for event in &events[..count] {
                let n = event.u64 as usize;
                let stream = &mut self.streams[n];
                let got = match stream.read(&mut answer) {
                    Ok(0) => panic!("the server has closed a connection"),
                    Ok(got) => got,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(error) => panic!("{error}"),
                };
                partial[n] += got;
                if partial[n] == MESSAGE_BYTES {
                    partial[n] = 0;
                    done += 1;
                    if sent < requests {
                        stream.write_all(&message).unwrap();
                        sent += 1;
                    }
                }
            }
        }
    }
}
