//! Waiting for one of several things, whichever is there first.
//!
//! The macro [`select!`](crate::select!) takes what is there; the functions here only tell which
//! it is.

pub use corovent_runtime::select::Selectable;
pub use corovent_runtime::select::select;
pub use corovent_runtime::select::select_timeout;
pub use corovent_runtime::select::try_select;

#[doc(hidden)]
pub use corovent_runtime::queue::branch;

/// Waits for several things, and does one of them: the one that can be done first.
///
/// Each line is a branch: what it gives, what it does, and what comes of it.
///
/// | branch | does | gives |
/// | --- | --- | --- |
/// | `item = get(&queue)` | takes from a [queue](crate::queue) | `Result<T, GetError>` |
/// | `result = put(&queue, &mut slot)` | puts in what is in the slot | `Result<(), PutError<T>>` |
/// | `value = recv(&receiver)` | takes from an `mpsc::Receiver` | `Result<T, RecvError>` |
/// | `join(&handle)` | nothing: `join` of the handle need not wait then | `()` |
/// | `wait(&thing)` | nothing: it is ready, whatever is `Selectable` | `()` |
/// | `after(duration)` | nothing: no other came in time; the last | |
/// | `default` | nothing: no other can be done now; the last | |
///
/// Of several branches that can be done one is chosen by chance, so that none is always left
/// behind. Exactly one is done. What a branch would have put in is in its `Option` still if
/// another was chosen, and if the wait was interrupted.
///
/// A put into a [`Channel`](crate::queue::Channel) is done when its item is taken, be it by a
/// `get`, or by another `select!`. Descriptors cannot be waited for: who wants to hears of them
/// from a coroutine that does.
///
/// # Suspends
///
/// Until one of the branches is done, but with `default`, which never waits. After many calls in a
/// row that need not wait, the others run first. A thread without a hub is stopped.
///
/// # Panics
///
/// If the `Option` of a `put` is empty; or if a coroutine is to wait for its own end.
///
/// # Cancellation
///
/// Nothing was done, unless the wait was over before the kill or the timeout was seen: then it
/// comes at the next wait.
///
/// # Examples
///
/// Work until it is time to stop:
///
/// ```
/// use std::time::Duration;
/// use corovent::queue::{Channel, Queue};
/// use corovent::{scope, select};
///
/// let (jobs, stop) = (Queue::unbounded(), Channel::new());
/// let mut done = Vec::new();
/// scope(|scope| {
///     scope.spawn(|| {
///         (1..=3).for_each(|job| jobs.put(job).unwrap());
///         stop.put(()).unwrap();
///     });
///     loop {
///         select! {
///             job = get(&jobs) => done.push(job.unwrap()),
///             _ = get(&stop) => break,
///             after(Duration::from_secs(60)) => panic!("nothing happens"),
///         }
///     }
/// });
/// done.extend(jobs.try_iter());
/// assert_eq!(done, [1, 2, 3]);
/// ```
///
/// Put an item into whichever queue has room:
///
/// ```
/// use corovent::queue::Queue;
/// use corovent::select;
///
/// let (first, second) = (Queue::bounded(1), Queue::bounded(1));
/// first.put('a')?;
/// let mut item = Some('b');
/// let mut other = Some('c');
/// select! {
///     result = put(&first, &mut item) => result?,
///     result = put(&second, &mut other) => result?,
/// }
/// assert_eq!((item, other), (Some('b'), None));
/// # Ok::<(), corovent::queue::PutError<char>>(())
/// ```
#[macro_export]
macro_rules! select {
    ($($branches:tt)+) => {
        $crate::__select!([] $($branches)+)
    };
}

/// What [`select!`] does: sorts its lines, then builds the wait.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    // The last line, or the end.
    ([$($sorted:tt)*] default => $last:expr $(,)?) => {
        $crate::__select!(@ [$($sorted)*] (run_now) () ($last))
    };
    ([$($sorted:tt)*] after($timeout:expr $(,)?) => $last:expr $(,)?) => {
        $crate::__select!(@ [$($sorted)*] (run_for) ($timeout) ($last))
    };
    ([$($sorted:tt)*]) => {
        $crate::__select!(
            @ [$($sorted)*] (run) () (::core::unreachable!("one of the branches is done"))
        )
    };
    // A line that names nothing. These words come first: as the beginning of a pattern, what
    // follows them could be an error.
    ([$($sorted:tt)*] get($($arg:expr),* $(,)?) => $($rest:tt)+) => {
        $crate::__select!([$($sorted)*] _ = get($($arg),*) => $($rest)+)
    };
    ([$($sorted:tt)*] join($($arg:expr),* $(,)?) => $($rest:tt)+) => {
        $crate::__select!([$($sorted)*] _ = join($($arg),*) => $($rest)+)
    };
    ([$($sorted:tt)*] put($($arg:expr),* $(,)?) => $($rest:tt)+) => {
        $crate::__select!([$($sorted)*] _ = put($($arg),*) => $($rest)+)
    };
    ([$($sorted:tt)*] recv($($arg:expr),* $(,)?) => $($rest:tt)+) => {
        $crate::__select!([$($sorted)*] _ = recv($($arg),*) => $($rest)+)
    };
    ([$($sorted:tt)*] wait($($arg:expr),* $(,)?) => $($rest:tt)+) => {
        $crate::__select!([$($sorted)*] _ = wait($($arg),*) => $($rest)+)
    };
    // A line that names what it gets, with each way to end it.
    ([$($sorted:tt)*]
        $name:pat = $kind:ident($($arg:expr),* $(,)?) => $body:block, $($rest:tt)*) => {
        $crate::__select!(
            [$($sorted)* (branch output $kind ($($arg),*) ($name) ($body))] $($rest)*
        )
    };
    ([$($sorted:tt)*]
        $name:pat = $kind:ident($($arg:expr),* $(,)?) => $body:block $($rest:tt)*) => {
        $crate::__select!(
            [$($sorted)* (branch output $kind ($($arg),*) ($name) ($body))] $($rest)*
        )
    };
    ([$($sorted:tt)*]
        $name:pat = $kind:ident($($arg:expr),* $(,)?) => $body:expr $(, $($rest:tt)*)?) => {
        $crate::__select!(
            [$($sorted)* (branch output $kind ($($arg),*) ($name) ($body))] $($($rest)*)?
        )
    };
    // Each line has brought names of its own, since it was sorted by an expansion of its own.
    (@ [$(($branch:ident $output:ident $kind:ident ($($arg:expr),*) ($name:pat) ($body:expr)))*]
        ($run:ident) ($($timeout:expr)?) ($last:expr)) => {{
        // Temporaries of the arguments live until the wait is over.
        let ($($output,)*) = match ($($crate::select::branch::$kind($($arg),*),)*) {
            ($($branch,)*) => {
                $crate::select::branch::$run(&[$(&$branch),*] $(, $timeout)?);
                ($($branch.into_output(),)*)
            }
        };
        $crate::__select!(@ choose ($last) $(($output ($name) ($body)))*)
    }};
    (@ choose ($last:expr)) => {
        $last
    };
    (@ choose ($last:expr) ($output:ident ($name:pat) ($body:expr)) $($others:tt)*) => {
        if let ::core::option::Option::Some(output) = $output {
            let $name = output;
            $body
        } else {
            $crate::__select!(@ choose ($last) $($others)*)
        }
    };
}
