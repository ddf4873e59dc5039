//! Servers: a listener, a handler that runs in a coroutine for each connection, and a stop
//! that says what became of all of them. gevent's `gevent.server`, with what Python's
//! `socketserver` has.
//!
//! A server's part on one hub is a *site*: the coroutine that accepts, and the crew of those
//! that handle. `control.rs` is what the sites of a server share with whoever stops it, on any
//! thread; `crew.rs` knows who is at work. **Invariant:** a site ends when its crew has ended,
//! was killed, or has swallowed its kills; and it says which.

mod builder;
mod control;
mod crew;
mod datagram;
mod datagram_builder;
mod listener;
mod options;
mod processes;
mod report;
mod request;
mod site;
mod stream;
mod trouble;
mod work;
mod worker;

pub use crate::server::builder::Builder;
pub use crate::server::builder::Workers;
pub use crate::server::control::Handle;
pub use crate::server::control::Stats;
pub use crate::server::datagram::DatagramServer;
pub use crate::server::datagram::DatagramSocket;
pub use crate::server::datagram_builder::DatagramBuilder;
pub use crate::server::listener::Listener;
pub use crate::server::report::Report;
pub use crate::server::request::Outcome;
pub use crate::server::request::RequestHandler;
pub use crate::server::request::requests;
pub use crate::server::stream::StreamServer;
pub use crate::server::trouble::Failure;
pub use crate::server::trouble::Trouble;
pub use crate::server::worker::worker_number;
