//! The stages of ingest, each by itself and on one thread: inflate, split, parse, document, index.
//!
//! A stage takes what the one before it gave, from memory; `document` includes what `parse` measures.
//! So inflate, split, document and index add up to a worker's time for these files, but for reading
//! them from disk.

mod support;

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};

use support::Archive;
use traildex::api::proto::Reject;
use traildex::config::Config;
use traildex::daemon::{import_options, open_store};
use traildex::event::flat::Event;
use traildex::index::IndexError;
use traildex::index::build::SegmentBuilder;
use traildex::ingest::inflate::Inflater;
use traildex::ingest::parse::{Origin, Parser, Sink};
use traildex::ingest::read::FileReader;
use traildex::ingest::split::{self, Piece};
use traildex::ingest::walk::{Found, Walk};

/// Two thirds of the events at which a worker finishes a segment: enough for the terms of a segment to
/// outgrow the caches, few enough for ten segments in as many seconds.
const EVENTS: u64 = 20_000;

criterion_group!(benches, stages);
criterion_main!(benches);

fn stages(criterion: &mut Criterion) {
    let archive = Archive::generate(EVENTS);
    let files = Files::read(&archive);
    let pieces: Vec<_> = files.texts.iter().map(|text| split::collect(text).0).collect();

    let mut group = criterion.benchmark_group("ingest");
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat) // A pass takes up to a second; more per sample adds nothing.
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .throughput(Throughput::ElementsAndBytes {
            elements: EVENTS,
            bytes: archive.generated.bytes_raw,
        });
    bench_inflate(&mut group, &files);
    bench_split(&mut group, &files);
    bench_parse(&mut group, &pieces);
    bench_document(&mut group, &pieces);
    bench_index(&mut group, &pieces);
    group.finish();
}

/// The files of an archive, in memory.
struct Files {
    gzip: Vec<Vec<u8>>,
    texts: Vec<Vec<u8>>,
}

impl Files {
    fn read(archive: &Archive) -> Self {
        let limits = import_options(&Config::default(), Vec::new()).work.read;
        let mut reader = FileReader::new(limits);
        let mut files = Self { gzip: Vec::new(), texts: Vec::new() };
        for (path, found) in Walk::new([archive.dir.path().to_owned()]) {
            if !matches!(found, Ok(Found::Trail(_))) {
                continue;
            }
            let text = reader.read(&path, |content| content.bytes.to_vec());
            files.texts.push(text.expect("a generated file can be read"));
            files.gzip.push(std::fs::read(&path).expect("a generated file can be read"));
        }
        assert_eq!(files.gzip.len() as u64, archive.generated.files);
        files
    }
}

/// libdeflate into one reused buffer.
fn bench_inflate(group: &mut BenchmarkGroup<'_, WallTime>, files: &Files) {
    let mut inflater = Inflater::default();
    let longest = files.texts.iter().map(Vec::len).max().unwrap_or(0);
    let mut output = vec![0; longest];
    group.bench_function("inflate", |bencher| {
        bencher.iter(|| {
            for gzip in &files.gzip {
                let member = inflater.gunzip(gzip, &mut output);
                assert!(matches!(member, Ok(Some(_))));
            }
        });
    });
}

/// A file's bytes to the spans of its records.
fn bench_split(group: &mut BenchmarkGroup<'_, WallTime>, files: &Files) {
    group.bench_function("split", |bencher| {
        bencher.iter(|| {
            for text in &files.texts {
                black_box(split::collect(text));
            }
        });
    });
}

/// simd-json's tape and a walk over it; nothing is kept.
fn bench_parse(group: &mut BenchmarkGroup<'_, WallTime>, pieces: &[Vec<Piece<'_>>]) {
    let mut parser = Parser::default();
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            for piece in pieces.iter().flatten() {
                let Piece::Record { bytes, .. } = piece else { panic!("{piece:?} is no record") };
                parser.each_scalar(bytes, |path, scalar| {
                    black_box((path, scalar));
                });
            }
        });
    });
}

/// A record's bytes to a finished [`Event`]: parsed, flattened, its words cut, its actor derived.
fn bench_document(group: &mut BenchmarkGroup<'_, WallTime>, pieces: &[Vec<Piece<'_>>]) {
    let mut parser = Parser::default();
    group.bench_function("document", |bencher| {
        bencher.iter(|| {
            let mut count = Count(0);
            for file in pieces {
                let Ok(()) = parser.parse_file(file, Origin::default(), &mut count);
            }
            assert_eq!(count.0, EVENTS);
        });
    });
}

/// Does nothing with the events but count them.
struct Count(u64);

impl Sink for Count {
    type Error = Infallible;

    fn event(&mut self, event: &mut Arc<Event>) -> Result<(), Infallible> {
        black_box(event);
        self.0 += 1;
        Ok(())
    }

    fn reject(&mut self, reject: Reject) {
        panic!("a generated record was rejected: {reject:?}");
    }
}

/// Events to one segment on disk, synced.
fn bench_index(group: &mut BenchmarkGroup<'_, WallTime>, pieces: &[Vec<Piece<'_>>]) {
    let mut parser = Parser::default();
    group.bench_function("index", |bencher| {
        bencher.iter_custom(|iterations| {
            (0..iterations).map(|_| build_segment(&mut parser, pieces)).sum()
        });
    });
}

/// Builds a segment, and says how long that took without the parsing.
fn build_segment(parser: &mut Parser, pieces: &[Vec<Piece<'_>>]) -> Duration {
    let data_dir = tempfile::tempdir().expect("a temporary folder can be made");
    let store = open_store(data_dir.path(), &Config::default()).expect("a new index opens");
    let factory = store.factory();

    let started = Instant::now();
    let builder = factory.builder().expect("a segment can be begun");
    let mut segment = TimedSegment { builder, spent: started.elapsed() };
    for file in pieces {
        parser.parse_file(file, Origin::default(), &mut segment).expect("an event is indexed");
    }
    let TimedSegment { builder, spent } = segment;
    let started = Instant::now();
    let built = builder.finish().expect("a segment can be finished");
    let spent = spent + started.elapsed();

    assert_eq!(built.segment.map(|segment| u64::from(segment.events())), Some(EVENTS));
    spent
}

/// A segment in the making. Each event is added right after it was parsed, as a worker does it: were
/// all parsed beforehand, each would have to be fetched from memory again. Looking at the clock
/// takes a thousandth of the time that adding an event does.
struct TimedSegment {
    builder: SegmentBuilder,
    spent: Duration,
}

impl Sink for TimedSegment {
    type Error = IndexError;

    fn event(&mut self, event: &mut Arc<Event>) -> Result<(), IndexError> {
        let started = Instant::now();
        self.builder.add(event)?;
        self.spent += started.elapsed();
        Ok(())
    }

    fn reject(&mut self, reject: Reject) {
        panic!("a generated record was rejected: {reject:?}");
    }
}
