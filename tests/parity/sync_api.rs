// Written by `.ci/api --write`: what is stable in std, of sync.

const fn sync_barrier_new(a0: usize) -> sync::Barrier {
    <sync::Barrier>::new(a0)
}

fn sync_barrier_wait<'e0>(a0: &'e0 sync::Barrier) -> sync::BarrierWaitResult {
    <sync::Barrier>::wait(a0)
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
    fn ask(_: &sync::Barrier) {
        is::<sync::Barrier>()
    }
};

fn sync_barrierwaitresult_is_leader<'e0>(a0: &'e0 sync::BarrierWaitResult) -> bool {
    <sync::BarrierWaitResult>::is_leader(a0)
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
    fn ask(_: &sync::BarrierWaitResult) {
        is::<sync::BarrierWaitResult>()
    }
};

const fn sync_condvar_new() -> sync::Condvar {
    <sync::Condvar>::new()
}

fn sync_condvar_wait<'e0, 'a, T>(
    a0: &'e0 sync::Condvar,
    a1: sync::MutexGuard<'a, T>,
) -> sync::LockResult<sync::MutexGuard<'a, T>> {
    <sync::Condvar>::wait(a0, a1)
}

fn sync_condvar_wait_while<'e0, 'a, T, F>(
    a0: &'e0 sync::Condvar,
    a1: sync::MutexGuard<'a, T>,
    a2: F,
) -> sync::LockResult<sync::MutexGuard<'a, T>>
where
    F: FnMut(&'_ mut T) -> bool,
{
    <sync::Condvar>::wait_while(a0, a1, a2)
}

fn sync_condvar_wait_timeout_ms<'e0, 'a, T>(
    a0: &'e0 sync::Condvar,
    a1: sync::MutexGuard<'a, T>,
    a2: u32,
) -> sync::LockResult<(sync::MutexGuard<'a, T>, bool)> {
    <sync::Condvar>::wait_timeout_ms(a0, a1, a2)
}

fn sync_condvar_wait_timeout<'e0, 'a, T>(
    a0: &'e0 sync::Condvar,
    a1: sync::MutexGuard<'a, T>,
    a2: ::std::time::Duration,
) -> sync::LockResult<(sync::MutexGuard<'a, T>, sync::WaitTimeoutResult)> {
    <sync::Condvar>::wait_timeout(a0, a1, a2)
}

fn sync_condvar_wait_timeout_while<'e0, 'a, T, F>(
    a0: &'e0 sync::Condvar,
    a1: sync::MutexGuard<'a, T>,
    a2: ::std::time::Duration,
    a3: F,
) -> sync::LockResult<(sync::MutexGuard<'a, T>, sync::WaitTimeoutResult)>
where
    F: FnMut(&'_ mut T) -> bool,
{
    <sync::Condvar>::wait_timeout_while(a0, a1, a2, a3)
}

fn sync_condvar_notify_one<'e0>(a0: &'e0 sync::Condvar) {
    <sync::Condvar>::notify_one(a0)
}

fn sync_condvar_notify_all<'e0>(a0: &'e0 sync::Condvar) {
    <sync::Condvar>::notify_all(a0)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + Default
            + ?Sized,
    >() {
    }
    fn ask(_: &sync::Condvar) {
        is::<sync::Condvar>()
    }
};

const fn sync_lazylock_new<T, F: FnOnce() -> T>(a0: F) -> sync::LazyLock<T, F> {
    <sync::LazyLock<T, F>>::new(a0)
}

fn sync_lazylock_force_mut<'e0, T, F: FnOnce() -> T>(
    a0: &'e0 mut sync::LazyLock<T, F>,
) -> &'e0 mut T {
    <sync::LazyLock<T, F>>::force_mut(a0)
}

fn sync_lazylock_force<'e0, T, F: FnOnce() -> T>(a0: &'e0 sync::LazyLock<T, F>) -> &'e0 T {
    <sync::LazyLock<T, F>>::force(a0)
}

