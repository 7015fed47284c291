//! Whether the events of a bag are in its originals: each record at its place, and no more and no fewer
//! than the report counts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use crate::event::{EventLine, Sought, hash};
use crate::limits::EVENT_BYTES_MAX;
use crate::names::{ARCHIVE, EVENTS, RECORDS, REPORT, place_of};
use crate::paths::ByPath;
use crate::problems::Problems;
use crate::report::{Counts, Report};
use crate::source::Bag;
use crate::spool::Spool;

/// Says of an event whose hash cannot be one.
const NO_HASH: &str = "its record_sha256 is no SHA-256";

/// Reads packed files, and records.
pub trait Contents {
    /// Hands over the records that an index would have of a file, as far as they begin at one of these bytes,
    /// which are in order. Returns the SHA-256 in hexadecimal of what the file holds, uncompressed; Err is why
    /// it cannot be read.
    fn records(
        &mut self,
        file: &File,
        offsets: &[u64],
        each: &mut dyn FnMut(Found),
    ) -> Result<String, String>;
    /// What a record says of itself, in a file of this path; None where it cannot be read.
    fn record(&mut self, record: &[u8], source: &str) -> Option<Said>;
    /// Bytes of a file beyond which it is not read.
    fn file_bytes_max(&self) -> usize;
}

/// A record of a file.
pub type Found = Sought;

/// What a record says of itself, as an index has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its `eventID`; empty where it has none.
    pub id: String,
    /// Its time, or where it states none, that in the name of its file; None where neither does.
    pub time: Option<String>,
    /// All of it as JSON on one line, repaired if need be.
    pub line: String,
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
    files: ByPath<(u32, String)>,
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
    // What is missing has been told.
    let is_there = |path: &str| bag.size(path).is_some();
    if !is_there(EVENTS) || (report.records_only && !is_there(RECORDS)) {
        return Ok(EventsChecked::default());
    }
    let mut spool = Spool::create(&folder.join("places"))?;
    let mut events = Events {
        bag,
        report,
        files: ByPath::new(),
        sources: BTreeSet::new(),
        next_record: 0,
        checked: EventsChecked::default(),
        counts: Counts::default(),
    };
    events.lines(&mut spool, contents, problems)?;
    events.places(spool, contents, problems)?;
    events.count(problems);
    let originals = events.files.into_map().into_keys().collect();
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

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    /// The record.
    Same,
    /// Another.
    Other,
    /// None.
    No,
    /// A record that another event has.
    Taken,
}

/// Looks for records in a file, in the order of their places. Returns the SHA-256 of what it holds, and what is at
/// each place.
pub fn find(
    contents: &mut dyn Contents,
    file: &File,
    places: &[(u64, Sought)],
) -> Result<(String, Vec<There>), String> {
    let offsets: Vec<u64> = places.iter().map(|(_, sought)| sought.offset).collect();
    let mut there = vec![There::No; places.len()];
    let hash = contents.records(file, &offsets, &mut |found| {
        let first = offsets.partition_point(|offset| *offset < found.offset);
        let at_it = places[first..].iter().zip(&mut there[first..]);
        // Of a file that was read again with other content, two events can be at one byte.
        let mut is_taken = false;
        for ((_, sought), there) in
            at_it.take_while(|((_, sought), _)| sought.offset == found.offset)
        {
            *there = match (*sought == found, is_taken) {
                (true, false) => There::Same,
                (true, true) => There::Taken,
                (false, _) => There::Other,
            };
            is_taken |= *sought == found;
        }
    })?;
    Ok((hash, there))
}

/// Reads originals.
struct Reading<'a> {
    bag: &'a Bag,
    contents: &'a mut dyn Contents,
    problems: &'a mut Problems,
    at_their_places: u64,
}

impl Reading<'_> {
    /// Looks for the records of one, and compares what it holds with what its events say.
    fn file(&mut self, path: &str, sha256: &str, places: &[(u64, Sought)]) {
        let file = self.bag.file(path, self.contents.file_bytes_max());
        let found = file.map_err(|error| error.to_string());
        let (hash, there) = match found.and_then(|file| find(self.contents, &file, places)) {
            Ok(found) => found,
            Err(why) => return self.problems.add(path, format!("it cannot be read: {why}")),
        };
        for ((line, Sought { offset, .. }), there) in places.iter().zip(there) {
            let why = match there {
                There::Same => {
                    self.at_their_places += 1;
                    continue;
                }
                There::No => "no record begins there",
                There::Other => "another record is there",
                There::Taken => "another line has it",
            };
            let record = format!("the record of line {line} of {EVENTS}, byte {offset}");
            self.problems.add(path, format!("{record}: {why}"));
        }
        if hash != sha256 {
            self.problems.add(path, format!("it does not hold what {EVENTS} says"));
        }
    }
}

/// Whether what an event says of itself is what its record says; Err is what is not.
fn is_of_its_record(event: &EventLine, contents: &mut dyn Contents) -> Result<(), String> {
    if let Some(raw) = &event.raw {
        let is_it = raw.len() as u64 == event.length
            && hex::encode(hash(raw.as_bytes())) == event.record_sha256;
        if !is_it {
            return Err("its raw record has another length or another hash".to_owned());
        }
    }
    let record = event.raw.as_deref().unwrap_or(event.event.get());
    let said =
        contents.record(record.as_bytes(), &event.source).ok_or("its record cannot be read")?;
    if said.line != event.event.get() {
        return Err("its event is not its record, on one line and repaired".to_owned());
    }
    // Without an ID it is the number of the file in the index, which is not in the bag, and its place.
    let is_id = if said.id.is_empty() {
        let number = event.id.strip_suffix(&format!(":{}", event.offset));
        number.is_some_and(|number| number.parse::<u64>().is_ok())
    } else {
        said.id == event.id
    };
    if !is_id {
        return Err("its id is not that of its record".to_owned());
    }
    match said.time {
        Some(time) if time == event.time => Ok(()),
        Some(_) => Err("its time is not that of its record".to_owned()),
        None if event.flags.iter().any(|flag| flag == "time-from-file") => Ok(()),
        None => Err("its record states no time, and it does not say so".to_owned()),
    }
}

