//! The store on a real directory.

mod expiry;
mod foreign;
mod full;
mod power;
mod remaking;

use std::io::Write as _;

use super::*;
use crate::dedupe::Claim;
use crate::inspect::inspect;
use crate::testing::{built, event};
use crate::verify::verify;
use segment::file::{FileKey, FileRecord, FileState, Reading};
use segment::parts;
use trail::content::{ContentHash, EventKey};
use trail::flat::Event;
use trail::time::Micros;

const CACHE: usize = 1 << 20;

fn merge_of(
    store: &Store,
    inputs: &[SegmentEntry],
    is_sorted: bool,
) -> Result<SegmentEntry, IndexError> {
    merge::merge(&store.files, &store.fields, &store.dictionaries, inputs, is_sorted)
}

/// What a check of the whole index finds.
fn problems(store: &Store) -> Vec<String> {
    let snapshot = store.snapshots().load_full();
    let report = verify(&snapshot, &store.data_dir, &store.files.dir, &|_| {}, false);
    assert_eq!(report.events, snapshot.events());
    report.problems.into_iter().map(|found| format!("{}: {}", found.path, found.problem)).collect()
}

/// Times of all events, ascending.
fn times(store: &Store) -> Vec<i64> {
    let snapshot = store.snapshots().load_full();
    let of = |view: &Arc<SegmentView>| (0..view.events()).map(|doc| view.time(doc).0).collect();
    let mut times: Vec<i64> =
        snapshot.segments.iter().flat_map(|view| -> Vec<i64> { of(view) }).collect();
    times.sort_unstable();
    times
}

/// Which events there are, and that each time range has those in it.
fn check_events(store: &Store, expected: &[i64]) {
    let mut ascending = expected.to_vec();
    ascending.sort_unstable();
    assert_eq!(times(store), ascending);
    let snapshot = store.snapshots().load_full();
    for (start, end) in [(0, 7), (5, 6), (3, 300), (-5, 0), (1_000, 2_000)] {
        let mut found = Vec::new();
        for segment in &snapshot.segments {
            let docs = segment.docs_between(Micros(start), Micros(end)).into_iter().flatten();
            found.extend(docs.map(|doc| segment.time(doc).0));
        }
        found.sort_unstable();
        let within: Vec<i64> =
            ascending.iter().copied().filter(|time| (start..end).contains(time)).collect();
        assert_eq!(found, within, "{start}..{end}");
    }
    for segment in &snapshot.segments {
        for run in &segment.runs {
            let times = run.docs.clone().map(|doc| segment.time(doc));
            assert!(times.is_sorted_by(|a, b| a >= b), "a run is sorted, latest first");
        }
    }
}

#[test]
fn a_commit_makes_events_and_ledger_visible_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), CACHE).unwrap();
    let segment = built(&store, 0, &[5, 1, 9]);
    assert_eq!(store.snapshots().load().events(), 0);
    store.commit(vec![segment]).unwrap();
    check_events(&store, &[1, 5, 9]);
    assert_eq!(store.ledger().get(0).unwrap().unwrap().key.path, "file-0");
    drop(store);
    let store = Store::open(dir.path(), CACHE).unwrap();
    check_events(&store, &[1, 5, 9]);
    assert_eq!(store.ledger().next_number(), 1);
}

#[test]
fn what_was_not_committed_is_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), CACHE).unwrap();
    let committed = built(&store, 0, &[1]);
    store.commit(vec![committed]).unwrap();
    let files = || fs::read_dir(dir.path().join(SEGMENTS)).unwrap().count();
    let before = files();
    built(&store, 1, &[2]);
    assert!(files() > before);
    drop(store);
    let store = Store::open(dir.path(), CACHE).unwrap();
    assert_eq!(files(), before);
    check_events(&store, &[1]);
}

#[test]
fn merges_of_either_kind_change_no_answer() {
    for is_sorted in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), CACHE).unwrap();
        let mut expected = Vec::new();
        for number in 0..7_i64 {
            let times: Vec<i64> = (0..50).map(|n| (n * 37 + number * 11) % 400).collect();
            let segment = built(&store, number as u64, &times);
            store.commit(vec![segment]).unwrap();
            expected.extend(times);
        }
        check_events(&store, &expected);
        let inputs: Vec<_> = store.current.manifest.segments[1..6].to_vec();
        let merged = merge_of(&store, &inputs, is_sorted).unwrap();
        assert_eq!(merged.files.len(), store.current.manifest.segments[0].files.len());
        assert_eq!(merged.runs.len(), if is_sorted { 1 } else { 5 });
        store.replace(&inputs, &[merged]).unwrap();
        assert_eq!(store.snapshots().load().segments.len(), 3);
        check_events(&store, &expected);
        drop(store);
        check_events(&Store::open(dir.path(), CACHE).unwrap(), &expected);
    }
}