fn sync_lazylock_get_mut<'e0, T, F>(a0: &'e0 mut sync::LazyLock<T, F>) -> Option<&'e0 mut T> {
    <sync::LazyLock<T, F>>::get_mut(a0)
}

fn sync_lazylock_get<'e0, T, F>(a0: &'e0 sync::LazyLock<T, F>) -> Option<&'e0 T> {
    <sync::LazyLock<T, F>>::get(a0)
}

const _: () = {
    fn is<X: Send + ?Sized>() {}
    fn ask<T, F>(_: &sync::LazyLock<T, F>)
    where
        T: Send,
        F: Send,
    {
        is::<sync::LazyLock<T, F>>()
    }
};

const _: () = {
    fn is<X: Unpin + ?Sized>() {}
    fn ask<T, F>(_: &sync::LazyLock<T, F>)
    where
        T: Unpin,
        F: Unpin,
    {
        is::<sync::LazyLock<T, F>>()
    }
};

const _: () = {
    fn ask<T, F: FnOnce() -> T>(
        a0: sync::LazyLock<T, F>,
    ) -> impl ::std::ops::Deref<Target = T> + ::std::ops::DerefMut {
        a0
    }
};

const _: () = {
    fn is<X: Default + ?Sized>() {}
    fn ask<T: Default>(_: &sync::LazyLock<T>) {
        is::<sync::LazyLock<T>>()
    }
};

const _: () = {
    fn is<X: ::std::fmt::Debug + ?Sized>() {}
    fn ask<T: ::std::fmt::Debug, F>(_: &sync::LazyLock<T, F>) {
        is::<sync::LazyLock<T, F>>()
    }
};

const _: () = {
    fn is<X: Sync + ?Sized>() {}
    fn ask<T: Sync + Send, F: Send>(_: &sync::LazyLock<T, F>) {
        is::<sync::LazyLock<T, F>>()
    }
};

const _: () = {
    fn is<X: ::std::panic::RefUnwindSafe + ?Sized>() {}
    fn ask<
        T: ::std::panic::RefUnwindSafe + ::std::panic::UnwindSafe,
        F: ::std::panic::UnwindSafe,
    >(
        _: &sync::LazyLock<T, F>,
    ) {
        is::<sync::LazyLock<T, F>>()
    }
};

const _: () = {
    fn is<X: ::std::panic::UnwindSafe + ?Sized>() {}
    fn ask<T: ::std::panic::UnwindSafe, F: ::std::panic::UnwindSafe>(_: &sync::LazyLock<T, F>) {
        is::<sync::LazyLock<T, F>>()
    }
};

const fn sync_mutex_new<T>(a0: T) -> sync::Mutex<T> {
    <sync::Mutex<T>>::new(a0)
}

fn sync_mutex_lock<'e0, T: ?Sized>(
    a0: &'e0 sync::Mutex<T>,
) -> sync::LockResult<sync::MutexGuard<'e0, T>> {
    <sync::Mutex<T>>::lock(a0)
}

fn sync_mutex_try_lock<'e0, T: ?Sized>(
    a0: &'e0 sync::Mutex<T>,
) -> sync::TryLockResult<sync::MutexGuard<'e0, T>> {
    <sync::Mutex<T>>::try_lock(a0)
}

fn sync_mutex_is_poisoned<'e0, T: ?Sized>(a0: &'e0 sync::Mutex<T>) -> bool {
    <sync::Mutex<T>>::is_poisoned(a0)
}

fn sync_mutex_clear_poison<'e0, T: ?Sized>(a0: &'e0 sync::Mutex<T>) {
    <sync::Mutex<T>>::clear_poison(a0)
}

fn sync_mutex_into_inner<T: ?Sized>(a0: sync::Mutex<T>) -> sync::LockResult<T>
where
    T: Sized,
{
    <sync::Mutex<T>>::into_inner(a0)
}

