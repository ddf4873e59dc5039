//! The macros that print.

/// Prints to the standard output: the mirror of [`std::print!`].
///
/// While the other side has no room, other coroutines run. std's macro stops the thread, and
/// has another buffer. See [`Stdout`](crate::io::Stdout).
///
/// # Suspends
///
/// Until it has the lock and there is room.
///
/// # Panics
///
/// If it cannot be written.
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => {{
        $crate::io::print_stdout(::core::format_args!($($arg)*));
    }};
}

/// Prints a line to the standard output: the mirror of [`std::println!`]; see [`print!`].
///
/// # Suspends
///
/// Until it has the lock and there is room.
///
/// # Panics
///
/// If it cannot be written.
///
/// # Examples
///
/// ```
/// corovent::println!("{} coroutines", 3);
/// ```
#[macro_export]
macro_rules! println {
    () => {
        $crate::io::print_stdout(::core::format_args!("\n"))
    };
    ($($arg:tt)*) => {{
        $crate::io::print_stdout(::core::format_args!("{}\n", ::core::format_args!($($arg)*)));
    }};
}

/// Prints to the standard error: the mirror of [`std::eprint!`].
///
/// # Suspends
///
/// Until it has the lock and there is room.
///
/// # Panics
///
/// If it cannot be written.
#[macro_export]
macro_rules! eprint {
    ($($arg:tt)*) => {{
        $crate::io::print_stderr(::core::format_args!($($arg)*));
    }};
}

/// Prints a line to the standard error: the mirror of [`std::eprintln!`]; see [`eprint!`].
///
/// # Suspends
///
/// Until it has the lock and there is room.
///
/// # Panics
///
/// If it cannot be written.
#[macro_export]
macro_rules! eprintln {
    () => {
        $crate::io::print_stderr(::core::format_args!("\n"))
    };
    ($($arg:tt)*) => {{
        $crate::io::print_stderr(::core::format_args!("{}\n", ::core::format_args!($($arg)*)));
    }};
}
