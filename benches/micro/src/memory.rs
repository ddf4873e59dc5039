//! What is idle: resident bytes and page tables of each of 10,000 to 1,000,000 that are parked, and
//! the time to make them and to wake them; the same bytes of connections after one message each.
//!
//! The kernel's own buffers are in none of the figures. The clients of the connections are another
//! process.

use std::cell::Cell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Instant;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use support::clients::Clients;
use support::clients::raise_fd_limit;
use support::memory::Memory;
use support::memory::available_bytes;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::operation::Case;
use crate::operation::Figure;
use crate::operation::Measured;
use crate::operation::ns_since;
use crate::peers::on_may;
use crate::peers::on_smol;
use crate::peers::on_tokio;

/// A page of stack and its tables, the record, and room for the rest of the machine.
const NEEDED_BYTES_EACH: f64 = 7e3;
/// What is touched of that.
const RESIDENT_BYTES_EACH: usize = 5_000;
/// What a thread takes with the kernel's part of it.
const NEEDED_BYTES_EACH_THREAD: f64 = 40e3;
/// For a million there are not enough addresses with the usual size.
const STACK_BYTES: usize = 64 * 1024;
/// So many show whether each has a mapping of its own.
const SAMPLE: usize = 500;
const BUFFER_BYTES: usize = 16 * 1024;
const MESSAGE_BYTES: u64 = 64;
/// The descriptors of a process that are not connections.
const FDS_OF_ITS_OWN: usize = 100;

pub(crate) fn cases() -> Vec<Case> {
    let parked = |count: usize| {
        let case = Case::new("parked", &count.to_string(), count, 2_000)
            .cold_with(RESIDENT_BYTES_EACH * count)
            .several("corovent", corovent_parked)
            .several("tokio", tokio_parked)
            .several("smol", smol_parked);
        if count > 100_000 { case.heavy() } else { case }
    };
    let few = parked(10_000).several("may", may_parked).several("threads", threads_parked);
    let connections = |name: &str| Case::new("connection", name, 10_000, 500).cold();
    vec![
        few,
        parked(100_000),
        parked(1_000_000),
        connections("waits before it takes a buffer")
            .several("corovent", |count| corovent_connections(count, 5_000.0, wait_first)),
        connections("Vec of 16 KiB")
            .several("corovent", |count| corovent_connections(count, 9_000.0, with_capacity))
            .several("tokio", tokio_connections),
        connections("array of 4 KiB")
            .several("corovent", |count| corovent_connections(count, 13_000.0, with_array)),
    ]
}

/// What is known of those that are parked.
struct Parked {
    count: usize,
    before: Memory,
    start: Instant,
}

impl Parked {
    fn start(count: usize, bytes_each: f64) -> Result<Parked, String> {
        let (needed, available) = (bytes_each * count as f64, available_bytes());
        if available < needed {
            let (needed, available) = (needed / 1e9, available / 1e9);
            return Err(format!("it needs {needed:.1} GB and {available:.1} GB are free"));
        }
        Ok(Parked { count, before: Memory::now(), start: Instant::now() })
    }

    /// Called when all are parked: gives what is known of that, to which the waking is added.
    fn made(&self) -> Vec<Figure> {
        let ns = ns_since(self.start, self.count);
        let (resident, tables) = Memory::now().each_since(self.before, self.count);
        vec![
            Figure { bench: "parked", value: resident, unit: "B", mark: Some(4_600.0) },
            Figure { bench: "parked, page tables", value: tables, unit: "B", mark: Some(700.0) },
            Figure { bench: "spawned and parked", value: ns, unit: "ns", mark: None },
        ]
    }
}

/// The time to wake all, and until they have ended.
fn woken(start: Instant, count: usize) -> Figure {
    Figure { bench: "woken and joined", value: ns_since(start, count), unit: "ns", mark: None }
}

