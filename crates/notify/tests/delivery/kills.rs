//! Kills at any time, while changes flow: nothing is lost, the order stays, and what is delivered twice
//! has the same key. `TRAILDEX_KILLS` says how many kills.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::program::{Program, json_lines};
use crate::server::{Act, Request, Server};
use crate::source::Source;

/// Of a target: keys and numbers of what it got, in the order in which it came.
fn check(name: &str, got: &[Value], last: u64) {
    let number = |value: &Value| value["number"].as_u64().unwrap();
    let mut keys: BTreeMap<u64, &str> = BTreeMap::new();
    let mut newest = 0;
    for value in got {
        let number = number(value);
        // The next one, or one that was under way when the program was killed.
        assert!(number <= newest + 1, "{name}: {number} came behind {newest}");
        newest = newest.max(number);
        let key = value["key"].as_str().unwrap();
        assert_eq!(*keys.entry(number).or_insert(key), key, "{name}: {number}");
    }
    assert_eq!(newest, last, "{name}");
    assert_eq!(keys.len() as u64, last, "{name}: some were lost");
    let distinct: std::collections::BTreeSet<_> = keys.values().collect();
    assert_eq!(distinct.len(), keys.len(), "{name}: two have the same key");
}

/// The whole lines of a file. One that a kill has torn is there as far as it came, and whole behind that.
fn whole_lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut whole = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(value) => whole.push(value),
            Err(error) => {
                let next = lines.get(at + 1).unwrap_or_else(|| panic!("{error}: {line}"));
                assert!(next.starts_with(line), "{error}: {line}");
            }
        }
    }
    whole
}

#[test]
fn nothing_is_lost_whenever_the_program_is_killed() {
    let kills: u32 =
        std::env::var("TRAILDEX_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(50);
    let mut program = Program::new();
    let source = Arc::new(Source::start(program.folder()));
    let acts: Vec<Act> = (0..kills * 40)
        .map(|n| match n % 11 {
            3 => Act::Answer(503),
            7 => Act::BreakOff,
            _ => Act::Answer(200),
        })
        .collect();
    let server = Server::https(&acts, &program.path("roots.pem"));
    let targets = format!(
        "[[webhook]]\nname = 'hook'\nurl = 'https://localhost:{}/'\nroots_file = 'roots.pem'\n\
         pause_ms_min = 10\npause_ms_max = 20\n\
         [[file]]\nname = 'log'\npath = 'a.ndjson'\n\
         [[command]]\nname = 'run'\nargv = ['/bin/sh', '-c', 'exec cat >> b.ndjson']\n",
        server.address.port()
    )
    .replace("b.ndjson", program.path("b.ndjson").to_str().unwrap());
    program.configure(&source.socket, &targets);

    let is_done = Arc::new(AtomicBool::new(false));
    let raising = thread::spawn({
        let (source, is_done) = (Arc::clone(&source), Arc::clone(&is_done));
        move || {
            let mut count = 0;
            while !is_done.load(Ordering::SeqCst) {
                source.raise(&format!("p{count}"));
                count += 1;
                thread::sleep(Duration::from_millis(4));
            }
            count
        }
    });
    for kill in 0..kills {
        program.start();
        // A start takes some 10 ms; from within it to well behind it.
        let chance = RandomState::new().hash_one(kill) % 120;
        thread::sleep(Duration::from_millis(5 + chance));
        assert!(program.is_running(), "{}", program.log());
        program.kill();
    }
    is_done.store(true, Ordering::SeqCst);
    let count = raising.join().unwrap();
    program.start();
    for target in ["hook", "log", "run"] {
        program.wait_until("the end", || {
            // It runs beside what it asks about.
            thread::sleep(Duration::from_millis(200));
            let status = program.status_of(target);
            status["read_to"] == count && status["waiting"] == 0
        });
    }
    program.stop();
    let hooked: Vec<Value> = server.requests().iter().map(Request::json).collect();
    println!("{kills} kills, {count} changes, {} requests", hooked.len());
    check("hook", &hooked, count);
    check("log", &whole_lines(&program.path("a.ndjson")), count);
    check("run", &json_lines(&program.path("b.ndjson")), count);
    for target in ["hook", "log", "run"] {
        assert_eq!(program.status_of(target)["dead_letters"], 0);
    }
}
