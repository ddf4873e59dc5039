//! An open file.

use std::fs::FileTimes;
use std::fs::Metadata;
use std::fs::Permissions;
use std::fs::TryLockError;
use std::io;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use std::time::SystemTime;

use crate::error;
use crate::fs::options::OpenOptions;
use crate::hub;
use crate::hub::Hub;
use crate::threadpool;
use crate::time;
use crate::time::Pauses;
use crate::transfer::Transfer;

/// An open file: the mirror of [`std::fs::File`].
///
/// Reading and writing a file on a disk cannot be interrupted: a kill or a timeout comes
/// before the call, or at the next wait. What the kernel has in memory is read at once, the
/// rest on a thread of the pool. Other files, such as FIFOs and terminals, are waited for
/// like sockets; the flags of the open file are not changed for that.
///
/// A coroutine that unwinds reads and writes files on disks itself, and stops the thread
/// meanwhile: so a [`BufWriter`](std::io::BufWriter) that is dropped by a kill loses nothing.
///
/// # Limits
///
/// - `Read`, `Write` and `Seek` are there for `File` and `&File`. Those of std for
///   `Arc<File>` only std can have: use `&*file`.
/// - One call moves at most 1 MiB of a file on a disk or a device; std's go on to 2 GiB.
/// - A path is looked up on a thread of the pool: below `/proc/thread-self` that thread is found.
/// - Devices that cannot be opened twice and whose driver has no calls that return at once
///   are read by the pool when they are ready. If another process is faster, that read waits
///   for the next data, and nothing interrupts it. So do files such as `/proc/kmsg`, which
///   wait though they look like files on a disk.
///
/// # Examples
///
/// ```
/// use corovent_runtime::fs::{self, File};
/// use std::io::{Read, Seek, Write};
///
/// let path = std::env::temp_dir().join(format!("corovent-file-{}", std::process::id()));
/// let mut file = File::create_new(&path)?;
/// file.write_all(b"green")?;
/// let mut text = String::new();
/// File::open(&path)?.read_to_string(&mut text)?;
/// assert_eq!(text, "green");
/// fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct File {
    /// Shared with jobs of the pool, which must not find the number of another file.
    pub(super) file: Arc<std::fs::File>,
    pub(super) transfer: Transfer,
}

impl File {
    /// Opens a file to read it.
    ///
    /// # Suspends
    ///
    /// Until it is open; see [`OpenOptions::open`].
    ///
    /// # Errors
    ///
    /// As for [`OpenOptions::open`].
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<File> {
        OpenOptions::new().read(true).open(path)
    }

