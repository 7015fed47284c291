//! Deterministic, realistic archives of trail files for benches, tests and `traildex generate`.
//!
//! Real records are cut once into templates: their own bytes, and the slots where a fresh value
//! goes in. Generating an event is copying a template and filling its slots, so nothing is parsed
//! or serialised per event. Every file is planned before any is written, and each draws from its
//! own random stream: the same options give the same bytes on any number of threads.
//!
//! Events come in pairs of files that share account, region and five minutes. An event delivered
//! twice is one of the first of its file, and stands byte for byte at the end of the other file of
//! the pair.

mod load;
pub mod random;
mod template;
mod values;

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use libdeflater::{CompressionLvl, Compressor};
use rayon::prelude::*;

use self::load::load_templates;
use self::random::Rng;
use self::template::Template;
use self::values::{ACCOUNTS, Event, REGIONS, USERS_PER_ACCOUNT, account_id, time};

/// Seconds whose events one file holds, and at most how much later it is delivered: AWS
/// delivers every five minutes, five minutes late on average.
const WINDOW_S: u64 = 300;
/// One file in so many is late by up to `LATE_S`, as after a fault of the bucket.
const LATE_ONE_IN: u64 = 1_000;
const LATE_S: u64 = 30 * DAY_S;
const DAY_S: u64 = 86_400;
/// Where accounts have their files: an account's own trail, one with a prefix, an organisation's.
const TRAILS: [&str; 4] =
    ["AWSLogs", "AWSLogs", "audit/logs/AWSLogs", "security/AWSLogs/o-1a2b3c4d5e"];
/// gzip's own default, as in AWS's files.
const GZIP_LEVEL: i32 = 6;

/// Records a file, as shares of a thousand: the median is 20, the mean 237, the largest 5,000.
const FILE_SIZES: [(u64, u64, u64); 5] =
    [(500, 1, 20), (255, 21, 100), (152, 101, 500), (69, 501, 2_000), (24, 2_001, 5_000)];

/// What to generate. Equal options give equal bytes.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// How many distinct events to generate.
    pub events: u64,
    /// Seed of all random choices.
    pub seed: u64,
    /// Trail files, or directories of them, to resample: `{"Records":[…]}` or an array of records,
    /// `.json` or `.json.gz`. If empty, the sample trail in the program.
    pub from: Vec<PathBuf>,
    /// Events happen from this time on.
    pub start: Timestamp,
    /// Days from `start` on over which the events are spread.
    pub days: u32,
    /// How many of a thousand events are delivered twice.
    pub duplicates_per_mille: u32,
    /// Whether to write `.json.gz` rather than `.json`.
    pub compress: bool,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            events: 10_000,
            seed: 1,
            from: Vec::new(),
            start: Timestamp::constant(1_767_225_600, 0), // 2026-01-01T00:00:00Z
            days: 30,
            duplicates_per_mille: 0,
            compress: true,
        }
    }
}

/// What was generated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// Trail files written.
    pub files: u64,
    /// Distinct events.
    pub events: u64,
    /// Records written: events, with those delivered twice counted twice.
    pub records: u64,
    /// Bytes of JSON, uncompressed.
    pub bytes_raw: u64,
    /// Bytes of the files on disk.
    pub bytes_written: u64,
}

impl Generated {
    fn plus(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            events: self.events + other.events,
            records: self.records + other.records,
            bytes_raw: self.bytes_raw + other.bytes_raw,
            bytes_written: self.bytes_written + other.bytes_written,
        }
    }
}

/// Writes an archive in S3 layout under `out`, on all threads of the current rayon pool.
pub fn generate(options: &GenerateOptions, out: &Path) -> Result<Generated> {
    let templates = load_templates(&options.from)?;
    plan(options)?
        .par_iter()
        .map_init(new_gzip, |gzip, file| {
            file.write(&templates, out, options.compress.then_some(gzip))
        })
        .try_reduce(Generated::default, |a, b| Ok(a.plus(b)))
}

