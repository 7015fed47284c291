//! Who can write to the copy, and has no key of AWS's, makes nothing verified that is not, and takes no
//! verdict from what is.

use std::fs;
use std::path::Path;

use wire::{DigestState, Integrity};

use crate::chain::{Bench, Chain, gzip, key_list, metadata_path, write};
use crate::common::contents;

#[test]
fn keys_in_the_copy_are_not_trusted_and_are_no_log_files() {
    let mut bench = Bench::new();
    bench.chain.key = 2;
    bench.chain.hour(2);
    bench.chain.save_metadata();
    write(&bench.copy.join("keys-us-east-1.json"), key_list(&[2], false).as_bytes());
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().files(Integrity::Listed), 2);
    assert_eq!(validated.files(Integrity::Verified), 0);
    assert_eq!(validated.report.files.len(), 1, "{:?}", validated.report.files);
}

#[test]
fn records_do_not_hide_in_a_file_that_is_named_as_keys_or_metadata() {
    let (mut bench, hours) = Bench::whole();
    let (_, content) = bench.chain.log(1);
    let text = String::from_utf8(content).unwrap();
    let keys = text.replacen('{', "{\"PublicKeyList\":[],", 1);
    let metadata = text.replacen('{', "{\"Metadata\":{\"signature\":\"00\"},", 1);
    for (path, text) in
        [(bench.copy.join("keys.json"), keys), (metadata_path(&hours[0].digest), metadata)]
    {
        write(&path, text.as_bytes());
        let validated = bench.validate();
        assert_ne!(validated.is_not_valid().file(&path), Integrity::Verified);
        fs::remove_file(path).unwrap();
    }
    bench.validate().is_valid();
}

#[test]
fn a_file_under_another_name_is_not_verified() {
    let (bench, hours) = Bench::whole();
    let genuine = &hours[2].logs[0];
    let name = genuine.to_str().unwrap();
    for other in [
        name.replace("0000.json", "9999.json"),
        name.replace("/2023/11/05/", "/2023/11/06/"),
        name.replace("/us-east-1/", "/eu-west-1/"),
        name.replace("111122223333", "444455556666"),
        name.replace("/AWSLogs/", "/other/AWSLogs/"),
        name.replace("/AWSLogs/", "/AWSLogs/AWSLogs/"),
        bench.copy.join("x.json.gz").display().to_string(),
    ] {
        if other == name {
            continue;
        }
        let other = Path::new(&other);
        write(other, &fs::read(genuine).unwrap());
        let validated = bench.validate();
        assert_ne!(validated.is_not_valid().file(other), Integrity::Verified, "{other:?}");
        assert_eq!(validated.files(Integrity::Verified), 9);
        fs::remove_file(other).unwrap();
    }
    let swapped = [&hours[2].logs[0], &hours[2].logs[1]].map(|path| fs::read(path).unwrap());
    fs::write(&hours[2].logs[0], &swapped[1]).unwrap();
    fs::write(&hours[2].logs[1], &swapped[0]).unwrap();
    assert_eq!(bench.validate().is_not_valid().files(Integrity::Mismatch), 2);
}

#[test]
fn a_digest_of_ones_own_key_makes_nothing_verified_and_takes_no_verdict() {
    let (bench, hours) = Bench::whole();
    // A chain of another trail's name, signed by nobody's key, that lists the genuine files otherwise.
    let mut forged = Chain::new(&bench.copy);
    (forged.trail, forged.key) = ("forged".to_owned(), 2);
    let genuine = &hours[0].logs[0];
    let injected = forged.log(3);
    write(&forged.path(&injected.0), &gzip(&injected.1, 6));
    let object = genuine.strip_prefix(&bench.copy).unwrap().to_str().unwrap().to_owned();
    let hour = forged.hour_with(0, |digest| {
        let file = |object: &str, hash: &str| {
            serde_json::json!({
                "s3Bucket": "my-trail", "s3Object": object, "hashValue": hash,
                "hashAlgorithm": "SHA-256",
            })
        };
        let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&injected.1));
        digest["logFiles"] =
            serde_json::json!([file(&object, &"00".repeat(32)), file(&injected.0, &hash)]);
    });
    forged.save_metadata();
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().files(Integrity::Verified), 9);
    assert_eq!(validated.file(&forged.path(&injected.0)), Integrity::Listed);
    assert_eq!(validated.digest(&hour.digest).0, DigestState::Unverified);
    // It claims a key that is given, and cannot sign with it.
    let text = String::from_utf8(contents(&hour.digest)).unwrap();
    let print = |number| crate::chain::Key::number(number).fingerprint();
    write(&hour.digest, &gzip(text.replace(&print(2), &print(0)).as_bytes(), 6));
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().digest(&hour.digest).0, DigestState::Invalid);
    assert_eq!(validated.file(&forged.path(&injected.0)), Integrity::Unlisted);
    assert_eq!(validated.files(Integrity::Verified), 9);
}

