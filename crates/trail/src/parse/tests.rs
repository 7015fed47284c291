//! Records in, events and rejects out.

mod twice;

use super::*;
use crate::columns;

#[derive(Default)]
struct Collected {
    events: Vec<String>,
    rejects: Vec<String>,
}

impl Sink for Collected {
    type Error = std::convert::Infallible;

    fn event(&mut self, event: &mut Event) -> Result<(), Self::Error> {
        let name = event.column(columns::EVENT_NAME);
        let flags = event.flags.names().join(" ");
        assert!(!event.raw.is_empty());
        self.events.push(format!("{} {name} {flags}", event.offset).trim_end().to_owned());
        Ok(())
    }

    fn reject(&mut self, reject: Reject) -> Result<(), Self::Error> {
        self.rejects.push(format!("{} {}", reject.offset, reject.reason));
        Ok(())
    }
}

#[track_caller]
fn check(text: &str, events: &[&str], rejects: &[&str]) {
    let mut collected = Collected::default();
    let origin = Origin { time: Micros(1), ..Origin::default() };
    Parser::default()
        .parse_file(&split::collect(text.as_bytes()).0, origin, &mut collected)
        .unwrap();
    assert_eq!(collected.events, events);
    assert_eq!(collected.rejects, rejects);
}

const TIME: &str = r#""eventTime":"2023-01-01T00:00:00Z""#;

