//! `chat`: names, what everybody hears, and who is made to go.

use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;

use rustix::process::Signal;

use crate::process::Process;
use crate::process::run;

const SERVER: &str = "chat";
const LINE_BYTES_MAX: usize = 1000;
const COMMANDS: &str = "/who lists who is here, /nick NAME renames you, /quit leaves";

fn start() -> (Process, String) {
    Process::start_server(SERVER, &["127.0.0.1:0"])
}

/// Stops the server, and checks what it says it did.
#[track_caller]
fn stop(server: Process, expected: &str) {
    server.signal(Signal::TERM);
    let ending = server.end();
    ending.assert_done();
    assert_eq!(ending.stdout, [expected]);
}

/// One who types and reads.
struct Person {
    reader: BufReader<TcpStream>,
}

impl Person {
    fn connect(addr: &str) -> Person {
        let person = Person { reader: BufReader::new(TcpStream::connect(addr).unwrap()) };
        person.reader.get_ref().set_nodelay(true).unwrap();
        person
    }

    /// Connects, says a name, and reads until it is announced.
    fn join(addr: &str, name: &str) -> Person {
        let mut person = Person::connect(addr);
        person.hears("* what is your name?");
        person.says(name);
        person.hears(&format!("* welcome, {name}: {COMMANDS}"));
        person.hears(&format!("* {name} joined"));
        person
    }

    fn says(&self, line: &str) {
        self.sends(format!("{line}\n").as_bytes());
    }

    fn sends(&self, bytes: &[u8]) {
        self.reader.get_ref().write_all(bytes).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line
    }

    #[track_caller]
    fn hears(&mut self, expected: &str) {
        assert_eq!(self.line(), format!("{expected}\n"));
    }

    /// It asks for who is here, and hears nothing before the answer.
    #[track_caller]
    fn sees(&mut self, names: &[&str]) {
        self.says("/who");
        self.hears(&format!("* {} here: {}", names.len(), names.join(", ")));
    }

    #[track_caller]
    fn is_alone_now(&mut self) {
        assert_eq!(self.line(), "");
    }
}

