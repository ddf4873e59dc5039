//! Work on the threads of a pool, some of it cancelled, and coroutines that other threads spawn.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corovent::remote;
use corovent::sync::mpsc;
use corovent::threadpool::Cancelled;
use corovent::threadpool::blocking;

use crate::dice::Dice;
use crate::dice::mixed;
use crate::world::World;

pub(crate) fn work_elsewhere(world: &Rc<World>, dice: &mut Dice) {
    let pool = world.pool.borrow().clone();
    let Some(pool) = pool else { return };
    let jobs: Vec<_> = (0..1 + dice.below(20))
        .map(|_| {
            let (input, pause) = (dice.draw(), dice.millis(2));
            let handle = pool.submit(move || {
                std::thread::sleep(pause);
                mixed(input)
            });
            (input, dice.one_in(5) && handle.cancel(), handle)
        })
        .collect();
    for (input, is_cancelled, job) in jobs {
        match job.join() {
            Ok(value) => {
                world.tally.jobs.add(1);
                let kept = value == mixed(input) && !is_cancelled;
                world.check(kept, || format!("a job gave {value} for {input}"));
            }
            Err(payload) => {
                world.tally.jobs_cancelled.add(1);
                let kept = is_cancelled && payload.is::<Cancelled>();
                world.check(kept, || "a job that nobody cancelled has no result".to_owned());
            }
        }
    }
    if dice.one_in(3) {
        let input = dice.draw();
        let value = blocking(move || mixed(input));
        world.check(value == mixed(input), || "a blocking call gave another's value".to_owned());
    }
}

/// A thread that spawns coroutines on this hub, and counts what they say.
pub(crate) fn come_from_elsewhere(world: &Rc<World>, dice: &mut Dice) {
    let count = dice.below(50);
    let (sender, receiver) = mpsc::channel();
    let hub = remote();
    let sum = Arc::new(AtomicU64::new(0));
    let theirs = Arc::clone(&sum);
    let thread = std::thread::Builder::new().name("soak-remote".to_owned()).spawn(move || {
        for n in 1..=count {
            let (sum, sender) = (Arc::clone(&theirs), sender.clone());
            let spawned = hub.spawn(move || {
                sum.fetch_add(n, Ordering::Relaxed);
                // Who asked may have been killed.
                let _ = sender.send(());
            });
            drop(spawned);
        }
    });
    if thread.is_err() {
        return world.trouble("no thread can be started");
    }
    let mut came = 0;
    while came < count && receiver.recv_timeout(Duration::from_secs(30)).is_ok() {
        came += 1;
    }
    world.tally.remotes.add(came);
    let sum = sum.load(Ordering::Relaxed);
    let kept = came == count && sum == count * (count + 1) / 2;
    world.check(kept, || format!("of {count} from another thread {came} came, with {sum}"));
}
