//! Addresses of code as functions and lines, and which of them are the user's: for dumps, for the
//! watchdog, and for messages that name a place.
//!
//! That is slow, and takes memory and locks: for those who have time, never in a signal handler. It
//! takes a stack too, so a coroutine has it done on a thread of its own. Without the feature
//! `backtrace` nothing is known but the addresses.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::env;
use std::ffi::OsStr;
use std::fmt::Write;
use std::path::Path;
use std::path::PathBuf;
use std::thread;

use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicUsize;
use crate::sys::atomic::Ordering;
use crate::sys::fork;
use crate::sys::fork::Repair;

/// What is known of addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Symbols {
    /// The calls at an address, innermost first: one that was inlined is before its caller.
    calls: HashMap<usize, Vec<Call>>,
}

/// A call in a function.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) address: usize,
    pub(crate) function: Option<String>,
    /// As the compiler saw it, or from the working directory on if it is in there.
    pub(crate) file: Option<PathBuf>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
    /// Whether the function is the runtime's or std's, and not the user's.
    pub(crate) is_machinery: bool,
}

/// Crates whose functions are not the user's.
const MACHINERY: [&str; 8] =
    ["corovent", "corovent_runtime", "corovent_net", "corosensei", "std", "core", "alloc", "test"];
/// The beginnings of the names of functions that lead to `main` or to a thread, unwind, or switch
/// stacks.
const STARTERS: [&str; 8] =
    ["__rust", "_Unwind_", "__libc_start", "_start", "start_thread", "clone", "__clone", "stack_"];

impl Symbols {
    /// Looks up what is known of addresses, which are where calls return to. Nothing is if no
    /// thread can be started.
    pub(crate) fn of(addresses: BTreeSet<usize>) -> Symbols {
        if addresses.is_empty() {
            return Symbols::default();
        }
        let look_up = move || Symbols::look_up(addresses);
        let helper = thread::Builder::new().name("corovent symbol".to_owned()).spawn(look_up);
        helper.ok().and_then(|helper| helper.join().ok()).unwrap_or_default()
    }

    /// The same on the calling thread, which has a stack of the usual size.
    pub(crate) fn look_up(addresses: BTreeSet<usize>) -> Symbols {
        let Some(_underway) = Underway::begin() else { return Symbols::default() };
        let here = env::current_dir().unwrap_or_default();
        let of = |address| (address, calls_at(address, &here));
        Symbols { calls: addresses.into_iter().map(of).collect() }
    }

    /// The calls at the addresses of a trace, innermost first.
    pub(crate) fn calls<'a>(&'a self, addresses: &'a [usize]) -> impl Iterator<Item = &'a Call> {
        addresses.iter().filter_map(|address| self.calls.get(address)).flatten()
    }
}

/// How many threads look symbols up, and hold locks of other crates and of the loader for it.
static UNDERWAY: AtomicUsize = AtomicUsize::new(0);
/// The process was forked off meanwhile: here nobody will ever free those locks.
static IS_STUCK: AtomicBool = AtomicBool::new(false);
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// One of them, until it is dropped.
pub(crate) struct Underway(());

impl Underway {
    /// `None` if somebody of the parent's was at it when this process was forked off.
    pub(crate) fn begin() -> Option<Underway> {
        fork::watch(&LookUps, &IS_WATCHED);
        if IS_STUCK.load(Ordering::Relaxed) {
            return None;
        }
        UNDERWAY.fetch_add(1, Ordering::SeqCst);
        Some(Underway(()))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        UNDERWAY.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Looking up, as a fork concerns it.
struct LookUps;

impl Repair for LookUps {
    fn child(&self) {
        IS_STUCK.fetch_or(UNDERWAY.load(Ordering::SeqCst) > 0, Ordering::Relaxed);
    }
}

impl Call {
    /// The function, or its address if that is not known.
    pub(crate) fn name(&self) -> String {
        self.function.clone().unwrap_or_else(|| format!("{:#x}", self.address))
    }

    /// The file and the line, if both are known.
    pub(crate) fn place(&self) -> Option<String> {
        Some(format!("{}:{}", self.file.as_ref()?.display(), self.line?))
    }

    /// Writes it as a line of a backtrace.
    pub(crate) fn write(&self, text: &mut String, with_address: bool) {
        text.push_str("    ");
        if with_address {
            let _ = write!(text, "{:#x} ", self.address);
        }
        text.push_str(&self.name());
        if let Some(place) = self.place() {
            let _ = write!(text, " at {place}");
        }
        text.push('\n');
    }
}

/// The calls between the outermost and the innermost of the user's.
pub(crate) fn users<'a, 'b>(calls: &'b [&'a Call]) -> &'b [&'a Call] {
    let is_users = |call: &&Call| !call.is_machinery;
    let Some(first) = calls.iter().position(is_users) else { return &[] };
    let last = calls.iter().rposition(is_users).unwrap_or(first);
    &calls[first..=last]
}

