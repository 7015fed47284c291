//! What `traildex validate` takes on an archive of some size: seconds, CPU seconds, memory. The archive's
//! log files have one event each, so the figures are of files and digests, not of bytes.
//!
//! `cargo bench --bench validate -- 30000 33` makes 30,000 digests with 33 files each; the folder that
//! `TMPDIR` names needs 4.2 KB a file. The page cache is warm.

#![allow(dead_code)] // The maker of chains is that of the tests.

#[path = "../tests/evidence/chain.rs"]
mod chain;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bench::usage::Usage;
use chain::{Chain, key_list, write};
use wire::ValidateReport;

/// Regions that a trail of all regions delivers from.
const REGIONS: usize = 17;

/// Between two looks at what the program uses.
const LOOK: Duration = Duration::from_millis(20);

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let digests: usize = numbers.next().unwrap_or(1_700);
    let files: usize = numbers.next().unwrap_or(33);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (copy, keys) = (folder.path().join("copy"), folder.path().join("keys.json"));
    make(&copy, digests, files);
    write(&keys, key_list(&[0], false).as_bytes());

    let report = fs::File::create(folder.path().join("report")).expect("a file can be made");
    let mut validate = traildex();
    validate.arg("validate").arg(&copy).arg("--public-keys").arg(&keys).args(["--format", "json"]);
    let started = Instant::now();
    let mut child = validate.stdout(report).spawn().expect("the program can be started");
    let used = until(&mut child, |child| child.try_wait().is_ok_and(|ended| ended.is_some()));
    let report = fs::read_to_string(folder.path().join("report")).expect("it has a report");
    let report: ValidateReport = serde_json::from_str(&report).expect("the report is JSON");
    assert!(report.is_verified, "all of it is verified");
    println!(
        "validate: {digests} digests, {files} files each: {:.1} s, {:.1} CPU s, {} MiB",
        started.elapsed().as_secs_f64(),
        used.cpu_s,
        used.own_bytes >> 20
    );

    let logs = copy.join("AWSLogs/111122223333/CloudTrail");
    let without = daemon(folder.path(), &logs, &keys, &|ask| !ask(&["status"]).is_empty());
    let with = daemon(folder.path(), &copy, &keys, &|ask| {
        serde_json::from_slice(&ask(&["validate", "--indexed"]))
            .is_ok_and(|judged: ValidateReport| judged.is_verified && judged.files == report.files)
    });
    println!(
        "daemon: it judges them in {:.1} CPU s; {} MiB, and {} MiB where it has no digests",
        with.cpu_s - without.cpu_s,
        with.own_bytes >> 20,
        without.own_bytes >> 20
    );
}

/// An archive of all regions, signed and whole.
fn make(copy: &Path, digests: usize, files: usize) {
    fs::create_dir(copy).expect("a folder can be made");
    for region in 0..REGIONS {
        let mut chain = Chain::new(copy);
        chain.region = format!("xx-region-{region}");
        for _ in 0..digests / REGIONS {
            chain.hour(files);
        }
        chain.save_metadata();
    }
}

/// Runs the program with these arguments and the daemon's socket, and gives what it prints.
type Ask<'a> = dyn Fn(&[&str]) -> Vec<u8> + 'a;

/// What a daemon used over an index of these files, until it is done.
fn daemon(folder: &Path, watched: &Path, keys: &Path, is_done: &dyn Fn(&Ask<'_>) -> bool) -> Usage {
    let folder = tempfile::tempdir_in(folder).expect("a temporary folder can be made");
    let [data_dir, socket, config] =
        ["index", "socket", "config"].map(|name| folder.path().join(name));
    let mut import = traildex();
    import.arg("import").arg(watched).arg("--data-dir").arg(&data_dir).stderr(Stdio::null());
    assert!(import.status().expect("the program can be started").success());
    let keys = keys.display().to_string();
    fs::write(&config, format!("[evidence]\npublic_keys = [{keys:?}]\n")).expect("it is written");
    let mut serve = traildex();
    serve.arg("serve").arg("--config").arg(&config).arg("--data-dir").arg(&data_dir);
    serve.arg("--watch").arg(watched).arg("--socket").arg(&socket).stderr(Stdio::null());
    let mut child = serve.spawn().expect("the program can be started");
    let ask = |args: &[&str]| {
        let mut asking = traildex();
        asking.args(args).args(["--format", "json", "--socket"]).arg(&socket);
        asking.stderr(Stdio::null()).output().map(|output| output.stdout).unwrap_or_default()
    };
    let used = until(&mut child, |_| is_done(&ask));
    child.kill().expect("it ends");
    child.wait().expect("it ends");
    used
}

fn traildex() -> Command {
    Command::new(env!("CARGO_BIN_EXE_traildex"))
}

/// The most that a program has used until it has done its work.
fn until(child: &mut Child, is_done: impl Fn(&mut Child) -> bool) -> Usage {
    let mut most = Usage::default();
    loop {
        if let Ok(used) = Usage::of(child.id()) {
            most.cpu_s = most.cpu_s.max(used.cpu_s);
            most.own_bytes = most.own_bytes.max(used.own_bytes);
        }
        if is_done(child) {
            return most;
        }
        sleep(LOOK);
    }
}
