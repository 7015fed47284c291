//! A bag that whoever made it sealed, and that says what its originals do not: each lie is named.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bundle::{Indexed, check_code, events, is_good, named, text, tree, verify};
use crate::bundle_hostile::{bag, seal, wrong};
use crate::chain::{Bench, gzip, write};
use crate::common::{Place, record, run, sample};

const EVENTS: &str = "data/events.ndjson";
const REPORT: &str = "data/reports/bundle.json";

/// Writes another file of a bag, seals it, and returns what is named; then all is as before.
fn with(bag: &Path, path: &str, content: &[u8]) -> Vec<String> {
    let before = fs::read(bag.join(path)).ok();
    write(&bag.join(path), content);
    seal(bag);
    let names = wrong(bag).0.into_iter().collect();
    match before {
        Some(before) => fs::write(bag.join(path), before).unwrap(),
        None => {
            fs::remove_file(bag.join(path)).unwrap();
            let folders = Path::new(path).ancestors().skip(1);
            let _ = folders.take_while(|folder| fs::remove_dir(bag.join(folder)).is_ok()).count();
        }
    }
    seal(bag);
    names
}

/// The same, of a file that is left out.
fn without(bag: &Path, path: &str) -> Vec<String> {
    let before = fs::read(bag.join(path)).unwrap();
    fs::remove_file(bag.join(path)).unwrap();
    seal(bag);
    let names = wrong(bag).0.into_iter().collect();
    fs::write(bag.join(path), before).unwrap();
    seal(bag);
    names
}

/// The same, of a text that is put in place of another, where that stands first.
#[track_caller]
fn edited(bag: &Path, path: &str, from: &str, to: &str) -> Vec<String> {
    let before = fs::read_to_string(bag.join(path)).unwrap();
    assert!(before.contains(from), "{path} has no {from}: {before}");
    with(bag, path, before.replacen(from, to, 1).as_bytes())
}

/// A bag with one event whose record is repaired, and one that has no ID.
fn repaired() -> (Indexed, PathBuf) {
    let place = Place::new();
    let stray = record("stray").replace("\"}", "\",}");
    let nameless = record("x").replace(",\"eventID\":\"x\"", "");
    assert!(!nameless.contains("eventID"), "{nameless}");
    write(&place.archive().join("a.json"), format!("{{\"Records\":[{stray}]}}").as_bytes());
    write(&place.archive().join("b.json"), format!("{{\"Records\":[{nameless}]}}").as_bytes());
    let indexed = Indexed::of(&place.archive());
    let out = indexed.out("bag");
    check_code(&indexed.bundle("*", &out, &[]), 0);
    is_good(&out, &[]);
    (indexed, out)
}

#[test]
fn what_an_event_says_of_itself_is_what_its_record_says() {
    let (_indexed, _bench, out) = bag();
    let lines = fs::read_to_string(out.join(EVENTS)).unwrap();
    let line = lines.lines().next().unwrap();
    let first = &events(&out)[0];
    let member = |key: &str| format!("\"{key}\":\"{}\"", first[key].as_str().unwrap());
    let record = line.split_once("\"event\":").unwrap().1.strip_suffix('}').unwrap();
    let raw = serde_json::to_string(record).unwrap();
    let forged = record.replace("bert", "eve");
    assert_ne!(forged, record);
    let flags = "\"flags\":".to_owned();
    let lies = [
        (member("id"), "\"id\":\"00000009-0000-4000-8000-111122223333\"".to_owned()),
        (member("id"), "\"id\":\"0:12\"".to_owned()),
        (member("time"), "\"time\":\"2023-11-05T07:30:15Z\"".to_owned()),
        (member("source"), member("source").replace("_CloudTrail_", "_cloudTrail_")),
        (flags.clone(), format!("\"record_offset\":0,{flags}")),
        (flags.clone(), format!("\"actor\":\"alice\",{flags}")),
        (format!("{flags}[]"), format!("{flags}[{}\"x\"]", "\"x\",".repeat(64))),
        // A genuine record does not make another event genuine, nor does another hash.
        (format!("\"event\":{record}"), format!("\"raw\":{raw},\"event\":{forged}")),
        (
            format!("\"event\":{record}"),
            format!("\"raw\":{},\"event\":{forged}", raw.replace("bert", "eve")),
        ),
    ];
    for (from, to) in lies {
        assert!(edited(&out, EVENTS, &from, &to).contains(&EVENTS.to_owned()), "{to}");
    }
    is_good(&out, &[]);
}

