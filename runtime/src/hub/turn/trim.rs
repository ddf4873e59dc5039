//! When the memory of stacks that came back is given to the kernel: not while a timer waits.

use crate::hub::State;

/// So many stacks are given back in one go, or at once when nothing is due for so long. It takes
/// 1 to 3 us a stack.
const PIECE: usize = 1024;
const LEISURE_NS: u64 = 10_000_000;
/// A hub that is never at leisure looks so long after the last time.
const PATIENCE_NS: u64 = 1_000_000_000;

/// Gives memory of free stacks back, if there is enough and it is the time for it; whether it did.
/// For a hub without a ready task.
pub(super) fn trim_stacks(state: &mut State, now: u64) -> bool {
    let returned = state.stacks.returned();
    if returned == 0 {
        return false;
    }
    let is_late = now - state.turn.trimmed >= PATIENCE_NS;
    if !is_late && returned < PIECE {
        return false;
    }
    let is_at_leisure = state.timers.next().is_none_or(|next| next >= now + LEISURE_NS);
    if !is_late && !is_at_leisure {
        return false;
    }
    if state.stacks.trim(if is_at_leisure { usize::MAX } else { PIECE }) {
        state.turn.trimmed = now;
    }
    true
}
