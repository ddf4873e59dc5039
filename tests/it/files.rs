//! Files: what std's do, without stopping the thread.
//!
//! The programs that run with both are the cases of std's own tests, library/std/src/fs/
//! tests.rs, written anew.

use std::cell::Cell;
use std::ffi::CString;
use std::io;
use std::io::BufWriter;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::mpsc;
use std::time::Duration;

use corovent::Killed;
use corovent::fs;
use corovent::fs::File;
use corovent::fs::OpenOptions;
use corovent::spawn;
use corovent::threadpool::blocking;
use corovent::timeout;
use corovent::yield_now;
use tempfile::TempDir;

use crate::support::on_drop;
use crate::support::open_fds;
use crate::support::passes;
use crate::support::run;
use crate::support::was_killed;

const MOMENT: Duration = Duration::from_millis(2);

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A directory in memory, whose files the kernel reads and writes only by calls that may wait:
/// so all goes through the pool.
fn dir_by_pool() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

/// How many bytes nobody has read yet.
fn bytes_in(pipe: &std::fs::File) -> libc::c_int {
    let mut count = 0;
    // SAFETY: FIONREAD writes an int.
    assert_eq!(unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count) }, 0);
    count
}

fn mkfifo(dir: &Path) -> PathBuf {
    let path = dir.join("fifo");
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the name is a C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    path
}

/// Runs a program with our files and with std's, each in a directory of its own, and compares
/// what they say.
macro_rules! alike {
    (|$dir:ident| $body:expr) => {{
        fn ours($dir: &Path) -> io::Result<String> {
            #[allow(unused_imports)]
            use corovent::fs::{self, *};
            #[allow(unused_imports)]
            use corovent::os::unix::fs::{
                DirBuilderExt, DirEntryExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt,
                PermissionsExt, symlink,
            };
            $body
        }
        fn theirs($dir: &Path) -> io::Result<String> {
            #[allow(unused_imports)]
            use std::fs::{self, *};
            #[allow(unused_imports)]
            use std::os::unix::fs::{
                DirBuilderExt, DirEntryExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt,
                PermissionsExt, symlink,
            };
            $body
        }
        let say = |result: io::Result<String>, dir: &TempDir| match result {
            Ok(text) => text.replace(dir.path().to_str().unwrap(), "<dir>"),
            Err(error) => format!("{:?} {:?} {error}", error.kind(), error.raw_os_error()),
        };
        let (there, by_pool, here) = (dir(), dir_by_pool(), dir());
        let expected = say(theirs(there.path()), &there);
        run(|| {
            // Make sure that there is a hub.
            yield_now();
            spawn(|| ()).join().unwrap();
            for here in [&here, &by_pool] {
                let path = here.path().to_owned();
                let said = spawn(move || ours(&path)).join().unwrap();
                assert_eq!(say(said, here), expected);
            }
        });
        // A thread without a hub.
        let bare = dir();
        let path = bare.path().to_owned();
        let said = std::thread::spawn(move || ours(&path)).join().unwrap();
        assert_eq!(say(said, &bare), expected);
        expected
    }};
}

#[test]
fn what_is_written_is_read() {
    let said = alike!(|dir| {
        let path = dir.join("a");
        let mut file = File::create(&path)?;
        file.write_all(b"it's alright. have a good time")?;
        drop(file);
        let mut file = File::open(&path)?;
        let mut buf = [0; 1028];
        let n = file.read(&mut buf)?;
        let end = file.read(&mut buf[n..])?;
        fs::remove_file(&path)?;
        Ok(format!("{} {end}", String::from_utf8_lossy(&buf[..n])))
    });
    assert_eq!(said, "it's alright. have a good time 0");
}

#[test]
fn whole_files_are_read_and_written() {
    alike!(|dir| {
        let path = dir.join("a");
        let big: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        fs::write(&path, &big)?;
        let same = fs::read(&path)? == big;
        fs::write(&path, "short")?;
        let mut text = String::from("it is ");
        let n = File::open(&path)?.read_to_string(&mut text)?;
        let mut bytes = vec![b'-'];
        let m = (&File::open(&path)?).read_to_end(&mut bytes)?;
        Ok(format!("{same} {} {text} {n} {m} {bytes:?}", fs::read_to_string(&path)?))
    });
    alike!(|dir| {
        fs::write(dir.join("a"), [0xff, 0xfe])?;
        fs::read_to_string(dir.join("a"))
    });
    alike!(|dir| {
        let mut text = String::from("kept");
        fs::write(dir.join("a"), [0xff, 0xfe])?;
        let failed = File::open(dir.join("a"))?.read_to_string(&mut text);
        Ok(format!("{text} {:?}", failed.map_err(|error| error.to_string())))
    });
}

