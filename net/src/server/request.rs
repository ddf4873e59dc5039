//! What handlers return, and handlers in three steps: socketserver's `BaseRequestHandler`.

use std::io;
use std::panic::AssertUnwindSafe;

use corovent_runtime::catch_unwind;

use crate::server::trouble::Failure;

/// What a handler may return: nothing, or a [`Result`] with any error. An error is counted and
/// given to the server's hook; a value of `Ok` is dropped.
pub trait Outcome {
    /// Gives the error.
    ///
    /// # Errors
    ///
    /// What the handler returned.
    fn into_result(self) -> Result<(), Failure>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), Failure> {
        Ok(())
    }
}

impl<T, E: Into<Failure>> Outcome for Result<T, E> {
    fn into_result(self) -> Result<(), Failure> {
        self.map(drop).map_err(Into::into)
    }
}

/// A handler in three steps, given to a server by [`requests`]: the `BaseRequestHandler` of
/// Python's socketserver.
///
/// `S` is the connection and `A` its address. The value that `setup` makes is what the Python
/// class keeps in `self`.
pub trait RequestHandler<S, A> {
    /// What there is for each connection, such as its buffers.
    type Request;

    /// Takes a connection. If it fails the others are not called.
    ///
    /// # Errors
    ///
    /// Whatever the server's hook is to be told.
    fn setup(&self, stream: S, peer: A) -> io::Result<Self::Request>;

    /// Serves the connection.
    ///
    /// # Errors
    ///
    /// Whatever the server's hook is to be told.
    fn handle(&self, request: &mut Self::Request) -> io::Result<()>;

    /// Is called at the end, also if `handle` has failed or panicked, or was killed. While it
    /// unwinds its calls fail if they have to wait, and its own error is dropped.
    ///
    /// # Errors
    ///
    /// Whatever the server's hook is to be told.
    fn finish(&self, request: Self::Request) -> io::Result<()> {
        drop(request);
        Ok(())
    }
}

/// Makes a handler in three steps into the closure that a server takes.
///
/// # Suspends
///
/// Never; the closure, while the steps do.
///
/// # Examples
///
/// ```
/// use corovent_net::server::{RequestHandler, StreamServer, requests};
/// use corovent_net::{SocketAddr, TcpStream};
/// use std::io::{self, BufRead, BufReader, Read, Write};
///
/// struct Upper;
///
/// impl RequestHandler<TcpStream, SocketAddr> for Upper {
///     type Request = BufReader<TcpStream>;
///
///     fn setup(&self, stream: TcpStream, _: SocketAddr) -> io::Result<Self::Request> {
///         Ok(BufReader::new(stream))
///     }
///
///     fn handle(&self, request: &mut Self::Request) -> io::Result<()> {
///         let mut line = String::new();
///         request.read_line(&mut line)?;
///         request.get_mut().write_all(line.to_uppercase().as_bytes())
///     }
/// }
///
/// let server = StreamServer::bind("127.0.0.1:0", requests(Upper))?;
/// server.start()?;
/// let mut client = TcpStream::connect(server.local_addr())?;
/// client.write_all(b"hello\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert_eq!(answer, "HELLO\n");
/// server.stop(std::time::Duration::from_secs(1));
/// # Ok::<(), io::Error>(())
/// ```
pub fn requests<S, A, H>(handler: H) -> impl Fn(S, A) -> io::Result<()>
where
    H: RequestHandler<S, A>,
{
    move |stream, peer| {
        let request = handler.setup(stream, peer)?;
        let mut running = Running { handler: &handler, request: Some(request) };
        let request = running.request.as_mut().expect("only the end takes it");
        let handled = handler.handle(request);
        let request = running.request.take().expect("only the end takes it");
        match (handled, handler.finish(request)) {
            (Err(first), Err(second)) => {
                Err(io::Error::new(first.kind(), format!("{first}; and at the end: {second}")))
            }
            (handled, finished) => handled.and(finished),
        }
    }
}

/// A request whose `finish` has yet to be called, whatever ends `handle`.
struct Running<'a, S, A, H: RequestHandler<S, A>> {
    handler: &'a H,
    request: Option<H::Request>,
}

impl<S, A, H: RequestHandler<S, A>> Drop for Running<'_, S, A, H> {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            // A panic on top of an unwinding would abort the process. What is lost is said by
            // the panic hook.
            let _ = catch_unwind(AssertUnwindSafe(|| self.handler.finish(request)));
        }
    }
}
