//! Making and reading directories.

use std::ffi::OsString;
use std::fmt;
use std::fs::FileType;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::DirEntryExt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::vec;

use crate::hub;
use crate::threadpool;

/// Says how a directory is to be made: the mirror of [`std::fs::DirBuilder`].
pub struct DirBuilder {
    recursive: bool,
    mode: u32,
}

impl DirBuilder {
    /// Makes options with nothing set.
    #[allow(clippy::new_without_default)]
    #[must_use]
    pub fn new() -> DirBuilder {
        DirBuilder { recursive: false, mode: 0o777 }
    }

    /// Sets whether the directories above are made as well; then it is no error if there is
    /// one already.
    pub fn recursive(&mut self, recursive: bool) -> &mut DirBuilder {
        self.recursive = recursive;
        self
    }

    /// Makes the directory.
    ///
    /// # Suspends
    ///
    /// Until it is made.
    ///
    /// # Errors
    ///
    /// As for [`std::fs::DirBuilder::create`].
    ///
    /// # Cancellation
    ///
    /// It is made all the same.
    pub fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let (builder, path) = (self.std(), path.as_ref().to_owned());
        threadpool::file_call(move || builder.create(path))
    }

    fn std(&self) -> std::fs::DirBuilder {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(self.recursive).mode(self.mode);
        builder
    }
}

impl DirBuilderExt for DirBuilder {
    fn mode(&mut self, mode: u32) -> &mut DirBuilder {
        self.mode = mode;
        self
    }
}

impl fmt::Debug for DirBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std().fmt(f)
    }
}

/// The entries of a directory: the mirror of [`std::fs::ReadDir`].
///
/// # Suspends
///
/// `next` does, now and then, until more entries are read.
///
/// # Cancellation
///
/// No entry is lost: a kill or a timeout comes before more are read, or at the next wait.
pub struct ReadDir {
    /// Those that were read already.
    read: vec::IntoIter<io::Result<DirEntry>>,
    /// `None` after the last, or while more are read.
    rest: Option<Box<std::fs::ReadDir>>,
    name: String,
}

/// As many entries are read at once as glibc gets from the kernel at once, about.
const BATCH: usize = 256;

impl ReadDir {
    pub(super) fn new(rest: std::fs::ReadDir) -> ReadDir {
        let name = format!("{rest:?}");
        ReadDir { read: Vec::new().into_iter(), rest: Some(Box::new(rest)), name }
    }

    /// Reads more entries.
    fn refill(&mut self) -> io::Result<()> {
        // Before the entries are out of sight.
        threadpool::begin()?;
        let Some(mut rest) = self.rest.take() else { return Ok(()) };
        if hub::current().is_none() {
            self.read = rest.next().map(DirEntry::of).into_iter().collect::<Vec<_>>().into_iter();
            self.rest = Some(rest);
            return Ok(());
        }
        let (read, rest) = threadpool::complete(move || {
            let read: Vec<_> = rest.by_ref().take(BATCH).map(DirEntry::of).collect();
            let rest = (read.len() == BATCH).then_some(rest);
            Ok((read, rest))
        })?;
        self.read = read.into_iter();
        self.rest = rest;
        Ok(())
    }
}

// As std's: what an error holds is not looked at when something has panicked.
impl UnwindSafe for ReadDir {}
impl RefUnwindSafe for ReadDir {}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        if let Some(entry) = self.read.next() {
            return Some(entry);
        }
        match self.refill() {
            Ok(()) => self.read.next(),
            Err(error) => Some(Err(error)),
        }
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// An entry of a directory: the mirror of [`std::fs::DirEntry`].
pub struct DirEntry {
    entry: Arc<std::fs::DirEntry>,
    /// What was found when the directory was read.
    kind: Option<FileType>,
}

impl DirEntry {
    /// On a thread that may be stopped.
    fn of(entry: io::Result<std::fs::DirEntry>) -> io::Result<DirEntry> {
        let entry = Arc::new(entry?);
        Ok(DirEntry { kind: entry.file_type().ok(), entry })
    }

    /// Gives the path: that of the directory, as it was given, and the name.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.entry.path()
    }

    /// Gives what is known of the file, that of a symbolic link itself.
    ///
    /// # Suspends
    ///
    /// Until it is known.
    ///
    /// # Errors
    ///
    /// As for [`std::fs::DirEntry::metadata`].
    pub fn metadata(&self) -> io::Result<Metadata> {
        let entry = Arc::clone(&self.entry);
        threadpool::file_call(move || entry.metadata())
    }

    /// Gives what kind of file it is.
    ///
    /// # Suspends
    ///
    /// Never, but in a file system whose directories do not say.
    ///
    /// # Errors
    ///
    /// As for [`std::fs::DirEntry::file_type`].
    pub fn file_type(&self) -> io::Result<FileType> {
        match self.kind {
            Some(kind) => Ok(kind),
            None => {
                let entry = Arc::clone(&self.entry);
                threadpool::file_call(move || entry.file_type())
            }
        }
    }

    /// Gives the name, without the directory's.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn file_name(&self) -> OsString {
        self.entry.file_name()
    }
}

impl DirEntryExt for DirEntry {
    fn ino(&self) -> u64 {
        self.entry.ino()
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}
