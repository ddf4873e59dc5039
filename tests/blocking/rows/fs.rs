//! Files: those that the kernel can make wait.

use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::Mutex;

use corovent::fs::File;
use corovent::fs::OpenOptions;
use tempfile::TempDir;

use crate::case::Case;
use crate::case::Row;
use crate::case::some;

/// What the pool does for a call goes on when the caller's hub has ended.
const KEEPS: &[(&str, &str)] = &[("ended hub", "it may get the lock then, and keep it")];

pub(crate) const ROWS: &[Row] = &[
    Row { functions: &["File::read"], make: fifo_read, lacks: &[] },
    Row { functions: &["File::write"], make: fifo_write, lacks: &[] },
    Row { functions: &["File::lock"], make: lock, lacks: KEEPS },
    Row { functions: &["File::lock_shared"], make: lock_shared, lacks: &[] },
];

/// A FIFO that has both ends.
fn fifo() -> (TempDir, Arc<File>, std::fs::File) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the path is a C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    // Open for both, so that neither open nor read waits for the other end.
    let ours = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let other = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    (directory, Arc::new(ours), other)
}

fn fifo_read() -> Case {
    let (directory, file, mut other) = fifo();
    let other_end = Mutex::new(other.try_clone().unwrap());
    other.flush().unwrap();
    Case::new(move || some((&*file).read(&mut [0])))
        .released(move || other_end.lock().unwrap().write_all(&[1]).unwrap())
        .keep(directory)
}

fn fifo_write() -> Case {
    let (directory, file, other) = fifo();
    let page = [0; 4096];
    // SAFETY: fcntl(2) with F_GETPIPE_SZ has no preconditions.
    let size = unsafe { libc::fcntl(other.as_raw_fd(), libc::F_GETPIPE_SZ) };
    for _ in 0..size / 4096 {
        (&other).write_all(&page).unwrap();
    }
    Case::new(move || some((&*file).write(&page)))
        .released(move || (&other).read_exact(&mut [0; 4096]).unwrap())
        .keep(directory)
}

fn locked(call: fn(&File) -> std::io::Result<()>) -> Case {
    let file = tempfile::NamedTempFile::new().unwrap();
    let holder = std::fs::File::open(file.path()).unwrap();
    holder.lock().unwrap();
    let path = file.path().to_owned();
    // Each call has an open file of its own, which lets go when it is closed.
    Case::new(move || call(&File::open(&path)?)).opened(move || holder.unlock().unwrap()).keep(file)
}

fn lock() -> Case {
    locked(File::lock)
}

fn lock_shared() -> Case {
    locked(File::lock_shared)
}
