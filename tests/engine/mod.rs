//! The engine: what a plan reads, what an apply writes, under which faults.

mod adoption;
mod bounds;
mod crash;
mod deaths;
mod faults;
mod foreign;
pub mod harness;
mod owner;
mod ownership;
pub mod random;
mod references;
mod schedules;
mod slice;
pub mod state;
