//! A handler for each request: the program says what is to be done with a connection, and the
//! server accepts, starts a coroutine for each, and looks after errors and panics.

use std::io;
use std::net::TcpListener as StdTcpListener;

use corovent::net::SocketAddr;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::server::RequestHandler;
use corovent::server::StreamServer;
use corovent::server::requests;

use crate::tally;
use crate::upper::serve_stream;

struct Upper;

impl RequestHandler<TcpStream, SocketAddr> for Upper {
    type Request = TcpStream;

    fn setup(&self, stream: TcpStream, _: SocketAddr) -> io::Result<TcpStream> {
        tally::accepted();
        Ok(stream)
    }

    fn handle(&self, stream: &mut TcpStream) -> io::Result<()> {
        // A connection that breaks is the client's business: the server need not tell.
        let _ = serve_stream(stream);
        Ok(())
    }
}

pub(crate) fn serve(listener: StdTcpListener) -> io::Result<()> {
    let listener = TcpListener::from(listener);
    StreamServer::builder().listener(listener, requests(Upper))?.serve_forever()
}
