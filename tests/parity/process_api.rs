// Written by `.ci/api --write`: what is stable in std, of process.

fn os_unix_process_commandext_uid<'e0, Own: os::unix::process::CommandExt + ?Sized>(
    a0: &'e0 mut Own,
    a1: u32,
) -> &'e0 mut process::Command {
    <Own as os::unix::process::CommandExt>::uid(a0, a1)
}

fn os_unix_process_commandext_gid<'e0, Own: os::unix::process::CommandExt + ?Sized>(
    a0: &'e0 mut Own,
    a1: u32,
) -> &'e0 mut process::Command {
    <Own as os::unix::process::CommandExt>::gid(a0, a1)
}

unsafe fn os_unix_process_commandext_pre_exec<'e0, Own: os::unix::process::CommandExt + ?Sized, F>(
    a0: &'e0 mut Own,
    a1: F,
) -> &'e0 mut process::Command
where
    F: FnMut() -> io::Result<()> + Send + Sync + 'static,
{
    // SAFETY: as this function's caller vouches.
    unsafe { <Own as os::unix::process::CommandExt>::pre_exec(a0, a1) }
}

unsafe fn os_unix_process_commandext_before_exec<
    'e0,
    Own: os::unix::process::CommandExt + ?Sized,
    F,
>(
    a0: &'e0 mut Own,
    a1: F,
) -> &'e0 mut process::Command
where
    F: FnMut() -> io::Result<()> + Send + Sync + 'static,
{
    // SAFETY: as this function's caller vouches.
    unsafe { <Own as os::unix::process::CommandExt>::before_exec(a0, a1) }
}

fn os_unix_process_commandext_exec<'e0, Own: os::unix::process::CommandExt + ?Sized>(
    a0: &'e0 mut Own,
) -> io::Error {
    <Own as os::unix::process::CommandExt>::exec(a0)
}

fn os_unix_process_commandext_arg0<'e0, Own: os::unix::process::CommandExt + ?Sized, S>(
    a0: &'e0 mut Own,
    a1: S,
) -> &'e0 mut process::Command
where
    S: AsRef<::std::ffi::OsStr>,
{
    <Own as os::unix::process::CommandExt>::arg0(a0, a1)
}

fn os_unix_process_commandext_process_group<'e0, Own: os::unix::process::CommandExt + ?Sized>(
    a0: &'e0 mut Own,
    a1: i32,
) -> &'e0 mut process::Command {
    <Own as os::unix::process::CommandExt>::process_group(a0, a1)
}

const _: () = {
    fn is<X: os::unix::process::CommandExt + ?Sized>() {}
    fn ask(_: &process::Command) {
        is::<process::Command>()
    }
};

fn process_child_kill<'e0>(a0: &'e0 mut process::Child) -> io::Result<()> {
    <process::Child>::kill(a0)
}

fn process_child_id<'e0>(a0: &'e0 process::Child) -> u32 {
    <process::Child>::id(a0)
}

fn process_child_wait<'e0>(a0: &'e0 mut process::Child) -> io::Result<process::ExitStatus> {
    <process::Child>::wait(a0)
}

fn process_child_try_wait<'e0>(
    a0: &'e0 mut process::Child,
) -> io::Result<Option<process::ExitStatus>> {
    <process::Child>::try_wait(a0)
}

fn process_child_wait_with_output(a0: process::Child) -> io::Result<process::Output> {
    <process::Child>::wait_with_output(a0)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + ?Sized,
    >() {
    }
    fn ask(_: &process::Child) {
        is::<process::Child>()
    }
};

const _: () = {
    fn is<
        X: io::Read
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::IntoRawFd
            + From<::std::os::fd::OwnedFd>
            + ::std::os::fd::AsFd
            + Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + ?Sized,
    >() {
    }
    fn ask(_: &process::ChildStderr) {
        is::<process::ChildStderr>()
    }
};

const _: () = {
    fn is<X: From<process::ChildStderr> + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

const _: () = {
    fn is<X: From<process::ChildStderr> + ?Sized>() {}
    fn ask(_: &process::Stdio) {
        is::<process::Stdio>()
    }
};

const _: () = {
    fn is<
        X: io::Write
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::IntoRawFd
            + From<::std::os::fd::OwnedFd>
            + ::std::os::fd::AsFd
            + Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + ?Sized,
    >() {
    }
    fn ask(_: &process::ChildStdin) {
        is::<process::ChildStdin>()
    }
};

const _: () = {
    fn is<X: io::Write + ?Sized>() {}
    fn ask<'e0>(_: &&'e0 process::ChildStdin) {
        is::<&'e0 process::ChildStdin>()
    }
};

