//! A bag that was changed, or made to harm: each change is named, and nothing is followed or unpacked.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::bundle::{Indexed, check_code, is_good, named, text, tree, verify};
use crate::chain::{Bench, write};
use crate::common::{files_below, run};

/// A bag with everything in it, and what holds it.
pub(crate) fn bag() -> (Indexed, Bench, PathBuf) {
    let (bench, _) = Bench::whole();
    let indexed = Indexed::of(&bench.copy);
    let out = indexed.out("bag");
    check_code(&indexed.bundle("*", &out, &["--public-keys", text(&bench.keys)]), 0);
    is_good(&out, &[]);
    (indexed, bench, out)
}

/// What is wrong with a bag, which something is.
#[track_caller]
pub(crate) fn wrong(path: &Path) -> (BTreeSet<String>, Value) {
    let (code, found) = verify(path, &[]);
    assert!(code == 4 && found["is_whole"] == false, "{found:#}");
    (named(&found), found)
}

#[test]
fn a_change_of_any_bit_of_any_file_is_named() {
    let (_indexed, _bench, out) = bag();
    for (number, (path, bytes)) in tree(&out).into_iter().enumerate() {
        let bits = bytes.len() * 8;
        for at in [0, 7, number * 7_919, number * 104_729 + 5, bits - 1] {
            let mut changed = bytes.clone();
            changed[at % bits / 8] ^= 1 << (at % 8);
            fs::write(out.join(&path), changed).unwrap();
            let (names, found) = wrong(&out);
            // A change of a manifest can name what it names.
            assert!(
                names.contains(&path) || path.ends_with("manifest-sha256.txt"),
                "{path} {found:#}"
            );
        }
        fs::write(out.join(&path), [&bytes[..], b"x"].concat()).unwrap();
        wrong(&out);
        fs::write(out.join(&path), &bytes).unwrap();
    }
    is_good(&out, &[]);
}

#[test]
fn files_that_are_added_removed_or_renamed_are_named() {
    let (_indexed, _bench, out) = bag();
    for (path, bytes) in tree(&out) {
        let file = out.join(&path);
        fs::remove_file(&file).unwrap();
        assert!(wrong(&out).0.contains(&path), "{path}");
        let renamed = format!("{path}x");
        fs::write(out.join(&renamed), &bytes).unwrap();
        let (names, _) = wrong(&out);
        assert!(names.contains(&path) && names.contains(&renamed), "{path} {names:?}");
        fs::write(&file, &bytes).unwrap();
        let (names, _) = wrong(&out);
        assert!(names.contains(&renamed) && !names.contains(&path), "{path} {names:?}");
        fs::remove_file(out.join(&renamed)).unwrap();
    }
    fs::create_dir(out.join("data/empty")).unwrap();
    assert_eq!(wrong(&out).0, ["data/empty".to_owned()].into());
    fs::remove_dir(out.join("data/empty")).unwrap();
    is_good(&out, &[]);
}

/// Makes the manifests right again, as who changes a bag would.
pub(crate) fn seal(bag: &Path) {
    let line =
        |path: &str, bytes: &[u8]| format!("{}  {path}\n", hex::encode(Sha256::digest(bytes)));
    let files = tree(bag);
    let payload = files.iter().filter(|(path, _)| path.starts_with("data/"));
    let (mut manifest, mut length, mut count) = (String::new(), 0, 0);
    for (path, bytes) in payload {
        manifest += &line(path, bytes);
        (length, count) = (length + bytes.len(), count + 1);
    }
    fs::write(bag.join("manifest-sha256.txt"), &manifest).unwrap();
    let info = String::from_utf8(files["bag-info.txt"].clone()).unwrap();
    let (info, _) = info.split_once("Payload-Oxum").unwrap();
    let info = format!("{info}Payload-Oxum: {length}.{count}\n");
    fs::write(bag.join("bag-info.txt"), info).unwrap();
    seal_tags(bag);
}

fn seal_tags(bag: &Path) {
    let names = ["bag-info.txt", "bagit.txt", "manifest-sha256.txt"];
    let line = |name: &&str| {
        let bytes = fs::read(bag.join(name)).unwrap();
        format!("{}  {name}\n", hex::encode(Sha256::digest(bytes)))
    };
    let tags: String = names.iter().map(line).collect();
    fs::write(bag.join("tagmanifest-sha256.txt"), tags).unwrap();
}

