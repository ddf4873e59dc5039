//! `processes`: how commands end, how many run at once, and what is left of them; and a server
//! whose workers are processes.

use std::fs;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpStream;
use std::thread;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use tempfile::TempDir;

use crate::process::Ending;
use crate::process::Process;
use crate::process::run;

const PROGRAM: &str = "processes";

/// Runs commands; of each the number and how it ended is kept, in order, without the time.
fn commands(args: &[&str]) -> (Ending, Vec<String>) {
    let ending = run(PROGRAM, &[&["run"], args].concat());
    assert_eq!(ending.stderr.len(), 0, "{ending:?}");
    let ended = |line: &String| {
        let (head, time) = line.rsplit_once(" (")?;
        let is_head = head.starts_with('[') && time.ends_with(" s)");
        is_head.then(|| head.to_owned())
    };
    let mut heads: Vec<String> = ending.stdout.iter().filter_map(ended).collect();
    heads.sort();
    (ending, heads)
}

/// The line that sums up.
fn summary(ending: &Ending) -> &str {
    ending.stdout.last().unwrap()
}

/// Whether a process runs: it is there, and not only waits to be noticed by its parent.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

#[test]
fn the_help_names_the_options() {
    let ending = run(PROGRAM, &["--help"]);
    ending.assert_done();
    let text = ending.stdout.join("\n");
    for part in [
        "Usage: processes run",
        "processes serve",
        "--workers N",
        "--jobs N",
        "--timeout S",
        "SIGTERM",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn bad_arguments_are_refused_in_one_line() {
    let check = |args: &[&str], why: &str| run(PROGRAM, args).assert_gave_up(PROGRAM, why);
    check(&[], "what is to be done?");
    check(&["dance"], "unknown command 'dance'");
    check(&["run"], "COMMAND is missing");
    check(&["run", "--colour", "true"], "unknown option --colour");
    check(&["run", "--jobs"], "--jobs needs a number");
    check(&["run", "--jobs", "0", "true"], "--jobs needs a number, not '0'");
    check(&["serve", "nonsense"], "cannot listen on nonsense: ");
    check(&["serve", "--workers"], "--workers needs a number");
    check(&["serve", "--workers", "0"], "--workers needs a number from 1 to 1000, not '0'");
    check(&["serve", "--colour"], "unknown option --colour");
    check(&["serve", "127.0.0.1:0", "more"], "unexpected argument 'more'");
    check(&["run", "--timeout", "-1", "true"], "--timeout needs a number of seconds, not '-1'");
}

#[test]
fn how_each_ended_and_what_it_printed_is_told() {
    let (ending, heads) = commands(&[
        "echo out; echo err >&2; printf end",
        "exit 3",
        "kill -9 $$",
        "no-such-command 2>/dev/null",
        "cat",
    ]);
    assert_eq!(ending.code, Some(1));
    assert_eq!(
        heads,
        [
            "[1] echo out; echo err >&2; printf end: exit code 0",
            "[2] exit 3: exit code 3",
            "[3] kill -9 $$: signal 9",
            "[4] no-such-command 2>/dev/null: exit code 127",
            "[5] cat: exit code 0",
        ]
    );
    // Both streams, in the order in which it was printed, as one piece.
    let at = ending.stdout.iter().position(|line| line.starts_with("[1]")).unwrap();
    assert_eq!(ending.stdout[at + 1..at + 4], ["out", "err", "end"]);
    assert_eq!(summary(&ending), "5 commands: 2 ended well, 3 failed, 0 took too long");

    let (ending, _) = commands(&["true", "true"]);
    ending.assert_done();
    assert_eq!(summary(&ending), "2 commands: 2 ended well, 0 failed, 0 took too long");
}

#[test]
fn so_many_run_at_once_and_no_more() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_str().unwrap();
    // Each of four waits until all four are there.
    let together: Vec<String> = (0..4)
        .map(|n| {
            format!("cd {path}; touch {n}; until [ -e 0 -a -e 1 -a -e 2 -a -e 3 ]; do :; done")
        })
        .collect();
    let args: Vec<&str> = together.iter().map(String::as_str).collect();
    let (ending, _) = commands(&[&["--jobs", "4"], &args[..]].concat());
    ending.assert_done();

    // Of many, none ever sees more than four.
    fs::create_dir(directory.path().join("now")).unwrap();
    let count =
        format!("cd {path}/now; touch $$; [ $(ls | wc -l) -le 4 ]; code=$?; rm $$; exit $code");
    let (ending, _) = commands(&[&["--jobs", "4"], &[count.as_str(); 40][..]].concat());
    ending.assert_done();
    assert_eq!(summary(&ending), "40 commands: 40 ended well, 0 failed, 0 took too long");

    // Alone, the one place is always free.
    let place = format!("mkdir {path}/only && echo $$ && rmdir {path}/only");
    let (ending, _) = commands(&[&["--jobs", "1"], &[place.as_str(); 10][..]].concat());
    ending.assert_done();
}

#[test]
fn one_that_takes_too_long_is_killed_with_all_it_has_started() {
    let long = "sleep 1000 & echo $!; wait";
    let (ending, heads) = commands(&["--timeout", "0.3", long, "trap '' TERM; echo ok; cat"]);
    assert_eq!(ending.code, Some(1));
    assert_eq!(heads[0], format!("[1] {long}: took too long"));
    assert!(heads[1].ends_with("exit code 0"), "{heads:?}");
    // What it had printed is there.
    let at = ending.stdout.iter().position(|line| line.starts_with("[1]")).unwrap();
    let pid = &ending.stdout[at + 1];
    assert!(pid.parse::<u32>().is_ok(), "{ending:?}");
    while runs(pid) {
        thread::yield_now();
    }
    assert_eq!(summary(&ending), "2 commands: 1 ended well, 0 failed, 1 took too long");
}

#[test]
fn output_without_end_is_cut() {
    let (ending, heads) = commands(&["yes"]);
    assert_eq!(ending.code, Some(1));
    // As its shell puts it: by SIGPIPE, or with the code that stands for it.
    let is_cut = |head: &String| head.ends_with(": signal 13") || head.ends_with("exit code 141");
    assert!(heads.iter().all(is_cut), "{heads:?}");
    assert_eq!(ending.stdout.len(), 500_002);
}

#[test]
fn a_signal_kills_those_that_run() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_str().unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        let long = format!("echo $$ > {path}/pid.new; mv {path}/pid.new {path}/pid; sleep 1000");
        let program = Process::start(PROGRAM, &["run", "--jobs", "1", "true", &long, "true"]);
        let pid = loop {
            if let Ok(pid) = fs::read_to_string(directory.path().join("pid")) {
                break pid.trim().to_owned();
            }
            thread::yield_now();
        };
        assert!(runs(&pid));
        program.signal(signal);
        let ending = program.end();
        assert_eq!((ending.code, ending.stderr.len()), (Some(1), 0), "{ending:?}");
        let expected = "3 commands: 1 ended well, 0 failed, 0 took too long, 2 were given up";
        assert_eq!(summary(&ending), expected);
        while runs(&pid) {
            thread::yield_now();
        }
        fs::remove_file(directory.path().join("pid")).unwrap();
    }
}

