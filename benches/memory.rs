//! Memory of what is idle: resident bytes and bytes of page tables for each of 100,000
//! parked coroutines, and for each of up to 10,000 connections with three kinds of handler.
//!
//! ```text
//! cargo bench --bench memory [-- --quick]
//! ```
//!
//! Each case is a process of its own, and the clients are another. Every connection has had
//! one message of 64 bytes echoed, and waits for the next. The kernel's own buffers are in
//! none of the figures.

// The children answer on their stdout.
#![allow(clippy::print_stdout)]

mod support;

use std::cell::Cell;
use std::env;
use std::io;
use std::io::Read;
use std::io::Write;
use std::process::Command;
use std::process::Stdio;
use std::rc::Rc;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::spawn;
use corovent::thread::park;
use corovent::yield_now;

use crate::support::clients::Clients;
use crate::support::clients::become_clients;
use crate::support::clients::first_line;
use crate::support::clients::raise_fd_limit;
use crate::support::memory::Memory;
use crate::support::print_head;
use crate::support::print_value;
use crate::support::scale;

const BUFFER_BYTES: usize = 16 * 1024;
const MESSAGE_BYTES: u64 = 64;
/// The descriptors of a process that are not connections.
const FDS_OF_ITS_OWN: usize = 100;

/// A handler of connections.
type Handler = fn(&Idle, TcpStream) -> io::Result<()>;

/// The kinds of handler, what they are called, and what an idle connection may take.
const HANDLERS: [(&str, Handler, &str, f64); 3] = [
    ("waits", wait_first, "connection, waits before it takes a buffer", 5_000.0),
    ("capacity", with_capacity, "connection, Vec::with_capacity(16 KiB)", 9_000.0),
    ("array", with_array, "connection, an array of 4 KiB", 13_000.0),
];

fn main() {
    become_clients();
    let args: Vec<String> = env::args().collect();
    if let [_, role, case, count] = args.as_slice()
        && role == "--case"
    {
        let count = count.parse().expect("a number");
        let (resident, tables) = measure(case, count);
        println!("{resident} {tables}");
        return;
    }
    print_head("memory: bytes, resident and then page tables");
    report("coroutines", scale(100_000, 2_000), "parked coroutine", 4_600.0);
    let connections = scale(10_000, 500).min(raise_fd_limit() - FDS_OF_ITS_OWN);
    for (case, _, name, reach) in HANDLERS {
        report(case, connections, name, reach);
    }
}

/// Measures one case in a process that does nothing else.
fn report(case: &str, count: usize, name: &str, reach: f64) {
    let mut child = Command::new(env::current_exe().expect("a program has a path"))
        .args(["--case", case, &count.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the bench can start itself");
    let line = first_line(&mut child);
    assert!(child.wait().expect("it is our child").success(), "{case} has failed");
    let (resident, tables) = line.split_once(' ').expect("two numbers");
    let number = |text: &str| text.parse().expect("a number");
    print_value(name, number(resident), Some(reach));
    print_value("  page tables", number(tables), Some(700.0).filter(|_| case == "coroutines"));
}

fn measure(case: &str, count: usize) -> (f64, f64) {
    raise_fd_limit();
    match HANDLERS.iter().find(|(name, ..)| *name == case) {
        Some((_, handler, ..)) => connections(count, *handler),
        None => coroutines(count),
    }
}

fn coroutines(count: usize) -> (f64, f64) {
    // The hub and its first slab are not the coroutines'.
    spawn(|| ()).join().expect("it does not panic");
    let before = Memory::now();
    let parked = Rc::new(Cell::new(0));
    for _ in 0..count {
        let parked = Rc::clone(&parked);
        spawn(move || {
            parked.set(parked.get() + 1);
            park();
        });
    }
    while parked.get() < count {
        yield_now();
    }
    Memory::now().each_since(before, count)
}

/// What the handlers of one case share.
#[derive(Default)]
struct Idle {
    answered: Cell<usize>,
    buffer: Cell<Vec<u8>>,
}

fn connections(count: usize, handler: Handler) -> (f64, f64) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let addr = listener.local_addr().expect("it is bound");
    let idle = Rc::new(Idle::default());
    let before = Memory::now();
    let clients = Clients::start(addr, count);
    for _ in 0..count {
        let (stream, _) = listener.accept().expect("the clients connect");
        let idle = Rc::clone(&idle);
        spawn(move || handler(&idle, stream).expect("the clients stay"));
    }
    while idle.answered.get() < count {
        yield_now();
    }
    let each = Memory::now().each_since(before, count);
    // Before a handler sees that they have gone.
    std::mem::forget(clients);
    each
}

impl Idle {
    fn count(&self) {
        self.answered.set(self.answered.get() + 1);
    }
}

/// One buffer is enough for all, as none keeps it across a wait for a message.
fn wait_first(idle: &Idle, mut stream: TcpStream) -> io::Result<()> {
    loop {
        stream.wait_readable()?;
        let mut buffer = idle.buffer.take();
        buffer.resize(BUFFER_BYTES, 0);
        let count = stream.read(&mut buffer)?;
        stream.write_all(&buffer[..count])?;
        idle.buffer.set(buffer);
        idle.count();
    }
}

/// The room of the `Vec` is not touched before something is read into it.
fn with_capacity(idle: &Idle, stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    while (&stream).take(MESSAGE_BYTES).read_to_end(&mut buffer)? > 0 {
        (&stream).write_all(&buffer)?;
        buffer.clear();
        idle.count();
    }
    Ok(())
}

/// The handler of the README.
fn with_array(idle: &Idle, mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        stream.write_all(&buffer[..count])?;
        idle.count();
    }
}
