//! The spans of `tracing`, which a subscriber keeps by thread: each task has those that it has
//! entered itself.
//!
//! A task that waits leaves its spans, the innermost first, and enters them again when its wait
//! is over. In between they lie in its own frame. Only with the feature `tracing`; as long as
//! the program has set no subscriber, one load of an atomic is all that happens.
//!
//! A subscriber is code of the user's. It is told while the task is noted as waiting, so that
//! its wakes are not lost, and the state is not borrowed. What it panics with is caught, and a
//! wait of its own is refused: the task is in one, and has one name for it.

use std::mem;

use tracing::Dispatch;
use tracing::dispatcher;
use tracing::span::Id;

use crate::hub::Hub;
use crate::sys::sigaction::preserving_errno;

/// Spans that a task has left, the innermost first.
pub(super) struct LeftSpans {
    /// The subscriber that they are of: when they are entered again, the thread may have
    /// another.
    subscriber: Dispatch,
    spans: Vec<LeftSpan>,
}

struct LeftSpan {
    id: Id,
    /// Keeps it open. The guard in the task's frames does as well, unless it was forgotten.
    kept: Option<Id>,
}

/// More spans are not left, of a subscriber that gives a current one whatever it is told.
const SPANS_MAX: usize = 1024;
/// A subscriber that panics is not told more often.
const PANICS_MAX: usize = 16;

impl Hub {
    /// Leaves the spans of the running task, which is about to be suspended.
    #[inline]
    pub(super) fn leave_spans(&self) -> Option<LeftSpans> {
        if dispatcher::has_been_set() { self.leave_all_spans() } else { None }
    }

    /// Enters them again, when it has been resumed.
    #[inline]
    pub(super) fn enter_spans(&self, left: Option<LeftSpans>) {
        if let Some(left) = left {
            self.enter_all_spans(left);
        }
    }

    /// Leaves the spans of a coroutine that ends: those whose guards were forgotten, or moved
    /// to somebody else.
    pub(crate) fn end_spans(&self) {
        if let Some(LeftSpans { subscriber, spans }) = self.leave_spans() {
            for kept in spans.into_iter().filter_map(|span| span.kept) {
                self.tell(|| subscriber.try_close(kept));
            }
            self.tell(|| drop(subscriber));
        }
    }

    /// Whether a subscriber is being told of a switch.
    pub(super) fn tells_subscriber(&self) -> bool {
        self.telling.get()
    }

    #[inline(never)]
    fn leave_all_spans(&self) -> Option<LeftSpans> {
        // A clone, since a subscriber that is told may ask for the thread's itself.
        let subscriber = dispatcher::get_default(Dispatch::clone);
        let mut spans = Vec::new();
        let mut panics = 0;
        while spans.len() < SPANS_MAX && panics < PANICS_MAX {
            let current = self.tell(|| subscriber.current_span().id().cloned());
            let Some(id) = current.flatten() else { break };
            let kept = self.tell(|| subscriber.clone_span(&id));
            // One that panics may have left it all the same: a registry has, its layers come
            // after. If it has not, the span is met once more.
            let told = self.tell(|| subscriber.exit(&id));
            panics += usize::from(kept.is_none()) + usize::from(told.is_none());
            spans.push(LeftSpan { id, kept });
        }
        if spans.is_empty() {
            self.tell(|| drop(subscriber));
            return None;
        }
        Some(LeftSpans { subscriber, spans })
    }

    #[inline(never)]
    fn enter_all_spans(&self, left: LeftSpans) {
        let LeftSpans { subscriber, spans } = left;
        for LeftSpan { id, kept } in spans.into_iter().rev() {
            self.tell(|| subscriber.enter(&id));
            if let Some(kept) = kept {
                self.tell(|| subscriber.try_close(kept));
            }
        }
        // The last handle, if the program has set another: its destructor is the user's.
        self.tell(|| drop(subscriber));
    }

    /// Calls a subscriber. `None` if it panics, which the hook has reported.
    fn tell<R>(&self, call: impl FnOnce() -> R) -> Option<R> {
        let mut result = None;
        preserving_errno(|| {
            self.telling.set(true);
            match self.catch(call) {
                Ok(value) => result = Some(value),
                Err(payload) => {
                    if let Err(payload) = self.catch(|| drop(payload)) {
                        // Its destructor may panic as well: there is no end to that.
                        mem::forget(payload);
                    }
                }
            }
            self.telling.set(false);
        });
        result
    }
}
