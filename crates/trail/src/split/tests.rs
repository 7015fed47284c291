//! Bytes in, pieces out.

use super::*;
use crate::limits::{DOORS_MAX, PIECES_HELD_MAX};

mod hidden;

fn split<'a>(bytes: &'a [u8], sink: &mut impl FnMut(Piece<'a>)) -> Outcome {
    let (pieces, outcome) = collect(bytes);
    pieces.into_iter().for_each(sink);
    outcome
}

/// One line a piece: `offset text`, with `!` for broken and `"` for escaped ones.
#[track_caller]
fn check(text: &str, expected: &[&str]) -> Outcome {
    let mut pieces = Vec::new();
    let outcome = split(text.as_bytes(), &mut |piece| {
        pieces.push(match piece {
            Piece::Record { offset, bytes, .. } => {
                format!("{offset} {}", String::from_utf8_lossy(bytes))
            }
            Piece::Escaped { offset, content, .. } => {
                format!("{offset} \"{}", String::from_utf8_lossy(content))
            }
            Piece::Broken { offset, reason } => format!("{offset} !{reason}"),
        });
    });
    assert_eq!(pieces, expected);
    outcome
}

const WHOLE: Outcome = Outcome { is_digest: false, is_cut: false };
const CUT: Outcome = Outcome { is_digest: false, is_cut: true };

