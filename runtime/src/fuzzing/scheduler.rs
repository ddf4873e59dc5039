//! The task table and the ready queue, beside a map and a list.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use crate::fuzzing::Fault;
use crate::fuzzing::Program;
use crate::order::Order;
use crate::scheduler::Outcome;
use crate::scheduler::Scheduler;
use crate::scheduler::State;
use crate::scheduler::Ticket;

struct Task {
    number: u64,
    state: State,
    outcome: Outcome,
}

#[derive(Default)]
struct Model {
    tasks: BTreeMap<u32, Task>,
    ready: VecDeque<u32>,
    evicted: Vec<u32>,
    /// All tickets ever seen, most of which mean nothing any more.
    tickets: Vec<Ticket>,
}

const OUTCOMES: [Outcome; 3] = [Outcome::Woken, Outcome::TimedOut, Outcome::Interrupted];

impl Model {
    fn insert(&mut self, slot: u32, number: u64, state: State) {
        let task = Task { number, state, outcome: Outcome::Woken };
        assert!(self.tasks.insert(slot, task).is_none(), "slot {slot} is in use");
        assert!(!self.evicted.contains(&slot), "slot {slot} was given up");
        if state == State::Ready {
            self.ready.push_back(slot);
        }
    }

    fn wake(&mut self, slot: u32, outcome: Outcome) {
        let task = self.tasks.get_mut(&slot).expect("it is blocked");
        (task.state, task.outcome) = (State::Ready, outcome);
        self.ready.push_back(slot);
    }

    /// The slots of the tasks that stand so.
    fn standing(&self, state: State) -> Vec<u32> {
        let standing = self.tasks.iter().filter(|(_, task)| task.state == state);
        standing.map(|(slot, _)| *slot).collect()
    }
}

/// Runs a program. A fault loses a wake.
pub(super) fn run(program: &mut Program<'_>, fault: Fault) {
    let mut scheduler = Scheduler::new(Order::fifo(), 1 + program.below(9));
    let mut model = Model::default();
    let mut number = 0;
    while program.goes_on() {
        number += 1;
        step(program, fault, &mut scheduler, &mut model, number);
        assert_eq!(scheduler.len(), model.tasks.len());
        assert_eq!(scheduler.has_ready(), !model.ready.is_empty());
        // A look at all takes long beside a step.
        if number % 8 == 0 {
            check(&scheduler, &model);
        }
    }
    check(&scheduler, &model);
    while let Some((slot, outcome, task)) = scheduler.next() {
        let expected = model.ready.pop_front().expect("nobody is ready");
        assert_eq!((slot, outcome), (expected, model.tasks[&slot].outcome));
        assert_eq!(*task, model.tasks[&slot].number);
    }
    assert!(model.ready.is_empty());
}

/// Takes the next task, with a look at some of the others that are ready.
fn take(program: &mut Program<'_>, scheduler: &mut Scheduler<u64>, model: &mut Model) {
    if program.below(4) == 0 {
        scheduler.expect_many(program.below(4) > 0);
    }
    let is_ready =
        |task: &u64| model.ready.iter().skip(1).any(|slot| model.tasks[slot].number == *task);
    let next = scheduler.take_next(|task, _| assert!(is_ready(task), "{task}"));
    let next = next.map(|(slot, outcome, task)| (slot, outcome, *task));
    let expected = model.ready.pop_front();
    assert_eq!(next.map(|(slot, ..)| slot), expected);
    if let Some((slot, outcome, task)) = next {
        let of = model.tasks.get_mut(&slot).expect("it was ready");
        assert_eq!((outcome, task), (of.outcome, of.number));
        of.state = State::Running;
    }
}

fn step(
    program: &mut Program<'_>,
    fault: Fault,
    scheduler: &mut Scheduler<u64>,
    model: &mut Model,
    number: u64,
) {
    let running = model.standing(State::Running);
    match program.below(10) {
        0 => model.insert(scheduler.insert_ready(number), number, State::Ready),
        1 => {
            let ticket = scheduler.insert_blocked(number);
            model.tickets.push(ticket);
            model.insert(ticket.slot, number, State::Blocked);
        }
        2 => take(program, scheduler, model),
        3..5 => block(program, scheduler, model, &running),
        5 => {
            let outcome = OUTCOMES[program.below(3) as usize];
            let Some(ticket) = program.pick(&model.tickets) else { return };
            let is_blocked = |task: &Task| task.state == State::Blocked;
            let wakes = model.tasks.get(&ticket.slot).is_some_and(is_blocked)
                && scheduler.ticket(ticket.slot) == ticket;
            if !fault.strikes(wakes && outcome == Outcome::TimedOut && model.ready.len() > 2) {
                assert_eq!(scheduler.wake(ticket, outcome), wakes);
            }
            if wakes {
                model.wake(ticket.slot, outcome);
            }
        }
        6 => {
            // Also one that no task ever had.
            let slot = program.below(12) as u32;
            scheduler.wake_slot(slot);
            if model.tasks.get(&slot).is_some_and(|task| task.state == State::Blocked) {
                model.wake(slot, Outcome::Woken);
            }
        }
        7 => {
            let Some(slot) = program.pick(&running) else { return };
            scheduler.void_ticket(slot);
        }
        8 => {
            let mut idle = running;
            idle.extend(model.standing(State::Blocked));
            let Some(slot) = program.pick(&idle) else { return };
            scheduler.remove(slot);
            model.tasks.remove(&slot);
        }
        _ => {
            let slot = program.below(12) as u32;
            let evicted = scheduler.evict(slot);
            let expected = model.tasks.remove(&slot);
            assert_eq!(evicted, expected.as_ref().map(|task| task.number));
            if expected.is_some() {
                model.ready.retain(|ready| *ready != slot);
                model.evicted.push(slot);
            }
        }
    }
}

/// Ends the turn of a task that runs, unless it is refused.
fn block(
    program: &mut Program<'_>,
    scheduler: &mut Scheduler<u64>,
    model: &mut Model,
    running: &[u32],
) {
    let Some(slot) = program.pick(running) else { return };
    let (is_agreed, waits) = (program.below(4) > 0, program.below(3) > 0);
    let named = scheduler.ticket(slot);
    let task = model.tasks.get_mut(&slot).expect("it runs");
    if waits {
        let ticket = scheduler.block_if(slot, |_| is_agreed);
        assert_eq!(ticket, is_agreed.then_some(named));
        model.tickets.extend(ticket);
        task.state = if is_agreed { State::Blocked } else { State::Running };
    } else if is_agreed {
        assert!(scheduler.requeue_if(slot, |_| true));
        (task.state, task.outcome) = (State::Ready, Outcome::Woken);
        model.ready.push_back(slot);
    } else {
        assert!(!scheduler.requeue_if(slot, |_| false));
    }
}

fn check(scheduler: &Scheduler<u64>, model: &Model) {
    let first = model.ready.front().map(|slot| model.tasks[slot].number);
    assert_eq!(scheduler.peek().copied(), first);
    let all: Vec<_> = scheduler.iter().map(|(slot, state, task)| (slot, state, *task)).collect();
    let expected: Vec<_> =
        model.tasks.iter().map(|(slot, task)| (*slot, task.state, task.number)).collect();
    assert_eq!(all, expected);
    // No two waits have one name.
    let mut names: Vec<_> = all.iter().map(|(slot, ..)| scheduler.ticket(*slot).number).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
}
