//! The handler of a server, as its sites call it.

use std::rc::Rc;
use std::sync::Arc;

use crate::server::listener::Listener;
use crate::server::request::Outcome;
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
