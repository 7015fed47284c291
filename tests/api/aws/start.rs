//! Which daemons start, and whom a key lets see what.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use bench::generate::{GenerateOptions, generate};
use rustix::process::geteuid;
use serde_json::{Value, json};

use super::{KEY, listening, python, records, run_client, socket_records, with_keys, write_keys};
use crate::common::{PATIENCE_BULK, Place};

/// What a start that is refused says.
fn refusal(place: &Place) -> String {
    let mut command = place.serve_command();
    let output = command.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_daemon_does_not_start_with_keys_that_others_can_read() {
    let place = Place::new();
    let file = place.path("keys.toml");
    let place = listening(place).with("AWS_KEYS_FILE", file.to_str().unwrap());
    assert!(refusal(&place).contains("cannot read the access keys"));

    write_keys(&file, &format!("[{KEY}]\nsecret = 'hush'\n"));
    for mode in [0o640, 0o604, 0o620, 0o666] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let said = refusal(&place);
        assert!(said.contains("others than their owner can get at them"), "{mode:o}: {said}");
    }
    write_keys(&file, "[AKID]\nsecret = 'hush'\nsurprise = 1\n");
    let said = refusal(&place);
    assert!(said.contains("line 3 is not as in") && !said.contains("hush"), "{said}");
    write_keys(&file, "");
    assert!(refusal(&place).contains("there is none"));
    if geteuid().is_root() {
        write_keys(&file, &format!("[{KEY}]\nsecret = 'hush'\n"));
        chown(&file, Some(65_534), None).unwrap();
        assert!(refusal(&place).contains("belong to user 65534"));
    }
    let public = place.with("AWS_LISTEN", "0.0.0.0:0");
    assert!(refusal(&public).contains("allowed is a loopback address and a port"));
}

#[test]
fn a_key_is_told_of_its_accounts_and_a_client_of_its_region() {
    let place = Place::new();
    let options = GenerateOptions { events: 2_000, ..GenerateOptions::default() };
    generate(&options, &place.archive()).unwrap();
    // One of before there was a recipientAccountId, and one of nobody.
    let old = |id: &str, account: &str| {
        format!(
            r#"{{"eventVersion":"1.01","userIdentity":{{"accountId":"{account}"}},"eventTime":"2016-01-01T00:00:00Z","eventName":"A","awsRegion":"eu-west-1","eventID":"{id}"}}"#
        )
    };
    let mut groups = BTreeSet::new();
    let place = with_keys(place, "");
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 2_000);
    for hit in daemon.find("*").hits {
        let event: Value = serde_json::from_str(hit.event.get()).unwrap();
        let text = |key: &str| event[key].as_str().unwrap().to_owned();
        groups.insert((text("recipientAccountId"), text("awsRegion")));
    }
    let accounts: BTreeSet<&str> = groups.iter().map(|(account, _)| &**account).collect();
    let regions: BTreeSet<&str> = groups.iter().map(|(_, region)| &**region).collect();
    assert!(accounts.len() > 2 && regions.len() > 2, "{groups:?}");
    let (account, region) = (*accounts.first().unwrap(), *regions.last().unwrap());
    daemon.stop();
    let lines = format!("{}\n{}", old("mine", account), old("other", "999"));
    fs::write(place.archive().join("old.jsonl"), lines).unwrap();

    let limited = format!("[AKIDONE]\nsecret = 'one'\naccounts = ['{account}']\n");
    let place = with_keys(place, &limited);
    let ask = |address: &str, key: &str, secret: &str, region: &str| {
        let mut command = python("boto_lookup.py");
        command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
        command.env("AWS_DEFAULT_REGION", region);
        let asked = json!([{ "parameters": {}, "paginate": {} }]);
        let answer = run_client(&mut command, address, &asked);
        let pages = answer[0]["pages"].as_array().unwrap_or_else(|| panic!("{answer}"));
        records(&pages.iter().flat_map(|page| page.as_array().unwrap().clone()).collect::<Vec<_>>())
    };
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 2_002);
    let address = super::address(&daemon);
    let of_account = socket_records(
        &daemon,
        &format!(
            "recipientAccountId:{account} OR (userIdentity.accountId:{account} AND NOT recipientAccountId:*)"
        ),
    );
    assert!(of_account.iter().any(|record| record.contains("\"mine\"")) && of_account.len() > 10);
    assert_eq!(ask(&address, "AKIDONE", "one", region), of_account);
    assert_eq!(ask(&address, KEY, super::SECRET, region), socket_records(&daemon, "*"));
    daemon.stop();

    let daemon = place.with("AWS_REGION", "client").start();
    daemon.wait_indexed(PATIENCE_BULK, 2_002);
    let address = super::address(&daemon);
    let expected = socket_records(&daemon, &format!("awsRegion:{region}"));
    assert!(!expected.is_empty());
    assert_eq!(ask(&address, KEY, super::SECRET, region), expected);
    assert!(ask(&address, KEY, super::SECRET, "ap-east-1").is_empty());
    daemon.stop();
}
