//! Indexes that are not of today's version, and segments that do not have all of their files.

use super::*;
use crate::versions::FORMAT_VERSION;
use segment::check::check_segment;
use segment::parts::hash_text;

/// What is in a directory and below it, by path, without the lock.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !path.ends_with(LOCK) {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

/// Has a sealed file state another version.
fn restate(path: &Path, from: u32, to: u32, more: &str) {
    let text = fs::read_to_string(path).unwrap();
    let json = text.lines().next().unwrap();
    let stated = |version: u32| format!(r#""format_version":{version}"#);
    let json = json.replace(&stated(from), &format!("{}{more}", stated(to)));
    let hash = hash_text(xxhash_rust::xxh3::xxh3_64(json.as_bytes()));
    fs::write(path, format!("{json}\n{hash}\n")).unwrap();
}

#[test]
fn an_index_of_another_version_is_refused_and_left_as_it_is() {
    let others = [1, 3, FORMAT_VERSION + 1, 99];
    // A later version may have what this one does not know.
    for (version, more) in others.into_iter().zip(["", "", r#","unheard":[]"#, ""]) {
        let dir = tempfile::tempdir().unwrap();
        drop(store_of_four(dir.path()));
        restate(&dir.path().join("manifest.json"), FORMAT_VERSION, version, more);
        let before = contents(dir.path());
        for error in [
            Store::open(dir.path(), CACHE).err().unwrap(),
            inspect(dir.path(), &|_| {}).unwrap_err(),
        ] {
            let told = error.to_string();
            assert!(matches!(error, IndexError::UnknownVersion { .. }), "{told}");
            assert!(told.contains(&format!("manifest.json: format version {version}")), "{told}");
            assert!(!error.may_pass());
        }
        assert!(contents(dir.path()) == before, "nothing was changed");
        restate(&dir.path().join("manifest.json"), version, FORMAT_VERSION, "");
        if more.is_empty() {
            let store = Store::open(dir.path(), CACHE).unwrap();
            assert_eq!(store.set_aside(), [""; 0]);
            check_events(&store, &[0, 1, 2, 3, 100, 101, 102]);
        }
    }
}

#[test]
fn a_segment_whose_entry_lacks_a_part_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_of_four(dir.path());
    let entry = store.current.manifest.segments[0].clone();
    let names: Vec<String> = parts::names(&entry.id).collect();
    assert_eq!(names.len(), entry.files.len());
    check_segment(&store.files.dir, &entry, &|_| {}).unwrap();
    for name in names {
        let mut lacking = entry.clone();
        lacking.files.retain(|file| file.name != name);
        let told = check_segment(&store.files.dir, &lacking, &|_| {}).unwrap_err().to_string();
        assert!(told.ends_with(&format!("{name}: the manifest does not name it")), "{told}");
    }
}

/// While it is open, as `verify` finds it.
#[test]
fn a_check_names_each_part_that_is_not_as_it_was_written() {
    for (extension, _) in parts::extensions() {
        let dir = tempfile::tempdir().unwrap();
        let store = store_of_four(dir.path());
        let path = file_of(&store, 2, &extension);
        flip_a_bit(&path, 10);
        let found = problems(&store);
        let name = path.file_name().unwrap().to_str().unwrap();
        let expected = format!("{name}: its hash does not match");
        assert!(found.len() == 1 && found[0].ends_with(&expected), "{found:?}");
        assert!(store.snapshots().load().segments.iter().any(|view| view.is_damaged()));
    }
}
