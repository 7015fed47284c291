//! How many instructions the hot paths take, and whether that is what was accepted: the gate of
//! `.ci/instructions` against slower code, which a busy machine neither opens nor closes.
//!
//! Archive and index are made first, at full speed. Then each part runs by itself, in a process of its
//! own under valgrind's callgrind, which counts between [`only_this_is_counted`] and its return: no
//! set-up, and nothing that the kernel does. What is counted runs on one thread; two runs differ by
//! some thousandths, for hash seeds and addresses.
//!
//! `instructions.json` has the accepted counts, and what they were taken with. Another compiler, C
//! library or valgrind makes other counts of the same code: then the table is printed, and nothing
//! fails. `--accept` writes the file.

mod support;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use ingest::inflate::Inflater;
use serde::{Deserialize, Serialize};
use support::search::{Search, newest};
use support::stages::{self, Files};
use support::{Archive, trail_files};
use trail::parse::Parser;
use traildex::config::Config;
use traildex::daemon::open_store;

/// As few as make a segment whose records are compressed with a dictionary, as those of all larger
/// segments are: 8 MiB of them.
const EVENTS: u64 = 8_000;

/// Of the accepted count: more than this fails.
const MOST: f64 = 1.05;

/// Less than this fails, too: what was won would be lost again without a word.
const LEAST: f64 = 0.90;

const STAGES: [&str; 5] = ["inflate", "split", "parse", "document", "index"];

const SEARCHES: [Search; 5] = [
    newest("newest", COMMON_TERM),
    newest("conjunction", "eventSource:ec2.amazonaws.com AND awsRegion:us-east-1"),
    newest("word", "Decrypt"),
    newest("top ten", "top 10 eventName"),
    Search { limit: 1_000, ..newest("timeline", "timeline 1h") },
];

/// A third of the events.
const COMMON_TERM: &str = "eventSource:ec2.amazonaws.com";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["count", part, archive, index] => {
            run_counted(part, Path::new(archive), Path::new(index));
            ExitCode::SUCCESS
        }
        _ if output("valgrind", &["--version"]).is_none() => {
            eprintln!("nothing is counted: valgrind is not there; .ci/instructions installs it");
            ExitCode::SUCCESS
        }
        // `cargo bench` adds a flag of its own.
        args => gate(args.contains(&"--accept")),
    }
}

/// Counts all parts, and compares them with what is accepted, or accepts them.
fn gate(accept: bool) -> ExitCode {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.json");
    let counted = Counts { with: Tools::of_this_machine(), instructions: count_all() };
    if accept {
        let json = serde_json::to_string_pretty(&counted).expect("counts are JSON");
        fs::write(&path, json + "\n").expect("the accepted counts can be written");
    }
    let accepted = fs::read_to_string(&path).expect("the accepted counts can be read");
    let accepted: Counts = serde_json::from_str(&accepted).expect("the accepted counts are JSON");
    let is_accepted = counted.compare(&accepted);
    if counted.with != accepted.with {
        println!("\nNot compared: the accepted counts were taken with other tools.");
        println!("accepted: {:?}\nhere:     {:?}", accepted.with, counted.with);
        return ExitCode::SUCCESS;
    }
    if is_accepted {
        return ExitCode::SUCCESS;
    }
    println!(
        "\nIf this is as it should be, .ci/instructions --accept writes benches/instructions.json."
    );
    ExitCode::FAILURE
}

/// What `instructions.json` holds.
#[derive(Serialize, Deserialize)]
struct Counts {
    with: Tools,
    /// By part.
    instructions: BTreeMap<String, u64>,
}

impl Counts {
    /// Prints all parts beside what is accepted; returns whether each is within its bounds.
    fn compare(&self, accepted: &Self) -> bool {
        let mut is_accepted = true;
        println!("{:<12} {:>14} {:>14} {:>9}", "PART", "INSTRUCTIONS", "ACCEPTED", "CHANGE");
        for (part, &count) in &self.instructions {
            let Some(&before) = accepted.instructions.get(part) else {
                println!("{part:<12} {count:>14} {:>14} {:>9}  NEW", "-", "-");
                is_accepted = false;
                continue;
            };
            let ratio = count as f64 / before as f64;
            let verdict = match ratio {
                _ if ratio > MOST => format!("  MORE: over {:+.0} %", (MOST - 1.0) * 1e2),
                _ if ratio < LEAST => format!("  LESS: under {:+.0} %", (LEAST - 1.0) * 1e2),
                _ => String::new(),
            };
            is_accepted &= verdict.is_empty();
            println!("{part:<12} {count:>14} {before:>14} {:>+7.2} %{verdict}", ratio * 1e2 - 1e2);
        }
        for part in accepted.instructions.keys() {
            if !self.instructions.contains_key(part) {
                println!("{part:<12} {:>14}  GONE", "-");
                is_accepted = false;
            }
        }
        is_accepted
    }
}

