//! What corovent promises, shown by behaviour: one binary, a module for each subject.

// Some tests close or duplicate descriptors behind the runtime's back, as C code would.
#![allow(unsafe_code)]

mod support;

mod deadlocks;
mod descriptors;
mod fairness;
mod joining;
mod killing;
mod memory;
mod order;
mod panics;
mod scopes;
mod shields;
mod sleeping;
mod stacks;
mod tcp;
mod threads;
mod timeouts;
