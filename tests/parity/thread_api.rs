// Written by `.ci/api --write`: what is stable in std, of thread.

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + Clone
            + Copy
            + Eq
            + PartialEq
            + ::std::fmt::Debug
            + ::std::fmt::Display
            + ::std::error::Error
            + ?Sized,
    >() {
    }
    fn ask(_: &thread::AccessError) {
        is::<thread::AccessError>()
    }
};

fn thread_builder_new() -> thread::Builder {
    <thread::Builder>::new()
}

fn thread_builder_name(a0: thread::Builder, a1: String) -> thread::Builder {
    <thread::Builder>::name(a0, a1)
}

fn thread_builder_stack_size(a0: thread::Builder, a1: usize) -> thread::Builder {
    <thread::Builder>::stack_size(a0, a1)
}

fn thread_builder_spawn<F, T>(a0: thread::Builder, a1: F) -> io::Result<thread::JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    <thread::Builder>::spawn(a0, a1)
}

unsafe fn thread_builder_spawn_unchecked<F, T>(
    a0: thread::Builder,
    a1: F,
) -> io::Result<thread::JoinHandle<T>>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    // SAFETY: as this function's caller vouches.
    unsafe { <thread::Builder>::spawn_unchecked(a0, a1) }
}

fn thread_builder_spawn_scoped<'scope, 'env, F, T>(
    a0: thread::Builder,
    a1: &'scope thread::Scope<'scope, 'env>,
    a2: F,
) -> io::Result<thread::ScopedJoinHandle<'scope, T>>
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    <thread::Builder>::spawn_scoped(a0, a1, a2)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + ?Sized,
    >() {
    }
    fn ask(_: &thread::Builder) {
        is::<thread::Builder>()
    }
};

fn thread_joinhandle_thread<'e0, T>(a0: &'e0 thread::JoinHandle<T>) -> &'e0 thread::Thread {
    <thread::JoinHandle<T>>::thread(a0)
}

fn thread_joinhandle_join<T>(a0: thread::JoinHandle<T>) -> thread::Result<T> {
    <thread::JoinHandle<T>>::join(a0)
}

fn thread_joinhandle_is_finished<'e0, T>(a0: &'e0 thread::JoinHandle<T>) -> bool {
    <thread::JoinHandle<T>>::is_finished(a0)
}

const _: () = {
    fn is<X: Unpin + Sync + ::std::fmt::Debug + ?Sized>() {}
    fn ask<T>(_: &thread::JoinHandle<T>) {
        is::<thread::JoinHandle<T>>()
    }
};

fn thread_localkey_with<T: 'static, F, R>(a0: &'static thread::LocalKey<T>, a1: F) -> R
where
    F: FnOnce(&'_ T) -> R,
{
    <thread::LocalKey<T>>::with(a0, a1)
}

fn thread_localkey_try_with<T: 'static, F, R>(
    a0: &'static thread::LocalKey<T>,
    a1: F,
) -> Result<R, thread::AccessError>
where
    F: FnOnce(&'_ T) -> R,
{
    <thread::LocalKey<T>>::try_with(a0, a1)
}

fn thread_localkey_set<T: 'static>(a0: &'static thread::LocalKey<::std::cell::Cell<T>>, a1: T) {
    <thread::LocalKey<::std::cell::Cell<T>>>::set(a0, a1)
}

fn thread_localkey_get<T: 'static>(a0: &'static thread::LocalKey<::std::cell::Cell<T>>) -> T
where
    T: Copy,
{
    <thread::LocalKey<::std::cell::Cell<T>>>::get(a0)
}

fn thread_localkey_take<T: 'static>(a0: &'static thread::LocalKey<::std::cell::Cell<T>>) -> T
where
    T: Default,
{
    <thread::LocalKey<::std::cell::Cell<T>>>::take(a0)
}

fn thread_localkey_replace<T: 'static>(
    a0: &'static thread::LocalKey<::std::cell::Cell<T>>,
    a1: T,
) -> T {
    <thread::LocalKey<::std::cell::Cell<T>>>::replace(a0, a1)
}

fn thread_localkey_with_borrow<T: 'static, F, R>(
    a0: &'static thread::LocalKey<::std::cell::RefCell<T>>,
    a1: F,
) -> R
where
    F: FnOnce(&'_ T) -> R,
{
    <thread::LocalKey<::std::cell::RefCell<T>>>::with_borrow(a0, a1)
}

fn thread_localkey_with_borrow_mut<T: 'static, F, R>(
    a0: &'static thread::LocalKey<::std::cell::RefCell<T>>,
    a1: F,
) -> R
where
    F: FnOnce(&'_ mut T) -> R,
{
    <thread::LocalKey<::std::cell::RefCell<T>>>::with_borrow_mut(a0, a1)
}

fn thread_localkey_set_2<T: 'static>(
    a0: &'static thread::LocalKey<::std::cell::RefCell<T>>,
    a1: T,
) {
    <thread::LocalKey<::std::cell::RefCell<T>>>::set(a0, a1)
}

