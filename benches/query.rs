//! Searches on an index made by the real pipeline, one after the other and without the socket.
//!
//! Throughput is the events of the index over the time of one search, whatever the search returns: it
//! compares searches with each other and with an index of another size. Totals are exact, as they
//! are by default, so a search also counts every match.

mod support;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;

use support::Archive;
use traildex::api::Cancel;
use traildex::api::proto::{Order, SearchRequest, SearchResponse};
use traildex::config::Config;
use traildex::daemon::{import_options, open_store};
use traildex::index::snapshot::Snapshot;
use traildex::ingest::Ingest;
use traildex::ingest::progress::Progress;
use traildex::ingest::watch::Watcher;
use traildex::query::run;

const EVENTS: u64 = 100_000;

/// A page of results.
const LIMIT: usize = 50;

/// The whole bench takes a tenth of this; a search that reaches it fails.
const DEADLINE: Duration = Duration::from_hours(1);

/// How often the pipeline is asked whether it is done.
const TICK: Duration = Duration::from_millis(100);

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

struct Search {
    name: &'static str,
    query: &'static str,
    order: Order,
    limit: usize,
}

const fn newest(name: &'static str, query: &'static str) -> Search {
    Search { name, query, order: Order::Newest, limit: LIMIT }
}

criterion_group!(benches, searches);
criterion_main!(benches);

fn searches(criterion: &mut Criterion) {
    let archive = Archive::generate(EVENTS);
    let data_dir = tempfile::tempdir().expect("a temporary folder can be made");
    let snapshot = index(&archive, data_dir.path());
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

/// Indexes the archive as `traildex import` does.
fn index(archive: &Archive, data_dir: &Path) -> Arc<Snapshot> {
    let config = Config::default();
    let store = open_store(data_dir, &config).expect("a new index opens");
    let options = import_options(&config, vec![archive.dir.path().to_owned()]);
    let progress = Progress::new();
    let ingest =
        Ingest::start(store, Watcher::none(), options, &progress).expect("the pipeline starts");
    while !progress.wait_idle(TICK) {}
    assert_eq!(progress.fault(), None);
    let store = ingest.stop().expect("the committer did not panic");
    let snapshot = store.snapshots().load_full();
    assert_eq!(snapshot.events(), archive.generated.events);
    snapshot
}

impl Search {
    fn run(&self, snapshot: &Arc<Snapshot>) -> SearchResponse {
        let request = SearchRequest {
            query: self.query.into(),
            limit: Some(self.limit),
            order: self.order,
            ..SearchRequest::default()
        };
        let cancel = Cancel::at(Instant::now() + DEADLINE);
        // No query here is relative to now.
        run::search(snapshot, &request, Timestamp::UNIX_EPOCH, &cancel)
            .unwrap_or_else(|error| panic!("{}: {error:?}", self.query))
    }
}
