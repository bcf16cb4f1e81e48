//! The engine: what a plan reads, what an apply writes, under which faults.

mod adoption;
mod bounds;
mod faults;
mod harness;
mod references;
mod slice;
