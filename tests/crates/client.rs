//! `ureq`, an HTTP client, over the sockets of the world around, with TLS on top if asked.

use std::fmt;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::net::RecvFlags;
use rustix::net::recv;
use ureq::Agent;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::Certificate;
use ureq::tls::RootCerts;
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::ResolvedSocketAddrs;
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::Buffers;
use ureq::unversioned::transport::ConnectionDetails;
use ureq::unversioned::transport::Connector;
use ureq::unversioned::transport::LazyBuffers;
use ureq::unversioned::transport::NextTimeout;
use ureq::unversioned::transport::RustlsConnector;
use ureq::unversioned::transport::Transport;

use super::TcpListener;
use super::TcpStream;
use super::ToSocketAddrs;
use super::http;
use super::spawn;
use super::tls::server;
use super::yield_now;
use crate::keys::keys;
use crate::support::run;

const SHORT: Duration = Duration::from_millis(3);

/// Looks names up, and opens connections.
#[derive(Debug)]
struct Net;

impl Resolver for Net {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let (host, port) = (uri.host().unwrap(), uri.port_u16().unwrap());
        let mut addrs = self.empty();
        // The tests' servers are here alone.
        let is_meant = |addr: &std::net::SocketAddr| addr.is_ipv4();
        (host, port).to_socket_addrs()?.filter(is_meant).take(1).for_each(|addr| addrs.push(addr));
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

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_write_timeout(timeout.not_zero().map(|limit| *limit))?;
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output).map_err(|error| or_timeout(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.set_read_timeout(timeout.not_zero().map(|limit| *limit))?;
        let input = self.buffers.input_append_buf();
        let count = self.stream.read(input).map_err(|error| or_timeout(error, timeout))?;
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

fn or_timeout(error: std::io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

/// An agent that trusts our certificate.
pub(crate) fn agent(limit: Option<Duration>) -> Agent {
    let certificate = Certificate::from_der(&keys().certificate).to_owned();
    let roots = RootCerts::new_with_certs(&[certificate]);
    let tls = TlsConfig::builder().root_certs(roots).build();
    let config = Agent::config_builder().tls_config(tls).timeout_global(limit).build();
    Agent::with_parts(config, Net.chain(RustlsConnector::default()), Net)
}

/// Serves so many connections, each in a thread of its own.
fn serve(
    listener: TcpListener,
    connections: usize,
    is_encrypted: bool,
    answer: impl Fn(&http::Request) -> Vec<u8> + Clone + Send + 'static,
) {
    let serve_one = |_| {
        let (mut stream, _) = listener.accept().unwrap();
        let answer = answer.clone();
        spawn(move || {
            // How a client leaves is not looked at.
            let _ = if is_encrypted {
                http::serve(&mut server(stream), answer)
            } else {
                http::serve(&mut stream, answer)
            };
        })
    };
    let servers: Vec<_> = (0..connections).map(serve_one).collect();
    servers.into_iter().for_each(|server| server.join().unwrap());
}

/// The server answers none before all have come.
fn requests_overlap(requests: usize, is_encrypted: bool) {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let come = Arc::new(AtomicUsize::new(0));
        let server = spawn(move || {
            serve(listener, requests, is_encrypted, move |request| {
                come.fetch_add(1, Ordering::SeqCst);
                while come.load(Ordering::SeqCst) < requests {
                    yield_now();
                }
                http::mirror(request)
            });
        });
        let agent = agent(None);
        let ask = |n: usize| {
            let agent = agent.clone();
            spawn(move || {
                let scheme = if is_encrypted { "https" } else { "http" };
                let mut response = agent
                    .post(format!("{scheme}://localhost:{port}/{n}"))
                    .send(format!("body {n}"))
                    .unwrap();
                response.body_mut().read_to_string().unwrap()
            })
        };
        let clients: Vec<_> = (0..requests).map(ask).collect();
        for (n, client) in clients.into_iter().enumerate() {
            assert_eq!(client.join().unwrap(), format!("POST /{n} body {n}"));
        }
        // It keeps connections open.
        drop(agent);
        server.join().unwrap();
    });
}

#[test]
fn fifty_requests_overlap() {
    requests_overlap(50, false);
}

#[test]
fn encrypted_requests_overlap() {
    requests_overlap(10, true);
}

/// One request after the other, on one connection.
#[test]
fn a_connection_is_used_again() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = spawn(move || serve(listener, 1, false, http::mirror));
        let agent = agent(Some(Duration::from_secs(60)));
        for n in 0..5 {
            let mut response = agent.get(format!("http://localhost:{port}/{n}")).call().unwrap();
            assert_eq!(response.body_mut().read_to_string().unwrap(), format!("GET /{n} "));
        }
        drop(agent);
        server.join().unwrap();
    });
}

#[test]
fn the_clients_own_timeout_works() {
    run(|| {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let url = format!("http://localhost:{port}/");
        let error = agent(Some(SHORT)).get(url).call().unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    });
}
