//! What the measuring programs and their report share: the line in which a figure is written,
//! who runs on which processor, what the kernel says of a process.

pub mod clients;
pub mod cpu;
pub mod host_memory;
pub mod line;
pub mod memory;

pub use crate::line::Better;
pub use crate::line::Line;
