//! What `traildex hunt` takes: seconds for the pack of rules, and for as many rules as asked, over an
//! archive of so many events.
//!
//! `cargo bench --bench hunt -- 1000000 800` generates a million events and asks 800 rules: the pack again
//! and again, each time with other names and one more condition. The folder that `TMPDIR` names needs 700
//! bytes an event.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

#[path = "support/program.rs"]
mod program;

use program::{Daemon, run, traildex};

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let events: u64 = numbers.next().unwrap_or(1_000_000);
    let wanted: usize = numbers.next().unwrap_or(800) as usize;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let [archive, rules] = ["archive", "rules"].map(|name| folder.path().join(name));
    let mut generate = traildex();
    run(generate.arg("generate").arg(&archive).args(["--events", &events.to_string()]));
    let daemon = Daemon::serving(&[&archive], folder.path());
    vary(&rules, wanted);
    let rules = rules.to_str().expect("the folder has a name");
    for (what, args) in [("the pack", &[][..]), ("its variants", &["--rules", rules])] {
        for turn in ["first", "again"] {
            let started = Instant::now();
            let answer = daemon.ask(&[&["hunt"], args].concat()).expect("it answers");
            let rules = answer["rules"].as_array().expect("it lists the rules");
            let failed = rules.iter().filter(|rule| rule.get("error").is_some()).count();
            println!(
                "{what}, {turn}: {} rules in {:.2} s, {} found something, {failed} failed",
                answer["rules_asked"],
                started.elapsed().as_secs_f64(),
                rules.len() - failed
            );
        }
    }
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
