//! The echo: clients of every temper, and handlers that panic, reset and dawdle at times.

use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use corovent::Elapsed;
use corovent::scope;
use corovent::sleep;
use corovent::timeout;

use crate::crew::Crew;
use crate::crew::Duty;
use crate::dice::Dice;
use crate::faults;
use crate::ledger::BUF_BYTES;
use crate::ledger::Ledger;
use crate::wire::Door;
use crate::wire::Wire;
use crate::world::World;

/// Most streams have up to so many bits' worth of bytes.
const SIZE_BITS: u64 = 17;
/// More than the kernel holds for a peer that does not read.
const STALL_BYTES: u64 = 16 << 20;
/// After a failed accept.
const BREATH: Duration = Duration::from_millis(2);

/// Accepts for as long as it lives.
pub(crate) fn accept(world: &Rc<World>, door: usize) {
    accept_each(world, &world.doors[door], "handler", serve);
}

/// Gives each connection that comes in to a coroutine of its own.
pub(crate) fn accept_each(
    world: &Rc<World>,
    door: &Door,
    name: &str,
    serve: fn(&Rc<World>, &mut Dice, Wire),
) {
    loop {
        match door.accept() {
            Ok(wire) => {
                let body = move |world: &Rc<World>, dice: &mut Dice| serve(world, dice, wire);
                Crew::spawn(world, Duty::Helps, name, body);
            }
            Err(error) => {
                world.note_error("accept", &error);
                sleep(BREATH);
            }
        }
    }
}

/// The server's side of a connection.
fn serve(world: &Rc<World>, dice: &mut Dice, wire: Wire) {
    let mut number = [0; 8];
    let named = (&wire).read_exact(&mut number);
    let Ok(()) = named else { return };
    let number = u64::from_le_bytes(number);
    let Some(ledger) = world.ledgers.attach(number, world) else { return };
    if let Err(error) = answer(world, dice, &wire, &ledger)
        && error.kind() != ErrorKind::WouldBlock
    {
        world.note_error("handler", &error);
    }
}

fn answer(world: &Rc<World>, dice: &mut Dice, wire: &Wire, ledger: &Ledger) -> io::Result<()> {
    if dice.one_in(10) {
        wire.set_timeouts(Some(Duration::from_millis(1 + dice.below(200))))?;
    }
    let mut buf = [0; BUF_BYTES];
    loop {
        match dice.below(1000) {
            0 => faults::panic_on_purpose(world),
            1 => {
                world.tally.resets.add(1);
                wire.reset_on_drop();
                return Ok(());
            }
            2..8 => {
                world.tally.stalls.add(1);
                sleep(dice.millis(30));
            }
            _ => {}
        }
        let len = 1 + dice.index(buf.len());
        let count = ledger.up.receive(ledger.number, wire, world, &mut buf[..len])?;
        if count == 0 {
            ledger.is_answered.set(true);
            return Ok(());
        }
        ledger.send_down(wire, world, &buf[..count])?;
    }
}

/// A client.
pub(crate) fn converse(world: &Rc<World>, dice: &mut Dice) {
    let door = &world.doors[dice.index(world.doors.len())];
    let limit = dice.one_in(4).then(|| Duration::from_millis(1 + dice.below(1000)));
    let wire = match door.connect(limit) {
        Ok(wire) => wire,
        Err(error) => {
            world.tally.refused.add(1);
            world.note_error("connect", &error);
            return sleep(BREATH);
        }
    };
    world.tally.connections.add(1);
    let ledger = world.ledgers.begin();
    if let Err(error) = talk(world, dice, &wire, &ledger) {
        world.note_error("client", &error);
    }
}

fn talk(world: &Rc<World>, dice: &mut Dice, wire: &Wire, ledger: &Ledger) -> io::Result<()> {
    { wire }.write_all(&ledger.number.to_le_bytes())?;
    let size = dice.size(SIZE_BITS);
    match dice.below(20) {
        0..10 => take_turns(world, dice, wire, ledger, size),
        10..15 => both_ways(world, dice, wire, ledger, size),
        15..17 => {
            let limit = dice.millis(100);
            match timeout(limit, || take_turns(world, dice, wire, ledger, size)) {
                Ok(done) => done,
                Err(Elapsed) => {
                    world.tally.timeouts.add(1);
                    // What was interrupted has lost nothing, so it goes on.
                    finish(world, wire, ledger)
                }
            }
        }
        17 => stall(world, dice, wire, ledger),
        _ => {
            ledger.send_up(wire, world, size)?;
            world.tally.resets.add(1);
            wire.reset_on_drop();
            Ok(())
        }
    }
}

/// Sends some, and reads the answer, until all is sent.
fn take_turns(
    world: &World,
    dice: &mut Dice,
    wire: &Wire,
    ledger: &Ledger,
    size: u64,
) -> io::Result<()> {
    let mut buf = [0; BUF_BYTES];
    let mut sent = 0;
    while sent < size && !ledger.down.is_at_its_end() {
        sent = size.min(sent + 1 + dice.size(14));
        ledger.send_up(wire, world, sent)?;
        while ledger.down.received_so_far() < sent && !ledger.down.is_at_its_end() {
            ledger.down.receive(ledger.number, wire, world, &mut buf)?;
        }
        if dice.one_in(10) {
            sleep(dice.millis(20));
        }
    }
    finish(world, wire, ledger)
}

/// Says that no more comes, and reads to the end.
fn finish(world: &World, wire: &Wire, ledger: &Ledger) -> io::Result<()> {
    half_close(world, wire)?;
    read_to_end(world, wire, ledger)
}

fn half_close(world: &World, wire: &Wire) -> io::Result<()> {
    world.tally.half_closes.add(1);
    wire.shutdown(Shutdown::Write)
}

fn read_to_end(world: &World, wire: &Wire, ledger: &Ledger) -> io::Result<()> {
    let mut buf = [0; BUF_BYTES];
    while ledger.down.receive(ledger.number, wire, world, &mut buf)? > 0 {}
    Ok(())
}

/// Sends and reads at once, each in a coroutine.
fn both_ways(
    world: &World,
    dice: &mut Dice,
    wire: &Wire,
    ledger: &Ledger,
    size: u64,
) -> io::Result<()> {
    scope(|scope| {
        let reading = scope.spawn(|| read_to_end(world, wire, ledger));
        if dice.one_in(5) {
            sleep(dice.millis(10));
        }
        let sent = ledger.send_up(wire, world, size);
        let closed = half_close(world, wire);
        let read = reading.join().unwrap_or(Ok(()));
        sent.and(closed).and(read)
    })
}

/// Sends and never reads, until nobody takes any more.
fn stall(world: &World, dice: &mut Dice, wire: &Wire, ledger: &Ledger) -> io::Result<()> {
    world.tally.stalls.add(1);
    wire.set_timeouts(Some(Duration::from_millis(5 + dice.below(50))))?;
    match ledger.send_up(wire, world, STALL_BYTES) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        other => return other,
    }
    world.tally.timeouts.add(1);
    match dice.below(3) {
        0 => Ok(()),
        1 => {
            world.tally.resets.add(1);
            wire.reset_on_drop();
            Ok(())
        }
        _ => {
            wire.set_timeouts(None)?;
            finish(world, wire, ledger)
        }
    }
}
