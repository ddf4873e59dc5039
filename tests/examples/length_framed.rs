//! `length_framed`: its frames, files both ways, and clients that lie or leave.

use std::fs;
use std::io;
use std::io::Cursor;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::thread;

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::proptest;
use rustix::process::Signal;
use tempfile::TempDir;

use self::frame::Answer;
use self::frame::HEADER_BYTES_MAX;
use self::frame::Request;
use self::frame::copy_payload;
use self::frame::read_header;
use self::frame::write_header;
use crate::process::Process;
use crate::process::run;

#[path = "../../examples/length_framed/frame.rs"]
mod frame;

const PROGRAM: &str = "length_framed";

/// A server with a directory of its own.
struct Server {
    process: Process,
    addr: String,
    directory: TempDir,
}

impl Server {
    fn start() -> Server {
        let directory = TempDir::new().unwrap();
        let args = ["serve", directory.path().to_str().unwrap(), "127.0.0.1:0"];
        let (process, addr) = Process::start_server(PROGRAM, &args);
        Server { process, addr, directory }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// What is in its directory, hidden or not.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn content(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.path().join(name)).unwrap()
    }

    /// Stops it, and checks what it says it did, and what it leaves.
    #[track_caller]
    fn stop(self, expected: &str, files: &[&str]) {
        self.process.signal(Signal::TERM);
        let ending = self.process.end();
        ending.assert_done();
        assert_eq!(ending.stdout, [expected]);
        let Server { directory, .. } = self;
        let entries = fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, files);
    }
}

fn put(name: &str, size: u64) -> Request {
    Request::Put { name: name.to_owned(), size }
}

fn get(name: &str) -> Request {
    Request::Get { name: name.to_owned() }
}

/// The bytes of a frame.
fn framed(request: &Request, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_header(&mut bytes, request).unwrap();
    bytes.extend_from_slice(payload);
    bytes
}

/// A header as it is, with its length before it.
fn raw(header: &str) -> Vec<u8> {
    [&(header.len() as u32).to_be_bytes(), header.as_bytes()].concat()
}

/// Reads an answer, and its payload or its message.
fn answer(mut stream: &TcpStream) -> Result<Vec<u8>, String> {
    match read_header(&mut stream).unwrap().expect("an answer") {
        Answer::Ok { size } => {
            let mut payload = Vec::new();
            copy_payload(&mut stream, &mut payload, size).unwrap();
            Ok(payload)
        }
        Answer::Error { message } => Err(message),
    }
}

/// Checks that the server closes the connection, with nothing more to say.
#[track_caller]
fn assert_ends(mut stream: &TcpStream) {
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

/// Bytes that are the same for the same length only.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| ((n ^ len as u32).wrapping_mul(0x9e37_79b1) >> 24) as u8).collect()
}

/// Gives a few bytes for each call.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let size = *self.sizes.next().unwrap();
        let count = size.min(buf.len()).min(self.bytes.len());
        buf[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(count)
    }
}

proptest! {
    #[test]
    fn frames_are_read_however_they_are_cut(
        payloads in vec((".{0,40}", vec(any::<u8>(), 0..300)), 0..6),
        sizes in vec(1..50_usize, 1..8),
    ) {
        let mut bytes = Vec::new();
        for (name, payload) in &payloads {
            bytes.extend(framed(&put(name, payload.len() as u64), payload));
        }
        let mut reader = Pieces { bytes: &bytes, sizes: sizes.iter().cycle() };
        for (name, payload) in &payloads {
            let header = read_header(&mut reader).unwrap();
            prop_assert_eq!(header, Some(put(name, payload.len() as u64)));
            let mut copy = Vec::new();
            copy_payload(&mut reader, &mut copy, payload.len() as u64).unwrap();
            prop_assert_eq!(&copy, payload);
        }
        prop_assert_eq!(read_header::<Request>(&mut reader).unwrap(), None);
    }

    #[test]
    fn a_frame_that_is_cut_is_an_error(
        name in ".{0,40}",
        payload in vec(any::<u8>(), 1..300),
        at in 0.0..1.0,
    ) {
        let size = payload.len() as u64;
        let bytes = framed(&put(&name, size), &payload);
        let cut = 1 + ((bytes.len() - 1) as f64 * at) as usize;
        let mut reader = &bytes[..cut];
        let error = match read_header::<Request>(&mut reader) {
            Err(error) => error,
            Ok(_) => copy_payload(&mut reader, &mut io::sink(), size).unwrap_err(),
        };
        prop_assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        prop_assert!(error.to_string().starts_with("the stream has ended within a "));
    }

    #[test]
    fn garbage_is_an_error(bytes in vec(any::<u8>(), 1..50)) {
        // A good header is longer by chance than these can be.
        prop_assert!(read_header::<Request>(&mut Cursor::new(bytes)).is_err());
    }
}

