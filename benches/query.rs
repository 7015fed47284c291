//! Searches on an index made by the real pipeline, one after the other and without the socket.
//!
//! Throughput is the events of the index over the time of one search, whatever the search returns: it
//! compares searches with each other and with an index of another size. Totals are exact, as they
//! are by default, so a search also counts every match.

mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use support::Archive;
use support::search::{Search, newest};
use traildex::daemon::cores;
use wire::Order;

const EVENTS: u64 = 100_000;

/// What is searched for. How many events match is printed before each is measured.
const SEARCHES: [Search; 14] = [
    newest("all", "*"),
    newest("common-term", COMMON_TERM),
    newest("rare-term", "eventName:CreateDBInstance"),
    newest(
        "conjunction",
        "eventSource:ec2.amazonaws.com AND errorCode:Client.UnauthorizedOperation",
    ),
    newest("time-range", "time:[2026-01-10 TO 2026-01-16]"),
    newest("prefix", "eventName:Describe*"),
    newest("infix", "errorCode:*Unauthorized*"),
    newest("infix-anywhere", "*unauthorized*"),
    newest("phrase", "\"Rate exceeded\""),
    // Not in a column: the candidates' records are parsed.
    newest("phrase-in-leaves", "\"Effect Allow\""),
    newest("word", "StratusRedTeam"),
    newest("nested-path", "requestParameters.encryptionAlgorithm:SYMMETRIC_DEFAULT"),
    Search { limit: 0, ..newest("count", COMMON_TERM) },
    Search { order: Order::Oldest, ..newest("oldest", COMMON_TERM) },
];

/// A third of the events.
const COMMON_TERM: &str = "eventSource:ec2.amazonaws.com";

criterion_group!(benches, searches);
criterion_main!(benches);

fn searches(criterion: &mut Criterion) {
    let archive = Archive::generate(EVENTS);
    let data_dir = tempfile::tempdir().expect("a temporary folder can be made");
    let roots = vec![archive.dir.path().to_owned()];
    let snapshot = support::index(roots, cores(), data_dir.path());
    assert_eq!(snapshot.events(), archive.generated.events);
    eprintln!("{} segments", snapshot.segments.len());

    let mut group = criterion.benchmark_group("query");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .throughput(Throughput::Elements(EVENTS));
    for search in &SEARCHES {
        let found = search.run(&snapshot);
        let matches = found.total.value;
        eprintln!("{}: {matches} matches of {}", search.name, search.query);
        assert!(matches > 0 && found.total.exact);
        assert_eq!(found.hits.len() as u64, matches.min(search.limit as u64));
        group.bench_function(search.name, |bencher| {
            bencher.iter(|| black_box(search.run(&snapshot)));
        });
    }
    group.finish();
}
