//! Files: what was written is read back, and nobody else's.

use std::io;
use std::io::Read;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;

use corovent::fs;
use corovent::fs::File;

use crate::dice::Dice;
use crate::world::World;

pub(crate) fn write_and_read(world: &Rc<World>, dice: &mut Dice) {
    let path = world.directory.path().join(format!("{:016x}", dice.draw()));
    let _removed = Removed(path.clone());
    let content: Vec<u8> = (0..dice.size(18)).map(|_| dice.draw() as u8).collect();
    let mut read = Vec::new();
    let done = (|| -> io::Result<()> {
        let mut file = File::create(&path)?;
        for part in content.chunks(1 + dice.index(64 * 1024)) {
            file.write_all(part)?;
        }
        drop(file);
        if dice.one_in(2) {
            read = fs::read(&path)?;
        } else {
            File::open(&path)?.read_to_end(&mut read)?;
        }
        fs::remove_file(&path)
    })();
    match done {
        Ok(()) => {
            world.tally.files.add(1);
            let (written, read) = (content.len(), (read == content, read.len()));
            world.check(read.0, || format!("a file of {written} bytes has {} others", read.1));
        }
        Err(error) => world.note_error("file", &error),
    }
}

/// The file of one that was killed is removed all the same; here nothing may wait.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
