//! The cells: what can happen to a victim, and where it stands then.

use std::fmt;

use crate::case::Case;
use crate::case::Row;
use crate::columns::settle;
use crate::support::run;

/// What happens to the victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Kill,
    /// A timeout around the call; the inner of two, the outer, both.
    Timeout,
    Inner,
    Outer,
    Both,
    /// A limit of the call's own.
    Limit,
    /// The row's own: closed, shut down, …
    Ending(usize),
    /// Who lets it go on does so while it unwinds from a panic.
    PeerPanics,
    /// One on another thread, before it in line, is lost with its hub.
    PeerHubEnds,
}

const EVENTS: [Event; 12] = [
    Event::Kill,
    Event::Timeout,
    Event::Inner,
    Event::Outer,
    Event::Both,
    Event::Limit,
    Event::Ending(0),
    Event::Ending(1),
    Event::Ending(2),
    Event::Ending(3),
    Event::PeerPanics,
    Event::PeerHubEnds,
];

/// Where the victim stands when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    /// What it waits for has come, and it has not run since.
    Ready,
    /// All at once: it starts, the other starts, what they wait for comes, the event.
    Racing,
    NotStarted,
    Unwinding,
    Shielded,
}

const STATES: [State; 6] = [
    State::Waiting,
    State::Ready,
    State::Racing,
    State::NotStarted,
    State::Unwinding,
    State::Shielded,
];

#[derive(Clone)]
pub(super) struct Square {
    /// Of all rows.
    pub(super) index: usize,
    pub(super) row: &'static Row,
    pub(super) event: Event,
    pub(super) state: State,
}

impl fmt::Display for Square {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let functions = self.row.functions.join(" ");
        write!(f, "{} {functions}: {:?} {:?}", self.index, self.event, self.state)
    }
}

impl Event {
    pub(super) fn is_timeout(self) -> bool {
        matches!(self, Event::Timeout | Event::Inner | Event::Outer | Event::Both)
    }

    /// Whether a shield keeps it off.
    pub(super) fn is_interrupt(self) -> bool {
        self == Event::Kill || self.is_timeout()
    }
}

/// The cells of a row.
pub(super) fn squares(index: usize, row: &'static Row) -> Vec<Square> {
    run(|| {
        let mut case = (row.make)();
        case.has_line = !row.has_not("behind");
        let all = STATES.into_iter().flat_map(|state| EVENTS.map(|event| (event, state)));
        let squares = all.filter(|(event, state)| has_square(row, &case, *event, *state));
        let squares = squares.map(|(event, state)| Square { index, row, event, state }).collect();
        drop(case);
        settle();
        squares
    })
}

/// Whether it can happen in that state at all.
fn has_square(row: &Row, case: &Case, event: Event, state: State) -> bool {
    let has_release = case.release.is_some();
    let interrupts = match event {
        Event::Kill => !row.has_not("killed"),
        _ => !event.is_timeout() || !row.has_not("timeout"),
    };
    let there_is = match event {
        Event::Limit => case.limited.is_some() && !case.fails && state != State::Racing,
        // A descriptor that is closed behind its owner's back may be another's by the next call.
        Event::Ending(nth) => case.endings.get(nth).is_some_and(|(_, _, expected)| {
            *expected != "EBADF" || matches!(state, State::Waiting | State::Shielded)
        }),
        Event::PeerPanics => has_release,
        Event::PeerHubEnds => has_release && !row.has_not("ended hub") && !is_solo(row, case),
        _ => true,
    };
    let fits = match state {
        State::Waiting => interrupts,
        State::Ready | State::Racing => {
            let is_early = state == State::Racing || event == Event::PeerHubEnds;
            has_release
                && interrupts
                && !row.has_not("satisfied")
                && !(is_early && is_solo(row, case))
                && (event != Event::PeerPanics || state == State::Racing)
                && (event != Event::PeerHubEnds || state == State::Ready)
        }
        State::NotStarted => matches!(event, Event::Kill | Event::Ending(_)),
        State::Unwinding => {
            let of_interest = !case.fails || matches!(event, Event::Kill | Event::Timeout);
            !row.has_not("unwinding") && of_interest && event != Event::PeerHubEnds
        }
        State::Shielded => has_release && !row.has_not("shield") && event != Event::PeerHubEnds,
    };
    there_is && fits
}

/// What lets it go on is for the victim alone.
pub(super) fn is_solo(row: &Row, case: &Case) -> bool {
    case.is_personal || row.has_not("killed")
}