/// What makes other counts of the same code.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tools {
    /// valgrind's processor can do what it knows of what this one can.
    processor: String,
    /// `cargo bench` by itself optimises more.
    profile: String,
    rustc: String,
    /// zstd, libdeflate and the allocator are C.
    cc: String,
    libc: String,
    valgrind: String,
}

impl Tools {
    fn of_this_machine() -> Self {
        let exe = env::current_exe().expect("a program has a path");
        // target/PROFILE/deps/instructions-HASH
        let profile = exe.ancestors().nth(2).and_then(Path::file_name).unwrap_or_default();
        let version = |program, args: &[&str]| output(program, args).unwrap_or_default();
        Self {
            processor: processor(),
            profile: profile.to_string_lossy().into_owned(),
            rustc: version("rustc", &["--version"]),
            cc: version("cc", &["-dumpfullversion", "-dumpversion"]),
            libc: version("getconf", &["GNU_LIBC_VERSION"]),
            valgrind: version("valgrind", &["--version"]),
        }
    }
}

fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    let has_avx2 = is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    let has_avx2 = false;
    format!("{}{}", env::consts::ARCH, if has_avx2 { " with AVX2" } else { "" })
}

/// What a program prints; none where it is not there, or fails.
fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn count_all() -> BTreeMap<String, u64> {
    let archive = Archive::generate(EVENTS);
    let data_dir = tempfile::tempdir().expect("a temporary folder can be made");
    let snapshot = support::index(trail_files(archive.dir.path()), 1, data_dir.path());
    assert_eq!((snapshot.events(), snapshot.segments.len()), (EVENTS, 1));
    drop(snapshot);
    let parts = STAGES.into_iter().chain(SEARCHES.iter().map(|search| search.name));
    parts.map(|part| (part.to_owned(), count(part, archive.dir.path(), data_dir.path()))).collect()
}

/// Runs this program on one part under callgrind; returns how many instructions that took.
fn count(part: &str, archive: &Path, index: &Path) -> u64 {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let out: PathBuf = folder.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    // What the environment says must change nothing.
    command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
    // What other threads do is not counted.
    command.env("RAYON_NUM_THREADS", "1");
    command.args(["--tool=callgrind", "--toggle-collect=*only_this_is_counted*"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(env::current_exe().expect("a program has a path"));
    command.args(["count", part]).args([archive, index]);
    let run = command.stdin(Stdio::null()).output().expect("valgrind can be run");
    assert!(run.status.success(), "{part}: {}", String::from_utf8_lossy(&run.stderr));
    let counted = fs::read_to_string(&out).expect("callgrind wrote what it counted");
    let total = counted.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.trim().parse().ok()).expect("there is a total");
    assert!(total > 0, "{part}: nothing was counted");
    total
}

/// The one function between whose call and return callgrind counts.
#[inline(never)]
fn only_this_is_counted(work: &mut dyn FnMut()) {
    work();
    // Else the call above could become a jump, without a return.
    black_box(());
}

/// Does one part. What it needs is made before it is counted.
fn run_counted(part: &str, archive: &Path, index: &Path) {
    if let Some(search) = SEARCHES.iter().find(|search| search.name == part) {
        let store = open_store(index, &Config::default()).expect("the index opens");
        let snapshot = store.snapshots().load_full();
        // The first search fills caches.
        assert!(search.run(&snapshot).total.value > 0);
        return only_this_is_counted(&mut || drop(black_box(search.run(&snapshot))));
    }
    let files = Files::read(archive);
    let pieces = files.pieces();
    let mut parser = Parser::default();
    match part {
        "inflate" => {
            let (mut inflater, mut buffer) = (Inflater::default(), files.buffer());
            only_this_is_counted(&mut || stages::inflate(&mut inflater, &files, &mut buffer));
        }
        "split" => only_this_is_counted(&mut || stages::split(&files)),
        "parse" => only_this_is_counted(&mut || stages::parse(&mut parser, &pieces)),
        "document" => {
            let mut events = 0;
            only_this_is_counted(&mut || events = stages::document(&mut parser, &pieces));
            assert_eq!(events, EVENTS);
        }
        "index" => {
            let events = stages::index(&mut parser, &pieces, |work| only_this_is_counted(work));
            assert_eq!(events, EVENTS);
        }
        _ => panic!("{part} is no part"),
    }
}