#[test]
fn a_trail_file_gives_its_records() {
    let text = r#"{"Records": [{"a":"}"}, {"b":[{"c":"\"]"}]}]}"#;
    assert_eq!(check(text, &[r#"13 {"a":"}"}"#, r#"24 {"b":[{"c":"\"]"}]}"#]), WHOLE);
    assert_eq!(check(r#"{"Records":[]}"#, &[]), WHOLE);
}

#[test]
fn arrays_single_records_and_lines_give_their_records() {
    assert_eq!(check(r#"[{"a":1},{"b":2}]"#, &[r#"1 {"a":1}"#, r#"9 {"b":2}"#]), WHOLE);
    assert_eq!(check("{\n \"a\": 1\n}\n", &["0 {\n \"a\": 1\n}"]), WHOLE);
    assert_eq!(check("{\"a\":1}\n{\"b\":2}\r\n", &["0 {\"a\":1}", "8 {\"b\":2}"]), WHOLE);
    assert_eq!(check("\u{feff}{}{}", &["3 {}", "5 {}"]), WHOLE);
    assert_eq!(check("", &[]), WHOLE);
}

#[test]
fn lookup_events_output_gives_the_escaped_records() {
    check(
        r#"{"Events":[{"EventId":"1","CloudTrailEvent":"{\"a\":1}","Username":"x"}],"NextToken":"t"}"#,
        &[r#"45 "{\"a\":1}"#],
    );
}

#[test]
fn envelopes_give_what_they_hold() {
    check(r#"{"version":"0","detail-type":"x","detail":{"a":{"b":1}}}"#, &[r#"42 {"a":{"b":1}}"#]);
    check(r#"[{"detail":{"a":1}},{"detail":{"b":1}}]"#, &[r#"11 {"a":1}"#, r#"30 {"b":1}"#]);
    check(
        r#"{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","message":"{\"a\":1}"}]}"#,
        &[r#"64 "{\"a\":1}"#],
    );
    check(r#"{"message":"not a log event"}"#, &[r#"0 {"message":"not a log event"}"#]);
}

/// A record is one whatever it has, in whatever order; the keys of envelopes hide none.
#[test]
fn a_record_with_the_keys_of_an_envelope_is_a_record() {
    for key in ["Records", "Events", "events", "logEvents", "Messages", "hits", "detail", "message"]
    {
        for value in ["[]", "[1]", r#"[{"a":1}]"#, "{}", r#"{"eventName":"x"}"#, r#""{\"a\":1}""#] {
            for name in ["eventName", "eventID", "eventVersion", "userIdentity"] {
                let member = format!("\"{key}\":{value}");
                for record in [
                    format!("{{{member},\"{name}\":1}}"),
                    format!("{{\"{name}\":1,{member}}}"),
                    format!("{{\"x\":{{}},{member},\"\\u0065{}\":1}}", &name[1..])
                        .replace("\\u0065serIdentity", "\\u0075serIdentity"),
                ] {
                    for (before, behind) in [("{\"Records\":[", "]}"), ("[", "]"), ("[{},", ",{}]")]
                    {
                        let mut expected = vec![format!("{} {record}", before.len())];
                        if before == "[{}," {
                            expected.insert(0, "1 {}".to_owned());
                            expected.push(format!("{} {{}}", before.len() + record.len() + 1));
                        }
                        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
                        check(&format!("{before}{record}{behind}"), &expected);
                    }
                }
            }
        }
    }
}

#[test]
fn what_holds_nothing_is_told() {
    // A list that is empty is a file without records.
    for text in [r#"{"Records":[]}"#, r#"{"Events":[],"NextToken":"x"}"#, "[]", "[]\n[]"] {
        check(text, &[]);
    }
    for inner in [r#"{"Events":[]}"#, r#"{"a":1}"#] {
        check(&format!("[{inner}]"), &[&format!("1 {inner}")]);
        check(&format!(r#"{{"detail":{inner}}}"#), &[&format!("10 {inner}")]);
    }
    check(r#"{"Records":[],"other":1}"#, &[r#"0 {"Records":[],"other":1}"#]);
    check(r#"{"Records":[],"eventID":1}"#, &[r#"0 {"Records":[],"eventID":1}"#]);
    let beside = "it stands beside a list of records, and is not read";
    check(
        r#"{"Records":[{"a":1}],"x":[{"eventName":"hidden"}],"y":"text"}"#,
        &[r#"12 {"a":1}"#, &format!("25 !{beside}")],
    );
    let here = "a record should begin here, with '{'";
    check(r#"{"Records":[[[[[{"b":1}]]]],{"a":1}]}"#, &[&format!("15 !{here}"), r#"28 {"a":1}"#]);
    let hidden = "it stands beside what holds records, has a record's key, and is not read";
    for (text, at) in [
        (r#"{"detail":{"a":1},"x":{"y":[{"eventName":"z"}]}}"#, 22),
        (r#"{"detail":{"a":1},"x":[{"\u0065ventName" : {}}]}"#, 22),
        (r#"{"y":{"x":[]},"detail":{"a":1},"x":[1,{"eventID":"z"}]}"#, 35),
    ] {
        let detail = text.find(r#"{"a":1}"#).unwrap();
        check(text, &[&format!(r#"{detail} {{"a":1}}"#), &format!("{at} !{hidden}")]);
    }
    let inner = r#"{"event":{"x":{"eventID":"z"},"original":"{}","y":[{}]},"z":[{"eventID":1}]}"#;
    check(inner, &[&format!("14 !{hidden}"), "42 \"{}", &format!("60 !{hidden}")]);
    check(
        r#"{"event":{"original":{"a":1},"original":[{"eventID":1}]}}"#,
        &[r#"21 {"a":1}"#, &format!("40 !{hidden}")],
    );
    check(
        r#"{"event":{"eventID":"z","original":"{}"}}"#,
        &[r#"0 {"event":{"eventID":"z","original":"{}"}}"#],
    );
    // What tools write beside a record.
    for text in [
        r#"{"detail":{"a":1},"x":{"y":["eventName","eventID"]},"z":{"eventSource":"aws:s"}}"#,
        r#"{"detail":{"a":1},"fields":{"eventName":["z"]}}"#,
        r#"{"detail":{"a":1},"eventId":{},"x":"{\"eventNames\":1}"}"#,
    ] {
        check(text, &[r#"10 {"a":1}"#]);
    }
    check(r#"{"result":{"eventName":"z","_raw":"{}"}}"#, &[&format!("10 !{hidden}"), "35 \"{}"]);
    check(r#"{"Records":[{"a":1}],"x":[{"b":1}"#, &[r#"12 {"a":1}"#, "25 !it has no end"]);
    // A record is one, although its list comes first, and whatever was found before.
    let late = r#"{"Records":[{"a":1}],"x":"text","eventName":"z"}"#;
    check(
        &format!("{{\"b\":1}}\n{late}\n{{\"Records\":[{{\"c\":1}}]}}"),
        &[r#"0 {"b":1}"#, &format!("8 {late}"), &format!("{} {{\"c\":1}}", 8 + late.len() + 13)],
    );
    check(r#"{"Records":[{"a":1}],"Events":[{"b":1}]}"#, &[r#"12 {"a":1}"#, r#"31 {"b":1}"#]);
    check(
        r#"[1,"x",null,[],{"a":1}]"#,
        &[
            &format!("1 !{here}"),
            &format!("3 !{here}"),
            &format!("7 !{here}"),
            "12 !an empty list where a record should be",
            r#"15 {"a":1}"#,
        ],
    );
}

#[test]
fn what_stands_before_a_record_in_its_line_is_packing() {
    let flags = |text: &str| {
        let (pieces, _) = collect(text.as_bytes());
        let of = |piece: &Piece<'_>| match piece {
            Piece::Record { offset, flags, .. } => format!("{offset} {}", flags.names().join(" ")),
            piece => format!("{piece:?}"),
        };
        pieces.iter().map(of).collect::<Vec<_>>()
    };
    let lines = "2025-05-01T10:00:01.000Z {\"a\":1}\n2025-05-01T10:00:02.5+02:00\t{\"b\":1}\r\n";
    assert_eq!(flags(lines), ["25 ", "61 "]);
    let lines = "May  1 host app[1]: {\"a\":1}\n<6>x {\"b\":1}\nx={\"c\":1}";
    assert_eq!(flags(lines), ["20 line-prefix", "33 line-prefix", "43 line-prefix"]);
    // Each line that is none is told, but not what no person wrote.
    check(
        "INFO {\"a\":1} more\nWARN no\nWARN {\"b\":1}\n\x01\x02{\"c\":1}\n",
        &[
            "5 {\"a\":1}",
            "13 !a record should begin here, with '{'",
            "31 {\"b\":1}",
            "39 !a record should begin here, with '{'",
        ],
    );
}

#[test]
fn wrappers_of_other_tools_are_taken_apart() {
    #[track_caller]
    fn check_flag(text: &str, expected: &str) {
        let (pieces, _) = collect(text.as_bytes());
        let of = |piece: &Piece<'_>| match piece {
            Piece::Record { offset, flags, .. } => format!("{offset} {}", flags.names().join(" ")),
            Piece::Escaped { offset, flags, .. } => {
                format!("{offset} \"{}", flags.names().join(" "))
            }
            piece @ Piece::Broken { .. } => format!("{piece:?}"),
        };
        assert_eq!(pieces.iter().map(of).collect::<Vec<_>>().join("; "), expected, "{text}");
    }
    check_flag(r#"{"_id":"1","_source":{"eventName":1}}"#, "21 in-_source");
    check_flag(
        r#"{"took":1,"hits":{"total":{"value":1},"hits":[{"_source":{"eventID":1}}]}}"#,
        "57 in-_source",
    );
    check_flag(r#"{"preview":false,"result":{"x":1,"_raw":"{}"}}"#, "41 \"in-result._raw");
    check_flag(r#"{"event":{"original":"{}"},"message":"text"}"#, "22 \"in-event.original");
    // filebeat has fields of its own beside the record, and CloudWatch Logs an id of its own.
    check_flag(
        r#"{"aws":{"cloudtrail":{"x":1}},"event":{"original":"{}"}}"#,
        "51 \"in-event.original",
    );
    check_flag(r#"{"aws":{"cloudtrail":{"x":1}}}"#, "0 ");
    check_flag(r#"{"aws":{"x":[],"\u0065ventTime":1}}"#, "7 in-aws");
    check_flag(r#"{"timestamp":1,"message":"{}","eventId":"37"}"#, "26 \"in-message");
    check_flag(
        r#"{"events":[{"logStreamName":"s","message":"{}","eventId":"37"}],"searchedLogStreams":[]}"#,
        "43 \"",
    );
    check_flag(r#"{"message":" {}"}"#, "12 \"in-message");
    check_flag(r#"{"message":"\n\u0020\u005b{}]"}"#, "12 \"in-message");
    check_flag(r#"{"message":"\u00e9{}"}"#, "0 ");
    check_flag(r#"{"integration":"aws","aws":{"eventName":1}}"#, "27 in-aws");
    check_flag(r#"{"rule":{},"data":{"aws":{"eventName":1}}}"#, "25 in-aws");
    check_flag(r#"{"Type":"Notification","Message":"{}"}"#, "34 \"in-Message");
    check_flag(
        r#"{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"{}"}}]}"#,
        "55 \"in-Message",
    );
    check_flag(
        r#"{"Records":[{"messageId":"1","body":"{}","eventSource":"aws:sqs"}]}"#,
        "37 \"in-body",
    );
    check_flag(r#"{"Messages":[{"Body":"{}"},{"Body":"[]"}]}"#, "22 \"in-body; 36 \"in-body");
    // One level of wrappers: the second is no record, and says so.
    check_flag(r#"{"_source":{"message":"{}"}}"#, "11 in-_source");
    check_flag(r#"{"_source":{"detail":{"a":1}}}"#, "21 in-_source");
}

#[test]
fn a_wrapper_without_an_end_costs_no_other_line() {
    check("{\"detail\":{\"a\":1\n{\"b\":2}\n", &["10 !the record has no end", "17 {\"b\":2}"]);
    check(
        "{\"result\":{\"_raw\":\"{}\",\"x\n{\"b\":2}\n",
        &["19 \"{}", "22 !it has no end", "26 {\"b\":2}"],
    );
    check(
        r#"{"messageType":"x","logEvents":[{"message":"{}"},{"message":"{"#,
        &["44 \"{}", "60 !it has no end"],
    );
}

#[test]
fn a_digest_is_recognised() {
    let text = r#"{"awsAccountId":"1","digestStartTime":"2023-01-01T00:00:00Z","logFiles":[]}"#;
    assert!(check(text, &[&format!("0 {text}")]).is_digest);
}

#[test]
fn a_file_that_ends_too_early_is_cut() {
    let broken = "20 !the record has no end";
    assert_eq!(check(r#"{"Records":[{"a":1},{"b""#, &[r#"12 {"a":1}"#, broken]), CUT);
    assert_eq!(check(r#"{"Records":[{"a":1},{"b":{"c":1},"#, &[r#"12 {"a":1}"#, broken]), CUT);
    assert_eq!(check(r#"{"Records":[{"a":1}"#, &[r#"12 {"a":1}"#]), CUT);
    assert_eq!(check(r#"{"Records":[{"a":1}]"#, &[r#"12 {"a":1}"#]), CUT);
    assert_eq!(check(r#"{"a":"#, &["0 !the record has no end"]), CUT);
    for end in ["", ",", r#","x""#, r#","x":"#] {
        assert_eq!(check(&format!(r#"{{"Records":[{{"a":1}}]{end}"#), &[r#"12 {"a":1}"#]), CUT);
    }
}

#[test]
fn a_record_without_an_end_costs_no_neighbour() {
    check(
        r#"{"Records":[{"a":{"b":1},{"a":2},{"a":3}]}"#,
        &[r#"12 {"a":{"b":1},{"a":2},{"a":3}]"#],
    );
    check(
        r#"{"Records":[{"a":"1},{"a":2},{"a":3}]}"#,
        &["12 !the record has no end", r#"21 {"a":2}"#, r#"29 {"a":3}"#],
    );
}

#[test]
fn what_a_broken_record_swallowed_is_found_again() {
    let mut pieces = Vec::new();
    split_after_broken(br#"{"a":{"b":1},{"a":2},{"a":3}]}"#, Flags::default(), &mut |piece| {
        pieces.push(piece);
        true
    });
    assert_eq!(
        pieces,
        [
            Piece::Record {
                offset: 13,
                bytes: br#"{"a":2}"#,
                is_listed: false,
                flags: Flags::default()
            },
            Piece::Record {
                offset: 21,
                bytes: br#"{"a":3}"#,
                is_listed: false,
                flags: Flags::default()
            },
        ]
    );
}

#[test]
fn a_broken_line_costs_no_other_line() {
    check(
        "{\"a\":1}\n{\"b\":\"x}\nnonsense\n{\"c\":3}\n",
        &["0 {\"a\":1}", "8 !the record has no end", "26 {\"c\":3}"],
    );
    check("what is this\n{\"a\":1}", &["0 !a record should begin here, with '{'", "13 {\"a\":1}"]);
}

#[test]
fn stray_commas_between_and_inside_records_do_not_matter_here() {
    check(r#"[{"a":1,,"b":2,},,{"c":1}]"#, &[r#"1 {"a":1,,"b":2,}"#, r#"18 {"c":1}"#]);
}

#[test]
fn a_file_of_unfinished_records_is_given_up() {
    let mut broken = 0;
    split(&br#"{"a":"#.repeat(200_000), &mut |_| broken += 1);
    assert_eq!(broken, CUTS_MAX + 1);
}

/// A fuzzer found the first: the odd quote made the record end before what was handed out of it, and its
/// neighbours were handed out again.
#[test]
fn an_envelope_that_breaks_is_told_and_costs_none_of_its_records() {
    check(
        r#"{"a":x"y,"Records":[{"a":"}"}],5,"b":1}"#,
        &[r#"20 {"a":"}"}"#, &format!("31 !{ODD}")],
    );
    check(
        "{\"Records\":[{\"a\":1}],\n{\"b\":2}\n{\"c\":3}",
        &[r#"12 {"a":1}"#, &format!("22 !{ODD}"), r#"22 {"b":2}"#, r#"30 {"c":3}"#],
    );
    check("{\"Records\":[{\"a\":1}],\"x\":\"cut", &[r#"12 {"a":1}"#, "25 !it has no end"]);
}

#[test]
fn byte_order_marks_are_passed_over() {
    check("\u{feff}{\"a\":1}\n\u{feff}{\"b\":1}\u{feff}", &[r#"3 {"a":1}"#, r#"14 {"b":1}"#]);
}

#[test]
fn pieces_without_end_are_not_held() {
    let text = b"{}".repeat(PIECES_HELD_MAX + 5);
    let pieces = Pieces::of(&text);
    assert_eq!(pieces.held.len(), PIECES_HELD_MAX);
    let mut seen = Vec::new();
    pieces.each(|piece| {
        seen.push(piece);
        true
    });
    let offset = |piece: &Piece<'_>| match piece {
        Piece::Record { offset, bytes: b"{}", .. } => *offset,
        piece => panic!("{piece:?}"),
    };
    assert!(seen.iter().map(offset).eq((0..PIECES_HELD_MAX + 5).map(|n| 2 * n)));
    // Who takes no more is given no more, however the pieces are kept.
    for text in [&text[..], b"{}{}{}{}", br#"[{},{},{},{}]{"Records":[{},{}]}"#] {
        let mut taken = 0;
        Pieces::of(text).each(|_| {
            taken += 1;
            taken < 3
        });
        assert_eq!(taken, 3);
    }
}

/// Who writes millions of members costs no memory for each: each is one of a record, a reject, or packing.
#[test]
fn members_of_one_object_that_are_kept_are_bounded() {
    let offsets = |text: &str| {
        let of = |piece: Piece<'_>| match piece {
            Piece::Record { offset, .. } | Piece::Escaped { offset, .. } => (offset, ""),
            Piece::Broken { offset, reason } => (offset, reason),
        };
        collect(text.as_bytes()).0.into_iter().map(of).collect::<Vec<_>>()
    };
    let many = DOORS_MAX + 100;
    for before in [r#"{"Records":[{"a":1}]"#, r#"{"x":1,"Records":[{"a":1}]"#] {
        let found = offsets(&format!("{before}{}}}", r#","y":{}"#.repeat(many)));
        let nth = |n: usize| before.len() + 7 * n + 5;
        let mut expected = vec![(before.len() - 8, "")];
        expected.extend((0..DOORS_MAX).map(|n| (nth(n), BESIDE)));
        expected.push((nth(DOORS_MAX), MORE_BESIDE));
        assert_eq!(found, expected);
    }
    // What stands beside takes no place from what holds records.
    let beside = r#""y":{},"#.repeat(many);
    let found = offsets(&format!(r#"{{{beside}"Records":[{{"a":1}}]}}"#));
    assert_eq!(found.len(), DOORS_MAX + 2);
    assert_eq!(found[DOORS_MAX + 1], (1 + beside.len() + 11, ""));
    // A record is one all the same.
    assert_eq!(offsets(&format!(r#"{{{beside}"hits":{{}},"eventName":"z"}}"#)), [(0, "")]);
    for (member, at) in [
        (r#""hits":{},"#, 7),
        (r#""Records":[{}],"#, 11),
        (r#""message":"{}","#, 11),
        (r#""_source":{},"#, 10),
    ] {
        let found = offsets(&format!(r#"{{"x":1,{}"z":1}}"#, member.repeat(many)));
        let value = |n: usize| 7 + member.len() * n + at;
        let mut expected: Vec<_> = (0..DOORS_MAX).map(|n| (value(n), "")).collect();
        let brace = usize::from(member.contains('[') || member.contains("\"{"));
        expected.push((value(DOORS_MAX) - brace, BEYOND));
        assert_eq!(found, expected, "{member}");
    }
    let inner = r#""original":"{}","#.repeat(many);
    let found = offsets(&format!(r#"{{"event":{{{inner}"z":1}}}}"#));
    assert_eq!(found.len(), DOORS_MAX + 1);
    assert_eq!(found[DOORS_MAX].1, BEYOND);
}

/// Other readers take the last of them; what is in the others would be hidden.
#[test]
fn what_holds_records_twice_is_read_twice_and_flagged() {
    let flagged = |text: &str| {
        let (pieces, _) = collect(text.as_bytes());
        let of = |piece: &Piece<'_>| match piece {
            Piece::Record { offset, flags, .. } | Piece::Escaped { offset, flags, .. } => {
                format!("{offset} {}", flags.names().join(" "))
            }
            piece @ Piece::Broken { .. } => format!("{piece:?}"),
        };
        pieces.iter().map(of).collect::<Vec<_>>().join("; ")
    };
    for (text, expected) in [
        (
            r#"{"Records":[{"a":1},{"b":1}],"Records":[{"c":1}]}"#,
            "12 duplicate-keys; 20 duplicate-keys; 40 duplicate-keys",
        ),
        (r#"{"Records":[],"\u0052ecords":[{"c":1}]}"#, "30 duplicate-keys"),
        (r#"{"x":1,"Records":[{"a":1}],"Records":[]}"#, "18 duplicate-keys"),
        (r#"{"Records":[{"a":1}],"Events":[{"b":1}]}"#, "12 ; 31 "),
        (r#"{"detail":{"a":1},"detail":{"b":1}}"#, "10 duplicate-keys; 27 duplicate-keys"),
        (
            r#"{"message":"{}","message":"[]"}"#,
            "12 duplicate-keys in-message; 27 duplicate-keys in-message",
        ),
        (
            r#"{"event":{"original":"{}","x":[{"y":1}],"\u006friginal":"{}"}}"#,
            "22 duplicate-keys in-event.original; 57 duplicate-keys in-event.original",
        ),
        (
            r#"{"event":{"original":"{}"},"event":{"original":"{}"}}"#,
            "22 duplicate-keys in-event.original; 48 duplicate-keys in-event.original",
        ),
        (
            r#"{"Events":[{"CloudTrailEvent":"{}","CloudTrailEvent":"{}"}]}"#,
            "31 duplicate-keys; 54 duplicate-keys",
        ),
        (r#"{"Records":[{"a":1}],"Records":[{"c":1}],"eventName":"z"}"#, "0 "),
    ] {
        assert_eq!(flagged(text), expected, "{text}");
    }
    // The flag is of the envelope, and ends with it.
    assert_eq!(
        flagged(&format!(
            "{}
{}",
            r#"{"Records":[],"Records":[{"c":1}]}"#, r#"{"Records":[{}]}"#
        )),
        "25 duplicate-keys; 47 "
    );
}

#[test]
fn no_bytes_make_it_panic_or_hang() {
    let alphabet = br#"{}[]",:\ a1"#;
    let mut state = 7_u64;
    for length in 0..2_000_usize {
        let text: Vec<u8> = (0..length % 40)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                alphabet[(state >> 33) as usize % alphabet.len()]
            })
            .collect();
        split(&text, &mut |_| {});
        split_after_broken(&text, Flags::default(), &mut |_| true);
    }
}
