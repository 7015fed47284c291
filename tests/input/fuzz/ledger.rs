//! The ledger's lines.

use std::fs;

use segment::IndexError;
use segment::disk::RealDisk;
use segment::file::{FileKey, FileRecord};
use segment::file::{FileState, Reading, Reject};
use segment::parts::hash_text;
use store::ledger::{Ledger, Line, Loss};
use store::manifest::LedgerExtent;
use trail::time::Micros;
use xxhash_rust::xxh3::xxh3_64;

use super::{folder, fuzz, outcome};

const NAME: &str = "files.jsonl";

const TOKENS: &[&str] = &[
    "\n",
    "{",
    "}",
    "\"",
    ",",
    "{\"loss\":",
    "{\"loss\":{\"file\":1,\"events\":3,\"at\":\"2023-01-01T00:00:00Z\"}}\n",
    "\"number\":",
    "\"state\":\"",
    "rejected",
    "replaced",
    "reread",
    "pending",
    "\"records\":",
    "\"duplicates\":",
    "18446744073709551615",
    "4294967296",
    "9223372036854775808",
    "-1",
    "0",
    "1",
    "2",
    "null",
    "\\u0000",
    "\0",
];

fn record(number: u64, path: &str, state: FileState) -> FileRecord {
    let reading = Reading {
        records: 4 + number,
        duplicates: number,
        rejected: 1,
        rejects: vec![Reject { offset: number, reason: "a \"reason\"\n".to_owned() }],
        flags: vec!["trailing-bytes".to_owned()],
        first: Some(Micros(7)),
        account: Some("1".to_owned()),
        ..Reading::default()
    };
    let key = FileKey { path: path.to_owned(), size: number, mtime_ns: -1 };
    FileRecord::new(number, key, state, reading)
}

/// Ledgers as they are written.
fn seeds() -> Vec<Vec<u8>> {
    let folder = folder();
    let mut seeds = Vec::new();
    for count in [1, 3, 9] {
        let mut ledger = Ledger::create(folder.path(), NAME, &RealDisk).unwrap();
        let mut lines = Vec::new();
        for number in 0..count {
            let state = FileState::ALL[number as usize % FileState::ALL.len()];
            let path = format!("/archive/{}\u{1b}é.json", number % 4);
            lines.push(Line::File(Box::new(record(number, &path, state))));
        }
        lines.push(Line::Loss(Loss { file: 0, events: 2, at: Micros(1) }));
        let appended = ledger.append(lines, &RealDisk).unwrap();
        ledger.publish(appended);
        seeds.push(fs::read(folder.path().join(NAME)).unwrap());
        fs::remove_file(folder.path().join(NAME)).unwrap();
    }
    seeds
}

fn check(ledger: &Ledger) -> Result<(u64, u64), IndexError> {
    let reader = ledger.reader();
    let counts = reader.counts();
    let mut files = 0;
    reader.each(|record: FileRecord| {
        files += 1;
        let line = serde_json::to_vec(&record).unwrap();
        assert_eq!(serde_json::from_slice::<FileRecord>(&line).unwrap(), record);
        assert!(reader.get(record.number)?.is_some(), "{} is there", record.number);
        assert!(reader.next_number() > record.number);
        let _ = (record.events(), reader.is_known(&record.key));
        Ok::<_, IndexError>(())
    })?;
    let _ = counts.events();
    assert!(reader.memory() < 64 << 20, "{} bytes of memory", reader.memory());
    Ok((files, counts.lost.min(3)))
}

#[test]
fn ledger() {
    let folder = folder();
    fuzz("ledger", seeds(), TOKENS, |input| {
        fs::write(folder.path().join(NAME), input).unwrap();
        let xxh3 = hash_text(xxh3_64(input));
        let extent = LedgerExtent { name: NAME.to_owned(), bytes: input.len() as u64, xxh3 };
        let read = Ledger::open(folder.path(), extent).and_then(|ledger| check(&ledger));
        match read {
            Ok(counts) => outcome(counts),
            Err(error) => {
                let text = error.to_string();
                let text = text.rsplit(": ").next().unwrap_or_default();
                outcome(text.chars().filter(|c| c.is_alphabetic()).take(30).collect::<String>())
            }
        }
    });
}