#[test]
fn positions_and_offsets_are_stds() {
    alike!(|dir| {
        let path = dir.join("a");
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        file.write_all(b"foobar")?;
        let mut said = format!("{:?}", file.seek(SeekFrom::Start(1))?);
        let mut buf = [0; 3];
        file.read_exact(&mut buf)?;
        said += &format!(" {buf:?} {} {}", file.stream_position()?, file.seek(SeekFrom::End(-2))?);
        file.write_all(b"zz")?;
        file.rewind()?;
        said += &io::read_to_string(&file)?;
        said += &format!(" {:?}", file.seek(SeekFrom::Current(-100)).map_err(|error| error.kind()));
        file.write_at(b"12", 2)?;
        file.write_all_at(b"3", 4)?;
        let n = file.read_at(&mut buf, 1)?;
        said += &format!(" {n} {buf:?} {}", file.stream_position()?);
        said += &format!(" {:?}", file.read_exact_at(&mut buf, 5).map_err(|error| error.kind()));
        said += &format!(" {:?}", file.read_at(&mut buf, u64::MAX).map_err(|error| error.kind()));
        file.set_len(2)?;
        said += &format!(" {:?} {}", fs::read(&path)?, file.metadata()?.len());
        file.set_len(4)?;
        Ok(said + &format!(" {:?}", fs::read(&path)?))
    });
}

#[test]
fn several_buffers_are_read_and_written() {
    alike!(|dir| {
        let mut file = File::create_new(dir.join("a"))?;
        let bufs = [io::IoSlice::new(b"ab"), io::IoSlice::new(b""), io::IoSlice::new(b"cde")];
        let n = file.write_vectored(&bufs)?;
        (&file).rewind()?;
        let (mut a, mut b) = ([0; 3], [0; 5]);
        let bufs = &mut [io::IoSliceMut::new(&mut a), io::IoSliceMut::new(&mut b)];
        let m = file.read_vectored(bufs)?;
        Ok(format!("{n} {m} {a:?} {b:?} {:?}", file.flush()))
    });
}

#[test]
fn files_are_opened_as_stds() {
    alike!(|dir| {
        let path = dir.join("a");
        let mut said = String::new();
        let mut all = Vec::new();
        for bits in 0..64 {
            let has = |bit: i32| bits & (1 << bit) != 0;
            let mut options = OpenOptions::new();
            options.read(has(0)).write(has(1)).append(has(2)).truncate(has(3));
            options.create(has(4)).create_new(has(5));
            all.push(options);
        }
        for options in all {
            for exists in [false, true] {
                let _ = fs::remove_file(&path);
                if exists {
                    fs::write(&path, "foo")?;
                }
                match options.open(&path) {
                    Err(error) => said += &format!("{:?}\n", error.kind()),
                    Ok(mut file) => {
                        let read = file.read(&mut [0]).map_err(|error| error.kind());
                        let wrote = file.write(b"x").map_err(|error| error.kind());
                        said += &format!("{read:?} {wrote:?} {:?}\n", fs::read(&path)?);
                    }
                }
            }
        }
        let file = File::options().write(true).create_new(true).mode(0o640).open(dir.join("b"))?;
        Ok(said + &format!("{:o}", file.metadata()?.permissions().mode()))
    });
}

#[test]
fn the_errors_of_paths_are_stds() {
    alike!(|dir| File::open(dir.join("none")).map(|_| String::new()));
    alike!(|dir| File::open(dir.join("a\0b")).map(|_| String::new()));
    alike!(|dir| File::create(dir).map(|_| String::new()));
    alike!(|dir| fs::read(dir).map(|_| String::new()));
    alike!(|dir| fs::create_dir(dir.join("a/b")).map(|()| String::new()));
    alike!(|dir| fs::create_dir(dir).map(|()| String::new()));
    alike!(|dir| fs::remove_file(dir.join("none")).map(|()| String::new()));
    alike!(|dir| fs::remove_dir(dir.join("none")).map(|()| String::new()));
    alike!(|dir| fs::remove_dir_all(dir.join("none")).map(|()| String::new()));
    alike!(|dir| fs::rename(dir.join("none"), dir.join("b")).map(|()| String::new()));
    alike!(|dir| fs::copy(dir.join("none"), dir.join("b")).map(|_| String::new()));
    alike!(|dir| fs::copy(dir, dir.join("b")).map(|_| String::new()));
    alike!(|dir| fs::read_link(dir).map(|_| String::new()));
    alike!(|dir| fs::canonicalize(dir.join("none")).map(|_| String::new()));
    alike!(|dir| fs::read_dir(dir.join("none")).map(|_| String::new()));
    alike!(|dir| fs::metadata(dir.join("none")).map(|_| String::new()));
    alike!(|dir| fs::hard_link(dir.join("none"), dir.join("b")).map(|_| String::new()));
    alike!(|dir| DirBuilder::new().create(dir).map(|_| String::new()));
    alike!(|dir| {
        let mut file = File::open(dir)?;
        file.read(&mut [0]).map(|_| String::new())
    });
    alike!(|dir| {
        fs::write(dir.join("a"), "a")?;
        File::open(dir.join("a"))?.write(b"b").map(|_| String::new())
    });
    alike!(|dir| {
        fs::write(dir.join("a"), "a")?;
        File::create(dir.join("a"))?.read(&mut [0]).map(|_| String::new())
    });
}