#[test]
fn a_repaired_event_is_its_record_repaired_and_no_other() {
    let (_indexed, out) = repaired();
    let text = fs::read_to_string(out.join(EVENTS)).unwrap();
    let event = events(&out).into_iter().find(|event| event["raw"].is_string()).unwrap();
    let raw = event["raw"].as_str().unwrap();
    let quoted = serde_json::to_string(raw).unwrap();
    assert!(text.contains(&quoted));
    let forged = quoted.replace("GetObject", "PutObject");
    assert_ne!(forged, quoted);
    for (from, to) in [
        (
            &*format!("{quoted},\"event\":{{"),
            &*format!("{quoted},\"event\":{{\"eventName\":\"StopLogging\","),
        ),
        (&*quoted, &*forged),
        ("\"id\":\"stray\"", "\"id\":\"other\""),
    ] {
        assert!(edited(&out, EVENTS, from, to).contains(&EVENTS.to_owned()), "{to}");
    }
    // Of a record without an ID, the place is the ID.
    let nameless = events(&out).into_iter().find(|event| event["raw"].is_null()).unwrap();
    let id = nameless["id"].as_str().unwrap();
    for other in ["other", &id.replace(':', ":1"), &format!("x{id}")] {
        let (from, to) = (format!("\"id\":\"{id}\""), format!("\"id\":\"{other}\""));
        assert_eq!(edited(&out, EVENTS, &from, &to), [EVENTS], "{to}");
    }
}

#[test]
fn a_record_is_one_event_and_all_are_no_longer_than_their_file() {
    let (_indexed, _bench, out) = bag();
    let lines = fs::read_to_string(out.join(EVENTS)).unwrap();
    let counts = fs::read_to_string(out.join(REPORT)).unwrap();
    let first = lines.lines().next().unwrap();
    fs::write(out.join(EVENTS), format!("{first}\n{lines}")).unwrap();
    let more = ["events\": 9", "events_found\": 9", "events_in_originals\": 9"]
        .iter()
        .fold(counts.clone(), |text, from| text.replace(from, &from.replace('9', "10")));
    fs::write(out.join(REPORT), more).unwrap();
    seal(&out);
    let (names, found) = wrong(&out);
    assert!(names.len() == 1 && found.to_string().contains("another line has it"), "{found:#}");
    fs::write(out.join(EVENTS), &lines).unwrap();
    fs::write(out.join(REPORT), &counts).unwrap();
    seal(&out);
    is_good(&out, &[]);
}

