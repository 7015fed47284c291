//! Files as people have them: odd records in every packing, made from a printed seed, and read by a real
//! daemon. Each record comes once, at its byte of its file, with the flags of its packing; and its derived
//! fields are those that another reader of JSON (`serde_json`, which takes the last of equal keys, as jq,
//! Python and Go do) derives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::common::{PATIENCE_BULK, Place, gzip, make_old};

const FILES: usize = 400;

/// Keys that envelopes and wrappers have; in a record they are members like any other.
const ENVELOPE_KEYS: [&str; 14] = [
    "Records",
    "Events",
    "events",
    "logEvents",
    "Messages",
    "hits",
    "detail",
    "message",
    "Message",
    "body",
    "_source",
    "aws",
    "event",
    "CloudTrailEvent",
];

pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// What a record should come to.
#[derive(Clone, Debug, PartialEq)]
struct Expected {
    /// Where it begins: in the text, later in the file.
    at: usize,
    flags: BTreeSet<String>,
    record: String,
}

/// A text with the records that stand in it.
#[derive(Clone, Default)]
struct Text {
    text: String,
    records: Vec<Expected>,
    rejected: u64,
}

impl Text {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn push_record(&mut self, record: String, flags: BTreeSet<String>) {
        let at = self.text.len();
        self.text.push_str(&record);
        self.records.push(Expected { at, flags, record });
    }

    fn push_text(&mut self, inner: Self) {
        let start = self.text.len();
        self.text.push_str(&inner.text);
        self.rejected += inner.rejected;
        let moved = inner.records.into_iter().map(|e| Expected { at: start + e.at, ..e });
        self.records.extend(moved);
    }

    /// Puts a text between quotes, each of its characters escaped or not.
    fn push_quoted(&mut self, random: &mut Random, inner: Self) {
        self.text.push('"');
        let mut places = BTreeMap::new();
        for (at, c) in inner.text.char_indices() {
            places.insert(at, self.text.len());
            match c {
                _ if random.one_in(40) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.text.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\t' => self.text.push_str("\\t"),
                '/' if random.one_in(2) => self.text.push_str("\\/"),
                c => self.text.push(c),
            }
        }
        self.text.push('"');
        self.rejected += inner.rejected;
        self.records.extend(inner.records.into_iter().map(|e| Expected { at: places[&e.at], ..e }));
    }

    fn flagged(mut self, flag: &str) -> Self {
        for record in &mut self.records {
            record.flags.insert(flag.to_owned());
        }
        self
    }
}

/// A key, now and then with an escape in it.
fn key(random: &mut Random, name: &str) -> String {
    if random.one_in(8) {
        let first = name.as_bytes()[0];
        return format!("\"\\u{first:04x}{}\"", &name[1..]);
    }
    format!("\"{name}\"")
}