#[test]
fn a_bag_that_was_sealed_anew_still_has_to_agree_with_itself() {
    let (_indexed, _bench, out) = bag();
    let files = tree(&out);
    let edit = |path: &str, from: &str, to: &str| {
        let text = String::from_utf8(files[path].clone()).unwrap();
        assert!(text.contains(from), "{path} {from} {text}");
        fs::write(out.join(path), text.replacen(from, to, 1)).unwrap();
        seal(&out);
        let found = wrong(&out).0;
        fs::write(out.join(path), &files[path]).unwrap();
        seal(&out);
        is_good(&out, &[]);
        found
    };
    let events = "data/events.ndjson";
    let original = files.keys().find(|path| path.contains("/CloudTrail/")).unwrap();
    // An event that its original does not have, in its record or in its hash.
    let of_original =
        |found: BTreeSet<String>| found.iter().any(|path| path.contains("/CloudTrail/"));
    assert!(of_original(edit(events, "\"userName\":\"bert\"", "\"userName\":\"eve\"")));
    assert!(of_original(edit(events, "\"offset\":12", "\"offset\":13")));
    assert!(edit(events, "\"record_sha256\":\"", "\"record_sha256\":\"00").contains(events));
    assert!(!edit(events, "\"file\":\"data/archive", "\"file\":\"data/keys").is_empty());
    assert!(!edit("data/reports/bundle.json", "\"events\": 9", "\"events\": 8").is_empty());
    assert!(!edit("data/reports/validation.json", "\"verified\"", "\"listed\"").is_empty());
    // A line less, and an original that no event is from.
    let text = String::from_utf8(files[events].clone()).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(out.join(events), rest).unwrap();
    seal(&out);
    assert!(wrong(&out).0.contains("data/reports/bundle.json"));
    fs::write(out.join(events), &files[events]).unwrap();
    // A forged event cannot leave the check by calling itself a row of a table.
    let forged = text.replacen("\"flags\":[]", "\"flags\":[\"table\"]", 1);
    let forged = forged.replacen("\"length\"", "\"row\":1,\"length\"", 1);
    fs::write(out.join(events), forged.replacen("bert", "eve", 1)).unwrap();
    let report = "data/reports/bundle.json";
    let counts = String::from_utf8(files[report].clone()).unwrap();
    let counts = counts.replace("\"events_in_tables\": 0", "\"events_in_tables\": 1");
    fs::write(out.join(report), counts).unwrap();
    seal(&out);
    assert!(wrong(&out).0.contains(events));
    for path in [events, report] {
        fs::write(out.join(path), &files[path]).unwrap();
    }
    // An original that was changed, with its events: the digests tell.
    let changed = out.join(original);
    let content = String::from_utf8(crate::common::contents(&changed)).unwrap();
    fs::write(&changed, crate::chain::gzip(content.replace("bert", "eve!").as_bytes(), 6)).unwrap();
    seal(&out);
    let (names, found) = wrong(&out);
    assert!(names.contains("data/reports/validation.json"), "{names:?}");
    assert_eq!(found["validation"]["files_named"][0]["state"], "mismatch");
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let (indexed, _bench, out) = bag();
    let secret = indexed.out("secret");
    fs::write(&secret, "secret").unwrap();
    let manifest = fs::read_to_string(out.join("manifest-sha256.txt")).unwrap();
    let hash = hex::encode(Sha256::digest("secret"));
    for path in [
        "../secret",
        "data/../../secret",
        text(&secret),
        "data/%0A",
        "data/./x",
        "data//x",
        "data\\x",
        "data/%2e%2e/x",
        "bagit.txt",
        "data/x\u{1b}[2J",
    ] {
        fs::write(out.join("manifest-sha256.txt"), format!("{manifest}{hash}  {path}\n")).unwrap();
        seal_tags(&out);
        let (names, found) = wrong(&out);
        assert!(names.contains("manifest-sha256.txt"), "{path} {found:#}");
        let ran = run(&["bundle", "verify", text(&out)]);
        assert!(!ran.stdout.contains('\u{1b}'), "nothing reaches a terminal raw");
    }
    let first = manifest.lines().next().unwrap();
    fs::write(out.join("manifest-sha256.txt"), format!("{manifest}{first}\n")).unwrap();
    seal_tags(&out);
    assert_eq!(wrong(&out).0, ["manifest-sha256.txt".to_owned()].into(), "twice");
    fs::write(out.join("manifest-sha256.txt"), vec![b'a'; 40 << 20]).unwrap();
    seal_tags(&out);
    assert!(wrong(&out).0.contains("manifest-sha256.txt"), "endless");
    fs::write(out.join("manifest-sha256.txt"), manifest).unwrap();
    seal_tags(&out);
    is_good(&out, &[]);
}

