//! Pipes, and what else may be behind the descriptor of one.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Seek;
use std::io::Write;
use std::mem;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use corovent::Elapsed;
use corovent::debug;
use corovent::io::PipeReader;
use corovent::io::PipeWriter;
use corovent::io::pipe;
use corovent::process::ChildStdin;
use corovent::process::Stdio;
use corovent::spawn;
use corovent::threadpool::blocking;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::on_drop;
use crate::support::passes;
use crate::support::run;
use crate::support::was_killed;

const SHORT: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_secs(60);

/// What a pipe of the usual size holds, and more.
const TOO_MUCH: usize = 300_000;

/// std's `pipe_creation_clone_and_rw`.
#[test]
fn clones_are_ends_of_the_same_pipe() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        writer.try_clone().unwrap().write_all(b"12345").unwrap();
        drop(writer);
        let mut clone = reader.try_clone().unwrap();
        drop(reader);
        let mut text = String::new();
        clone.read_to_string(&mut text).unwrap();
        assert_eq!(text, "12345");
    });
}

#[test]
fn a_reader_waits_while_others_run() {
    run(|| {
        let log = Log::new();
        let (mut reader, mut writer) = pipe().unwrap();
        let task = spawn({
            let log = log.clone();
            move || {
                let mut buf = [0; 8];
                let count = reader.read(&mut buf).unwrap();
                log.add(String::from_utf8_lossy(&buf[..count]));
                assert_eq!(reader.read(&mut buf).unwrap(), 0);
                log.add("end");
            }
        });
        yield_now();
        log.add("before");
        writer.write_all(b"data").unwrap();
        drop(writer);
        task.join().unwrap();
        assert_eq!(log.text(), "before data end");
    });
}

#[test]
fn one_write_writes_all() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let data: Vec<u8> = (0..TOO_MUCH).map(|n| (n % 251) as u8).collect();
        let expected = data.clone();
        let task = spawn(move || writer.write(&data).unwrap());
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        assert_eq!(task.join().unwrap(), TOO_MUCH);
        assert!(got == expected);
    });
}

#[test]
fn vectored_calls_move_the_bytes_of_all_buffers() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let parts: Vec<Vec<u8>> = (0..=255).map(|n| vec![n; 2 * usize::from(n)]).collect();
        let expected = parts.concat();
        let total = expected.len();
        assert!(total < 65_536);
        let task = spawn(move || {
            let bufs: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
            // Twice, so that the second finds the pipe full in the middle of a buffer; and
            // more buffers than the kernel takes.
            assert_eq!(writer.write_vectored(&bufs).unwrap(), total);
            assert_eq!(writer.write_vectored(&bufs).unwrap(), total);
            let many = vec![IoSlice::new(b"x"); 3000];
            assert_eq!(writer.write_vectored(&many).unwrap(), 1024);
        });
        yield_now();
        let mut got = Vec::new();
        loop {
            let (mut first, mut second) = ([0; 7], [0; 1000]);
            let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            let count = reader.read_vectored(&mut bufs).unwrap();
            if count == 0 {
                break;
            }
            got.extend_from_slice(&first[..count.min(7)]);
            got.extend_from_slice(&second[..count.saturating_sub(7)]);
        }
        task.join().unwrap();
        assert!(got == [&expected[..], &expected[..], &[b'x'; 1024]].concat());
    });
}

#[test]
fn empty_buffers_neither_wait_nor_move() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        assert_eq!(reader.read(&mut []).unwrap(), 0);
        assert_eq!(reader.read_vectored(&mut []).unwrap(), 0);
        fill(&writer);
        assert_eq!(writer.write(&[]).unwrap(), 0);
        assert_eq!(writer.write_vectored(&[]).unwrap(), 0);
        assert_eq!(writer.write_vectored(&[IoSlice::new(&[]), IoSlice::new(&[])]).unwrap(), 0);
        writer.flush().unwrap();
    });
}

