//! Odd files, and what becomes of each. Made here, not kept: a bomb or a record of ten megabytes is a line
//! of code.

use super::FILE_BYTES_MAX;
use crate::common::{gzip, record};

/// Of JSON that could be a record and is none.
const NO_RECORD: &str = "rejected 0, 1 rejected; byte 0: not a CloudTrail record: it has none of eventName, \
    eventSource, eventID, eventTime, eventVersion and userIdentity";

/// Of a million such.
const BRACES: &str = "rejected 0, 1000001 rejected";

/// A file.
pub struct Case {
    /// Its name in the archive.
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// Its entry: see [`super::described`].
    pub expected: &'static str,
    /// Records of it that are odd and searchable all the same. A good one has the id `good-NAME`.
    pub events: Vec<Odd>,
}

/// A record that is odd.
pub struct Odd {
    /// What finds it, and nothing else.
    pub query: String,
    pub raw: Vec<u8>,
    pub flags: &'static str,
}

impl Case {
    fn new(name: &'static str, bytes: impl Into<Vec<u8>>, expected: &'static str) -> Self {
        Self { name, bytes: bytes.into(), expected, events: Vec::new() }
    }

    fn with(mut self, query: &str, raw: impl Into<Vec<u8>>, flags: &'static str) -> Self {
        self.events.push(Odd { query: query.to_owned(), raw: raw.into(), flags });
        self
    }
}

/// A record like AWS's, with another member at its end.
fn odd(id: &str, member: &str) -> String {
    let record = record(id);
    format!("{},{member}}}", &record[..record.len() - 1])
}

fn good(name: &str) -> String {
    record(&format!("good-{name}"))
}

fn records(records: &[&str]) -> String {
    format!("{{\"Records\":[{}]}}", records.join(","))
}

/// A file of one odd record between two good ones.
fn between(name: &'static str, member: &str, query: &str, expected: &'static str) -> Case {
    between_flagged(name, member, query, expected, "")
}

fn between_flagged(
    name: &'static str,
    member: &str,
    query: &str,
    expected: &'static str,
    flags: &'static str,
) -> Case {
    let odd = odd(&format!("odd-{name}"), member);
    let (before, behind) = (record(&format!("before-{name}")), good(name));
    Case::new(name, records(&[&before, &odd, &behind]), expected).with(query, odd, flags)
}

pub fn cases() -> Vec<Case> {
    [compressed(), members(), encodings(), shapes(), sizes(), others()]
        .into_iter()
        .flatten()
        .collect()
}

/// A trail of spaces that inflates to so many bytes.
fn bomb(bytes: usize) -> Vec<u8> {
    let mut text = b"{\"Records\":[".to_vec();
    text.resize(bytes, b' ');
    text.extend_from_slice(b"]}");
    gzip(&text)
}

/// Bytes of which gzip makes a twentieth at best, and a thousandth of spaces.
fn dense(bytes: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut text = Vec::with_capacity(bytes + 16);
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.extend_from_slice(&(state >> 40).to_le_bytes()[..3]);
        text.extend_from_slice(&[b' '; 60]);
    }
    text
}

/// Files whose first member, or frame, is all that is wrong.
fn compressed() -> Vec<Case> {
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
    vec![
        Case::new(
            "ratio.json.gz",
            bomb(FILE_BYTES_MAX - (1 << 20)),
            "rejected 0; it inflates to more than 200 times its size",
        ),
        Case::new(
            "size.json.gz",
            gzip(&dense(FILE_BYTES_MAX + 1)),
            "rejected 0; it holds more than 25165824 bytes",
        ),
        Case::new(
            "plain-size.json",
            vec![b' '; FILE_BYTES_MAX + 1],
            "rejected 0; it holds more than 25165824 bytes",
        ),
        Case::new(
            "zstd-size.json.zst",
            zstd::encode_all(&vec![b' '; FILE_BYTES_MAX + 1][..], 1).unwrap(),
            "rejected 0; it inflates to more than 200 times its size",
        ),
        Case::new(
            "cut.json.gz",
            trail_of("cut")[..60].to_vec(),
            "rejected 0; the compressed data ends too early, at byte 60 of the file",
        ),
        Case::new(
            "flipped.json.gz",
            damaged(trail_of("flipped")),
            "rejected 0; the compressed data that begins at byte 0 is damaged: corrupt gzip stream does not have a matching checksum",
        ),
        Case::new(
            "gzip-of-gzip.json.gz",
            gzip(&trail_of("gzip-of-gzip.json.gz")),
            "indexed 1, gzip-in-gzip",
        )
        .with(
            "id:\"good-gzip-of-gzip.json.gz\"",
            good("gzip-of-gzip.json.gz"),
            "gzip-in-gzip",
        ),
        Case::new(
            "gzip-thrice.json.gz",
            gzip(&gzip(&trail_of("gzip-thrice"))),
            "rejected 0; it is gzip inside of gzip inside of gzip",
        ),
        Case::new(
            "header.json.gz",
            [0x1F, 0x8B],
            "rejected 0; the compressed data ends too early, at byte 2 of the file",
        ),
        Case::new(
            "frames.json.zst",
            [zstd(&good("frames.json.zst")), zstd(&record("second-frame"))].concat(),
            "indexed 2",
        ),
        Case::new(
            "trailing.json.zst",
            [zstd(&good("trailing.json.zst")), b"tail".to_vec()].concat(),
            "indexed 1, trailing-bytes; not all of the file was read: what begins at byte 199 of the file is \
             no compressed data",
        ),
        Case::new(
            "cut.json.zst",
            zstd(&good("cut"))[..30].to_vec(),
            "rejected 0; the compressed data ends too early, at byte 30 of the file",
        ),
    ]
}

