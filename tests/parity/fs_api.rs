// Written by `.ci/api --write`: what is stable in std, of fs.

fn fs_dirbuilder_new() -> fs::DirBuilder {
    <fs::DirBuilder>::new()
}

fn fs_dirbuilder_recursive<'e0>(a0: &'e0 mut fs::DirBuilder, a1: bool) -> &'e0 mut fs::DirBuilder {
    <fs::DirBuilder>::recursive(a0, a1)
}

fn fs_dirbuilder_create<'e0, P: AsRef<::std::path::Path>>(
    a0: &'e0 fs::DirBuilder,
    a1: P,
) -> io::Result<()> {
    <fs::DirBuilder>::create(a0, a1)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + os::unix::fs::DirBuilderExt
            + ?Sized,
    >() {
    }
    fn ask(_: &fs::DirBuilder) {
        is::<fs::DirBuilder>()
    }
};

fn fs_direntry_path<'e0>(a0: &'e0 fs::DirEntry) -> ::std::path::PathBuf {
    <fs::DirEntry>::path(a0)
}

fn fs_direntry_metadata<'e0>(a0: &'e0 fs::DirEntry) -> io::Result<fs::Metadata> {
    <fs::DirEntry>::metadata(a0)
}

fn fs_direntry_file_type<'e0>(a0: &'e0 fs::DirEntry) -> io::Result<fs::FileType> {
    <fs::DirEntry>::file_type(a0)
}

fn fs_direntry_file_name<'e0>(a0: &'e0 fs::DirEntry) -> ::std::ffi::OsString {
    <fs::DirEntry>::file_name(a0)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + os::unix::fs::DirEntryExt
            + ?Sized,
    >() {
    }
    fn ask(_: &fs::DirEntry) {
        is::<fs::DirEntry>()
    }
};

fn fs_file_open<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<fs::File> {
    <fs::File>::open(a0)
}

fn fs_file_create<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<fs::File> {
    <fs::File>::create(a0)
}

fn fs_file_create_new<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<fs::File> {
    <fs::File>::create_new(a0)
}

fn fs_file_options() -> fs::OpenOptions {
    <fs::File>::options()
}

fn fs_file_sync_all<'e0>(a0: &'e0 fs::File) -> io::Result<()> {
    <fs::File>::sync_all(a0)
}

fn fs_file_sync_data<'e0>(a0: &'e0 fs::File) -> io::Result<()> {
    <fs::File>::sync_data(a0)
}

fn fs_file_lock<'e0>(a0: &'e0 fs::File) -> io::Result<()> {
    <fs::File>::lock(a0)
}

fn fs_file_lock_shared<'e0>(a0: &'e0 fs::File) -> io::Result<()> {
    <fs::File>::lock_shared(a0)
}

fn fs_file_try_lock<'e0>(a0: &'e0 fs::File) -> Result<(), fs::TryLockError> {
    <fs::File>::try_lock(a0)
}

fn fs_file_try_lock_shared<'e0>(a0: &'e0 fs::File) -> Result<(), fs::TryLockError> {
    <fs::File>::try_lock_shared(a0)
}

fn fs_file_unlock<'e0>(a0: &'e0 fs::File) -> io::Result<()> {
    <fs::File>::unlock(a0)
}

fn fs_file_set_len<'e0>(a0: &'e0 fs::File, a1: u64) -> io::Result<()> {
    <fs::File>::set_len(a0, a1)
}

fn fs_file_metadata<'e0>(a0: &'e0 fs::File) -> io::Result<fs::Metadata> {
    <fs::File>::metadata(a0)
}

fn fs_file_try_clone<'e0>(a0: &'e0 fs::File) -> io::Result<fs::File> {
    <fs::File>::try_clone(a0)
}

fn fs_file_set_permissions<'e0>(a0: &'e0 fs::File, a1: fs::Permissions) -> io::Result<()> {
    <fs::File>::set_permissions(a0, a1)
}

fn fs_file_set_times<'e0>(a0: &'e0 fs::File, a1: fs::FileTimes) -> io::Result<()> {
    <fs::File>::set_times(a0, a1)
}

fn fs_file_set_modified<'e0>(a0: &'e0 fs::File, a1: ::std::time::SystemTime) -> io::Result<()> {
    <fs::File>::set_modified(a0, a1)
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
            + io::Write
            + io::Seek
            + io::IsTerminal
            + os::unix::fs::FileExt
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::FromRawFd
            + ::std::os::fd::IntoRawFd
            + ::std::os::fd::AsFd
            + From<::std::os::fd::OwnedFd>
            + ?Sized,
    >() {
    }
    fn ask(_: &fs::File) {
        is::<fs::File>()
    }
};

const _: () = {
    fn is<X: io::Read + io::Write + io::Seek + ?Sized>() {}
    fn ask<'e0>(_: &&'e0 fs::File) {
        is::<&'e0 fs::File>()
    }
};

const _: () = {
    fn is<X: From<fs::File> + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

const _: () = {
    fn is<X: From<fs::File> + ?Sized>() {}
    fn ask(_: &process::Stdio) {
        is::<process::Stdio>()
    }
};

fn fs_openoptions_new() -> fs::OpenOptions {
    <fs::OpenOptions>::new()
}

fn fs_openoptions_read<'e0>(a0: &'e0 mut fs::OpenOptions, a1: bool) -> &'e0 mut fs::OpenOptions {
    <fs::OpenOptions>::read(a0, a1)
}

