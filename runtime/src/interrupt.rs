//! What may end a wait of one task before its time: kills, timeouts, a deadlock.
//!
//! Pure: it decides what is deliverable, and neither blocks nor throws. A kill and the
//! timeout scopes of a task stay *wanted* until they were served: code that swallows the
//! throw gets it again at its next wait, a bounded number of times.
//!
//! **Invariant:** nothing is deliverable while the task unwinds, nor inside a shield that
//! is younger than what asks.

/// The record of one task: 16 bytes, since there may be a million.
#[derive(Debug, Default)]
pub(crate) struct Interrupts {
    /// Whether anything was ever asked for: the one flag that a wait looks at.
    wanted: bool,
    kill: Kill,
    kill_throws: u8,
    /// Set on the root when nothing can wake it.
    deadlock: bool,
    /// Whether the task unwinds, as far as is known.
    unwinding: bool,
    /// How many `debug::no_wait` calls the task is in.
    no_waits: u8,
    /// How many `shield` calls the task is in.
    shields: u16,
    /// The `timeout` blocks the task is in, outermost first. Few tasks are ever in one, and
    /// an idle task is to be small.
    #[expect(clippy::box_collection, reason = "8 bytes in the record instead of 24")]
    scopes: Option<Box<Vec<TimeoutScope>>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kill {
    #[default]
    None,
    Wanted,
    /// Thrown as often as allowed and swallowed each time.
    Ignored,
    /// It never ran: its end is all that is left of it.
    Served,
}

#[derive(Debug)]
struct TimeoutScope {
    id: u64,
    /// `shields` when the scope was opened: a deeper shield holds it off.
    shields: u16,
    fired: bool,
    throws: u8,
}

/// What is to be thrown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    Kill,
    /// The number of the scope.
    Timeout(u64),
    Deadlock,
    /// It waits where it was not to.
    NoWait,
}

/// How often a task may swallow a throw before it is left alone.
pub(crate) const THROWS_MAX: u8 = 8;

impl Interrupts {
    /// Asks for the task's end. A task that ignored an earlier kill is asked anew.
    pub(crate) fn want_kill(&mut self) {
        match self.kill {
            Kill::Wanted | Kill::Served => {}
            Kill::None | Kill::Ignored => {
                self.kill = Kill::Wanted;
                self.kill_throws = 0;
                self.wanted = true;
            }
        }
    }

    /// Takes the kill of a task that has not run: from then on it only ends.
    pub(crate) fn serve_kill(&mut self) -> bool {
        let killed = self.kill == Kill::Wanted;
        if killed {
            self.kill = Kill::Served;
            self.wanted = false;
        }
        killed
    }

    /// Whether the task swallowed its kill as often as it was thrown.
    pub(crate) fn kill_ignored(&self) -> bool {
        self.kill == Kill::Ignored
    }

    /// Notes that nothing can wake the root.
    pub(crate) fn want_deadlock(&mut self) {
        self.deadlock = true;
        self.wanted = true;
    }

    /// Takes a deadlock back; false if there was none.
    pub(crate) fn take_deadlock(&mut self) -> bool {
        std::mem::take(&mut self.deadlock)
    }

    /// Opens a timeout scope.
    pub(crate) fn open_scope(&mut self, id: u64) {
        let shields = self.shields;
        let scopes = self.scopes.get_or_insert_default();
        scopes.push(TimeoutScope { id, shields, fired: false, throws: 0 });
    }

    /// Notes that the time of a scope is up.
    pub(crate) fn fire(&mut self, id: u64) {
        for scope in self.scopes.iter_mut().flat_map(|scopes| scopes.iter_mut()) {
            if scope.id == id {
                scope.fired = true;
                self.wanted = true;
            }
        }
    }

