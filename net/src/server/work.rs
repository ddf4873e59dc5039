//! The handler of a server for connections, as its sites call it.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use corovent_runtime::fd::Limit;

use crate::server::listener::Listener;
use crate::server::request::Outcome;
use crate::server::site::Door;
use crate::server::site::Job;
use crate::server::trouble::Failure;

/// The handler: bound to the thread that made it, or not.
pub(super) enum Work<L: Listener> {
    Here(Rc<HandleFn<L>>),
    Anywhere(Arc<SharedHandleFn<L>>),
}

type HandleFn<L> = dyn Fn(<L as Listener>::Stream, <L as Listener>::Addr) -> Result<(), Failure>;
type SharedHandleFn<L> =
    dyn Fn(<L as Listener>::Stream, <L as Listener>::Addr) -> Result<(), Failure> + Send + Sync;

impl<L: Listener> Work<L> {
    pub(super) fn here<F, R>(handler: F) -> Work<L>
    where
        F: Fn(L::Stream, L::Addr) -> R + 'static,
        R: Outcome,
    {
        Work::Here(Rc::new(move |stream, peer| handler(stream, peer).into_result()))
    }

    pub(super) fn anywhere<F, R>(handler: F) -> Work<L>
    where
        F: Fn(L::Stream, L::Addr) -> R + Send + Sync + 'static,
        R: Outcome,
    {
        Work::Anywhere(Arc::new(move |stream, peer| handler(stream, peer).into_result()))
    }

    pub(super) fn call(&self, stream: L::Stream, peer: L::Addr) -> Result<(), Failure> {
        match self {
            Work::Here(handler) => handler(stream, peer),
            Work::Anywhere(handler) => handler(stream, peer),
        }
    }
}

impl<L: Listener> Clone for Work<L> {
    fn clone(&self) -> Work<L> {
        match self {
            Work::Here(handler) => Work::Here(Rc::clone(handler)),
            Work::Anywhere(handler) => Work::Anywhere(Arc::clone(handler)),
        }
    }
}

/// A listener with its handler.
pub(super) struct Reception<L: Listener> {
    pub(super) listener: L,
    pub(super) work: Work<L>,
}

/// A connection that was accepted.
pub(super) struct Connection<L: Listener> {
    work: Work<L>,
    stream: L::Stream,
    peer: L::Addr,
}

impl<L: Listener> Door for Reception<L> {
    type Peer = L::Addr;
    type Job = Connection<L>;

    fn take(&self, wait: Limit) -> io::Result<(L::Addr, Connection<L>)> {
        let (stream, peer) = self.listener.accept_within(wait)?;
        Ok((peer.clone(), Connection { work: self.work.clone(), stream, peer }))
    }

    fn ready(&self, wait: Limit) -> io::Result<()> {
        self.listener.ready(wait)
    }
}

impl<L: Listener> Job for Connection<L> {
    fn run(self) -> Result<(), Failure> {
        self.work.call(self.stream, self.peer)
    }
}