fn sync_mutex_get_mut<'e0, T: ?Sized>(a0: &'e0 mut sync::Mutex<T>) -> sync::LockResult<&'e0 mut T> {
    <sync::Mutex<T>>::get_mut(a0)
}

const _: () = {
    fn is<X: Unpin + ?Sized>() {}
    fn ask<T>(_: &sync::Mutex<T>)
    where
        T: Unpin + ?Sized,
    {
        is::<sync::Mutex<T>>()
    }
};

const _: () = {
    fn is<X: ::std::panic::UnwindSafe + ::std::panic::RefUnwindSafe + ?Sized>() {}
    fn ask<T: ?Sized>(_: &sync::Mutex<T>) {
        is::<sync::Mutex<T>>()
    }
};

const _: () = {
    fn is<X: Send + Sync + ?Sized>() {}
    fn ask<T: ?Sized + Send>(_: &sync::Mutex<T>) {
        is::<sync::Mutex<T>>()
    }
};

const _: () = {
    fn ask<T>(a0: sync::Mutex<T>) -> impl From<T> {
        a0
    }
};

const _: () = {
    fn is<X: Default + ?Sized>() {}
    fn ask<T: Default>(_: &sync::Mutex<T>) {
        is::<sync::Mutex<T>>()
    }
};

const _: () = {
    fn is<X: ::std::fmt::Debug + ?Sized>() {}
    fn ask<T: ?Sized + ::std::fmt::Debug>(_: &sync::Mutex<T>) {
        is::<sync::Mutex<T>>()
    }
};

const _: () = {
    fn is<X: Unpin + ::std::panic::UnwindSafe + ::std::panic::RefUnwindSafe + ?Sized>() {}
    fn ask<'a, T>(_: &sync::MutexGuard<'a, T>)
    where
        T: ?Sized,
    {
        is::<sync::MutexGuard<'a, T>>()
    }
};

const _: () = {
    fn is<X: Sync + ?Sized>() {}
    fn ask<'e0, T: ?Sized + Sync>(_: &sync::MutexGuard<'e0, T>) {
        is::<sync::MutexGuard<'e0, T>>()
    }
};

const _: () = {
    fn ask<'e0, T: ?Sized>(
        a0: sync::MutexGuard<'e0, T>,
    ) -> impl ::std::ops::Deref<Target = T> + ::std::ops::DerefMut {
        a0
    }
};

const _: () = {
    fn is<X: ::std::fmt::Debug + ?Sized>() {}
    fn ask<'e0, T: ?Sized + ::std::fmt::Debug>(_: &sync::MutexGuard<'e0, T>) {
        is::<sync::MutexGuard<'e0, T>>()
    }
};

const _: () = {
    fn is<X: ::std::fmt::Display + ?Sized>() {}
    fn ask<'e0, T: ?Sized + ::std::fmt::Display>(_: &sync::MutexGuard<'e0, T>) {
        is::<sync::MutexGuard<'e0, T>>()
    }
};

const fn sync_once_new() -> sync::Once {
    <sync::Once>::new()
}

fn sync_once_call_once<'e0, F>(a0: &'e0 sync::Once, a1: F)
where
    F: FnOnce(),
{
    <sync::Once>::call_once(a0, a1)
}

fn sync_once_call_once_force<'e0, F>(a0: &'e0 sync::Once, a1: F)
where
    F: FnOnce(&'_ sync::OnceState),
{
    <sync::Once>::call_once_force(a0, a1)
}

fn sync_once_is_completed<'e0>(a0: &'e0 sync::Once) -> bool {
    <sync::Once>::is_completed(a0)
}

fn sync_once_wait<'e0>(a0: &'e0 sync::Once) {
    <sync::Once>::wait(a0)
}

fn sync_once_wait_force<'e0>(a0: &'e0 sync::Once) {
    <sync::Once>::wait_force(a0)
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
    fn ask(_: &sync::Once) {
        is::<sync::Once>()
    }
};

