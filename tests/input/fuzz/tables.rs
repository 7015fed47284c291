//! Tables: each row comes once, as a record or a reject, whatever the bytes; a record that is put together is
//! an object of JSON.

use std::convert::Infallible;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use tables::{Place, Record, Sink, read_csv, read_parquet};

use super::{folder, fuzz, outcome};

const TOKENS: &[&str] = &[
    "eventTime",
    "eventsource",
    "Event name",
    "useridentity",
    "eventJson",
    "@message",
    "\"",
    "\"\"",
    ",",
    ";",
    "\t",
    "\r\n",
    "\n",
    "{type=IAMUser, username=a}",
    "{a=b, c=d}",
    ", x=",
    "null",
    "[{arn=a}]",
    "PAR1",
    "\u{feff}",
    "{\"eventName\":1,\"eventTime\":2,\"eventID\":3}",
];

/// Memory for a Parquet file.
const BYTES_MAX: usize = 8 << 20;

/// Counts what comes, and checks that each row comes once.
#[derive(Default)]
struct Counted {
    row: u64,
    whole: Vec<(u64, u32, Vec<u8>)>,
    rebuilt: u64,
    rejects: Vec<String>,
}

impl Counted {
    fn check_row(&mut self, row: u64) {
        assert!(row == 0 || row == self.row + 1, "row {row} after {}", self.row);
        self.row = row;
    }
}

impl Sink for Counted {
    type Error = Infallible;

    fn record(&mut self, place: Place<'_>, record: Record<'_>) -> Result<(), Infallible> {
        self.check_row(place.row);
        match record {
            Record::Whole(text) => self.whole.push((place.row, place.column, text.to_vec())),
            Record::Rebuilt { json, .. } => {
                self.rebuilt += 1;
                let json = String::from_utf8_lossy(json);
                let value: Result<serde_json::Value, _> = serde_json::from_str(&json);
                assert!(
                    value.as_ref().is_ok_and(serde_json::Value::is_object),
                    "{json}: {value:?}"
                );
            }
        }
        Ok(())
    }

    fn reject(&mut self, place: Place<'_>, reason: &str) {
        self.check_row(place.row);
        self.rejects.push(reason.chars().filter(|c| !c.is_ascii_digit()).take(80).collect());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tables");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    seeds.push(b"eventtime,eventsource,eventname\n1,2,3\n\"4\",\"5\n\",6\n".to_vec());
    seeds
}

#[test]
fn tables() {
    let folder = folder();
    let path = folder.path().join("file");
    let quiet = std::panic::take_hook();
    // What panics within the library is caught; a failure of this test is told by the fuzzer.
    std::panic::set_hook(Box::new(move |panic| {
        if panic.location().is_none_or(|place| !place.file().contains("parquet")) {
            quiet(panic);
        }
    }));
    fuzz("tables", seeds(), TOKENS, |input| {
        let mut read = Counted::default();
        if input.starts_with(b"PAR1") {
            fs::write(&path, input).unwrap();
            let Ok(()) = read_parquet(&Arc::new(File::open(&path).unwrap()), BYTES_MAX, &mut read);
        } else {
            let Ok(()) = read_csv(input, &mut read);
        }
        outcome((read.rejects, read.whole.len().min(3), read.rebuilt.min(3)))
    });
}