/// Files whose first member is good, and what lies behind it odd.
fn members() -> Vec<Case> {
    let second = |name: &str| gzip(records(&[&record(&format!("second-{name}"))]).as_bytes());
    let beside = |name: &str, behind: &[u8]| [trail_of(name), behind.to_vec()].concat();
    let damaged = damaged(second("damaged.json.gz"));
    vec![
        Case::new(
            "second-bomb.json.gz",
            beside("second-bomb.json.gz", &bomb(FILE_BYTES_MAX - 1_000)),
            "indexed 1, trailing-bytes; not all of the file was read: it inflates to more than 200 times its size",
        )
        .with(
            "id:\"good-second-bomb.json.gz\"",
            good("second-bomb.json.gz"),
            "trailing-bytes",
        ),
        Case::new(
            "second-size.json.gz",
            beside("second-size.json.gz", &gzip(&dense(FILE_BYTES_MAX))),
            "indexed 1, trailing-bytes; not all of the file was read: it holds more than 25165824 bytes",
        ),
        Case::new(
            "second.json.gz",
            beside("second.json.gz", &second("second.json.gz")),
            "indexed 2, second-member",
        )
        .with("id:\"good-second.json.gz\"", good("second.json.gz"), "")
        .with(
            "id:\"second-second.json.gz\"",
            record("second-second.json.gz"),
            "second-member",
        ),
        Case::new(
            "trailing.json.gz",
            beside("trailing.json.gz", b"tail"),
            "indexed 1, trailing-bytes; not all of the file was read: what begins at byte 215 of the file is \
             no compressed data",
        )
        .with("id:\"good-trailing.json.gz\"", good("trailing.json.gz"), "trailing-bytes"),
        Case::new(
            "padded.json.gz",
            beside("padded.json.gz", &[0; 100]),
            "indexed 1, trailing-bytes; not all of the file was read: what begins at byte 214 of the file is \
             no compressed data",
        ),
        Case::new(
            "both.json.gz",
            beside("both.json.gz", &[second("both.json.gz"), vec![0]].concat()),
            "indexed 2, second-member, trailing-bytes; not all of the file was read: what begins at byte 426 of the \
             file is no compressed data",
        )
        .with(
            "id:\"second-both.json.gz\"",
            record("second-both.json.gz"),
            "second-member trailing-bytes",
        ),
        Case::new(
            "gap.json.gz",
            beside("gap.json.gz", &[vec![0; 512], second("gap.json.gz")].concat()),
            "indexed 2, second-member, trailing-bytes; not all of the file was read: what begins at byte 210 of the \
             file is no compressed data",
        )
        .with(
            "id:\"second-gap.json.gz\"",
            record("second-gap.json.gz"),
            "second-member trailing-bytes",
        ),
        Case::new("damaged.json.gz", beside("damaged.json.gz", &damaged), "indexed 1, trailing-bytes; not all of the file was read: the compressed data that begins at byte 212 is damaged: corrupt gzip stream does not have a matching checksum"),
        Case::new(
            "cut-second.json.gz",
            beside("cut-second.json.gz", &second("cut-second.json.gz")[..40]),
            "indexed 1, trailing-bytes; not all of the file was read: the compressed data ends too early, at byte 256 of the file",
        ),
    ]
}