const fn sync_oncelock_new<T>() -> sync::OnceLock<T> {
    <sync::OnceLock<T>>::new()
}

fn sync_oncelock_get<'e0, T>(a0: &'e0 sync::OnceLock<T>) -> Option<&'e0 T> {
    <sync::OnceLock<T>>::get(a0)
}

fn sync_oncelock_get_mut<'e0, T>(a0: &'e0 mut sync::OnceLock<T>) -> Option<&'e0 mut T> {
    <sync::OnceLock<T>>::get_mut(a0)
}

fn sync_oncelock_wait<'e0, T>(a0: &'e0 sync::OnceLock<T>) -> &'e0 T {
    <sync::OnceLock<T>>::wait(a0)
}

fn sync_oncelock_set<'e0, T>(a0: &'e0 sync::OnceLock<T>, a1: T) -> Result<(), T> {
    <sync::OnceLock<T>>::set(a0, a1)
}

fn sync_oncelock_get_or_init<'e0, T, F>(a0: &'e0 sync::OnceLock<T>, a1: F) -> &'e0 T
where
    F: FnOnce() -> T,
{
    <sync::OnceLock<T>>::get_or_init(a0, a1)
}

fn sync_oncelock_into_inner<T>(a0: sync::OnceLock<T>) -> Option<T> {
    <sync::OnceLock<T>>::into_inner(a0)
}

fn sync_oncelock_take<'e0, T>(a0: &'e0 mut sync::OnceLock<T>) -> Option<T> {
    <sync::OnceLock<T>>::take(a0)
}

const _: () = {
    fn is<X: Unpin + ?Sized>() {}
    fn ask<T>(_: &sync::OnceLock<T>)
    where
        T: Unpin,
    {
        is::<sync::OnceLock<T>>()
    }
};

const _: () = {
    fn is<X: Sync + ?Sized>() {}
    fn ask<T: Sync + Send>(_: &sync::OnceLock<T>) {
        is::<sync::OnceLock<T>>()
    }
};

const _: () = {
    fn is<X: Send + ?Sized>() {}
    fn ask<T: Send>(_: &sync::OnceLock<T>) {
        is::<sync::OnceLock<T>>()
    }
};

const _: () = {
    fn is<X: ::std::panic::RefUnwindSafe + ?Sized>() {}
    fn ask<T: ::std::panic::RefUnwindSafe + ::std::panic::UnwindSafe>(_: &sync::OnceLock<T>) {
        is::<sync::OnceLock<T>>()
    }
};

const _: () = {
    fn is<X: ::std::panic::UnwindSafe + ?Sized>() {}
    fn ask<T: ::std::panic::UnwindSafe>(_: &sync::OnceLock<T>) {
        is::<sync::OnceLock<T>>()
    }
};

const _: () = {
    fn ask<T>(a0: sync::OnceLock<T>) -> impl Default + From<T> {
        a0
    }
};

const _: () = {
    fn is<X: ::std::fmt::Debug + ?Sized>() {}
    fn ask<T: ::std::fmt::Debug>(_: &sync::OnceLock<T>) {
        is::<sync::OnceLock<T>>()
    }
};

const _: () = {
    fn is<X: Clone + ?Sized>() {}
    fn ask<T: Clone>(_: &sync::OnceLock<T>) {
        is::<sync::OnceLock<T>>()
    }
};

const _: () = {
    fn is<X: PartialEq + ?Sized>() {}
    fn ask<T: PartialEq>(_: &sync::OnceLock<T>) {
        is::<sync::OnceLock<T>>()
    }
};

const _: () = {
    fn is<X: Eq + ?Sized>() {}
    fn ask<T: Eq>(_: &sync::OnceLock<T>) {
        is::<sync::OnceLock<T>>()
    }
};

fn sync_oncestate_is_poisoned<'e0>(a0: &'e0 sync::OnceState) -> bool {
    <sync::OnceState>::is_poisoned(a0)
}

