//! The program itself: for benches of what commands take.

use std::process::{Command, Stdio};

pub fn traildex() -> Command {
    Command::new(env!("CARGO_BIN_EXE_traildex"))
}

pub fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.expect("the program can be started").success(), "{command:?} failed");
}
