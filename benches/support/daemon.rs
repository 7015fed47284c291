//! A daemon of the program, on an archive of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::program::{run, traildex};

/// A daemon, until it is dropped.
pub struct Daemon {
    process: Child,
    socket: PathBuf,
}

impl Daemon {
    /// Imports archives, and serves their index; tells how large it is.
    pub fn serving(archives: &[&Path], folder: &Path) -> Self {
        let [data_dir, empty, socket] = ["index", "empty", "socket"].map(|name| folder.join(name));
        run(traildex().arg("import").args(archives).arg("--data-dir").arg(&data_dir));
        std::fs::create_dir_all(&empty).expect("a folder can be made");
        let mut serve = traildex();
        serve.arg("serve").arg("--data-dir").arg(&data_dir).arg("--watch").arg(&empty);
        serve.arg("--socket").arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
        let process = serve.spawn().expect("the program can be started");
        let daemon = Self { process, socket };
        while daemon.ask(&["search", "*", "--limit", "0"]).is_none() {
            sleep(Duration::from_millis(200));
        }
        let status = daemon.ask(&["status"]).expect("the daemon answers");
        println!(
            "{} events, {} segments",
            status["events"]["indexed"], status["index"]["segments"]
        );
        daemon
    }

    /// What a command answers as JSON.
    pub fn ask(&self, args: &[&str]) -> Option<Value> {
        let mut asking = traildex();
        asking.args(args).args(["--format", "json", "--socket"]).arg(&self.socket);
        let output = asking.stderr(Stdio::null()).output().expect("the program can be started");
        serde_json::from_slice(&output.stdout).ok()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