#[cfg(feature = "backtrace")]
fn calls_at(address: usize, here: &Path) -> Vec<Call> {
    let mut calls = Vec::new();
    // The address is where the call returns to, which may be the next line.
    let inside = std::ptr::without_provenance_mut(address.saturating_sub(1));
    backtrace::resolve(inside, |symbol| {
        let function = symbol.name().map(|name| format!("{name:#}"));
        let file = symbol.filename();
        calls.push(Call {
            address,
            is_machinery: function.as_deref().is_some_and(|name| is_machinery(name, file)),
            function,
            file: file.map(|file| file.strip_prefix(here).unwrap_or(file).to_owned()),
            line: symbol.lineno(),
            column: symbol.colno(),
        });
    });
    if calls.is_empty() {
        calls.push(unknown(address));
    }
    calls
}

#[cfg(not(feature = "backtrace"))]
fn calls_at(address: usize, _: &Path) -> Vec<Call> {
    vec![unknown(address)]
}

fn unknown(address: usize) -> Call {
    Call { address, function: None, file: None, line: None, column: None, is_machinery: false }
}

/// Whether a function with that name, in that file, is the runtime's or std's.
#[cfg_attr(not(feature = "backtrace"), allow(dead_code))]
fn is_machinery(name: &str, file: Option<&Path>) -> bool {
    match (home_of(name), file) {
        (Some(home), _) => MACHINERY.contains(&home),
        // Debug information of lines alone, as optimised programs often have it, gives the names of
        // functions without their crates.
        (None, Some(file)) => {
            // Where its debug information is installed, those of the C library have files.
            let is_rust = file.extension().is_some_and(|extension| extension == "rs");
            name.contains("corosensei") || is_in_machinery(file) || !is_rust && is_starter(name)
        }
        (None, None) => name == "main" || name.contains("corosensei") || is_starter(name),
    }
}

#[cfg_attr(not(feature = "backtrace"), allow(dead_code))]
fn is_starter(name: &str) -> bool {
    STARTERS.iter().any(|starter| name.starts_with(starter))
}

/// Whether a file is the runtime's or std's, wherever those were built.
fn is_in_machinery(file: &Path) -> bool {
    let of_std = file.starts_with("/rustc") || lies_in(file, "rustlib/src/rust/library".as_ref());
    let mut folders = file.iter().filter_map(OsStr::to_str);
    of_std || folders.any(|name| name.starts_with("corosensei-")) || is_ours(file)
}

/// Whether a file is of this crate or of that of the sockets, which lies beside it, also where each
/// has its version in its name.
fn is_ours(file: &Path) -> bool {
    let Some(sources) = Path::new(file!()).parent() else { return false };
    let Some(house) = sources.parent() else { return false };
    // Without one, `src` would be everybody's.
    let Some(name) = house.file_name().and_then(OsStr::to_str) else { return false };
    let beside = house.with_file_name(name.replace("runtime", "net"));
    lies_in(file, sources) || lies_in(file, &beside.join("src"))
}

/// Whether a file lies in a folder, of which the end is known, or all.
fn lies_in(file: &Path, folder: &Path) -> bool {
    file.ancestors().any(|above| above.ends_with(folder))
}