#[test]
fn directories_are_made_read_and_removed() {
    alike!(|dir| {
        fs::create_dir_all(dir.join("a/b/c"))?;
        DirBuilder::new().recursive(true).mode(0o700).create(dir.join("d/e"))?;
        fs::write(dir.join("a/f"), "")?;
        symlink("f", dir.join("a/link"))?;
        // More than what is read at once.
        for n in 0..700 {
            fs::write(dir.join(format!("a/b/{n}")), "")?;
        }
        let mut found: Vec<String> = fs::read_dir(dir.join("a"))?
            .map(|entry| {
                let entry = entry?;
                let kind = entry.file_type()?;
                let same = entry.metadata()?.ino() == entry.ino();
                let path = entry.path();
                Ok(format!("{entry:?} {path:?} {:?} {kind:?} {same}", entry.file_name()))
            })
            .collect::<io::Result<_>>()?;
        found.sort();
        let mut many: Vec<_> =
            fs::read_dir(dir.join("a/b"))?.map(|entry| entry.unwrap().file_name()).collect();
        many.sort();
        many.dedup();
        let mut ended = fs::read_dir(dir.join("d/e"))?;
        let said = format!("{ended:?} {:?} {:?}", ended.next().is_none(), ended.next().is_none());
        let mode = fs::metadata(dir.join("d/e"))?.permissions().mode();
        let full = fs::remove_dir(dir.join("a")).map_err(|error| error.kind());
        fs::remove_dir_all(dir.join("a"))?;
        let gone = !fs::exists(dir.join("a"))?;
        Ok(format!("{found:#?} {} {said} {mode:o} {full:?} {gone}", many.len()))
    });
}

#[test]
fn links_copies_names_and_times_are_stds() {
    alike!(|dir| {
        let (a, b) = (dir.join("a"), dir.join("b"));
        fs::write(&a, "hello")?;
        fs::set_permissions(&a, Permissions::from_mode(0o600))?;
        let copied = fs::copy(&a, &b)?;
        let mut said = format!("{copied} {:o}", fs::metadata(&b)?.permissions().mode());
        fs::hard_link(&a, dir.join("hard"))?;
        symlink("a", dir.join("soft"))?;
        said += &format!(" {} {:?}", fs::metadata(&a)?.nlink(), fs::read_link(dir.join("soft"))?);
        said += &format!(" {:?}", fs::symlink_metadata(dir.join("soft"))?.file_type());
        said += &format!(" {:?}", fs::canonicalize(dir.join("soft"))? == fs::canonicalize(&a)?);
        fs::rename(&b, dir.join("c"))?;
        said += &format!(" {} {}", fs::exists(&b)?, fs::exists(dir.join("c"))?);
        let file = File::options().write(true).open(&a)?;
        let time = std::time::UNIX_EPOCH + Duration::from_secs(1000);
        file.set_times(FileTimes::new().set_accessed(time))?;
        file.set_modified(time)?;
        file.set_permissions(Permissions::from_mode(0o444))?;
        file.sync_all()?;
        file.sync_data()?;
        let found = file.metadata()?;
        said += &format!(" {:?} {:?}", found.modified()? == time, found.accessed()? == time);
        let shown = format!("{file:?}").replace(dir.to_str().unwrap(), "");
        Ok(said + &shown.replace(|c: char| c.is_numeric(), "") + &format!(" {:o}", found.mode()))
    });
}

/// The cases of std's tests of file locks.
#[test]
fn locks_are_stds() {
    alike!(|dir| {
        let open = || File::options().create(true).write(true).truncate(false).open(dir.join("a"));
        let (one, two) = (open()?, open()?);
        let is_locked = |file: &File| match file.try_lock() {
            Err(TryLockError::WouldBlock) => "locked",
            Err(TryLockError::Error(_)) => "error",
            Ok(()) => "got",
        };
        let is_shared = |file: &File| match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => "locked",
            Err(TryLockError::Error(_)) => "error",
            Ok(()) => "got",
        };
        let mut said = String::new();
        one.lock_shared()?;
        said += is_shared(&two);
        said += is_locked(&one);
        two.unlock()?;
        one.lock()?;
        said += is_shared(&two);
        one.unlock()?;
        said += is_locked(&two);
        // A clone has the same lock, and it goes with the last of them.
        let clone = two.try_clone()?;
        drop(two);
        said += is_locked(&one);
        drop(clone);
        said += is_locked(&one);
        Ok(said)
    });
}

