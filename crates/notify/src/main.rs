//! The `traildex-notify` program: arguments, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    traildex_notify::run_process()
}