#[test]
fn the_help_says_what_the_arguments_are() {
    let ending = run(SERVER, &["--help"]);
    ending.assert_done();
    let text = ending.stdout.join("\n");
    for part in ["Usage: chat [ADDR]", "nc 127.0.0.1 7777", "SIGTERM"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn bad_arguments_are_refused_in_one_line() {
    run(SERVER, &["nonsense"]).assert_gave_up(SERVER, "cannot listen on nonsense: ");
    run(SERVER, &["127.0.0.1:0", "more"]).assert_gave_up(SERVER, "unexpected argument 'more'");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = other.local_addr().unwrap().to_string();
    run(SERVER, &[&addr]).assert_gave_up(SERVER, &format!("on {addr}: Address already in use"));
}

#[test]
fn a_line_goes_to_all_others() {
    let (server, addr) = start();
    let mut ada = Person::join(&addr, "ada");
    let mut bob = Person::join(&addr, "bob");
    ada.hears("* bob joined");
    let mut eve = Person::join(&addr, "eve");
    ada.hears("* eve joined");
    bob.hears("* eve joined");

    ada.says("hello, all");
    bob.hears("ada: hello, all");
    eve.hears("ada: hello, all");
    bob.says("hello, Ada");
    ada.hears("bob: hello, Ada");
    eve.hears("bob: hello, Ada");

    // Some clients end their lines as telnet does; nothing said is nothing heard.
    ada.sends(b"as telnet\r\n\r\n  \n\n\xc3\x84\xff\x1b[2J\n");
    for person in [&mut bob, &mut eve] {
        person.hears("ada: as telnet");
        person.hears("ada: Ä\u{fffd}\u{fffd}[2J");
    }
    // A line that is sent byte by byte, and several at once.
    "slow\n".bytes().for_each(|byte| bob.sends(&[byte]));
    bob.sends(b"one\ntwo\nthree\n");
    for person in [&mut ada, &mut eve] {
        for line in ["slow", "one", "two", "three"] {
            person.hears(&format!("bob: {line}"));
        }
    }
    ada.sees(&["ada", "bob", "eve"]);
    stop(server, "served 3 clients and 8 lines, dropped 0 who did not read");
    for person in [&mut ada, &mut bob, &mut eve] {
        person.hears("* the server stops");
        person.is_alone_now();
    }
}

#[test]
fn a_name_is_asked_for_until_it_is_good() {
    let (server, addr) = start();
    let mut ada = Person::join(&addr, "Ada");
    let mut other = Person::connect(&addr);
    other.hears("* what is your name?");
    let bad = "* a name has 1 to 20 characters, of A-Z, a-z, 0-9, '-' and '_'; what is your name?";
    for name in ["", "  ", "two words", "a\tb", "/who", "ünique", &"x".repeat(21)] {
        other.says(name);
        other.hears(bad);
    }
    for name in ["Ada", "ada", " ADA "] {
        other.says(name);
        other.hears(&format!("* somebody is called {} already; what is your name?", name.trim()));
    }
    // One without a name hears nothing, and is not seen.
    ada.says("is somebody there?");
    ada.sees(&["Ada"]);
    let longest = "x".repeat(20);
    other.says(&longest);
    other.hears(&format!("* welcome, {longest}: {COMMANDS}"));
    other.hears(&format!("* {longest} joined"));
    ada.hears(&format!("* {longest} joined"));
    stop(server, "served 2 clients and 1 lines, dropped 0 who did not read");
}

#[test]
fn names_can_be_changed() {
    let (server, addr) = start();
    let mut ada = Person::join(&addr, "ada");
    let mut bob = Person::join(&addr, "bob");
    ada.hears("* bob joined");
    bob.says("/nick ADA");
    bob.hears("* somebody is called ADA already");
    bob.says("/nick");
    bob.hears("* a name has 1 to 20 characters, of A-Z, a-z, 0-9, '-' and '_'");
    bob.says("/nick Bob");
    bob.hears("* bob is now Bob");
    ada.hears("* bob is now Bob");
    bob.says("/nick carl");
    ada.hears("* Bob is now carl");
    bob.hears("* Bob is now carl");
    bob.says("hi");
    ada.hears("carl: hi");
    // The old name is free, and can be joined with.
    let mut next = Person::join(&addr, "bob");
    bob.hears("* bob joined");
    ada.hears("* bob joined");
    next.sees(&["ada", "carl", "bob"]);

    // Who joined is announced before the name is another.
    let mut quick = Person::connect(&addr);
    quick.hears("* what is your name?");
    quick.sends(b"dora\n/nick doris\n");
    quick.hears(&format!("* welcome, dora: {COMMANDS}"));
    for person in [&mut quick, &mut ada] {
        person.hears("* dora joined");
        person.hears("* dora is now doris");
    }
    stop(server, "served 4 clients and 1 lines, dropped 0 who did not read");
}

#[test]
fn who_leaves_is_announced() {
    let (server, addr) = start();
    let mut ada = Person::join(&addr, "ada");
    let mut bob = Person::join(&addr, "bob");
    ada.hears("* bob joined");
    // What comes after it is not read any more.
    bob.sends(b"/quit\nnobody hears this\n");
    bob.hears("* bye");
    bob.is_alone_now();
    ada.hears("* bob left");

    // By the end of what it sends, with a last line that does not end.
    let carl = Person::join(&addr, "carl");
    ada.hears("* carl joined");
    carl.sends(b"I am off");
    carl.reader.get_ref().shutdown(Shutdown::Write).unwrap();
    ada.hears("carl: I am off");
    ada.hears("* carl left");
    // Without a word.
    drop(Person::join(&addr, "dora"));
    ada.hears("* dora joined");
    ada.hears("* dora left");
    // Before it had a name.
    drop(Person::connect(&addr));

    // Before it was announced: nobody hears of it, unless it was announced just then.
    let mut eve = Person::connect(&addr);
    eve.hears("* what is your name?");
    eve.sends(b"eve\n/quit\n");
    eve.hears(&format!("* welcome, eve: {COMMANDS}"));
    if eve.line() != "* bye\n" {
        eve.hears("* bye");
        ada.hears("* eve joined");
        ada.hears("* eve left");
    }
    eve.is_alone_now();
    ada.sees(&["ada"]);
    stop(server, "served 6 clients and 1 lines, dropped 0 who did not read");
}

#[test]
fn unknown_commands_are_explained() {
    let (server, addr) = start();
    let mut ada = Person::join(&addr, "ada");
    ada.says("/dance all night");
    ada.hears(&format!("* there is no /dance: {COMMANDS}"));
    stop(server, "served 1 clients and 0 lines, dropped 0 who did not read");
}

#[test]
fn overlong_lines_reach_nobody() {
    let (server, addr) = start();
    let mut ada = Person::join(&addr, "ada");
    let mut bob = Person::join(&addr, "bob");
    ada.hears("* bob joined");
    let refused = format!("* more than {LINE_BYTES_MAX} bytes in a line: nobody got it");
    // More than any buffer in between.
    for len in [LINE_BYTES_MAX + 1, 2 * LINE_BYTES_MAX, 10_000_000] {
        bob.says(&"x".repeat(len));
        bob.hears(&refused);
    }
    let longest = "y".repeat(LINE_BYTES_MAX);
    bob.says(&longest);
    ada.hears(&format!("bob: {longest}"));
    stop(server, "served 2 clients and 1 lines, dropped 0 who did not read");
}

#[test]
fn one_who_does_not_read_is_dropped_and_holds_nobody_up() {
    let (server, addr) = start();
    let mut ada = Person::join(&addr, "ada");
    let mut sloth = Person::join(&addr, "sloth");
    ada.hears("* sloth joined");
    let bob = Person::join(&addr, "bob");
    ada.hears("* bob joined");

    // The kernel holds some megabytes for it at first.
    let mut said = 0_u64;
    let mut heard = String::new();
    while heard != "* sloth left\n" {
        bob.says(&format!("{said:0>900}"));
        // Everything that was said is heard by those who read, in between.
        heard = ada.line();
        if heard == "* sloth left\n" {
            break;
        }
        assert_eq!(heard, format!("bob: {said:0>900}\n"));
        said += 1;
        assert!(said < 100_000, "it is never dropped");
    }
    ada.hears(&format!("bob: {said:0>900}"));
    said += 1;
    ada.sees(&["ada", "bob"]);

    // What the kernel had for it is still there, or its end alone.
    let mut got = 0;
    loop {
        let mut line = String::new();
        match sloth.reader.read_line(&mut line) {
            Ok(0) => break,
            Ok(_) => got += 1,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(got <= said);
    stop(server, &format!("served 3 clients and {said} lines, dropped 1 who did not read"));
}

#[test]
fn many_joins_are_announced_together() {
    let (server, addr) = start();
    let mut ada = Person::join(&addr, "ada");
    let names: Vec<String> = (0..100).map(|n| format!("n{n:02}")).collect();
    let others: Vec<Person> = names
        .iter()
        .map(|name| {
            let person = Person::connect(&addr);
            person.says(name);
            person
        })
        .collect();
    // However it was collected: each name once, or counted.
    let mut announced = 0;
    let mut lines = 0;
    while announced < names.len() {
        let line = ada.line();
        let list = line.strip_prefix("* ").and_then(|line| line.strip_suffix(" joined\n"));
        let list = list.unwrap_or_else(|| panic!("{line}"));
        let (list, more) = match list.split_once(" and ") {
            None => (list, 0),
            Some((list, more)) => {
                (list, more.strip_suffix(" more").unwrap().parse::<usize>().unwrap())
            }
        };
        announced +=
            list.split(", ").inspect(|name| assert!(names.iter().any(|n| n == name))).count();
        announced += more;
        lines += 1;
    }
    assert_eq!(announced, names.len());
    assert!(lines < names.len(), "every name has a line of its own");
    drop(others);
    stop(server, "served 101 clients and 0 lines, dropped 0 who did not read");
}
