//! The table of descriptors, beside a kernel made up: edges, hang-ups, numbers that are used
//! again, and tasks that call, wait, time out and are given up as `fd/` has them do it.
//!
//! What is checked is what the table is for: when nothing is left to be done, nobody waits for
//! what is there, and no event wakes anybody who waits for an owner that came later.

use std::collections::BTreeMap;

use crate::fuzzing::Fault;
use crate::fuzzing::Program;
use crate::order::Order;
use crate::readiness::Direction;
use crate::readiness::Readiness;
use crate::readiness::Ready;
use crate::scheduler::Outcome;
use crate::scheduler::Scheduler;
use crate::scheduler::Ticket;
use crate::sys::epoll;

const FDS: u64 = 3;
const TASKS: u32 = 6;
const DIRECTIONS: [Direction; 2] = [Direction::Read, Direction::Write];
const BITS: [u32; 2] = [epoll::IN, epoll::OUT];

/// A socket of the made-up kernel.
#[derive(Debug)]
struct Socket {
    id: u64,
    /// How much there is to read, and how much room to write.
    amounts: [u64; 2],
    has_ended: bool,
    /// The data word of its registration, and the bits of which an edge is not told yet.
    registration: Option<(u64, u32)>,
}

/// A call that a task is in.
#[derive(Clone, Copy, Debug)]
struct Call {
    fd: i32,
    id: u64,
    direction: Direction,
    ticket: Ticket,
    had_its_turn: bool,
    /// It was called by a wake, and has not run since.
    is_woken: bool,
}

struct World {
    table: Readiness,
    scheduler: Scheduler<()>,
    sockets: BTreeMap<i32, Socket>,
    calls: BTreeMap<u32, Call>,
    /// Data words of events that may still come, late.
    late: Vec<u64>,
    owners: u64,
    fault: Fault,
}

/// Runs a program. A fault passes no baton on.
pub(super) fn run(program: &mut Program<'_>, fault: Fault) {
    let mut scheduler = Scheduler::new(Order::fifo(), 1);
    (0..TASKS).for_each(|task| assert_eq!(scheduler.insert_running(()), task));
    let mut world = World {
        table: Readiness::default(),
        scheduler,
        sockets: BTreeMap::new(),
        calls: BTreeMap::new(),
        late: Vec::new(),
        owners: 0,
        fault,
    };
    while program.goes_on() {
        world.step(program);
        let waiting = world.calls.values().filter(|call| !call.is_woken).count();
        assert_eq!(world.table.waiting(), waiting);
        let registered = world.sockets.values().filter(|socket| socket.registration.is_some());
        assert_eq!(world.table.registered(), registered.count());
    }
    world.rest();
}

impl World {
    fn step(&mut self, program: &mut Program<'_>) {
        let fd = program.below(FDS) as i32;
        let task = program.below(u64::from(TASKS)) as u32;
        let direction = DIRECTIONS[program.below(2) as usize];
        match program.below(16) {
            0 => self.open(fd),
            1 if program.below(3) == 0 => self.close(fd),
            2..5 => self.change(fd, direction, 1 + program.below(3)),
            5 if program.below(4) == 0 => self.hang_up(fd),
            6..10 => self.call(task, fd, direction, 1 + program.below(3)),
            10..12 => self.go_on(task, 1 + program.below(3)),
            12 => self.deliver(fd),
            13 => {
                // An event of a registration that may be gone.
                let Some(data) = program.pick(&self.late) else { return };
                let owner = self.sockets.values().find_map(|socket| socket.registration);
                if owner.is_none_or(|(current, _)| current != data) {
                    self.note(data, BITS[direction as usize]);
                }
            }
            14 => self.time_out(task),
            _ => self.give_up(task),
        }
    }

    fn open(&mut self, fd: i32) {
        self.owners += 1;
        let socket =
            Socket { id: self.owners, amounts: [0, 1], has_ended: false, registration: None };
        self.sockets.entry(fd).or_insert(socket);
    }

    /// Safe code closes only what nobody uses; the number is free from then on.
    fn close(&mut self, fd: i32) {
        if self.calls.values().any(|call| call.fd == fd) {
            return;
        }
        if let Some(socket) = self.sockets.remove(&fd)
            && self.table.holds(fd, socket.id)
        {
            assert_eq!(self.table.remove(fd), []);
        }
    }

    /// There is more: an edge.
    fn change(&mut self, fd: i32, direction: Direction, amount: u64) {
        let Some(socket) = self.sockets.get_mut(&fd) else { return };
        socket.amounts[direction as usize] += amount;
        if let Some((_, edges)) = &mut socket.registration {
            *edges |= BITS[direction as usize];
        }
    }

    fn hang_up(&mut self, fd: i32) {
        let Some(socket) = self.sockets.get_mut(&fd) else { return };
        socket.has_ended = true;
        if let Some((_, edges)) = &mut socket.registration {
            *edges |= epoll::HUP | epoll::RDHUP | BITS[0] | BITS[1];
        }
    }

    /// Tells of the edges of a descriptor.
    fn deliver(&mut self, fd: i32) {
        let Some(socket) = self.sockets.get_mut(&fd) else { return };
        let Some((data, edges)) = &mut socket.registration else { return };
        let (data, bits) = (*data, std::mem::take(edges));
        if bits != 0 {
            self.note(data, bits);
        }
    }