#[test]
fn links_pipes_and_what_they_lead_to_are_not_read() {
    let (indexed, _bench, out) = bag();
    let file = files_below(&out.join("data/archive")).remove(0);
    let path = text(file.strip_prefix(&out).unwrap()).to_owned();
    // A link to the very same bytes.
    let same = indexed.out("same");
    fs::rename(&file, &same).unwrap();
    symlink(&same, &file).unwrap();
    assert!(wrong(&out).0.contains(&path));
    fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &file,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(wrong(&out).0.contains(&path));
    fs::remove_file(&file).unwrap();
    fs::rename(&same, &file).unwrap();
    // A folder that is a link to itself, and one to everything.
    symlink(".", out.join("data/self")).unwrap();
    symlink("/", out.join("data/all")).unwrap();
    let names: BTreeSet<String> = ["data/self", "data/all"].map(str::to_owned).into();
    assert_eq!(wrong(&out).0, names);
}

/// A tar's header; `kind` is its type.
pub(crate) fn header(name: &str, size: u64, kind: u8, link: &str) -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(157, link);
    put(257, "ustar  \0");
    header[156] = kind;
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[test]
fn a_hostile_tar_is_refused_and_nothing_of_it_reaches_the_disk() {
    let (indexed, bench, _) = bag();
    let good = indexed.out("good.tar");
    check_code(&indexed.bundle("*", &good, &["--public-keys", text(&bench.keys)]), 0);
    is_good(&good, &[]);
    let bytes = fs::read(&good).unwrap();
    let folder = indexed.out("hostile");
    fs::create_dir(&folder).unwrap();
    let tar = folder.join("x.tar");
    let huge = header("good/data/huge", 0o77_777_777_777, b'0', "");
    let mut endless = header("good/data/endless", 0, b'0', "");
    endless[124..136]
        .copy_from_slice(&[0x80, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    let cases = [
        ("a link", header("good/data/link", 0, b'2', "/etc/passwd")),
        ("a hard link", header("good/data/link", 0, b'1', "good/bagit.txt")),
        ("a device", header("good/data/device", 0, b'3', "")),
        ("a pipe", header("good/data/pipe", 0, b'6', "")),
        ("holes", header("good/data/sparse", 0, b'S', "")),
        ("upwards", header("good/../../x", 0, b'0', "")),
        ("absolute", header("/etc/x", 0, b'0', "")),
        ("elsewhere", header("evil/data/x", 0, b'0', "")),
        ("beside", header("x", 0, b'0', "")),
        ("a folder", header("good/data/", 0, b'5', "")),
        ("pax", header("good/pax", 0, b'x', "")),
        ("an endless name", header("././@LongLink", 1 << 30, b'L', "")),
        ("huge", huge),
        ("endless", endless),
    ];
    for (what, header) in cases {
        fs::write(&tar, [&header[..], &bytes].concat()).unwrap();
        let (_, found) = wrong(&tar);
        assert!(!found["problems"]["named"].as_array().unwrap().is_empty(), "{what}");
        let end = [&bytes[..bytes.len() - 1_024], &header, &[0; 1_024]].concat();
        fs::write(&tar, end).unwrap();
        wrong(&tar);
    }
    let twice = [&bytes[..bytes.len() - 1_024], &bytes].concat();
    let behind = [&bytes[..], &[0; 512]].concat();
    for changed in [&twice[..], &behind, &bytes[..bytes.len() - 1], &bytes[..5_000], b"", b"x"] {
        fs::write(&tar, changed).unwrap();
        wrong(&tar);
    }
    assert_eq!(files_below(&folder), [tar], "nothing was unpacked");
}

#[test]
fn a_change_of_any_bit_of_a_tar_is_named() {
    let (indexed, bench, _) = bag();
    let tar = indexed.out("x.tar");
    check_code(&indexed.bundle("*", &tar, &["--public-keys", text(&bench.keys)]), 0);
    let bytes = fs::read(&tar).unwrap();
    let mut at = 0;
    // A prime, so that all parts of headers and paddings are met.
    let step = (bytes.len() * 8 / 400) | 1;
    while at < bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        write(&tar, &changed);
        wrong(&tar);
        at += step;
    }
    // And one header from end to end.
    for at in (0..512 * 8).step_by(37) {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        write(&tar, &changed);
        wrong(&tar);
    }
    write(&tar, &bytes);
    is_good(&tar, &[]);
}
