//! The `traildex-sql` program: arguments, run, exit code.

use std::process::ExitCode;

/// Rows are made in many small allocations by several threads at once, as segments are by the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    traildex_sql::run_process()
}
