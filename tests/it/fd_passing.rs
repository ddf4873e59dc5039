//! Descriptors that are sent along with bytes: none is lost, closed twice or left open.

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::PipeReader;
use std::io::PipeWriter;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use corovent::os::linux::net::UnixSocketExt;
use corovent::os::unix::net::AncillaryData;
use corovent::os::unix::net::AncillaryError;
use corovent::os::unix::net::SocketAncillary;
use corovent::os::unix::net::SocketCred;
use corovent::os::unix::net::UnixDatagram;
use corovent::os::unix::net::UnixStream;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;
use tempfile::tempdir;

use crate::support::open_fds;
use crate::support::passes;
use crate::support::run;
use crate::support::was_killed;
use crate::tcp::until_waiting;

const SHORT: Duration = Duration::from_millis(3);

/// Sends a byte, and descriptors along with it.
fn send(stream: &UnixStream, fds: &[BorrowedFd<'_>]) {
    let mut buffer = [0; 128];
    let mut ancillary = SocketAncillary::new(&mut buffer);
    assert!(ancillary.add_fds(fds));
    let sent = stream.send_vectored_with_ancillary(&[IoSlice::new(b"f")], &mut ancillary);
    assert_eq!(sent.unwrap(), 1);
}

/// Receives a byte, and what came along with it.
fn receive(stream: &UnixStream, ancillary: &mut SocketAncillary<'_>) {
    let mut byte = [0];
    let mut bufs = [IoSliceMut::new(&mut byte)];
    assert_eq!(stream.recv_vectored_with_ancillary(&mut bufs, ancillary).unwrap(), 1);
}

/// Takes all descriptors.
fn fds_of(ancillary: &mut SocketAncillary<'_>) -> Vec<OwnedFd> {
    let rights = |message| match message {
        Ok(AncillaryData::ScmRights(fds)) => Some(fds),
        _ => None,
    };
    ancillary.messages().filter_map(rights).flatten().collect()
}

/// Sends the writing end of a pipe away.
fn send_pipe(stream: &UnixStream) -> PipeReader {
    let (reader, writer) = io::pipe().unwrap();
    send(stream, &[writer.as_fd()]);
    reader
}

fn is_open(reader: &PipeReader) -> bool {
    let mut entry = libc::pollfd { fd: reader.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: `entry` is one pollfd.
    assert!(unsafe { libc::poll(&raw mut entry, 1, 0) } >= 0);
    entry.revents & libc::POLLHUP == 0
}

/// Waits until nobody has the writing end: a child of another test may have it for a moment,
/// before it becomes another program.
fn until_closed(reader: &PipeReader) {
    while is_open(reader) {
        corovent::sleep(SHORT);
    }
}

/// Of std's own test `test_send_vectored_fds_unix_stream`.
#[test]
fn a_descriptor_passes_a_stream() {
    run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        let mut reader = send_pipe(&one);
        let mut buffer = [0; 128];
        let mut ancillary = SocketAncillary::new(&mut buffer);
        assert!(ancillary.is_empty());
        receive(&other, &mut ancillary);
        assert!(!ancillary.truncated() && !ancillary.is_empty());
        assert_eq!((ancillary.len(), ancillary.capacity()), (24, 128));
        let fds = fds_of(&mut ancillary);
        assert_eq!(fds.len(), 1);
        // SAFETY: F_GETFD takes no pointer.
        let flags = unsafe { libc::fcntl(fds[0].as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC);
        // Each is given away once, and the buffer does not close it then.
        assert!(fds_of(&mut ancillary).is_empty());
        drop(ancillary);
        let mut writers = fds.into_iter().map(PipeWriter::from);
        writers.next().unwrap().write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    });
}

/// Of std's own tests `test_send_vectored_with_ancillary_unix_datagram` and
/// `test_send_vectored_with_ancillary_to_unix_datagram`.
#[test]
fn descriptors_and_credentials_pass_with_datagrams() {
    run(|| {
        let dir = tempdir().unwrap();
        let paths = ["a", "b"].map(|name| dir.path().join(name));
        let [one, other] = [0, 1].map(|n| UnixDatagram::bind(&paths[n]).unwrap());
        assert!(!other.passcred().unwrap());
        other.set_passcred(true).unwrap();
        assert!(other.passcred().unwrap());
        let pid = std::process::id() as libc::pid_t;
        // SAFETY: it has no preconditions.
        let uid = unsafe { libc::getuid() };
        // SAFETY: it has no preconditions.
        let gid = unsafe { libc::getgid() };
        let mut cred = SocketCred::new();
        cred.set_pid(pid);
        cred.set_uid(uid);
        cred.set_gid(gid);
        for connected in [false, true] {
            let (reader, writer) = io::pipe().unwrap();
            let mut buffer = [0; 128];
            let mut ancillary = SocketAncillary::new(&mut buffer);
            assert!(ancillary.add_creds(&[cred.clone()]));
            assert!(ancillary.add_fds(&[writer.as_fd(), one.as_fd()]));
            let bufs = [IoSlice::new(b"da"), IoSlice::new(b"ta")];
            let sent = match connected {
                false => one.send_vectored_with_ancillary_to(&bufs, &mut ancillary, &paths[1]),
                true => {
                    one.connect(&paths[1]).unwrap();
                    one.send_vectored_with_ancillary(&bufs, &mut ancillary)
                }
            };
            assert_eq!(sent.unwrap(), 4);
            // What was added cannot be taken, and is there to be sent again.
            assert!(fds_of(&mut ancillary).is_empty());
            drop(ancillary);
            drop(writer);

            let mut buffer = [0; 128];
            let mut ancillary = SocketAncillary::new(&mut buffer);
            let mut data = [0; 3];
            let mut bufs = [IoSliceMut::new(&mut data)];
            let (count, truncated) = match connected {
                false => {
                    let received =
                        other.recv_vectored_with_ancillary_from(&mut bufs, &mut ancillary);
                    let (count, truncated, addr) = received.unwrap();
                    assert_eq!(addr.as_pathname(), Some(&*paths[0]));
                    (count, truncated)
                }
                true => other.recv_vectored_with_ancillary(&mut bufs, &mut ancillary).unwrap(),
            };
            assert!(truncated && !ancillary.truncated());
            assert_eq!((count, &data), (3, b"dat"));
            let creds: Vec<SocketCred> = ancillary
                .messages()
                .filter_map(|message| match message.unwrap() {
                    AncillaryData::ScmCredentials(creds) => Some(creds),
                    AncillaryData::ScmRights(_) => None,
                })
                .flatten()
                .collect();
            assert_eq!(creds.len(), 1);
            let got = &creds[0];
            assert_eq!((got.get_pid(), got.get_uid(), got.get_gid()), (pid, uid, gid));
            assert_eq!(fds_of(&mut ancillary).len(), 2);
            drop(ancillary);
            until_closed(&reader);
        }
    });
}

#[test]
fn what_is_not_taken_is_closed() {
    run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        let mut buffer = [0; 128];
        // Dropped, cleared, used to receive again, used to send.
        let mut ancillary = SocketAncillary::new(&mut buffer);
        let readers: Vec<_> = (0..4).map(|_| send_pipe(&one)).collect();
        receive(&other, &mut ancillary);
        assert!(is_open(&readers[0]));
        receive(&other, &mut ancillary);
        until_closed(&readers[0]);
        assert!(is_open(&readers[1]));
        ancillary.clear();
        assert!(ancillary.is_empty());
        until_closed(&readers[1]);
        receive(&other, &mut ancillary);
        assert!(ancillary.add_fds(&[]));
        until_closed(&readers[2]);
        receive(&other, &mut ancillary);
        // An iterator takes only what it is asked for.
        assert_eq!(ancillary.messages().filter(Result::is_ok).count(), 1);
        assert!(is_open(&readers[3]));
        drop(ancillary);
        until_closed(&readers[3]);
    });
}