/// The distinct events alone, each as a JSON record, in the order of the files.
pub fn records(options: &GenerateOptions) -> Result<Vec<Vec<u8>>> {
    let templates = load_templates(&options.from)?;
    let mut all = Vec::new();
    for file in plan(options)? {
        let mut stream = Stream::new(&templates, file.own);
        for _ in 0..file.own.events {
            let mut record = Vec::new();
            stream.write_event(&mut record);
            all.push(record);
        }
    }
    Ok(all)
}

fn new_gzip() -> Compressor {
    Compressor::new(CompressionLvl::new(GZIP_LEVEL).expect("libdeflate has levels 0 to 12"))
}

fn check(options: &GenerateOptions) -> Result<()> {
    let start = options.start.as_second();
    ensure!((1..=3_650).contains(&options.days), "days is {}; 1 to 3650 work", options.days);
    ensure!((0..4_102_444_800).contains(&start), "start is {start} s; 1970 to 2099 work");
    ensure!(
        options.duplicates_per_mille <= 1_000,
        "duplicates_per_mille is {}; 0 to 1000 work",
        options.duplicates_per_mille
    );
    Ok(())
}

/// Decides what each file holds. A last file without a partner gets one for its duplicates.
fn plan(options: &GenerateOptions) -> Result<Vec<TrailFile>> {
    check(options)?;
    let repeats = |events: u64| events * u64::from(options.duplicates_per_mille) / 1_000;
    let (mut files, mut planned, mut pair) = (Vec::new(), 0, 0);
    while planned < options.events {
        let mut rng = Rng(options.seed).fork(pair);
        let place = TrailPlace::draw(&mut rng, options);
        let [a, b] = [0, 1].map(|side| {
            let events = draw_file_size(&mut rng).min(options.events - planned);
            let repeated = repeats(planned + events) - repeats(planned);
            planned += events;
            Batch { place, rng: rng.fork(side), events, repeated }
        });
        let both = [TrailFile { own: a, again: b }, TrailFile { own: b, again: a }];
        files.extend(both.into_iter().filter(|file| file.records() > 0));
        pair += 1;
    }
    Ok(files)
}

fn draw_file_size(rng: &mut Rng) -> u64 {
    let mut share = rng.below(1_000);
    for (width, smallest, largest) in FILE_SIZES {
        if share < width {
            return smallest + rng.below(largest - smallest + 1);
        }
        share -= width;
    }
    unreachable!("the shares add up to a thousand")
}

/// Where and when the events of a pair of files happened.
#[derive(Clone, Copy)]
struct TrailPlace {
    account: u64,
    region: &'static str,
    /// Unix seconds; the events follow within `WINDOW_S`.
    window: i64,
}

impl TrailPlace {
    fn draw(rng: &mut Rng, options: &GenerateOptions) -> Self {
        let account = rng.zipf(ACCOUNTS);
        let region = REGIONS[rng.zipf(REGIONS.len() as u64) as usize];
        let into = rng.below(u64::from(options.days) * DAY_S - WINDOW_S);
        Self { account, region, window: options.start.as_second() + into as i64 }
    }
}

/// The events of one random stream. The first `repeated` of them are delivered twice.
#[derive(Clone, Copy)]
struct Batch {
    place: TrailPlace,
    rng: Rng,
    events: u64,
    repeated: u64,
}

/// A trail file: its own events, then those of `again` that are delivered twice.
struct TrailFile {
    own: Batch,
    again: Batch,
}

impl TrailFile {
    fn records(&self) -> u64 {
        self.own.events + self.again.repeated
    }

    fn text(&self, templates: &[Template]) -> Vec<u8> {
        let mut text = b"{\"Records\":[".to_vec();
        for (batch, events) in [(self.own, self.own.events), (self.again, self.again.repeated)] {
            let mut stream = Stream::new(templates, batch);
            for _ in 0..events {
                stream.write_event(&mut text);
                text.push(b',');
            }
        }
        text.pop_if(|last| *last == b',');
        text.extend(b"]}");
        text
    }