/// A connection to a worker, which is one process for all of it.
struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    fn connect(addr: &str) -> io::Result<Client> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        Ok(Client { reader: BufReader::new(stream) })
    }

    fn ask(&self, line: &str) -> io::Result<()> {
        self.reader.get_ref().write_all(format!("{line}\n").as_bytes())
    }

    /// An answer, and the process that gave it.
    fn answer(&mut self) -> io::Result<(String, String)> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let line = line.strip_suffix(")\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let (text, pid) = line.rsplit_once(" (process ").unwrap();
        let (text, _) = text.rsplit_once(" worker ").unwrap();
        Ok((text.to_owned(), pid.to_owned()))
    }
}

/// Connects until the worker is none of these processes.
fn another_worker(addr: &str, others: &[&str]) -> (Client, String) {
    loop {
        // One may get a worker that is just dying.
        let connect = || {
            let mut client = Client::connect(addr)?;
            client.ask("10")?;
            let (text, pid) = client.answer()?;
            assert_eq!(text, "4 primes up to 10, counted by");
            Ok::<(Client, String), io::Error>((client, pid))
        };
        if let Ok((client, pid)) = connect()
            && !others.contains(&pid.as_str())
        {
            return (client, pid);
        }
        thread::yield_now();
    }
}

#[test]
fn workers_are_processes_that_answer_at_one_address() {
    let args = ["serve", "--workers", "2", "127.0.0.1:0"];
    let (program, addr) = Process::start_server(PROGRAM, &args);
    let (mut first, one) = another_worker(&addr, &[]);
    let (mut second, two) = another_worker(&addr, &[&one]);
    // One computes, the other answers meanwhile.
    first.ask("10000000").unwrap();
    for (line, expected) in [
        ("0", "0 primes up to 0, counted by"),
        ("2", "1 primes up to 2, counted by"),
        ("100000", "9592 primes up to 100000, counted by"),
        ("some", "a number from 0 to 10000000 is needed, says"),
        ("10000001", "a number from 0 to 10000000 is needed, says"),
        ("-1", "a number from 0 to 10000000 is needed, says"),
    ] {
        second.ask(line).unwrap();
        assert_eq!(second.answer().unwrap(), (expected.to_owned(), two.clone()));
    }
    let expected = "664579 primes up to 10000000, counted by".to_owned();
    assert_eq!(first.answer().unwrap(), (expected, one.clone()));

    // One that is killed is started again, and nobody else notices.
    kill_process(Pid::from_raw(one.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    assert!(first.answer().is_err());
    let (third, three) = another_worker(&addr, &[&one, &two]);
    second.ask("3").unwrap();
    assert_eq!(second.answer().unwrap().0, "2 primes up to 3, counted by");

    drop((second, third));
    program.signal(Signal::TERM);
    let ending = program.end();
    assert_eq!(ending.code, Some(0), "{ending:?}");
    assert_eq!(ending.stdout.last().unwrap(), "2 workers have ended");
    let served = |line: &&String| line.starts_with("worker ") && line.ends_with(" clients");
    assert_eq!(ending.stdout.iter().filter(served).count(), 2, "{ending:?}");
    // What is told of the one that was killed.
    assert!(ending.stderr.len() == 1 && ending.stderr[0].contains("signal: 9"), "{ending:?}");
    assert!([&one, &two, &three].iter().all(|pid| !runs(pid)));
}
