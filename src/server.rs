//! Servers: a handler in a coroutine for each connection, and a stop that says what became of
//! them all.
//!
//! What gevent's `gevent.server` and Python's `socketserver` have.

pub use corovent_net::server::Builder;
pub use corovent_net::server::DatagramBuilder;
pub use corovent_net::server::DatagramServer;
pub use corovent_net::server::DatagramSocket;
pub use corovent_net::server::Failure;
pub use corovent_net::server::Handle;
pub use corovent_net::server::Listener;
pub use corovent_net::server::Outcome;
pub use corovent_net::server::Report;
pub use corovent_net::server::RequestHandler;
pub use corovent_net::server::Stats;
pub use corovent_net::server::StreamServer;
pub use corovent_net::server::Trouble;
pub use corovent_net::server::Workers;
pub use corovent_net::server::requests;
pub use corovent_net::server::worker_number;
