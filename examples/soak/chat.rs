//! A chat: what one says goes to all. Each hears every other without a gap, until it is cut off.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use corovent::queue::Queue;
use corovent::scope;
use corovent::sleep;

use crate::crew::Crew;
use crate::crew::Duty;
use crate::dice::Dice;
use crate::echo::accept_each;
use crate::wire::Wire;
use crate::world::World;

/// One who has left so many lines unread, besides what the kernel holds, is dropped.
const QUEUE_LINES: usize = 64;
const LINES_MAX: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is here, by number, and the lines that wait for each.
#[derive(Default)]
pub(crate) struct Room {
    members: RefCell<BTreeMap<u64, Rc<Queue<Rc<str>>>>>,
}

impl Room {
    /// Gives a line to everybody; who has no place for it is dropped.
    fn say(&self, world: &World, line: &Rc<str>) {
        let members = self.members.borrow();
        let full = members.iter().filter(|(_, queue)| queue.try_put(Rc::clone(line)).is_err());
        let full: Vec<u64> = full.map(|(number, _)| *number).collect();
        drop(members);
        for number in full {
            world.tally.dropped.add(1);
            self.leave(number);
        }
    }

    fn leave(&self, number: u64) {
        let queue = self.members.borrow_mut().remove(&number);
        if let Some(queue) = queue {
            queue.close();
        }
    }

    pub(crate) fn check_empty(&self, world: &World) {
        let left = self.members.borrow().len();
        world.check(left == 0, || format!("{left} are left in the room"));
    }
}

/// Accepts for as long as it lives.
pub(crate) fn accept(world: &Rc<World>) {
    accept_each(world, &world.chat_door, "chat reader", serve);
}

/// Reads the lines of one visitor.
fn serve(world: &Rc<World>, _dice: &mut Dice, wire: Wire) {
    if let Err(error) = wire.demand_a_reader(PATIENCE) {
        return world.note_error("chat", &error);
    }
    let wire = Rc::new(wire);
    let number = world.draw();
    let queue = Rc::new(Queue::bounded(QUEUE_LINES));
    world.room.members.borrow_mut().insert(number, Rc::clone(&queue));
    let _seat = Seat { world: Rc::clone(world), number };
    let writing = Rc::clone(&wire);
    Crew::spawn(world, Duty::Helps, "chat writer", move |world, _| {
        // Its end is that of the reader too, who gets no more from then on.
        let _hangs_up = HangsUp(Rc::clone(&writing));
        while let Ok(line) = queue.get() {
            if let Err(error) = { &*writing }.write_all(line.as_bytes()) {
                return world.note_error("chat writer", &error);
            }
        }
    });
    let mut reader = BufReader::new(&*wire);
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) => return,
            // A line that was cut is nobody's.
            Ok(_) if !line.ends_with('\n') => return,
            Ok(_) => world.room.say(world, &line.into()),
            Err(error) => return world.note_error("chat reader", &error),
        }
    }
}

/// A seat in the room, while the reader lives.
struct Seat {
    world: Rc<World>,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.world.room.leave(self.number);
    }
}

struct HangsUp(Rc<Wire>);

impl Drop for HangsUp {
    fn drop(&mut self) {
        // It fails if the peer has gone first.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// A visitor: speaks and listens at once.
pub(crate) fn visit(world: &Rc<World>, dice: &mut Dice) {
    let wire = match world.chat_door.connect(None) {
        Ok(wire) => wire,
        Err(error) => {
            world.tally.refused.add(1);
            return world.note_error("connect to the chat", &error);
        }
    };
    world.tally.visitors.add(1);
    let (number, lines) = (dice.draw(), dice.below(LINES_MAX));
    let dawdles = dice.one_in(5);
    let mut pauses = Dice::new(dice.draw());
    let done = scope(|scope| {
        let listening = scope.spawn(|| listen(world, &wire, dawdles.then_some(&mut pauses)));
        let said = speak(dice, &wire, number, lines);
        said.and(listening.join().unwrap_or(Ok(())))
    });
    if let Err(error) = done {
        world.note_error("visitor", &error);
    }
}

fn speak(dice: &mut Dice, mut wire: &Wire, number: u64, lines: u64) -> io::Result<()> {
    for place in 0..lines {
        let length = dice.index(200);
        wire.write_all(format!("{number} {place} {}\n", "x".repeat(length)).as_bytes())?;
        if dice.one_in(3) {
            sleep(dice.millis(10));
        }
    }
    wire.shutdown(Shutdown::Write)
}

/// Reads to the end; each speaker's lines have to follow one another.
fn listen(world: &World, wire: &Wire, mut pauses: Option<&mut Dice>) -> io::Result<()> {
    let mut next: HashMap<u64, u64> = HashMap::new();
    for line in BufReader::new(wire).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        let mut words = line.split(' ').map(str::parse);
        let (Some(Ok(speaker)), Some(Ok(place))) = (words.next(), words.next()) else {
            // Only the last can be half a line.
            continue;
        };
        let expected = next.insert(speaker, place + 1).unwrap_or(place);
        let is_whole = line.split(' ').count() == 3;
        world.check(expected == place || !is_whole, || {
            format!("chat: after line {expected} of {speaker} comes {place}")
        });
        world.tally.lines.add(1);
        if let Some(dice) = &mut pauses {
            sleep(dice.millis(20));
        }
    }
    Ok(())
}
