//! Files: the mirror of [`std::fs`].
//!
//! What may touch a disk is done on threads of the pool while other coroutines run; on a
//! thread without a hub it is simply done. There are two kinds of calls. One on a *path*
//! takes what it needs along and may be given up: then it goes on to its end all the same.
//! One on an *open file* cannot be given up, since what it has moved would be lost: kills and
//! timeouts come before it, or at the next wait. A coroutine that unwinds does both itself
//! and stops the thread for that time, so that destructors can write and remove files.

mod dir;
mod file;
mod options;
mod transfer;
pub mod unix;

use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::threadpool;

pub use crate::fs::dir::DirBuilder;
pub use crate::fs::dir::DirEntry;
pub use crate::fs::dir::ReadDir;
pub use crate::fs::file::File;
pub use crate::fs::options::OpenOptions;

// What std has and needs no waiting, so that one `use` line is enough.
pub use std::fs::FileTimes;
pub use std::fs::FileType;
pub use std::fs::Metadata;
pub use std::fs::Permissions;
pub use std::fs::TryLockError;

/// Gives the absolute form of a path, without `.`, `..` and symbolic links.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::canonicalize`].
///
/// # Cancellation
///
/// Nothing is changed.
pub fn canonicalize<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    threadpool::file_call(move || std::fs::canonicalize(path))
}

/// Copies the contents and the permissions of a file, and gives the number of bytes.
///
/// It goes on to its end also if the caller is killed.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::copy`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn copy<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<u64> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    threadpool::file_call(move || std::fs::copy(from, to))
}

/// Makes a directory.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::create_dir`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn create_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    threadpool::file_call(move || std::fs::create_dir(path))
}

/// Makes a directory and those above it that are missing.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::create_dir_all`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn create_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    threadpool::file_call(move || std::fs::create_dir_all(path))
}

/// Gives whether there is something at a path; an error if that cannot be said.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::exists`].
///
/// # Cancellation
///
/// Nothing is changed.
pub fn exists<P: AsRef<Path>>(path: P) -> io::Result<bool> {
    let path = path.as_ref().to_owned();
    threadpool::file_call(move || std::fs::exists(path))
}

/// Makes another name for a file.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::hard_link`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    let (original, link) = (original.as_ref().to_owned(), link.as_ref().to_owned());
    threadpool::file_call(move || std::fs::hard_link(original, link))
}

/// Gives what is known of a file, that of a symbolic link's aim.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::metadata`].
///
/// # Cancellation
///
/// Nothing is changed.
pub fn metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    let path = path.as_ref().to_owned();
    threadpool::file_call(move || std::fs::metadata(path))
}

/// Reads a whole file.
///
/// # Suspends
///
/// Until the end of the file.
///
/// # Errors
///
/// As for [`std::fs::read`].
///
/// # Cancellation
///
/// Nothing is changed in a file on a disk; of a FIFO, what was read is lost.
///
/// # Examples
///
/// ```
/// let text = corovent_runtime::fs::read("/proc/self/comm")?;
/// assert!(text.ends_with(b"\n"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read<P: AsRef<Path>>(path: P) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Gives the entries of a directory, in no order.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::read_dir`].
///
/// # Cancellation
///
/// Nothing is changed.
pub fn read_dir<P: AsRef<Path>>(path: P) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    threadpool::file_call(move || std::fs::read_dir(path)).map(ReadDir::new)
}

/// Gives where a symbolic link leads.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::read_link`].
///
/// # Cancellation
///
/// Nothing is changed.
pub fn read_link<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    threadpool::file_call(move || std::fs::read_link(path))
}

/// Reads a whole file of text.
///
/// # Suspends
///
/// Until the end of the file.
///
/// # Errors
///
/// As for [`std::fs::read_to_string`]: `InvalidData` if it is not UTF-8.
///
/// # Cancellation
///
/// As for [`read`].
pub fn read_to_string<P: AsRef<Path>>(path: P) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Removes an empty directory.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::remove_dir`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn remove_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    threadpool::file_call(move || std::fs::remove_dir(path))
}

/// Removes a directory and all that is in it.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::remove_dir_all`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn remove_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    threadpool::file_call(move || std::fs::remove_dir_all(path))
}

/// Removes a file.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::remove_file`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn remove_file<P: AsRef<Path>>(path: P) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    threadpool::file_call(move || std::fs::remove_file(path))
}

/// Gives a file another name, in place of what has it.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::rename`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn rename<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<()> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    threadpool::file_call(move || std::fs::rename(from, to))
}

/// Sets who may do what with a file.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::set_permissions`].
///
/// # Cancellation
///
/// It is done all the same.
pub fn set_permissions<P: AsRef<Path>>(path: P, perm: Permissions) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    threadpool::file_call(move || std::fs::set_permissions(path, perm))
}

/// Makes a symbolic link; [`unix::symlink`] is its name on Unix.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::soft_link`].
///
/// # Cancellation
///
/// It is done all the same.
#[deprecated(note = "replaced with os::unix::fs::symlink, as in std")]
pub fn soft_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    unix::symlink(original, link)
}

/// Gives what is known of a file, that of a symbolic link itself.
///
/// # Suspends
///
/// Until it is done.
///
/// # Errors
///
/// As for [`std::fs::symlink_metadata`].
///
/// # Cancellation
///
/// Nothing is changed.
pub fn symlink_metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    let path = path.as_ref().to_owned();
    threadpool::file_call(move || std::fs::symlink_metadata(path))
}

/// Writes a whole file, in place of what was in it.
///
/// # Suspends
///
/// Until all is written.
///
/// # Errors
///
/// As for [`std::fs::write`].
///
/// # Cancellation
///
/// The file may be empty, or hold a part.
pub fn write<P: AsRef<Path>, C: AsRef<[u8]>>(path: P, contents: C) -> io::Result<()> {
    File::create(path)?.write_all(contents.as_ref())
}
