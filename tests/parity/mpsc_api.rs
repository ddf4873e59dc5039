// Written by `.ci/api --write`: what is stable in std, of mpsc.

const _: () = {
    fn is<X: Send + ?Sized>() {}
    fn ask<T>(_: &sync::mpsc::IntoIter<T>)
    where
        T: Send,
    {
        is::<sync::mpsc::IntoIter<T>>()
    }
};

const _: () = {
    fn ask<T>(
        a0: sync::mpsc::IntoIter<T>,
    ) -> impl Unpin + ::std::panic::UnwindSafe + ::std::panic::RefUnwindSafe + Iterator<Item = T>
    {
        a0
    }
};

const _: () = {
    fn is<X: ::std::fmt::Debug + ?Sized>() {}
    fn ask<T: ::std::fmt::Debug>(_: &sync::mpsc::IntoIter<T>) {
        is::<sync::mpsc::IntoIter<T>>()
    }
};

const _: () = {
    fn ask<'a, T>(
        a0: sync::mpsc::Iter<'a, T>,
    ) -> impl Unpin + ::std::panic::UnwindSafe + ::std::panic::RefUnwindSafe + Iterator<Item = T>
    {
        a0
    }
};

const _: () = {
    fn is<X: ::std::fmt::Debug + ?Sized>() {}
    fn ask<'a, T: ::std::fmt::Debug + 'a>(_: &sync::mpsc::Iter<'a, T>) {
        is::<sync::mpsc::Iter<'a, T>>()
    }
};

fn sync_mpsc_receiver_try_recv<'e0, T>(
    a0: &'e0 sync::mpsc::Receiver<T>,
) -> Result<T, sync::mpsc::TryRecvError> {
    <sync::mpsc::Receiver<T>>::try_recv(a0)
}

fn sync_mpsc_receiver_recv<'e0, T>(
    a0: &'e0 sync::mpsc::Receiver<T>,
) -> Result<T, sync::mpsc::RecvError> {
    <sync::mpsc::Receiver<T>>::recv(a0)
}

fn sync_mpsc_receiver_recv_timeout<'e0, T>(
    a0: &'e0 sync::mpsc::Receiver<T>,
    a1: ::std::time::Duration,
) -> Result<T, sync::mpsc::RecvTimeoutError> {
    <sync::mpsc::Receiver<T>>::recv_timeout(a0, a1)
}

fn sync_mpsc_receiver_iter<'e0, T>(a0: &'e0 sync::mpsc::Receiver<T>) -> sync::mpsc::Iter<'e0, T> {
    <sync::mpsc::Receiver<T>>::iter(a0)
}

fn sync_mpsc_receiver_try_iter<'e0, T>(
    a0: &'e0 sync::mpsc::Receiver<T>,
) -> sync::mpsc::TryIter<'e0, T> {
    <sync::mpsc::Receiver<T>>::try_iter(a0)
}

const _: () = {
    fn ask<T>(
        a0: sync::mpsc::Receiver<T>,
    ) -> impl Unpin
    + ::std::panic::UnwindSafe
    + ::std::panic::RefUnwindSafe
    + IntoIterator<Item = T, IntoIter = sync::mpsc::IntoIter<T>>
    + ::std::fmt::Debug {
        a0
    }
};

const _: () = {
    fn is<X: Send + ?Sized>() {}
    fn ask<T: Send>(_: &sync::mpsc::Receiver<T>) {
        is::<sync::mpsc::Receiver<T>>()
    }
};

const _: () = {
    fn ask<'a, T>(
        a0: &'a sync::mpsc::Receiver<T>,
    ) -> impl IntoIterator<Item = T, IntoIter = sync::mpsc::Iter<'a, T>> {
        a0
    }
};

fn sync_mpsc_sender_send<'e0, T>(
    a0: &'e0 sync::mpsc::Sender<T>,
    a1: T,
) -> Result<(), sync::mpsc::SendError<T>> {
    <sync::mpsc::Sender<T>>::send(a0, a1)
}

const _: () = {
    fn is<
        X: Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + Clone
            + ::std::fmt::Debug
            + ?Sized,
    >() {
    }
    fn ask<T>(_: &sync::mpsc::Sender<T>) {
        is::<sync::mpsc::Sender<T>>()
    }
};

const _: () = {
    fn is<X: Send + Sync + ?Sized>() {}
    fn ask<T: Send>(_: &sync::mpsc::Sender<T>) {
        is::<sync::mpsc::Sender<T>>()
    }
};

fn sync_mpsc_syncsender_send<'e0, T>(
    a0: &'e0 sync::mpsc::SyncSender<T>,
    a1: T,
) -> Result<(), sync::mpsc::SendError<T>> {
    <sync::mpsc::SyncSender<T>>::send(a0, a1)
}

fn sync_mpsc_syncsender_try_send<'e0, T>(
    a0: &'e0 sync::mpsc::SyncSender<T>,
    a1: T,
) -> Result<(), sync::mpsc::TrySendError<T>> {
    <sync::mpsc::SyncSender<T>>::try_send(a0, a1)
}

const _: () = {
    fn is<X: Sync + ?Sized>() {}
    fn ask<T>(_: &sync::mpsc::SyncSender<T>)
    where
        T: Send,
    {
        is::<sync::mpsc::SyncSender<T>>()
    }
};

const _: () = {
    fn is<
        X: Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + Clone
            + ::std::fmt::Debug
            + ?Sized,
    >() {
    }
    fn ask<T>(_: &sync::mpsc::SyncSender<T>) {
        is::<sync::mpsc::SyncSender<T>>()
    }
};

const _: () = {
    fn is<X: Send + ?Sized>() {}
    fn ask<T: Send>(_: &sync::mpsc::SyncSender<T>) {
        is::<sync::mpsc::SyncSender<T>>()
    }
};

const _: () = {
    fn ask<'a, T>(
        a0: sync::mpsc::TryIter<'a, T>,
    ) -> impl Unpin + ::std::panic::UnwindSafe + ::std::panic::RefUnwindSafe + Iterator<Item = T>
    {
        a0
    }
};

const _: () = {
    fn is<X: ::std::fmt::Debug + ?Sized>() {}
    fn ask<'a, T: ::std::fmt::Debug + 'a>(_: &sync::mpsc::TryIter<'a, T>) {
        is::<sync::mpsc::TryIter<'a, T>>()
    }
};

fn sync_mpsc_channel<T>() -> (sync::mpsc::Sender<T>, sync::mpsc::Receiver<T>) {
    sync::mpsc::channel()
}

fn sync_mpsc_sync_channel<T>(a0: usize) -> (sync::mpsc::SyncSender<T>, sync::mpsc::Receiver<T>) {
    sync::mpsc::sync_channel(a0)
}
