//! Queues, channels, locks, permits and conditions, whose owners are killed at any time.
//!
//! What was put is got once or is left, permits come back, and a lock is free again.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corovent::queue::Queue;
use corovent::sleep;
use corovent::sync::Condvar;
use corovent::sync::Mutex;
use corovent::sync::RwLock;
use corovent::sync::Semaphore;
use corovent::sync::mpsc;
use corovent::yield_now;

use crate::crew::Crew;
use crate::crew::Duty;
use crate::dice::Dice;
use crate::faults;
use crate::world::World;

const PERMITS: usize = 3;
/// Nobody waits for longer for one who was killed.
const PATIENCE: Duration = Duration::from_millis(50);

/// One item, that is counted while it is anywhere.
struct Item {
    producer: u64,
    place: u64,
    alive: Rc<Cell<i64>>,
}

impl Drop for Item {
    fn drop(&mut self) {
        self.alive.set(self.alive.get() - 1);
    }
}

/// What those who bargain share; the last of them accounts for it.
struct Market {
    world: Rc<World>,
    queue: Queue<Item>,
    alive: Rc<Cell<i64>>,
    put: Cell<u64>,
    got: Cell<u64>,
    permits: Semaphore,
    /// Both numbers are always the same, but for a writer that was killed between them.
    ledger: Mutex<(u64, u64)>,
    changed: Condvar,
    prices: RwLock<u64>,
    writers: Cell<i32>,
}

impl Drop for Market {
    fn drop(&mut self) {
        let left = self.queue.close_now();
        let (put, got, count) = (self.put.get(), self.got.get(), left.len() as u64);
        let world = Rc::clone(&self.world);
        world.check(put == got + count, || format!("queue: put {put}, got {got}, left {count}"));
        drop(left);
        let alive = self.alive.get();
        world.check(alive == 0, || format!("queue: {alive} items are nowhere"));
        let permits = self.permits.available_permits();
        world.check(permits == PERMITS, || format!("semaphore: {permits} permits are left"));
        world.check(self.ledger.try_lock().is_ok() || self.ledger.is_poisoned(), || {
            "mutex: its owner has gone and it is locked".to_owned()
        });
        world.check(self.writers.get() == 0, || "rwlock: a writer has not left".to_owned());
    }
}