/// A record whose keys are in any order, some twice, some those of envelopes.
fn record(random: &mut Random, id: &str) -> (String, BTreeSet<String>) {
    let user = |name: &str| format!(r#"{{"type":"IAMUser","userName":"{name}"}}"#);
    let mut members = vec![
        (key(random, "eventID"), format!("\"{id}\"")),
        (key(random, "eventName"), "\"Name\"".to_owned()),
        (key(random, "eventTime"), "\"2024-05-06T07:08:09Z\"".to_owned()),
        (key(random, "userIdentity"), user(&format!("user-{}", random.below(5)))),
    ];
    let odd = [
        "{}",
        "[]",
        r#"[{"eventName":"Inner"}]"#,
        r#""{\"eventID\":\"1\"}""#,
        "1",
        r#""} ] [ { \" é€😀""#,
        r#"{"detail":{"eventName":"Inner"},"original":"{}"}"#,
        "null",
    ];
    for name in ENVELOPE_KEYS {
        if random.one_in(6) {
            members.push((key(random, name), random.of(&odd).to_owned()));
        }
    }
    for at in (1..members.len()).rev() {
        members.swap(at, random.below(at + 1));
    }
    let mut flags = BTreeSet::new();
    if random.one_in(3) {
        flags.insert("duplicate-keys".to_owned());
        let (name, value) = match random.below(6) {
            0 => ("eventID", format!("\"decoy-{id}\"")),
            1 => ("eventName", "\"Decoy\"".to_owned()),
            2 => ("userIdentity", r#"{"type":"Root","accountId":"9"}"#.to_owned()),
            3 => ("userIdentity.userName", "\"Decoy\"".to_owned()),
            4 => ("policy", r#""{\"Statement\":[],\"Statement\":[1]}""#.to_owned()),
            _ => ("x", r#"{"y":{"z":1,"z":2}}"#.to_owned()),
        };
        let at = if name.contains('.') { random.below(members.len() + 1) } else { 0 };
        members.insert(at, (key(random, name), value));
    }
    let space = random.of(&["", "", " ", "\n\t"]);
    let members: Vec<String> =
        members.iter().map(|(key, value)| format!("{space}{key}{space}:{value}")).collect();
    (format!("{{{}{space}}}", members.join(",")), flags)
}

/// Records, one behind another, each between two texts.
fn listed(random: &mut Random, ids: &[String], before: &str, behind: &str) -> Text {
    let mut text = Text::default();
    for (n, id) in ids.iter().enumerate() {
        if n > 0 {
            text.push(behind);
        }
        text.push(before);
        let (record, flags) = record(random, id);
        text.push_record(record, flags);
    }
    text
}

/// A list, with what is no record now and then.
fn list(random: &mut Random, ids: &[String]) -> Text {
    let mut text = Text::default();
    text.push("[");
    for (n, id) in ids.iter().enumerate() {
        if n > 0 {
            text.push(random.of(&[",", " , ", ",\n"]));
        }
        if random.one_in(12) {
            text.push(random.of(&["1,", "null,", "\"x\",", "[],", "true ,"]));
            text.rejected += 1;
        }
        let (record, flags) = record(random, id);
        text.push_record(record, flags);
    }
    text.push("]");
    text
}

/// A text of the same records, in a form that trails have.
fn trail(random: &mut Random, ids: &[String]) -> Text {
    let mut text = Text::default();
    let kind = random.below(6);
    match kind {
        0 => return list(random, ids),
        1 => {
            let between = random.of(&["\n", "", "\r\n", " , "]);
            return listed(random, ids, "", between);
        }
        2 => text.push("{\"Records\":"),
        3 => text.push(" { \"\\u0052ecords\" : "),
        4 => {
            // Two lists of one name, of which other readers see the last.
            let first = random.below(ids.len() + 1);
            text.push(random.of(&["{\"Records\":", "{\"x\":1,\"\\u0052ecords\":"]));
            text.push_text(list(random, &ids[..first]));
            text.push(",\"Records\":");
            text.push_text(list(random, &ids[first..]));
            text.push("}");
            return text.flagged("duplicate-keys");
        }
        _ => text.push("{\"x\":\"}\",\"Records\":"),
    }
    text.push_text(list(random, ids));
    text.push(random.of(&["}", " }\n", ",\"y\":1}"]));
    text
}

/// Envelopes around one record each, as objects or texts.
fn wrapped(random: &mut Random, ids: &[String]) -> Text {
    let (before, behind, flag, is_text) = [
        (r#"{"version":"0","detail-type":"x","detail":"#, "}", "", false),
        (r#"{"_index":"x","_source":"#, r#","sort":[1]}"#, "in-_source", false),
        (r#"{"integration":"aws","aws":"#, "}", "in-aws", false),
        (r#"{"rule":{"id":1},"data":{"aws":"#, "}}", "in-aws", false),
        (
            r#"{"preview":false,"result":{"x":1,"_raw":"#,
            r#","_time":"t"}}"#,
            "in-result._raw",
            true,
        ),
        (r#"{"@version":"1","event":{"original":"#, r#"},"tags":[]}"#, "in-event.original", true),
        (r#"{"message":"#, r#","@timestamp":"2020-01-01T00:00:00Z"}"#, "in-message", true),
        (r#"{"Type":"Notification","Message":"#, r#","Signature":"x"}"#, "in-Message", true),
        (r#"{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"#, "}}]}", "in-Message", true),
        (r#"{"Records":[{"eventSource":"aws:sqs","body":"#, "}]}", "in-body", true),
        (r#"{"Messages":[{"MessageId":"1","Body":"#, "}]}", "in-body", true),
        (r#"{"Events":[{"EventId":"1","CloudTrailEvent":"#, "}]}", "", true),
        (r#"{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","message":"#, "}]}", "", true),
        // `aws logs filter-log-events`, whole and one event a line.
        (
            r#"{"events":[{"logStreamName":"s","timestamp":1,"message":"#,
            r#","ingestionTime":1,"eventId":"37"}],"searchedLogStreams":[]}"#,
            "",
            true,
        ),
        (
            r#"{"logStreamName":"s","timestamp":1,"message":"#,
            r#","ingestionTime":1,"eventId":"37"}"#,
            "in-message",
            true,
        ),
        // filebeat
        (
            r#"{"aws":{"cloudtrail":{"event_type":"x"}},"event":{"original":"#,
            r#"},"cloud":{"provider":"aws"}}"#,
            "in-event.original",
            true,
        ),
        (
            r#"{"took":1,"hits":{"total":{"value":1},"hits":[{"_source":"#,
            "}]}}",
            "in-_source",
            false,
        ),
    ][random.below(17)];
    let mut text = Text::default();
    for id in ids {
        text.push(before);
        let mut inner = listed(random, std::slice::from_ref(id), "", "");
        if is_text && random.one_in(4) {
            // What a text holds can be an envelope of AWS's.
            let mut outer = Text::default();
            let is_list = random.one_in(2);
            outer.push(if is_list { "{\"Records\":[" } else { "{\"id\":\"1\",\"detail\":" });
            outer.push_text(inner);
            outer.push(if is_list { "]}" } else { "}" });
            inner = outer;
        }
        if is_text {
            text.push_quoted(random, inner);
        } else {
            text.push_text(inner);
        }
        text.push(behind);
        text.push("\n");
    }
    if flag.is_empty() { text } else { text.flagged(flag) }
}

/// Lines of a log.
fn lines(random: &mut Random, ids: &[String]) -> Text {
    let (before, flag) = [
        ("2024-05-06T07:08:09.123Z ", ""),
        ("2024-05-06T07:08:09+02:00\t", ""),
        ("May  6 07:08:09 host cloudtrail[7]: ", "line-prefix"),
        ("<134>1 - é ", "line-prefix"),
    ][random.below(4)];
    let mut text = Text::default();
    for id in ids {
        let (record, flags) = record(random, id);
        if random.one_in(5) {
            // A line that is no record, and does not follow another such.
            text.push("nothing is here\n");
            text.rejected += 1;
        }
        text.push(before);
        text.push_record(record, flags);
        text.push("\n");
    }
    if flag.is_empty() { text } else { text.flagged(flag) }
}

/// The bytes of a file, and the flags of the file.
fn packed(random: &mut Random, text: &mut Text) -> (&'static str, Vec<u8>) {
    let bytes = text.text.clone().into_bytes();
    let move_all = |text: &mut Text, moved: &dyn Fn(usize) -> usize| {
        text.records.iter_mut().for_each(|record| record.at = moved(record.at));
    };
    match random.below(8) {
        0 => ("json.gz", gzip(&bytes)),
        1 => {
            *text = text.clone().flagged("gzip-in-gzip");
            ("json.gz", gzip(&gzip(&bytes)))
        }
        2 => {
            let cut = random.below(bytes.len().max(1));
            for record in text.records.iter_mut().filter(|record| record.at >= cut) {
                record.flags.insert("second-member".to_owned());
            }
            let space = random.of(&["", "\n", "\r\n"]).as_bytes().to_vec();
            ("json.gz", [gzip(&bytes[..cut]), space, gzip(&bytes[cut..])].concat())
        }
        3 => ("json.zst", zstd::encode_all(&bytes[..], 1).unwrap()),
        4 | 5 => {
            let is_big = random.one_in(2);
            let before = text.text.clone();
            move_all(text, &|at| 2 + 2 * before[..at].encode_utf16().count());
            *text = text.clone().flagged("utf-16");
            let units = std::iter::once(0xFEFF).chain(before.encode_utf16());
            let bytes = |unit: u16| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            ("json", units.flat_map(bytes).collect())
        }
        6 => {
            move_all(text, &|at| at + 3);
            ("jsonl", ["\u{feff}".as_bytes(), &bytes].concat())
        }
        _ => ("json", bytes),
    }
}

#[test]
fn every_record_of_odd_files_comes_once_at_its_place() {
    let seed = std::env::var("TRAILDEX_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("TRAILDEX_SEED={seed}");
    let mut random = Random(seed);
    let place = Place::new();
    let mut files = BTreeMap::new();
    for n in 0..FILES {
        let ids: Vec<String> = (0..=random.below(4)).map(|m| format!("id-{n}-{m}")).collect();
        let mut text = match random.below(5) {
            0 | 1 => trail(&mut random, &ids),
            2 | 3 => wrapped(&mut random, &ids),
            _ => lines(&mut random, &ids),
        };
        let (ending, bytes) = packed(&mut random, &mut text);
        let name = format!("odd-{n}.{ending}");
        let path = place.archive().join(&name);
        fs::write(&path, bytes).unwrap();
        make_old(&path);
        files.insert(name, text);
    }
    let daemon = place.start();
    daemon.wait_for(PATIENCE_BULK, "every file is read", |status| {
        status.files.seen == FILES as u64 && status.files.pending == 0
    });
    let mut wrong = Vec::new();
    let mut found = BTreeMap::<String, Vec<_>>::new();
    for hit in daemon.find("*").hits {
        let name = hit.meta.file.rsplit('/').next().unwrap().to_owned();
        let event = hit.event.get().to_owned();
        let json: Value = serde_json::from_str(&event).unwrap();
        let identity = &json["userIdentity"];
        let actor = if identity["type"] == "Root" {
            "root"
        } else {
            identity["userName"].as_str().unwrap()
        };
        if hit.meta.id != json["eventID"].as_str().unwrap() || hit.meta.actor != actor {
            wrong.push(format!("{name}: {} {} of {event}", hit.meta.id, hit.meta.actor));
        }
        if hit.meta.flags.contains(&"duplicate-keys".to_owned()) && event.contains("decoy-") {
            let id = format!("id:\"decoy-{}\"", hit.meta.id);
            assert_eq!(daemon.count(&id), 1, "{id}");
        }
        found.entry(name).or_default().push(Expected {
            at: hit.meta.offset as usize,
            flags: hit.meta.flags.into_iter().collect(),
            record: event,
        });
    }
    for (name, text) in &files {
        let mut events = found.remove(name).unwrap_or_default();
        events.sort_by_key(|event| event.at);
        let file = daemon.file(name);
        if events != text.records || file.reading.rejected != text.rejected {
            wrong.push(format!(
                "{name}: {} rejected of {}, {:?}\n expected {:#?}\n found {events:#?}\n{}",
                file.reading.rejected, text.rejected, file.reading.rejects, text.records, text.text
            ));
        }
        assert_eq!((file.reading.duplicates, file.reading.conflicting), (0, 0), "{name}");
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong[..wrong.len().min(3)].join("\n"));
    daemon.stop();
}