#[test]
fn a_data_directory_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), CACHE).unwrap();
    let error = Store::open(dir.path(), CACHE).err().unwrap().to_string();
    assert!(error.contains("used by another traildex process"), "{error}");
    drop(store);
    assert!(Store::open(dir.path(), CACHE).is_ok());
}

/// Three files in a segment each, and a fourth in one with a duplicate of the first's.
fn store_of_four(dir: &Path) -> Store {
    let mut store = Store::open(dir, CACHE).unwrap();
    for number in 0..3 {
        let segment = built(&store, number, &[number as i64, 100 + number as i64]);
        store.commit(vec![segment]).unwrap();
    }
    let mut segment = built(&store, 3, &[3]);
    segment.files[0].reading.records += 1;
    segment.files[0].reading.duplicates += 1;
    store.commit(vec![segment]).unwrap();
    store
}

/// The path of a segment's file.
fn file_of(store: &Store, segment: usize, extension: &str) -> PathBuf {
    let files = &store.current.manifest.segments[segment].files;
    let file = files.iter().find(|file| file.name.ends_with(extension)).unwrap();
    store.files.dir.join(&file.name)
}

fn flip_a_bit(path: &Path, from_end: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() - 1 - from_end;
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn states(store: &Store) -> Vec<(u64, FileState, u64)> {
    let mut states = Vec::new();
    let visit = |record: FileRecord| {
        states.push((record.number, record.state, record.reading.lost));
        Ok::<_, IndexError>(())
    };
    store.ledger().each(visit).unwrap();
    states
}

/// Every way in which one of a segment's files can be damaged.
type Damage = (&'static str, fn(&Path), &'static str);
const DAMAGES: [Damage; 4] = [
    ("a flipped bit", |path| flip_a_bit(path, 10), "its hash does not match"),
    ("missing", |path| fs::remove_file(path).unwrap(), "it is missing"),
    (
        "truncated",
        |path| File::options().write(true).open(path).unwrap().set_len(9).unwrap(),
        "9 bytes long in place of",
    ),
    (
        "longer",
        |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes.push(0);
            fs::write(path, bytes).unwrap();
        },
        "bytes long in place of",
    ),
];

#[test]
fn a_damaged_segment_is_named_and_set_aside_and_its_files_are_read_again() {
    for (extension, _) in parts::extensions() {
        let extension = extension.as_str();
        for (what, damage, reason) in DAMAGES {
            let dir = tempfile::tempdir().unwrap();
            let store = store_of_four(dir.path());
            let path = file_of(&store, 1, extension);
            assert_eq!(problems(&store), [""; 0]);
            drop(store);
            damage(&path);

            let found = inspect(dir.path(), &|_| {}).unwrap().problems;
            let name = path.file_name().unwrap().to_str().unwrap();
            let problem = format!("{}: {}", found[0].path, found[0].problem);
            assert!(problem.contains(name) && problem.contains(reason), "{problem}");

            let mut store = Store::open(dir.path(), CACHE).unwrap();
            let [note] = store.set_aside() else { panic!("{what}: {:?}", store.set_aside()) };
            assert!(note.contains(name) && note.contains(reason), "{what} {extension}: {note}");
            check_events(&store, &[0, 100, 2, 102, 3]);
            // File 1 lost its events; file 3 has a duplicate, whose event may have been there.
            let expected = [
                (0, FileState::Indexed, 0),
                (1, FileState::Reread, 2),
                (2, FileState::Indexed, 0),
                (3, FileState::Reread, 0),
            ];
            assert_eq!(states(&store), expected, "{what} {extension}");
            let key = |number| FileKey { path: format!("file-{number}"), size: 1, mtime_ns: 1 };
            let known = [0, 1, 2, 3].map(|number| store.ledger().is_known(&key(number)));
            assert_eq!(known, [true, false, true, false]);
            assert_eq!(store.ledger().counts().lost, 2);
            assert_eq!(problems(&store), [""; 0], "what was lost is accounted for");

            // Their claims went with them, so they are new events.
            assert_eq!(store.dedupe().claim(event(1, 1).key(), 1).unwrap(), Claim::New);
            assert_eq!(store.dedupe().claim(event(0, 0).key(), 1).unwrap(), Claim::Duplicate);
            let mut again = built(&store, 4, &[1, 101]);
            again.files[0].key = key(1);
            store.commit(vec![again]).unwrap();
            assert_eq!(store.ledger().counts().lost, 0);
            assert_eq!(states(&store)[1], (1, FileState::Replaced, 2));
            drop(store);

            let store = Store::open(dir.path(), CACHE).unwrap();
            assert_eq!(store.set_aside(), [""; 0], "once is enough");
            check_events(&store, &[0, 1, 2, 3, 100, 101, 102]);
            assert_eq!(problems(&store), [""; 0]);
            let [folder] = &opening::set_aside_folders(dir.path())[..] else { panic!() };
            let reason_told = fs::read_to_string(folder.join("reason.txt")).unwrap();
            assert!(reason_told.contains(name), "{reason_told}");
            assert_eq!(folder.join(name).exists(), what != "missing");
        }
    }
}

