//! What `traildex hunt` takes: seconds for the pack of rules, and for as many rules as asked, over an
//! archive of so many events.
//!
//! `cargo bench --bench hunt -- 1000000 800` generates a million events and asks 800 rules: the pack again
//! and again, each time with other names and one more condition. The folder that `TMPDIR` names needs 700
//! bytes an event.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let events: u64 = numbers.next().unwrap_or(1_000_000);
    let wanted: usize = numbers.next().unwrap_or(800) as usize;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let [archive, empty, data_dir, socket, rules] =
        ["archive", "empty", "index", "socket", "rules"].map(|name| folder.path().join(name));
    let mut generate = traildex();
    run(generate.arg("generate").arg(&archive).args(["--events", &events.to_string()]));
    let mut import = traildex();
    run(import.arg("import").arg(&archive).arg("--data-dir").arg(&data_dir));
    fs::create_dir_all(&empty).expect("a folder can be made");
    let mut serve = traildex();
    serve.arg("serve").arg("--data-dir").arg(&data_dir).arg("--watch").arg(&empty);
    serve.arg("--socket").arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
    let mut daemon = serve.spawn().expect("the program can be started");
    let ask = |args: &[&str]| -> Option<Value> {
        let mut asking = traildex();
        asking.args(args).args(["--format", "json", "--socket"]).arg(&socket);
        let output = asking.stderr(Stdio::null()).output().expect("the program can be started");
        serde_json::from_slice(&output.stdout).ok()
    };
    while ask(&["search", "*", "--limit", "0"]).is_none() {
        sleep(Duration::from_millis(200));
    }
    let status = ask(&["status"]).expect("the daemon answers");
    println!("{} events, {} segments", status["events"]["indexed"], status["index"]["segments"]);
    vary(&rules, wanted);
    let rules = rules.to_str().expect("the folder has a name");
    for (what, args) in [("the pack", &[][..]), ("its variants", &["--rules", rules])] {
        for turn in ["first", "again"] {
            let started = Instant::now();
            let answer = ask(&[&["hunt"], args].concat()).expect("it answers");
            let found = answer["rules"].as_array().map_or(0, Vec::len);
            println!(
                "{what}, {turn}: {} rules in {:.2} s, {found} of them found something",
                answer["rules_asked"],
                started.elapsed().as_secs_f64()
            );
        }
    }
    daemon.kill().expect("it ends");
    daemon.wait().expect("it ends");
}

/// Writes the pack's files again and again, until so many rules are asked by themselves.
fn vary(folder: &Path, wanted: usize) {
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    let entries = fs::read_dir(pack).expect("the pack is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "yml"));
    files.sort();
    fs::create_dir_all(folder).expect("a folder can be made");
    for number in 0..wanted {
        let file = &files[number % files.len()];
        let text = fs::read_to_string(file).expect("it can be read");
        let turn = number / files.len();
        let name = file.file_stem().and_then(|name| name.to_str()).expect("it has a name");
        fs::write(folder.join(format!("{name}-{turn}.yml")), variant(&text, turn))
            .expect("it can be written");
    }
}

/// A file of rules with other names, each with a condition more.
fn variant(text: &str, turn: usize) -> String {
    let named = text.lines().filter_map(|line| line.strip_prefix("name: "));
    let names: Vec<&str> = named.map(str::trim).collect();
    let mut variant = String::new();
    for line in text.lines() {
        let rest = line.trim_start().trim_start_matches("- ");
        let value = rest.strip_prefix("name: ").or(rest.strip_prefix("of: ")).unwrap_or(rest);
        if let Some(condition) =
            line.strip_prefix("    condition: ").filter(|text| !text.is_empty())
        {
            let _ = writeln!(variant, "    variant_{turn}:");
            let _ = writeln!(variant, "        userAgent|contains: variant-{turn}");
            let _ = writeln!(variant, "    condition: ({condition}) and not variant_{turn}");
        } else if names.contains(&value) {
            let _ = writeln!(variant, "{line}-{turn}");
        } else if !line.starts_with("id: ") {
            let _ = writeln!(variant, "{line}");
        }
    }
    variant
}

fn traildex() -> Command {
    Command::new(env!("CARGO_BIN_EXE_traildex"))
}

fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.expect("the program can be started").success(), "{command:?} failed");
}
