//! Records that somebody hides: each is a record, or it is told.

use super::*;

const OUTER: &str = r#"{"eventName":"Shown","eventID":"1"}"#;
const INNER: &str =
    r#"{"eventVersion":"1.11","eventTime":"t","eventName":"StopLogging","eventID":"2"}"#;

/// The offsets of records and texts, and those of what is told.
fn found(text: &str) -> (Vec<usize>, Vec<usize>) {
    let (mut read, mut told) = (Vec::new(), Vec::new());
    for piece in collect(text.as_bytes()).0 {
        match piece {
            Piece::Record { offset, .. } | Piece::Escaped { offset, .. } => read.push(offset),
            Piece::Broken { offset, .. } => told.push(offset),
        }
    }
    (read, told)
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// Each way to write a value in which a record hides.
fn hidings() -> Vec<String> {
    let in_text = quoted(INNER);
    let twice = quoted(&in_text);
    vec![
        INNER.to_owned(),
        format!("[{INNER}]"),
        format!(r#"{{"x":[1,{{"y":{INNER}}}]}}"#),
        in_text.clone(),
        format!("[{in_text}]"),
        format!(r#"{{"CloudTrailEvent":{in_text}}}"#),
        format!(r#"{{"x":{twice}}}"#),
        quoted(&format!("it\"s before {INNER}")),
        INNER
            .replace("eventName", "\\u0065ventName")
            .replace("eventVersion", "x")
            .replace("eventID", "y"),
        in_text.replace("\\\"", "\\u0022").replace('{', "\\u007b"),
        r#"{"eventName":["StopLogging"],"eventID":["2"]}"#.to_owned(),
    ]
}

#[test]
fn no_member_beside_records_hides_one() {
    let names = [
        "NextToken",
        "nextToken",
        "nextForwardToken",
        "searchedLogStreams",
        "subscriptionFilters",
        "ResponseMetadata",
        "_shards",
        "aggregations",
        "total",
        "messageType",
        "owner",
        "logGroup",
        "logStream",
        "x",
        "note",
        "version",
        "\\u006fwner",
    ];
    let records = [
        format!(r#""Records":[{OUTER}]"#),
        format!(r#""detail":{OUTER}"#),
        format!(r#""message":{}"#, quoted(OUTER)),
        format!(r#""CloudTrailEvent":{}"#, quoted(OUTER)),
        format!(r#""_source":{OUTER}"#),
        format!(r#""hits":{{"hits":[{{"_source":{OUTER}}}]}}"#),
    ];
    for name in names {
        for record in &records {
            for hidden in hidings() {
                for text in [
                    format!(r#"{{{record},"{name}":{hidden}}}"#),
                    format!(r#"{{"{name}":{hidden},{record}}}"#),
                ] {
                    let at = text.find(&hidden).unwrap();
                    let (read, told) = found(&text);
                    assert_eq!((read.len(), told), (1, vec![at]), "{text}");
                }
            }
        }
    }
    for hidden in hidings() {
        let text = format!(r#"{{"result":{{"_raw":{},"x":{hidden}}}}}"#, quoted(OUTER));
        assert_eq!(found(&text).1.len(), 1, "{text}");
    }
}

#[test]
fn what_aws_and_elasticsearch_write_beside_records_is_not_told() {
    for beside in [
        r#""NextToken":null"#,
        r#""NextToken":"x""#,
        r#""total":{"value":1,"relation":"eq"}"#,
        r#""total":1"#,
        r#""_shards":{"total":1,"failed":0}"#,
        r#""aggregations":{"names":{"buckets":[{"key":"eventName","doc_count":1}]}}"#,
        r#""searchedLogStreams":[{"logStreamName":"s","searchedCompletely":true}]"#,
        r#""subscriptionFilters":["all"]"#,
        r#""owner":"111122223333""#,
        r#""note":"the {eventName} of it""#,
    ] {
        let text = format!(r#"{{"Records":[{OUTER}],{beside}}}"#);
        assert_eq!(found(&text), (vec![12], vec![]), "{text}");
    }
    // Packing is known by what it is, too: AWS writes no object there.
    for beside in [r#""owner":{"a":1}"#, r#""NextToken":[1]"#, r#""_shards":[]"#] {
        let text = format!(r#"{{"Records":[{OUTER}],{beside}}}"#);
        assert_eq!(found(&text).1.len(), 1, "{text}");
    }
    let text = format!(
        r#"{{"_source":{OUTER},"fields":{{"eventName":["x"]}},"highlight":{{"eventName":["<em>x"]}}}}"#
    );
    assert_eq!(found(&text), (vec![11], vec![]));
}

/// A record's key beside a list hides no record of the list, and the list does not hide the record.
#[test]
fn a_record_that_holds_records_is_one_and_so_are_they() {
    for (name, value) in [
        ("Records", format!("[{OUTER},{INNER}]")),
        ("Events", format!("[{{\"CloudTrailEvent\":{}}}]", quoted(INNER))),
        ("detail", INNER.to_owned()),
        ("message", quoted(INNER)),
        ("CloudTrailEvent", quoted(INNER)),
        ("_source", INNER.to_owned()),
    ] {
        for key in
            ["eventName", "eventID", "eventVersion", "eventTime", "userIdentity", "eventSource"]
        {
            for text in [
                format!(r#"{{"{name}":{value},"{key}":"x"}}"#),
                format!(r#"{{"{key}":"x","{name}":{value}}}"#),
                format!(r#"[{{"{key}":"x","{name}":{value}}}]"#),
            ] {
                let (read, told) = found(&text);
                assert_eq!(read[0], text.find('{').unwrap(), "{text}");
                let last = text.rfind(&INNER[..1]).unwrap();
                assert!(read.len() >= 2 && *read.last().unwrap() <= last + 1, "{text}: {read:?}");
                assert!(told.is_empty(), "{text}");
                // AWS writes nothing but records in `Records`.
                let text = format!(r#"{{"Records":[{{"{key}":"x","{name}":{value}}}]}}"#);
                assert_eq!(found(&text), (vec![12], vec![]), "{text}");
            }
        }
        // One without an end costs none of them.
        let text = format!(r#"{{"{name}":{value},"eventName":"x","y":{{"#);
        assert!(!found(&text).0.is_empty(), "{text}");
    }
}

/// A tool that parses a record keeps its text beside the fields, or some fields beside the text.
#[test]
fn a_copy_of_a_record_is_not_read_twice() {
    let message = quoted(INNER);
    let logstash = format!(r#"{{"@timestamp":"t","message":{message},{}"#, &INNER[1..]);
    assert_eq!(found(&logstash), (vec![0], vec![]));
    let changed = logstash.replacen(r#""eventID":"2""#, r#""eventID":"3""#, 1);
    assert_eq!(found(&changed).0.len(), 2);
    let twice = logstash.replacen(
        r#"\"eventID\""#,
        r#"\"eventName\":\"x\",\"eventName\":\"StopLogging\",\"eventID\""#,
        1,
    );
    assert_eq!(found(&twice).0.len(), 2);
    for (before, behind) in [("", ""), (r#"{"result":"#, "}")] {
        let splunk = |name: &str| {
            format!(
                r#"{before}{{"_raw":{message},"eventName":"{name}","eventID":"2","x.y":"z"}}{behind}"#
            )
        };
        assert_eq!(found(&splunk("StopLogging")), (vec![before.len() + 9], vec![]));
        let (read, told) = found(&splunk("DeleteTrail"));
        assert_eq!(read.len() + told.len(), 2, "{read:?} {told:?}");
    }
}

#[test]
fn a_bracket_too_many_costs_no_record() {
    for (text, at) in [
        (r#"{"Records":[A}],B]}"#, 1),
        (r#"{"Records":[A]B}"#, 1),
        (r#"{"Records":[A]]B]}"#, 1),
        (r#"{"Records":[A]}},B]}"#, 0),
        (r#"{"Records":[A] x B}"#, 1),
        (r#"{"Records":[A, x B]}"#, 1),
        (r#"{"Records":[A]},B]}"#, 0),
        (r"[A]B]", 0),
    ] {
        let a = r#"{"awsRegion":"r","eventName":"Shown"}"#;
        let b = r#"{"awsRegion":"r","eventName":"StopLogging"}"#;
        let text = text.replace('A', a).replace('B', b);
        let (read, told) = found(&text);
        assert_eq!(read, [text.find(a).unwrap(), text.find(b).unwrap()], "{text}");
        assert!(told.len() >= at, "{text}");
    }
}

#[test]
fn a_digest_that_holds_a_record_is_none() {
    for hidden in hidings() {
        let text =
            format!(r#"{{"digestStartTime":"2023-01-01T00:00:00Z","logFiles":[],"x":{hidden}}}"#);
        assert!(!collect(text.as_bytes()).1.is_digest, "{text}");
    }
}
