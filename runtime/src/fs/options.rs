//! How a file is opened.

use std::fmt;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::fs::file::File;
use crate::threadpool;

/// Says how a file is to be opened: the mirror of [`std::fs::OpenOptions`].
///
/// # Examples
///
/// ```
/// use corovent_runtime::fs::OpenOptions;
///
/// let path = std::env::temp_dir().join(format!("corovent-options-{}", std::process::id()));
/// let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
/// assert!(OpenOptions::new().write(true).create_new(true).open(&path).is_err());
/// # drop(file);
/// # corovent_runtime::fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct OpenOptions(std::fs::OpenOptions);

impl OpenOptions {
    /// Makes options with nothing set.
    #[allow(clippy::new_without_default)]
    #[must_use]
    pub fn new() -> OpenOptions {
        OpenOptions(std::fs::OpenOptions::new())
    }

    /// Sets whether the file can be read.
    pub fn read(&mut self, read: bool) -> &mut OpenOptions {
        self.0.read(read);
        self
    }

    /// Sets whether the file can be written.
    pub fn write(&mut self, write: bool) -> &mut OpenOptions {
        self.0.write(write);
        self
    }

    /// Sets whether what is written goes to the end of the file.
    pub fn append(&mut self, append: bool) -> &mut OpenOptions {
        self.0.append(append);
        self
    }

    /// Sets whether the file is emptied.
    pub fn truncate(&mut self, truncate: bool) -> &mut OpenOptions {
        self.0.truncate(truncate);
        self
    }

    /// Sets whether the file is made if there is none.
    pub fn create(&mut self, create: bool) -> &mut OpenOptions {
        self.0.create(create);
        self
    }

    /// Sets whether the file is made, and must not be there before.
    pub fn create_new(&mut self, create_new: bool) -> &mut OpenOptions {
        self.0.create_new(create_new);
        self
    }

    /// Opens the file.
    ///
    /// # Suspends
    ///
    /// Until it is open; that of a FIFO until another process or coroutine opens the other
    /// end.
    ///
    /// # Errors
    ///
    /// - As for [`std::fs::OpenOptions::open`].
    /// - `Other` for a FIFO if the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// The file may be made or emptied all the same; it is closed again. An open that waits
    /// for the other end of a FIFO goes on waiting on a thread of its own, and closes what it
    /// gets.
    pub fn open<P: AsRef<Path>>(&self, path: P) -> io::Result<File> {
        let path: Arc<Path> = Arc::from(path.as_ref());
        let (options, there) = (self.0.clone(), Arc::clone(&path));
        let opened = threadpool::file_call(move || {
            if there.metadata().is_ok_and(|found| found.file_type().is_fifo()) {
                return Ok(None);
            }
            options.open(there).map(File::from).map(Some)
        })?;
        match opened {
            Some(file) => Ok(file),
            None => {
                let options = self.0.clone();
                threadpool::meet(move || options.open(path).map(File::from))
            }
        }
    }
}

impl OpenOptionsExt for OpenOptions {
    fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.0.mode(mode);
        self
    }

    fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.0.custom_flags(flags);
        self
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