/// A way to damage the index as a whole, and what is told of it.
type WholeDamage<'d> = (&'d dyn Fn(&Path), &'d str);

#[test]
fn an_index_that_cannot_be_told_from_is_set_aside_whole() {
    let damages: [WholeDamage; 6] = [
        (
            &|dir| flip_a_bit(&dir.join("manifest.json"), 60),
            "manifest.json: its hash does not match",
        ),
        (
            &|dir| flip_a_bit(&dir.join("manifest.json"), 3),
            "manifest.json: its hash does not match",
        ),
        (&|dir| fs::write(dir.join("manifest.json"), "").unwrap(), "its hash is missing"),
        (
            &|dir| fs::remove_file(dir.join("manifest.json")).unwrap(),
            "manifest.json: it is missing",
        ),
        (&|dir| fs::remove_file(dir.join("files.jsonl")).unwrap(), "files.jsonl: it is missing"),
        (&|dir| flip_a_bit(&dir.join("files.jsonl"), 20), "files.jsonl: "),
    ];
    for (damage, reason) in damages {
        let dir = tempfile::tempdir().unwrap();
        let store = store_of_four(dir.path());
        let segment_file = file_of(&store, 0, "records");
        drop(store);
        damage(dir.path());
        let found = inspect(dir.path(), &|_| {}).unwrap().problems;
        assert_eq!(found.len(), 1, "{found:?}");
        let store = Store::open(dir.path(), CACHE).unwrap();
        let [note] = store.set_aside() else { panic!("{reason}: {:?}", store.set_aside()) };
        assert!(note.contains(reason), "{note}");
        assert_eq!(store.snapshots().load().events(), 0);
        assert_eq!(store.ledger().next_number(), 0);
        let [folder] = &opening::set_aside_folders(dir.path())[..] else { panic!() };
        let kept = folder.join(SEGMENTS).join(segment_file.file_name().unwrap());
        assert!(kept.exists(), "nothing damaged is deleted");
        drop(store);
        let mut store = Store::open(dir.path(), CACHE).unwrap();
        assert_eq!(store.set_aside(), [""; 0]);
        let segment = built(&store, 0, &[7]);
        store.commit(vec![segment]).unwrap();
        check_events(&store, &[7]);
    }
}

#[test]
fn a_first_start_that_was_cut_off_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(SEGMENTS)).unwrap();
    fs::write(dir.path().join("files.jsonl"), "").unwrap();
    assert_eq!(Store::open(dir.path(), CACHE).unwrap().set_aside(), [""; 0]);
}

#[test]
fn a_segment_found_damaged_while_running_stops_searches_over_it_and_merges_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_of_four(dir.path());
    flip_a_bit(&file_of(&store, 1, "idx"), 10);
    let snapshot = store.snapshots().load_full();
    let check = |start, end| snapshot.check_whole(Micros(start), Micros(end));
    assert!(check(0, 1_000).is_ok());
    let found = problems(&store);
    assert!(found.len() == 1 && found[0].ends_with(".idx: its hash does not match"), "{found:?}");
    let error = check(0, 1_000).unwrap_err().to_string();
    assert!(error.contains(".idx") && error.contains("traildex rebuild"), "{error}");
    assert!(check(0, 1).is_ok(), "what lies elsewhere in time is answered");
    assert!(check(101, 102).is_err());

    // A merge that comes upon damage marks it too.
    let inputs = store.current.manifest.segments[..3].to_vec();
    flip_a_bit(&file_of(&store, 2, "records"), 10);
    let error = merge_of(&store, &inputs[2..], true).unwrap_err();
    assert!(store.mark_damaged(&inputs, &error), "{error}");
    assert!(!store.mark_damaged(&inputs, &IndexError::Bug("x")));
    assert_eq!(snapshot.segments.iter().filter(|view| view.is_damaged()).count(), 2);
    // One that cannot be read is left alone as well; one that cannot write its output has no input
    // at fault.
    let unread = |path: &Path| IndexError::io(path)(std::io::Error::from_raw_os_error(5));
    assert!(store.mark_damaged(&inputs, &unread(&file_of(&store, 0, "idx"))));
    assert!(!store.mark_damaged(&inputs, &unread(&dir.path().join("segments/new.idx"))));
    assert_eq!(snapshot.segments.iter().filter(|view| view.is_damaged()).count(), 3);
    // Ingest goes on.
    let segment = built(&store, 4, &[4]);
    store.commit(vec![segment]).unwrap();
    assert_eq!(store.snapshots().load().events(), 8);
}

