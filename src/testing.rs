//! Tests of programs: the same code under many orders of scheduling.

pub use corovent_runtime::testing::seeds;
pub use corovent_runtime::testing::with_seed;
