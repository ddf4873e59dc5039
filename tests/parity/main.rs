//! The mirror held against std: one body, two `use` lists.
//!
//! Each `*_api.rs` beside this file is written by `.ci/api` from what is stable in std: a function
//! of the signature of each method, and a question for each implementation of a trait. It is
//! compiled twice, with std's modules and with ours, so that a drift breaks the build. `traits.rs`
//! asks which traits the types have *not*; the other files are small programs that run in both
//! worlds and must say the same.

// Functions of the signatures of std's that are unsafe.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;

/// What a type is: its name, and each trait with whether it has it.
type Answers = (&'static str, Vec<(&'static str, bool)>);

/// Of one thread, but shared by all.
type Guard = std::sync::MutexGuard<'static, u8>;

/// Whether a type implements a trait: the inherent constant goes before that of the trait.
macro_rules! implements {
    ($type:ty, $trait:path) => {{
        #[allow(dead_code)]
        trait Otherwise {
            const ANSWER: bool = false;
        }

        struct Question<T: ?Sized>(#[allow(dead_code)] PhantomData<T>);

        impl<T: ?Sized> Otherwise for Question<T> {}

        #[allow(dead_code)]
        impl<T: ?Sized + $trait> Question<T> {
            const ANSWER: bool = true;
        }

        Question::<$type>::ANSWER
    }};
}

/// Asks a type for all traits that types of these modules may have.
macro_rules! answers {
    ($type:ty) => {
        answers!(
            $type: Send, Sync, Unpin, std::panic::UnwindSafe, std::panic::RefUnwindSafe,
            std::fmt::Debug, std::fmt::Display, std::error::Error, Clone, Copy, Default, PartialEq,
            Eq, PartialOrd, Ord, std::hash::Hash, std::io::Read, std::io::Write, std::io::Seek,
            std::io::BufRead, std::os::fd::AsFd, std::os::fd::AsRawFd, std::os::fd::IntoRawFd,
            std::os::fd::FromRawFd, From<std::os::fd::OwnedFd>, Into<std::os::fd::OwnedFd>,
            Iterator, DoubleEndedIterator, ExactSizeIterator, std::iter::FusedIterator,
            std::ops::Deref, std::ops::DerefMut
        )
    };
    ($type:ty: $($trait:path),*) => {
        (stringify!($type), vec![$((stringify!($trait), implements!($type, $trait))),*])
    };
}

/// Compiles the bodies in one world.
macro_rules! world {
    ($world:ident: $($import:item)*) => {
        #[allow(clippy::all, dead_code, deprecated, unreachable_pub, unused_imports)]
        mod $world {
            mod imports {
                $($import)*
            }

            use super::*;
            use imports::*;

            include!("fs_api.rs");
            include!("io_api.rs");
            include!("mpsc_api.rs");
            include!("net_api.rs");
            include!("process_api.rs");
            include!("programs.rs");
            include!("sync_api.rs");
            include!("thread_api.rs");
            include!("traits_api.rs");
            include!("unix_api.rs");

            pub(super) fn all_traits() -> Vec<Answers> {
                traits()
            }

            pub(super) fn all_texts() -> Vec<String> {
                texts()
            }
        }
    };
}

world!(green:
    pub use corovent::net;
    pub use corovent::os;
    pub use corovent::thread;
    pub use corovent::thread_local;
    pub use corovent::fs;
    pub use corovent::io;
    pub use corovent::process;
    pub use corovent::sync;
);

world!(plain:
    pub use std::fs;
    pub use std::io;
    pub use std::net;
    pub use std::os;
    pub use std::process;
    pub use std::sync;
    pub use std::thread;
    pub use std::thread_local;
);

/// What differs on purpose.
fn allowed() -> Vec<String> {
    let lines = include_str!("allowed.txt").lines().filter(|line| line.starts_with("trait "));
    // A path has colons of its own; what differs ends with a parenthesis.
    lines.map(|line| line[..=line.find("): ").unwrap()].to_owned()).collect()
}

#[test]
fn the_traits_are_stds() {
    let mut differences = Vec::new();
    for (ours, std) in green::all_traits().iter().zip(plain::all_traits()) {
        for ((name, ours_has), (_, std_has)) in ours.1.iter().zip(&std.1) {
            if ours_has != std_has {
                differences.push(format!("trait {name} of {} ({ours_has})", ours.0));
            }
        }
    }
    assert_eq!(differences, allowed());
    // The question is one that can be answered with no.
    assert!(!implements!(Rc<u8>, Send) && implements!(Cell<u8>, Send));
    assert!(!implements!(Guard, Send) && implements!(Guard, Sync));
}

#[test]
fn programs_say_what_they_say_with_std() {
    let (ours, theirs) = (green::all_texts(), plain::all_texts());
    assert_eq!(ours.len(), theirs.len());
    let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(theirs.len() > 50);
}
