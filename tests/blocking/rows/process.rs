//! Processes and pipes.

use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::PoisonError;

use corovent::io::PipeReader;
use corovent::io::PipeWriter;
use corovent::io::pipe;
use corovent::process::Child;
use corovent::process::Command;
use corovent::process::Stdio;
use corovent::sync::Mutex;

use crate::case::Case;
use crate::case::Closable;
use crate::case::Row;
use crate::case::some;

/// A call has the child to itself.
const ONE: &[(&str, &str)] = &[("ended hub", "each call has a child of its own")];

pub(crate) const ROWS: &[Row] = &[
    Row {
        functions: &["Child::wait"],
        make: wait,
        lacks: &[("ended hub", "it would keep the child")],
    },
    Row { functions: &["Child::wait_with_output"], make: wait_with_output, lacks: ONE },
    Row { functions: &["Command::status"], make: status, lacks: ONE },
    Row { functions: &["Command::output"], make: output, lacks: ONE },
    Row { functions: &["PipeReader::read"], make: reading, lacks: &[] },
    Row { functions: &["PipeWriter::write"], make: writing, lacks: &[] },
    Row {
        functions: &["ChildStdout::read"],
        make: child_reading,
        lacks: &[("ended hub", "it would keep the pipe")],
    },
];

/// A child that ends when its input does. One that was left alone ends with the test.
struct Cat {
    child: Child,
}

impl Cat {
    fn new() -> Cat {
        let mut command = Command::new("cat");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Cat { child }
    }
}

impl Drop for Cat {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn wait() -> Case {
    let mut cat = Cat::new();
    let input = std::sync::Mutex::new(cat.child.stdin.take());
    let cat = Arc::new(Mutex::new(cat));
    let call = move || {
        let mut cat = cat.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(cat.child.wait()?.success());
        Ok(())
    };
    Case::new(call).opened(move || drop(input.lock().unwrap().take()))
}

/// Each call starts a program of its own, all of them with one input: they end when that does.
fn commanded(call: fn(&mut Command) -> std::io::Result<()>) -> Case {
    let (input, end) = std::io::pipe().unwrap();
    let end = std::sync::Mutex::new(Some(end));
    let call = move || {
        let input = input.as_fd().try_clone_to_owned()?;
        call(Command::new("cat").stdin(input).stdout(Stdio::piped()))
    };
    Case::new(call).opened(move || drop(end.lock().unwrap().take()))
}

fn status() -> Case {
    commanded(|command| {
        assert!(command.status()?.success());
        Ok(())
    })
}

fn output() -> Case {
    commanded(|command| {
        assert!(command.output()?.status.success());
        Ok(())
    })
}

fn wait_with_output() -> Case {
    commanded(|command| {
        assert!(command.spawn()?.wait_with_output()?.status.success());
        Ok(())
    })
}

fn reading() -> Case {
    let (reader, writer) = pipe().unwrap();
    let (reader, writer) = (Closable::<PipeReader>::new(reader), Arc::new(writer));
    let closed = Arc::clone(&reader);
    let writer = std::sync::Mutex::new(Some(writer));
    let writer = Arc::new(writer);
    let end = Arc::clone(&writer);
    Case::new(move || some((&**reader).read(&mut [0])))
        .released(move || {
            let writer = writer.lock().unwrap().clone();
            writer.inspect(|writer| (&**writer).write_all(&[1]).unwrap());
        })
        .ended("the writer ends", move || drop(end.lock().unwrap().take()), "UnexpectedEof")
        .ended("closed", move || closed.close(), "EBADF")
}

fn writing() -> Case {
    let (reader, writer) = pipe().unwrap();
    let writer = Closable::<PipeWriter>::new(writer);
    let page = [0; 4096];
    for _ in 0..16 {
        (&**writer).write_all(&page).unwrap();
    }
    let closed = Arc::clone(&writer);
    let reader = Arc::new(std::sync::Mutex::new(Some(Arc::new(reader))));
    let end = Arc::clone(&reader);
    Case::new(move || some((&**writer).write(&page)))
        .released(move || {
            let reader = reader.lock().unwrap().clone();
            reader.inspect(|reader| (&**reader).read_exact(&mut [0; 4096]).unwrap());
        })
        .ended("the reader ends", move || drop(end.lock().unwrap().take()), "BrokenPipe")
        .ended("closed", move || closed.close(), "EBADF")
}

fn child_reading() -> Case {
    let mut cat = Cat::new();
    let input = std::sync::Mutex::new(cat.child.stdin.take().unwrap());
    let output = Mutex::new(cat.child.stdout.take().unwrap());
    let call = move || {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        some(output.read(&mut [0]))
    };
    let release = move || input.lock().unwrap().write_all(&[1]).unwrap();
    Case::new(call).released(release).keep(cat)
}
