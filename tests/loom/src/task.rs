//! Shields, which hold off what never comes here.

/// Calls it.
pub(crate) fn shield<R>(f: impl FnOnce() -> R) -> R {
    f()
}
