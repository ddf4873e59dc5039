//! The list of the models.

use std::io;
use std::net::TcpListener;

use crate::async_io;
use crate::blocking;
use crate::coroutines;
use crate::epoll_edge;
use crate::epoll_level;
use crate::nonblocking;
use crate::poll;
use crate::select;
use crate::selectors;
use crate::signal_driven;
use crate::socketserver;
use crate::thread_pool;
use crate::threads;

/// A way of doing I/O, and a server that does it.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Serves for ever, unless it cannot.
    pub(crate) serve: fn(TcpListener) -> io::Result<()>,
    /// Whether the server makes its system calls itself, and so can count them.
    pub(crate) counts_calls: bool,
}

pub(crate) const MODELS: &[Model] = &[
    model("blocking", "one client at a time", blocking::serve),
    model("nonblocking", "asks every client over and over, never waits", nonblocking::serve),
    model("threads", "a blocking thread for each client", threads::serve),
    model("thread_pool", "a fixed number of blocking threads", thread_pool::serve),
    model("select", "select(2): sets of bits, at most 1024 descriptors", select::serve),
    model("poll", "poll(2): an array of descriptors", poll::serve),
    model("epoll_level", "epoll(7): told as long as something is ready", epoll_level::serve),
    model("epoll_edge", "epoll(7): told once, then goes on until EAGAIN", epoll_edge::serve),
    model("signal_driven", "O_ASYNC: a realtime signal for each event", signal_driven::serve),
    model("async_io", "io_uring(7): the kernel says when it is done", async_io::serve),
    on_corovent("selectors", "callbacks that a loop calls", selectors::serve),
    on_corovent("socketserver", "a handler for each connection", socketserver::serve),
    on_corovent("coroutines", "written like threads, waits like epoll", coroutines::serve),
];

/// A model whose calls are made by corovent.
const fn on_corovent(
    name: &'static str,
    about: &'static str,
    serve: fn(TcpListener) -> io::Result<()>,
) -> Model {
    Model { name, about, serve, counts_calls: false }
}

const fn model(
    name: &'static str,
    about: &'static str,
    serve: fn(TcpListener) -> io::Result<()>,
) -> Model {
    Model { name, about, serve, counts_calls: true }
}

impl Model {
    pub(crate) fn named(name: &str) -> Result<&'static Model, String> {
        let model = MODELS.iter().find(|model| model.name == name);
        model.ok_or_else(|| format!("there is no model '{name}' (see io_models list)"))
    }
}
