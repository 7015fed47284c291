//! Bytes in, pieces out.

use super::*;

/// One line a piece: `offset text`, with `!` for broken and `"` for escaped ones.
#[track_caller]
fn check(text: &str, expected: &[&str]) -> Outcome {
    let mut pieces = Vec::new();
    let outcome = split(text.as_bytes(), &mut |piece| {
        pieces.push(match piece {
            Piece::Record { offset, bytes, .. } => {
                format!("{offset} {}", String::from_utf8_lossy(bytes))
            }
            Piece::Escaped { offset, content } => {
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
    split_after_broken(br#"{"a":{"b":1},{"a":2},{"a":3}]}"#, &mut |piece| pieces.push(piece));
    assert_eq!(
        pieces,
        [
            Piece::Record { offset: 13, bytes: br#"{"a":2}"#, is_listed: false },
            Piece::Record { offset: 21, bytes: br#"{"a":3}"#, is_listed: false },
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
    const ODD: &str = "another member should begin here, or the object end";
    check(
        r#"{"a":x"y,"Records":[{"a":"}"}],5,"b":1}"#,
        &[r#"20 {"a":"}"}"#, &format!("31 !{ODD}")],
    );
    check(
        "{\"Records\":[{\"a\":1}],\n{\"b\":2}\n{\"c\":3}",
        &[r#"12 {"a":1}"#, &format!("22 !{ODD}"), r#"30 {"c":3}"#],
    );
    check("{\"Records\":[{\"a\":1}],\"x\":\"cut", &[r#"12 {"a":1}"#, "25 !it has no end"]);
}

#[test]
fn byte_order_marks_are_passed_over_and_utf_16_is_named() {
    check("\u{feff}{\"a\":1}\n\u{feff}{\"b\":1}\u{feff}", &[r#"3 {"a":1}"#, r#"14 {"b":1}"#]);
    for mark in [[0xFF, 0xFE], [0xFE, 0xFF]] {
        let text: Vec<u8> = mark.into_iter().chain(*b"{\0}\0").collect();
        let reason = "the file is UTF-16; a trail is UTF-8";
        assert_eq!(collect(&text).0, [Piece::Broken { offset: 0, reason }]);
    }
}

#[test]
fn pieces_without_end_are_not_held() {
    let text = b"{}".repeat(PIECES_HELD_MAX + 5);
    let pieces = Pieces::of(&text);
    assert_eq!(pieces.held.len(), PIECES_HELD_MAX);
    let mut seen = Vec::new();
    pieces.each(|piece| seen.push(piece));
    assert_eq!(seen, collect(&text).0);
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
        split_after_broken(&text, &mut |_| {});
    }
}
