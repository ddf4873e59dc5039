//! What the real files call below them: the checker's atomics, a futex and an eventfd made of
//! its locks.

pub(crate) mod atomic;
pub(crate) mod epoll;
pub(crate) mod futex;

pub(crate) mod single_threaded {
    //! A model has several threads.

    pub(crate) use crate::sys::atomic::*;
}

pub(crate) mod threads {
    //! How many processors there are.

    pub(crate) fn has_one_processor() -> bool {
        false
    }
}

pub(crate) mod process {
    //! Ends of the process, which fail a model.

    pub(crate) fn abort_with(message: &str) -> ! {
        panic!("{message}");
    }
}

pub(crate) mod blocks {
    real!("sys/blocks.rs");
}
pub(crate) mod clock {
    real!("sys/clock.rs");
}
pub(crate) mod lock {
    real!("sys/lock.rs");
}
pub(crate) mod records {
    real!("sys/records.rs");
}