#[test]
fn conversions_keep_the_file() {
    let dir = dir();
    run(|| {
        let path = dir.path().join("a");
        let mut file = File::create_new(&path).unwrap();
        file.write_all(b"12").unwrap();
        let number = file.as_raw_fd();
        let mut theirs = std::fs::File::from(file);
        theirs.write_all(b"34").unwrap();
        let fd = OwnedFd::from(File::from(theirs));
        assert_eq!(fd.as_raw_fd(), number);
        let file = File::from(fd);
        let mut clone = file.try_clone().unwrap();
        (&file).rewind().unwrap();
        let mut byte = [0];
        clone.read_exact(&mut byte).unwrap();
        assert_eq!((&byte, (&file).stream_position().unwrap()), (b"1", 1), "one position");
    });
}

/// Takes all threads of the pool; the jobs end when the receiver's sender is dropped.
fn busy_pool() -> (Vec<corovent::JoinHandle<()>>, impl FnOnce()) {
    let meet = Arc::new(Barrier::new(65));
    let begun = Rc::new(Cell::new(0));
    let (sender, receiver) = mpsc::channel::<()>();
    let receiver = Arc::new(std::sync::Mutex::new(receiver));
    let tasks = (0..64)
        .map(|_| {
            let (meet, receiver) = (Arc::clone(&meet), Arc::clone(&receiver));
            let begun = Rc::clone(&begun);
            spawn(move || {
                begun.set(begun.get() + 1);
                blocking(move || {
                    meet.wait();
                    let _ = receiver.lock().unwrap().recv();
                })
            })
        })
        .collect();
    // In whichever order they run.
    while begun.get() < 64 {
        yield_now();
    }
    meet.wait();
    (tasks, move || drop(sender))
}

#[test]
fn a_call_on_a_file_is_not_interrupted_and_the_kill_comes_after_it() {
    passes("files::child_is_killed_in_calls_on_a_file");
}

/// The pool is busy, so the calls on files wait for their turn there.
#[test]
#[ignore = "takes all threads of the pool"]
fn child_is_killed_in_calls_on_a_file() {
    let dir = dir_by_pool();
    run(|| {
        let path = dir.path().join("a");
        let file = File::create_new(&path).unwrap();
        let (busy, free) = busy_pool();
        let task = spawn({
            let mut file = file.try_clone().unwrap();
            move || {
                file.write_all(b"all").unwrap();
                file.write_all(b"no more").unwrap();
                unreachable!("the second call is not made");
            }
        });
        let late = spawn({
            let file = file.try_clone().unwrap();
            move || timeout(MOMENT, || file.read_at(&mut [0; 9], 0).map(|n| (n, yield_now())))
        });
        yield_now();
        assert!(task.kill());
        // Others run, the timeout fires, and the calls wait all the same.
        corovent::sleep(MOMENT * 2);
        assert!(!task.is_finished() && !late.is_finished());
        free();
        assert!(was_killed(task));
        assert!(late.join().unwrap().is_err(), "the timeout comes at the wait after the call");
        busy.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"all");
    });
}

#[test]
fn a_call_on_a_path_is_given_up_and_done_all_the_same() {
    passes("files::child_gives_up_calls_on_paths");
}

#[test]
#[ignore = "takes all threads of the pool"]
fn child_gives_up_calls_on_paths() {
    let dir = dir();
    run(|| {
        let path = dir.path().join("a");
        let (busy, free) = busy_pool();
        let task = spawn({
            let path = path.clone();
            move || fs::write(&path, "text")
        });
        let made = spawn({
            let path = dir.path().join("b");
            move || timeout(MOMENT, || fs::create_dir(&path))
        });
        yield_now();
        assert!(task.kill());
        assert!(was_killed(task));
        assert!(made.join().unwrap().is_err());
        assert!(!path.exists());
        free();
        busy.into_iter().for_each(|task| task.join().unwrap());
        // The jobs were in line, so they are done before this one.
        while !fs::exists(dir.path().join("b")).unwrap() || !fs::exists(&path).unwrap() {}
        assert_eq!(fs::read(&path).unwrap(), b"", "it was opened, and never written");
    });
}

#[test]
fn one_that_is_killed_makes_no_call_any_more() {
    let dir = dir();
    run(|| {
        let path = dir.path().join("a");
        let task = spawn({
            let path = path.clone();
            move || {
                let _ = corovent::current();
                let _ = std::panic::catch_unwind(corovent::thread::park);
                fs::write(&path, "never")
            }
        });
        yield_now();
        task.kill();
        assert!(was_killed(task));
        assert!(!path.exists());
    });
}

