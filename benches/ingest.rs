//! The stages of ingest, each by itself and on one thread: inflate, split, parse, document, index.
//!
//! A stage takes what the one before it gave, from memory; `document` includes what `parse` measures.
//! So inflate, split, document and index add up to a worker's time for these files, but for reading
//! them from disk.

mod support;

use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};

use ingest::inflate::Inflater;
use support::Archive;
use support::stages::{self, Files};
use trail::parse::Parser;
use trail::split::Piece;

/// Two thirds of the events at which a worker finishes a segment: enough for the terms of a segment to
/// outgrow the caches, few enough for ten segments in as many seconds.
const EVENTS: u64 = 20_000;

criterion_group!(benches, stages);
criterion_main!(benches);

fn stages(criterion: &mut Criterion) {
    let archive = Archive::generate(EVENTS);
    let files = Files::read(archive.dir.path());
    let pieces = files.pieces();

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

fn bench_inflate(group: &mut BenchmarkGroup<'_, WallTime>, files: &Files) {
    let mut inflater = Inflater::default();
    let mut buffer = files.buffer();
    group.bench_function("inflate", |bencher| {
        bencher.iter(|| stages::inflate(&mut inflater, files, &mut buffer));
    });
}

fn bench_split(group: &mut BenchmarkGroup<'_, WallTime>, files: &Files) {
    group.bench_function("split", |bencher| bencher.iter(|| stages::split(files)));
}

fn bench_parse(group: &mut BenchmarkGroup<'_, WallTime>, pieces: &[Vec<Piece<'_>>]) {
    let mut parser = Parser::default();
    group.bench_function("parse", |bencher| {
        bencher.iter(|| stages::parse(&mut parser, pieces));
    });
}

fn bench_document(group: &mut BenchmarkGroup<'_, WallTime>, pieces: &[Vec<Piece<'_>>]) {
    let mut parser = Parser::default();
    group.bench_function("document", |bencher| {
        bencher.iter(|| assert_eq!(stages::document(&mut parser, pieces), EVENTS));
    });
}

fn bench_index(group: &mut BenchmarkGroup<'_, WallTime>, pieces: &[Vec<Piece<'_>>]) {
    let mut parser = Parser::default();
    group.bench_function("index", |bencher| {
        bencher.iter_custom(|iterations| {
            (0..iterations).map(|_| time_index(&mut parser, pieces)).sum()
        });
    });
}

/// How long a segment takes without the parsing. Looking at the clock takes a thousandth of the time
/// that adding an event does.
fn time_index(parser: &mut Parser, pieces: &[Vec<Piece<'_>>]) -> Duration {
    let mut spent = Duration::ZERO;
    let events = stages::index(parser, pieces, |work| {
        let started = Instant::now();
        work();
        spent += started.elapsed();
    });
    assert_eq!(events, EVENTS);
    spent
}