#[test]
fn headers_are_bounded_when_they_are_written_too() {
    let mut bytes = Vec::new();
    let error = write_header(&mut bytes, &get(&"x".repeat(HEADER_BYTES_MAX))).unwrap_err();
    assert!(error.to_string().contains("more than 4096"), "{error}");
    assert!(bytes.is_empty());
}

#[test]
fn the_help_names_the_commands() {
    let ending = run(PROGRAM, &["--help"]);
    ending.assert_done();
    let text = ending.stdout.join("\n");
    for part in ["length_framed demo", "serve DIRECTORY [ADDR]", "put ADDR FILE...", "SIGTERM"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn bad_arguments_are_refused_in_one_line() {
    let check = |args: &[&str], why: &str| run(PROGRAM, args).assert_gave_up(PROGRAM, why);
    for args in [&[][..], &["dance"], &["serve"], &["put", "a:1"], &["get", "a:1"], &["ls"]] {
        check(args, "bad arguments (see --help)");
    }
    check(&["serve", "/nowhere"], "/nowhere is no directory");
    check(&["serve", "/", "nonsense"], "cannot listen on nonsense: ");
    check(&["ls", "nonsense"], "cannot connect to nonsense: ");
}

#[test]
fn the_demo_shows_both_ways() {
    let ending = run(PROGRAM, &["demo"]);
    ending.assert_done();
    let received =
        |line: &String| Some(line.strip_prefix("  received ")?.trim_matches('"').to_owned());
    let mut halves = ending.stdout.split(|line| line.contains("in frames"));
    let glued: Vec<String> = halves.next().unwrap().iter().filter_map(received).collect();
    assert_eq!(glued.concat(), "oneand twoand three");
    let framed: Vec<String> = halves.next().unwrap().iter().filter_map(received).collect();
    assert_eq!(framed, ["one", "and two", "and three"]);
}

#[test]
fn files_of_any_size_go_both_ways() {
    let server = Server::start();
    let here = TempDir::new().unwrap();
    let path = |name: &str| here.path().join(name).to_str().unwrap().to_owned();
    let sizes = [0, 1, 65_535, 65_536, 65_537, 10_000_000];
    let mut args = vec!["put".to_owned(), server.addr.clone()];
    for size in sizes {
        fs::write(path(&size.to_string()), pattern(size)).unwrap();
        args.push(path(&size.to_string()));
    }
    let ending = run(PROGRAM, &args.iter().map(String::as_str).collect::<Vec<_>>());
    ending.assert_done();
    let last = path("10000000");
    assert_eq!(ending.stdout.last(), Some(&format!("put {last}: 10000000 bytes")));

    for size in sizes {
        let (name, copy) = (size.to_string(), path("copy"));
        assert!(server.content(&name) == pattern(size), "{size}");
        let ending = run(PROGRAM, &["get", &server.addr, &name, &copy]);
        ending.assert_done();
        assert_eq!(ending.stdout, [format!("got {name}: {size} bytes")]);
        assert!(fs::read(&copy).unwrap() == pattern(size), "{size}");
    }
    let ending = run(PROGRAM, &["ls", &server.addr]);
    ending.assert_done();
    let names = ["0", "1", "10000000", "65535", "65536", "65537"];
    assert_eq!(ending.stdout, names.map(|name| format!("{name:>12} {name}")));

    let bytes = 2 * sizes.iter().sum::<usize>();
    server.stop(&format!("took 6 files and gave 6, {bytes} bytes"), &names);
    // Nothing but what was asked for.
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), sizes.len() + 1);
}

