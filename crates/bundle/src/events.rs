//! Whether the events of a bag are in its originals: each record at its place, and no more and no fewer
//! than the report counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use crate::event::{EventLine, hash};
use crate::find::{Sought, is_there};
use crate::limits::{EVENT_BYTES_MAX, FILES_MAX};
use crate::names::{ARCHIVE, EVENTS, RECORDS, REPORT};
use crate::problems::Problems;
use crate::report::{Counts, Report};
use crate::source::Bag;
use crate::spool::Spool;

/// Reads packed files.
pub trait Contents {
    /// Hands over what a file holds, uncompressed, and returns its SHA-256 in hexadecimal. Err is why it
    /// cannot be read.
    fn content(&mut self, file: &File, take: &mut dyn FnMut(&[u8])) -> Result<String, String>;
}

/// What the events of a bag are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsChecked {
    /// Lines.
    pub events: u64,
    /// Those whose record is at its place in an original, or in the file of records.
    pub at_their_places: u64,
    /// Those of tables, whose rows are not read.
    pub of_tables: u64,
    /// Those that say that their original is not in the bag.
    pub without_file: u64,
    /// The originals that events are from.
    pub originals: BTreeSet<String>,
}

/// What is found on the way.
struct Events<'a> {
    bag: &'a Bag,
    report: &'a Report,
    /// Originals that events name, and what they say of its content.
    files: BTreeMap<String, (u32, String)>,
    sources: BTreeSet<[u8; 16]>,
    /// Byte of the next record in the file of records.
    next_record: u64,
    checked: EventsChecked,
    counts: Counts,
}

/// Checks the events of a bag. `folder` is one for what is needed meanwhile.
pub fn check_events(
    bag: &Bag,
    report: &Report,
    contents: &mut dyn Contents,
    folder: &Path,
    problems: &mut Problems,
) -> io::Result<EventsChecked> {
    if bag.size(EVENTS).is_none() {
        problems.add(EVENTS, "it is missing");
        return Ok(EventsChecked::default());
    }
    let mut spool = Spool::create(&folder.join("places"))?;
    let mut events = Events {
        bag,
        report,
        files: BTreeMap::new(),
        sources: BTreeSet::new(),
        next_record: 0,
        checked: EventsChecked::default(),
        counts: Counts::default(),
    };
    events.lines(&mut spool, problems)?;
    events.places(spool, contents, problems)?;
    events.count(problems);
    let originals = events.files.into_keys().collect();
    Ok(EventsChecked { originals, ..events.checked })
}

/// Whether a file's name is that of a trail: no table is read from one. What claims to be of a table is not
/// looked for, so this must not be left to who makes the bag.
fn is_of_trail(file: &str) -> bool {
    let name = file.to_ascii_lowercase();
    let packed = [".gz", ".gzip", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end));
    let name = packed.unwrap_or(&name);
    [".json", ".jsonl", ".ndjson", ".cloudtrail"].iter().any(|end| name.ends_with(end))
}

