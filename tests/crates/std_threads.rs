//! The reference: std's sockets on OS threads.

pub(crate) const MANY: usize = 40;

pub(crate) use std::net::TcpListener;
pub(crate) use std::net::TcpStream;
pub(crate) use std::net::ToSocketAddrs;
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
