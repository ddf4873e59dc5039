//! The mirror of [`std::os::unix::fs`]: what files have on Unix.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use crate::threadpool;

// The traits are std's own, which the types of this crate implement as well.
pub use std::os::unix::fs::DirBuilderExt;
pub use std::os::unix::fs::DirEntryExt;
pub use std::os::unix::fs::FileExt;
pub use std::os::unix::fs::FileTypeExt;
pub use std::os::unix::fs::MetadataExt;
pub use std::os::unix::fs::OpenOptionsExt;
pub use std::os::unix::fs::PermissionsExt;

/// Sets who owns a file, that of a symbolic link's aim.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::os::unix::fs::chown`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn chown<P: AsRef<Path>>(dir: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let dir = dir.as_ref().to_owned();
    threadpool::file_call(move || std::os::unix::fs::chown(dir, uid, gid))
}

/// Sets the root directory of the process.
///
/// # Suspends
///
/// Never: it changes what every thread sees, so it stops the thread for that time.
///
/// # Errors
///
/// As for [`std::os::unix::fs::chroot`].
pub fn chroot<P: AsRef<Path>>(dir: P) -> io::Result<()> {
    std::os::unix::fs::chroot(dir)
}

/// Sets who owns an open file.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::os::unix::fs::fchown`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn fchown<F: AsFd>(fd: F, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let fd = fd.as_fd().try_clone_to_owned()?;
    threadpool::file_call(move || std::os::unix::fs::fchown(fd, uid, gid))
}

/// Sets who owns a file, that of a symbolic link itself.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::os::unix::fs::lchown`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn lchown<P: AsRef<Path>>(dir: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let dir = dir.as_ref().to_owned();
    threadpool::file_call(move || std::os::unix::fs::lchown(dir, uid, gid))
}

/// Makes a symbolic link.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::os::unix::fs::symlink`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    let (original, link) = (original.as_ref().to_owned(), link.as_ref().to_owned());
    threadpool::file_call(move || std::os::unix::fs::symlink(original, link))
}
