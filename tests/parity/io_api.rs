// Written by `.ci/api --write`: what is stable in std, of io.

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

fn io_pipe() -> io::Result<(io::PipeReader, io::PipeWriter)> {
    io::pipe()
}