/// The crate of a function, or of the type whose method it is; `None` for a name without a path.
fn home_of(name: &str) -> Option<&str> {
    let mut rest = name;
    // `<&mut [T] as a::Trait>::method` is the trait's, if the type has no path.
    if let Some(inside) = name.strip_prefix('<') {
        let (of_type, of_trait) = inside.split_once(" as ").unwrap_or((inside, inside));
        let of_type = of_type.trim_start_matches(['&', '*', '[', '(', '<', ' ']);
        let of_type = of_type.trim_start_matches("mut ").trim_start_matches("const ");
        let of_type = of_type.trim_start_matches("dyn ");
        let path = of_type.split([' ', ',', '<', '>', ')', ']', '{']).next().unwrap_or_default();
        rest = if path.contains("::") { path } else { of_trait };
    }
    let (home, _) = rest.split_once("::")?;
    // Of `block<a::B>` the first path is that of what it is made for.
    home.chars().all(|letter| letter.is_alphanumeric() || letter == '_').then_some(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_told_from_the_machinery() {
        for (name, expected) in [
            ("corovent_runtime::hub::wait::Hub::block", true),
            // Of a method, as newer compilers write it.
            ("<corovent_runtime::hub::Hub>::block", true),
            ("<corovent_net::tcp::TcpStream as std::io::Read>::read", true),
            ("<&corovent_net::tcp::TcpStream as std::io::Read>::read", true),
            ("<alloc::boxed::Box<F,A> as core::ops::function::FnOnce<Args>>::call_once", true),
            ("<T as core::convert::Into<U>>::into", true),
            ("<&mut T as std::io::Read>::read", true),
            ("std::panicking::catch_unwind", true),
            ("__rust_try", true),
            ("main", true),
            ("_start", true),
            ("server::main", false),
            ("server::serve::{{closure}}", false),
            ("<server::Server>::serve", false),
            ("<server::Body as std::io::Read>::read", false),
            ("<&mut server::Body as std::io::Read>::read", false),
            ("<dyn server::Handler as core::any::Any>::type_id", false),
            ("corovent_server::main", false),
            ("qsort_r", false),
            ("their_callback", false),
        ] {
            assert_eq!(is_machinery(name, None), expected, "{name}");
        }
    }

    /// A program with debug information of lines alone showed the runtime's own functions as the
    /// user's, and said that the user waits in them.
    #[test]
    fn a_name_without_its_crate_is_told_by_the_file() {
        let own = Path::new("/home/of/it").join(file!());
        let houses = own.ancestors().nth(3).unwrap();
        let net = houses.join("net/src/tcp/mod.rs");
        for (name, file, expected) in [
            ("throw", own.to_str().unwrap(), true),
            ("read", net.to_str().unwrap(), true),
            ("call_once<fn()>", "/rustc/0a1b/library/core/src/ops/function.rs", true),
            ("catch_unwind<()>", "/a/rustlib/src/rust/library/std/src/panic.rs", true),
            ("resume", "/a/registry/corosensei-0.3.4/src/coroutine.rs", true),
            ("block_with<server::{closure_env#0}>", own.to_str().unwrap(), true),
            ("main", "/home/of/them/src/main.rs", false),
            ("{closure#0}<std::net::tcp::TcpStream>", "/home/of/them/src/main.rs", false),
            ("{closure#0}", "/home/of/them/src/main.rs", false),
            ("clone_all", "/home/of/them/src/main.rs", false),
            ("server::serve", "/home/of/them/src/main.rs", false),
            ("__libc_start_main_impl", "./csu/../csu/libc-start.c", true),
            ("start_thread", "./nptl/pthread_create.c", true),
            ("clone3", "../sysdeps/unix/sysv/linux/x86_64/clone3.S", true),
            ("start_thread", "/home/of/them/src/main.rs", false),
            ("their_callback", "/home/of/them/src/callback.c", false),
        ] {
            assert_eq!(is_machinery(name, Some(Path::new(file))), expected, "{name} {file}");
        }
    }
}
