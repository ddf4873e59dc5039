//! The rows, by the modules that they are of.

mod fs;
mod futures;
mod group;
mod mpsc;
mod net;
mod process;
mod queue;
mod server;
mod sync;
mod task;
mod threadpool;
mod unix;

use crate::case::Row;

const TABLES: &[&[Row]] = &[
    fs::ROWS,
    futures::ROWS,
    group::ROWS,
    mpsc::ROWS,
    net::ROWS,
    process::ROWS,
    queue::ROWS,
    server::ROWS,
    sync::ROWS,
    task::ROWS,
    threadpool::ROWS,
    unix::ROWS,
];

/// All rows of the table.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    TABLES.iter().copied().flatten()
}
