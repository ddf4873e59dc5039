//! The servers that are compared, and which of them cannot be had on this machine.

use std::env;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::plan::Plan;

/// What all others are compared with.
pub(crate) const RAW: &str = "raw";
/// The same program once more: how far it is from the first is what cannot be told apart.
pub(crate) const CONTROL: &str = "raw again";

/// The servers of this program.
const OWN: [(&str, &str); 14] = [
    (RAW, "raw"),
    (CONTROL, "raw"),
    ("raw level", "raw-level"),
    ("raw of 64", "raw-64"),
    ("corovent", "corovent"),
    ("corovent plain", "corovent-plain"),
    ("corovent server", "corovent-server"),
    ("tokio", "tokio"),
    ("tokio waits first", "tokio-ready"),
    ("monoio epoll", "monoio-epoll"),
    ("monoio io_uring", "monoio"),
    ("may", "may"),
    ("smol", "smol"),
    ("threads", "threads"),
];

/// Those that are there on one and on two threads.
const ON_THREADS: [(&str, &str); 7] = [
    (RAW, "raw"),
    (CONTROL, "raw"),
    ("raw on 2", "raw-2"),
    ("corovent plain", "corovent-plain"),
    ("corovent on 2", "corovent-2"),
    ("tokio", "tokio"),
    ("tokio on 2", "tokio-2"),
];

#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// A program that prints `listening on IP:PORT`, and its arguments.
    pub(crate) command: Vec<String>,
}

impl Peer {
    pub(crate) fn new(name: &str, words: &[&str]) -> Peer {
        let command = words.iter().map(|&word| word.to_owned()).collect();
        Peer { name: name.to_owned(), command }
    }
}

/// Gives all that run here; those that do not are named on stderr.
pub(crate) fn all(plan: &Plan) -> io::Result<Vec<Peer>> {
    let mut peers = own(&OWN)?;
    match go() {
        Ok(program) => peers.push(Peer::new("Go", &[&program])),
        Err(why) => skip("Go", &why),
    }
    match gevent() {
        Ok((python, script)) => peers.push(Peer::new("gevent", &[&python, &script])),
        Err(why) => skip("gevent", &why),
    }
    peers.extend(plan.added.iter().cloned());
    Ok(wanted(plan, peers))
}

pub(crate) fn on_threads(plan: &Plan) -> io::Result<Vec<Peer>> {
    let mut peers = own(&ON_THREADS)?;
    if let Ok(program) = go() {
        peers.push(Peer::new("Go", &[&program]));
        peers.push(Peer::new("Go on 2", &[&program, "2"]));
    }
    Ok(wanted(plan, peers))
}

/// Says on stderr what is not measured.
pub(crate) fn skip(name: &str, why: &str) {
    eprintln!("skipped: {name}: {why}");
}

fn own(servers: &[(&str, &str)]) -> io::Result<Vec<Peer>> {
    let program = env::current_exe()?;
    let program = program.to_string_lossy();
    Ok(servers.iter().map(|(name, kind)| Peer::new(name, &[&program, "serve", kind])).collect())
}

fn wanted(plan: &Plan, mut peers: Vec<Peer>) -> Vec<Peer> {
    let is_needed = |name: &String| name == RAW || name == CONTROL;
    let is_named = |name: &String| {
        plan.only.contains(name) || plan.added.iter().any(|added| added.name == *name)
    };
    if !plan.only.is_empty() {
        peers.retain(|peer| is_needed(&peer.name) || is_named(&peer.name));
    }
    peers
}

/// Builds the server in Go, and gives its program.
fn go() -> Result<String, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/echo.go");
    let program = target().join("echo-go");
    let built = Command::new("go").args(["build", "-o"]).arg(&program).arg(source).status();
    match built {
        Ok(status) if status.success() => Ok(program.to_string_lossy().into_owned()),
        Ok(status) => Err(format!("it cannot be built: {status}")),
        Err(error) => Err(format!("{error}; benches/install installs it")),
    }
}

/// Gives Python with gevent, and the server.
fn gevent() -> Result<(String, String), String> {
    let python = target().join("gevent/bin/python");
    if !python.exists() {
        return Err("it is not installed; benches/install installs it".to_owned());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/gevent_echo.py");
    Ok((python.to_string_lossy().into_owned(), script.to_string_lossy().into_owned()))
}

/// The directory `target`, in whose `release` this program is.
fn target() -> PathBuf {
    let program = env::current_exe().expect("a program is somewhere");
    program.ancestors().nth(2).expect("cargo has built it").to_owned()
}