/// tantivy panics at most of what is damaged, and nobody catches that on the commit thread.
#[test]
fn columns_that_are_damaged_do_not_end_the_choice_of_a_merge() {
    let mut unread = 0;
    for eighths in 1..8 {
        let dir = tempfile::tempdir().unwrap();
        let store = store_of_four(dir.path());
        let path = file_of(&store, 1, "fast");
        let length = fs::metadata(&path).unwrap().len();
        let damage = vec![0xFF; (length * eighths / 8) as usize];
        fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(&damage).unwrap();
        for _ in 0..2 {
            store.merge_candidates();
        }
        let segments = &store.snapshots().load().segments;
        unread += segments.iter().filter(|view| view.values_of_a_column().is_none()).count();
    }
    assert!(unread > 0, "the damage is met");
}

#[test]
fn a_rebuild_takes_the_place_of_the_old_index_in_one_step() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_of_four(dir.path());
    let visible = store.snapshots();
    store.begin_rebuild(Micros(i64::MIN)).unwrap();
    let segment = built(&store, 0, &[0]);
    store.commit(vec![segment]).unwrap();
    assert_eq!(visible.load().events(), 7, "searches see the old index");
    assert_eq!(store.ledger().next_number(), 1);
    assert_eq!(store.dedupe().claim(event(0, 1).key(), 1).unwrap(), Claim::New);
    assert_eq!(store.lost_by_promotion().unwrap(), 6);
    drop(store);

    // Ended by a crash: the old index is as it was, and nothing of the new is left.
    let check_old = |store: &Store| {
        assert_eq!(store.snapshots().load().events(), 7);
        assert_eq!(problems(store), [""; 0]);
        assert_eq!(opening::ledgers(dir.path()).unwrap().len(), 1);
        let files = fs::read_dir(dir.path().join(SEGMENTS)).unwrap().count();
        let named: usize = store.current.manifest.segments.iter().map(|s| s.files.len()).sum();
        assert_eq!(files, named);
    };
    let mut store = Store::open(dir.path(), CACHE).unwrap();
    check_old(&store);

    // Given up: the same, and it is written to again.
    let visible = store.snapshots();
    store.begin_rebuild(Micros(i64::MIN)).unwrap();
    let segments: Vec<_> = (0..2).map(|n| built(&store, n, &[50 + n as i64])).collect();
    store.commit(segments).unwrap();
    store.abandon_rebuild();
    check_old(&store);
    assert_eq!(store.dedupe().claim(event(0, 0).key(), 1).unwrap(), Claim::Duplicate);

    store.begin_rebuild(Micros(i64::MIN)).unwrap();
    let segments: Vec<_> = (0..2).map(|n| built(&store, n, &[50 + n as i64])).collect();
    store.commit(segments).unwrap();
    store.promote().unwrap();
    assert_eq!(visible.load().events(), 2);
    let segment = built(&store, 2, &[60]);
    store.commit(vec![segment]).unwrap();
    assert_eq!(visible.load().events(), 3, "what is committed after is seen");
    assert_eq!(store.dedupe().claim(event(2, 60).key(), 1).unwrap(), Claim::Duplicate);
    assert_eq!(problems(&store), [""; 0]);
    drop(store);
    let store = Store::open(dir.path(), CACHE).unwrap();
    check_events(&store, &[50, 51, 60]);
    let ledgers = opening::ledgers(dir.path()).unwrap();
    assert_eq!(ledgers, [dir.path().join("files.2.jsonl")]);
}

#[test]
fn what_is_not_ours_in_the_data_directory_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(store_of_four(dir.path()));
    let mine = ["files-2024.jsonl", "segments/notes.txt", "files.old.jsonl"];
    for name in mine {
        fs::write(dir.path().join(name), "mine").unwrap();
    }
    fs::create_dir(dir.path().join("segments/lost+found")).unwrap();
    let store = Store::open(dir.path(), CACHE).unwrap();
    assert_eq!(store.set_aside(), [""; 0]);
    assert!(mine.iter().all(|name| dir.path().join(name).exists()));
}