#[test]
fn only_what_an_index_would_take_for_a_record_is_one() {
    let (_indexed, bench, out) = bag();
    let lines = fs::read_to_string(out.join(EVENTS)).unwrap();
    let first = events(&out)[0].clone();
    let content = crate::common::contents(&out.join(first["file"].as_str().unwrap()));
    let content = String::from_utf8(content).unwrap();
    let sha256 = |text: &str| hex::encode(<sha2::Sha256 as sha2::Digest>::digest(text));
    // Pieces of a genuine record, and of what is around it, each as an event of its own.
    let within = |key: &str| {
        let at = content.find(&format!("\"{key}\":{{")).unwrap() + key.len() + 3;
        (at, &content[at..=at + content[at..].find('}').unwrap()])
    };
    let whole = (0, content.trim_end());
    for (offset, piece) in [within("userIdentity"), within("requestParameters"), whole] {
        let mut forged = first.clone();
        forged["id"] = format!("0:{offset}").into();
        forged["offset"] = offset.into();
        forged["length"] = piece.len().into();
        forged["record_sha256"] = sha256(piece).into();
        forged["flags"] = serde_json::json!(["time-from-file"]);
        forged["time"] = "2023-11-05T07:35:00Z".into();
        forged["event"] = Value::Null;
        let forged = forged.to_string().replace("\"event\":null", &format!("\"event\":{piece}"));
        let (_, rest) = lines.split_once('\n').unwrap();
        let names = with(&out, EVENTS, format!("{forged}\n{rest}").as_bytes());
        assert!(names.iter().any(|path| path.contains("/CloudTrail/")), "{piece}: {names:?}");
    }
    // Longer or shorter than it is.
    let length = format!("\"length\":{}", first["length"]);
    for other in [1, 40_000_000] {
        let names = edited(&out, EVENTS, &length, &format!("\"length\":{other}"));
        assert!(names.iter().any(|path| path.contains("/CloudTrail/")), "{names:?}");
    }
    is_good(&out, &["--public-keys", text(&bench.keys)]);
}

#[test]
fn no_original_speaks_for_itself_whatever_it_is_called() {
    let (bench, hours) = Bench::whole();
    let with_record = |text: &str, id: &str| {
        let record = record(id);
        format!("{},\"Records\":[{record}]}}", text.trim_end().strip_suffix('}').unwrap())
    };
    // A digest of nobody's key that holds a record, and metadata that does.
    let digest = String::from_utf8(crate::common::contents(&hours[0].digest)).unwrap();
    let stranger = hours[0].digest.to_str().unwrap().replace("083014Z", "083015Z");
    assert_ne!(stranger, hours[0].digest.to_str().unwrap());
    write(Path::new(&stranger), &gzip(with_record(&digest, "in-digest").as_bytes(), 6));
    let metadata = crate::chain::metadata_path(&hours[3].digest);
    let text_of = fs::read_to_string(&metadata).unwrap();
    write(&metadata, with_record(&text_of, "in-metadata").as_bytes());
    let indexed = Indexed::of(&bench.copy);
    let keys = ["--public-keys", text(&bench.keys)];
    for query in ["*", "eventID:in-*"] {
        let out = indexed.out(&format!("bag-{}", query.len()));
        indexed.bundle(query, &out, &keys);
        let ids: Vec<Value> = events(&out).iter().map(|event| event["id"].clone()).collect();
        assert!(
            ids.contains(&"in-digest".into()) && ids.contains(&"in-metadata".into()),
            "{ids:?}"
        );
        let (code, found) = verify(&out, &keys);
        assert!(code == 4 && found["is_whole"] == true, "{found:#}");
        let named = found["validation"]["files_named"].as_array().unwrap();
        for path in [Path::new(&stranger), &metadata] {
            let is_it = |of: &&Value| of["path"].as_str().unwrap().ends_with(text(path));
            assert_ne!(named.iter().find(is_it).unwrap()["state"], "verified", "{found:#}");
        }
    }
    // And where there is nothing to verify, nothing is verified.
    let (bench, _) = Bench::whole();
    let indexed = Indexed::of(&bench.copy);
    let keys = ["--public-keys", text(&bench.keys)];
    let out = indexed.out("empty");
    check_code(&indexed.bundle("eventName:Nobody", &out, &keys), 1);
    check_code(&run(&["bundle", "verify", text(&out)]), 0);
    check_code(&run(&[&["bundle", "verify", text(&out)], &keys[..]].concat()), 4);
}

