//! The reference: std's sockets on OS threads.

pub(crate) use std::net::TcpListener;
pub(crate) use std::net::TcpStream;
pub(crate) use std::sync::mpsc::channel;
pub(crate) use std::thread::spawn;
pub(crate) use std::thread::yield_now;

pub(crate) use crate::support::run;

#[path = "cases.rs"]
mod cases;
