//! The `traildex` program: arguments, run, exit code.

use std::process::ExitCode;

use traildex::cli;
use traildex::cli::Cli;

/// Segments are built in many small allocations by several threads at once. Chosen for that by its
/// reputation; not yet measured against the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    segment::steps::set_up();
    cli::run(&Cli::of_process())
}