fn thread_localkey_take_2<T: 'static>(a0: &'static thread::LocalKey<::std::cell::RefCell<T>>) -> T
where
    T: Default,
{
    <thread::LocalKey<::std::cell::RefCell<T>>>::take(a0)
}

fn thread_localkey_replace_2<T: 'static>(
    a0: &'static thread::LocalKey<::std::cell::RefCell<T>>,
    a1: T,
) -> T {
    <thread::LocalKey<::std::cell::RefCell<T>>>::replace(a0, a1)
}

const _: () = {
    fn is<
        X: Send + Sync + Unpin + ::std::panic::UnwindSafe + ::std::panic::RefUnwindSafe + ?Sized,
    >() {
    }
    fn ask<T>(_: &thread::LocalKey<T>) {
        is::<thread::LocalKey<T>>()
    }
};

const _: () = {
    fn is<X: ::std::fmt::Debug + ?Sized>() {}
    fn ask<T: 'static>(_: &thread::LocalKey<T>) {
        is::<thread::LocalKey<T>>()
    }
};

fn thread_scope_spawn<'scope, 'env, F, T>(
    a0: &'scope thread::Scope<'scope, 'env>,
    a1: F,
) -> thread::ScopedJoinHandle<'scope, T>
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    <thread::Scope<'scope, 'env>>::spawn(a0, a1)
}

const _: () = {
    fn is<X: Send + Sync + Unpin + ::std::panic::RefUnwindSafe + ?Sized>() {}
    fn ask<'scope, 'env>(_: &thread::Scope<'scope, 'env>) {
        is::<thread::Scope<'scope, 'env>>()
    }
};

const _: () = {
    fn is<X: ::std::fmt::Debug + ?Sized>() {}
    fn ask<'e0, 'e1>(_: &thread::Scope<'e0, 'e1>) {
        is::<thread::Scope<'e0, 'e1>>()
    }
};

fn thread_scopedjoinhandle_thread<'scope, 'e0, T>(
    a0: &'e0 thread::ScopedJoinHandle<'scope, T>,
) -> &'e0 thread::Thread {
    <thread::ScopedJoinHandle<'scope, T>>::thread(a0)
}

fn thread_scopedjoinhandle_join<'scope, T>(
    a0: thread::ScopedJoinHandle<'scope, T>,
) -> thread::Result<T> {
    <thread::ScopedJoinHandle<'scope, T>>::join(a0)
}

fn thread_scopedjoinhandle_is_finished<'scope, 'e0, T>(
    a0: &'e0 thread::ScopedJoinHandle<'scope, T>,
) -> bool {
    <thread::ScopedJoinHandle<'scope, T>>::is_finished(a0)
}

const _: () = {
    fn is<X: Send + Sync + ?Sized>() {}
    fn ask<'scope, T>(_: &thread::ScopedJoinHandle<'scope, T>)
    where
        T: Send,
    {
        is::<thread::ScopedJoinHandle<'scope, T>>()
    }
};

const _: () = {
    fn is<X: Unpin + ::std::fmt::Debug + ?Sized>() {}
    fn ask<'scope, T>(_: &thread::ScopedJoinHandle<'scope, T>) {
        is::<thread::ScopedJoinHandle<'scope, T>>()
    }
};

fn thread_thread_unpark<'e0>(a0: &'e0 thread::Thread) {
    <thread::Thread>::unpark(a0)
}

fn thread_thread_id<'e0>(a0: &'e0 thread::Thread) -> thread::ThreadId {
    <thread::Thread>::id(a0)
}

fn thread_thread_name<'e0>(a0: &'e0 thread::Thread) -> Option<&'e0 str> {
    <thread::Thread>::name(a0)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + Clone
            + ::std::fmt::Debug
            + ?Sized,
    >() {
    }
    fn ask(_: &thread::Thread) {
        is::<thread::Thread>()
    }
};

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + Eq
            + PartialEq
            + Clone
            + Copy
            + ::std::hash::Hash
            + ::std::fmt::Debug
            + ?Sized,
    >() {
    }
    fn ask(_: &thread::ThreadId) {
        is::<thread::ThreadId>()
    }
};

fn thread_current() -> thread::Thread {
    thread::current()
}

fn thread_panicking() -> bool {
    thread::panicking()
}

fn thread_park() {
    thread::park()
}

fn thread_park_timeout(a0: ::std::time::Duration) {
    thread::park_timeout(a0)
}

fn thread_park_timeout_ms(a0: u32) {
    thread::park_timeout_ms(a0)
}

fn thread_scope<'env, F, T>(a0: F) -> T
where
    F: for<'scope> FnOnce(&'scope thread::Scope<'scope, 'env>) -> T,
{
    thread::scope(a0)
}

fn thread_sleep(a0: ::std::time::Duration) {
    thread::sleep(a0)
}

fn thread_sleep_ms(a0: u32) {
    thread::sleep_ms(a0)
}

fn thread_spawn<F, T>(a0: F) -> thread::JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    thread::spawn(a0)
}

fn thread_yield_now() {
    thread::yield_now()
}