    /// Closes a scope, and those inside of it that never got to close theirs.
    pub(crate) fn close_scope(&mut self, id: u64) {
        let scopes = self.scopes.as_mut().expect("a scope was opened");
        let position = scopes.iter().position(|scope| scope.id == id);
        scopes.truncate(position.expect("a scope is closed once"));
        let any_fired = scopes.iter().any(|scope| scope.fired);
        self.wanted = self.kill == Kill::Wanted || self.deadlock || any_fired || self.no_waits > 0;
    }

    /// Begins a part in which every wait is an error, whatever else is asked for.
    pub(crate) fn enter_no_wait(&mut self) {
        self.no_waits = self.no_waits.checked_add(1).expect("they are not nested that deeply");
        self.wanted = true;
    }

    /// Ends it.
    pub(crate) fn leave_no_wait(&mut self) {
        self.no_waits = self.no_waits.saturating_sub(1);
        let any_fired = self.scopes.iter().flat_map(|scopes| scopes.iter()).any(|s| s.fired);
        self.wanted = self.kill == Kill::Wanted || self.deadlock || any_fired || self.no_waits > 0;
    }

    /// Whether every wait is an error.
    pub(crate) fn forbids_waits(&self) -> bool {
        self.no_waits > 0 && !self.unwinding
    }

    /// Enters a shield: what was asked for from outside waits until it is left.
    pub(crate) fn enter_shield(&mut self) {
        self.shields = self.shields.checked_add(1).expect("shields are not nested that deeply");
    }

    /// Leaves a shield.
    pub(crate) fn leave_shield(&mut self) {
        assert!(self.shields > 0, "a shield is left once");
        self.shields -= 1;
    }

    /// How many shields the task is in.
    pub(crate) fn shields(&self) -> u16 {
        self.shields
    }

    /// Sets how many shields the task is in, where code of the user's cannot be trusted to
    /// have left those that it has entered.
    pub(crate) fn set_shields(&mut self, shields: u16) {
        self.shields = shields;
    }

    /// Whether the task unwinds, as far as is known.
    #[inline]
    pub(crate) fn unwinding(&self) -> bool {
        self.unwinding
    }

    /// Notes whether the task unwinds.
    #[inline]
    pub(crate) fn set_unwinding(&mut self, unwinding: bool) {
        self.unwinding = unwinding;
    }

    /// Whether anything was asked for and not served yet.
    #[inline]
    pub(crate) fn wanted(&self) -> bool {
        self.wanted
    }

    /// Whether a wait would be interrupted now.
    #[inline]
    pub(crate) fn is_deliverable(&self) -> bool {
        self.wanted && self.next().is_some()
    }

    /// Gives up on what was thrown as often as allowed. True once, when a kill was.
    pub(crate) fn give_up(&mut self) -> bool {
        let deliverable = !self.unwinding && self.shields == 0;
        if deliverable && self.kill == Kill::Wanted && self.kill_throws >= THROWS_MAX {
            self.kill = Kill::Ignored;
            return true;
        }
        false
    }

    /// Takes what is to be thrown, and counts the throw: the task unwinds from now on.
    pub(crate) fn take(&mut self) -> Option<Interrupt> {
        let next = self.next()?;
        match next {
            Interrupt::Deadlock => self.deadlock = false,
            Interrupt::NoWait => {}
            Interrupt::Kill => self.kill_throws += 1,
            Interrupt::Timeout(id) => {
                let scopes = self.scopes.iter_mut().flat_map(|scopes| scopes.iter_mut());
                for scope in scopes.filter(|scope| scope.id == id) {
                    scope.throws += 1;
                }
            }
        }
        self.unwinding = true;
        Some(next)
    }