impl Events<'_> {
    fn lines(&mut self, spool: &mut Spool, problems: &mut Problems) -> io::Result<()> {
        let mut lines = BufReader::new(self.bag.read(EVENTS)?);
        let mut records = match self.bag.size(RECORDS) {
            Some(_) if self.report.records_only => Some(BufReader::new(self.bag.read(RECORDS)?)),
            _ => None,
        };
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            lines.by_ref().take(EVENT_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                break;
            }
            self.checked.events += 1;
            let event = match serde_json::from_slice::<EventLine>(&line) {
                Ok(event) if line.ends_with(b"\n") => event,
                Ok(_) => {
                    problems.add(EVENTS, format!("line {number} is cut off"));
                    break;
                }
                Err(error) => {
                    problems.add(EVENTS, format!("line {number} is no event: {error}"));
                    continue;
                }
            };
            let taken = match &mut records {
                Some(records) => self.record(&event, records),
                None => self.line(number, &event, spool)?,
            };
            if let Err(why) = taken {
                problems.add(EVENTS, format!("line {number}, event {}: {why}", event.id));
            }
        }
        if let Some(mut records) = records
            && !records.fill_buf()?.is_empty()
        {
            problems.add(RECORDS, "it has more records than there are events");
        }
        Ok(())
    }

    /// Takes an event whose record is in an original.
    fn line(
        &mut self,
        number: u64,
        event: &EventLine,
        spool: &mut Spool,
    ) -> io::Result<Result<(), String>> {
        self.see(event);
        let Some(file) = &event.file else {
            self.checked.without_file += 1;
            return Ok(Ok(()));
        };
        let Some(sha256) = &event.sha256 else {
            return Ok(Err("it names a file, and not what it holds".to_owned()));
        };
        if !file.starts_with(&format!("{ARCHIVE}/")) || self.bag.size(file).is_none() {
            return Ok(Err(format!("its file {file} is not in the bag")));
        }
        if event.is_of_table() && (event.row.is_none() || is_of_trail(file)) {
            return Ok(Err("it says that it is a row of a table, and its file is none".to_owned()));
        }
        if event.is_of_table() {
            self.checked.of_tables += 1;
            self.counts.events_in_tables += 1;
        }
        self.counts.events_in_originals += 1;
        let count = self.files.len() as u32;
        let known = self.files.entry(file.clone()).or_insert_with(|| (count, sha256.clone()));
        if known.1 != *sha256 {
            return Ok(Err(format!("it says that {file} holds something else than others say")));
        }
        if self.files.len() > FILES_MAX {
            return Err(io::Error::other("its events name too many files"));
        }
        let known = self.files[file].0;
        if event.is_of_table() {
            return Ok(Ok(()));
        }
        match event.sought() {
            Some(sought) => spool.add(known, number, &sought).map(Ok),
            None => Ok(Err("its record_sha256 is none".to_owned())),
        }
    }

    /// Takes an event whose record stands next in the file of records.
    fn record(&mut self, event: &EventLine, records: &mut impl BufRead) -> Result<(), String> {
        self.see(event);
        if event.record_offset != Some(self.next_record) {
            return Err(format!("its record is not at byte {} of {RECORDS}", self.next_record));
        }
        let length = event.length.min(EVENT_BYTES_MAX as u64);
        let mut record = Vec::new();
        let read = records.by_ref().take(length + 1).read_to_end(&mut record);
        read.map_err(|error| format!("{RECORDS} cannot be read: {error}"))?;
        self.next_record = self.next_record.saturating_add(event.length).saturating_add(1);
        let sought = event.sought().ok_or("its record_sha256 is none")?;
        let record = record.strip_suffix(b"\n").unwrap_or_default();
        if !is_there(record, &Sought { offset: 0, ..sought }) {
            return Err(format!("its record is not what {RECORDS} has"));
        }
        self.checked.at_their_places += 1;
        Ok(())
    }

    fn see(&mut self, event: &EventLine) {
        let hash = hash(event.source.as_bytes());
        self.sources.insert(std::array::from_fn(|at| hash[at]));
        self.counts.events += 1;
        if self.counts.first.is_none() {
            self.counts.first = Some(event.time.clone());
        }
        self.counts.last = Some(event.time.clone());
    }

    /// Reads each original once, and looks for its records.
    fn places(
        &mut self,
        spool: Spool,
        contents: &mut dyn Contents,
        problems: &mut Problems,
    ) -> io::Result<()> {
        let mut paths = vec![(String::new(), String::new()); self.files.len()];
        for (path, (number, sha256)) in &self.files {
            paths[*number as usize] = (path.clone(), sha256.clone());
        }
        spool.each_file(|number, places| {
            let (path, sha256) = &paths[number as usize];
            let mut found = 0;
            let file = match self.bag.file(path) {
                Ok(file) => file,
                Err(error) => {
                    problems.add(path, format!("it cannot be read: {error}"));
                    return Ok::<(), io::Error>(());
                }
            };
            let read = contents.content(&file, &mut |content| {
                for (event, sought) in places {
                    if is_there(content, sought) {
                        found += 1;
                    } else {
                        let offset = sought.offset;
                        problems.add(
                            path,
                            format!("it does not have the record of line {event} of {EVENTS} at byte {offset}"),
                        );
                    }
                }
            });
            match read {
                Ok(hash) if hash == *sha256 => {}
                Ok(_) => problems.add(path, format!("it does not hold what {EVENTS} says")),
                Err(why) => problems.add(path, format!("it cannot be read: {why}")),
            }
            self.checked.at_their_places += found;
            Ok(())
        })
    }

    /// Compares what is there with what the report counts.
    fn count(&mut self, problems: &mut Problems) {
        let stated = &self.report.counts;
        self.counts.files = self.sources.len() as u64;
        self.counts.originals = self.files.len() as u64;
        let pairs = [
            ("events", stated.events, self.counts.events),
            ("events_in_originals", stated.events_in_originals, self.counts.events_in_originals),
            ("events_in_tables", stated.events_in_tables, self.counts.events_in_tables),
            ("files", stated.files, self.counts.files),
            ("originals", stated.originals, self.counts.originals),
        ];
        for (name, stated, counted) in pairs {
            if stated != counted {
                problems.add(REPORT, format!("it counts {stated} {name}, and there are {counted}"));
            }
        }
        let is_incomplete = self.checked.without_file > 0 && !self.report.records_only;
        if is_incomplete && self.report.complete {
            problems.add(REPORT, "it says that it is complete, and events have no file");
        }
    }
}