#[test]
fn with_damaged_keys_no_event_is_taken_for_new() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_of_four(dir.path());
    flip_a_bit(&file_of(&store, 1, "keys"), 10);
    assert_eq!(store.dedupe().claim(event(9, 9).key(), 1).unwrap(), Claim::New);
    assert_eq!(problems(&store).len(), 1);
    let error = store.dedupe().claim(event(8, 8).key(), 1).unwrap_err();
    assert!(matches!(error, IndexError::Damaged { .. }), "{error}");
}

#[test]
fn an_event_is_claimed_once_across_batches_segments_merges_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), CACHE).unwrap();
    let key = |n: u64| event(0, n as i64).key();
    let conflict = |n| EventKey { content: ContentHash::default(), ..key(n) };
    let dedupe = Arc::clone(store.dedupe());
    assert_eq!(dedupe.claim(key(1), 1).unwrap(), Claim::New);
    assert_eq!(dedupe.claim(key(1), 1).unwrap(), Claim::Duplicate);
    assert_eq!(dedupe.claim(key(1), 2).unwrap(), Claim::Duplicate);
    assert_eq!(dedupe.claim(conflict(1), 2).unwrap(), Claim::Conflict);
    assert_eq!(dedupe.claim(conflict(1), 2).unwrap(), Claim::Duplicate);
    dedupe.withdraw(2);
    assert_eq!(
        dedupe.claim(conflict(1), 2).unwrap(),
        Claim::Conflict,
        "a batch that was given up is forgotten"
    );
    dedupe.withdraw(2);

    let mut number = 0;
    let mut commit = |store: &mut Store, times: &[i64]| {
        let segment = built(store, number, times);
        number += 1;
        store.commit(vec![segment]).unwrap();
        store.dedupe().release_through(1);
    };
    commit(&mut store, &[1, 5, 9]);
    assert_eq!(dedupe.claim(key(1), 2).unwrap(), Claim::Duplicate, "the segment knows it");
    assert_eq!(dedupe.claim(conflict(1), 2).unwrap(), Claim::Conflict);
    dedupe.withdraw(2);
    for _ in 0..3 {
        commit(&mut store, &[20]);
    }
    let inputs = store.current.manifest.segments.clone();
    let merged = merge_of(&store, &inputs, true).unwrap();
    store.replace(&inputs, &[merged]).unwrap();
    assert_eq!(dedupe.claim(key(9), 2).unwrap(), Claim::Duplicate, "a merge forgets nothing");
    drop(dedupe);
    drop(store);
    let store = Store::open(dir.path(), CACHE).unwrap();
    assert_eq!(store.dedupe().claim(key(5), 1).unwrap(), Claim::Duplicate);
    assert_eq!(store.dedupe().claim(key(6), 1).unwrap(), Claim::New);
}

/// Contents of one id: as many as would take minutes, if each were compared with all before it.
#[test]
fn a_claim_costs_no_more_the_more_contents_its_id_has() {
    const CONTENTS: u64 = 300_000;
    let key = |n: u64| EventKey { id: 7, content: ContentHash::of_bytes(&n.to_le_bytes()) };
    let started = std::time::Instant::now();
    let dedupe = Dedupe::default();
    assert_eq!(dedupe.claim(key(0), 1).unwrap(), Claim::New);
    for n in 1..CONTENTS {
        assert_eq!(dedupe.claim(key(n), 1).unwrap(), Claim::Conflict);
    }
    assert_eq!(dedupe.claim(key(CONTENTS / 2), 1).unwrap(), Claim::Duplicate);
    assert_eq!(dedupe.claims() as u64, CONTENTS);
    assert_eq!(dedupe.claim(key(CONTENTS), 2).unwrap(), Claim::Conflict);
    dedupe.release_through(1);
    assert_eq!(dedupe.claims(), 1, "that of the second batch");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.keys");
    let keys_of = (0..CONTENTS).map(key).collect();
    keys::write(keys_of, vec![7], &mut File::create(&path).unwrap()).unwrap();
    dedupe.set_committed(vec![KeySet::open(&path).unwrap()]);
    for n in 0..20_000 {
        assert_eq!(dedupe.claim(key(n), 3).unwrap(), Claim::Duplicate);
        assert_eq!(dedupe.claim(key(CONTENTS + 1 + n), 3).unwrap(), Claim::Conflict);
    }
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