const _: () = {
    fn is<X: Send + Unpin + ::std::panic::UnwindSafe + ::std::fmt::Debug + ?Sized>() {}
    fn ask(_: &sync::OnceState) {
        is::<sync::OnceState>()
    }
};

const fn sync_rwlock_new<T>(a0: T) -> sync::RwLock<T> {
    <sync::RwLock<T>>::new(a0)
}

fn sync_rwlock_read<'e0, T: ?Sized>(
    a0: &'e0 sync::RwLock<T>,
) -> sync::LockResult<sync::RwLockReadGuard<'e0, T>> {
    <sync::RwLock<T>>::read(a0)
}

fn sync_rwlock_try_read<'e0, T: ?Sized>(
    a0: &'e0 sync::RwLock<T>,
) -> sync::TryLockResult<sync::RwLockReadGuard<'e0, T>> {
    <sync::RwLock<T>>::try_read(a0)
}

fn sync_rwlock_write<'e0, T: ?Sized>(
    a0: &'e0 sync::RwLock<T>,
) -> sync::LockResult<sync::RwLockWriteGuard<'e0, T>> {
    <sync::RwLock<T>>::write(a0)
}

fn sync_rwlock_try_write<'e0, T: ?Sized>(
    a0: &'e0 sync::RwLock<T>,
) -> sync::TryLockResult<sync::RwLockWriteGuard<'e0, T>> {
    <sync::RwLock<T>>::try_write(a0)
}

fn sync_rwlock_is_poisoned<'e0, T: ?Sized>(a0: &'e0 sync::RwLock<T>) -> bool {
    <sync::RwLock<T>>::is_poisoned(a0)
}

fn sync_rwlock_clear_poison<'e0, T: ?Sized>(a0: &'e0 sync::RwLock<T>) {
    <sync::RwLock<T>>::clear_poison(a0)
}

fn sync_rwlock_into_inner<T: ?Sized>(a0: sync::RwLock<T>) -> sync::LockResult<T>
where
    T: Sized,
{
    <sync::RwLock<T>>::into_inner(a0)
}

fn sync_rwlock_get_mut<'e0, T: ?Sized>(
    a0: &'e0 mut sync::RwLock<T>,
) -> sync::LockResult<&'e0 mut T> {
    <sync::RwLock<T>>::get_mut(a0)
}

const _: () = {
    fn is<X: Unpin + ?Sized>() {}
    fn ask<T>(_: &sync::RwLock<T>)
    where
        T: Unpin + ?Sized,
    {
        is::<sync::RwLock<T>>()
    }
};

const _: () = {
    fn is<X: ::std::panic::UnwindSafe + ::std::panic::RefUnwindSafe + ?Sized>() {}
    fn ask<T: ?Sized>(_: &sync::RwLock<T>) {
        is::<sync::RwLock<T>>()
    }
};

const _: () = {
    fn is<X: Send + ?Sized>() {}
    fn ask<T: ?Sized + Send>(_: &sync::RwLock<T>) {
        is::<sync::RwLock<T>>()
    }
};

const _: () = {
    fn is<X: Sync + ?Sized>() {}
    fn ask<T: ?Sized + Send + Sync>(_: &sync::RwLock<T>) {
        is::<sync::RwLock<T>>()
    }
};

const _: () = {
    fn is<X: ::std::fmt::Debug + ?Sized>() {}
    fn ask<T: ?Sized + ::std::fmt::Debug>(_: &sync::RwLock<T>) {
        is::<sync::RwLock<T>>()
    }
};

const _: () = {
    fn is<X: Default + ?Sized>() {}
    fn ask<T: Default>(_: &sync::RwLock<T>) {
        is::<sync::RwLock<T>>()
    }
};

const _: () = {
    fn ask<T>(a0: sync::RwLock<T>) -> impl From<T> {
        a0
    }
};

const _: () = {
    fn is<X: Unpin + ?Sized>() {}
    fn ask<'rwlock, T>(_: &sync::RwLockReadGuard<'rwlock, T>)
    where
        T: ?Sized,
    {
        is::<sync::RwLockReadGuard<'rwlock, T>>()
    }
};

