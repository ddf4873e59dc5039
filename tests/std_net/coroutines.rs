//! Our sockets in coroutines of one thread.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use corovent::thread::Thread;
use corovent::thread::park;

pub(crate) use corovent::net::TcpListener;
pub(crate) use corovent::net::TcpStream;
pub(crate) use corovent::net::UdpSocket;
pub(crate) use corovent::os::unix::net::UnixDatagram;
pub(crate) use corovent::os::unix::net::UnixListener;
pub(crate) use corovent::os::unix::net::UnixStream;
pub(crate) use corovent::spawn;
pub(crate) use corovent::yield_now;

pub(crate) use crate::support::run;

#[path = "tcp.rs"]
mod tcp;
#[path = "udp.rs"]
mod udp;
#[path = "unix.rs"]
mod unix;

/// As much of a channel as the cases need.
pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared { values: RefCell::default(), receiver: RefCell::default() });
    (Sender(Rc::clone(&shared)), Receiver(shared))
}

pub(crate) struct Sender<T>(Rc<Shared<T>>);

pub(crate) struct Receiver<T>(Rc<Shared<T>>);

struct Shared<T> {
    values: RefCell<VecDeque<T>>,
    /// The one who waits for a value.
    receiver: RefCell<Option<Thread>>,
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, value: T) -> Result<(), T> {
        self.0.values.borrow_mut().push_back(value);
        self.0.wake();
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// `None` when all senders are gone.
    pub(crate) fn recv(&self) -> Option<T> {
        loop {
            let value = self.0.values.borrow_mut().pop_front();
            if value.is_some() || Rc::strong_count(&self.0) == 1 {
                return value;
            }
            *self.0.receiver.borrow_mut() = Some(corovent::current());
            park();
        }
    }
}

impl<T> Shared<T> {
    fn wake(&self) {
        if let Some(receiver) = self.receiver.borrow_mut().take() {
            receiver.unpark();
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender(Rc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    /// The receiver runs after this, and then finds the sender gone.
    fn drop(&mut self) {
        self.0.wake();
    }
}