/// A coroutine is killed while it has written to a buffer only: the destructor writes it, and
/// another removes a file.
#[test]
fn a_destructor_writes_and_removes_files_while_the_coroutine_unwinds() {
    for dir in [dir(), dir_by_pool()] {
        run(|| {
            let (path, scratch) = (dir.path().join("a"), dir.path().join("scratch"));
            fs::write(&scratch, "").unwrap();
            let task = spawn({
                let (path, scratch) = (path.clone(), scratch.clone());
                move || {
                    let _remove = on_drop(move || {
                        assert_eq!(fs::read(&scratch).unwrap(), b"");
                        fs::remove_file(&scratch).unwrap();
                    });
                    let mut writer = BufWriter::new(File::create(&path).unwrap());
                    writer.write_all(b"not lost").unwrap();
                    corovent::thread::park();
                }
            });
            while !path.exists() {
                yield_now();
            }
            yield_now();
            corovent::sleep(MOMENT);
            task.kill();
            assert!(was_killed(task));
            assert_eq!(fs::read(&path).unwrap(), b"not lost");
            assert!(!scratch.exists());
        });
    }
}

#[test]
fn both_ends_of_a_fifo_are_opened_by_coroutines() {
    let dir = dir();
    run(|| {
        let path = mkfifo(dir.path());
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
        let reader = spawn({
            let path = path.clone();
            move || fs::read_to_string(&path)
        });
        let writer = spawn(move || {
            let mut file = File::create(&path)?;
            file.write_all(b"through")?;
            yield_now();
            // More than there is room for.
            file.write_all(&[b'.'; 200_000])
        });
        writer.join().unwrap().unwrap();
        let text = reader.join().unwrap().unwrap();
        assert!(text.starts_with("through.") && text.len() == 200_007);
    });
}

/// More of them wait than the pool has threads, and nobody else is held up.
#[test]
fn those_who_wait_to_open_a_fifo_hold_up_nobody() {
    let dir = dir();
    run(|| {
        let path = mkfifo(dir.path());
        let readers: Vec<_> = (0..70)
            .map(|_| {
                let path = path.clone();
                spawn(move || File::open(&path).map(drop))
            })
            .collect();
        yield_now();
        assert_eq!(blocking(|| 5), 5);
        let writer = spawn({
            let path = path.clone();
            move || File::create(&path)
        });
        let writer = writer.join().unwrap().unwrap();
        readers.into_iter().for_each(|reader| reader.join().unwrap().unwrap());
        drop(writer);
    });
}