const _: () = {
    fn is<X: ::std::panic::UnwindSafe + ::std::panic::RefUnwindSafe + ?Sized>() {}
    fn ask<'rwlock, T>(_: &sync::RwLockReadGuard<'rwlock, T>)
    where
        T: ::std::panic::RefUnwindSafe + ?Sized,
    {
        is::<sync::RwLockReadGuard<'rwlock, T>>()
    }
};

const _: () = {
    fn is<X: Sync + ?Sized>() {}
    fn ask<'e0, T: ?Sized + Sync>(_: &sync::RwLockReadGuard<'e0, T>) {
        is::<sync::RwLockReadGuard<'e0, T>>()
    }
};

const _: () = {
    fn ask<'e0, T: ?Sized>(
        a0: sync::RwLockReadGuard<'e0, T>,
    ) -> impl ::std::ops::Deref<Target = T> {
        a0
    }
};

const _: () = {
    fn is<X: ::std::fmt::Debug + ?Sized>() {}
    fn ask<'e0, T: ?Sized + ::std::fmt::Debug>(_: &sync::RwLockReadGuard<'e0, T>) {
        is::<sync::RwLockReadGuard<'e0, T>>()
    }
};

const _: () = {
    fn is<X: ::std::fmt::Display + ?Sized>() {}
    fn ask<'e0, T: ?Sized + ::std::fmt::Display>(_: &sync::RwLockReadGuard<'e0, T>) {
        is::<sync::RwLockReadGuard<'e0, T>>()
    }
};

fn sync_rwlockwriteguard_downgrade<'rwlock, T: ?Sized>(
    a0: sync::RwLockWriteGuard<'rwlock, T>,
) -> sync::RwLockReadGuard<'rwlock, T> {
    <sync::RwLockWriteGuard<'rwlock, T>>::downgrade(a0)
}

const _: () = {
    fn is<X: Unpin + ::std::panic::UnwindSafe + ::std::panic::RefUnwindSafe + ?Sized>() {}
    fn ask<'rwlock, T>(_: &sync::RwLockWriteGuard<'rwlock, T>)
    where
        T: ?Sized,
    {
        is::<sync::RwLockWriteGuard<'rwlock, T>>()
    }
};

const _: () = {
    fn is<X: Sync + ?Sized>() {}
    fn ask<'e0, T: ?Sized + Sync>(_: &sync::RwLockWriteGuard<'e0, T>) {
        is::<sync::RwLockWriteGuard<'e0, T>>()
    }
};

const _: () = {
    fn ask<'e0, T: ?Sized>(
        a0: sync::RwLockWriteGuard<'e0, T>,
    ) -> impl ::std::ops::Deref<Target = T> + ::std::ops::DerefMut {
        a0
    }
};

const _: () = {
    fn is<X: ::std::fmt::Debug + ?Sized>() {}
    fn ask<'e0, T: ?Sized + ::std::fmt::Debug>(_: &sync::RwLockWriteGuard<'e0, T>) {
        is::<sync::RwLockWriteGuard<'e0, T>>()
    }
};

const _: () = {
    fn is<X: ::std::fmt::Display + ?Sized>() {}
    fn ask<'e0, T: ?Sized + ::std::fmt::Display>(_: &sync::RwLockWriteGuard<'e0, T>) {
        is::<sync::RwLockWriteGuard<'e0, T>>()
    }
};

fn sync_waittimeoutresult_timed_out<'e0>(a0: &'e0 sync::WaitTimeoutResult) -> bool {
    <sync::WaitTimeoutResult>::timed_out(a0)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + PartialEq
            + Eq
            + Copy
            + Clone
            + ?Sized,
    >() {
    }
    fn ask(_: &sync::WaitTimeoutResult) {
        is::<sync::WaitTimeoutResult>()
    }
};
