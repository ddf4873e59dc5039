//! Help for tests of programs: the same code under many orders of scheduling.
//!
//! A seed stands for one order: a hub that has it draws where it has a choice, and the same seed
//! draws the same again. `order.rs` has the places; here a thread is given one.

use std::any::Any;
use std::ops::Range;
use std::panic;
use std::thread;

use crate::order;
use crate::run::run;

/// Calls a closure once for each seed, as [`with_seed`] does, and passes it the seed.
///
/// What depends on an order that nobody promised fails for some of them. The first that fails is
/// named on stderr, and its panic goes on. With `COROVENT_SEED` set to a number, in the
/// environment, only that seed is run: this is how a failure is looked at again.
///
/// # Suspends
///
/// Never: it blocks the thread until all have been run.
///
/// # Panics
///
/// - As the closure does.
/// - If `COROVENT_SEED` is set and is no number, so that nothing would be replayed.
///
/// # Examples
///
/// Two that update a number, and let others run in between:
///
/// ```
/// use corovent_runtime::{spawn, testing, yield_now};
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// testing::seeds(0..100, |_seed| {
///     let number = Rc::new(Cell::new(0));
///     let add = |number: Rc<Cell<u32>>| {
///         move || {
///             yield_now();
///             number.set(number.get() + 1);
///         }
///     };
///     let tasks = [spawn(add(number.clone())), spawn(add(number.clone()))];
///     tasks.into_iter().for_each(|task| task.join().unwrap());
///     assert_eq!(number.get(), 2);
/// });
/// ```
pub fn seeds(seeds: Range<u64>, f: impl Fn(u64) + Sync) {
    let seeds = match order::seed_of_env() {
        Ok(None) => seeds,
        Ok(Some(seed)) => seed..seed.saturating_add(1),
        Err(text) => panic!("COROVENT_SEED is no number: {text:?}"),
    };
    for seed in seeds {
        with_seed(seed, || f(seed));
    }
}

/// Calls a closure on a thread of its own whose hub draws the order of things by a seed.
///
/// Drawn are: which of the ready coroutines runs next, the order in which the events of one look
/// at the descriptors are handled, which of several timers with the same deadline fires first,
/// which of those who wait for the same thing is woken, and which of several that are ready
/// [`select`](crate::select) takes. Whatever follows from a promise holds all the same, but for
/// "first in, first out" among coroutines that are ready or wait. The same seed gives the same
/// run, as long as it depends on nothing else: on the time, on other threads, or on what the
/// kernel has ready.
///
/// Coroutines that are left when the closure has returned are killed, as by [`run`]. One of
/// another thread, even if the closure has started it, draws by `COROVENT_SEED` alone.
///
/// # Suspends
///
/// Never: it blocks the thread until the closure has returned.
///
/// # Panics
///
/// As the closure does, after a line on stderr that names the seed.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{spawn, testing};
/// use std::cell::RefCell;
/// use std::rc::Rc;
///
/// let order = |seed| {
///     testing::with_seed(seed, || {
///         let order = Rc::new(RefCell::new(Vec::new()));
///         let start = |n| {
///             let order = Rc::clone(&order);
///             spawn(move || order.borrow_mut().push(n))
///         };
///         let tasks: Vec<_> = (0..10).map(start).collect();
///         tasks.into_iter().for_each(|task| task.join().unwrap());
///         order.take()
///     })
/// };
/// assert_eq!(order(1), order(1));
/// assert_ne!(order(1), order(2));
/// ```
pub fn with_seed<T: Send>(seed: u64, f: impl FnOnce() -> T + Send) -> T {
    let name = thread::current().name().unwrap_or("a thread").to_owned();
    let body = || {
        order::seed_thread(seed);
        run(f)
    };
    let result = thread::scope(|scope| {
        let builder = thread::Builder::new().name(format!("{name}, seed {seed}"));
        builder.spawn_scoped(scope, body).expect("a thread can be started").join()
    });
    result.unwrap_or_else(|payload| fail(seed, &name, payload))
}

/// Names the seed on stderr as tests capture it.
#[expect(clippy::print_stderr, reason = "it belongs to the message of the panic before it")]
fn fail(seed: u64, name: &str, payload: Box<dyn Any + Send>) -> ! {
    eprintln!("corovent: {name} fails with seed {seed}; COROVENT_SEED={seed} runs that alone");
    panic::resume_unwind(payload)
}
