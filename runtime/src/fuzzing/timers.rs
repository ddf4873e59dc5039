//! The timing wheel, beside a sorted map.

use std::collections::BTreeMap;

use crate::fuzzing::Fault;
use crate::fuzzing::Program;
use crate::timers::TimerKey;
use crate::timers::Timers;

/// Runs a program. A fault forgets a timer that is far off.
pub(super) fn run(program: &mut Program<'_>, fault: Fault) {
    let mut now = program.below(1 << 50);
    let mut timers = Timers::new(now);
    // By deadline, then by age; with the key and the value.
    let mut model: BTreeMap<(u64, u64), (TimerKey, u32)> = BTreeMap::new();
    let mut late: Vec<TimerKey> = Vec::new();
    let mut value = 0;
    while program.goes_on() {
        match program.below(9) {
            0..4 => {
                value += 1;
                let bits = program.below(64);
                // Also what is past.
                let reach = program.below(1 << bits);
                let deadline = now.saturating_sub(500).saturating_add(reach);
                let key = timers.arm(deadline, value);
                if fault.strikes(bits > 30 && model.len() > 3) {
                    timers.cancel(key);
                }
                model.insert((deadline, u64::from(value)), (key, value));
            }
            4 => {
                let ids: Vec<_> = model.keys().copied().collect();
                let Some(id) = program.pick(&ids) else { continue };
                let (key, _) = model.remove(&id).expect("it was just there");
                assert!(timers.cancel(key), "it was pending");
                late.push(key);
            }
            5 => {
                let Some(key) = program.pick(&late) else { continue };
                assert!(!timers.cancel(key), "it was cancelled, or has fired");
            }
            6 => {
                let (rest, of) = (program.below(4) as u32, 2 + program.below(3) as u32);
                timers.cancel_all(|value| value % of == rest);
                model.retain(|_, (key, value)| {
                    let stays = *value % of != rest;
                    late.extend((!stays).then_some(*key));
                    stays
                });
            }
            _ => {
                let soonest = model.keys().next().map(|id| id.0);
                let bound = timers.next();
                assert_eq!(bound.is_some(), soonest.is_some());
                assert!(bound <= soonest, "{bound:?} is later than {soonest:?}");
                let bits = program.below(45);
                now = match bound {
                    Some(bound) if program.below(2) == 0 => now.max(bound),
                    _ => now.saturating_add(program.below(1 << bits)),
                };
                expire(&mut timers, &mut model, &mut late, now);
            }
        }
        assert_eq!((timers.len(), timers.is_empty()), (model.len(), model.is_empty()));
    }
    expire(&mut timers, &mut model, &mut late, u64::MAX);
    assert!(timers.is_empty());
}

/// What is due fires, in the order of the map.
fn expire(
    timers: &mut Timers<u32>,
    model: &mut BTreeMap<(u64, u64), (TimerKey, u32)>,
    late: &mut Vec<TimerKey>,
    now: u64,
) {
    let mut due = Vec::new();
    timers.expire(now, &mut due);
    let fired: Vec<u32> = due.iter().map(|due| due.value).collect();
    assert!(due.iter().all(|due| due.deadline <= now), "one has fired early");
    let mut expected = Vec::new();
    while let Some(entry) = model.first_entry()
        && entry.key().0 <= now
    {
        let (key, value) = entry.remove();
        late.push(key);
        expected.push(value);
    }
    assert_eq!(fired, expected);
}
