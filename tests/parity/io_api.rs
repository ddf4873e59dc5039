// Written by `.ci/api --write`: what is stable in std, of io.

fn io_isterminal_is_terminal<'e0, Own: io::IsTerminal + ?Sized>(a0: &'e0 Own) -> bool {
    <Own as io::IsTerminal>::is_terminal(a0)
}

const _: () = {
    fn is<X: io::IsTerminal + ?Sized>() {}
    fn ask(_: &fs::File) {
        is::<fs::File>()
    }
};

const _: () = {
    fn is<X: io::IsTerminal + ?Sized>() {}
    fn ask(_: &io::Stdin) {
        is::<io::Stdin>()
    }
};

const _: () = {
    fn is<X: io::IsTerminal + ?Sized>() {}
    fn ask<'e0>(_: &io::StdinLock<'e0>) {
        is::<io::StdinLock<'e0>>()
    }
};

const _: () = {
    fn is<X: io::IsTerminal + ?Sized>() {}
    fn ask(_: &io::Stdout) {
        is::<io::Stdout>()
    }
};

const _: () = {
    fn is<X: io::IsTerminal + ?Sized>() {}
    fn ask<'e0>(_: &io::StdoutLock<'e0>) {
        is::<io::StdoutLock<'e0>>()
    }
};

const _: () = {
    fn is<X: io::IsTerminal + ?Sized>() {}
    fn ask(_: &io::Stderr) {
        is::<io::Stderr>()
    }
};

const _: () = {
    fn is<X: io::IsTerminal + ?Sized>() {}
    fn ask<'e0>(_: &io::StderrLock<'e0>) {
        is::<io::StderrLock<'e0>>()
    }
};

const _: () = {
    fn is<X: io::IsTerminal + ?Sized>() {}
    fn ask<'e0>(_: &::std::os::fd::BorrowedFd<'e0>) {
        is::<::std::os::fd::BorrowedFd<'e0>>()
    }
};

const _: () = {
    fn is<X: io::IsTerminal + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

fn io_pipereader_try_clone<'e0>(a0: &'e0 io::PipeReader) -> io::Result<io::PipeReader> {
    <io::PipeReader>::try_clone(a0)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + io::Read
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::FromRawFd
            + ::std::os::fd::IntoRawFd
            + ::std::os::fd::AsFd
            + From<::std::os::fd::OwnedFd>
            + ?Sized,
    >() {
    }
    fn ask(_: &io::PipeReader) {
        is::<io::PipeReader>()
    }
};

const _: () = {
    fn is<X: io::Read + ?Sized>() {}
    fn ask<'e0>(_: &&'e0 io::PipeReader) {
        is::<&'e0 io::PipeReader>()
    }
};

const _: () = {
    fn is<X: From<io::PipeReader> + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

const _: () = {
    fn is<X: From<io::PipeReader> + ?Sized>() {}
    fn ask(_: &process::Stdio) {
        is::<process::Stdio>()
    }
};

fn io_pipewriter_try_clone<'e0>(a0: &'e0 io::PipeWriter) -> io::Result<io::PipeWriter> {
    <io::PipeWriter>::try_clone(a0)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + io::Write
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::FromRawFd
            + ::std::os::fd::IntoRawFd
            + ::std::os::fd::AsFd
            + From<::std::os::fd::OwnedFd>
            + ?Sized,
    >() {
    }
    fn ask(_: &io::PipeWriter) {
        is::<io::PipeWriter>()
    }
};

const _: () = {
    fn is<X: io::Write + ?Sized>() {}
    fn ask<'e0>(_: &&'e0 io::PipeWriter) {
        is::<&'e0 io::PipeWriter>()
    }
};

const _: () = {
    fn is<X: From<io::PipeWriter> + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

const _: () = {
    fn is<X: From<io::PipeWriter> + ?Sized>() {}
    fn ask(_: &process::Stdio) {
        is::<process::Stdio>()
    }
};

fn io_stderr_lock<'e0>(a0: &'e0 io::Stderr) -> io::StderrLock<'static> {
    <io::Stderr>::lock(a0)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + io::Write
            + io::IsTerminal
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::AsFd
            + ?Sized,
    >() {
    }
    fn ask(_: &io::Stderr) {
        is::<io::Stderr>()
    }
};