#[test]
fn an_open_that_waits_is_given_up_and_its_descriptor_closed() {
    let dir = dir();
    run(|| {
        let path = mkfifo(dir.path());
        spawn(|| ()).join().unwrap();
        let late = timeout(MOMENT, || File::open(&path));
        assert!(late.is_err());
        let task = spawn({
            let path = path.clone();
            move || File::open(&path).map(drop)
        });
        corovent::sleep(MOMENT);
        task.kill();
        assert!(was_killed(task));
        // The two that were given up open it now, and close it: so there is no reader left.
        let mut writer = std::fs::File::create(&path).unwrap();
        let error = loop {
            match writer.write_all(b"x") {
                Ok(()) => yield_now(),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

/// What cannot be on a disk is waited for, and a kill or a timeout ends the wait.
#[test]
fn a_read_of_a_fifo_waits_like_that_of_a_socket() {
    let dir = dir();
    run(|| {
        let path = mkfifo(dir.path());
        let open = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let (file, mut other) = (open(), open());
        // SAFETY: F_GETFL has no argument.
        let flags = || unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
        let before = flags();
        let mut buf = [0; 8];
        assert!(timeout(MOMENT, || (&file).read(&mut buf)).is_err());
        let task = spawn({
            let mut file = file.try_clone().unwrap();
            move || file.read(&mut [0; 8])
        });
        yield_now();
        assert!(task.kill());
        assert!(was_killed(task));
        let task = spawn({
            let mut file = file.try_clone().unwrap();
            move || {
                let mut buf = [0; 8];
                file.read(&mut buf).map(|n| buf[..n].to_vec())
            }
        });
        yield_now();
        other.write_all(b"here").unwrap();
        assert_eq!(task.join().unwrap().unwrap(), b"here", "those who left took nothing");
        assert_eq!(flags(), before);
        // A full one keeps its writer waiting, and a timeout loses nothing.
        let sent = Cell::new(0);
        let late = timeout(MOMENT, || {
            while sent.get() < usize::MAX {
                sent.set(sent.get() + (&file).write(&[7; 5000]).unwrap());
            }
        });
        assert!(late.is_err());
        let sent = sent.get();
        let mut got = 0;
        while got < sent {
            got += other.read(&mut [0; 4096]).unwrap();
        }
        assert_eq!(got, sent);
        assert!(timeout(MOMENT, || other.read(&mut [0; 8])).is_err(), "nothing else came");
    });
}

#[test]
fn a_socket_and_a_pipe_may_be_files() {
    run(|| {
        let (one, two) = std::os::unix::net::UnixStream::pair().unwrap();
        let (mut one, mut two) = (File::from(OwnedFd::from(one)), File::from(OwnedFd::from(two)));
        let task = spawn(move || {
            let mut buf = [0; 4];
            one.read_exact(&mut buf).map(|()| buf)
        });
        yield_now();
        two.write_all(b"ping").unwrap();
        assert_eq!(task.join().unwrap().unwrap(), *b"ping");

        let (reader, writer) = io::pipe().unwrap();
        let mut reader = File::from(OwnedFd::from(reader));
        let mut writer = File::from(OwnedFd::from(writer));
        let task = spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all.len())
        });
        yield_now();
        writer.write_all(&[1; 300_000]).unwrap();
        drop(writer);
        assert_eq!(task.join().unwrap().unwrap(), 300_000);
    });
}

/// The wish of whoever opened the file is honoured.
#[test]
fn a_file_that_was_opened_not_to_block_does_not() {
    alike!(|dir| {
        let name = CString::new(dir.join("fifo").as_os_str().as_bytes()).unwrap();
        // SAFETY: the name is a C string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).custom_flags(libc::O_NONBLOCK).open(dir.join("fifo"))?;
        let _writer = OpenOptions::new().write(true).open(dir.join("fifo"))?;
        file.read(&mut [0]).map(|_| String::new())
    });
}

#[test]
fn a_wait_is_refused_while_the_coroutine_unwinds() {
    let dir = dir();
    run(|| {
        let path = mkfifo(dir.path());
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let disk = File::create(dir.path().join("a")).unwrap();
        disk.lock().unwrap();
        let (sender, receiver) = mpsc::channel();
        let task = spawn({
            let dir = dir.path().to_owned();
            move || {
                let other = File::open(dir.join("a")).unwrap();
                let _guard = on_drop(move || {
                    let read = (&file).read(&mut [0]).map(drop);
                    (&file).write_all(b"x").unwrap();
                    let open = File::open(dir.join("fifo")).map(drop);
                    sender.send([read, open, other.lock()]).unwrap();
                });
                corovent::thread::park();
            }
        });
        corovent::sleep(MOMENT);
        while !task.kill_timeout(MOMENT) {}
        for result in receiver.recv().unwrap() {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Other);
            assert_eq!(error.to_string(), "the coroutine is unwinding");
        }
        disk.unlock().unwrap();
        drop(task);
    });
}

#[test]
fn a_lock_is_waited_for_and_given_up() {
    let dir = dir();
    run(|| {
        let path = dir.path().join("a");
        let open = || OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let (holder, other) = (open(), open());
        holder.lock().unwrap();
        assert!(timeout(MOMENT, || other.lock()).is_err());
        let task = spawn({
            let file = open();
            move || file.lock_shared()
        });
        corovent::sleep(MOMENT);
        task.kill();
        assert!(was_killed(task));
        // More wait than the pool has threads, and the holder works all the same.
        let waiting: Vec<_> = (0..70)
            .map(|_| {
                let file = open();
                spawn(move || {
                    file.lock()?;
                    (&file).write_all(b".")?;
                    file.unlock()
                })
            })
            .collect();
        corovent::sleep(MOMENT);
        (&holder).write_all(b"held").unwrap();
        holder.sync_all().unwrap();
        holder.unlock().unwrap();
        waiting.into_iter().for_each(|task| task.join().unwrap().unwrap());
        assert_eq!(fs::read(&path).unwrap().len(), 74);
        // Those who gave up have left no lock behind.
        assert!(other.try_lock().is_ok());
    });
}

#[test]
fn a_file_is_used_by_two_hubs() {
    let dir = dir_by_pool();
    run(|| {
        let file = Arc::new(
            OpenOptions::new().create(true).append(true).open(dir.path().join("a")).unwrap(),
        );
        let append = |file: Arc<File>| {
            run(move || {
                let tasks: Vec<_> = (0..10)
                    .map(|_| {
                        let file = Arc::clone(&file);
                        spawn(move || (&*file).write_all(b"0123456789"))
                    })
                    .collect();
                tasks.into_iter().for_each(|task| task.join().unwrap().unwrap());
            })
        };
        let other = std::thread::spawn({
            let file = Arc::clone(&file);
            move || append(file)
        });
        append(file);
        other.join().unwrap();
        let text = fs::read_to_string(dir.path().join("a")).unwrap();
        assert_eq!(text, "0123456789".repeat(20));
    });
}

#[test]
fn a_read_in_a_loop_lets_others_run() {
    let dir = dir();
    run(|| {
        let path = dir.path().join("a");
        fs::write(&path, "x").unwrap();
        let task = spawn(move || {
            let file = File::open(&path).unwrap();
            loop {
                file.read_at(&mut [0], 0).unwrap();
            }
        });
        while !task.kill_timeout(MOMENT) {}
        let result: std::thread::Result<()> = task.join();
        assert!(result.unwrap_err().is::<Killed>());
    });
}

#[test]
fn entries_are_not_lost_to_a_timeout() {
    let dir = dir();
    (0..600).for_each(|n| std::fs::write(dir.path().join(n.to_string()), "").unwrap());
    run(|| {
        // Until a timeout has come in the middle.
        for limit in (0..).map(|n| Duration::from_micros(10 * (n % 20))) {
            let mut entries = fs::read_dir(dir.path()).unwrap();
            let count = Cell::new(0);
            let read_all = || {
                for entry in entries.by_ref() {
                    entry.unwrap();
                    count.set(count.get() + 1);
                }
            };
            let late = timeout(limit, read_all).is_err();
            let before = count.get();
            let rest = entries.map(Result::unwrap).count();
            assert_eq!(before + rest, 600);
            if late && before > 0 && rest > 0 {
                break;
            }
        }
    });
}

#[test]
fn files_leave_no_descriptor_behind() {
    let dir = dir();
    let fifo = mkfifo(dir.path());
    std::fs::write(dir.path().join("a"), "text").unwrap();
    let once = || {
        run(|| {
            let path = dir.path().join("a");
            spawn(move || fs::read(&path).unwrap()).join().unwrap();
            let file = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
            assert!(timeout(Duration::ZERO, || (&file).read(&mut [0])).is_err());
            drop(OwnedFd::from(file));
            fs::read_dir(dir.path()).unwrap().for_each(drop);
        })
    };
    once();
    // Other tests of this process open and close as well.
    let before = open_fds();
    let same = (0..1000).any(|_| {
        once();
        open_fds() <= before
    });
    assert!(same, "{before} descriptors became {}", open_fds());
    assert_eq!(
        fs::metadata(dir.path()).unwrap().is_dir(),
        std::fs::metadata(dir.path()).unwrap().mode() & libc::S_IFDIR != 0
    );
}

#[test]
fn sigpipe_never_kills() {
    passes("files::child_writes_files_that_nobody_reads");
}

/// By each of the ways in which a file that is no file is written.
#[test]
#[ignore = "runs in a process of its own"]
fn child_writes_files_that_nobody_reads() {
    fn is_broken(mut file: &File) {
        assert_eq!(file.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    // SAFETY: the default action is valid.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let dir = dir();
    let fifo = mkfifo(dir.path());
    let all = || {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        is_broken(&File::from(OwnedFd::from(writer)));
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(other);
        is_broken(&File::from(OwnedFd::from(one)));
        // Opened once more while there is a reader, and not.
        for has_own in [true, false] {
            let reader = std::fs::File::options().read(true).write(true).open(&fifo).unwrap();
            let mut writer = File::from(std::fs::File::options().write(true).open(&fifo).unwrap());
            if has_own {
                writer.write_all(b"x").unwrap();
            }
            drop(reader);
            is_broken(&writer);
        }
    };
    std::thread::scope(|scope| scope.spawn(all).join().unwrap());
    run(|| corovent::scope(|scope| scope.spawn(all).join().unwrap()));
}

/// A file whose reading fails in the middle: this process's memory, up to a hole.
#[test]
fn what_was_read_before_an_error_is_given() {
    let before_a_hole = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let stack = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
        let end = stack.split(['-', ' ']).nth(1).unwrap();
        u64::from_str_radix(end, 16).unwrap() - 16
    };
    let at = before_a_hole();
    let mut theirs = (b"a".to_vec(), "a".to_owned());
    let mut file = std::fs::File::open("/proc/self/mem").unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    let error = file.read_to_end(&mut theirs.0).unwrap_err();
    file.seek(SeekFrom::Start(at)).unwrap();
    assert_eq!(file.read_to_string(&mut theirs.1).unwrap_err().kind(), error.kind());
    assert_eq!(theirs.0.len(), 17);
    run(|| {
        let mut ours = (b"a".to_vec(), "a".to_owned());
        let mut file = File::open("/proc/self/mem").unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        assert_eq!(file.read_to_end(&mut ours.0).unwrap_err().kind(), error.kind());
        file.seek(SeekFrom::Start(at)).unwrap();
        assert_eq!(file.read_to_string(&mut ours.1).unwrap_err().kind(), error.kind());
        assert_eq!(ours, theirs);
    });
}

/// It is only opened once more when there is a reader; a long write must not wait on a thread
/// of the pool then, where nothing interrupts it.
#[test]
fn a_writer_of_a_fifo_that_had_no_reader_is_killed_all_the_same() {
    let dir = dir();
    let fifo = mkfifo(dir.path());
    run(|| {
        let both = std::fs::File::options().read(true).write(true).open(&fifo).unwrap();
        let writer =
            Arc::new(File::from(std::fs::File::options().write(true).open(&fifo).unwrap()));
        drop(both);
        let broken =
            corovent::scope(|scope| scope.spawn(|| (&*writer).write(b"x")).join().unwrap());
        assert_eq!(broken.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut reader = std::fs::File::options().read(true).write(true).open(&fifo).unwrap();
        let task = spawn({
            let writer = Arc::clone(&writer);
            move || (&*writer).write(&[1; 1 << 20])
        });
        while bytes_in(&reader) == 0 {
            corovent::sleep(MOMENT);
        }
        // By now it waits for room, on most machines.
        for _ in 0..100 {
            corovent::sleep(MOMENT);
        }
        assert!(task.kill());
        let written = task.join().unwrap().unwrap();
        assert!((1..1 << 20).contains(&written), "{written}");
        let mut there = vec![0; written];
        reader.read_exact(&mut there).unwrap();
    });
}

#[test]
fn a_seek_waits_for_a_long_read_and_others_run() {
    passes("files::child_seeks_in_a_file_that_is_read");
}

/// The pool is busy, so the read waits for its turn there; once it has it, the kernel keeps the
/// position from everybody else.
#[test]
#[ignore = "takes all threads of the pool"]
fn child_seeks_in_a_file_that_is_read() {
    let dir = dir();
    run(|| {
        let path = dir.path().join("a");
        std::fs::write(&path, b"0123456789").unwrap();
        let file = File::open(&path).unwrap();
        let (busy, free) = busy_pool();
        let read = spawn({
            let mut file = file.try_clone().unwrap();
            move || file.read_to_end(&mut Vec::new()).unwrap()
        });
        yield_now();
        let seek = spawn({
            let mut file = file.try_clone().unwrap();
            move || file.stream_position().unwrap()
        });
        let next = spawn(move || (&file).read(&mut [0]).unwrap());
        (0..10).for_each(|_| yield_now());
        assert!(!seek.is_finished() && !next.is_finished());
        free();
        assert_eq!(read.join().unwrap() + next.join().unwrap(), 10);
        assert!(seek.join().unwrap() <= 10);
        busy.into_iter().for_each(|task| task.join().unwrap());
        let mut file = File::open(&path).unwrap();
        assert_eq!(file.seek(SeekFrom::End(-1)).unwrap(), 9);
    });
}

#[test]
fn a_long_call_moves_a_part() {
    const MOST: usize = 1 << 20;

    let (dir, shm) = (dir(), dir_by_pool());
    run(|| {
        spawn(|| ()).join().unwrap();
        let data: Vec<u8> = (0..3 * MOST).map(|n| (n / 251) as u8).collect();
        for dir in [&dir, &shm] {
            let path = dir.path().join("a");
            let mut file = File::create(&path).unwrap();
            assert!((1..=MOST).contains(&file.write(&data).unwrap()));
            file.seek(SeekFrom::Start(0)).unwrap();
            file.write_all(&data).unwrap();
            let mut file = File::open(&path).unwrap();
            let mut there = vec![0; data.len()];
            let count = file.read(&mut there).unwrap();
            assert!((1..=MOST).contains(&count), "{count}");
            let (first, rest) = there[count..].split_at_mut(MOST / 2);
            let bufs = &mut [first, &mut [], rest].map(io::IoSliceMut::new);
            let more = file.read_vectored(bufs).unwrap();
            assert!((1..=MOST).contains(&more), "{more}");
            file.read_exact(&mut there[count + more..]).unwrap();
            assert!(there == data);
        }
        let endless = File::open("/dev/zero").unwrap();
        // A signal of another test may cut it short.
        let count = (&endless).read(&mut vec![1; 3 * MOST]).unwrap();
        assert!((1..=MOST).contains(&count), "{count}");
    });
}

#[test]
fn nothing_is_read_of_a_directory_as_in_std() {
    let read = || {
        let kind = |result: io::Result<usize>| result.unwrap_err().kind();
        let mut theirs = std::fs::File::open("/").unwrap();
        let mut ours = File::open("/").unwrap();
        for len in [0, 1] {
            assert_eq!(kind(ours.read(&mut vec![0; len])), kind(theirs.read(&mut vec![0; len])));
        }
    };
    std::thread::spawn(read).join().unwrap();
    run(|| spawn(read).join().unwrap());
}