fn corovent_parked(count: usize) -> Measured {
    // The hub and its first slab are not the coroutines'.
    corovent::spawn(|| ()).join().expect("it does not panic");
    let parked = Parked::start(count, NEEDED_BYTES_EACH)?;
    let mut handles = Vec::with_capacity(count);
    park_more(&mut handles, SAMPLE.min(count));
    if count > 30_000 && Memory::now().mappings - parked.before.mappings >= SAMPLE {
        return Err("this kernel has no guard markers (Linux 6.13 has them): two mappings for \
                    each stack are more than vm.max_map_count allows"
            .to_owned());
    }
    let left = count - handles.len();
    park_more(&mut handles, left);
    let mut figures = parked.made();
    let mappings = Memory::now().mappings - parked.before.mappings;
    let bench = "parked, mappings of all";
    figures.push(Figure { bench, value: mappings as f64, unit: "", mark: None });
    let start = Instant::now();
    handles.iter().for_each(|handle| handle.thread().unpark());
    for handle in handles {
        handle.join().expect("it does not panic");
    }
    figures.push(woken(start, count));
    Ok(figures)
}

/// Spawns so many coroutines and lets them run until all are parked.
fn park_more(handles: &mut Vec<corovent::JoinHandle<()>>, count: usize) {
    let parked = Rc::new(Cell::new(0));
    for _ in 0..count {
        let counter = Rc::clone(&parked);
        let builder = match handles.capacity() {
            ..=100_000 => corovent::Builder::new(),
            _ => corovent::Builder::new().stack_size(STACK_BYTES),
        };
        let spawned = builder.spawn(move || {
            counter.set(counter.get() + 1);
            drop(counter);
            corovent::thread::park();
        });
        handles.push(spawned.expect("there is address space for a small stack"));
    }
    while parked.get() < count {
        corovent::yield_now();
    }
}

fn tokio_parked(count: usize) -> Measured {
    on_tokio(async {
        let parked = Parked::start(count, NEEDED_BYTES_EACH)?;
        let all = Arc::new((AtomicUsize::new(0), tokio::sync::Notify::new()));
        let mut handles = Vec::with_capacity(count);
        for _ in 0..count {
            let all = Arc::clone(&all);
            handles.push(tokio::spawn(async move {
                all.0.fetch_add(1, Relaxed);
                all.1.notified().await;
            }));
        }
        while all.0.load(Relaxed) < count {
            tokio::task::yield_now().await;
        }
        let mut figures = parked.made();
        let start = Instant::now();
        all.1.notify_waiters();
        for handle in handles {
            handle.await.expect("it does not panic");
        }
        figures.push(woken(start, count));
        Ok(figures)
    })
}

fn smol_parked(count: usize) -> Measured {
    on_smol(async |executor| {
        let parked = Parked::start(count, NEEDED_BYTES_EACH)?;
        let (sender, receiver) = smol::channel::bounded::<()>(1);
        let started = Rc::new(Cell::new(0));
        let mut handles = Vec::with_capacity(count);
        for _ in 0..count {
            let (receiver, started) = (receiver.clone(), Rc::clone(&started));
            handles.push(executor.spawn(async move {
                started.set(started.get() + 1);
                assert!(receiver.recv().await.is_err());
            }));
        }
        while started.get() < count {
            smol::future::yield_now().await;
        }
        let mut figures = parked.made();
        let start = Instant::now();
        sender.close();
        for handle in handles {
            handle.await;
        }
        figures.push(woken(start, count));
        Ok(figures)
    })
}

fn may_parked(count: usize) -> Measured {
    on_may(move || {
        let parked = Parked::start(count, NEEDED_BYTES_EACH)?;
        let started = Arc::new(may::sync::Semphore::new(0));
        let mut handles = Vec::with_capacity(count);
        for _ in 0..count {
            let started = Arc::clone(&started);
            handles.push(may::go!(move || {
                started.post();
                may::coroutine::park();
            }));
        }
        // Not by yielding: new ones start when nobody else is ready.
        (0..count).for_each(|_| started.wait());
        let mut figures = parked.made();
        let start = Instant::now();
        handles.iter().for_each(|handle| handle.coroutine().unpark());
        for handle in handles {
            handle.join().expect("it does not panic");
        }
        figures.push(woken(start, count));
        Ok(figures)
    })
}

