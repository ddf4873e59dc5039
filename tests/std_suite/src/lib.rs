//! std's own tests in three worlds: `plain` is std itself, which shows that the tests are taken
//! over rightly; `green` has all imports swapped; `threads` has corovent's sockets, locks, files
//! and processes on std's OS threads.

#![cfg(test)]
#![feature(assert_matches, cfg_target_thread_local)]
#![feature(io_error_uncategorized, thread_sleep_until)]
#![allow(static_mut_refs, warnings)]

use std::fmt::Debug;

/// What the tests call in the place of `unwrap`, for results of locks.
#[track_caller]
pub fn result_unwrap<T, E: Debug>(result: Result<T, E>) -> T {
    result.unwrap()
}

/// What an example's `main` may return.
pub trait Outcome {
    fn check(self);
}

impl Outcome for () {
    fn check(self) {}
}

impl Outcome for std::process::ExitCode {
    fn check(self) {
        assert_eq!(self, std::process::ExitCode::SUCCESS);
    }
}

impl<E: Debug> Outcome for Result<(), E> {
    fn check(self) {
        self.unwrap();
    }
}

/// A world: what its std has for some of std's modules, and the tests.
macro_rules! world {
    ($world:ident, { $($import:item)* }) => {
        pub mod $world {
            /// What the imports lead to.
            pub mod swapped {
                $($import)*
            }

            pub mod std {
                pub use ::std::assert_matches;
                pub use ::std::any;
                pub use ::std::ascii;
                pub use ::std::borrow;
                pub use ::std::cell;
                pub use ::std::char;
                pub use ::std::cmp;
                pub use ::std::collections;
                pub use ::std::env;
                pub use ::std::error;
                pub use ::std::ffi;
                pub use ::std::fmt;
                pub use ::std::hash;
                pub use ::std::hint;
                pub use ::std::iter;
                pub use ::std::marker;
                pub use ::std::mem;
                pub use ::std::num;
                pub use ::std::ops;
                pub use ::std::option;
                pub use ::std::panic;
                pub use ::std::path;
                pub use ::std::pin;
                pub use ::std::prelude;
                pub use ::std::ptr;
                pub use ::std::rc;
                pub use ::std::result;
                pub use ::std::slice;
                pub use ::std::str;
                pub use ::std::string;
                pub use ::std::time;
                pub use ::std::vec;
                pub use crate::Outcome;
                pub use crate::result_unwrap;
                pub use super::swapped::fs;
                pub use super::swapped::io;
                pub use super::swapped::process;
                pub use super::swapped::thread;
                pub use super::swapped::thread_local;

                pub mod net {
                    pub use super::super::swapped::net::*;
                    pub use super::super::ports as test;
                }

                pub mod os {
                    pub use ::std::os::fd;

                    pub mod unix {
                        pub use ::std::os::unix::ffi;
                        pub use ::std::os::unix::io;
                        pub use super::super::super::swapped::os::unix::fs;
                        pub use super::super::super::swapped::os::unix::net;
                        pub use super::super::super::swapped::os::unix::prelude;
                        pub use super::super::super::swapped::os::unix::process;
                    }

                    pub mod linux {
                        pub use super::super::super::swapped::os::linux::fs;
                        pub use super::super::super::swapped::os::linux::net;
                    }
                }

                pub mod sync {
                    pub use super::super::swapped::sync::*;

                    pub mod poison {
                        pub use super::super::super::swapped::sync::*;
                    }
                }

                pub use super::common;
                pub use super::test_helpers;
            }

            include!(concat!(env!("OUT_DIR"), "/", stringify!($world), ".rs"));
        }
    };
}

world!(plain, {
    pub use ::std::fs;
    pub use ::std::io;
    pub use ::std::net;
    pub use ::std::os;
    pub use ::std::process;
    pub use ::std::sync;
    pub use ::std::thread;
    pub use ::std::thread_local;
});

world!(green, {
    pub use corovent::coroutine_local as thread_local;
    pub use corovent::fs;
    pub use corovent::io;
    pub use corovent::net;
    pub use corovent::os;
    pub use corovent::process;
    pub use corovent::sync;
    pub use corovent::thread;
});

world!(threads, {
    pub use ::std::thread;
    pub use ::std::thread_local;
    pub use corovent::fs;
    pub use corovent::io;
    pub use corovent::net;
    pub use corovent::os;
    pub use corovent::process;
    pub use corovent::sync;
});
