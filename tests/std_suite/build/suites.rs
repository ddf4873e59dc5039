//! The files of std's tests, and what is left out of them.

/// A file of std's tests.
pub struct Suite {
    /// Its name here.
    pub name: &'static str,
    /// Its path below `library/std`.
    pub file: &'static str,
    /// What `super` means in it, below the world.
    pub parent: &'static str,
    /// What it finds in its parent without that being public.
    pub extra: &'static str,
    /// Tests of what is not stable.
    pub unstable: &'static [&'static str],
    /// Other tests that are left out: of one world, or of all if that is empty; with the reason.
    pub left_out: &'static [(&'static str, &'static str, &'static str)],
}

/// All files with tests.
pub const SUITES: &[Suite] = &[
    // What the tests share.
    suite("common", "tests/common/mod.rs"),
    suite("ports", "src/net/test.rs"),
    suite("test_helpers", "src/test_helpers.rs"),
    // The tests.
    suite("barrier", "tests/sync/barrier.rs"),
    suite("condvar", "tests/sync/condvar.rs"),
    suite("lazy_lock", "tests/sync/lazy_lock.rs"),
    suite("mpsc", "tests/sync/mpsc.rs"),
    Suite { unstable: &["send_timeout"], ..suite("mpsc_sync", "tests/sync/mpsc_sync.rs") },
    Suite {
        unstable: &[
            "test_get_cloned",
            "test_set",
            "test_set_drop",
            "test_replace",
            "test_mapping_mapped_guard",
            "test_get_cloned_poison",
            "test_set_poison",
            "test_replace_poison",
            "test_mutex_arc_poison_mapped",
            "panic_while_mapping_unlocked_poison",
            "test_mutex_with_mut",
        ],
        ..suite("mutex", "tests/sync/mutex.rs")
    },
    suite("once", "tests/sync/once.rs"),
    Suite {
        unstable: &["get_or_try_init"],
        left_out: &[(
            "green",
            "sync_once_cell_does_not_leak_partially_constructed_boxes",
            "its readers spin, and a coroutine that spins lets no other run",
        )],
        ..suite("once_lock", "tests/sync/once_lock.rs")
    },
    Suite {
        unstable: &[
            "poison_test_rwlock_try_write",
            "test_get_cloned",
            "test_set",
            "test_replace",
            "test_mapped_read_guard_covariance",
            "test_mapping_mapped_guard",
            "test_get_cloned_poison",
            "test_set_poison",
            "test_replace_poison",
            "test_rw_arc_poison_mapped_w_r",
            "test_rw_arc_poison_mapped_w_w",
            "test_rw_arc_no_poison_mapped_r_r",
            "test_rw_arc_no_poison_mapped_r_w",
            "panic_while_mapping_read_unlocked_no_poison",
            "panic_while_mapping_write_unlocked_poison",
            "test_rwlock_with",
            "test_rwlock_with_mut",
        ],
        ..suite("rwlock", "tests/sync/rwlock.rs")
    },
    suite("thread_local", "tests/thread_local/tests.rs"),
    suite("thread_local_dynamic", "tests/thread_local/dynamic_tests.rs"),
    Suite {
        parent: "thread",
        unstable: &["test_thread_os_id_not_equal"],
        left_out: &[("", "test_named_thread_truncation", "there is no pthread with a name")],
        ..suite("threads", "src/thread/tests.rs")
    },
    suite("thread", "tests/thread.rs"),
    Suite { unstable: &["linger", "read_buf"], ..suite("tcp", "src/net/tcp/tests.rs") },
    Suite {
        left_out: &[("", "debug", "it looks into a private field")],
        ..suite("udp", "src/net/udp/tests.rs")
    },
    Suite {
        parent: "os::unix::net",
        unstable: &[
            "test_unix_datagram_peek_from",
            "test_unix_datagram_peek",
            "test_unix_stream_peek",
            "test_send_vectored_fds_unix_stream",
            "test_send_vectored_with_ancillary_to_unix_datagram",
            "test_send_vectored_with_ancillary_unix_datagram",
        ],
        ..suite("unix", "src/os/unix/net/tests.rs")
    },
    Suite {
        parent: "process",
        unstable: &["child_stdout_read_buf"],
        ..suite("process", "src/process/tests.rs")
    },
    Suite {
        parent: "fs",
        unstable: &[
            "file_test_read_buf",
            "test_seek_read_buf",
            "test_read_buf_exact_at",
            "test_read_buf_at",
            "test_fs_set_times",
            "test_fs_set_times_on_dir",
            "test_fs_set_times_follows_symlink",
            "test_fs_set_times_nofollow",
            "test_dir_smoke_test",
            "test_dir_read_file",
        ],
        left_out: &[("", "dir_entry_debug", "it looks into a private field")],
        ..suite("fs", "src/fs/tests.rs")
    },
    suite("pipe", "src/io/pipe/tests.rs"),
    Suite {
        extra: "const DEFAULT_BUF_SIZE: usize = 8 * 1024;",
        ..suite("copy", "src/io/copy/tests.rs")
    },
    Suite {
        parent: "io",
        extra: "use std::sync::Arc; use std::sync::Mutex;",
        ..suite("stdio", "src/io/stdio/tests.rs")
    },
];

const fn suite(name: &'static str, file: &'static str) -> Suite {
    Suite { name, file, parent: "", extra: "", unstable: &[], left_out: &[] }
}

/// Names that are imported, and used in tests of what is unstable only.
pub const UNSTABLE: &[&str] = &[
    "AncillaryData",
    "BorrowedBuf",
    "Dir",
    "MappedMutexGuard",
    "MappedRwLockReadGuard",
    "MappedRwLockWriteGuard",
    "SendTimeoutError",
    "SocketAncillary",
    "UnixSocketExt",
];

/// Files whose documentation has examples.
pub const EXAMPLES: &[&str] = &[
    "src/fs.rs",
    "src/io/copy.rs",
    "src/io/mod.rs",
    "src/io/pipe.rs",
    "src/io/stdio.rs",
    "src/net/tcp.rs",
    "src/net/udp.rs",
    "src/os/net/linux_ext/addr.rs",
    "src/os/net/linux_ext/tcp.rs",
    "src/os/unix/fs.rs",
    "src/os/unix/net/addr.rs",
    "src/os/unix/net/datagram.rs",
    "src/os/unix/net/listener.rs",
    "src/os/unix/net/stream.rs",
    "src/os/unix/process.rs",
    "src/process.rs",
    "src/sync/barrier.rs",
    "src/sync/lazy_lock.rs",
    "src/sync/mod.rs",
    "src/sync/mpsc.rs",
    "src/sync/once.rs",
    "src/sync/once_lock.rs",
    "src/sync/poison.rs",
    "src/sync/poison/condvar.rs",
    "src/sync/poison/mutex.rs",
    "src/sync/poison/rwlock.rs",
    "src/thread/builder.rs",
    "src/thread/current.rs",
    "src/thread/functions.rs",
    "src/thread/id.rs",
    "src/thread/join_handle.rs",
    "src/thread/local.rs",
    "src/thread/mod.rs",
    "src/thread/scoped.rs",
    "src/thread/thread.rs",
];

/// Examples that are left out: of one world, or of all if that is empty; by their file and a part
/// of the code; with the reason.
pub const EXAMPLES_LEFT_OUT: &[LeftOut] = &[];

/// What names an example.
pub struct LeftOut {
    pub world: &'static str,
    pub file: &'static str,
    pub part: &'static str,
    pub reason: &'static str,
}
