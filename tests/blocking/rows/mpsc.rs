//! Channels.

use std::io;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use corovent::sync::Mutex;
use corovent::sync::mpsc;
use corovent::sync::mpsc::Receiver;
use corovent::sync::mpsc::RecvTimeoutError;
use corovent::sync::mpsc::SyncSender;

use crate::case::Case;
use crate::case::Row;
use crate::case::aside;

const LONG: Duration = Duration::from_secs(3600);

/// There is one receiver, which is behind a lock here.
const ONE: &[(&str, &str)] = &[("ended hub", "there is one receiver, and it would be lost")];

pub(crate) const ROWS: &[Row] = &[
    Row { functions: &["Receiver::recv"], make: || receiving(|r| r.recv().is_ok()), lacks: ONE },
    Row {
        functions: &["Receiver::recv_timeout"],
        make: || receiving(|r| r.recv_timeout(LONG).is_ok()),
        lacks: ONE,
    },
    Row {
        functions: &["Receiver::iter"],
        make: || receiving(|r| r.iter().next().is_some()),
        lacks: ONE,
    },
    Row { functions: &["SyncSender::send"], make: full, lacks: &[] },
    Row {
        functions: &["SyncSender::send"],
        make: rendezvous,
        lacks: &[("behind", "one receive is one rendezvous")],
    },
];

fn gone() -> io::Error {
    ErrorKind::BrokenPipe.into()
}

fn receiving(receive: fn(&Receiver<u8>) -> bool) -> Case {
    let (sender, receiver) = mpsc::channel();
    let receiver = Arc::new(Mutex::new(receiver));
    let inner = Arc::clone(&receiver);
    let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
    let hung_up = Arc::clone(&sender);
    let call = move || {
        // A kill poisons the lock.
        let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
        if receive(&receiver) { Ok(()) } else { Err(gone()) }
    };
    Case::waiting(call)
        .limited(move |limit| {
            let receiver = inner.lock().unwrap_or_else(PoisonError::into_inner);
            receiver.recv_timeout(limit) == Err(RecvTimeoutError::Timeout)
        })
        .released(move || _ = sender.lock().unwrap().as_ref().map(|sender| sender.send(7).unwrap()))
        .ended("hung up", move || drop(hung_up.lock().unwrap().take()), "BrokenPipe")
}

fn sending(
    sender: SyncSender<u8>,
    receiver: Receiver<u8>,
) -> (Case, Arc<Mutex<Option<Receiver<u8>>>>) {
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let hung_up = Arc::clone(&receiver);
    let case = Case::waiting(move || sender.send(7).map_err(|_| gone())).offering().ended(
        "hung up",
        move || drop(hung_up.lock().unwrap().take()),
        "BrokenPipe",
    );
    (case, receiver)
}

fn full() -> Case {
    let (sender, receiver) = mpsc::sync_channel(2);
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    let (case, receiver) = sending(sender, receiver);
    case.released(move || {
        _ = receiver.lock().unwrap().as_ref().map(|receiver| receiver.recv().unwrap())
    })
}

/// Whoever receives may be early, and is on a thread of its own.
fn rendezvous() -> Case {
    let (sender, receiver) = mpsc::sync_channel(0);
    let (case, receiver) = sending(sender, receiver);
    case.released(move || {
        let receiver = Arc::clone(&receiver);
        aside(move || _ = receiver.lock().unwrap().as_ref().map(Receiver::recv));
    })
}
