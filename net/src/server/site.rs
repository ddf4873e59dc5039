//! A server's part on one hub: it takes work in, and when the server stops it empties the queue
//! and waits for the crew.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corovent_runtime::JoinHandle;
use corovent_runtime::fd::Limit as Wait;
use corovent_runtime::sleep;
use corovent_runtime::spawn;

use crate::server::control::Control;
use crate::server::crew::Crew;
use crate::server::listener::SocketFile;
use crate::server::options::Limit;
use crate::server::options::Permit;
use crate::server::report::Report;
use crate::server::trouble::Backoff;
use crate::server::trouble::Failure;
use crate::server::trouble::Kind;
use crate::server::trouble::Trouble;
use crate::server::trouble::kind_of;
use crate::sys::listener::BACKLOG;

/// How long one wait of the acceptor may last. In a build that cannot unwind no kill ends it,
/// so it looks now and then whether the server stops.
pub(super) const PATIENCE: Option<Duration> =
    if cfg!(panic = "unwind") { None } else { Some(Duration::from_millis(100)) };

/// Where work comes in: connections, or datagrams.
pub(super) trait Door: 'static {
    /// The address of whoever wants something done.
    type Peer: Clone + fmt::Debug + 'static;
    /// What is to be done.
    type Job: Job;

    /// Takes in one job, and waits for it as the limit says.
    fn take(&self, wait: Wait) -> io::Result<(Self::Peer, Self::Job)>;

    /// Waits until there may be a job, and takes none.
    fn ready(&self, wait: Wait) -> io::Result<()>;
}

/// A call of the handler, with what it is for.
pub(super) trait Job: 'static {
    fn run(self) -> Result<(), Failure>;
}

/// Takes work in by a door, each job for a handler.
pub(super) struct Site<D: Door> {
    pub(super) door: D,
    /// Removed when the site stops to take anything in.
    pub(super) file: Option<Arc<SocketFile>>,
    pub(super) crew: Rc<Crew<D::Peer>>,
}

impl<D: Door> Site<D> {
    /// Serves until the server stops, and says what became of the handlers.
    pub(super) fn serve(mut self) -> Report {
        let file = self.file.take();
        let this = Rc::new(self);
        let (crew, control) = (Rc::clone(&this.crew), Arc::clone(&this.crew.control));
        let intake = start(&control, {
            let this = Rc::clone(&this);
            move || this.take_all()
        });
        intake.work_until_stop(&control, crew.config.grace);
        // From here on nobody finds the way here who has not yet.
        drop(file);
        this.empty_queue();
        // Closes the listener: the intake has ended.
        drop(this);
        crew.disband()
    }

    /// Takes in until the door is broken, or the server stops.
    fn take_all(&self) -> Option<io::Error> {
        let mut backoff = Backoff::of_accept();
        while !self.crew.control.is_stopping() {
            let (permit, peer, job) = match self.take() {
                Ok(taken) => taken,
                Err(error) => match self.pause_for(&error, &mut backoff) {
                    true => continue,
                    false => return Some(error),
                },
            };
            match self.crew.engage(peer, Some(permit), move || job.run()) {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    let pause = backoff.take();
                    self.count_error(&Trouble::Spawn { error: &error, pause });
                    sleep(pause);
                }
            }
        }
        None
    }

    /// Takes in one job, if there may be one more handler. Until there may be it stays in the
    /// kernel's queue, and this holds no permit until there is one.
    fn take(&self) -> io::Result<(Permit, D::Peer, D::Job)> {
        let wait = Wait::from_timeout(PATIENCE);
        if let Limit::None = self.crew.limit {
            let (peer, job) = self.door.take(wait)?;
            return Ok((Permit::Free, peer, job));
        }
        self.door.ready(wait)?;
        let Some(permit) = self.crew.limit.acquire(PATIENCE) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let (peer, job) = self.door.take(Wait::NonBlocking)?;
        Ok((permit, peer, job))
    }

    /// Waits as an error asks for; false if there is no going on.
    fn pause_for(&self, error: &io::Error, backoff: &mut Backoff) -> bool {
        let pause = match kind_of(error) {
            Kind::Empty => return true,
            Kind::Fatal => return false,
            Kind::Connection => Duration::ZERO,
            Kind::Overload => backoff.take(),
        };
        self.count_error(&Trouble::Accept { error, pause });
        if !pause.is_zero() {
            sleep(pause);
        }
        true
    }

    fn count_error(&self, trouble: &Trouble<'_>) {
        self.crew.control.errors.fetch_add(1, Ordering::Relaxed);
        self.crew.config.tell(trouble);
    }

    /// Takes in what is in the queue already, which the kernel would drop when the door is
    /// closed. Where the number of handlers is limited they wait for their turn.
    fn empty_queue(&self) {
        // More may be coming all the time, if others share the listener; and a queue holds one
        // more than it should.
        for _ in 0..=self.crew.config.backlog.max(BACKLOG) {
            if !self.crew.control.has_time() {
                return;
            }
            let (peer, job) = match self.door.take(Wait::NonBlocking) {
                Ok(taken) => taken,
                Err(error) if kind_of(&error) == Kind::Connection => continue,
                Err(_) => return,
            };
            if let Err(error) = self.crew.engage(peer, None, move || job.run()) {
                return self.count_error(&Trouble::Spawn { error: &error, pause: Duration::ZERO });
            }
        }
    }
}

/// A coroutine that takes in work, until it is killed or fails.
pub(super) struct Intake {
    task: JoinHandle<Option<io::Error>>,
    has_ended: Rc<Cell<bool>>,
}

/// Starts the coroutine that takes in work; it returns why it cannot go on.
pub(super) fn start(
    control: &Arc<Control>,
    take_in: impl FnOnce() -> Option<io::Error> + 'static,
) -> Intake {
    let has_ended = Rc::new(Cell::new(false));
    let end = End { has_ended: Rc::clone(&has_ended), control: Arc::clone(control) };
    let task = spawn(move || {
        let _end = end;
        take_in()
    });
    Intake { task, has_ended }
}

/// Says that the coroutine has ended, however that was.
struct End {
    has_ended: Rc<Cell<bool>>,
    control: Arc<Control>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.has_ended.set(true);
        self.control.look_again();
    }
}

impl Intake {
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    pub(super) fn kill(&self) {
        self.task.kill();
    }

    /// Lets it work until the server stops, then ends it. If it cannot go on the server stops.
    pub(super) fn work_until_stop(self, control: &Control, grace: Duration) {
        control.wait_for_stop(|| self.has_ended.get());
        self.task.kill();
        match self.task.join() {
            Ok(Some(error)) => control.fail(error, grace),
            // Somebody has killed it, who ends all of the thread's coroutines.
            Err(_) if !control.is_stopping() => control.request_stop(None),
            Ok(None) | Err(_) => {}
        }
    }
}
