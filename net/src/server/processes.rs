//! Worker processes: the program once more, with the listener; started, watched, started again
//! when they die, and ended with the server.

use std::cell::Cell;
use std::env;
use std::io;
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use corovent_runtime::JoinHandle;
use corovent_runtime::process::Child;
use corovent_runtime::process::Command;
use corovent_runtime::process::CommandExt;
use corovent_runtime::signal;
use corovent_runtime::sleep;
use corovent_runtime::spawn;

use crate::server::control::Control;
use crate::server::control::KILL_WAIT;
use crate::server::options::Config;
use crate::server::report::Report;
use crate::server::site::Intake;
use crate::server::site::start;
use crate::server::trouble::Backoff;
use crate::server::trouble::Trouble;
use crate::server::worker::Passed;
use crate::server::worker::VARIABLE;
use crate::sys::inherit;

/// A worker that has lived for so long did not fail to start.
const GROWN_UP: Duration = Duration::from_secs(5);

/// The part of a server in the process that has the workers.
pub(super) struct Supervisor {
    pub(super) passed: Arc<Passed>,
    pub(super) control: Arc<Control>,
    pub(super) config: Arc<Config>,
}

/// A worker's number, and its process while there is one.
struct Slot {
    number: usize,
    /// Not reaped as long as it is here.
    pid: Cell<Option<u32>>,
}

impl Supervisor {
    /// Keeps the workers alive until the server stops; `close` closes the listener here.
    pub(super) fn serve(self, close: impl FnOnce()) -> Report {
        let this = Rc::new(self);
        let control = Arc::clone(&this.control);
        let slots: Vec<(Rc<Slot>, Intake)> = (0..this.config.processes)
            .map(|number| {
                let slot = Rc::new(Slot { number, pid: Cell::new(None) });
                let (this, inner) = (Rc::clone(&this), Rc::clone(&slot));
                let intake = start(&control, move || {
                    this.keep_alive(&inner);
                    None
                });
                (slot, intake)
            })
            .collect();
        control.wait_for_stop(|| slots.iter().any(|(_, intake)| intake.has_ended()));
        if !control.is_stopping() {
            control.request_stop(None);
        }
        // The workers have the listener as well, and empty its queue.
        close();
        this.passed.close();
        for (slot, intake) in &slots {
            match slot.pid.get() {
                Some(pid) => send(pid, libc::SIGTERM),
                None => intake.kill(),
            }
        }
        disband(&control, &slots)
    }

    /// Starts a worker, and another when it has died, until the server stops.
    fn keep_alive(&self, slot: &Slot) {
        let mut backoff = Backoff::between(Duration::from_millis(100), GROWN_UP);
        while !self.control.is_stopping() {
            let born = Instant::now();
            let status = self.start_one(slot.number).and_then(|child| slot.wait_for(child));
            if self.control.is_stopping() {
                return;
            }
            if born.elapsed() >= GROWN_UP {
                backoff.reset();
            }
            let pause = backoff.take();
            self.control.errors.fetch_add(1, Ordering::Relaxed);
            self.config.tell(&Trouble::Worker { number: slot.number, status, pause });
            sleep(pause);
        }
    }

    /// Starts the program that runs here, with the same arguments.
    fn start_one(&self, number: usize) -> io::Result<Offspring> {
        let (value, descriptors) = self.passed.legacy(number)?;
        let mut arguments = env::args_os();
        // Also if another program has come to its path meanwhile.
        let mut command = Command::new("/proc/self/exe");
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        command.args(arguments).env(VARIABLE, value);
        inherit::pass_on(&mut command, &descriptors);
        command.spawn().map(|child| Offspring { child: Some(child) })
    }
}

impl Slot {
    fn wait_for(&self, mut offspring: Offspring) -> io::Result<ExitStatus> {
        let child = offspring.child.as_mut().expect("it was just started");
        let noted = Noted { pid: &self.pid };
        noted.pid.set(Some(child.id()));
        let status = child.wait();
        // Reaped: nobody may send it a signal.
        drop(noted);
        offspring.child = None;
        status
    }
}

/// A worker's number that is known, until it is reaped.
struct Noted<'a> {
    pid: &'a Cell<Option<u32>>,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.pid.set(None);
    }
}

/// A worker, which does not outlive whoever waits for it.
struct Offspring {
    child: Option<Child>,
}

impl Drop for Offspring {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Its end is a matter of moments, and a coroutine that unwinds cannot wait.
            let _ = child.kill();
            let _ = std::process::Child::from(child).wait();
        }
    }
}

/// Waits for the workers that were told to end, and kills those that do not in time.
fn disband(control: &Control, slots: &[(Rc<Slot>, Intake)]) -> Report {
    let all_ended = || slots.iter().all(|(_, intake)| intake.has_ended());
    let in_time = control.wait_for_crew(all_ended);
    let left: Vec<_> = slots
        .iter()
        .filter_map(|(slot, intake)| {
            let pid = slot.pid.get().filter(|_| !in_time)?;
            Some((intake, pid, format!("worker {} (pid {pid})", slot.number)))
        })
        .collect();
    left.iter().for_each(|(_, pid, _)| send(*pid, libc::SIGKILL));
    control.wait_at_most(KILL_WAIT, all_ended);
    let mut report = Report { finished: slots.len() - left.len(), ..Report::default() };
    for (intake, _, name) in left {
        if intake.has_ended() { report.killed.push(name) } else { report.stuck.push(name) }
    }
    report
}

fn send(pid: u32, number: libc::c_int) {
    // One that has just died is about to be reaped.
    let _ = inherit::signal(pid, number);
}

/// Stops a server in a worker process at SIGTERM, and ends the process at a second one.
///
/// A SIGINT that the terminal sends to all is the parent's affair, which tells the workers, or
/// dies, of which SIGTERM tells them.
pub(super) fn stop_at_sigterm(control: &Arc<Control>, grace: Duration) -> JoinHandle<()> {
    let control = Arc::clone(control);
    spawn(move || {
        let mut has_come = false;
        // An error is that no descriptor is left to wait by, or the end of this coroutine.
        while let Ok(number) = signal::wait(&[libc::SIGTERM, libc::SIGINT]) {
            match (number, has_come) {
                (libc::SIGTERM, false) => {
                    has_come = true;
                    control.request_stop(Instant::now().checked_add(grace));
                }
                (libc::SIGTERM, true) => std::process::exit(128 + libc::SIGTERM),
                _ => {}
            }
        }
    })
}
