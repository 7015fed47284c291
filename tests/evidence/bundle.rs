//! `traildex bundle`: what is in a bag, and that it is the same each time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::chain::{Bench, Chain, Hour, gzip, key_list, write};
use crate::common::{
    Daemon, PATIENCE, Place, Ran, contents, files_below, records_below, run, sample, traildex,
};

/// When all bags of the tests are made.
pub(crate) const TIME: &str = "2026-01-02T03:04:05Z";

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An index on disk, and a folder for bags.
pub(crate) struct Indexed {
    pub(crate) place: Place,
}

impl Indexed {
    pub(crate) fn of(archive: &Path) -> Self {
        let place = Place::new();
        let ran = run(&["import", text(archive), "--data-dir", text(&place.data_dir())]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        Self { place }
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// The command, not started.
    pub(crate) fn command(&self, query: &str, out: &Path, args: &[&str]) -> Command {
        let mut command = traildex();
        command.env_remove("SOURCE_DATE_EPOCH").args(["bundle", query, "--time", TIME]);
        command.arg("--data-dir").arg(self.place.data_dir());
        command.arg("--output").arg(out).args(args);
        command
    }

    pub(crate) fn bundle(&self, query: &str, out: &Path, args: &[&str]) -> Ran {
        self.command(query, out, args).output().unwrap().into()
    }
}

/// A command on a daemon's socket.
pub(crate) fn ask(daemon: &Daemon, query: &str, out: &Path, args: &[&str]) -> Ran {
    let mut command = traildex();
    command.args(["bundle", query, "--time", TIME, "--socket"]).arg(&daemon.socket);
    command.arg("--output").arg(out).args(args).output().unwrap().into()
}

#[track_caller]
pub(crate) fn check_code(ran: &Ran, code: i32) {
    assert_eq!(ran.code, code, "stdout:\n{}\nstderr:\n{}", ran.stdout, ran.stderr);
}

/// Every file of a folder, by its path in it.
pub(crate) fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = |path: PathBuf| {
        let name = text(path.strip_prefix(folder).unwrap()).to_owned();
        (name, fs::read(path).unwrap())
    };
    files_below(folder).into_iter().map(file).collect()
}

pub(crate) fn report(bag: &Path) -> Value {
    serde_json::from_slice(&fs::read(bag.join("data/reports/bundle.json")).unwrap()).unwrap()
}

/// The reasons of a bag that is not complete, with what they are about.
pub(crate) fn reasons(bag: &Path) -> Vec<(String, String)> {
    let report = report(bag);
    let reasons = report["reasons"].as_array().unwrap();
    assert_eq!(report["complete"], reasons.is_empty());
    let text = |reason: &Value, key: &str| reason[key].as_str().unwrap().to_owned();
    reasons.iter().map(|reason| (text(reason, "about"), text(reason, "reason"))).collect()
}

pub(crate) fn events(bag: &Path) -> Vec<Value> {
    let text = fs::read_to_string(bag.join("data/events.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What `bundle verify` finds, as JSON, and its exit code.
pub(crate) fn verify(path: &Path, args: &[&str]) -> (i32, Value) {
    let ran = run(&[&["bundle", "verify", text(path), "--format", "json"], args].concat());
    let found = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
    (ran.code, found)
}

#[track_caller]
pub(crate) fn is_good(path: &Path, args: &[&str]) -> Value {
    let (code, found) = verify(path, args);
    assert!(code == 0 && found["is_whole"] == true, "{found:#}");
    found
}

/// The paths that a check names.
pub(crate) fn named(found: &Value) -> BTreeSet<String> {
    let problems = found["problems"]["named"].as_array().unwrap();
    problems.iter().map(|problem| problem["path"].as_str().unwrap().to_owned()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Checks a bag without any of traildex's code: its manifests, and each record in its original.
#[track_caller]
fn check_plainly(bag: &Path) {
    let files = tree(bag);
    for (manifest, is_in) in [("manifest-sha256.txt", true), ("tagmanifest-sha256.txt", false)] {
        let lines = String::from_utf8(files[manifest].clone()).unwrap();
        let expected: BTreeMap<&str, &str> =
            lines.lines().map(|line| line.split_once("  ").unwrap()).map(|(h, p)| (p, h)).collect();
        let found = files.iter().filter(|(path, _)| {
            path.starts_with("data/") == is_in && *path != "tagmanifest-sha256.txt"
        });
        let hashes: Vec<(&str, String)> =
            found.map(|(path, bytes)| (&**path, sha256(bytes))).collect();
        let found = hashes.iter().map(|(path, hash)| (*path, &**hash)).collect();
        assert_eq!(expected, found, "{manifest}");
    }
    for event in events(bag) {
        let Some(file) = event["file"].as_str() else { panic!("{event}") };
        let content = contents(&bag.join(file));
        let number = |key: &str| event[key].as_u64().unwrap() as usize;
        let record = &content[number("offset")..][..number("length")];
        assert_eq!(event["sha256"], sha256(&content));
        assert_eq!(event["record_sha256"], sha256(record));
        let record: Value = serde_json::from_slice(record).unwrap();
        assert_eq!(event["event"], record);
        assert_eq!(event["id"], record["eventID"]);
        let source = Path::new(event["source"].as_str().unwrap());
        assert_eq!(fs::read(source).unwrap(), files[file], "the original, byte for byte");
    }
}

#[test]
fn a_bag_has_the_events_their_originals_and_where_they_are() {
    let indexed = Indexed::of(&sample("invictus"));
    let out = indexed.out("bag");
    check_code(&indexed.bundle("eventName:AssumeRole", &out, &[]), 0);
    check_plainly(&out);
    let records = records_below(&sample("invictus"));
    let of_name = records.iter().filter(|record| record.json["eventName"] == "AssumeRole");
    let expected: BTreeSet<_> =
        of_name.clone().map(|record| record.json["eventID"].clone().to_string()).collect();
    let sources: BTreeSet<_> = of_name.map(|record| record.path.clone()).collect();
    let events = events(&out);
    let found: BTreeSet<String> = events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(found, expected);
    assert!(events.is_sorted_by_key(|event| event["time"].as_str().unwrap().to_owned()));
    let originals = files_below(&out.join("data/archive"));
    assert_eq!(originals.len(), sources.len());
    let report = report(&out);
    assert_eq!(report["complete"], true);
    assert_eq!(report["time"], TIME);
    assert_eq!(report["query"]["text"], "eventName:AssumeRole");
    assert_eq!(report["counts"]["events"], expected.len());
    assert_eq!(report["counts"]["originals"], sources.len());
    let found = is_good(&out, &[]);
    assert_eq!(found["events_at_their_places"], expected.len());
    let shown = run(&["bundle", "verify", text(&out)]);
    check_code(&shown, 0);
    assert!(shown.stdout.ends_with("the bag is whole, and complete\n"), "{}", shown.stdout);
}

#[test]
fn a_range_is_written_down_in_absolute_times_and_relative_conditions_are_refused() {
    let indexed = Indexed::of(&sample("invictus"));
    let out = indexed.out("bag");
    let args = ["--since", "-3y", "--until", "2023-07-10T12:00", "--time-zone", "Europe/Berlin"];
    check_code(&indexed.bundle("*", &out, &args), 4);
    let query = &report(&out)["query"];
    assert_eq!(query["start"], "2023-01-02T03:04:05Z");
    assert_eq!(query["end"], "2023-07-10T10:00:00Z");
    let ran = indexed.bundle("time:>-24h", &indexed.out("other"), &[]);
    check_code(&ran, 2);
    assert!(ran.stderr.contains("--since"), "{}", ran.stderr);
    for query in ["evntName:x", "* | count by ip", "a AND"] {
        check_code(&indexed.bundle(query, &indexed.out("other"), &[]), 2);
    }
    assert!(!indexed.out("other").exists() && !indexed.out("other.partial").exists());
}

#[test]
fn a_tar_has_the_same_files() {
    let indexed = Indexed::of(&sample("invictus"));
    let (out, tar) = (indexed.out("case"), indexed.out("case.tar"));
    check_code(&indexed.bundle("eventName:AssumeRole", &out, &[]), 0);
    check_code(&indexed.bundle("eventName:AssumeRole", &tar, &[]), 0);
    is_good(&tar, &[]);
    let unpacked = indexed.out("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let mut command = Command::new("tar");
    let done = command.arg("-xf").arg(&tar).arg("-C").arg(&unpacked).status().unwrap();
    assert!(done.success());
    assert_eq!(tree(&unpacked.join("case")), tree(&out));
    is_good(&unpacked.join("case"), &[]);
}

#[test]
fn the_same_index_and_time_give_the_same_bytes() {
    let (bench, _) = Bench::whole();
    let indexed = Indexed::of(&bench.copy);
    let (first, again) = (indexed.out("1"), indexed.out("2"));
    let keys = ["--public-keys", text(&bench.keys)];
    check_code(&indexed.bundle("*", &first, &keys), 0);
    check_code(&indexed.bundle("*", &again, &keys), 0);
    assert_eq!(tree(&first), tree(&again));
    let (first, again) = (indexed.out("a/x.tar"), indexed.out("b/x.tar"));
    for out in [&first, &again] {
        fs::create_dir(out.parent().unwrap()).unwrap();
        let mut command = traildex();
        command.args(["bundle", "*", "--data-dir"]).arg(indexed.place.data_dir());
        command.args(keys).env("SOURCE_DATE_EPOCH", "1767323045").arg("-o").arg(out);
        check_code(&command.output().unwrap().into(), 0);
    }
    assert_eq!(fs::read(&first).unwrap(), fs::read(&again).unwrap());
}

#[test]
fn the_records_alone_are_a_bag_too() {
    let indexed = Indexed::of(&sample("invictus"));
    let out = indexed.out("bag");
    check_code(&indexed.bundle("eventName:AssumeRole", &out, &["--records-only"]), 0);
    let files = tree(&out);
    assert!(!files.keys().any(|path| path.starts_with("data/archive")), "{:?}", files.keys());
    let records = &files["data/records.ndjson"];
    let events = events(&out);
    let expected = records_below(&sample("invictus"));
    let expected = expected.iter().filter(|record| record.json["eventName"] == "AssumeRole");
    let raws: BTreeSet<&str> = expected.map(|record| &*record.raw).collect();
    assert_eq!(events.len(), raws.len());
    for event in &events {
        let number = |key: &str| event[key].as_u64().unwrap() as usize;
        let record = &records[number("record_offset")..][..number("length")];
        assert_eq!(event["record_sha256"], sha256(record));
        assert!(raws.contains(str::from_utf8(record).unwrap()));
    }
    assert_eq!(is_good(&out, &[])["events_at_their_places"], events.len());
}

/// The files that a chain's hours have in a bag.
fn in_bag<'h>(bag: &Path, files: impl IntoIterator<Item = &'h PathBuf>) -> BTreeSet<PathBuf> {
    files.into_iter().map(|file| bag.join(format!("data/archive{}", file.display()))).collect()
}

#[test]
fn the_digests_that_prove_the_originals_come_along_with_their_keys() {
    let (bench, hours) = Bench::whole();
    let indexed = Indexed::of(&bench.copy);
    let out = indexed.out("bag");
    let keys = ["--public-keys", text(&bench.keys)];
    let content: Value = serde_json::from_slice(&contents(&hours[0].logs[1])).unwrap();
    let id = content["Records"][0]["eventID"].as_str().unwrap();
    let ran = indexed.bundle(&format!("eventID:{id}"), &out, &keys);
    check_code(&ran, 0);
    assert!(ran.stderr.contains("1 of 1 original verified"), "{}", ran.stderr);
    let found: BTreeSet<PathBuf> = files_below(&out.join("data/archive")).into_iter().collect();
    let needed = [&hours[0].logs[1], &hours[0].digest, &hours[1].digest];
    assert_eq!(found, in_bag(&out, needed));
    let validation = |found: &Value| found["validation"]["files"].clone();
    let expected: Value = serde_json::from_str(r#"[{"state":"verified","count":1}]"#).unwrap();
    let found = is_good(&out, &[]);
    assert_eq!((validation(&found), &found["keys_from"]), (expected.clone(), &"bag".into()));
    let found = is_good(&out, &keys);
    assert_eq!((validation(&found), &found["keys_from"]), (expected, &"given".into()));
    // Somebody else's keys prove nothing, and the bag's own do not take their place.
    let other = indexed.out("other.json");
    write(&other, key_list(&[2], false).as_bytes());
    let (code, found) = verify(&out, &["--public-keys", text(&other)]);
    assert_eq!(found["validation"]["files"][0]["state"], "listed");
    assert!(code == 4 && found["is_whole"] == true, "keys that prove nothing: {found:#}");
    let last = |keys: &str| {
        let ran = run(&["bundle", "verify", text(&out), "--public-keys", keys]);
        ran.stdout.lines().last().unwrap().to_owned()
    };
    assert_eq!(last(text(&other)), "0 of 1 original verified by the keys given");
    assert_eq!(last(text(&bench.keys)), "1 of 1 original verified by the keys given");
    // And the originals can be validated as they lie there.
    let validated = crate::validate_with(&out.join("data/archive"), &bench.keys, &[]);
    assert_eq!(validated.files(wire::Integrity::Verified), 1);
    // Of the newest digest, the metadata has the signature.
    let all = indexed.out("all");
    check_code(&indexed.bundle("*", &all, &keys), 0);
    let everything = hours.iter().flat_map(|Hour { digest, logs }| logs.iter().chain([digest]));
    let mut expected = in_bag(&all, everything);
    expected.extend(in_bag(&all, [&crate::chain::metadata_path(&hours[3].digest)]));
    assert_eq!(
        files_below(&all.join("data/archive")).into_iter().collect::<BTreeSet<_>>(),
        expected
    );
    assert_eq!(is_good(&all, &[])["validation"]["is_verified"], true);
}

#[test]
fn digests_of_organisations_prefixes_and_backfill_come_along_and_roots_are_kept() {
    let bench = Bench::new();
    let Bench { copy, keys, mut chain, .. } = bench;
    chain.hour(1);
    chain.save_metadata();
    chain.stop(0);
    (chain.owner, chain.prefix) = ("o-a1/444455556666".to_owned(), "p/".to_owned());
    chain.hour(2);
    chain.hour(0);
    chain.save_metadata();
    chain.stop(20);
    chain.is_backfill = true;
    // Across midnight.
    (0..4).for_each(|_| drop(chain.hour(1)));
    chain.save_metadata();
    let indexed = Indexed::of(&copy);
    let root = format!("{}=s3://my-trail", text(&copy));
    for (name, root) in [("unmapped", None), ("mapped", Some(&*root))] {
        let out = indexed.out(name);
        let mut args = vec!["--public-keys", text(&keys)];
        args.extend(root.map(|root| ["--root", root]).into_iter().flatten());
        check_code(&indexed.bundle("*", &out, &args), 0);
        let found = is_good(&out, &[])["validation"].clone();
        let expected: Value = serde_json::from_str(r#"[{"state":"verified","count":7}]"#).unwrap();
        assert_eq!(found["files"], expected, "{found:#}");
        let roots = report(&out)["roots"].clone();
        assert_eq!(roots[0]["bucket"].as_str(), root.map(|_| "my-trail"));
    }
    // Where the folder is a copy of another bucket, these digests speak of other files; and they do in the bag.
    let out = indexed.out("other");
    let root = format!("{}=s3://other", text(&copy));
    indexed.bundle("*", &out, &["--public-keys", text(&keys), "--root", &root]);
    let found = verify(&out, &[]).1;
    let files = found["validation"]["files"].to_string();
    assert!(found["is_whole"] == true && !files.contains("verified"), "{found:#}");
}

#[test]
fn what_the_digests_contradict_is_told_and_bundled_all_the_same() {
    let (bench, hours) = Bench::whole();
    let changed = &hours[0].logs[0];
    let evil = String::from_utf8(contents(changed)).unwrap().replace("bert", "eve");
    fs::write(changed, gzip(evil.as_bytes(), 6)).unwrap();
    let indexed = Indexed::of(&bench.copy);
    let out = indexed.out("bag");
    let ran = indexed.bundle("*", &out, &["--public-keys", text(&bench.keys)]);
    check_code(&ran, 0);
    assert!(ran.stderr.contains("not what the digests list"), "{}", ran.stderr);
    let (code, found) = verify(&out, &[]);
    assert!(code == 4 && found["is_whole"] == true && found["says_complete"] == true, "{found:#}");
    let files = found["validation"]["files_named"].as_array().unwrap();
    assert_eq!((files.len(), &files[0]["state"]), (1, &"mismatch".into()));
}

#[test]
fn strangers_names_are_plain_in_the_bag_and_two_roots_stay_apart() {
    let place = Place::new();
    let names = [
        "a b.json",
        "a\nb.json",
        "a\r.json",
        "%0A.json",
        "a~20b.json",
        "ü\u{1b}[31m.json",
        "*?'\"\\.json",
    ];
    let long = "x".repeat(240) + "%.json";
    let mut count = 0;
    for root in ["one/trail", "two/trail"] {
        for name in names.iter().copied().chain([&*long]) {
            count += 1;
            write(
                &place.archive().join(root).join(name),
                &crate::common::trail(&[&format!("id-{count}")]),
            );
        }
    }
    let indexed = Indexed::of(&place.archive());
    let out = indexed.out("bag");
    check_code(&indexed.bundle("*", &out, &[]), 0);
    check_plainly(&out);
    let files = tree(&out);
    assert!(files.keys().all(|path| path.bytes().all(|b| b.is_ascii_graphic() && b != b'%')));
    let events = events(&out);
    let places: BTreeSet<&str> =
        events.iter().map(|event| event["file"].as_str().unwrap()).collect();
    assert_eq!((events.len(), places.len()), (count, count));
    is_good(&out, &[]);
    let tar = indexed.out("bag.tar");
    check_code(&indexed.bundle("*", &tar, &[]), 0);
    is_good(&tar, &[]);
}

#[test]
fn records_that_are_packed_or_repaired_are_at_their_places_too() {
    let place = Place::new();
    let record = crate::common::record;
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let utf16 = |text: &str| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let list = |record: &str| format!("{{\"Records\":[{record}]}}");
    let named = |id: &str| record(id).replace("GetObject", "Get\u{fc}\u{1f600}\\n");
    let lines = record("lines").replace(',', ",\n  ").replace("\"Root\"", "\"Ro,\\tot\"");
    let members = [list(&record("m1")), list(&record("m2"))].map(|text| gzip(text.as_bytes(), 6));
    let stray = record("stray").replace("\"}", "\",}");
    let mut invalid = list(&record("invalid")).into_bytes();
    let at = invalid.windows(9).position(|bytes| bytes == b"GetObject").unwrap();
    invalid[at] = 0xFF;
    let sns = format!("{{\"Type\":\"Notification\",\"Message\":{}}}", quoted(&list(&named("sns"))));
    let body = format!("{{\"messageId\":\"1\",\"body\":{}}}", quoted(&list(&named("sqs"))));
    let files: [(&str, Vec<u8>); 9] = [
        ("utf16.json", utf16(&list(&named("utf16")))),
        ("message.json", format!("{{\"message\":{}}}\n", quoted(&named("message"))).into_bytes()),
        ("sns.json", sns.into_bytes()),
        ("sqs.json", body.into_bytes()),
        ("twice.json.gz", gzip(&gzip(list(&named("twice")).as_bytes(), 6), 6)),
        ("members.json.gz", members.concat()),
        ("stray.json", list(&stray).into_bytes()),
        ("invalid.json", invalid),
        ("lines.json", list(&lines).into_bytes()),
    ];
    for (name, bytes) in &files {
        write(&place.archive().join(name), bytes);
    }
    let indexed = Indexed::of(&place.archive());
    let out = indexed.out("bag");
    check_code(&indexed.bundle("*", &out, &[]), 0);
    let found = is_good(&out, &[]);
    assert_eq!((&found["events"], &found["events_at_their_places"]), (&10.into(), &10.into()));
    let flags: BTreeSet<String> = events(&out)
        .iter()
        .flat_map(|event| event["flags"].as_array().unwrap())
        .map(|flag| flag.as_str().unwrap().to_owned())
        .collect();
    for flag in [
        "utf-16",
        "in-message",
        "in-Message",
        "in-body",
        "gzip-in-gzip",
        "second-member",
        "repaired",
    ] {
        assert!(flags.contains(flag), "{flag}: {flags:?}");
    }
    let odd = Indexed::of(&sample("odd"));
    let out = odd.out("bag");
    odd.bundle("*", &out, &[]);
    let found = verify(&out, &[]).1;
    assert!(found["is_whole"] == true && found["events_without_file"] == 0, "{found:#}");
}

#[test]
fn tables_are_bundled_and_that_their_rows_are_not_read_again_is_told() {
    let place = Place::new();
    let tables = ["lake.csv.gz", "athena-snappy.parquet"].map(|name| {
        let table = place.archive().join(name);
        fs::copy(sample("tables").join(name), &table).unwrap();
        table
    });
    let [csv, parquet] = tables.each_ref().map(|table| text(table));
    let ran = run(&["import", csv, parquet, "--data-dir", text(&place.data_dir())]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let indexed = Indexed { place };
    let out = indexed.out("bag");
    check_code(&indexed.bundle("*", &out, &[]), 0);
    let found = is_good(&out, &[]);
    assert_eq!(found["events"], events(&out).len());
    assert!(found["events"].as_u64().unwrap() > 20 && found["events_of_tables"] == found["events"]);
    let shown = run(&["bundle", "verify", text(&out)]).stdout;
    assert!(shown.contains("of tables, whose rows were not read"), "{shown}");
    // The table is the one that its events name, though.
    let lines = fs::read_to_string(out.join("data/events.ndjson")).unwrap();
    let sha256 = events(&out)[0]["sha256"].as_str().unwrap().to_owned();
    fs::write(out.join("data/events.ndjson"), lines.replace(&sha256, &"0".repeat(64))).unwrap();
    crate::bundle_hostile::seal(&out);
    let (code, found) = verify(&out, &[]);
    let file = events(&out)[0]["file"].as_str().unwrap().to_owned();
    assert!(code == 4 && named(&found) == [file].into(), "{found:#}");
}

#[test]
fn a_daemon_is_asked_on_its_socket() {
    let place = Place::new();
    let mut chain = Chain::new(&place.archive());
    let hours = [chain.hour(2), chain.hour(2)];
    chain.save_metadata();
    let keys = place.path("keys.json");
    write(&keys, key_list(&[0], false).as_bytes());
    let place = place.with("EVIDENCE_PUBLIC_KEYS", text(&keys));
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 4);
    daemon.wait_count("integrity:verified", 4);
    let out = place.path("bag");
    check_code(&ask(&daemon, "*", &out, &["--public-keys", text(&keys)]), 0);
    check_plainly(&out);
    assert_eq!(files_below(&out.join("data/archive")).len(), 7);
    assert!(events(&out).iter().all(|event| event["integrity"] == "verified"));
    is_good(&out, &[]);
    let again = place.path("again");
    check_code(&ask(&daemon, "*", &again, &["--public-keys", text(&keys)]), 0);
    assert_eq!(tree(&out), tree(&again));
    drop(hours);
    daemon.stop();
}
