//! Echo of 64 bytes: processor time of the server for each request, as ratios to a
//! hand-written epoll loop.
//!
//! ```text
//! cargo bench --bench echo [-- [--rounds N] [--requests N] [--connections N,N,…] [NAME=COMMAND …]]
//! ```
//!
//! Each server is a process of its own on one processor, and so is the load for it, an
//! epoll loop as well, on another. The servers take turns, round by round, so that a machine whose speed
//! drifts harms them alike; the raw loop is in the race twice, and the spread between the
//! two is what the machine cannot tell apart. `NAME=COMMAND` adds another server: a program
//! that prints `listening on IP:PORT`.

// The raw loop is written with the kernel's own calls.
#![allow(unsafe_code)]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;
use std::time::Instant;

const MESSAGE_BYTES: usize = 64;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("--serve") => serve(&args[1]),
        Some("--load") => Load::serve(args[1].parse().unwrap(), args[2].parse().unwrap()),
        // `cargo test --benches` only wants to see it run.
        Some("--test") => compare(&Plan { rounds: 1, requests: 2_000, ..Plan::default() }),
        _ => compare(&Plan::from_args(&args)),
    }
}

/// What is measured.
struct Plan {
    rounds: usize,
    requests: usize,
    connections: Vec<usize>,
    servers: Vec<(String, Vec<String>)>,
}

impl Default for Plan {
    fn default() -> Plan {
        let own = env::current_exe().unwrap().to_str().unwrap().to_owned();
        let server = |name: &str, kind: &str| {
            (name.to_owned(), vec![own.clone(), "--serve".to_owned(), kind.to_owned()])
        };
        Plan {
            rounds: 15,
            requests: 100_000,
            connections: vec![1, 50, 1000, 5000],
            servers: vec![
                server("raw epoll", "raw"),
                server("raw again", "raw"),
                server("corovent", "corovent"),
                server("threads", "threads"),
            ],
        }
    }
}

impl Plan {
    fn from_args(args: &[String]) -> Plan {
        let mut plan = Plan::default();
        let mut args = args.iter().filter(|arg| *arg != "--bench");
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--rounds" => plan.rounds = args.next().unwrap().parse().unwrap(),
                "--requests" => plan.requests = args.next().unwrap().parse().unwrap(),
                "--connections" => {
                    let list = args.next().unwrap();
                    plan.connections = list.split(',').map(|n| n.parse().unwrap()).collect();
                }
                "--only" => {
                    let list = args.next().unwrap();
                    plan.servers.retain(|(name, _)| list.split(',').any(|only| only == name));
                }
                peer => {
                    let (name, command) = peer.split_once('=').expect("NAME=COMMAND");
                    let words = command.split(' ').map(str::to_owned).collect();
                    plan.servers.push((name.to_owned(), words));
                }
            }
        }
        plan
    }
}

/// A server's figures in one round.
#[derive(Clone, Copy)]
struct Round {
    cpu_ns: f64,
    per_second: f64,
}

fn compare(plan: &Plan) {
    pin(1);
    println!(
        "{:>6} {:>14} {:>12} {:>8} {:>14} {:>12}",
        "conns", "server", "cpu ns/req", "ratio", "min…max", "req/s"
    );
    for &connections in &plan.connections {
        let mut rounds: BTreeMap<usize, Vec<Round>> = BTreeMap::new();
        let servers: Vec<Server> =
            plan.servers.iter().map(|(_, command)| Server::start(command)).collect();
        let mut loads: Vec<LoadProcess> =
            servers.iter().map(|server| LoadProcess::start(server.addr, connections)).collect();
        for (server, load) in servers.iter().zip(&mut loads) {
            load.run(plan.requests / 10);
            let _ = server.cpu_ns();
        }
        for _ in 0..plan.rounds {
            for (n, (server, load)) in servers.iter().zip(&mut loads).enumerate() {
                let (cpu, start) = (server.cpu_ns(), Instant::now());
                load.run(plan.requests);
                let seconds = start.elapsed().as_secs_f64();
                rounds.entry(n).or_default().push(Round {
                    cpu_ns: (server.cpu_ns() - cpu) as f64 / plan.requests as f64,
                    per_second: plan.requests as f64 / seconds,
                });
            }
        }
        report(plan, connections, &rounds);
    }
}