fn fs_openoptions_write<'e0>(a0: &'e0 mut fs::OpenOptions, a1: bool) -> &'e0 mut fs::OpenOptions {
    <fs::OpenOptions>::write(a0, a1)
}

fn fs_openoptions_append<'e0>(a0: &'e0 mut fs::OpenOptions, a1: bool) -> &'e0 mut fs::OpenOptions {
    <fs::OpenOptions>::append(a0, a1)
}

fn fs_openoptions_truncate<'e0>(
    a0: &'e0 mut fs::OpenOptions,
    a1: bool,
) -> &'e0 mut fs::OpenOptions {
    <fs::OpenOptions>::truncate(a0, a1)
}

fn fs_openoptions_create<'e0>(a0: &'e0 mut fs::OpenOptions, a1: bool) -> &'e0 mut fs::OpenOptions {
    <fs::OpenOptions>::create(a0, a1)
}

fn fs_openoptions_create_new<'e0>(
    a0: &'e0 mut fs::OpenOptions,
    a1: bool,
) -> &'e0 mut fs::OpenOptions {
    <fs::OpenOptions>::create_new(a0, a1)
}

fn fs_openoptions_open<'e0, P: AsRef<::std::path::Path>>(
    a0: &'e0 fs::OpenOptions,
    a1: P,
) -> io::Result<fs::File> {
    <fs::OpenOptions>::open(a0, a1)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + Clone
            + ::std::fmt::Debug
            + os::unix::fs::OpenOptionsExt
            + ?Sized,
    >() {
    }
    fn ask(_: &fs::OpenOptions) {
        is::<fs::OpenOptions>()
    }
};

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + Iterator<Item = Result<fs::DirEntry, io::Error>>
            + ?Sized,
    >() {
    }
    fn ask(_: &fs::ReadDir) {
        is::<fs::ReadDir>()
    }
};

fn fs_canonicalize<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<::std::path::PathBuf> {
    fs::canonicalize(a0)
}

fn fs_copy<P: AsRef<::std::path::Path>, Q: AsRef<::std::path::Path>>(
    a0: P,
    a1: Q,
) -> io::Result<u64> {
    fs::copy(a0, a1)
}

fn fs_create_dir<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<()> {
    fs::create_dir(a0)
}

fn fs_create_dir_all<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<()> {
    fs::create_dir_all(a0)
}

fn fs_exists<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<bool> {
    fs::exists(a0)
}

fn fs_hard_link<P: AsRef<::std::path::Path>, Q: AsRef<::std::path::Path>>(
    a0: P,
    a1: Q,
) -> io::Result<()> {
    fs::hard_link(a0, a1)
}

fn fs_metadata<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<fs::Metadata> {
    fs::metadata(a0)
}

fn fs_read<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<Vec<u8>> {
    fs::read(a0)
}

fn fs_read_dir<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<fs::ReadDir> {
    fs::read_dir(a0)
}

fn fs_read_link<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<::std::path::PathBuf> {
    fs::read_link(a0)
}

fn fs_read_to_string<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<String> {
    fs::read_to_string(a0)
}

fn fs_remove_dir<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<()> {
    fs::remove_dir(a0)
}

fn fs_remove_dir_all<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<()> {
    fs::remove_dir_all(a0)
}

fn fs_remove_file<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<()> {
    fs::remove_file(a0)
}

fn fs_rename<P: AsRef<::std::path::Path>, Q: AsRef<::std::path::Path>>(
    a0: P,
    a1: Q,
) -> io::Result<()> {
    fs::rename(a0, a1)
}

fn fs_set_permissions<P: AsRef<::std::path::Path>>(a0: P, a1: fs::Permissions) -> io::Result<()> {
    fs::set_permissions(a0, a1)
}

fn fs_soft_link<P: AsRef<::std::path::Path>, Q: AsRef<::std::path::Path>>(
    a0: P,
    a1: Q,
) -> io::Result<()> {
    fs::soft_link(a0, a1)
}

fn fs_symlink_metadata<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<fs::Metadata> {
    fs::symlink_metadata(a0)
}

fn fs_write<P: AsRef<::std::path::Path>, C: AsRef<[u8]>>(a0: P, a1: C) -> io::Result<()> {
    fs::write(a0, a1)
}

fn os_unix_fs_chown<P: AsRef<::std::path::Path>>(
    a0: P,
    a1: Option<u32>,
    a2: Option<u32>,
) -> io::Result<()> {
    os::unix::fs::chown(a0, a1, a2)
}

fn os_unix_fs_chroot<P: AsRef<::std::path::Path>>(a0: P) -> io::Result<()> {
    os::unix::fs::chroot(a0)
}

fn os_unix_fs_fchown<F: ::std::os::fd::AsFd>(
    a0: F,
    a1: Option<u32>,
    a2: Option<u32>,
) -> io::Result<()> {
    os::unix::fs::fchown(a0, a1, a2)
}

fn os_unix_fs_lchown<P: AsRef<::std::path::Path>>(
    a0: P,
    a1: Option<u32>,
    a2: Option<u32>,
) -> io::Result<()> {
    os::unix::fs::lchown(a0, a1, a2)
}

fn os_unix_fs_symlink<P: AsRef<::std::path::Path>, Q: AsRef<::std::path::Path>>(
    a0: P,
    a1: Q,
) -> io::Result<()> {
    os::unix::fs::symlink(a0, a1)
}