    fn write(
        &self,
        templates: &[Template],
        out: &Path,
        gzip: Option<&mut Compressor>,
    ) -> Result<Generated> {
        let path = out.join(self.path() + if gzip.is_some() { ".json.gz" } else { ".json" });
        let text = self.text(templates);
        let bytes = match gzip {
            Some(gzip) => {
                let mut bytes = vec![0; gzip.gzip_compress_bound(text.len())];
                let len = gzip.gzip_compress(&text, &mut bytes).expect("the bound suffices");
                bytes.truncate(len);
                Cow::Owned(bytes)
            }
            None => Cow::Borrowed(&text),
        };
        let dir = path.parent().expect("the path has folders");
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        fs::write(&path, &*bytes).with_context(|| path.display().to_string())?;
        Ok(Generated {
            files: 1,
            events: self.own.events,
            records: self.records(),
            bytes_raw: text.len() as u64,
            bytes_written: bytes.len() as u64,
        })
    }

    /// The file's key in S3, without its extension.
    fn path(&self) -> String {
        let Batch { place, rng, .. } = self.own;
        let mut rng = rng.fork(0);
        let delay = match rng.below(LATE_ONE_IN) {
            0 => rng.below(LATE_S),
            _ => rng.below(WINDOW_S),
        };
        let delivered = time(place.window + (WINDOW_S + delay) as i64);
        let (account, region) = (account_id(place.account), place.region);
        let trail = TRAILS[place.account as usize % TRAILS.len()];
        let mut random = Vec::new();
        rng.write(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            16,
            &mut random,
        );
        format!(
            "{trail}/{account}/CloudTrail/{region}/{}/{account}_CloudTrail_{region}_{}_{}",
            delivered.strftime("%Y/%m/%d"),
            delivered.strftime("%Y%m%dT%H%MZ"),
            String::from_utf8_lossy(&random),
        )
    }
}

/// Writes the events of one batch, one after the other.
struct Stream<'t> {
    templates: &'t [Template],
    batch: Batch,
    written: u64,
    /// Half of the files are in the order of time, as about half of the real ones are.
    is_ordered: bool,
    /// Scratch space, kept to save allocations.
    values: Vec<Vec<u8>>,
}

impl<'t> Stream<'t> {
    fn new(templates: &'t [Template], mut batch: Batch) -> Self {
        let is_ordered = batch.rng.below(2) == 0;
        Self { templates, batch, written: 0, is_ordered, values: Vec::new() }
    }

    fn write_event(&mut self, out: &mut Vec<u8>) {
        let Batch { place, rng, events, .. } = &mut self.batch;
        let template = &self.templates[rng.below(self.templates.len() as u64) as usize];
        let into_window =
            if self.is_ordered { self.written * WINDOW_S / *events } else { rng.below(WINDOW_S) };
        let event = Event {
            account: place.account,
            user: place.account * USERS_PER_ACCOUNT + rng.zipf(USERS_PER_ACCOUNT),
            region: place.region,
            second: place.window + into_window as i64,
        };
        template.write(&event, rng, &mut self.values, out);
        self.written += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};
    use std::io::Read as _;

    use serde_json::Value;

    use super::*;

    fn small() -> GenerateOptions {
        GenerateOptions { events: 3_000, duplicates_per_mille: 100, ..Default::default() }
    }