/// The kernel closes what does not fit, and says so.
#[test]
fn a_buffer_that_is_too_small_leaks_nothing() {
    run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        for (size, expected) in [(0, 0), (8, 0), (16, 0), (19, 0), (20, 1), (24, 2), (27, 2)] {
            let pipes = [(); 3].map(|()| io::pipe().unwrap());
            send(&one, &[pipes[0].1.as_fd(), pipes[1].1.as_fd(), pipes[2].1.as_fd()]);
            let readers = pipes.map(|(reader, _)| reader);
            let mut buffer = vec![0; size];
            let mut ancillary = SocketAncillary::new(&mut buffer);
            receive(&other, &mut ancillary);
            assert!(ancillary.truncated(), "{size}");
            let fds = fds_of(&mut ancillary);
            assert_eq!(fds.len(), expected, "{size}");
            readers[expected..].iter().for_each(until_closed);
            assert!(readers[..expected].iter().all(is_open));
            drop(fds);
            readers.iter().for_each(until_closed);
        }
        // By a read that has no place for them.
        let reader = send_pipe(&one);
        assert_eq!((&other).read(&mut [0]).unwrap(), 1);
        until_closed(&reader);
    });
}

#[test]
fn what_does_not_fit_is_not_added() {
    run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        let mut buffer = [0; 48];
        let mut ancillary = SocketAncillary::new(&mut buffer);
        assert!(ancillary.add_fds(&[one.as_fd()]));
        assert!(!ancillary.add_fds(&[one.as_fd(); 3]));
        assert_eq!(ancillary.len(), 24);
        assert!(ancillary.add_fds(&[one.as_fd(); 2]));
        assert!(!ancillary.add_fds(&[]));
        assert!(!ancillary.add_creds(&[SocketCred::new()]));
        assert_eq!(ancillary.len(), 48);
        // The same goes with each send; on a stream the receiver gets them as one message.
        for _ in 0..2 {
            let bufs = [IoSlice::new(b"f")];
            assert_eq!(one.send_vectored_with_ancillary(&bufs, &mut ancillary).unwrap(), 1);
            let mut buffer = [0; 64];
            let mut ancillary = SocketAncillary::new(&mut buffer);
            receive(&other, &mut ancillary);
            assert_eq!(fds_of(&mut ancillary).len(), 3);
        }
    });
}

