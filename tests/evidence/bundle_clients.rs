//! What others say of a bag: coreutils, the Library of Congress's `bagit` from PyPI, OpenSSH.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::bundle::{Indexed, check_code, text};
use crate::chain::Bench;

fn bag() -> (Indexed, Bench, PathBuf) {
    let (bench, _) = Bench::whole();
    let indexed = Indexed::of(&bench.copy);
    let out = indexed.out("bag");
    check_code(&indexed.bundle("*", &out, &["--public-keys", text(&bench.keys)]), 0);
    (indexed, bench, out)
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Changes a byte of an original; its path in the bag.
fn change(bag: &Path) -> String {
    let original = crate::common::files_below(&bag.join("data/archive")).remove(0);
    let mut bytes = fs::read(&original).unwrap();
    bytes[10] ^= 1;
    fs::write(&original, bytes).unwrap();
    text(original.strip_prefix(bag).unwrap()).to_owned()
}

#[test]
fn sha256sum_checks_a_bag_and_names_a_changed_file() {
    let (_indexed, _bench, out) = bag();
    let check = || {
        let mut command = Command::new("sha256sum");
        command.args(["-c", "--strict", "manifest-sha256.txt", "tagmanifest-sha256.txt"]);
        command.current_dir(&out).output().unwrap()
    };
    let output = check();
    assert!(output.status.success(), "{}", shown(&output));
    let changed = change(&out);
    let output = check();
    assert!(!output.status.success() && shown(&output).contains(&format!("{changed}: FAILED")));
}

#[test]
fn bagit_validates_a_bag_and_names_a_changed_file() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/bin/python");
    assert!(python.exists(), "run ./.ci/clients, which sets up {}", python.display());
    let (_indexed, _bench, out) = bag();
    let check = || {
        let mut command = Command::new(&python);
        command.args(["-m", "bagit", "--validate"]).arg(&out).output().unwrap()
    };
    let output = check();
    assert!(output.status.success(), "{}", shown(&output));
    let changed = change(&out);
    let output = check();
    assert!(!output.status.success() && shown(&output).contains(&changed), "{}", shown(&output));
}

#[test]
fn openssh_signs_a_bag_by_its_tag_manifest() {
    let keygen = || Command::new("ssh-keygen");
    if keygen().arg("-?").output().is_err() {
        println!("there is no ssh-keygen here");
        return;
    }
    let (indexed, _bench, out) = bag();
    let key = indexed.out("key");
    let mut command = keygen();
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "you@example.org", "-f"]).arg(&key);
    assert!(command.status().unwrap().success());
    let tags = out.join("tagmanifest-sha256.txt");
    let open = || Stdio::from(fs::File::open(&tags).unwrap());
    let mut command = keygen();
    command.args(["-Y", "sign", "-n", "traildex-evidence", "-f"]).arg(&key).stdin(open());
    let signed = command.output().unwrap();
    assert!(signed.status.success(), "{}", shown(&signed));
    let signature = indexed.out("bag.sig");
    fs::write(&signature, signed.stdout).unwrap();
    let public = fs::read_to_string(indexed.out("key.pub")).unwrap();
    let allowed = indexed.out("allowed_signers");
    fs::write(&allowed, format!("you@example.org {public}")).unwrap();
    let verify = || {
        let mut command = keygen();
        command.args(["-Y", "verify", "-I", "you@example.org", "-n", "traildex-evidence", "-f"]);
        command.arg(&allowed).arg("-s").arg(&signature).stdin(open()).output().unwrap()
    };
    let output = verify();
    assert!(output.status.success(), "{}", shown(&output));
    let bytes = fs::read_to_string(&tags).unwrap();
    fs::write(&tags, bytes.replacen('0', "1", 1)).unwrap();
    assert!(!verify().status.success());
}
