//! How the peers are started, each on one thread as its users would have it there.

use std::future::Future;
use std::rc::Rc;

use smol::LocalExecutor;

/// A runtime of tokio on the calling thread.
pub(crate) fn on_tokio<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime needs a few descriptors");
    runtime.block_on(future)
}

/// An executor of smol on the calling thread.
pub(crate) fn on_smol<F: Future>(f: impl FnOnce(Rc<LocalExecutor<'static>>) -> F) -> F::Output {
    let executor = Rc::new(LocalExecutor::new());
    let future = f(Rc::clone(&executor));
    smol::block_on(executor.run(future))
}

/// A coroutine of may, which has one worker.
pub(crate) fn on_may<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    may::config().set_workers(1).set_worker_pin(false);
    may::go!(f).join().expect("nothing panics there")
}