#[test]
fn the_end_of_the_other_side_wakes_those_who_wait() {
    run(|| {
        let (mut reader, writer) = pipe().unwrap();
        let task = spawn(move || reader.read(&mut [0; 8]).unwrap());
        yield_now();
        drop(writer);
        assert_eq!(task.join().unwrap(), 0);

        let (reader, mut writer) = pipe().unwrap();
        fill(&writer);
        let task = spawn(move || writer.write(b"x"));
        yield_now();
        drop(reader);
        assert_eq!(task.join().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);

        // After a part: first its count, then the error.
        let (reader, mut writer) = pipe().unwrap();
        let task = spawn(move || (writer.write(&[0; TOO_MUCH]).unwrap(), writer.write(b"x")));
        yield_now();
        drop(reader);
        let (count, next) = task.join().unwrap();
        assert!(0 < count && count < TOO_MUCH, "{count}");
        assert_eq!(next.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_reader_that_leaves_takes_nothing_along() {
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let reader = Rc::new(reader);
        let read = |reader: &Rc<PipeReader>| {
            let reader = Rc::clone(reader);
            spawn(move || {
                let mut byte = [0];
                (&*reader).read_exact(&mut byte).unwrap();
                byte[0]
            })
        };
        let tasks: Vec<_> = (0..4).map(|_| read(&reader)).collect();
        yield_now();
        // The first is woken by the data and killed before it runs; the others get the bytes.
        let mut tasks = tasks.into_iter();
        let first = tasks.next().unwrap();
        first.kill();
        writer.write_all(b"abc").unwrap();
        let got: Vec<u8> = tasks.map(|task| task.join().unwrap()).collect();
        assert_eq!(got, b"abc");
        assert!(was_killed(first));
        assert_eq!(timeout(SHORT, || (&*reader).read(&mut [0])).unwrap_err(), Elapsed);
        writer.write_all(b"d").unwrap();
        assert_eq!((&*reader).read(&mut [0; 8]).unwrap(), 1);
    });
}

#[test]
fn a_kill_comes_after_the_part_that_was_written() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                let count = writer.write(&[1; TOO_MUCH]).unwrap();
                log.add(count.to_string());
                yield_now();
                unreachable!();
            }
        });
        yield_now();
        assert!(task.kill_timeout(LONG));
        assert!(was_killed(task));
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        assert_eq!(log.text(), got.len().to_string());

        // One that could write nothing wrote nothing.
        let (_reader, mut writer) = pipe().unwrap();
        fill(&writer);
        let task = spawn(move || writer.write(b"x"));
        yield_now();
        assert!(task.kill_timeout(LONG));
        assert!(was_killed(task));
    });
}

#[test]
fn a_destructor_reads_and_writes_what_need_not_wait() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        let (full_reader, full) = pipe().unwrap();
        fill(&full);
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                let _last = on_drop(move || {
                    log.add(format!("{:?}", (&writer).write(b"xy").unwrap()));
                    log.add(format!("{:?}", (&reader).read(&mut [0; 8]).unwrap()));
                    let errors = [(&reader).read(&mut [0]), (&full).write(b"x")];
                    for error in errors {
                        let error = error.unwrap_err();
                        log.add(format!("{:?} {error}", error.kind()));
                    }
                });
                corovent::thread::park();
            }
        });
        yield_now();
        assert!(task.kill_timeout(LONG));
        assert!(was_killed(task));
        let refused = "Other the coroutine is unwinding";
        assert_eq!(log.text(), format!("2 2 {refused} {refused}"));
        drop(full_reader);
    });
}

/// Other holders of the open file, a child process above all, never see it changed.
#[test]
fn the_open_file_keeps_the_kernels_blocking_mode() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let theirs = writer.try_clone().unwrap();
        let task = spawn(move || {
            assert!(!is_nonblocking(&reader));
            let count = reader.read(&mut [0; 8]).unwrap();
            assert!(!is_nonblocking(&reader));
            count
        });
        yield_now();
        assert!(!is_nonblocking(&theirs));
        writer.write_all(b"x").unwrap();
        assert!(!is_nonblocking(&writer));
        assert!(!is_nonblocking(&OwnedFd::from(theirs)));
        assert_eq!(task.join().unwrap(), 1);
        drop(Stdio::from(writer));
    });
}

/// The open file is one, but the ways to read it are two.
#[test]
fn a_clone_that_std_has_blocks_and_ours_does_not_stop_the_thread() {
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let mut theirs = std::io::PipeReader::from(reader.try_clone().unwrap());
        let ours = Arc::new(reader);
        let task = spawn({
            let ours = Arc::clone(&ours);
            move || (&*ours).read(&mut [0]).unwrap()
        });
        let thread = thread::spawn(move || theirs.read(&mut [0]).unwrap());
        yield_now();
        // Whoever is first; each takes one byte, and neither finds WouldBlock.
        writer.write_all(b"1").unwrap();
        writer.write_all(b"2").unwrap();
        assert_eq!(task.join().unwrap(), 1);
        assert_eq!(thread.join().unwrap(), 1);
    });
}