#[test]
fn a_forged_digest_in_the_place_of_a_true_one_counts_for_nothing() {
    let (bench, hours) = Bench::whole();
    let mut forged = Chain::new(&bench.copy);
    forged.key = 2;
    let end = "2023-11-05T09:30:14Z".parse().unwrap();
    forged.start = end;
    let hour = forged.hour(1);
    assert_eq!(hour.digest, hours[2].digest);
    let validated = bench.validate();
    assert_ne!(validated.is_not_valid().digest(&hours[2].digest).0, DigestState::Verified);
    assert_eq!(validated.files(Integrity::Verified), 6);
}

#[test]
fn a_forged_successor_does_not_break_the_chain() {
    let (bench, hours) = Bench::whole();
    // Ends a second after the true one, and names the same digest before it with a wrong signature.
    let mut forged = Chain::new(&bench.copy);
    forged.key = 2;
    forged.start = "2023-11-05T08:30:15Z".parse().unwrap();
    let before = hours[0].digest.strip_prefix(&bench.copy).unwrap().to_str().unwrap().to_owned();
    forged.hour_with(0, |digest| {
        digest["previousDigestS3Bucket"] = "my-trail".into();
        digest["previousDigestS3Object"] = before.into();
        digest["previousDigestSignature"] = "00".repeat(256).into();
        digest["previousDigestHashValue"] = "00".repeat(32).into();
    });
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().digests(DigestState::Verified), 4);
    assert_eq!(validated.files(Integrity::Verified), 9);
}

#[test]
fn a_true_digest_of_another_bucket_does_not_vouch_for_this_ones_files() {
    let (bench, hours) = Bench::whole();
    // The same trail's name, account and hour in another bucket: a copy of it beside this one.
    let other = bench.copy.parent().unwrap().join("other");
    fs::create_dir(&other).unwrap();
    let mut chain = Chain::new(&other);
    chain.bucket = "other".to_owned();
    let hour = chain.hour(3);
    chain.save_metadata();
    crate::validate_with(&chain.copy, &bench.keys, &[]).is_valid();
    let trail = bench.copy.join("my-trail");
    fs::create_dir(&trail).unwrap();
    fs::rename(bench.copy.join("AWSLogs"), trail.join("AWSLogs")).unwrap();
    bench.validate().is_valid();
    let object = hours[0].digest.strip_prefix(&bench.copy).unwrap();
    assert_eq!(hour.digest.strip_prefix(&chain.copy).unwrap(), object);
    fs::copy(&hour.digest, trail.join(object)).unwrap();
    let log = hours[0].logs[0].strip_prefix(&bench.copy).unwrap();
    let validated = bench.validate();
    assert_ne!(validated.is_not_valid().digest(&trail.join(object)).0, DigestState::Verified);
    assert_ne!(validated.file(&trail.join(log)), Integrity::Verified);
}

/// AWS signs the digests of all accounts with the same keys, so another account's has a good signature.
#[test]
fn a_true_digest_of_another_account_does_not_vouch_for_this_ones_files() {
    let (bench, hours) = Bench::whole();
    let mut foreign = Chain::new(&bench.copy);
    foreign.owner = "444455556666".to_owned();
    let genuine = &hours[0].logs[0];
    let object = genuine.strip_prefix(&bench.copy).unwrap().to_str().unwrap().to_owned();
    let (_, changed) = foreign.log(3);
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&changed));
    let hour = foreign.hour_with(0, |digest| {
        digest["logFiles"] = serde_json::json!([{
            "s3Bucket": "my-trail", "s3Object": object, "hashValue": hash,
            "hashAlgorithm": "SHA-256",
        }]);
    });
    foreign.save_metadata();
    assert_eq!(bench.validate().digest(&hour.digest).0, DigestState::Verified);
    write(genuine, &gzip(&changed, 6));
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().file(genuine), Integrity::Mismatch);
    assert_eq!(validated.files(Integrity::Verified), 8);
}