    /// Opens a file to write it: makes it, or empties it.
    ///
    /// # Suspends
    ///
    /// Until it is open; see [`OpenOptions::open`].
    ///
    /// # Errors
    ///
    /// As for [`OpenOptions::open`].
    pub fn create<P: AsRef<Path>>(path: P) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }

    /// Makes a file, to read and to write, which must not be there before.
    ///
    /// # Suspends
    ///
    /// Until it is open; see [`OpenOptions::open`].
    ///
    /// # Errors
    ///
    /// As for [`OpenOptions::open`].
    pub fn create_new<P: AsRef<Path>>(path: P) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    /// Makes [`OpenOptions`] with nothing set.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Waits until all that was written is on the disk.
    ///
    /// # Suspends
    ///
    /// Until it is there.
    ///
    /// # Errors
    ///
    /// As fsync(2) gives them.
    pub fn sync_all(&self) -> io::Result<()> {
        self.on_pool(|file| file.sync_all())
    }

    /// Waits until the data that was written is on the disk; of the metadata only what is
    /// needed to read it.
    ///
    /// # Suspends
    ///
    /// Until it is there.
    ///
    /// # Errors
    ///
    /// As fdatasync(2) gives them.
    pub fn sync_data(&self) -> io::Result<()> {
        self.on_pool(|file| file.sync_data())
    }

    /// Waits for an exclusive lock of the file.
    ///
    /// It tries again and again, with pauses from 1 to 50 milliseconds, and takes no thread
    /// of the pool: the holder may need one to come to its end. So those who wait are served
    /// in no order.
    ///
    /// # Suspends
    ///
    /// Until the lock is free. On a thread without a hub the thread is stopped, by flock(2).
    ///
    /// # Errors
    ///
    /// - As for [`std::fs::File::lock`].
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// It is not locked then.
    pub fn lock(&self) -> io::Result<()> {
        match hub::current() {
            None => self.file.lock(),
            Some(hub) => wait_for_lock(hub, || self.try_lock()),
        }
    }

    /// Waits for a lock of the file that others may have at the same time.
    ///
    /// # Suspends
    ///
    /// Until no exclusive lock is in the way, as for [`lock`](File::lock).
    ///
    /// # Errors
    ///
    /// As for [`lock`](File::lock).
    ///
    /// # Cancellation
    ///
    /// It is not locked then.
    pub fn lock_shared(&self) -> io::Result<()> {
        match hub::current() {
            None => self.file.lock_shared(),
            Some(hub) => wait_for_lock(hub, || self.try_lock_shared()),
        }
    }

    /// Locks the file exclusively if that is possible at once.
    ///
    /// # Suspends
    ///
    /// Until the file system has answered, but never for the holder of a lock.
    ///
    /// # Errors
    ///
    /// As for [`std::fs::File::try_lock`].
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.try_lock_by(std::fs::File::try_lock)
    }

    /// Locks the file, as others may at the same time, if that is possible at once.
    ///
    /// # Suspends
    ///
    /// Until the file system has answered, but never for the holder of a lock.
    ///
    /// # Errors
    ///
    /// As for [`std::fs::File::try_lock_shared`].
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.try_lock_by(std::fs::File::try_lock_shared)
    }

    fn try_lock_by(
        &self,
        lock: fn(&std::fs::File) -> Result<(), TryLockError>,
    ) -> Result<(), TryLockError> {
        self.on_pool(move |file| Ok(lock(file)))
            .unwrap_or_else(|error| Err(TryLockError::Error(error)))
    }

    /// Gives back all locks of the file.
    ///
    /// # Suspends
    ///
    /// Never: guards do it when they are dropped.
    ///
    /// # Errors
    ///
    /// As for [`std::fs::File::unlock`].
    pub fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }

    /// Makes the file longer, by zeros, or shorter.
    ///
    /// # Suspends
    ///
    /// Until it is done.
    ///
    /// # Errors
    ///
    /// As for [`std::fs::File::set_len`].
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        self.on_pool(move |file| file.set_len(size))
    }

    /// Gives what is known of the file.
    ///
    /// # Suspends
    ///
    /// Until it is known.
    ///
    /// # Errors
    ///
    /// As fstat(2) gives them.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.on_pool(|file| file.metadata())
    }

    /// Makes another handle of the same open file: both have one position and one lock.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As fcntl(2) gives them, when no descriptor is left.
    pub fn try_clone(&self) -> io::Result<File> {
        let mut file = File::from(self.file.try_clone()?);
        file.transfer.position = self.transfer.position.clone();
        Ok(file)
    }

    /// Sets who may do what with the file.
    ///
    /// # Suspends
    ///
    /// Until it is done.
    ///
    /// # Errors
    ///
    /// As fchmod(2) gives them.
    pub fn set_permissions(&self, perm: Permissions) -> io::Result<()> {
        self.on_pool(move |file| file.set_permissions(perm))
    }

    /// Sets when the file was used and changed.
    ///
    /// # Suspends
    ///
    /// Until it is done.
    ///
    /// # Errors
    ///
    /// As for [`std::fs::File::set_times`].
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.on_pool(move |file| file.set_times(times))
    }

    /// Sets when the file was changed.
    ///
    /// # Suspends
    ///
    /// Until it is done.
    ///
    /// # Errors
    ///
    /// As for [`std::fs::File::set_times`].
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }

    pub(super) fn on_pool<T: Send + 'static>(
        &self,
        f: impl FnOnce(&std::fs::File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let file = Arc::clone(&self.file);
        threadpool::complete(move || f(&file))
    }

    /// Reads to the end in one job; std's way would be one for each part. It gives what was
    /// read before an error as well: nobody could read that again.
    pub(super) fn read_rest(&self) -> io::Result<(Vec<u8>, io::Result<usize>)> {
        let used = self.transfer.position.used();
        self.on_pool(move |mut file| {
            let _used = used;
            let mut bytes = Vec::new();
            let result = file.read_to_end(&mut bytes);
            Ok((bytes, result))
        })
    }

    /// Whether the whole rest is better read by the pool.
    pub(super) fn is_read_by_pool(&self) -> bool {
        self.transfer.is_on_disk() && hub::current().is_some_and(|hub| !hub.is_unwinding())
    }
}

/// Tries a lock until it is there, with longer and longer pauses.
fn wait_for_lock(
    hub: &Hub,
    mut try_lock: impl FnMut() -> Result<(), TryLockError>,
) -> io::Result<()> {
    let mut pauses = Pauses::new();
    loop {
        match try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if hub.is_unwinding() => return Err(error::unwinding()),
            Err(TryLockError::WouldBlock) => time::sleep(pauses.take()),
        }
    }
}