    fn note(&mut self, data: u64, bits: u32) {
        let Some(noted) = self.table.note(data, bits, &mut Order::fifo()) else { return };
        let socket = &self.sockets[&noted.fd];
        assert_eq!(socket.registration.map(|(data, _)| data), Some(data), "an old event");
        for (direction, ticket) in DIRECTIONS.into_iter().zip(noted.woken) {
            if ticket.is_some_and(|ticket| !self.wake(ticket)) {
                self.pass_on(noted.fd, direction);
            }
        }
    }

    /// False if nobody waits by that name.
    fn wake(&mut self, ticket: Ticket) -> bool {
        let wakes = self.scheduler.wake(ticket, Outcome::Woken);
        if wakes {
            let (slot, ..) = self.scheduler.next().expect("it is ready");
            let call = self.calls.get_mut(&slot).expect("who waits is in a call");
            assert!(!call.is_woken && call.ticket == ticket);
            call.is_woken = true;
        }
        wakes
    }

    fn pass_on(&mut self, fd: i32, direction: Direction) {
        if self.fault.strikes(direction == Direction::Read) {
            return;
        }
        while let Some(ticket) = self.table.pass_on(fd, direction, &mut Order::fifo()) {
            if self.wake(ticket) {
                break;
            }
        }
    }

    /// A task that is in no call begins one.
    fn call(&mut self, task: u32, fd: i32, direction: Direction, amount: u64) {
        let Some(socket) = self.sockets.get(&fd) else { return };
        if self.calls.contains_key(&task) || self.scheduler.get(task).is_none() {
            return;
        }
        let ticket = self.scheduler.ticket(task);
        let id = socket.id;
        let call = Call { fd, id, direction, ticket, had_its_turn: false, is_woken: true };
        if self.table.may_be_ready(fd, id, direction) {
            self.attempt(task, call, amount);
        } else {
            self.wait(task, call);
        }
    }

    /// A task that was woken makes its call again.
    fn go_on(&mut self, task: u32, amount: u64) {
        let Some(call) = self.calls.remove(&task) else { return };
        if call.is_woken {
            self.attempt(task, Call { had_its_turn: true, ..call }, amount);
        } else {
            self.calls.insert(task, call);
        }
    }

    fn attempt(&mut self, task: u32, call: Call, amount: u64) {
        let Call { fd, id, direction, had_its_turn, .. } = call;
        let socket = self.sockets.get_mut(&fd).expect("an open socket is called");
        let there = &mut socket.amounts[direction as usize];
        if *there == 0 && !socket.has_ended {
            self.table.clear(fd, id, direction);
            return self.wait(task, call);
        }
        let is_short = *there < amount && direction == Direction::Read;
        *there = there.saturating_sub(amount);
        // A write that had room does not say so, unless it has waited.
        if had_its_turn || direction == Direction::Read {
            let is_waited_for = self.table.note_call(fd, id, direction, is_short);
            if had_its_turn && is_waited_for {
                self.pass_on(fd, direction);
            }
        }
    }

    fn wait(&mut self, task: u32, call: Call) {
        let Call { fd, id, direction, had_its_turn, .. } = call;
        if !self.table.holds(fd, id) {
            assert_eq!(self.table.remove(fd), [], "nobody waits for an owner that is gone");
            let data = self.table.insert(fd, id);
            self.late.push(data);
            let socket = self.sockets.get_mut(&fd).expect("it is open");
            // The kernel tells at once what is there.
            let there = |at: usize| if socket.amounts[at] > 0 { BITS[at] } else { 0 };
            let end = if socket.has_ended { epoll::HUP | BITS[0] | BITS[1] } else { 0 };
            socket.registration = Some((data, there(0) | there(1) | end));
            self.table.clear(fd, id, direction);
        }
        let ticket = self.scheduler.block_if(task, |()| true).expect("it agrees");
        self.table.enqueue(fd, direction, ticket, had_its_turn);
        self.calls.insert(task, Call { ticket, is_woken: false, ..call });
    }

    /// The limit of a wait is over.
    fn time_out(&mut self, task: u32) {
        let Some(call) = self.calls.get(&task).copied().filter(|call| !call.is_woken) else {
            return;
        };
        assert!(self.scheduler.wake(call.ticket, Outcome::TimedOut));
        assert!(self.scheduler.next().is_some());
        self.table.dequeue(call.fd, call.direction, call.ticket);
        self.calls.remove(&task);
    }

    /// A task never runs again, as `turn::give_up` has it.
    fn give_up(&mut self, task: u32) {
        // One is left, so that the program goes on.
        if self.scheduler.len() == 1 || self.scheduler.evict(task).is_none() {
            return;
        }
        self.table.forget_slots(|slot| slot == task);
        if let Some(call) = self.calls.remove(&task).filter(|call| call.is_woken) {
            self.pass_on(call.fd, call.direction);
        }
    }

    /// Lets all that can be done be done, and looks who waits then.
    fn rest(&mut self) {
        let woken = |world: &World| {
            world.calls.iter().find_map(|(task, call)| call.is_woken.then_some(*task))
        };
        loop {
            (0..FDS as i32).for_each(|fd| self.deliver(fd));
            let Some(task) = woken(self) else { break };
            self.go_on(task, 1);
        }
        for call in self.calls.values() {
            let socket = &self.sockets[&call.fd];
            let there = socket.amounts[call.direction as usize];
            assert!(there == 0 && !socket.has_ended, "{call:?} waits for what is in {socket:?}");
            let known = self.table.known(call.fd, call.id, call.direction);
            assert_ne!(known, Some(Ready::Yes));
        }
    }
}