const _: () = {
    fn is<X: From<process::ChildStdin> + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

const _: () = {
    fn is<X: From<process::ChildStdin> + ?Sized>() {}
    fn ask(_: &process::Stdio) {
        is::<process::Stdio>()
    }
};

const _: () = {
    fn is<
        X: io::Read
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::IntoRawFd
            + From<::std::os::fd::OwnedFd>
            + ::std::os::fd::AsFd
            + Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + ?Sized,
    >() {
    }
    fn ask(_: &process::ChildStdout) {
        is::<process::ChildStdout>()
    }
};

const _: () = {
    fn is<X: From<process::ChildStdout> + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

const _: () = {
    fn is<X: From<process::ChildStdout> + ?Sized>() {}
    fn ask(_: &process::Stdio) {
        is::<process::Stdio>()
    }
};

fn process_command_new<S: AsRef<::std::ffi::OsStr>>(a0: S) -> process::Command {
    <process::Command>::new(a0)
}

fn process_command_arg<'e0, S: AsRef<::std::ffi::OsStr>>(
    a0: &'e0 mut process::Command,
    a1: S,
) -> &'e0 mut process::Command {
    <process::Command>::arg(a0, a1)
}

fn process_command_args<'e0, I, S>(
    a0: &'e0 mut process::Command,
    a1: I,
) -> &'e0 mut process::Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<::std::ffi::OsStr>,
{
    <process::Command>::args(a0, a1)
}

fn process_command_env<'e0, K, V>(
    a0: &'e0 mut process::Command,
    a1: K,
    a2: V,
) -> &'e0 mut process::Command
where
    K: AsRef<::std::ffi::OsStr>,
    V: AsRef<::std::ffi::OsStr>,
{
    <process::Command>::env(a0, a1, a2)
}

fn process_command_envs<'e0, I, K, V>(
    a0: &'e0 mut process::Command,
    a1: I,
) -> &'e0 mut process::Command
where
    I: IntoIterator<Item = (K, V)>,
    K: AsRef<::std::ffi::OsStr>,
    V: AsRef<::std::ffi::OsStr>,
{
    <process::Command>::envs(a0, a1)
}

fn process_command_env_remove<'e0, K: AsRef<::std::ffi::OsStr>>(
    a0: &'e0 mut process::Command,
    a1: K,
) -> &'e0 mut process::Command {
    <process::Command>::env_remove(a0, a1)
}

fn process_command_env_clear<'e0>(a0: &'e0 mut process::Command) -> &'e0 mut process::Command {
    <process::Command>::env_clear(a0)
}

fn process_command_current_dir<'e0, P: AsRef<::std::path::Path>>(
    a0: &'e0 mut process::Command,
    a1: P,
) -> &'e0 mut process::Command {
    <process::Command>::current_dir(a0, a1)
}

fn process_command_stdin<'e0, T: Into<process::Stdio>>(
    a0: &'e0 mut process::Command,
    a1: T,
) -> &'e0 mut process::Command {
    <process::Command>::stdin(a0, a1)
}

fn process_command_stdout<'e0, T: Into<process::Stdio>>(
    a0: &'e0 mut process::Command,
    a1: T,
) -> &'e0 mut process::Command {
    <process::Command>::stdout(a0, a1)
}

fn process_command_stderr<'e0, T: Into<process::Stdio>>(
    a0: &'e0 mut process::Command,
    a1: T,
) -> &'e0 mut process::Command {
    <process::Command>::stderr(a0, a1)
}

fn process_command_spawn<'e0>(a0: &'e0 mut process::Command) -> io::Result<process::Child> {
    <process::Command>::spawn(a0)
}

fn process_command_output<'e0>(a0: &'e0 mut process::Command) -> io::Result<process::Output> {
    <process::Command>::output(a0)
}

fn process_command_status<'e0>(a0: &'e0 mut process::Command) -> io::Result<process::ExitStatus> {
    <process::Command>::status(a0)
}

fn process_command_get_program<'e0>(a0: &'e0 process::Command) -> &'e0 ::std::ffi::OsStr {
    <process::Command>::get_program(a0)
}

fn process_command_get_args<'e0>(a0: &'e0 process::Command) -> process::CommandArgs<'e0> {
    <process::Command>::get_args(a0)
}

fn process_command_get_envs<'e0>(a0: &'e0 process::Command) -> process::CommandEnvs<'e0> {
    <process::Command>::get_envs(a0)
}

fn process_command_get_current_dir<'e0>(
    a0: &'e0 process::Command,
) -> Option<&'e0 ::std::path::Path> {
    <process::Command>::get_current_dir(a0)
}

const _: () = {
    fn is<X: os::unix::process::CommandExt + Send + Sync + Unpin + ::std::fmt::Debug + ?Sized>() {}
    fn ask(_: &process::Command) {
        is::<process::Command>()
    }
};
