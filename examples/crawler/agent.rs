//! `ureq` over green sockets: what an HTTP client that knows nothing of coroutines needs.
//!
//! It has no limits of time of its own: whoever fetches sets one around it, by `timeout`.

use std::fmt;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;

use rustix::net::RecvFlags;
use rustix::net::recv;
use ureq::Agent;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::ResolvedSocketAddrs;
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::Buffers;
use ureq::unversioned::transport::ConnectionDetails;
use ureq::unversioned::transport::Connector;
use ureq::unversioned::transport::LazyBuffers;
use ureq::unversioned::transport::NextTimeout;
use ureq::unversioned::transport::Transport;

use corovent::net::TcpStream;
use corovent::net::ToSocketAddrs;

const PORT_DEFAULT: u16 = 80;
/// ureq has room for so many addresses of a name.
const ADDRS_MAX: usize = 16;

/// A client that gives every answer as it is: redirects and errors are the caller's.
pub(crate) fn agent(connections: usize) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_idle_connections(connections)
        .max_idle_connections_per_host(connections)
        .build();
    Agent::with_parts(config, Net, Net)
}

/// Looks names up, and opens connections.
#[derive(Debug)]
struct Net;

impl Resolver for Net {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or_else(|| Error::BadUri(uri.to_string()))?;
        let port = uri.port_u16().unwrap_or(PORT_DEFAULT);
        let mut addrs = self.empty();
        // An IPv6 address stands in brackets.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (host, port).to_socket_addrs()?.take(ADDRS_MAX).for_each(|addr| addrs.push(addr));
        if addrs.is_empty() { Err(Error::HostNotFound) } else { Ok(addrs) }
    }
}

impl Connector for Net {
    type Out = Socket;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Socket>, Error> {
        let stream = TcpStream::connect(&details.addrs[..])?;
        stream.set_nodelay(true)?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Socket { stream, buffers }))
    }
}

struct Socket {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let count = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        // By the kernel's own call. A `peek` of ours lets others run now and then, even if it
        // need not wait, and ureq holds a lock of std's here.
        let probe = recv(&self.stream, &mut [0_u8], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        probe.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}
