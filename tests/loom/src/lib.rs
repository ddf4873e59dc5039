//! The runtime's files that threads share, compiled against the atomics of a model checker, and
//! the programs that it runs over them.
//!
//! The files are those of `runtime/src`, changed by `build.rs` alone. What stands beside them
//! here is what they call in the kernel and in the hub: `sys/` and `hub/` of this directory.
//! A hub's loop cannot run: stacks are switched by assembly that the checker knows nothing of.
//! `hub::Hub` here is a hub of one task, that sleeps and is woken as the real one is.

#![cfg(test)]
#![allow(clippy::unwrap_used)]

/// A file of the runtime.
macro_rules! real {
    ($file:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $file));
    };
}

mod error {
    real!("error.rs");
}
mod hub;
mod join {
    real!("join.rs");
}
mod models;
mod once_box;
mod order;
mod packet {
    mod body {
        real!("packet/body.rs");
    }
    mod extras {
        real!("packet/extras.rs");
    }
    pub(crate) mod links {
        real!("packet/links.rs");
    }
    real!("packet/mod.rs");
}
mod poller;
mod scheduler;
mod select;
mod sites;
mod sync {
    mod line {
        real!("sync/line.rs");
    }
    pub(crate) mod mpsc {
        mod blocks {
            real!("sync/mpsc/blocks.rs");
        }
        pub(crate) mod channel {
            real!("sync/mpsc/channel.rs");
        }
        pub(crate) mod receiving {
            real!("sync/mpsc/receiving.rs");
        }
        mod ring {
            real!("sync/mpsc/ring.rs");
        }
        pub(crate) mod sending {
            real!("sync/mpsc/sending.rs");
        }
    }
    pub(crate) mod once {
        real!("sync/once.rs");
    }
    pub(crate) mod permits {
        real!("sync/permits.rs");
    }
    mod poison {
        real!("sync/poison.rs");
    }
    pub(crate) mod raw_lock {
        mod waiting {
            real!("sync/raw_lock/waiting.rs");
        }
        real!("sync/raw_lock.rs");
    }
}
mod sys;
mod task;
mod wait_queue {
    pub(crate) mod list {
        real!("wait_queue/list.rs");
    }
    real!("wait_queue.rs");
}
