//! A file that is there whole or not at all.

use std::io;
use std::io::BufWriter;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use corovent::fs;
use corovent::fs::File;

/// Each piece goes to a thread of the pool; this is worth the way.
const PIECE_BYTES: usize = 256 * 1024;

/// A file that is being written, under another name. Unless it is kept, nothing remains of it.
pub(crate) struct Partial {
    path: PathBuf,
    pub(crate) writer: BufWriter<File>,
}

impl Partial {
    /// It is next to the file that it will be, so that renaming does not copy.
    pub(crate) fn create(directory: &Path) -> io::Result<Partial> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);

        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".partial-{}-{number}", process::id()));
        let writer = BufWriter::with_capacity(PIECE_BYTES, File::create(&path)?);
        Ok(Partial { path, writer })
    }

    /// Gives it its name, when all of it is on the disk. It replaces what has the name.
    pub(crate) fn keep(mut self, path: &Path) -> io::Result<()> {
        io::Write::flush(&mut self.writer)?;
        self.writer.get_ref().sync_all()?;
        fs::rename(&self.path, path)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // By std: this may be a kill's way out, on which a coroutine cannot wait for the pool.
        // Of one that was kept, nothing has this name any more.
        let _ = std::fs::remove_file(&self.path);
    }
}