/// What one does there, and its name.
type Role = (&'static str, fn(&Market, &mut Dice));

/// Opens a market, and sends everybody there.
pub(crate) fn bargain(world: &Rc<World>, dice: &mut Dice) {
    let market = Rc::new(Market {
        world: Rc::clone(world),
        queue: Queue::bounded(1 + dice.index(8)),
        alive: Rc::default(),
        put: Cell::new(0),
        got: Cell::new(0),
        permits: Semaphore::new(PERMITS),
        ledger: Mutex::new((0, 0)),
        changed: Condvar::new(),
        prices: RwLock::new(0),
        writers: Cell::new(0),
    });
    for number in 0..1 + dice.below(4) {
        let own = Rc::clone(&market);
        let body = move |_: &Rc<World>, dice: &mut Dice| own.produce(dice, number);
        Crew::spawn(world, Duty::Helps, "producer", body);
    }
    let roles: [Role; 4] = [
        ("consumer", Market::consume),
        ("borrower", Market::borrow_permits),
        ("bookkeeper", Market::keep_books),
        ("reader", Market::read_prices),
    ];
    for (name, role) in roles.into_iter().cycle().take(4 + dice.index(8)) {
        let own = Rc::clone(&market);
        let body = move |_: &Rc<World>, dice: &mut Dice| role(&own, dice);
        Crew::spawn(world, Duty::Helps, name, body);
    }
    drop(market);
    send_letters(world, dice);
}

impl Market {
    fn produce(&self, dice: &mut Dice, producer: u64) {
        for place in 0..dice.below(100) {
            self.alive.set(self.alive.get() + 1);
            let item = Item { producer, place, alive: Rc::clone(&self.alive) };
            if self.queue.put_timeout(item, PATIENCE).is_err() {
                return;
            }
            self.put.set(self.put.get() + 1);
            if dice.one_in(10) {
                sleep(dice.millis(2));
            }
        }
    }

    fn consume(&self, dice: &mut Dice) {
        let mut last: HashMap<u64, u64> = HashMap::new();
        while let Ok(item) = self.queue.get_timeout(PATIENCE) {
            self.got.set(self.got.get() + 1);
            self.world.tally.items.add(1);
            let before = last.insert(item.producer, item.place);
            self.world.check(before.is_none_or(|before| before < item.place), || {
                format!("queue: {} came after {before:?}", item.place)
            });
            if dice.one_in(10) {
                sleep(dice.millis(2));
            }
        }
    }

    fn borrow_permits(&self, dice: &mut Dice) {
        for _ in 0..dice.below(20) {
            let wanted = 1 + dice.below(PERMITS as u64) as u32;
            let permit = match dice.one_in(2) {
                true => Some(self.permits.acquire_many(wanted)),
                false => self.permits.acquire_timeout(PATIENCE),
            };
            self.world.tally.locked.add(u64::from(permit.is_some()));
            sleep(dice.millis(1));
        }
    }

    fn keep_books(&self, dice: &mut Dice) {
        for _ in 0..dice.below(20) {
            let mut ledger = match self.ledger.lock() {
                Ok(ledger) => ledger,
                Err(poisoned) => {
                    // Whoever was cut short in here is known by it.
                    self.ledger.clear_poison();
                    let mut ledger = poisoned.into_inner();
                    ledger.1 = ledger.0;
                    ledger
                }
            };
            self.world.check(ledger.0 == ledger.1, || "mutex: two were inside".to_owned());
            ledger.0 += 1;
            if dice.one_in(4) {
                sleep(dice.millis(1));
            } else if dice.one_in(100) {
                faults::panic_on_purpose(&self.world);
            }
            ledger.1 += 1;
            self.world.tally.locked.add(1);
            if dice.one_in(2) {
                drop(ledger);
                self.changed.notify_one();
            } else {
                let _ = self.changed.wait_timeout(ledger, dice.millis(2));
            }
        }
    }

    fn read_prices(&self, dice: &mut Dice) {
        for _ in 0..dice.below(20) {
            if dice.one_in(4) {
                let mut prices = self.prices.write().unwrap_or_else(|error| error.into_inner());
                let inside = Inside::enter(&self.writers);
                *prices += 1;
                sleep(dice.millis(1));
                let alone = self.writers.get() == 1;
                self.world.check(alone, || "rwlock: two writers".to_owned());
                drop(inside);
            } else {
                let _prices = self.prices.read().unwrap_or_else(|error| error.into_inner());
                let writers = self.writers.get();
                self.world.check(writers == 0, || "rwlock: a reader and a writer".to_owned());
                yield_now();
            }
            self.world.tally.locked.add(1);
        }
    }
}

/// Counts one who is inside.
struct Inside<'a>(&'a Cell<i32>);

impl Inside<'_> {
    fn enter(count: &Cell<i32>) -> Inside<'_> {
        count.set(count.get() + 1);
        Inside(count)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Sends through a channel from another coroutine; all that was sent comes, in order.
fn send_letters(world: &Rc<World>, dice: &mut Dice) {
    let (sender, receiver) = mpsc::sync_channel(dice.index(5));
    let sent = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let (count, mut own) = (dice.below(50), Dice::new(dice.draw()));
    let last = Rc::new(RefCell::new(0));
    Crew::spawn(world, Duty::Helps, "sender", move |_, _| {
        for place in 1..=count {
            if sender.send(place).is_err() {
                return;
            }
            counted.store(place, std::sync::atomic::Ordering::Relaxed);
            if own.one_in(5) {
                sleep(own.millis(1));
            }
        }
    });
    for place in receiver.iter() {
        let before = last.replace(place);
        world.check(place == before + 1, || format!("channel: {place} after {before}"));
        world.tally.items.add(1);
    }
    let (sent, last) = (sent.load(std::sync::atomic::Ordering::Relaxed), *last.borrow());
    world.check(sent == last, || format!("channel: {sent} sent, {last} came"));
}