#[test]
fn a_hundred_thousand_passes_leak_nothing() {
    passes("fd_passing::child_passes_many");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_passes_many() {
    const COUNT: usize = 100_000;

    run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        let before = open_fds();
        let sender = spawn(move || {
            for _ in 0..COUNT {
                send(&one, &[one.as_fd(), io::stdin().as_fd()]);
            }
        });
        let mut buffer = [0; 64];
        let mut ancillary = SocketAncillary::new(&mut buffer);
        for n in 0..COUNT {
            receive(&other, &mut ancillary);
            let mut fds = fds_of(&mut ancillary);
            if n % 3 == 0 {
                fds.pop();
            }
            assert_eq!(fds.len(), 2 - usize::from(n % 3 == 0));
        }
        sender.join().unwrap();
        drop(ancillary);
        // The sender is gone, and the hub has its two.
        assert_eq!(open_fds(), before - 1 + 2);
    });
}

/// A pidfd comes along as a message of a kind that std does not know.
#[test]
fn a_descriptor_of_an_unknown_kind_is_closed() {
    passes("fd_passing::child_receives_pidfds");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_receives_pidfds() {
    /// Of Linux 6.5.
    const SO_PASSPIDFD: libc::c_int = 76;

    run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        let on: libc::c_int = 1;
        let value = (&raw const on).cast();
        // SAFETY: the option takes an int.
        let known = unsafe {
            libc::setsockopt(other.as_raw_fd(), libc::SOL_SOCKET, SO_PASSPIDFD, value, 4)
        };
        if known != 0 {
            return;
        }
        let before = open_fds();
        for _ in 0..10 {
            (&one).write_all(b"x").unwrap();
            let mut buffer = [0; 64];
            let mut ancillary = SocketAncillary::new(&mut buffer);
            receive(&other, &mut ancillary);
            let kinds: Vec<_> = ancillary.messages().collect();
            assert!(
                matches!(
                    kinds[..],
                    [Err(AncillaryError::Unknown { cmsg_level: libc::SOL_SOCKET, cmsg_type: 4 })]
                ),
                "{kinds:?}"
            );
            assert_eq!(open_fds(), before + 1);
        }
        assert_eq!(open_fds(), before);
    });
}