fn report(plan: &Plan, connections: usize, rounds: &BTreeMap<usize, Vec<Round>>) {
    for (n, (name, _)) in plan.servers.iter().enumerate() {
        let mut ratios: Vec<f64> =
            rounds[&n].iter().zip(&rounds[&0]).map(|(own, raw)| own.cpu_ns / raw.cpu_ns).collect();
        let (least, most) = (quantile(&mut ratios, 0.1), quantile(&mut ratios, 0.9));
        let ratio = quantile(&mut ratios, 0.5);
        let mut cpu: Vec<f64> = rounds[&n].iter().map(|round| round.cpu_ns).collect();
        let mut speed: Vec<f64> = rounds[&n].iter().map(|round| round.per_second).collect();
        println!(
            "{connections:>6} {name:>14} {:>12.0} {ratio:>8.3} {least:>7.3}…{most:<6.3} {:>12.0}",
            quantile(&mut cpu, 0.5),
            quantile(&mut speed, 0.5),
        );
    }
}

fn quantile(values: &mut [f64], at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * at).round() as usize]
}

/// A server in a process of its own, on the first processor.
struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    fn start(command: &[String]) -> Server {
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdout(Stdio::piped())
            .env("CORES", "0")
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", command[0]));
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("listening on ").expect("the server's address");
        let addr = addr.parse().unwrap();
        pin_process(child.id());
        Server { child, addr }
    }

    /// Time on a processor, of all its threads.
    fn cpu_ns(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let of_task = |task: io::Result<fs::DirEntry>| -> u64 {
            let path = task.unwrap().path().join("schedstat");
            let text = fs::read_to_string(path).unwrap_or_default();
            text.split(' ').next().unwrap().parse().unwrap_or(0)
        };
        tasks.map(of_task).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The load for one server, in a process with descriptors of its own.
struct LoadProcess {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl LoadProcess {
    fn start(addr: SocketAddr, connections: usize) -> LoadProcess {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--load", &addr.to_string(), &connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        LoadProcess { child, answers }
    }

    fn run(&mut self, requests: usize) {
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
struct Load {
    epoll: OwnedFd,
    streams: Vec<TcpStream>,
}

impl Load {
    /// Does as many requests as each line of stdin says, until it ends.
    fn serve(addr: SocketAddr, connections: usize) {
        raise_fd_limit();
        pin(1);
        let mut load = Load::connect(addr, connections);
        for line in io::stdin().lines() {
            load.run(line.unwrap().trim().parse().unwrap());
            println!("done");
        }
    }

    fn connect(addr: SocketAddr, connections: usize) -> Load {
        let epoll = epoll_create();
        let mut streams = Vec::new();
        for n in 0..connections {
            let stream = TcpStream::connect(addr).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_nonblocking(true).unwrap();
            epoll_add(epoll.as_raw_fd(), stream.as_raw_fd(), n as u64);
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
            let count = epoll_wait(self.epoll.as_raw_fd(), &mut events);
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

fn serve(kind: &str) {
    raise_fd_limit();
    let announce = |addr: SocketAddr| {
        println!("listening on {addr}");
        io::stdout().flush().unwrap();
    };
    match kind {
        "raw" => serve_raw(announce),
        "corovent" => serve_corovent(announce),
        "threads" => serve_threads(announce),
        other => panic!("no server is called {other}"),
    }
}

/// The best that can be written by hand: one buffer, edge-triggered, two calls a request.
fn serve_raw(announce: impl Fn(SocketAddr)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    announce(listener.local_addr().unwrap());
    let epoll = epoll_create();
    let listener_fd = listener.as_raw_fd();
    epoll_add(epoll.as_raw_fd(), listener_fd, listener_fd as u64);
    let mut buffer = vec![0u8; 16 * 1024];
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
    loop {
        let count = epoll_wait(epoll.as_raw_fd(), &mut events);
        for event in &events[..count] {
            let fd = event.u64 as RawFd;
            if fd == listener_fd {
                accept_all(&listener, epoll.as_raw_fd());
            } else {
                echo_raw(fd, &mut buffer);
            }
        }
    }
}

fn accept_all(listener: &TcpListener, epoll: RawFd) {
    while let Ok((stream, _)) = listener.accept() {
        let fd = std::os::fd::IntoRawFd::into_raw_fd(stream);
        epoll_add(epoll, fd, fd as u64);
    }
}

fn echo_raw(fd: RawFd, buffer: &mut [u8]) {
    let room = buffer.len();
    loop {
        // SAFETY: `buffer` is writable for its length.
        let got = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), room, libc::MSG_DONTWAIT) };
        if got <= 0 {
            if got == 0 || io::Error::last_os_error().kind() != io::ErrorKind::WouldBlock {
                // SAFETY: this loop owns the connection.
                unsafe { libc::close(fd) };
            }
            return;
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: `got` bytes of the buffer were just written.
        let sent = unsafe { libc::send(fd, buffer.as_ptr().cast(), got as usize, flags) };
        assert_eq!(sent, got, "a short message fits into the socket");
        // A short read has emptied the socket: the next edge tells of more.
        if (got as usize) < room {
            return;
        }
    }
}

/// The server of `examples/coroutine_echo`, without its bookkeeping.
fn serve_corovent(announce: impl Fn(SocketAddr)) {
    use std::cell::RefCell;
    use std::rc::Rc;

    let listener = corovent::net::TcpListener::bind("127.0.0.1:0").unwrap();
    announce(listener.local_addr().unwrap());
    let buffers: Rc<RefCell<Vec<Box<[u8]>>>> = Rc::default();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let buffers = Rc::clone(&buffers);
        corovent::spawn(move || -> io::Result<()> {
            loop {
                stream.wait_readable()?;
                let free = buffers.borrow_mut().pop();
                let mut buffer = free.unwrap_or_else(|| vec![0; 16 * 1024].into());
                let count = stream.read(&mut buffer)?;
                if count == 0 {
                    return Ok(());
                }
                stream.write_all(&buffer[..count])?;
                buffers.borrow_mut().push(buffer);
            }
        });
    }
}

fn serve_threads(announce: impl Fn(SocketAddr)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    announce(listener.local_addr().unwrap());
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let builder = std::thread::Builder::new().stack_size(64 * 1024);
        let spawned = builder.spawn(move || -> io::Result<()> {
            let mut buffer = [0; 16 * 1024];
            loop {
                let count = stream.read(&mut buffer)?;
                if count == 0 {
                    return Ok(());
                }
                stream.write_all(&buffer[..count])?;
            }
        });
        spawned.unwrap();
    }
}

fn epoll_create() -> OwnedFd {
    // SAFETY: epoll_create1(2) takes no pointer.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    assert!(fd >= 0);
    // SAFETY: the call returned it and nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn epoll_add(epoll: RawFd, fd: RawFd, data: u64) {
    let bits = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
    let mut event = libc::epoll_event { events: bits as u32, u64: data };
    // SAFETY: `event` is valid for the call.
    let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    assert_eq!(result, 0);
}

fn epoll_wait(epoll: RawFd, events: &mut [libc::epoll_event]) -> usize {
    // SAFETY: the kernel writes at most as many events as there is room for.
    let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), events.len() as i32, -1) };
    usize::try_from(count).unwrap_or(0)
}

/// Keeps this thread on one processor, if there are two.
fn pin(cpu: usize) {
    pin_task(0, cpu);
}

fn pin_process(pid: u32) {
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let name = task.unwrap().file_name();
        pin_task(name.to_str().unwrap().parse().unwrap(), 0);
    }
}

fn pin_task(task: libc::pid_t, cpu: usize) {
    // SAFETY: cpu_set_t is plain data for which all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number is far below the size of the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is valid. On a machine with one processor the call fails, as it may.
    unsafe { libc::sched_setaffinity(task, size_of::<libc::cpu_set_t>(), &raw const set) };
}

fn raise_fd_limit() {
    use rustix::process::Resource;

    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = rustix::process::setrlimit(Resource::Nofile, limit);
}