#[test]
fn a_file_replaces_the_one_before() {
    let server = Server::start();
    let stream = server.connect();
    for content in ["first, and longer", "second"] {
        (&stream).write_all(&framed(&put("a", content.len() as u64), content.as_bytes())).unwrap();
        assert_eq!(answer(&stream), Ok(vec![]));
        assert_eq!(server.content("a"), content.as_bytes());
    }
    server.stop("took 2 files and gave 0, 23 bytes", &["a"]);
}

#[test]
fn frames_may_come_byte_by_byte() {
    let server = Server::start();
    let stream = server.connect();
    let bytes = [framed(&put("slow", 5), b"bytes"), framed(&get("slow"), b"")].concat();
    bytes.iter().for_each(|byte| (&stream).write_all(&[*byte]).unwrap());
    assert_eq!(answer(&stream), Ok(vec![]));
    assert_eq!(answer(&stream), Ok(b"bytes".to_vec()));
    server.stop("took 1 files and gave 1, 10 bytes", &["slow"]);
}

#[test]
fn frames_may_come_glued_together() {
    let server = Server::start();
    let stream = server.connect();
    let names: Vec<String> = (10..60).map(|n| n.to_string()).collect();
    let mut bytes = Vec::new();
    names.iter().for_each(|name| bytes.extend(framed(&put(name, 2), name.as_bytes())));
    bytes.extend(framed(&Request::Ls, b""));
    names.iter().for_each(|name| bytes.extend(framed(&get(name), b"")));
    (&stream).write_all(&bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();

    names.iter().for_each(|_| assert_eq!(answer(&stream), Ok(vec![])));
    let list: String = names.iter().map(|name| format!("{:>12} {name}\n", 2)).collect();
    assert_eq!(answer(&stream), Ok(list.into_bytes()));
    names.iter().for_each(|name| assert_eq!(answer(&stream), Ok(name.clone().into_bytes())));
    assert_ends(&stream);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    server.stop("took 50 files and gave 50, 200 bytes", &names);
}

#[test]
fn what_is_wrong_with_a_frame_is_told() {
    let server = Server::start();
    let check = |bytes: &[u8], why: &str| {
        let stream = server.connect();
        (&stream).write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let message = answer(&stream).unwrap_err();
        assert!(message.contains(why), "{message:?} does not say {why:?}");
        assert_ends(&stream);
    };
    // Lengths that lie, the first as a client of another protocol has it.
    check(b"GET / HTTP/1.1\r\n\r\n", "a header of 1195725856 bytes, more than 4096");
    check(&4097_u32.to_be_bytes(), "a header of 4097 bytes");
    check(&u32::MAX.to_be_bytes(), "a header of 4294967295 bytes");
    check(&0_u32.to_be_bytes(), "cannot be understood: EOF");
    // Too short for its header, too long for it.
    check(&[&[0, 0, 0, 10], &raw(r#"{"command":"ls"}"#)[4..]].concat(), "cannot be understood");
    check(&[&[0, 0, 0, 20], &raw(r#"{"command":"ls"}"#)[4..]].concat(), "after 16 of 20 bytes");
    // Headers that are none.
    check(&raw("no JSON"), "cannot be understood: expected");
    check(&raw("\u{0}\u{1}"), "cannot be understood");
    check(&raw("{}"), "missing field `command`");
    check(&raw("[1, 2]"), "cannot be understood");
    check(&raw(r#"{"command":"dance"}"#), "unknown variant `dance`");
    check(&raw(r#"{"command":"put","name":"a"}"#), "missing field `size`");
    check(&raw(r#"{"command":"put","name":"a","size":-1}"#), "invalid value: integer `-1`");
    check(&raw(r#"{"command":"put","name":"a","size":1.5}"#), "floating point `1.5`");
    check(&raw(r#"{"command":"put","name":"a","size":99999999999999999999}"#), "cannot be");
    check(&raw(r#"{"command":"put","name":7,"size":1}"#), "invalid type: integer `7`");
    check(&raw(r#"{"command":"get","name":"a","size":1}"#), "unknown field `size`");
    check(&raw(r#"{"command":"ls"} and more"#), "trailing characters");
    check(&raw(&"[".repeat(4096)), "cannot be understood");
    // Sizes that lie.
    check(&framed(&put("a", u64::MAX), b"x"), "a payload of 18446744073709551615 bytes, more");
    check(&framed(&put("a", 10), b"nine byte"), "within a payload, after 9 of 10 bytes");
    // What is cut.
    check(&[0], "the stream has ended within a length, after 1 of 4 bytes");
    check(&[0, 0, 0], "within a length, after 3 of 4 bytes");
    check(&[0, 0, 0, 9], "within a header, after 0 of 9 bytes");
    check(&framed(&put("a", 10), b""), "within a payload, after 0 of 10 bytes");
    check(&framed(&put("../a", 10), b"12345"), "within a payload, after 5 of 10 bytes");
    let good = framed(&Request::Ls, b"");
    check(&good[..good.len() - 1], "within a header, after 15 of 16 bytes");
    server.stop("took 0 files and gave 0, 0 bytes", &[]);
}

#[test]
fn one_who_says_nothing_gets_no_answer() {
    let server = Server::start();
    let stream = server.connect();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_ends(&stream);
    server.stop("took 0 files and gave 0, 0 bytes", &[]);
}

#[test]
fn an_error_is_told_to_one_who_goes_on_sending() {
    let server = Server::start();
    let stream = server.connect();
    (&stream).write_all(&raw("no JSON")).unwrap();
    let sender = stream.try_clone().unwrap();
    // Until it is cut off.
    let sending = thread::spawn(move || while (&sender).write_all(&[7; 4096]).is_ok() {});
    assert!(answer(&stream).unwrap_err().contains("cannot be understood"));
    sending.join().unwrap();
    server.stop("took 0 files and gave 0, 0 bytes", &[]);
}

#[test]
fn names_lead_nowhere_else() {
    let server = Server::start();
    let outside = server.directory.path().with_extension("outside");
    let _ = fs::remove_file(&outside);
    let stream = server.connect();
    let escape = format!("../{}", outside.file_name().unwrap().to_str().unwrap());
    let absolute = outside.to_str().unwrap();
    let long = "x".repeat(256);
    let names = ["", ".", "..", ".hidden", &escape, absolute, "a/b", "./a", "a\0b", "a\nb", &long];
    for name in names {
        // All on one connection: what is refused does not end it.
        (&stream).write_all(&framed(&put(name, 3), b"abc")).unwrap();
        let message = answer(&stream).unwrap_err();
        assert!(message.contains("is no name"), "{message}");
        (&stream).write_all(&framed(&get(name), b"")).unwrap();
        let message = answer(&stream).unwrap_err();
        assert!(message.contains("is no name"), "{message}");
    }
    assert!(!outside.exists());
    fs::create_dir(server.directory.path().join("directory")).unwrap();
    for (name, why) in [("gone", "No such file"), ("directory", "it is no file")] {
        (&stream).write_all(&framed(&get(name), b"")).unwrap();
        let message = answer(&stream).unwrap_err();
        assert!(message.contains(&format!("cannot open '{name}': {why}")), "{message}");
    }
    let longest = "y".repeat(255);
    (&stream).write_all(&framed(&put(&longest, 3), b"abc")).unwrap();
    assert_eq!(answer(&stream), Ok(vec![]));
    (&stream).write_all(&framed(&Request::Ls, b"")).unwrap();
    assert_eq!(answer(&stream), Ok(format!("{:>12} {longest}\n", 3).into_bytes()));
    server.stop("took 1 files and gave 0, 3 bytes", &["directory", &longest]);
}

#[test]
fn two_clients_at_once() {
    let server = Server::start();
    let (slow, quick) = (server.connect(), server.connect());
    let content = pattern(300_000);
    let bytes = framed(&put("slow", content.len() as u64), &content);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    (&slow).write_all(first).unwrap();
    // The other is served in the middle of it, and sees nothing of it.
    (&quick).write_all(&framed(&put("quick", 3), b"abc")).unwrap();
    assert_eq!(answer(&quick), Ok(vec![]));
    (&quick).write_all(&framed(&get("quick"), b"")).unwrap();
    assert_eq!(answer(&quick), Ok(b"abc".to_vec()));
    (&quick).write_all(&framed(&Request::Ls, b"")).unwrap();
    assert_eq!(answer(&quick), Ok(format!("{:>12} quick\n", 3).into_bytes()));
    (&quick).write_all(&framed(&get("slow"), b"")).unwrap();
    assert!(answer(&quick).unwrap_err().contains("No such file"));

    (&slow).write_all(second).unwrap();
    assert_eq!(answer(&slow), Ok(vec![]));
    assert!(server.content("slow") == content);
    server.stop("took 2 files and gave 1, 300006 bytes", &["quick", "slow"]);
}

#[test]
fn an_upload_that_is_cut_leaves_nothing() {
    let server = Server::start();
    let content = pattern(500_000);
    fs::write(server.directory.path().join("kept"), b"as it was").unwrap();
    for len in [0, 1, 300_000, 499_999] {
        let stream = server.connect();
        (&stream).write_all(&framed(&put("kept", 500_000), &content[..len])).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let message = answer(&stream).unwrap_err();
        assert!(message.contains(&format!("after {len} of 500000 bytes")), "{message}");
        assert_eq!(server.files(), ["kept"]);
    }
    assert_eq!(server.content("kept"), b"as it was");
    server.stop("took 0 files and gave 0, 0 bytes", &["kept"]);
}

#[test]
fn a_signal_in_the_middle_of_an_upload_leaves_nothing() {
    let server = Server::start();
    let stream = server.connect();
    (&stream).write_all(&framed(&put("half", 1_000_000), &pattern(600_000))).unwrap();
    while server.files().is_empty() {
        thread::yield_now();
    }
    server.stop("took 0 files and gave 0, 0 bytes", &[]);
}

/// Runs the client against a server that gives this answer, whatever it is asked.
fn against(answer: Vec<u8>, args: &[&str]) -> crate::process::Ending {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let request: Option<Request> = read_header(&mut &stream).unwrap();
        if let Some(Request::Put { size, .. }) = request {
            copy_payload(&mut &stream, &mut io::sink(), size).unwrap();
        }
        (&stream).write_all(&answer).unwrap();
    });
    let ending = run(PROGRAM, &[&[args[0], &addr], &args[1..]].concat());
    server.join().unwrap();
    ending
}

#[test]
fn the_client_says_what_is_wrong_with_an_answer() {
    let here = TempDir::new().unwrap();
    let check = |answer: Vec<u8>, why: &str| {
        let copy = here.path().join("copy");
        let get = against(answer.clone(), &["get", "name", copy.to_str().unwrap()]);
        get.assert_gave_up(PROGRAM, why);
        assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0);
        against(answer, &["ls"]).assert_gave_up(PROGRAM, why);
    };
    check(vec![], "the server gave no answer");
    check(raw(r#"{"status":"error","message":"not today"}"#), "not today");
    check(raw(r#"{"status":"ok"}"#), "missing field `size`");
    check([raw(r#"{"status":"ok","size":9}"#), b"half".to_vec()].concat(), "after 4 of 9 bytes");
    check(b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "more than 4096");
}

#[test]
fn the_client_says_why_a_file_was_not_put() {
    let here = TempDir::new().unwrap();
    let path = here.path().join("file");
    fs::write(&path, pattern(100_000)).unwrap();
    let path = path.to_str().unwrap();
    let refused = raw(r#"{"status":"error","message":"the disk is full"}"#);
    against(refused, &["put", path]).assert_gave_up(PROGRAM, "file: the disk is full");
    against(vec![], &["put", path]).assert_gave_up(PROGRAM, "file: the server gave no answer");

    let server = Server::start();
    let gone = here.path().join("gone");
    let missing = run(PROGRAM, &["put", &server.addr, gone.to_str().unwrap()]);
    missing.assert_gave_up(PROGRAM, "gone: No such file");
    let hidden = here.path().join(".hidden");
    fs::write(&hidden, pattern(100_000)).unwrap();
    let refused = run(PROGRAM, &["put", &server.addr, hidden.to_str().unwrap()]);
    refused.assert_gave_up(PROGRAM, "'.hidden' is no name");
    server.stop("took 0 files and gave 0, 0 bytes", &[]);
    assert!(Path::new(path).exists());
}
