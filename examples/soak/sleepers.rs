//! Sleeps and timeouts in every nesting, which never end early; and bursts of coroutines.

use std::panic;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::Elapsed;
use corovent::Killed;
use corovent::scope;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::spawn_after;
use corovent::thread::park_timeout;
use corovent::timeout;
use corovent::yield_now;

use crate::dice::Dice;
use crate::faults;
use crate::faults::OnPurpose;
use crate::world::World;

pub(crate) fn sleep_about(world: &Rc<World>, dice: &mut Dice) {
    for _ in 0..dice.below(10) {
        world.tally.sleeps.add(1);
        let (start, duration) = (Instant::now(), dice.millis(200));
        match dice.below(6) {
            0 => sleep(duration),
            1 => shield(|| sleep(duration)),
            2 => {
                spawn_after(duration, || ()).join().unwrap_or_default();
            }
            3 => {
                nested(world, dice, 4);
                continue;
            }
            4 => {
                // It may return early; that is for whoever parks to look at.
                park_timeout(duration);
                continue;
            }
            _ => {
                if dice.one_in(20) {
                    faults::panic_on_purpose(world);
                }
                yield_now();
                continue;
            }
        }
        let took = start.elapsed();
        world.check(took >= duration, || format!("woken after {took:?} of {duration:?}"));
    }
}

/// Timeouts within each other: the one that ends it is the one whose time is up.
fn nested(world: &World, dice: &mut Dice, depth: u64) {
    let (start, limit, rest) = (Instant::now(), dice.millis(50), dice.millis(50));
    let ended = timeout(limit, || {
        if depth > 0 && !dice.one_in(3) {
            nested(world, dice, depth - 1);
        }
        sleep(rest);
    });
    let took = start.elapsed();
    match ended {
        Ok(()) => world.check(took >= rest, || format!("{took:?} for a sleep of {rest:?}")),
        Err(Elapsed) => {
            world.tally.timeouts.add(1);
            world.check(took >= limit, || format!("{took:?} until the timeout of {limit:?}"));
        }
    }
}

/// Many at once, of whom some panic and some are killed; each has its own end.
pub(crate) fn burst(world: &Rc<World>, dice: &mut Dice) {
    world.tally.bursts.add(1);
    let count = dice.size(11);
    world.tally.coroutines.add(count);
    let detached = spawn(yield_now);
    scope(|scope| {
        let start = |n: u64| (n, dice.below(20), scope.spawn(move || nap(world, n)));
        let tasks: Vec<_> = (0..count).map(start).collect();
        for (_, fate, task) in &tasks {
            if *fate == 0 {
                world.tally.kills.add(u64::from(task.kill()));
            }
        }
        for (n, fate, task) in tasks {
            let ended = task.join();
            let as_told = match &ended {
                Ok(()) => n % 7 != 5 || n.is_multiple_of(3),
                Err(payload) if payload.is::<Killed>() => fate == 0,
                Err(payload) => payload.is::<OnPurpose>() && n % 7 == 5,
            };
            world.check(as_told, || format!("number {n} of a burst ended {ended:?}"));
        }
    });
    let _ = detached.join();
}

fn nap(world: &World, n: u64) {
    if n.is_multiple_of(3) {
        return yield_now();
    }
    sleep(Duration::from_micros(n % 500));
    if n % 7 == 5 {
        world.tally.joined_panics.add(1);
        panic::panic_any(OnPurpose);
    }
}
