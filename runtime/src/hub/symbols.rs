//! The names of functions, by addresses of their code.
//!
//! Slow, and takes memory and locks: for those who have time, never inside of a signal handler.

use std::fmt::Write;

#[cfg(feature = "backtrace")]
use crate::sys::frames;
#[cfg(feature = "backtrace")]
use crate::sys::threads;

/// So much of a sleeping thread's stack is searched.
#[cfg(feature = "backtrace")]
const WORDS_MAX: usize = 128;

/// Writes the frames down, one below the other, and gives the names alone too.
#[cfg(feature = "backtrace")]
pub(crate) fn describe(frames: &[usize]) -> (String, Vec<String>) {
    let (mut text, mut names) = (String::new(), Vec::new());
    for frame in frames {
        let before = names.len();
        each_symbol(*frame, |name, place| {
            let _ = writeln!(text, "{:>4}: {name}", names.len());
            if let Some((file, line)) = place {
                let _ = writeln!(text, "             at {file}:{line}");
            }
            names.push(name);
        });
        if names.len() == before {
            let _ = writeln!(text, "{before:>4}: {frame:#x}");
            names.push(String::new());
        }
    }
    backtrace::clear_symbol_cache();
    (text, names)
}

/// Writes the frames down as numbers.
#[cfg(not(feature = "backtrace"))]
pub(crate) fn describe(frames: &[usize]) -> (String, Vec<String>) {
    let mut text = String::new();
    for (n, frame) in frames.iter().enumerate() {
        let _ = writeln!(text, "{n:>4}: {frame:#x}");
    }
    (text, Vec::new())
}

/// Calls `f` with the functions at an address, the innermost of those that were inlined first.
#[cfg(feature = "backtrace")]
fn each_symbol(address: usize, mut f: impl FnMut(String, Option<(String, u32)>)) {
    let address = std::ptr::without_provenance_mut(address);
    backtrace::resolve(address, |symbol| {
        let Some(name) = symbol.name() else { return };
        let place = symbol.filename().zip(symbol.lineno());
        // Without the hash at its end.
        f(format!("{name:#}"), place.map(|(file, line)| (file.display().to_string(), line)));
    });
}

/// Whether a thread whose stack ends at that address sleeps in std's `sleep`: this goes on to
/// sleep after a signal.
#[cfg(feature = "backtrace")]
pub(crate) fn is_in_std_sleep(stack: usize) -> bool {
    let mut words = [0; WORDS_MAX];
    let count = threads::read_words(stack, &mut words);
    words[..count].iter().any(|word| {
        let mut found = false;
        each_symbol(word.wrapping_sub(1), |name, _| {
            found |= name.starts_with("std::") && name.contains("sleep");
        });
        found
    })
}

/// As if it did not: nobody can tell.
#[cfg(not(feature = "backtrace"))]
pub(crate) fn is_in_std_sleep(_stack: usize) -> bool {
    false
}

/// Where the code stands that has called into the runtime.
#[cfg(feature = "backtrace")]
pub(crate) fn caller() -> Option<String> {
    const OURS: [&str; 3] = ["corovent", "std::", "core::"];

    let mut frames = Vec::new();
    frames::walk(|frame| {
        frames.push(frame.code - usize::from(frame.code > 0));
        frames.len() < 64
    });
    let mut found = None;
    for frame in frames {
        each_symbol(frame, |name, place| {
            let name = name.trim_start_matches(['<', '&']);
            let is_ours = OURS.iter().any(|ours| name.starts_with(ours));
            if found.is_none() && !is_ours {
                found = place.map(|(file, line)| format!("{file}:{line}"));
            }
        });
        if found.is_some() {
            break;
        }
    }
    backtrace::clear_symbol_cache();
    found
}

/// Nobody can tell.
#[cfg(not(feature = "backtrace"))]
pub(crate) fn caller() -> Option<String> {
    None
}