impl Events<'_> {
    fn lines(
        &mut self,
        spool: &mut Spool,
        contents: &mut dyn Contents,
        problems: &mut Problems,
    ) -> io::Result<()> {
        let mut lines = BufReader::new(self.bag.read(EVENTS)?);
        let mut records = if self.report.records_only {
            Some(BufReader::new(self.bag.read(RECORDS)?))
        } else {
            None
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
                Some(records) => self.record(&event, records, contents),
                None => self.line(number, &event, spool)?,
            };
            if let Err(why) = taken.and_then(|()| is_of_its_record(&event, contents)) {
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
        if event.record_offset.is_some() {
            return Ok(Err(format!("it names a byte of {RECORDS}, and this bag has none")));
        }
        if !file.starts_with(&format!("{ARCHIVE}/")) || self.bag.size(file).is_none() {
            return Ok(Err(format!("its file {file} is not in the bag")));
        }
        if *file != place_of(&event.source) {
            return Ok(Err(format!("its file {file} is not that of its source")));
        }
        if event.is_of_table() && (event.row.is_none() || is_of_trail(file)) {
            return Ok(Err("it says that it is a row of a table, and its file is none".to_owned()));
        }
        if event.is_of_table() {
            self.checked.of_tables += 1;
            self.counts.events_in_tables += 1;
        }
        self.counts.events_in_originals += 1;
        let count = self.files.map().len() as u32;
        let number_of_file = match self.files.map().get(file) {
            Some((_, stated)) if stated != sha256 => {
                return Ok(Err(format!(
                    "it says that {file} holds something else than others say"
                )));
            }
            Some((number, _)) => *number,
            None => {
                self.files.insert(file.clone(), (count, sha256.clone()))?;
                count
            }
        };
        if event.is_of_table() {
            return Ok(Ok(()));
        }
        match event.sought() {
            Some(sought) => spool.add(number_of_file, number, &sought).map(Ok),
            None => Ok(Err(NO_HASH.to_owned())),
        }
    }

    /// Takes an event whose record stands next in the file of records.
    fn record(
        &mut self,
        event: &EventLine,
        records: &mut impl BufRead,
        contents: &mut dyn Contents,
    ) -> Result<(), String> {
        self.see(event);
        let place = self.next_record;
        let length = event.length.min(EVENT_BYTES_MAX as u64);
        let mut record = Vec::new();
        let read = records.by_ref().take(length + 1).read_to_end(&mut record);
        read.map_err(|error| format!("{RECORDS} cannot be read: {error}"))?;
        self.next_record = place.saturating_add(event.length).saturating_add(1);
        if event.file.is_some() {
            return Err("it names an original, and this bag has none".to_owned());
        }
        if event.record_offset != Some(place) {
            return Err(format!("its record is not at byte {place} of {RECORDS}"));
        }
        let sought = event.sought().ok_or(NO_HASH)?;
        let record = record.strip_suffix(b"\n").unwrap_or_default();
        let said = contents.record(record, &event.source);
        let is_it = hash(record) == sought.sha256
            && said.is_some_and(|said| hash(said.line.as_bytes()) == sought.line);
        if !is_it {
            return Err(format!("its record is not what {RECORDS} has"));
        }
        self.checked.at_their_places += 1;
        Ok(())
    }

    fn see(&mut self, event: &EventLine) {
        let hash = hash(event.source.as_bytes());
        self.sources.insert(std::array::from_fn(|at| hash[at]));
        self.counts.events += 1;
        self.counts.see_time(&event.time);
    }

    /// Reads each original once, and looks for its records.
    fn places(
        &mut self,
        spool: Spool,
        contents: &mut dyn Contents,
        problems: &mut Problems,
    ) -> io::Result<()> {
        let mut paths = vec![("", ""); self.files.map().len()];
        for (path, (number, sha256)) in self.files.map() {
            paths[*number as usize] = (path, sha256);
        }
        let mut is_read = vec![false; paths.len()];
        let mut read = Reading { bag: self.bag, contents, problems, at_their_places: 0 };
        spool.each_file(|number, places| {
            let (path, sha256) = paths[number as usize];
            is_read[number as usize] = true;
            read.file(path, sha256, places);
            Ok::<(), io::Error>(())
        })?;
        // Of tables, whose rows are not looked for, too: they hold what their events say.
        for ((path, sha256), _) in paths.iter().zip(is_read).filter(|(_, is_read)| !is_read) {
            read.file(path, sha256, &[]);
        }
        self.checked.at_their_places += read.at_their_places;
        Ok(())
    }

    /// Compares what is there with what the report counts.
    fn count(&mut self, problems: &mut Problems) {
        let stated = &self.report.counts;
        self.counts.files = self.sources.len() as u64;
        self.counts.originals = self.files.map().len() as u64;
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
        let found = stated.events_found;
        if self.report.complete && found != stated.events {
            let says =
                format!("it says that it is complete, with {} of {found} events", stated.events);
            problems.add(REPORT, says);
        }
        if (&stated.first, &stated.last) != (&self.counts.first, &self.counts.last) {
            problems.add(REPORT, "its first or last time is not that of the events");
        }
        let is_incomplete = self.checked.without_file > 0 && !self.report.records_only;
        if is_incomplete && self.report.complete {
            problems.add(REPORT, "it says that it is complete, and events have no file");
        }
    }
}
