//! What is judged has bounds, and what lies beyond them is never told as if it had been looked at.

use std::path::Path;

use evidence::{Bounds, Filter, Finding, Options};
use serde_json::{Value, json};
use traildex::config::Config;
use traildex::daemon::read_limits;
use traildex::evidence::{Disk, Given};
use wire::{Chain, DigestState, Integrity};

use crate::chain::{Bench, gzip, write};

/// All that a judgement finds.
#[derive(Default)]
struct Found {
    files: Vec<(String, Integrity, bool)>,
    digests: Vec<DigestState>,
    chains: Vec<Chain>,
    notes: Vec<String>,
}

impl Found {
    fn state(&self, path: &Path) -> Integrity {
        let is_it = |(named, ..): &&(String, Integrity, bool)| {
            path.ends_with(named) || Path::new(named) == path
        };
        self.files.iter().find(is_it).expect("every file has a state").1
    }

    fn count(&self, state: Integrity) -> usize {
        self.files.iter().filter(|(_, of, _)| *of == state).count()
    }
}

fn judge(bench: &Bench, has_keys: bool, bounds: Bounds) -> Found {
    let keys = if has_keys { vec![bench.keys.clone()] } else { Vec::new() };
    let given = Given::read(&keys).unwrap();
    let disk = Disk::new(vec![bench.copy.clone()], read_limits(&Config::default()));
    // To the end of the last hour: what no digest covers before it is a gap.
    let end = trail::time::Micros(bench.chain.start.as_microsecond());
    let filter = Filter { end: Some(end), ..Filter::default() };
    let options = Options { roots: &[], filter: &filter, metadata: &given.metadata, bounds };
    let mut found = Found::default();
    evidence::validate_each(&disk, &given.keys, &options, &mut |finding| match finding {
        Finding::File { path, state, reason, .. } => {
            found.files.push((path.to_owned(), state, reason.is_some()));
        }
        Finding::Digest { state, .. } => found.digests.push(state),
        Finding::Chain(chain) => found.chains.push(chain),
        Finding::Note(note) => found.notes.push(note),
    });
    found
}

/// A log file of the chain's first hour that no digest lists.
fn injected(bench: &Bench, logs: &[std::path::PathBuf]) -> std::path::PathBuf {
    let path = logs[0].to_str().unwrap().replace("0000001", "9999999");
    write(Path::new(&path), &gzip(b"{\"Records\":[]}", 6));
    assert!(path.starts_with(bench.copy.to_str().unwrap()));
    path.into()
}

#[test]
fn digests_beyond_the_bound_make_nothing_unlisted_missing_or_a_gap() {
    let (bench, hours) = Bench::whole();
    let injected = injected(&bench, &hours[0].logs);
    let all = judge(&bench, true, Bounds::LARGE);
    assert_eq!(all.state(&injected), Integrity::Unlisted);
    assert_eq!(all.count(Integrity::Verified), 9);
    assert!(all.chains.iter().all(|chain| chain.gaps.is_empty()), "{:?}", all.chains);
    for digests in 0..4 {
        let some = judge(&bench, true, Bounds { digests, ..Bounds::LARGE });
        let [note] = &some.notes[..] else { panic!("{:?}", some.notes) };
        assert!(note.starts_with(&format!("{} digests are not read", 4 - digests)), "{note}");
        assert_eq!(some.digests.len(), digests);
        assert!(!some.digests.contains(&DigestState::Missing), "{digests}");
        assert!(some.chains.iter().all(|chain| chain.gaps.is_empty()), "{digests}");
        assert_eq!(some.state(&injected), Integrity::NotCovered);
        assert!(some.files.iter().all(|(path, state, has_reason)| {
            let is_good = matches!(state, Integrity::Verified | Integrity::Listed);
            is_good || (*state == Integrity::NotCovered && *has_reason) || panic!("{path}: {state}")
        }));
    }
}

#[test]
fn files_beyond_the_bound_are_not_told_as_unlisted() {
    let (bench, hours) = Bench::whole();
    let injected = injected(&bench, &hours[0].logs);
    // Without keys no digest is verified.
    let all = judge(&bench, false, Bounds::LARGE);
    assert_eq!((all.count(Integrity::Listed), all.state(&injected)), (9, Integrity::Unlisted));
    let some = judge(&bench, false, Bounds { unsigned_files: 3, ..Bounds::LARGE });
    assert_eq!(some.count(Integrity::Listed), 3);
    assert_eq!(some.count(Integrity::NotCovered), 7, "{:?}", some.files);
    assert!(some.notes.iter().all(|note| note.contains("list too many")), "{:?}", some.notes);
    // What verified digests list is all read, so they say of their hours what they say.
    let signed = judge(&bench, true, Bounds { unsigned_files: 0, ..Bounds::LARGE });
    assert_eq!(signed.count(Integrity::Verified), 9);
    assert_eq!(signed.state(&injected), Integrity::Unlisted);
}

#[test]
fn a_digest_of_a_million_files_costs_no_more_than_its_bytes() {
    let mut bench = Bench::new();
    let many = |digest: &mut Value| digest["logFiles"] = json!(vec![0; 1_000_000]);
    bench.chain.hour_with(1, many);
    bench.chain.hour(1);
    for has_keys in [false, true] {
        let found = judge(&bench, has_keys, Bounds { unsigned_files: 10, ..Bounds::LARGE });
        assert!(
            found.notes.iter().any(|note| note.contains("it is no digest")),
            "{:?}",
            found.notes
        );
        assert_eq!(found.count(Integrity::Listed), 1, "the other digest counts");
    }
}