const _: () = {
    fn is<X: io::Write + ?Sized>() {}
    fn ask<'e0>(_: &&'e0 io::Stderr) {
        is::<&'e0 io::Stderr>()
    }
};

const _: () = {
    fn is<X: From<io::Stderr> + ?Sized>() {}
    fn ask(_: &process::Stdio) {
        is::<process::Stdio>()
    }
};

const _: () = {
    fn is<X: Unpin + ::std::os::fd::AsRawFd + ::std::os::fd::AsFd + ?Sized>() {}
    fn ask<'a>(_: &io::StderrLock<'a>) {
        is::<io::StderrLock<'a>>()
    }
};

const _: () = {
    fn is<
        X: ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + io::Write
            + ::std::fmt::Debug
            + io::IsTerminal
            + ?Sized,
    >() {
    }
    fn ask<'e0>(_: &io::StderrLock<'e0>) {
        is::<io::StderrLock<'e0>>()
    }
};

fn io_stdin_lock<'e0>(a0: &'e0 io::Stdin) -> io::StdinLock<'static> {
    <io::Stdin>::lock(a0)
}

fn io_stdin_read_line<'e0, 'e1>(a0: &'e0 io::Stdin, a1: &'e1 mut String) -> io::Result<usize> {
    <io::Stdin>::read_line(a0, a1)
}

fn io_stdin_lines(a0: io::Stdin) -> io::Lines<io::StdinLock<'static>> {
    <io::Stdin>::lines(a0)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + io::Read
            + io::IsTerminal
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::AsFd
            + ?Sized,
    >() {
    }
    fn ask(_: &io::Stdin) {
        is::<io::Stdin>()
    }
};

const _: () = {
    fn is<X: io::Read + ?Sized>() {}
    fn ask<'e0>(_: &&'e0 io::Stdin) {
        is::<&'e0 io::Stdin>()
    }
};

const _: () = {
    fn is<
        X: Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::AsFd
            + ?Sized,
    >() {
    }
    fn ask<'a>(_: &io::StdinLock<'a>) {
        is::<io::StdinLock<'a>>()
    }
};

const _: () = {
    fn is<X: io::Read + io::BufRead + ::std::fmt::Debug + io::IsTerminal + ?Sized>() {}
    fn ask<'e0>(_: &io::StdinLock<'e0>) {
        is::<io::StdinLock<'e0>>()
    }
};

fn io_stdout_lock<'e0>(a0: &'e0 io::Stdout) -> io::StdoutLock<'static> {
    <io::Stdout>::lock(a0)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + io::Write
            + io::IsTerminal
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::AsFd
            + ?Sized,
    >() {
    }
    fn ask(_: &io::Stdout) {
        is::<io::Stdout>()
    }
};

const _: () = {
    fn is<X: io::Write + ?Sized>() {}
    fn ask<'e0>(_: &&'e0 io::Stdout) {
        is::<&'e0 io::Stdout>()
    }
};

const _: () = {
    fn is<X: From<io::Stdout> + ?Sized>() {}
    fn ask(_: &process::Stdio) {
        is::<process::Stdio>()
    }
};

const _: () = {
    fn is<X: Unpin + ::std::os::fd::AsRawFd + ::std::os::fd::AsFd + ?Sized>() {}
    fn ask<'a>(_: &io::StdoutLock<'a>) {
        is::<io::StdoutLock<'a>>()
    }
};

const _: () = {
    fn is<
        X: ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + io::Write
            + ::std::fmt::Debug
            + io::IsTerminal
            + ?Sized,
    >() {
    }
    fn ask<'e0>(_: &io::StdoutLock<'e0>) {
        is::<io::StdoutLock<'e0>>()
    }
};

fn io_copy<'e0, 'e1, R, W>(a0: &'e0 mut R, a1: &'e1 mut W) -> io::Result<u64>
where
    R: io::Read + ?Sized,
    W: io::Write + ?Sized,
{
    io::copy(a0, a1)
}

fn io_pipe() -> io::Result<(io::PipeReader, io::PipeWriter)> {
    io::pipe()
}

fn io_stderr() -> io::Stderr {
    io::stderr()
}

fn io_stdin() -> io::Stdin {
    io::stdin()
}

fn io_stdout() -> io::Stdout {
    io::stdout()
}