#[test]
fn records_are_read_with_their_offsets() {
    check(
        &format!(r#"{{"Records":[{{"eventName":"A",{TIME}}},{{"eventName":"B",{TIME}}}]}}"#),
        &["12 A", "65 B"],
        &[],
    );
}

#[test]
fn stray_commas_are_repaired_and_flagged() {
    check(&format!(r#"{{"a":{{"b":1,}},"eventName":"A",,{TIME}}}"#), &["0 A repaired"], &[]);
}

#[test]
fn a_record_that_cannot_be_repaired_costs_no_neighbour() {
    check(
        &format!(
            r#"{{"Records":[{{"eventName":"A",{TIME}}},{{"eventName":tru}},{{"eventName":"C",{TIME}}}]}}"#
        ),
        &["12 A", "83 C"],
        &["78 not JSON: expected true"],
    );
}

#[test]
fn neighbours_swallowed_by_a_missing_brace_are_found() {
    check(
        &format!(
            r#"{{"Records":[{{"eventName":{{"x":1,{TIME}}},{{"eventName":"B",{TIME}}},{{"eventName":"C",{TIME}}}]}}"#
        ),
        &["68 B", "121 C"],
        &["68 not JSON: expected object key"],
    );
}

#[test]
fn an_escaped_record_is_read() {
    check(
        r#"{"Events":[{"CloudTrailEvent":"{\"eventName\":\"A\",\"eventTime\":\"2023-01-01T00:00:00Z\"}"}]}"#,
        &["31 A"],
        &[],
    );
    check(
        r#"{"logEvents":[{"message":"START RequestId"}]}"#,
        &[],
        &["26 not JSON: a record begins with '{'"],
    );
}

#[test]
fn other_json_is_not_taken_for_a_record() {
    check(
        r#"{"name":"package","version":"1.0"}"#,
        &[],
        &["0 not a CloudTrail record: it has none of eventName, eventSource, eventID, eventTime, \
           eventVersion and userIdentity"],
    );
    check(r#"{"Records":[{"odd":1}]}"#, &["12  time-from-file"], &[]);
    check(
        r#"{"x":{"y":[{"eventName":"A"}]}}"#,
        &[],
        &["0 not a CloudTrail record; what its key 'x.y' holds may be one"],
    );
    check(
        r#"{"x":{"log":"{\"eventVersion\":1}"}}"#,
        &[],
        &["0 not a CloudTrail record; what its key 'x.log' holds may be one"],
    );
    check(
        r#"{"class_uid":6003,"category_uid":6,"metadata":{"product":{"name":"CloudTrail"}}}"#,
        &[],
        &[
            "0 an event in the form of OCSF, as Security Lake keeps it, and not a record of CloudTrail",
        ],
    );
}

#[test]
fn a_number_that_no_machine_holds_is_a_text_and_nothing_else_changes() {
    let digits = "9".repeat(400);
    let record = format!(r#"{{"eventName":"A",{TIME},"a":1e400,"b":[-{digits},2.5,1]}}"#);
    check(&record, &["0 A"], &[]);
    let mut seen = Vec::new();
    Parser::default().each_scalar(record.as_bytes(), |path, scalar| {
        seen.push(format!("{path} {scalar:?}"));
    });
    let expected =
        ["a Str(\"1e400\")", &format!("b Str(\"-{digits}\")"), "b F64(2.5, \"2.5\")", "b U64(1)"];
    assert_eq!(&seen[2..], expected);
    let mut parser = Parser::default();
    let (_, text) = parser.parse_record(record.as_bytes()).unwrap();
    assert!(matches!(text, Cow::Borrowed(_)), "it is JSON as it is");
}

#[test]
fn nesting_beyond_the_bound_is_rejected_not_followed() {
    let deep = format!("{{\"eventName\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let mut collected = Collected::default();
    Parser::default()
        .parse_file(&split::collect(deep.as_bytes()).0, Origin::default(), &mut collected)
        .unwrap();
    assert_eq!(collected.events, [""; 0]);
    assert_eq!(collected.rejects.len(), 1, "{:?}", collected.rejects);
}

#[test]
fn a_record_of_odd_size_is_an_event_up_to_the_bounds_and_named_beyond() {
    let record = |inside: &str| format!("{{\"eventName\":\"A\",{TIME},\"a\":{inside}}}");
    let good = record("1");
    let text = |bytes: usize| record(&format!("\"{}\"", ", [".repeat(bytes / 3)));
    check(
        &format!("{}\n{good}", text(10 << 20)),
        &["0 A", &format!("{} A", text(10 << 20).len() + 1)],
        &[],
    );
    let long = text(RECORD_BYTES_MAX);
    check(
        &format!("{long}\n{good}"),
        &[&format!("{} A", long.len() + 1)],
        &[&format!("0 the record is longer than {RECORD_BYTES_MAX} bytes")],
    );
    let many = |count: usize| record(&format!("[{}1]", "1,".repeat(count)));
    check(&many(RECORD_VALUES_MAX - 10), &["0 A"], &[]);
    check(&many(RECORD_VALUES_MAX), &[], &["0 the record has more than 500000 values"]);
    // What a missing brace swallows is found again, however much it is.
    let swallowed = format!("[{{\"eventName\":{{\"x\":1,{TIME}}},\n{good},{long}]");
    let mut collected = Collected::default();
    let pieces = split::collect(swallowed.as_bytes()).0;
    Parser::default().parse_file(&pieces, Origin::default(), &mut collected).unwrap();
    assert_eq!(collected.events.len(), 1, "{:?}", collected.rejects);
}

#[test]
fn a_file_of_too_many_records_is_read_up_to_the_bound() {
    let text = b"{\"eventName\":1}".repeat(FILE_RECORDS_MAX as usize + 3);
    let mut parser = Parser::default();
    let mut collected = Collected::default();
    parser.parse_pieces(&split::Pieces::of(&text), Origin::default(), &mut collected).unwrap();
    assert_eq!(collected.events.len() as u64, FILE_RECORDS_MAX);
    assert_eq!(
        collected.rejects,
        ["15000000 the file has more than 1000000 records; this and the rest are not read"]
    );
}

#[test]
fn records_of_a_second_member_are_flagged() {
    let text = format!("{{\"eventName\":\"A\",{TIME}}}\n{{\"eventName\":\"B\",{TIME}}}");
    let mut collected = Collected::default();
    let origin = Origin { second_member: Some(10), ..Origin::default() };
    Parser::default()
        .parse_file(&split::collect(text.as_bytes()).0, origin, &mut collected)
        .unwrap();
    assert_eq!(collected.events, ["0 A", "53 B second-member"]);
}

/// The content of one record.
fn content(record: &str) -> ContentHash {
    struct Content(ContentHash);
    impl Sink for Content {
        type Error = std::convert::Infallible;
        fn event(&mut self, event: &mut Event) -> Result<(), Self::Error> {
            self.0 = event.content;
            Ok(())
        }
        fn reject(&mut self, reject: Reject) -> Result<(), Self::Error> {
            panic!("{reject:?}");
        }
    }
    let mut content = Content(ContentHash::default());
    let pieces = [Piece::Record {
        offset: 0,
        bytes: record.as_bytes(),
        is_listed: true,
        flags: Flags::default(),
    }];
    Parser::default().parse_file(&pieces, Origin::default(), &mut content).unwrap();
    content.0
}

#[test]
fn white_space_key_order_and_escapes_are_no_content() {
    let record = r#"{"a":{"x":1,"y":[1,"2",{"z":null,"w":1.50}]},"b":"\u0041/","c":{}}"#;
    for same in [
        r#"{"c":{},"b":"A\/","a":{"y":[1,"2",{"w":1.50,"z":null}],"x":1}}"#,
        "{ \"c\" : { } ,\n\t\"b\":\"A/\",\"a\":{\"x\":1, \"y\":[1,\"2\",{\"z\":null,\"w\":1.50}]}}",
    ] {
        assert_eq!(content(same), content(record), "{same}");
    }
}

#[test]
fn anything_else_is_content() {
    let records = [
        r#"{"a":1}"#,
        r#"{"a":2}"#,
        r#"{"a":"1"}"#,
        r#"{"a":1.0}"#,
        r#"{"a":1.00}"#,
        r#"{"a":true}"#,
        r#"{"a":false}"#,
        r#"{"a":null}"#,
        r#"{"a":{}}"#,
        r#"{"a":[]}"#,
        r#"{"a":""}"#,
        r#"{"a":[1]}"#,
        r#"{"a":[[1]]}"#,
        r#"{"a":[1,2]}"#,
        r#"{"a":[2,1]}"#,
        r#"{"a":[1,1]}"#,
        r#"{"a":[null,1]}"#,
        r#"{"a":{"a":1}}"#,
        r#"{"b":1}"#,
        "{}",
        r#"{"a":1,"b":2}"#,
        r#"{"a":2,"b":1}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"a":{"b":1},"a":{"c":1}}"#,
        r#"{"a":{"b":1,"c":1}}"#,
        // Numbers that a double cannot tell apart, behind ones that are passed over.
        r#"{"a":0.1,"b":[1,-2,18446744073709551617]}"#,
        r#"{"a":0.1,"b":[1,-2,18446744073709551618]}"#,
        r#"{"a":0.10000000000000000001,"b":[1,-2,18446744073709551617]}"#,
        r#"{"a":18446744073709551615}"#,
        r#"{"a":-1}"#,
        r#"{"a":1e400}"#,
        r#"{"a":"1e400"}"#,
        // Zeros, and other numbers that are equal and are written otherwise.
        r#"{"a":0}"#,
        r#"{"a":-0}"#,
        r#"{"a":0.0}"#,
        r#"{"a":-0.0}"#,
        r#"{"a":0e0}"#,
        r#"{"a":1E0}"#,
        r#"{"a":[0,-0,"-0"]}"#,
        r#"{"a":[-0,0,"-0"]}"#,
        // The same values of one key in another order.
        r#"{"a":1,"a":2}"#,
        r#"{"a":2,"a":1}"#,
        r#"{"a":1,"b":2,"a":2}"#,
        // The same bytes, divided otherwise.
        r#"{"ab":"c"}"#,
        r#"{"a":"bc"}"#,
        r#"{"":"abc"}"#,
        r#"{"a":["bc"]}"#,
        r#"{"a":["b","c"]}"#,
        r#"{"a":["b",["c"]]}"#,
        r#"{"a":{"b":"c"},"d":1}"#,
        r#"{"a":{"b":"c","d":1}}"#,
        r#"{"a":"n"}"#,
        r#"{"a":"[]"}"#,
        r#"{"a":"\u0000"}"#,
        r#"{"a":"\u0000\u0000"}"#,
        r#"{"a\u0000":""}"#,
        // Broken, and repaired to the same.
        r#"{"a":1,}"#,
        r#"{"a":1,,}"#,
    ];
    for (n, a) in records.iter().enumerate() {
        for b in &records[n + 1..] {
            assert_ne!(content(a), content(b), "{a} {b}");
        }
        assert_eq!(content(a), content(a));
    }
}

/// The hash of format 4 was one of members that can be inverted: these two had the same.
#[test]
fn a_record_that_was_forged_for_another_hash_is_another() {
    let records = ["genuine", "forged"].map(|name| {
        let path = format!("{}/../../tests/data/forged/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let file = std::fs::read_to_string(path).unwrap();
        let record = file.strip_prefix(r#"{"Records": ["#).and_then(|file| file.strip_suffix("]}"));
        content(record.unwrap())
    });
    assert_ne!(records[0], records[1]);
}

#[test]
fn a_record_has_its_content_however_deep_it_is_nested() {
    let nested = |value: &str| {
        let depth = 250;
        content(&format!(r#"{{"a":{}{value}{}}}"#, "[".repeat(depth), "]".repeat(depth)))
    };
    assert_ne!(nested("1"), nested("2"));
    assert_eq!(nested("1"), nested(" 1 "));
}

#[test]
fn every_scalar_is_visited_whole_with_its_path() {
    let long = "x".repeat(10_000);
    let text = format!(r#"{{"a":[{{"b":"{long}"}}],"eventName":"N","n":null,"c":1.5,}}"#);
    let mut seen = Vec::new();
    Parser::default().each_scalar(text.as_bytes(), |path, scalar| {
        seen.push(format!("{path} {}", format!("{scalar:?}").len()));
    });
    assert_eq!(seen, ["a\u{1}b 10007", "eventName 8", "c 15"]);
}

/// Every scalar below `requestParameters`.
fn scalars(document: &str) -> Vec<String> {
    let record = serde_json::json!({ "eventName": "A", "requestParameters": { "doc": document } });
    let mut found = Vec::new();
    Parser::default().each_scalar(record.to_string().as_bytes(), |path, scalar| {
        if let Some(path) = path.strip_prefix("requestParameters\u{1}doc\u{1}") {
            found.push(format!("{} {scalar:?}", path.replace('\u{1}', ".")));
        }
    });
    found
}

#[test]
fn a_policy_in_a_text_has_fields() {
    let policy = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Principal":{"AWS":"*"},"Action":["s3:Get*","s3:Put*"]}]}"#;
    let expected = [
        r#"Version Str("2012-10-17")"#,
        r#"Statement.Effect Str("Allow")"#,
        r#"Statement.Principal.AWS Str("*")"#,
        r#"Statement.Action Str("s3:Get*")"#,
        r#"Statement.Action Str("s3:Put*")"#,
    ];
    assert_eq!(scalars(policy), expected);
    let encode = |text| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    assert_eq!(scalars(&encode(policy)), expected);
    assert_eq!(scalars(&encode(policy).replace("%7B", "%7b")), expected);

    let statement =
        r#"{"Sid":"x","Effect":"Deny","NotAction":"iam:*","Condition":{"Bool":{"a:b":true}}}"#;
    assert_eq!(scalars(statement).len(), 4);
    assert_eq!(scalars(statement)[3], "Condition.Bool.a:b Bool(true)");
    for other in
        ["{", "%7B", r#"{"Effect":"Allow"}"#, r#"["Statement"]"#, r#"{"Statement":1"#, "%7B%ff"]
    {
        assert_eq!(scalars(other), [""; 0], "{other}");
    }
}

#[test]
fn a_policy_in_a_text_changes_nothing_of_what_the_record_says() {
    let content = |document: &str| {
        let mut event = Event::default();
        let record = serde_json::json!({ "eventName": "A", "doc": document }).to_string();
        Json::default()
            .walk_whole(record.as_bytes(), &mut Fill::<true>(cleared(&mut event)))
            .unwrap()
    };
    let spaced = content(r#"{"Statement": []}"#);
    assert_ne!(spaced, content(r#"{"Statement":[]}"#), "a text is what it is, byte for byte");
    assert_eq!(spaced, content(r#"{"Statement": []}"#));
}

/// The fields that are derived, and all values of a name, of each record.
fn derived(text: &str) -> Vec<String> {
    struct Derived(Vec<String>);
    impl Sink for Derived {
        type Error = std::convert::Infallible;
        fn event(&mut self, event: &mut Event) -> Result<(), Self::Error> {
            let names = event.columns().filter(|(id, _)| *id == columns::EVENT_NAME);
            let names: Vec<&str> = names.map(|(_, name)| name).collect();
            let leaves = event.leaves().count();
            let (actor, ip) = (event.column(columns::ACTOR), event.ip.map(|ip| ip.to_string()));
            let flags = event.flags.names().join(" ");
            self.0.push(format!(
                "{} {} {actor} {} {leaves} {flags}",
                names.join("|"),
                event.time,
                ip.unwrap_or_default()
            ));
            Ok(())
        }
        fn reject(&mut self, reject: Reject) -> Result<(), Self::Error> {
            self.0.push(format!("{reject:?}"));
            Ok(())
        }
    }
    let mut derived = Derived(Vec::new());
    Parser::default()
        .parse_file(&split::collect(text.as_bytes()).0, Origin::default(), &mut derived)
        .unwrap();
    derived.0
}

/// Whoever takes no more ends the file, also where none of it is a record.
#[test]
fn a_sink_that_fails_ends_the_file() {
    struct Failing {
        after: usize,
    }
    impl Failing {
        fn take(&mut self) -> Result<(), ()> {
            self.after = self.after.checked_sub(1).ok_or(())?;
            Ok(())
        }
    }
    impl Sink for Failing {
        type Error = ();
        fn event(&mut self, _: &mut Event) -> Result<(), ()> {
            self.take()
        }
        fn reject(&mut self, _: Reject) -> Result<(), ()> {
            self.take()
        }
    }
    for text in [r#"{"eventName":"A"}"#, "{}", r#"{"eventName":tru}"#, "no\n"] {
        let text = text.repeat(20);
        let pieces = split::Pieces::of(text.as_bytes());
        let parse = |after| {
            Parser::default().parse_pieces(&pieces, Origin::default(), &mut Failing { after })
        };
        assert_eq!(parse(0), Err(()), "{text}");
        assert_eq!(parse(1_000), Ok(()), "{text}");
    }
}

#[test]
fn white_space_in_a_text_moves_no_place() {
    let text = |json: &str| serde_json::to_string(json).unwrap();
    // Three texts deep, beyond what is split.
    let record = format!("  \n{{\"eventName\":\"A\",{TIME}}} ");
    let inner = format!(r#"{{"CloudTrailEvent":{}}}"#, text(&record));
    let middle = format!(r#"{{"Records":[{{"CloudTrailEvent":{}}}]}}"#, text(&inner));
    let outer = format!(r#"{{"message":{}}}"#, text(&middle));
    let name = outer.find("eventName").unwrap();
    let at = outer[..name].rfind('{').unwrap();
    check(&outer, &[&format!("{at} A in-message")], &[]);
}

#[test]
fn records_in_texts_have_the_place_of_their_brace_in_the_file() {
    let record = |name: &str| format!(r#"{{"eventName":"{name}",{TIME}}}"#);
    let text = |json: &str| serde_json::to_string(json).unwrap();
    let list = format!(r#"{{"Records":[{},{}]}}"#, record("Né1"), record("N2"));
    let sns = format!(r#"{{"Type":"Notification","Message":{}}}"#, text(&list));
    let places: Vec<String> = ["{\\\"eventName\\\":\\\"Né1", "{\\\"eventName\\\":\\\"N2"]
        .iter()
        .map(|start| sns.find(start).unwrap().to_string())
        .collect();
    check(
        &sns,
        &[&format!("{} Né1 in-Message", places[0]), &format!("{} N2 in-Message", places[1])],
        &[],
    );
    // A message in a message is named.
    check(
        &format!(r#"{{"body":{}}}"#, text(&sns)),
        &[],
        &["9 not a CloudTrail record; what its key 'Message' holds may be one"],
    );
    // What is broken in a text is told by its place in the file.
    let broken = format!(r#"{{"Message":{}}}"#, text(r#"{"eventName":"\u0041",tru}"#));
    let at = broken.find("tru").unwrap();
    check(&broken, &[], &[&format!("{at} not JSON: expected object key")]);
}

#[test]
fn a_notification_of_s3_says_what_it_is() {
    check(
        &format!(
            r#"{{"Records":[{{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put",{TIME}}}]}}"#
        ),
        &["12 ObjectCreated:Put s3-notification"],
        &[],
    );
}

#[test]
fn an_identity_that_is_a_text_is_one() {
    let text = r#"{\"type\":\"IAMUser\",\"userName\":\"nora\",\"x\":{\"y\":1}}"#;
    assert_eq!(
        derived(&format!(r#"{{"eventName":"A",{TIME},"userIdentity":"{text}"}}"#)),
        ["A 2023-01-01T00:00:00Z nora  2 "]
    );
    for other in [r"{type=IAMUser", "nora", "[]", "{"] {
        assert_eq!(
            derived(&format!(r#"{{"eventName":"A",{TIME},"userIdentity":"{other}"}}"#)),
            ["A 2023-01-01T00:00:00Z   1 "]
        );
    }
}

#[test]
fn a_time_of_any_form_is_the_event_s() {
    for time in [
        "1746097204",
        "1746097204000",
        "\"1746097204\"",
        "1746097204.0",
        "\"2025-05-01 11:00:04.000 UTC\"",
    ] {
        assert_eq!(
            derived(&format!(r#"{{"eventName":"A","eventTime":{time}}}"#)),
            ["A 2025-05-01T11:00:04Z   0 "]
        );
    }
}

#[test]
fn a_file_of_utf_16_has_its_own_bytes_as_places() {
    let text = format!(
        "{{\"Records\":[{{\"eventName\":\"Né\u{1f600}\",{TIME}}},{{\"eventName\":tru}},{{\"eventName\":\"B\",{TIME}}}]}}"
    );
    for mark in [true, false] {
        for big in [true, false] {
            let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
            let bytes: Vec<u8> = units
                .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
                .collect();
            let file = crate::utf16::decode(&bytes).unwrap();
            assert!(file.is_whole);
            let place = |what: &str| {
                let before = &text[..text.find(what).unwrap()];
                2 * before.encode_utf16().count() + if mark { 2 } else { 0 }
            };
            let mut collected = Collected::default();
            let pieces = split::Pieces::of_utf16(&file);
            Parser::default().parse_pieces(&pieces, Origin::default(), &mut collected).unwrap();
            let second = place("{\"eventName\":\"B");
            assert_eq!(
                collected.events,
                [format!("{} Né\u{1f600}", place("{\"eventName\":\"N")), format!("{second} B")]
            );
            assert_eq!(collected.rejects, [format!("{} not JSON: expected true", place("tru}"))]);
        }
    }
    assert!(crate::utf16::decode(b"{}").is_none());
    let half = crate::utf16::decode(&[0xFF, 0xFE, 0x00, 0xD8, b'x']).unwrap();
    assert_eq!((half.text.as_str(), half.is_whole), ("\u{fffd}", false));
}
