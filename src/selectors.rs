//! Waiting for one of many descriptors, in the manner of an event loop: gevent's `selectors` and
//! `select.poll`.
//!
//! Where each connection has a coroutine of its own, none of this is needed. It is for code that
//! was written around an event loop, for very many descriptors that hardly ever do anything, and
//! for descriptors of C code. While a coroutine waits here, the others run.
//!
//! # Examples
//!
//! An echo server with a callback for each socket, like the one in the documentation of Python's
//! `selectors`:
//!
//! ```
//! use corovent::net::{TcpListener, TcpStream};
//! use corovent::selectors::{Events, Key, Selector};
//! use corovent::spawn;
//! use std::io::{self, Read, Write};
//! use std::os::fd::AsFd;
//! use std::rc::Rc;
//!
//! type Socket = Rc<dyn AsFd>;
//! struct Callback(Box<dyn Fn(&Loop, &Key<Socket, Callback>) -> io::Result<()>>);
//! type Loop = Selector<Socket, Callback>;
//!
//! fn register(
//!     selector: &Loop,
//!     socket: Socket,
//!     callback: impl Fn(&Loop, &Key<Socket, Callback>) -> io::Result<()> + 'static,
//! ) -> io::Result<()> {
//!     selector.register(socket, Events::READ, Callback(Box::new(callback)))?;
//!     Ok(())
//! }
//!
//! fn accept(selector: &Loop, listener: &TcpListener) -> io::Result<()> {
//!     let stream = Rc::new(listener.accept()?.0);
//!     register(selector, stream.clone(), move |selector, key| read(selector, key, &stream))
//! }
//!
//! fn read(
//!     selector: &Loop,
//!     key: &Key<Socket, Callback>,
//!     mut stream: &TcpStream,
//! ) -> io::Result<()> {
//!     let mut buf = [0; 1000];
//!     match stream.read(&mut buf)? {
//!         0 => selector.unregister(key),
//!         n => stream.write_all(&buf[..n]),
//!     }
//! }
//!
//! fn serve(listener: TcpListener) -> io::Result<()> {
//!     let selector = Selector::new()?;
//!     let listener = Rc::new(listener);
//!     register(&selector, listener.clone(), move |selector, _| accept(selector, &listener))?;
//!     loop {
//!         for (key, _) in selector.select(None)? {
//!             let Callback(callback) = key.data();
//!             callback(&selector, &key)?;
//!         }
//!     }
//! }
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let addr = listener.local_addr()?;
//! let server = spawn(move || serve(listener));
//!
//! let mut client = TcpStream::connect(addr)?;
//! client.write_all(b"hello")?;
//! let mut answer = [0; 5];
//! client.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"hello");
//! server.kill();
//! # Ok::<(), io::Error>(())
//! ```

pub use corovent_runtime::selectors::Events;
pub use corovent_runtime::selectors::Key;
pub use corovent_runtime::selectors::PollFd;
pub use corovent_runtime::selectors::PollFlags;
pub use corovent_runtime::selectors::Selector;
pub use corovent_runtime::selectors::poll;
