//! The engine: what a plan reads, what an apply writes, under which faults.

mod harness;
mod slice;
