//! What `traildex hunt` takes: seconds for the pack of rules, and for as many rules as asked, over an
//! archive of so many events.
//!
//! `cargo bench --bench hunt -- 1000000 800` generates a million events and asks 800 rules: the pack again
//! and again, each time with other names and one more condition. The folder that `TMPDIR` names needs 700
//! bytes an event.

use std::time::Instant;

#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/program.rs"]
mod program;
#[path = "support/rules.rs"]
mod rules;

use daemon::Daemon;
use program::{run, traildex};
use rules::vary;

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