    /// The files of an archive by their path, inflated by another library.
    fn read_archive(dir: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut dirs = vec![dir.to_owned()];
        while let Some(next) = dirs.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                    continue;
                }
                let mut text = Vec::new();
                let file = fs::File::open(&path).unwrap();
                flate2::read::GzDecoder::new(file).read_to_end(&mut text).unwrap();
                files.insert(path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned(), text);
            }
        }
        files
    }

    fn generated(options: &GenerateOptions) -> (Generated, BTreeMap<String, Vec<u8>>) {
        let dir = tempfile::tempdir().unwrap();
        (generate(options, dir.path()).unwrap(), read_archive(dir.path()))
    }

    fn parse(text: &[u8]) -> Vec<Value> {
        serde_json::from_slice::<Value>(text).unwrap()["Records"].as_array().unwrap().clone()
    }

    #[test]
    fn the_same_options_give_the_same_bytes_on_any_number_of_threads() {
        let on = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| generated(&GenerateOptions { seed, ..small() }))
        };
        assert_eq!(on(1, 5), on(4, 5));
        assert_ne!(on(1, 5).1, on(1, 6).1);
    }

    #[test]
    fn the_archive_holds_what_is_reported() {
        let (generated, files) = generated(&small());
        let mut places: HashMap<String, Vec<(&str, String)>> = HashMap::new();
        for (path, text) in &files {
            for record in parse(text) {
                let id = record["eventID"].as_str().unwrap().to_owned();
                places.entry(id).or_default().push((path, record.to_string()));
            }
        }
        let twice: Vec<_> = places.values().filter(|places| places.len() == 2).collect();
        assert!(twice.iter().all(|p| p[0].0 != p[1].0 && p[0].1 == p[1].1));
        assert_eq!(twice.len(), 300);
        assert_eq!(places.values().map(Vec::len).sum::<usize>(), 3_300);
        let raw = files.values().map(Vec::len).sum::<usize>() as u64;
        let expected = (files.len() as u64, places.len() as u64, 3_300, raw);
        let Generated { files, events, records, bytes_raw, .. } = generated;
        assert_eq!((files, events, records, bytes_raw), expected);
        assert_eq!(events, 3_000);
    }

    #[test]
    fn one_event_can_be_delivered_twice() {
        let options = GenerateOptions { events: 1, duplicates_per_mille: 1_000, ..small() };
        let (generated, files) = generated(&options);
        assert_eq!((generated.files, generated.events, generated.records), (2, 1, 2));
        let texts: Vec<_> = files.values().collect();
        assert_eq!(texts[0], texts[1]);
    }

    #[test]
    fn paths_follow_the_layout_and_agree_with_the_records() {
        let mut trails = HashSet::new();
        for (path, text) in generated(&small()).1 {
            let (trail, own) = path.split_once("AWSLogs/").unwrap();
            let own = own.strip_prefix("o-1a2b3c4d5e/").unwrap_or(own);
            trails.insert((trail.to_owned(), path.contains("/o-")));
            let parts: Vec<_> = own.split('/').collect();
            let [account, "CloudTrail", region, year, month, day, name] = parts[..] else {
                panic!("{path}");
            };
            let prefix = format!("{account}_CloudTrail_{region}_{year}{month}{day}T");
            let (minute, random) = name.strip_prefix(&prefix).unwrap().split_once("Z_").unwrap();
            assert!(minute.len() == 4 && minute.bytes().all(|b| b.is_ascii_digit()), "{name}");
            let random = random.strip_suffix(".json.gz").unwrap();
            assert!(random.len() == 16 && random.bytes().all(|b| b.is_ascii_alphanumeric()));
            let delivered = format!("{year}-{month}-{day}T{}:{}:00Z", &minute[..2], &minute[2..]);
            for record in parse(&text) {
                assert_eq!(record["recipientAccountId"], account);
                assert_eq!(record["awsRegion"], region);
                let time = record["eventTime"].as_str().unwrap();
                assert!(("2026-01-01"..="2026-01-31").contains(&time), "{time}");
                assert!(time[..16] <= delivered[..16], "{time} delivered {delivered}");
            }
        }
        assert_eq!(trails.len(), 3, "{trails:?}");
    }

    #[test]
    fn every_sample_record_is_a_template_and_keeps_its_kind() {
        let templates = load_templates(&[]).unwrap();
        assert_eq!(templates.len(), 2_900);
        let events = records(&GenerateOptions { events: 2_000, ..small() }).unwrap();
        let events: Vec<Value> =
            events.iter().map(|e| serde_json::from_slice(e).unwrap()).collect();
        let share = |is: fn(&Value) -> bool| events.iter().filter(|e| is(e)).count();
        assert!((150..250).contains(&share(|e| e["errorCode"].is_string())));
        assert!(share(|e| e["userIdentity"]["type"].is_null()) > 0);
    }

    #[test]
    fn files_hold_237_records_on_average_and_half_of_them_at_most_20() {
        let mut rng = Rng(3);
        let mut sizes: Vec<_> = (0..100_000).map(|_| draw_file_size(&mut rng)).collect();
        sizes.sort_unstable();
        let mean = sizes.iter().sum::<u64>() / 100_000;
        assert!((230..245).contains(&mean), "{mean}");
        assert!((19..=22).contains(&sizes[50_000]), "{}", sizes[50_000]);
        assert!((4_900..=5_000).contains(&sizes[99_999]), "{}", sizes[99_999]);
    }
}