fn threads_parked(count: usize) -> Measured {
    let parked = Parked::start(count, NEEDED_BYTES_EACH_THREAD)?;
    let started = Arc::new(AtomicUsize::new(0));
    let mut handles = Vec::with_capacity(count);
    let mut refused = Ok(());
    for _ in 0..count {
        let started = Arc::clone(&started);
        let spawned = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            started.fetch_add(1, Relaxed);
            thread::park();
        });
        match spawned {
            Ok(handle) => handles.push(handle),
            Err(error) => {
                refused = Err(format!("after {} threads: {error}", handles.len()));
                break;
            }
        }
    }
    while started.load(Relaxed) < handles.len() {
        thread::yield_now();
    }
    let mut figures = parked.made();
    let start = Instant::now();
    handles.iter().for_each(|handle| handle.thread().unpark());
    for handle in handles {
        handle.join().expect("it does not panic");
    }
    figures.push(woken(start, count));
    refused.map(|()| figures)
}

/// A handler of connections.
type Handler = fn(&Idle, TcpStream) -> io::Result<()>;

/// What the handlers of one case share.
#[derive(Default)]
struct Idle {
    answered: Cell<usize>,
    buffer: Cell<Vec<u8>>,
}

impl Idle {
    fn count(&self) {
        self.answered.set(self.answered.get() + 1);
    }
}

fn connection_figures(before: Memory, count: usize, mark: Option<f64>) -> Measured {
    let (resident, tables) = Memory::now().each_since(before, count);
    Ok(vec![
        Figure { bench: "connection", value: resident, unit: "B", mark },
        Figure { bench: "connection, page tables", value: tables, unit: "B", mark: None },
    ])
}

/// Gives how many connections there may be.
fn possible(count: usize) -> usize {
    count.min(raise_fd_limit() - FDS_OF_ITS_OWN)
}

fn corovent_connections(count: usize, mark: f64, handler: Handler) -> Measured {
    let count = possible(count);
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let addr = listener.local_addr().expect("it is bound");
    let idle = Rc::new(Idle::default());
    let before = Memory::now();
    let clients = Clients::start(addr, count);
    for _ in 0..count {
        let (stream, _) = listener.accept().expect("the clients connect");
        let idle = Rc::clone(&idle);
        corovent::spawn(move || handler(&idle, stream).expect("the clients stay"));
    }
    while idle.answered.get() < count {
        corovent::yield_now();
    }
    let figures = connection_figures(before, count, Some(mark));
    // Before a handler sees that they have gone.
    std::mem::forget(clients);
    figures
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

fn tokio_connections(count: usize) -> Measured {
    let count = possible(count);
    on_tokio(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("there is a free port");
        let addr = listener.local_addr().expect("it is bound");
        let answered = Arc::new(AtomicUsize::new(0));
        let before = Memory::now();
        let clients = Clients::start(addr, count);
        for _ in 0..count {
            let (mut stream, _) = listener.accept().await.expect("the clients connect");
            let answered = Arc::clone(&answered);
            tokio::spawn(async move {
                let mut buffer = Vec::with_capacity(BUFFER_BYTES);
                while let Ok(1..) = stream.read_buf(&mut buffer).await {
                    stream.write_all(&buffer).await.expect("the clients stay");
                    buffer.clear();
                    answered.fetch_add(1, Relaxed);
                }
            });
        }
        while answered.load(Relaxed) < count {
            tokio::task::yield_now().await;
        }
        let figures = connection_figures(before, count, None);
        std::mem::forget(clients);
        figures
    })
}