/// The one who waits is killed when it is there: the next gets it.
#[test]
fn a_kill_loses_no_descriptor() {
    run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        let other = Rc::new(other);
        for _ in 0..20 {
            let victim = spawn({
                let other = Rc::clone(&other);
                move || receive(&other, &mut SocketAncillary::new(&mut [0; 64]))
            });
            until_waiting(1);
            let reader = send_pipe(&one);
            victim.kill();
            assert!(was_killed(victim));
            let mut buffer = [0; 64];
            let mut ancillary = SocketAncillary::new(&mut buffer);
            receive(&other, &mut ancillary);
            let fds = fds_of(&mut ancillary);
            assert_eq!(fds.len(), 1);
            assert!(is_open(&reader));
            drop(fds);
            until_closed(&reader);
        }
    });
}

/// A send that waits for room is given up: its descriptor stays here.
#[test]
fn a_send_that_is_given_up_leaks_nothing() {
    run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        while (&one).write(&[0; 1 << 16]).is_ok() {}
        one.set_nonblocking(false).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        assert!(timeout(SHORT, || send(&one, &[writer.as_fd()])).is_err());
        let victim = spawn(move || send(&one, &[writer.as_fd()]));
        until_waiting(1);
        victim.kill();
        assert!(was_killed(victim));
        until_closed(&reader);
        drop(other);
    });
}

/// A long message goes on after its first part, with which the descriptors went.
#[test]
fn a_long_message_takes_its_descriptors_along_once() {
    run(|| {
        const TOTAL: usize = 3_000_000;

        let (one, other) = UnixStream::pair().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let sender = spawn(move || {
            let mut buffer = [0; 64];
            let mut ancillary = SocketAncillary::new(&mut buffer);
            assert!(ancillary.add_fds(&[writer.as_fd()]));
            let half = vec![7; TOTAL / 2];
            let bufs = [IoSlice::new(&half), IoSlice::new(&half)];
            let sent = one.send_vectored_with_ancillary(&bufs, &mut ancillary);
            assert_eq!(sent.unwrap(), TOTAL);
        });
        let mut buffer = [0; 64];
        let mut ancillary = SocketAncillary::new(&mut buffer);
        let (mut seen, mut fds) = (0, Vec::new());
        let mut data = vec![0; 100_000];
        while seen < TOTAL {
            let mut bufs = [IoSliceMut::new(&mut data)];
            let count = other.recv_vectored_with_ancillary(&mut bufs, &mut ancillary).unwrap();
            assert!(count > 0 && data[..count].iter().all(|byte| *byte == 7));
            seen += count;
            fds.extend(fds_of(&mut ancillary));
        }
        sender.join().unwrap();
        assert_eq!((seen, fds.len()), (TOTAL, 1));
        assert!(is_open(&reader));
        drop(fds);
        until_closed(&reader);
    });
}

/// The kernel ends a read where a descriptor was attached: what is behind is not stuck.
#[test]
fn data_behind_a_descriptor_is_not_stuck() {
    run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        let other = Rc::new(other);
        let reading = spawn({
            let other = Rc::clone(&other);
            move || {
                let mut counts = Vec::new();
                while counts.iter().sum::<usize>() < 11 {
                    counts.push((&*other).read(&mut [0; 64]).unwrap());
                }
                counts
            }
        });
        until_waiting(1);
        (&one).write_all(b"front").unwrap();
        let reader = send_pipe(&one);
        (&one).write_all(b"after").unwrap();
        yield_now();
        let counts = reading.join().unwrap();
        assert!(counts.len() > 1, "the reads were short: {counts:?}");
        until_closed(&reader);
    });
}

#[test]
fn the_debug_output_is_stds() {
    let mut buffer = [0; 2];
    let ancillary = SocketAncillary::new(&mut buffer);
    let expected = "SocketAncillary { buffer: [0, 0], length: 0, truncated: false }";
    assert_eq!(format!("{ancillary:?}"), expected);
}
