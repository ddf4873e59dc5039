//! Our sockets on OS threads without a hub.

pub(crate) const MANY: usize = 40;

pub(crate) use corovent::net::TcpListener;
pub(crate) use corovent::net::TcpStream;
pub(crate) use corovent::net::ToSocketAddrs;
pub(crate) use std::thread::spawn;
pub(crate) use std::thread::yield_now;

#[path = "client.rs"]
mod client;
#[path = "http.rs"]
mod http;
#[path = "tls.rs"]
mod tls;
#[path = "websocket.rs"]
mod websocket;
