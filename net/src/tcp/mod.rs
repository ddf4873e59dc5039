//! TCP: the mirrors of [`std::net::TcpStream`] and [`std::net::TcpListener`].

mod listener;
mod stream;

pub use crate::tcp::listener::Incoming;
pub use crate::tcp::listener::TcpListener;
pub use crate::tcp::stream::TcpStream;
pub use crate::tcp::stream::TcpStreamExt;
