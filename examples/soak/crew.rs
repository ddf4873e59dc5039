//! The coroutines that can be killed at random, and how they all end.

use std::cell::RefCell;
use std::rc::Rc;

use corovent::Builder;
use corovent::JoinHandle;
use corovent::debug;
use slab::Slab;

use crate::dice::Dice;
use crate::world::World;

#[derive(Default)]
pub(crate) struct Crew {
    members: RefCell<Slab<Member>>,
}

struct Member {
    handle: JoinHandle<()>,
    duty: Duty,
}

/// What a coroutine is there for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    /// A server's: it goes on until it is ended.
    Serves,
    /// Work that ends by itself, of the kind of this number.
    Works(usize),
    /// What belongs to work of another coroutine.
    Helps,
}

impl Crew {
    /// Starts a coroutine that belongs to the crew until it ends, whatever ends it.
    pub(crate) fn spawn(
        world: &Rc<World>,
        duty: Duty,
        name: &str,
        body: impl FnOnce(&Rc<World>, &mut Dice) + 'static,
    ) {
        let mut dice = Dice::new(world.draw());
        let number = world.crew.members.borrow().vacant_key();
        // Also of one that is killed before it has begun, this is dropped when it ends.
        let place = Place { world: Rc::clone(world), number };
        let task = Builder::new().name(name.to_owned()).spawn(move || {
            let place = place;
            body(&place.world, &mut dice);
        });
        match task {
            Ok(handle) => {
                world.tally.coroutines.add(1);
                let given = world.crew.members.borrow_mut().insert(Member { handle, duty });
                assert_eq!(given, number, "nobody runs before the spawner waits");
            }
            Err(error) => world.trouble(format!("cannot spawn: {error}")),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.borrow().len()
    }

    /// How many work, and do not just serve.
    pub(crate) fn working(&self) -> usize {
        self.members.borrow().iter().filter(|(_, member)| member.duty != Duty::Serves).count()
    }

    /// How many do this kind of work.
    pub(crate) fn working_at(&self, kind: usize) -> usize {
        let members = self.members.borrow();
        members.iter().filter(|(_, member)| member.duty == Duty::Works(kind)).count()
    }

    /// Kills one of them, whoever it is.
    pub(crate) fn kill_one(&self, dice: &mut Dice) -> bool {
        let members = self.members.borrow();
        let start = dice.index(members.capacity());
        let mut from_there = members.iter().skip_while(|(number, _)| *number < start);
        let victim = from_there.next().or_else(|| members.iter().next());
        victim.is_some_and(|(_, member)| member.handle.kill())
    }

    pub(crate) fn kill_all(&self) {
        for (_, member) in self.members.borrow().iter() {
            member.handle.kill();
        }
    }

    /// Notes as trouble those that should have ended and have not.
    pub(crate) fn check_ended(&self, world: &World, left: usize, how: &str) {
        world.check(left == 0, || format!("{left} have not ended {how}:\n{}", debug::dump()));
    }
}

/// A place in the crew, given back when the coroutine ends.
struct Place {
    world: Rc<World>,
    number: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let member = self.world.crew.members.borrow_mut().try_remove(self.number);
        drop(member);
    }
}