#[test]
fn a_round_trip_through_a_descriptor_keeps_the_pipe() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        writer.write_all(b"a").unwrap();
        assert_eq!(timeout(SHORT, || reader.read(&mut [0; 8])).unwrap().unwrap(), 1);
        assert!(timeout(SHORT, || reader.read(&mut [0; 8])).is_err());
        assert!(debug::counters().descriptors > 0);
        let fd = reader.into_raw_fd();
        assert_eq!(debug::counters().descriptors, 0);
        // SAFETY: the descriptor was given up a line above.
        let mut reader = unsafe { PipeReader::from_raw_fd(fd) };
        let writer = OwnedFd::from(std::io::PipeWriter::from(writer));
        let mut writer = PipeWriter::from(writer);
        writer.write_all(b"bc").unwrap();
        assert_eq!(reader.as_fd().as_raw_fd(), fd);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 2);
    });
}

/// As std's would, one that the user has made non-blocking does not wait.
#[test]
fn a_pipe_that_is_nonblocking_fails_as_in_std() {
    run(|| {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut clone = reader.try_clone().unwrap();
        set_nonblocking(&clone);
        let theirs = clone.read(&mut [0]).unwrap_err();
        let ours = PipeReader::from(reader).read(&mut [0]).unwrap_err();
        assert_eq!(ours.to_string(), theirs.to_string());
        assert_eq!(ours.kind(), ErrorKind::WouldBlock);

        set_nonblocking(&writer);
        let mut ours = PipeWriter::from(writer);
        assert!(ours.write(&[0; TOO_MUCH]).unwrap() < TOO_MUCH, "a part");
        assert_eq!(ours.write(&[0; TOO_MUCH]).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

/// The kernel has no call for them that does not block; so they are opened again.
#[test]
fn named_pipes_do_not_stop_the_thread() {
    run(|| {
        let (reader, writer) = named_pipe("waits");
        reads_and_writes(PipeReader::from(reader), PipeWriter::from(writer));
    });
}

/// Two see the same byte and only one gets it: the other waits as before, where a kill reaches
/// it, and not on the pool, which is busy.
#[test]
fn named_pipes_are_not_waited_for_by_a_call_that_nothing_ends() {
    passes("pipes::child_reads_what_another_has_taken");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_reads_what_another_has_taken() {
    const POOL: usize = 64;

    run(|| {
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let job = || {
            let released = Arc::clone(&released);
            spawn(|| blocking(move || released.lock().unwrap().recv().unwrap_err()))
        };
        let jobs: Vec<_> = (0..POOL).map(|_| job()).collect();
        yield_now();
        let (reader, writer) = named_pipe("taken");
        let (reader, mut writer) = (PipeReader::from(reader), PipeWriter::from(writer));
        let mut tasks: Vec<_> = [reader.try_clone().unwrap(), reader]
            .map(|mut reader| spawn(move || reader.read(&mut [0; 8]).unwrap()))
            .into();
        yield_now();
        assert_eq!(timeout(LONG, || writer.write(b"1")).unwrap().unwrap(), 1);
        while !tasks.iter().any(|task| task.is_finished()) {
            yield_now();
        }
        let done = tasks.iter().position(|task| task.is_finished()).unwrap();
        assert_eq!(tasks.remove(done).join().unwrap(), 1);
        let left = tasks.remove(0);
        assert!(left.kill_timeout(LONG));
        assert!(was_killed(left));
        drop(release);
        assert!(jobs.into_iter().all(|job| job.join().is_ok()));
    });
}

/// What went through splice(2) once is for the kernel like a named pipe.
#[test]
fn pipes_that_were_spliced_do_not_stop_the_thread() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let (_from, mut into_from) = std::io::pipe().unwrap();
        into_from.write_all(b"spliced").unwrap();
        let (to, into_to) = std::io::pipe().unwrap();
        // Both ends of ours have a part in one.
        splice(&_from, &writer, 7);
        splice(&reader, &into_to, 7);
        drop(to);
        assert_eq!(
            timeout(LONG, || writer.write(b"x")).unwrap().unwrap(),
            1,
            "the pipe works as before"
        );
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 1);
        reads_and_writes(reader, writer);
    });
}

/// Reads and writes more than fits, kills a reader and a writer, and comes to the end.
pub(crate) fn reads_and_writes(mut reader: PipeReader, mut writer: PipeWriter) {
    let clone = reader.try_clone().unwrap();
    let task = spawn(move || (&clone).read(&mut [0; 8]));
    yield_now();
    assert!(task.kill_timeout(LONG), "one that waits is not on the pool");
    assert!(was_killed(task));

    let ticks = spawn(|| {
        loop {
            corovent::sleep(SHORT);
        }
    });
    let data: Vec<u8> = (0..TOO_MUCH).map(|n| (n % 251) as u8).collect();
    let expected = data.clone();
    let task = spawn(move || {
        assert_eq!(writer.write(&data).unwrap(), TOO_MUCH);
        writer
    });
    let mut got = vec![0; TOO_MUCH];
    reader.read_exact(&mut got).unwrap();
    assert!(got == expected);
    let mut writer = task.join().unwrap();

    // In several buffers, more than the pool takes at once.
    let task = spawn(move || {
        let parts = [vec![1; 3000], vec![2; 3000]];
        let bufs: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        assert_eq!(writer.write_vectored(&bufs).unwrap(), 6000);
        writer
    });
    let (mut first, mut second) = (vec![0; 5000], vec![0; 5000]);
    let mut filled = 0;
    while filled < 6000 {
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        let mut rest = &mut bufs[..];
        IoSliceMut::advance_slices(&mut rest, filled);
        filled += reader.read_vectored(rest).unwrap();
    }
    assert!(first[..3000].iter().all(|byte| *byte == 1));
    assert!(first[3000..].iter().chain(&second[..1000]).all(|byte| *byte == 2));

    let mut writer = task.join().unwrap();
    let task = spawn(move || {
        let count = writer.write(&[0; TOO_MUCH]).unwrap();
        yield_now();
        unreachable!("{count}");
    });
    while !debug::dump().to_string().contains("write") {
        corovent::sleep(SHORT);
    }
    assert!(task.kill_timeout(LONG));
    assert!(was_killed(task));
    let count = reader.read_to_end(&mut Vec::new()).unwrap();
    assert!(0 < count && count < TOO_MUCH, "{count}");
    ticks.kill();
    assert!(was_killed(ticks));
}

/// std takes any descriptor for a pipe, and reads what it can.
#[test]
fn files_and_sockets_are_read_and_written_as_they_are() {
    run(|| {
        let path = std::env::temp_dir().join(format!("corovent-pipes-{}", std::process::id()));
        let mut options = File::options();
        let mut file = options.create_new(true).write(true).read(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let text: Vec<u8> = (0..TOO_MUCH).map(|n| (n % 251) as u8).collect();
        let mut writer = ChildStdin::from(OwnedFd::from(file.try_clone().unwrap()));
        writer.write_all(&text).unwrap();
        file.rewind().unwrap();
        let mut reader = PipeReader::from(OwnedFd::from(file));
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        assert!(got == text);

        let (one, two) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut reader = PipeReader::from(OwnedFd::from(one));
        let mut writer = PipeWriter::from(OwnedFd::from(two));
        let task = spawn(move || {
            let mut got = Vec::new();
            reader.read_to_end(&mut got).unwrap();
            got
        });
        yield_now();
        writer.write_all(&text).unwrap();
        drop(writer);
        assert!(task.join().unwrap() == text);

        // An end is asked for what it cannot give.
        let (reader, writer) = std::io::pipe().unwrap();
        let wrong = PipeReader::from(OwnedFd::from(writer)).read(&mut [0]).unwrap_err();
        assert_eq!(wrong.raw_os_error(), Some(libc::EBADF));
        let wrong = PipeWriter::from(OwnedFd::from(reader)).write(&[0]).unwrap_err();
        assert_eq!(wrong.raw_os_error(), Some(libc::EBADF));
    });
}

#[test]
fn two_hubs_talk_through_a_pipe() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let (mut back_reader, mut back_writer) = pipe().unwrap();
        let thread = thread::spawn(move || {
            run(|| {
                // On a coroutine of that hub, and on a thread that had none before.
                let task = spawn(move || io::copy(&mut reader, &mut back_writer).unwrap());
                task.join().unwrap()
            })
        });
        let task = spawn(move || {
            let mut got = Vec::new();
            back_reader.read_to_end(&mut got).unwrap();
            got.len()
        });
        writer.write_all(&vec![5; TOO_MUCH]).unwrap();
        drop(writer);
        assert_eq!(task.join().unwrap(), TOO_MUCH);
        assert_eq!(thread.join().unwrap(), TOO_MUCH as u64);

        // One end is used by both, one after the other and at once.
        let (reader, mut writer) = pipe().unwrap();
        let reader = Arc::new(reader);
        let here = spawn({
            let reader = Arc::clone(&reader);
            move || (&*reader).read(&mut [0]).unwrap()
        });
        yield_now();
        let there = thread::spawn({
            let reader = Arc::clone(&reader);
            move || (&*reader).read(&mut [0]).unwrap()
        });
        writer.write_all(b"ab").unwrap();
        assert_eq!(here.join().unwrap(), 1);
        assert_eq!(there.join().unwrap(), 1);
    });
}

