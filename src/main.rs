//! Parse, run, exit code.

use std::process::ExitCode;

/// A run makes and frees millions of small pieces on several threads; the allocators of glibc and musl give little of
/// that back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    fusionkeep::cli::main()
}
