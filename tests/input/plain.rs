//! Random documents, read as trails and by `serde_json`: each object with a record's key, wherever it
//! stands, is an event at its place, or a part of one, or told as a reject. None is silent, none comes twice.

use std::convert::Infallible;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use trail::flat::Event;
use trail::parse::{Origin, Parser, Reject, Sink};
use trail::split::Pieces;

use crate::exports::Random;

const DOCUMENTS: usize = 20_000;

const RECORD_KEYS: [&str; 6] =
    ["eventName", "eventID", "eventVersion", "userIdentity", "eventSource", "eventTime"];

/// Those of envelopes and wrappers, and others. In Splunk's `result`, the fields of a record stand beside it.
const KEYS: [&str; 19] = [
    "Records",
    "Records",
    "Events",
    "events",
    "logEvents",
    "Messages",
    "hits",
    "detail",
    "message",
    "_source",
    "_raw",
    "event",
    "original",
    "aws",
    "data",
    "Sns",
    "Message",
    "x",
    "",
];

fn write(random: &mut Random, depth: usize, text: &mut String) {
    let kind = if depth == 0 { 5 + random.below(3) } else { random.below(8) };
    match kind {
        0 | 1 => {
            text.push('[');
            for n in 0..random.below(4) {
                text.push_str(if n > 0 { "," } else { "" });
                write(random, depth - 1, text);
            }
            text.push(']');
        }
        2..=4 => write_object(random, depth, false, text),
        5 | 6 => write_object(random, depth, true, text),
        _ => text.push_str(random.of(&["1", "null", "\"}\"", "\"\"", "{}", "[]"])),
    }
}

fn write_object(random: &mut Random, depth: usize, is_record: bool, text: &mut String) {
    let members = if depth == 0 { 0 } else { random.below(4) };
    let record_at = is_record.then(|| random.below(members + 1));
    text.push('{');
    for n in 0..=members {
        let is_last = n == members;
        if record_at == Some(n) {
            let key = random.of(&RECORD_KEYS);
            text.push_str(&format!("\"{key}\":\"{}\"", random.below(1_000_000)));
            text.push_str(if is_last { "" } else { "," });
        }
        if !is_last {
            text.push_str(&format!("\"{}\":", random.of(&KEYS)));
            write(random, depth - 1, text);
            text.push_str(if n + 1 < members || record_at == Some(members) { "," } else { "" });
        }
    }
    text.push('}');
}

/// The members of an object, with their keys, or of a list; nothing of any other value.
struct Members<'a>(Vec<(Option<String>, &'a RawValue)>);

impl<'a> Visitor<'a> for Members<'a> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            self.0.push((Some(key), value));
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<Self, A::Error> {
        while let Some(value) = list.next_element::<&RawValue>()? {
            self.0.push((None, value));
        }
        Ok(self)
    }
}

/// An object with a record's key, in none that has one.
#[derive(Debug)]
struct Record {
    start: usize,
    end: usize,
    /// Where what it is in begins.
    around: Vec<usize>,
}

fn find(text: &str, value: &RawValue, around: &mut Vec<usize>, found: &mut Vec<Record>) {
    let value = value.get();
    if !value.starts_with(['{', '[']) {
        return;
    }
    let start = value.as_ptr() as usize - text.as_ptr() as usize;
    let members = serde_json::Deserializer::from_str(value).deserialize_any(Members(Vec::new()));
    let Members(members) = members.unwrap();
    let is_of_record =
        |key: &Option<String>| key.as_ref().is_some_and(|key| RECORD_KEYS.contains(&key.as_str()));
    if members.iter().any(|(key, _)| is_of_record(key)) {
        found.push(Record { start, end: start + value.len(), around: around.clone() });
        return;
    }
    around.push(start);
    for (_, value) in members {
        find(text, value, around, found);
    }
    around.pop();
}

#[derive(Default)]
struct Collected {
    events: Vec<(usize, usize)>,
    rejects: Vec<usize>,
}

impl Sink for Collected {
    type Error = Infallible;

    fn event(&mut self, event: &mut Event) -> Result<(), Infallible> {
        let start = event.offset as usize;
        self.events.push((start, start + event.raw.len()));
        Ok(())
    }

    fn reject(&mut self, reject: Reject) -> Result<(), Infallible> {
        self.rejects.push(reject.offset as usize);
        Ok(())
    }
}

/// Checks a file; returns how many of its records are events.
fn check(text: &str, parser: &mut Parser) -> usize {
    let mut records = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        find(text, value.unwrap(), &mut Vec::new(), &mut records);
    }
    let mut read = Collected::default();
    let Ok(()) = parser.parse_pieces(&Pieces::of(text.as_bytes()), Origin::default(), &mut read);
    let Collected { events, rejects } = read;
    assert!(events.is_sorted_by(|a, b| a.1 <= b.0), "events overlap: {events:?}\n{text}");
    let mut found = 0;
    for record in records {
        let Record { start, end, around } = &record;
        if events.contains(&(*start, *end)) {
            found += 1;
            continue;
        }
        let is_in_event = events.iter().any(|(from, to)| from <= start && end <= to);
        let is_told = rejects.iter().any(|at| (start..end).contains(&at) || around.contains(at));
        assert!(is_in_event || is_told, "{record:?} is silent: {events:?}, {rejects:?}\n{text}");
    }
    found
}

#[test]
fn each_record_of_a_random_document_is_an_event_or_told() {
    let seed = std::env::var("TRAILDEX_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("TRAILDEX_SEED={seed}");
    let mut random = Random(seed);
    let mut parser = Parser::default();
    let mut found = 0;
    for _ in 0..DOCUMENTS {
        let mut text = String::new();
        for _ in 0..=random.below(3) {
            let is_record = random.one_in(4);
            write_object(&mut random, 4, is_record, &mut text);
            text.push_str(random.of(&["\n", "", " "]));
        }
        found += check(&text, &mut parser);
    }
    assert!(found > DOCUMENTS / 2, "{found} records of {DOCUMENTS} documents");
}
