//! A small HTTP/1.1 server, whose requests `httparse` reads as they come in pieces.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Result;
use std::io::Write;
use std::net::Shutdown;

use super::spawn;
use super::tls::pair;
use crate::support::run;

const HEAD_BYTES_MAX: usize = 4096;
const HEADERS_MAX: usize = 32;

/// What a connection has asked for.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    is_last: bool,
}

/// Answers the requests of a connection, in order, until it ends; gives how many there were.
pub(crate) fn serve(
    stream: &mut (impl Read + Write),
    mut answer: impl FnMut(&Request) -> Vec<u8>,
) -> Result<usize> {
    let mut bytes = Vec::new();
    for served in 0.. {
        match next(stream, &mut bytes) {
            Ok(Some(request)) => {
                respond(stream, "200 OK", &answer(&request), request.is_last)?;
                if request.is_last {
                    return Ok(served + 1);
                }
            }
            Ok(None) => return Ok(served),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                respond(stream, &error.to_string(), b"", true)?;
                // To close with something unread would reset the connection, and the answer.
                while more(stream, &mut bytes)? {
                    bytes.clear();
                }
                return Ok(served);
            }
            Err(error) => return Err(error),
        }
    }
    unreachable!("nobody asks that often")
}

/// Reads one request; what comes after it stays in `bytes`. `None` at the end between two.
fn next(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<Option<Request>> {
    let refuse = |status: &str| std::io::Error::new(ErrorKind::InvalidData, status);
    let (mut request, head_size, body_size) = loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut headers);
        match head.parse(bytes).map_err(|_| refuse("400 Bad Request"))? {
            httparse::Status::Complete(head_size) => {
                let body_size = header(&head, "content-length").unwrap_or("0");
                let body_size: usize = body_size.parse().map_err(|_| refuse("400 Bad Request"))?;
                let request = Request {
                    method: head.method.unwrap().to_owned(),
                    path: head.path.unwrap().to_owned(),
                    body: Vec::new(),
                    is_last: header(&head, "connection") == Some("close"),
                };
                break (request, head_size, body_size);
            }
            httparse::Status::Partial if bytes.len() > HEAD_BYTES_MAX => {
                return Err(refuse("431 Request Header Fields Too Large"));
            }
            httparse::Status::Partial => {}
        }
        if !more(stream, bytes)? {
            return if bytes.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
    };
    let size = head_size + body_size;
    while bytes.len() < size {
        if !more(stream, bytes)? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    request.body = bytes[head_size..size].to_vec();
    bytes.drain(..size);
    Ok(Some(request))
}

fn header<'a>(head: &httparse::Request<'_, 'a>, name: &str) -> Option<&'a str> {
    let mut headers = head.headers.iter();
    let found = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok()
}

fn more(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<bool> {
    let mut buf = [0; 2048];
    let count = stream.read(&mut buf)?;
    bytes.extend_from_slice(&buf[..count]);
    Ok(count > 0)
}

fn respond(stream: &mut impl Write, status: &str, body: &[u8], is_last: bool) -> Result<()> {
    let connection = if is_last { "close" } else { "keep-alive" };
    let size = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {size}\r\nConnection: {connection}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()
}

/// The body is what was asked for.
pub(crate) fn mirror(request: &Request) -> Vec<u8> {
    let mut text = format!("{} {} ", request.method, request.path).into_bytes();
    text.extend_from_slice(&request.body);
    text
}

/// Sends bytes in pieces of a size, then reads the bodies of all answers, and the last status.
fn check(text: &str, piece: usize, served: usize, bodies: &[&str], last_status: &str) {
    run(|| {
        let (mut ours, mut theirs) = pair();
        let server = spawn(move || serve(&mut theirs, mirror));
        let mut writer = ours.try_clone().unwrap();
        let text = text.to_owned();
        let sender = spawn(move || -> Result<()> {
            writer.set_nodelay(true)?;
            text.as_bytes().chunks(piece).try_for_each(|piece| writer.write_all(piece))?;
            // The last answer may have ended the connection.
            drop(writer.shutdown(Shutdown::Write));
            Ok(())
        });
        let mut answers = String::new();
        ours.read_to_string(&mut answers).unwrap();
        let heads: Vec<&str> = answers.matches("HTTP/1.1 ").collect();
        assert_eq!(heads.len(), bodies.len(), "{answers}");
        for (answer, body) in answers.split("HTTP/1.1 ").skip(1).zip(bodies) {
            assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answers}");
        }
        let last = answers.rsplit("HTTP/1.1 ").next().unwrap();
        assert!(last.starts_with(last_status), "{answers}");
        sender.join().unwrap().unwrap();
        assert_eq!(server.join().unwrap().unwrap(), served);
    });
}

const THREE: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n\
    POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\
    GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[test]
fn requests_are_read_however_they_are_cut() {
    for piece in [1, 2, 7, 30, 1000] {
        check(THREE, piece, 3, &["GET /a ", "POST /b hello", "GET /c "], "200");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    check("GET /a HTTP/1.1\r\nHost: x\r\n\r\nno request\r\n\r\n", 3, 1, &["GET /a ", ""], "400");
    let endless = format!("GET /a HTTP/1.1\r\nA: {}", "x".repeat(HEAD_BYTES_MAX));
    check(&endless, 1000, 0, &[""], "431");
}