#[test]
fn sigpipe_never_kills() {
    passes("pipes::child_writes_to_nobody");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_writes_to_nobody() {
    // SAFETY: the default action is valid.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        drop(reader);
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(writer.write_vectored(&[IoSlice::new(b"x")]).unwrap_err().kind(), {
            ErrorKind::BrokenPipe
        });
        // By the other ways to write, of which each blocks the signal for the call: on this
        // thread, for a pipe that the kernel refuses the flags for, and on the pool's.
        let (reader, writer) = named_pipe("nobody");
        drop(reader);
        let mut writer = PipeWriter::from(writer);
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(blocked_or_pending(), (false, false));
        // A program that has blocked it for good finds it blocked, and its own one pending.
        block_sigpipe();
        // SAFETY: the call has no preconditions.
        unsafe { libc::raise(libc::SIGPIPE) };
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(blocked_or_pending(), (true, true));
    });
}

/// Whether this thread blocks SIGPIPE, and whether one waits for it.
fn blocked_or_pending() -> (bool, bool) {
    // SAFETY: all zeros is an empty set.
    let (mut mask, mut pending): (libc::sigset_t, libc::sigset_t) = unsafe { mem::zeroed() };
    // SAFETY: the set is there to be written.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &raw mut mask) };
    // SAFETY: likewise.
    unsafe { libc::sigpending(&raw mut pending) };
    // SAFETY: both sets are valid.
    let has = |set: &libc::sigset_t| unsafe { libc::sigismember(set, libc::SIGPIPE) == 1 };
    (has(&mask), has(&pending))
}

