//! Parks coroutines on two threads for a debugger to look at, says so, and waits to be killed.
//!
//! `debugger_parked [DIRECTORY]` leaves a core file there, if the machine's are so, by aborting.

#![allow(clippy::print_stdout)]

use std::env;
use std::error::Error;
use std::hint::black_box;
use std::io::Read;
use std::process;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use corovent::Builder;
use corovent::JoinHandle;
use corovent::io::pipe;
use corovent::sync::Mutex;
use corovent::sync::mpsc::channel;
use corovent::yield_now;
use rustix::process::PTracer;
use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::getrlimit;
use rustix::process::set_ptracer;
use rustix::process::setrlimit;

fn main() -> Result<(), Box<dyn Error>> {
    // Only the parent may look into a process, unless it says otherwise; a kernel without that
    // rule does not know the call.
    let _ = set_ptracer(PTracer::Any);
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let task = named("elsewhere", park_elsewhere);
        yield_now();
        let _ = tell.send(());
        task.map(JoinHandle::join)
    });
    told.recv()?;
    let lock: &'static Mutex<()> = Box::leak(Box::new(Mutex::new(())));
    let held = lock.lock();
    let (reader, writer) = pipe()?;
    let _tasks = [
        named("dozer", doze)?,
        named("parker", park_here)?,
        named("listener", move || listen_here(reader))?,
        named("locker", move || lock_here(lock))?,
        named("receiver", receive_here)?,
    ];
    yield_now();
    println!("ready");
    if let Some(directory) = env::args().nth(1) {
        env::set_current_dir(directory)?;
        let limit = getrlimit(Resource::Core);
        setrlimit(Resource::Core, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
        process::abort();
    }
    doze();
    drop((held, writer));
    Ok(())
}

fn named(name: &str, body: impl FnOnce() + 'static) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(body)
}

#[inline(never)]
fn doze() {
    corovent::sleep(Duration::from_secs(1000));
    black_box(());
}

#[inline(never)]
fn park_here() {
    corovent::thread::park();
    black_box(());
}

#[inline(never)]
fn listen_here(mut end: impl Read) {
    let _ = end.read(&mut [0]);
    black_box(());
}

#[inline(never)]
fn lock_here(lock: &Mutex<()>) {
    let _guard = lock.lock();
    black_box(());
}

#[inline(never)]
fn receive_here() {
    let (sender, receiver) = channel::<()>();
    let _ = receiver.recv();
    black_box(sender);
}

#[inline(never)]
fn park_elsewhere() {
    corovent::thread::park();
    black_box(());
}
