//! The rows, by the modules that they are of.

mod fs;
mod futures;
mod mpsc;
mod net;
mod sync;
mod task;
mod unix;

use crate::case::Row;

/// All rows of the table.
pub(crate) fn rows() -> Vec<Row> {
    [task::ROWS, futures::ROWS, sync::ROWS, mpsc::ROWS, net::ROWS, unix::ROWS, fs::ROWS]
        .concat_rows()
}

trait ConcatRows {
    fn concat_rows(self) -> Vec<Row>;
}

impl<const N: usize> ConcatRows for [&[Row]; N] {
    fn concat_rows(self) -> Vec<Row> {
        let rows = self.into_iter().flatten();
        rows.map(|row| Row { functions: row.functions, make: row.make, lacks: row.lacks }).collect()
    }
}
