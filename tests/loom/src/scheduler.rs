//! The names of waits, and how they end: as in the real scheduler, whose table no other thread
//! touches.

use std::num::NonZeroU64;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Woken,
    TimedOut,
    Interrupted,
}

/// Names one wait of one task of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) slot: u32,
    pub(crate) number: NonZeroU64,
}
