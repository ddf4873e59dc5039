//! Ten thousand connections at once, between two processes.

use std::io;
use std::io::Write;

use rustix::process::Resource;
use rustix::process::Signal;
use rustix::process::getrlimit;

use crate::process::Process;
use crate::process::run;

const CONNECTIONS: u64 = 10_000;
/// What a process has open besides its connections.
const FDS_BESIDE: u64 = 50;

#[test]
fn ten_thousand_connections_echo() {
    // Both programs raise their soft limit to the hard one, as far as it goes.
    if let Some(hard) = getrlimit(Resource::Nofile).maximum
        && hard < CONNECTIONS + FDS_BESIDE
    {
        // What a passing test prints is not shown, but this is.
        let why = format!("skipped: the hard limit on descriptors is {hard} (ulimit -Hn)");
        return writeln!(io::stdout(), "ten_thousand_connections_echo: {why}").unwrap();
    }
    let (server, addr) = Process::start_echo_server();
    let connections = CONNECTIONS.to_string();
    let args = [&addr, "--connections", &connections, "--messages", "3", "--size", "64"];
    let client = run("echo_client", &args);
    assert_eq!(client.code, Some(0), "{client:?}");
    assert!(client.stdout.join("\n").contains("30000 messages of 64 bytes came back right"));

    server.signal(Signal::TERM);
    let ending = server.end();
    ending.assert_done();
    let bytes = CONNECTIONS * 3 * 64;
    assert_eq!(ending.stdout, [format!("served {CONNECTIONS} connections and {bytes} bytes")]);
}
