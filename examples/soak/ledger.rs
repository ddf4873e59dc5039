//! The books of the echo: for each connection, what was sent and what arrived, both ways.
//!
//! Both ends are in this process, so the accounts are exact: the sender notes what each call
//! says that it has taken, at once; the receiver compares each byte, whose value depends on the
//! connection and on its place. **What arrived is the beginning of what was sent; and if the
//! receiver saw the end of the stream, and no error, it is all of it.**

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;

use crate::dice::mixed;
use crate::wire::Wire;
use crate::world::World;

/// The connections that have not been accounted for, by number.
#[derive(Default)]
pub(crate) struct Ledgers {
    next: Cell<u64>,
    /// Those below have been accounted for.
    closed: Cell<u64>,
    open: RefCell<HashMap<u64, Rc<Ledger>>>,
}

impl Ledgers {
    pub(crate) fn begin(&self) -> Rc<Ledger> {
        let number = self.next.replace(self.next.get() + 1);
        let ledger = Rc::new(Ledger { number, ..Ledger::default() });
        self.open.borrow_mut().insert(number, Rc::clone(&ledger));
        ledger
    }

    /// The connection that a client has named, once. `None` for one from before the last lull,
    /// which waited to be accepted until now.
    pub(crate) fn attach(&self, number: u64, world: &World) -> Option<Rc<Ledger>> {
        if number < self.closed.get() {
            return None;
        }
        let ledger = self.open.borrow().get(&number).cloned();
        let is_known = ledger.as_ref().is_some_and(|ledger| !ledger.is_served.replace(true));
        world.check(is_known, || format!("a client says that it is number {number}"));
        ledger
    }

    /// Checks and forgets those that both ends have let go; one that the server has not come to
    /// yet stays, even if the client has gone.
    pub(crate) fn settle(&self, world: &World) {
        let ended = |ledger: &Ledger| ledger.is_served.get();
        self.check_and_forget(world, ended);
    }

    fn check_and_forget(&self, world: &World, is_due: impl Fn(&Ledger) -> bool) {
        let ended = |ledger: &mut Rc<Ledger>| Rc::strong_count(ledger) == 1 && is_due(ledger);
        let ended: Vec<_> =
            self.open.borrow_mut().extract_if(|_, ledger| ended(ledger)).map(|(_, l)| l).collect();
        ended.iter().for_each(|ledger| ledger.check(world));
    }

    /// Checks the rest, when all have ended.
    pub(crate) fn close(&self, world: &World) {
        self.check_and_forget(world, |_| true);
        self.closed.set(self.next.get());
        let left = self.open.borrow_mut().drain().count();
        world.check(left == 0, || format!("somebody holds the ledgers of {left} connections"));
    }
}

/// One connection.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) number: u64,
    pub(crate) up: Lane,
    pub(crate) down: Lane,
    is_served: Cell<bool>,
    /// The server has seen the client's end, and sent back everything.
    pub(crate) is_answered: Cell<bool>,
}

/// One direction of it.
#[derive(Default)]
pub(crate) struct Lane {
    sent: Cell<u64>,
    received: Cell<u64>,
    /// The receiver has read 0 bytes.
    has_ended: Cell<bool>,
    /// The receiver's end has had an error, whose place the end of the stream may take.
    is_broken: Cell<bool>,
    is_wrong: Cell<bool>,
}

impl Ledger {
    /// Sends the next bytes up to a place.
    pub(crate) fn send_up(&self, mut wire: &Wire, world: &World, until: u64) -> io::Result<()> {
        let mut buf = [0; 4096];
        while self.up.sent.get() < until {
            let start = self.up.sent.get();
            let buf = &mut buf[..(until - start).min(4096) as usize];
            fill(self.number, start, buf);
            let count = wire.write(buf).inspect_err(|error| self.down.note(error))?;
            self.up.sent(count, world);
        }
        Ok(())
    }

    /// Sends back what the server has read.
    pub(crate) fn send_down(&self, mut wire: &Wire, world: &World, buf: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            let count = wire.write(&buf[done..]).inspect_err(|error| self.up.note(error))?;
            self.down.sent(count, world);
            done += count;
        }
        Ok(())
    }

    fn check(&self, world: &World) {
        for (name, lane) in [("up", &self.up), ("down", &self.down)] {
            let (sent, received) = (lane.sent.get(), lane.received.get());
            let is_whole = lane.has_ended.get() && !lane.is_broken.get();
            let kept = if is_whole { received == sent } else { received <= sent };
            world.check(kept && !lane.is_wrong.get(), || {
                let Ledger { number, .. } = self;
                let end = if is_whole { "all of it" } else { "cut" };
                format!("connection {number}, {name}: sent {sent}, received {received}, {end}")
            });
            let counter = if is_whole { &world.tally.whole } else { &world.tally.cut };
            counter.add(1);
        }
        let (received, sent) = (self.up.received.get(), self.down.sent.get());
        let kept = if self.is_answered.get() { sent == received } else { sent <= received };
        world.check(kept, || {
            format!("connection {}: {received} came in, {sent} were sent back", self.number)
        });
    }
}

impl Lane {
    fn sent(&self, count: usize, world: &World) {
        self.sent.set(self.sent.get() + count as u64);
        world.tally.bytes_sent.add(count as u64);
    }

    /// Notes an error at the receiver's end. A timeout takes nothing away.
    fn note(&self, error: &io::Error) {
        let is_timeout = error.kind() == io::ErrorKind::WouldBlock;
        self.is_broken.set(self.is_broken.get() || !is_timeout);
    }

    /// Receives some bytes, and compares them; 0 at the end.
    pub(crate) fn receive(
        &self,
        number: u64,
        mut wire: &Wire,
        world: &World,
        buf: &mut [u8],
    ) -> io::Result<usize> {
        let count = wire.read(buf).inspect_err(|error| self.note(error))?;
        let start = self.received.get();
        self.has_ended.set(count == 0);
        self.received.set(start + count as u64);
        world.tally.bytes_received.add(count as u64);
        let mut expected = [0; BUF_BYTES];
        fill(number, start, &mut expected[..count]);
        if buf[..count] != expected[..count] {
            self.is_wrong.set(true);
            world.trouble(format!("connection {number}: wrong bytes from {start} on, {count}"));
        }
        Ok(count)
    }

    pub(crate) fn received_so_far(&self) -> u64 {
        self.received.get()
    }

    pub(crate) fn is_at_its_end(&self) -> bool {
        self.has_ended.get()
    }
}

/// At most so many bytes are received at once.
pub(crate) const BUF_BYTES: usize = 8192;

/// The bytes of a connection, from a place on.
fn fill(number: u64, start: u64, buf: &mut [u8]) {
    let key = mixed(number);
    let word = |place: u64| mixed(key ^ (place / 8)).to_le_bytes();
    let mut place = start;
    let mut rest = buf;
    while !rest.is_empty() {
        let bytes = word(place);
        let bytes = &bytes[(place % 8) as usize..];
        let count = bytes.len().min(rest.len());
        rest[..count].copy_from_slice(&bytes[..count]);
        rest = &mut rest[count..];
        place += count as u64;
    }
}