#[test]
fn a_bundle_has_its_files_and_no_others() {
    let (_indexed, _bench, out) = bag();
    for path in ["data/reports/coverage.json", "data/reports/validation.json", EVENTS, REPORT] {
        assert!(without(&out, path).contains(&path.to_owned()), "{path}");
    }
    for path in ["data/records.ndjson", "data/x", "data/archiv/x", "fetch.txt"] {
        assert!(with(&out, path, b"x").contains(&path.to_owned()), "{path}");
    }
    // A tag file that the tag manifest names.
    fs::write(out.join("fetch.txt"), "https://example.org/x 1 data/x\n").unwrap();
    let tags = out.join("tagmanifest-sha256.txt");
    let before = fs::read_to_string(&tags).unwrap();
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(
        fs::read(out.join("fetch.txt")).unwrap(),
    ));
    fs::write(&tags, format!("{before}{hash}  fetch.txt\n")).unwrap();
    assert_eq!(wrong(&out).0, ["fetch.txt".to_owned()].into());
}

#[test]
fn records_only_is_what_the_report_says_and_needs_its_records() {
    let indexed = Indexed::of(&sample("invictus"));
    let out = indexed.out("bag");
    check_code(&indexed.bundle("eventName:AssumeRole", &out, &["--records-only"]), 0);
    is_good(&out, &[]);
    assert_eq!(without(&out, "data/records.ndjson"), ["data/records.ndjson"]);
    for path in
        ["data/archive/x.json", "data/keys/public-keys.json", "data/reports/validation.json"]
    {
        assert!(with(&out, path, b"{}").contains(&path.to_owned()), "{path}");
    }
    let line = "\"file\":null";
    let names = edited(&out, EVENTS, line, "\"file\":\"data/archive/x.json\"");
    assert_eq!(names, [EVENTS]);
    let names = edited(&out, EVENTS, "\"eventName\":\"AssumeRole\"", "\"eventName\":\"GetRole\"");
    assert_eq!(names, [EVENTS]);
    // And a bag of originals cannot say that it is one of records.
    let (_indexed, _bench, out) = bag();
    assert!(!edited(&out, REPORT, "\"records_only\": false", "\"records_only\": true").is_empty());
    // Nothing in it is proven by keys.
    let out = indexed.out("again");
    check_code(&indexed.bundle("eventName:AssumeRole", &out, &["--records-only"]), 0);
    let keys = indexed.out("keys.json");
    write(&keys, crate::chain::key_list(&[0], false).as_bytes());
    let (code, found) = verify(&out, &["--public-keys", text(&keys)]);
    assert!(code == 4 && found["is_whole"] == true, "{found:#}");
}

#[test]
fn what_the_report_counts_is_counted_again() {
    let (_indexed, _bench, out) = bag();
    let report: Value = serde_json::from_slice(&tree(&out)[REPORT]).unwrap();
    let counts = report["counts"].as_object().unwrap();
    assert!(counts.len() > 9, "{counts:?}");
    for (name, value) in counts {
        let (from, to) = match value {
            Value::String(time) => {
                (format!("\"{name}\": \"{time}\""), format!("\"{name}\": \"2020-01-01T00:00:00Z\""))
            }
            count => (format!("\"{name}\": {count}"), format!("\"{name}\": {count}7")),
        };
        assert_eq!(edited(&out, REPORT, &from, &to), [REPORT], "{name}");
    }
}

#[test]
fn a_report_that_is_too_long_is_not_read() {
    let (_indexed, _bench, out) = bag();
    let report = String::from_utf8(tree(&out)[REPORT].clone()).unwrap();
    // A tree of any shape costs its bytes.
    let deep = format!("\"tree\": {}{}", "[".repeat(5 << 20), "]".repeat(5 << 20));
    let (before, after) = report.split_once("\"tree\": ").unwrap();
    let (tree, rest) = after.split_once(",\n").unwrap();
    let with_tree = |tree: &str| format!("{before}{tree},\n{rest}");
    assert!(!tree.contains('\n'), "{tree}");
    fs::write(out.join(REPORT), with_tree(&deep)).unwrap();
    seal(&out);
    check_code(&run(&["bundle", "verify", text(&out)]), 0);
    let long = with_tree(&format!("\"tree\": \"{}\"", "x".repeat(17 << 20)));
    fs::write(out.join(REPORT), long).unwrap();
    seal(&out);
    let found = wrong(&out).1;
    assert!(named(&found).contains(REPORT), "{found:#}");
}
