//! `unix_echo`: its echo, and what becomes of the socket's file.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::Process;
use crate::process::run;

const SERVER: &str = "unix_echo";

/// A path that is free, in a directory of its own.
fn free_path() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    (directory, path)
}

fn start(path: &Path) -> Process {
    let (server, said) = Process::start_server(SERVER, &[path.to_str().unwrap()]);
    assert_eq!(Path::new(&said), path);
    server
}

/// Sends bytes and their end, and compares what comes back.
fn exchange(path: &Path, bytes: &[u8]) {
    let stream = UnixStream::connect(path).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        let mut answer = Vec::new();
        (&stream).read_to_end(&mut answer).unwrap();
        assert!(answer == bytes, "another answer came back");
    });
}

#[track_caller]
fn stop(server: Process, signal: Signal, expected: &str) {
    server.signal(signal);
    let ending = server.end();
    ending.assert_done();
    assert_eq!(ending.stdout, [expected]);
}

#[test]
fn it_echoes_and_removes_its_file() {
    for signal in [Signal::INT, Signal::TERM] {
        let (_directory, path) = free_path();
        let server = start(&path);
        let idle = UnixStream::connect(&path).unwrap();
        thread::scope(|scope| {
            for n in 0..5 {
                let path = &path;
                scope.spawn(move || {
                    [0, 1, 4096, 300_000].iter().for_each(|len| exchange(path, &vec![n; *len]));
                });
            }
        });
        drop(idle);
        let bytes = 5 * (1 + 4096 + 300_000);
        stop(server, signal, &format!("served 21 connections and {bytes} bytes"));
        assert!(!path.exists());
    }
}

#[test]
fn a_stale_file_is_taken_over() {
    let (_directory, path) = free_path();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "std leaves the file");
    let server = start(&path);
    exchange(&path, b"hello");
    // Killed without a chance to remove its own.
    server.signal(Signal::KILL);
    assert_eq!(server.end().code, None);
    assert!(path.exists());
    let server = start(&path);
    exchange(&path, b"again");
    stop(server, Signal::TERM, "served 1 connections and 5 bytes");
}

#[test]
fn what_is_in_use_is_left_alone() {
    let (directory, path) = free_path();
    let check = |path: &Path, why: &str| {
        let path = path.to_str().unwrap();
        let why = format!("cannot listen on {path}: {why}");
        run(SERVER, &[path]).assert_gave_up(SERVER, &why);
    };
    let server = start(&path);
    check(&path, "Address already in use");
    exchange(&path, b"hello");

    let file = directory.path().join("file");
    fs::write(&file, "text").unwrap();
    check(&file, "Address already in use");
    assert_eq!(fs::read_to_string(&file).unwrap(), "text");
    check(&directory.path().join("no/such/directory"), "No such file or directory");
    // The look whether the server was alive was a connection too.
    stop(server, Signal::TERM, "served 2 connections and 5 bytes");
}

#[test]
fn the_help_and_bad_arguments() {
    let help = run(SERVER, &["-h"]);
    help.assert_done();
    assert!(help.stdout.join("\n").contains("Usage: unix_echo PATH"), "{help:?}");
    run(SERVER, &[]).assert_gave_up(SERVER, "PATH is missing");
    run(SERVER, &["a", "b"]).assert_gave_up(SERVER, "unexpected argument 'b'");
}