    /// A kill goes before a timeout, an outer timeout before an inner one. The error of the
    /// programmer is told before all.
    fn next(&self) -> Option<Interrupt> {
        if self.unwinding {
            return None;
        }
        if self.no_waits > 0 {
            return Some(Interrupt::NoWait);
        }
        if self.deadlock {
            return Some(Interrupt::Deadlock);
        }
        if self.kill == Kill::Wanted && self.kill_throws < THROWS_MAX && self.shields == 0 {
            return Some(Interrupt::Kill);
        }
        let scope = self.scopes.as_ref()?.iter().find(|scope| {
            scope.fired && scope.throws < THROWS_MAX && scope.shields == self.shields
        })?;
        Some(Interrupt::Timeout(scope.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outer_timeout_goes_before_an_inner_one() {
        let mut record = Interrupts::default();
        record.open_scope(1);
        record.open_scope(2);
        record.fire(2);
        record.fire(1);
        assert_eq!(record.take(), Some(Interrupt::Timeout(1)));
    }

    #[test]
    fn nothing_is_deliverable_while_unwinding() {
        let mut record = Interrupts::default();
        record.want_kill();
        assert_eq!(record.take(), Some(Interrupt::Kill));
        assert!(!record.is_deliverable());
        record.set_unwinding(false);
        assert!(record.is_deliverable());
    }

    #[test]
    fn a_shield_holds_off_only_what_is_older() {
        let mut record = Interrupts::default();
        record.open_scope(1);
        record.enter_shield();
        record.fire(1);
        record.want_kill();
        assert!(!record.is_deliverable());
        record.open_scope(2);
        record.fire(2);
        assert_eq!(record.take(), Some(Interrupt::Timeout(2)));
        record.set_unwinding(false);
        record.close_scope(2);
        assert!(!record.is_deliverable());
        record.leave_shield();
        assert_eq!(record.take(), Some(Interrupt::Kill));
    }

    #[test]
    fn a_swallowed_kill_is_given_up_once() {
        let mut record = Interrupts::default();
        record.want_kill();
        for _ in 0..THROWS_MAX {
            assert!(!record.give_up());
            assert_eq!(record.take(), Some(Interrupt::Kill));
            record.set_unwinding(false);
        }
        assert!(record.give_up());
        assert!(!record.give_up());
        assert!(record.kill_ignored());
        record.want_kill();
        assert_eq!(record.take(), Some(Interrupt::Kill));
    }

    #[test]
    fn a_kill_before_the_first_run_is_served_once_and_for_all() {
        let mut record = Interrupts::default();
        assert!(!record.serve_kill());
        record.want_kill();
        assert!(record.serve_kill());
        record.want_kill();
        assert!(!record.is_deliverable());
    }

    #[test]
    fn a_wait_where_none_may_be_goes_before_all_and_leaves_all_as_it_was() {
        let mut record = Interrupts::default();
        record.enter_no_wait();
        record.enter_no_wait();
        record.enter_shield();
        record.want_kill();
        assert_eq!(record.take(), Some(Interrupt::NoWait));
        assert!(!record.is_deliverable(), "it unwinds");
        record.set_unwinding(false);
        record.leave_no_wait();
        assert_eq!(record.take(), Some(Interrupt::NoWait));
        record.set_unwinding(false);
        record.leave_no_wait();
        assert!(!record.is_deliverable());
        record.leave_shield();
        assert_eq!(record.take(), Some(Interrupt::Kill));
        let mut record = Interrupts::default();
        record.open_scope(1);
        record.enter_no_wait();
        record.close_scope(1);
        assert!(record.is_deliverable());
        record.leave_no_wait();
        assert!(!record.wanted());
    }

    #[test]
    fn a_closed_scope_never_fires() {
        let mut record = Interrupts::default();
        record.open_scope(1);
        record.fire(1);
        record.close_scope(1);
        assert!(!record.is_deliverable());
        record.fire(1);
        assert!(!record.is_deliverable());
    }

    #[test]
    fn closing_an_outer_scope_closes_those_inside() {
        let mut record = Interrupts::default();
        record.open_scope(1);
        record.open_scope(2);
        record.fire(2);
        record.close_scope(1);
        assert!(!record.is_deliverable());
    }
}