/// A compressed trail of the file's good record.
fn trail_of(name: &str) -> Vec<u8> {
    gzip(records(&[&good(name)]).as_bytes())
}

fn damaged(mut file: Vec<u8>) -> Vec<u8> {
    let middle = file.len() / 2;
    file[middle] ^= 0xFF;
    file
}

fn encodings() -> Vec<Case> {
    let utf16: Vec<u8> = std::iter::once(0xFEFF)
        .chain(good("utf16").encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let name = "invalid-utf8.json";
    let mut invalid = odd("odd-invalid", "\"x\":\"caf# needle-utf8\"").into_bytes();
    let at = invalid.iter().position(|b| *b == b'#').unwrap();
    invalid[at] = 0xE9;
    let lines = [good(name).into_bytes(), invalid.clone()].join(&b'\n');
    let tab = odd("odd-nul", "\"x\":\"a\0b needle-nul\"");
    vec![
        Case::new("bom.json", format!("\u{feff}{}", records(&[&good("bom.json")])), "indexed 1"),
        Case::new(
            "boms.json",
            format!("\u{feff}{}\n\u{feff}{}", record("bom-1"), good("boms.json")),
            "indexed 2",
        ),
        Case::new("utf16.json", utf16, "indexed 1, utf-16").with(
            "id:\"good-utf16\"",
            good("utf16"),
            "utf-16",
        ),
        Case::new(name, lines, "indexed 2").with("\"needle-utf8\"", invalid, "invalid-utf8"),
        between("nul.json", r#""x":"a\u0000b needle-escaped""#, "x:*needle-escaped", "indexed 3"),
        Case::new("raw-nul.json", records(&[&tab, &good("raw-nul.json")]), "indexed 2, 1 repaired")
            .with("\"needle-nul\"", tab, "repaired"),
        Case::new(
            "nul-padded.json",
            [good("nul-padded.json").as_bytes(), &[0; 4_096]].concat(),
            "indexed 1, 1 rejected; byte 249: a record should begin here, with '{'",
        ),
        Case::new(
            "nuls.json",
            [0; 4_096],
            "rejected 0, 1 rejected; byte 0: a record should begin here, with '{'",
        ),
        between_flagged(
            "half.json",
            r#""x":"\ud83d needle-half""#,
            "\"needle-half\"",
            "indexed 3",
            "invalid-utf8",
        ),
        between(
            "terminal.json",
            r#""x":"\u001b]0;pwned\u0007 needle-terminal""#,
            "\"needle-terminal\"",
            "indexed 3",
        ),
    ]
}

/// JSON that nests, repeats, and counts beyond reason.
fn shapes() -> Vec<Case> {
    let nested = |depth: usize| {
        format!("\"x\":{}\"needle-{depth}\"{}", "[".repeat(depth), "]".repeat(depth))
    };
    let objects = format!("\"x\":{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let rejected = |name: &str, member: &str| records(&[&odd("never", member), &good(name)]);
    let fields: Vec<String> = (0..10_000).map(|n| format!("\"f{n}\":\"value-{n}\"")).collect();
    let digits = "9".repeat(400);
    vec![
        between("nested.json", &nested(200), "\"needle-200\"", "indexed 3"),
        Case::new(
            "named.json",
            format!(r#"{{"Records":[{}],"eventName":"Shown"}}"#, good("named.json")),
            "indexed 2",
        ),
        Case::new(
            "owner.json",
            format!(r#"{{"Records":[{}],"owner":{}}}"#, good("owner.json"), record("hidden")),
            "indexed 1, 1 rejected; byte 266: it stands beside a list of records, and is not read",
        ),
        Case::new(
            "deep.json",
            rejected("deep.json", &nested(100_000)),
            "indexed 1, 1 rejected; byte 505: not JSON: depth limit exceeded",
        ),
        Case::new(
            "deep-objects.json",
            rejected("deep-objects.json", &objects),
            "indexed 1, 1 rejected; byte 1525: not JSON: depth limit exceeded",
        ),
        Case::new(
            "open.json",
            format!("{}\n{}", good("open.json"), "[".repeat(100_000)),
            "indexed 1, 1 rejected, cut-off; byte 248: a record should begin here, with '{'",
        ),
        Case::new(
            "open-objects.json",
            format!("{}\n{}", good("open-objects.json"), "{\"a\":".repeat(100_000)),
            "indexed 1, 1001 rejected, cut-off; byte 252: the record has no end; byte 257: the record has no end; byte 262: the record has no end",
        ),
        between("fields.json", &fields.join(","), "f9999:value-9999", "indexed 3"),
        between_flagged(
            "twice.json",
            r#""twice":"first-of-two","twice":"last-of-two""#,
            "twice:first-of-two AND twice:last-of-two",
            "indexed 3",
            "duplicate-keys",
        ),
        Case::new(
            "twice-name.json",
            format!(
                "{}\n{}",
                odd("odd-twice", r#""eventName":"SecondName""#),
                good("twice-name.json")
            ),
            "indexed 2",
        )
        .with(
            "eventName:SecondName AND eventName:GetObject",
            odd("odd-twice", r#""eventName":"SecondName""#),
            "duplicate-keys",
        ),
        between(
            "envelope-key.json",
            r#""Records":[{"eventName":"Inner"}],"needle":"needle-envelope""#,
            "\"needle-envelope\"",
            "indexed 3",
        ),
        Case::new(
            "beside.json",
            format!(
                "{{\"Records\":[{}],\"x\":[{}]}}",
                good("beside.json"),
                record("hidden-beside")
            ),
            "indexed 1, 1 rejected; byte 263: it stands beside a list of records, and is not read",
        ),
        between("exponent.json", r#""huge":1e400"#, "huge:1e400", "indexed 3"),
        between(
            "digits.json",
            &format!("\"digits\":{digits}"),
            &format!("digits:{digits}"),
            "indexed 3",
        ),
        between("zero.json", r#""minus":-0"#, "minus:*", "indexed 3"),
        between(
            "two-to-64.json",
            r#""power":18446744073709551616"#,
            "power:18446744073709551616",
            "indexed 3",
        ),
        between("tiny.json", r#""tiny":1e-400"#, "tiny:*", "indexed 3"),
        between(
            "names.json",
            r#""":{"":"needle-empty"},".":1,"a.b":{"c\u0000":2}"#,
            "\"needle-empty\"",
            "indexed 3",
        ),
        Case::new("year.json", good("year.json").replace("2024-05-06", "9999-12-01"), "indexed 1"),
    ]
}

fn sizes() -> Vec<Case> {
    let key = "k".repeat(1 << 20);
    let long = format!("\"long\":\"needle-begin {} needle-end\"", "words and, ".repeat(100_000));
    let huge = format!("\"huge\":\"needle-huge {}\"", "words and, ".repeat(950_000));
    let beyond = format!("\"huge\":\"{}\"", "x".repeat(16 << 20));
    let values = format!("\"values\":[{}0]", "0,".repeat(500_000));
    let rejected = |name: &str, member: &str| records(&[&odd("never", member), &good(name)]);
    let beside =
        |name: &str| format!("{{\"Records\":[{}]{}}}", good(name), ",\"\":{}".repeat(3_400_000));
    let wrapped = |name: &str| {
        let text = serde_json::Value::from(good(name));
        format!("{{\"message\":{text}{}}}", ",\"hits\":{}".repeat(2_300_000))
    };
    vec![
        // Each would take time, or memory, that grows with more than its size.
        Case::new(
            "members-beside.json",
            beside("members-beside.json"),
            "indexed 1, 1001 rejected; byte 270: it stands beside a list of records, and is not read; \
             byte 276: it stands beside a list of records, and is not read; \
             byte 282: it stands beside a list of records, and is not read",
        ),
        Case::new(
            "members-of-records.json",
            wrapped("members-of-records.json"),
            "indexed 1, 1000 rejected; byte 316: not a CloudTrail record: it has none of eventName, \
             eventSource, eventID, eventTime, eventVersion and userIdentity; byte 326: not a \
             CloudTrail record: it has none of eventName, eventSource, eventID, eventTime, \
             eventVersion and userIdentity; byte 336: not a CloudTrail record: it has none of \
             eventName, eventSource, eventID, eventTime, eventVersion and userIdentity",
        ),
        Case::new("braces.json", "{}".repeat(1_000_005), BRACES),
        Case::new(
            "starts.json",
            good("starts.json") + "\n" + &"{\"a\":[\n".repeat(300_000),
            "indexed 1, 1001 rejected, cut-off; byte 246: the record has no end; \
             byte 253: the record has no end; byte 260: the record has no end",
        ),
        Case::new(
            "quotes.json",
            good("quotes.json") + "\n" + &"{\"a\":\"x\n".repeat(200_000),
            "indexed 1, 1001 rejected, cut-off; byte 246: the record has no end; \
             byte 254: the record has no end; byte 262: the record has no end",
        ),
        between("key.json", &format!("\"{key}\":\"needle-key\""), "\"needle-key\"", "indexed 3"),
        between("long.json", &long, "\"needle-end\" AND \"needle-begin\"", "indexed 3"),
        between("ten-megabytes.json", &huge, "\"needle-huge\"", "indexed 3"),
        Case::new(
            "sixteen-megabytes.json",
            rejected("sixteen-megabytes.json", &beyond),
            "indexed 1, 1 rejected; byte 12: the record is longer than 16777216 bytes",
        ),
        Case::new(
            "values.json",
            rejected("values.json", &values),
            "indexed 1, 1 rejected; byte 12: the record has more than 500000 values",
        ),
    ]
}

/// What is no trail, or only in part.
fn others() -> Vec<Case> {
    let good = |name: &str| good(name);
    let middle = records(&[&record("before-middle"), "{\"eventName\":tru}", &good("middle.json")]);
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR{\"a\"".repeat(50);
    let binary: Vec<u8> =
        (0..50_000_u32).map(|n| (n.wrapping_mul(0x9E37_79B9) >> 23) as u8).collect();
    let mixed = format!(
        "garbage\n{}\n{{\"eventName\":\n\n{{]\n{}\nmore \"garbage\n{}\n",
        record("mixed-1"),
        record("mixed-2"),
        good("mixed.json")
    );
    vec![
        Case::new("empty.json", "", "empty 0"),
        Case::new("empty.json.gz", "", "empty 0"),
        Case::new("nothing.json.gz", gzip(b""), "empty 0"),
        Case::new("blank.json", " \n\t\r\n", "empty 0"),
        Case::new("array.json", "[]", "empty 0"),
        Case::new("no-records.json", "{\"Records\":[]}", "empty 0"),
        Case::new(
            "number.json",
            "12",
            "rejected 0, 1 rejected; byte 0: a record should begin here, with '{'",
        ),
        Case::new(
            "text.json",
            "\"text\"",
            "rejected 0, 1 rejected; byte 0: a record should begin here, with '{'",
        ),
        Case::new(
            "null.json",
            "null",
            "rejected 0, 1 rejected; byte 0: a record should begin here, with '{'",
        ),
        Case::new("object.json", "{}", NO_RECORD),
        Case::new("package.json", "{\"name\":\"package\",\"version\":\"1.0\"}", NO_RECORD),
        Case::new("records-object.json", "{\"Records\":{\"a\":1}}", NO_RECORD),
        Case::new("records-text.json", "{\"Records\":\"none\"}", NO_RECORD),
        Case::new(
            "not-objects.json",
            records(&["1", "\"x\"", "null", "[]", &good("not-objects.json")]),
            "indexed 1, 4 rejected; byte 12: a record should begin here, with '{'; byte 14: a record should begin here, with '{'; byte 18: a record should begin here, with '{'",
        ),
        Case::new(
            "png.json",
            png,
            "rejected 0, 1 rejected; byte 0: a record should begin here, with '{'",
        ),
        Case::new(
            "binary.json",
            binary,
            "rejected 0, 1 rejected; byte 0: a record should begin here, with '{'",
        ),
        Case::new(
            "mixed.json",
            mixed,
            "indexed 3, 4 rejected; byte 0: a record should begin here, with '{'; byte 245: the record has no end; byte 261: not JSON: expected object content",
        ),
        Case::new(
            "middle.json",
            middle,
            "indexed 2, 1 rejected; byte 268: not JSON: expected true",
        ),
        Case::new(
            "cut-list.json",
            records(&[&good("cut-list.json")]).trim_end_matches("]}"),
            "indexed 1, cut-off",
        ),
        Case::new(
            "cut-record.json",
            format!(
                "{},{}",
                records(&[&good("cut-record.json")]).trim_end_matches("]}"),
                &record("never")[..90]
            ),
            "indexed 1, 1 rejected, cut-off; byte 262: the record has no end",
        ),
        Case::new(
            "swallowed.json",
            format!("{{\"Records\":[{}],\"x\":\"{}", good("swallowed.json"), "no end"),
            "indexed 1, 1 rejected, cut-off; byte 266: it has no end",
        ),
    ]
}