fn block_sigpipe() {
    // SAFETY: all zeros is an empty set.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: the set is valid.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGPIPE) };
    // SAFETY: likewise.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
}

#[test]
fn eintr_is_never_seen() {
    passes("pipes::child_reads_in_a_storm_of_signals");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_reads_in_a_storm_of_signals() {
    crate::support::storm_of_signals();
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let (named_reader, named_writer) = named_pipe("storm");
        let (mut named_reader, mut named_writer) =
            (PipeReader::from(named_reader), PipeWriter::from(named_writer));
        let task = spawn(move || {
            for n in 0..100u8 {
                writer.write_all(&vec![n; 100_000]).unwrap();
                named_writer.write_all(&[n; 100]).unwrap();
            }
        });
        for n in 0..100u8 {
            let mut buf = vec![0; 100_000];
            reader.read_exact(&mut buf).unwrap();
            assert!(buf.iter().all(|byte| *byte == n));
            named_reader.read_exact(&mut buf[..100]).unwrap();
        }
        task.join().unwrap();
    });
}

/// Fills a pipe up.
fn fill(writer: &impl AsFd) {
    let mut clone = std::io::PipeWriter::from(writer.as_fd().try_clone_to_owned().unwrap());
    set_nonblocking(&clone);
    while clone.write(&[0; 4096]).is_ok() {}
    set_flags(&clone, 0);
}

fn is_nonblocking(fd: &impl AsFd) -> bool {
    // SAFETY: F_GETFL takes no argument.
    let flags = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) };
    assert_ne!(flags, -1);
    flags & libc::O_NONBLOCK != 0
}

fn set_nonblocking(fd: &impl AsFd) {
    set_flags(fd, libc::O_NONBLOCK);
}

fn set_flags(fd: &impl AsFd, flags: libc::c_int) {
    // SAFETY: F_SETFL takes an int.
    assert_eq!(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_SETFL, flags) }, 0);
}

/// Both ends of a named pipe, whose name is gone.
fn named_pipe(name: &str) -> (OwnedFd, OwnedFd) {
    let path = format!("corovent-named-{name}-{}", std::process::id());
    let path = std::env::temp_dir().join(path);
    let c_path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a C string.
    assert_eq!(unsafe { libc::mkfifo(c_path.as_ptr(), 0o600) }, 0);
    // One that reads and writes does not wait for the other side.
    let both = File::options().read(true).write(true).open(&path).unwrap();
    let reader = File::options().read(true).open(&path).unwrap();
    let writer = File::options().write(true).open(&path).unwrap();
    drop(both);
    std::fs::remove_file(&path).unwrap();
    (reader.into(), writer.into())
}

/// Moves bytes from one pipe into another inside of the kernel.
fn splice(from: &impl AsFd, to: &impl AsFd, count: usize) {
    let (from, to) = (from.as_fd().as_raw_fd(), to.as_fd().as_raw_fd());
    let none = ptr::null_mut();
    // SAFETY: pipes have no offsets.
    let moved = unsafe { libc::splice(from, none, to, none, count, 0) };
    assert_eq!(moved, count as isize);
}
