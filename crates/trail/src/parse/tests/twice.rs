//! Keys that an object has twice, in a record and in the texts that it holds.

use super::*;

#[test]
fn of_keys_that_come_again_the_last_counts_and_all_are_found() {
    let identity = |name: &str| format!(r#"{{"type":"IAMUser","userName":"{name}"}}"#);
    let record = format!(
        r#"{{"eventName":"A","eventTime":"2021-01-01T00:00:00Z","userIdentity":{},"sourceIPAddress":"192.0.2.1","\u0065ventName":"B","x":{{"y":1,"y":[{{"z":1}},{{"z":2}}]}},"eventTime":"2022-01-01T00:00:00Z","userIdentity":{{"type":"Root"}},"sourceIPAddress":"AWS Internal"}}"#,
        identity("eve")
    );
    assert_eq!(
        derived(&record),
        ["B|A 2022-01-01T00:00:00Z root  4 duplicate-keys"],
        "a key is one however it is escaped; what is below the first object is none of the last's"
    );
    // An array's objects are objects of their own, and so are records.
    let other = format!(r#"{{"eventName":"A",{TIME},"x":[{{"y":1}},{{"y":2}}],"y":{{"x":1}}}}"#);
    let lines = [other.as_str(), &record, &other].join("\n");
    assert_eq!(derived(&lines)[0], "A 2023-01-01T00:00:00Z   3 ");
    assert_eq!(derived(&lines)[2], derived(&lines)[0]);
    // Below the deepest path, too.
    let deep = |inside: &str| {
        format!(
            r#"{{"eventName":"A",{TIME},"d":{}{inside}{}}}"#,
            r#"{"d":"#.repeat(60),
            "}".repeat(60)
        )
    };
    assert_eq!(derived(&deep(r#"{"a":1,"b":1}"#)), ["A 2023-01-01T00:00:00Z   2 "]);
    assert_eq!(derived(&deep(r#"{"a":1,"a":1}"#)), ["A 2023-01-01T00:00:00Z   2 duplicate-keys"]);
    // The last has no value: there is none.
    assert_eq!(
        derived(&format!(
            r#"{{"eventName":"A",{TIME},"userIdentity":{},"userIdentity":null}}"#,
            identity("eve")
        )),
        ["A 2023-01-01T00:00:00Z   0 duplicate-keys"]
    );
}

/// A search takes `a.b` for what it is in `a`; jq and others read what is in `a`.
#[test]
fn of_a_key_with_dots_and_its_nested_form_the_nested_counts_and_both_are_found() {
    let record = |members: &str| derived(&format!(r#"{{"eventName":"A",{TIME},{members}}}"#));
    let (dotted, nested) = (
        r#""userIdentity.userName":"eve""#,
        r#""userIdentity":{"type":"IAMUser","userName":"nora"}"#,
    );
    let twice = ["A 2023-01-01T00:00:00Z nora  0 duplicate-keys"];
    assert_eq!(record(&format!("{dotted},{nested}")), twice);
    assert_eq!(record(&format!("{nested},{dotted}")), twice);
    assert_eq!(
        record(&format!(r#"{dotted},"x":[{{"a.b":1}}],"x.y":2,{nested}"#)),
        ["A 2023-01-01T00:00:00Z nora  2 duplicate-keys"]
    );
    let other = r#""userIdentity":{"type":"IAMUser","sessionContext.sessionIssuer.userName":"eve","sessionContext":{"sessionIssuer":{"userName":"role"}}}"#;
    assert_eq!(record(other), ["A 2023-01-01T00:00:00Z   0 duplicate-keys"]);
    // By itself it is what it says, and so it is beside others.
    assert_eq!(record(dotted), ["A 2023-01-01T00:00:00Z eve  0 "]);
    for members in [
        r#""userIdentity.userName":"eve","userIdentity.type":"IAMUser""#,
        r#""userIdentity.userName":"eve","userIdentity":null"#,
        r#""userIdentity.userName":"eve","userIdentity-x":{"userName":"x"}"#,
        r#""userIdentity.userName":"eve","x":{"userIdentity":{"userName":"x"}}"#,
        r#""userIdentity.userName":"eve","":{"x":1},".x":1"#,
    ] {
        let found = record(members);
        assert!(found[0].contains(" eve ") && found[0].ends_with(' '), "{members} {found:?}");
    }
    // Whatever is between them in the order of keys.
    let many =
        ["a.b", "a!", "a", "a.b.c", "a-", "ab", "a.c"].map(|key| format!(r#""{key}":{{"d":1}}"#));
    let found = record(&many.join(","));
    assert!(found[0].ends_with(" 7 duplicate-keys"), "{found:?}");
}

#[test]
fn keys_that_come_again_in_a_text_are_flagged_too() {
    let text = |json: &str| serde_json::to_string(json).unwrap();
    let record = |member: &str| derived(&format!(r#"{{"eventName":"A",{TIME},{member}}}"#));
    let policy = r#"{"Statement":[{"Effect":"Deny","Effect":"Allow","Action":"*"}]}"#;
    assert_eq!(
        record(&format!(r#""doc":{}"#, text(policy))),
        ["A 2023-01-01T00:00:00Z   4 duplicate-keys"]
    );
    let once = policy.replace(r#""Effect":"Deny","#, "");
    assert_eq!(record(&format!(r#""doc":{}"#, text(&once))), ["A 2023-01-01T00:00:00Z   3 "]);
    // Two texts have one object each.
    assert_eq!(
        record(&format!(r#""doc":{0},"other":{0}"#, text(&once))),
        ["A 2023-01-01T00:00:00Z   6 "]
    );
    let identity = r#"{"type":"IAMUser","userName":"eve","userName":"nora"}"#;
    assert_eq!(
        record(&format!(r#""userIdentity":{}"#, text(identity))),
        ["A 2023-01-01T00:00:00Z nora  1 duplicate-keys"]
    );
    // What is in a text that is overridden is found, and nothing is derived of it.
    assert_eq!(
        record(&format!(
            r#""userIdentity":{},"userIdentity":{{"type":"Root"}},"doc":{},"doc":1"#,
            text(r#"{"type":"IAMUser","userName":"eve"}"#),
            text(&once),
        )),
        ["A 2023-01-01T00:00:00Z root  5 duplicate-keys"]
    );
}
