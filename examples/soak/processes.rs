//! Processes: what goes in comes out, and each is reaped, whoever was killed meanwhile.

use std::cell::RefCell;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use corovent::process::Child;
use corovent::process::Command;
use corovent::process::Stdio;
use corovent::sleep;

use crate::dice::Dice;
use crate::world::World;

/// Children whose parents did not come to reap them.
#[derive(Default)]
pub(crate) struct Orphans(RefCell<Vec<Child>>);

impl Orphans {
    /// Reaps them, on the root.
    pub(crate) fn reap(&self, world: &World) {
        for mut child in self.0.take() {
            match child.wait() {
                Ok(_) => world.tally.processes.add(1),
                Err(error) => world.trouble(format!("cannot reap a process: {error}")),
            }
        }
    }
}

/// A child, which is killed and left to the orphans if its parent ends first.
struct Own<'a> {
    world: &'a World,
    child: Option<Child>,
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            if let Err(error) = child.kill() {
                self.world.trouble(format!("cannot kill a process: {error}"));
            }
            self.world.orphans.0.borrow_mut().push(child);
        }
    }
}

pub(crate) fn have_children(world: &Rc<World>, dice: &mut Dice) {
    let code = dice.below(100) as i32;
    let (is_killed, is_cat) = (dice.one_in(4), dice.one_in(2));
    let mut command = if is_cat { Command::new("cat") } else { Command::new("sh") };
    if !is_cat {
        let pause = if is_killed { "exec sleep 100;" } else { "" };
        command.arg("-c").arg(format!("{pause} exit {code}"));
    }
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let child = match spawned {
        Ok(child) => child,
        Err(error) => return world.note_error("spawn a process", &error),
    };
    let mut own = Own { world, child: Some(child) };
    let Some(child) = &mut own.child else { return };
    if is_cat {
        talk_to(world, dice, child);
    }
    if is_killed {
        sleep(Duration::from_millis(1));
        if let Err(error) = child.kill() {
            world.trouble(format!("cannot kill a process: {error}"));
        }
    }
    drop(child.stdin.take());
    match child.wait() {
        Ok(status) => {
            own.child = None;
            world.tally.processes.add(1);
            let expected = if is_cat { 0 } else { code };
            let kept = status.code().map_or(is_killed, |code| code == expected);
            world.check(kept, || format!("a process ended with {status}, not {expected}"));
        }
        Err(error) => world.note_error("wait for a process", &error),
    }
}

/// Writes to cat, and reads the same; less than a pipe holds, so that neither waits for ever.
fn talk_to(world: &World, dice: &mut Dice, child: &mut Child) {
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return world.trouble("a process without its pipes");
    };
    let sent: Vec<u8> = (0..dice.below(40_000)).map(|n| n as u8).collect();
    let mut received = Vec::new();
    let done = stdin.write_all(&sent).and_then(|()| {
        drop(stdin);
        stdout.read_to_end(&mut received)
    });
    match done {
        Ok(_) => world.check(received == sent, || {
            format!("cat made {} bytes of {}", received.len(), sent.len())
        }),
        Err(error) => world.note_error("talk to a process", &error),
    }
    world.tally.bytes_received.add(received.len() as u64);
    world.tally.bytes_sent.add(sent.len() as u64);
}
