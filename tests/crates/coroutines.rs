//! Our sockets in coroutines of one thread.

/// How many connections there are where many are asked for.
pub(crate) const MANY: usize = 1000;

pub(crate) use corovent::net::TcpListener;
pub(crate) use corovent::net::TcpStream;
pub(crate) use corovent::net::ToSocketAddrs;
pub(crate) use corovent::spawn;
pub(crate) use corovent::yield_now;

#[path = "client.rs"]
pub(crate) mod client;
#[path = "http.rs"]
pub(crate) mod http;
#[path = "tls.rs"]
pub(crate) mod tls;
#[path = "websocket.rs"]
pub(crate) mod websocket;
