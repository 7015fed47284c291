//! What a configuration can use of memory at most, part by part. Pure.
//!
//! Mapped files are not in it: the kernel takes their pages back when it needs them.

use std::fmt;

use super::{Config, Evidence, Sql};
use alerts::limits::{ALERTS_BYTES_MAX, CHANGES_MAX};
use detect::limits::SIGHTINGS_MAX;
use enrich::limits::{
    INDICATOR_BYTES, LINES_MAX, LISTS_BYTES_MAX, RANGE_BYTES, RANGES_BYTES_MAX, RANGES_MAX,
};
use evidence::Bounds;
use wire::limits::{
    EXPORTS_KEPT_BYTES_MAX, EXPORTS_MAX, GROUP_BYTES_MAX, HEAD_BYTES_MAX, PAGE_BYTES_MAX,
    SMALL_BYTES, TAIL_BATCH_BYTES, TAILS_MAX, TICKET_BYTES_MAX, TICKETS_MAX, UNREAD_BYTES_MAX,
    long_searches_max,
};

/// One merge at a time. Its working memory follows the columns: the names of those of ten segments, 36
/// MiB at most (`segment/overflow.rs`), and the values of the one that is written, of which
/// `segment/merge.rs` bounds the number. Dictionaries and postings stream through.
const MERGE_BYTES: u64 = 224 << 20;

/// A claim of an event that is not committed, with its share of the table. The batch before the one
/// being read is on its way to disk, as a rule; a slow disk can have more of them wait, each of which is
/// smaller than this assumes.
const CLAIM_BYTES: u64 = 96;
const BATCHES: u64 = 2;

/// What is kept of an event's key, in tenths of a byte, and of its file's ledger entry. How many there
/// will be is not known; this is for as many as the daemon is measured with.
const KEY_BYTES_TENTHS: u64 = 16;
const EVENTS: u64 = 30_000_000;
const FILE_BYTES: u64 = 32;
const FILES: u64 = 2_000_000;

/// What one search may collect: its groups; or postings, hits, and an answer of the longest kind twice,
/// as records and as text.
const SEARCH_BYTES: u64 = GROUP_BYTES_MAX as u64 + 2 * PAGE_BYTES_MAX as u64;

/// An export: a page, and its text, or the rows of a Parquet row group and what they come to. A client
/// that is told what comes in: its batch, as records and as text.
const EXPORT_BYTES: u64 = 2 * PAGE_BYTES_MAX as u64;
const TAIL_BYTES: u64 = 2 * TAIL_BATCH_BYTES as u64;

/// A connection: the head of a request, and its small body or its small answer.
const CONNECTION_BYTES: u64 = (HEAD_BYTES_MAX + SMALL_BYTES) as u64;

/// A digest while files are judged, a file that one lists, and an event whose copy is remembered.
const DIGEST_BYTES: u64 = 2_000;
const LISTED_BYTES: u64 = 56;
const COPY_BYTES: u64 = 50;

/// How many there are, where keys are given: of the files of [`FILES`], all. Without keys, what digests
/// say is worth little, and strangers can write them.
const DIGESTS: Bounds = Bounds { digests: 500_000, unsigned_files: 1_000_000 };
const DIGESTS_USUAL: u64 = 60_000;
const COPIES: usize = 2_000_000;
const DIGESTS_WITHOUT_KEYS: Bounds = Bounds { digests: 5_000, unsigned_files: 100_000 };
const COPIES_WITHOUT_KEYS: usize = 50_000;

/// The picture of what the archive covers, the next one, and the search for it (`coverage/limits.rs`).
const COVERAGE_BYTES: u64 = 2 * (18 << 20) + (10 << 20);

/// The changes of alerts that are kept; the events that a rule looks at, and the groups of its search.
const CHANGES_BYTES: u64 = CHANGES_MAX as u64 * 160;
const EVENTS_BYTES: u64 =
    (detect::limits::LIVE_EVENTS_MAX + crate::daemon::RULE_ROWS_MAX) as u64 * 400;
const GROUP_BYTES: u64 = crate::daemon::RULE_GROUP_BYTES as u64;

/// The program, its threads' stacks, the runtime, the open segments' metadata. A segment's paths take
/// up to 700 KiB where somebody makes up names; 120 KiB is usual.
const BASE_BYTES: u64 = 40 << 20;

/// The parts and their total, in bytes. `Display` is an aligned table in MiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemorySum {
    pub parts: Vec<MemoryPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPart {
    pub name: &'static str,
    pub bytes: u64,
    /// How `bytes` comes about, in words.
    pub formula: String,
    /// The keys that move it; none where it is fixed.
    pub keys: &'static [&'static str],
}

impl MemorySum {
    pub fn total(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// The keys that move the sum, those of the largest part first.
    pub fn keys(&self) -> Vec<&'static str> {
        let mut parts: Vec<_> = self.parts.iter().collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
        let mut keys = Vec::new();
        for key in parts.into_iter().flat_map(|part| part.keys) {
            if !keys.contains(key) {
                keys.push(*key);
            }
        }
        keys
    }
}

impl fmt::Display for MemorySum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for MemoryPart { name, bytes, formula, .. } in &self.parts {
            writeln!(f, "{name:<22} {:>8} MiB  {formula}", mib(*bytes))?;
        }
        write!(f, "{:<22} {:>8} MiB", "total", mib(self.total()))
    }
}

pub(super) fn sum(config: &Config, cores: usize) -> MemorySum {
    let Config { ingest, search, .. } = config;
    let workers = ingest.workers(cores) as u64;
    let searches = search.concurrent(cores);
    let long = long_searches_max(searches) as u64;
    let searches = searches as u64;
    let file = ingest.file_bytes_max as u64;
    let segment = ingest.segment_bytes_max as u64;
    let cache = search.record_cache_bytes as u64;
    let connections = config.socket.connections_max as u64;
    let listeners = 1 + u64::from(config.aws.listen.is_some());
    let parts = vec![
        MemoryPart {
            name: "inflate buffers",
            bytes: workers * file,
            formula: format!("{workers} threads x {} MiB, the largest file", mib(file)),
            keys: &["ingest.threads", "ingest.file_bytes_max"],
        },
        MemoryPart {
            name: "segments in the making",
            bytes: workers * segment,
            formula: format!("{workers} threads x {} MiB, one segment", mib(segment)),
            keys: &["ingest.threads", "ingest.segment_bytes_max"],
        },
        MemoryPart {
            name: "claims of new events",
            bytes: BATCHES * workers * ingest.segment_events_max as u64 * CLAIM_BYTES,
            formula: format!(
                "{BATCHES} batches x {workers} threads x {} events x {CLAIM_BYTES} bytes",
                ingest.segment_events_max
            ),
            keys: &["ingest.threads", "ingest.segment_events_max"],
        },
        MemoryPart {
            name: "keys and ledger",
            bytes: EVENTS * KEY_BYTES_TENTHS / 10 + FILES * FILE_BYTES,
            formula: "1.6 bytes an event and 32 a file, for 30 and 2 million".to_owned(),
            keys: &[],
        },
        MemoryPart {
            name: "merge",
            bytes: MERGE_BYTES,
            formula: "one at a time, fixed".to_owned(),
            keys: &[],
        },
        MemoryPart {
            name: "searches",
            bytes: (searches + long) * SEARCH_BYTES,
            formula: format!("{searches}, and {long} long ones, x {} MiB", mib(SEARCH_BYTES)),
            keys: &["search.concurrent_max"],
        },
        MemoryPart {
            name: "answers and bodies",
            bytes: UNREAD_BYTES_MAX as u64,
            formula: "large ones, until they are read, fixed".to_owned(),
            keys: &[],
        },
        MemoryPart {
            name: "connections",
            bytes: listeners * connections * CONNECTION_BYTES,
            formula: format!(
                "{connections} x {} KiB{}, heads and small answers",
                CONNECTION_BYTES >> 10,
                if listeners > 1 { ", on the socket and on AWS's port" } else { "" }
            ),
            keys: &["socket.connections_max"],
        },
        exports(),
        digests(&config.evidence),
        MemoryPart {
            name: "coverage",
            bytes: COVERAGE_BYTES,
            formula: "what the archive covers, twice, and a search for it, fixed".to_owned(),
            keys: &[],
        },
        MemoryPart {
            name: "record cache",
            bytes: cache,
            formula: "decompressed blocks of records, and what wildcards found".to_owned(),
            keys: &["search.record_cache_bytes"],
        },
        MemoryPart {
            name: "base",
            bytes: BASE_BYTES,
            formula: "program and runtime, fixed".to_owned(),
            keys: &[],
        },
    ];
    let alerts = (!config.rules.are_off()).then(alerts);
    let more = alerts.into_iter().chain(looked_up(config)).chain(sql(&config.sql, cores));
    MemorySum { parts: parts.into_iter().chain(more).collect() }
}

/// What the program of SQL holds beside its queries' memory: itself, with stacks and buffers of each
/// thread, the records that it keeps, what clients ask of PostgreSQL's catalog, and a message of each client.
const SQL_BASE_BYTES: u64 = 64 << 20;
const SQL_CATALOG_BYTES: u64 = 64 << 20;
const SQL_CLIENTS_BYTES: u64 = 64 << 20;
const SQL_THREAD_BYTES: u64 = 8 << 20;
const SQL_CACHE_BYTES: u64 = 64 << 20;

/// What the program of SQL takes where there is one.
fn sql(sql: &Sql, cores: usize) -> Option<MemoryPart> {
    let is_asked = sql.postgres_address.is_some();
    let queries = sql.memory_bytes_max as u64;
    let shared = SQL_BASE_BYTES + SQL_CACHE_BYTES + SQL_CATALOG_BYTES + SQL_CLIENTS_BYTES;
    let base = shared + cores as u64 * SQL_THREAD_BYTES;
    is_asked.then(|| MemoryPart {
        name: "SQL",
        bytes: queries + base,
        formula: format!(
            "another program: {} queries x {} MiB, and {} MiB of its own",
            sql.queries_max,
            mib(queries / sql.queries_max as u64),
            mib(base)
        ),
        keys: &["sql.memory_bytes_max"],
    })
}

/// What files take in which values are looked up, twice: a new one is read before the old one goes.
fn looked_up(config: &Config) -> Option<MemoryPart> {
    let Config { geo, ioc, .. } = config;
    let mut parts = Vec::new();
    let mut add = |is_there: bool, bytes: usize, noun: &str| {
        if is_there {
            parts.push((bytes as u64, format!("{} MiB of {noun}", mib(bytes as u64))));
        }
    };
    add(!geo.databases.is_empty(), geo.bytes_max, "databases");
    add(geo.ip_ranges.is_some(), RANGES_BYTES_MAX + RANGES_MAX * RANGE_BYTES, "AWS's ranges");
    add(!ioc.files.is_empty(), LISTS_BYTES_MAX + LINES_MAX * INDICATOR_BYTES, "indicators");
    let formulas: Vec<String> = parts.iter().map(|(_, formula)| formula.clone()).collect();
    (!parts.is_empty()).then(|| MemoryPart {
        name: "looked up",
        bytes: 2 * parts.iter().map(|(bytes, _)| bytes).sum::<u64>(),
        formula: format!("{}, twice while they change", formulas.join(", ")),
        keys: &["geo.databases", "geo.bytes_max", "geo.ip_ranges", "ioc.files"],
    })
}

/// A time that something was seen, in a tree of them.
const SIGHTING_BYTES: u64 = 40;

/// What alerts take, the one search at a time that rules make, and what they know of what was seen.
fn alerts() -> MemoryPart {
    let kept = ALERTS_BYTES_MAX as u64 + CHANGES_BYTES;
    let known = SIGHTINGS_MAX as u64 * SIGHTING_BYTES;
    let asked = EVENTS_BYTES + GROUP_BYTES + known;
    MemoryPart {
        name: "rules and alerts",
        bytes: kept + asked,
        formula: format!(
            "{} MiB of alerts, and {} MiB for what a rule finds and rules have seen",
            mib(kept),
            mib(asked)
        ),
        keys: &["rules.dirs", "rules.pack"],
    }
}

/// What exports, their tickets, and tails take.
fn exports() -> MemoryPart {
    MemoryPart {
        name: "exports and tails",
        bytes: EXPORTS_MAX as u64 * EXPORT_BYTES
            + EXPORTS_KEPT_BYTES_MAX as u64
            + (TICKETS_MAX * TICKET_BYTES_MAX) as u64
            + TAILS_MAX as u64 * TAIL_BYTES,
        formula: format!(
            "{EXPORTS_MAX} exports x {} MiB, {} MiB of rows, {TICKETS_MAX} tickets x {} KiB, {TAILS_MAX} tails x {} KiB",
            mib(EXPORT_BYTES),
            mib(EXPORTS_KEPT_BYTES_MAX as u64),
            TICKET_BYTES_MAX >> 10,
            TAIL_BYTES >> 10
        ),
        keys: &[],
    }
}

fn digests(evidence: &Evidence) -> MemoryPart {
    let (digests, files) = if evidence.public_keys.is_empty() {
        let Bounds { digests, unsigned_files } = DIGESTS_WITHOUT_KEYS;
        (digests as u64, unsigned_files as u64)
    } else {
        (DIGESTS_USUAL, FILES)
    };
    let copies = evidence.copies_max() as u64;
    MemoryPart {
        name: "digests",
        bytes: digests * DIGEST_BYTES + files * LISTED_BYTES + copies * COPY_BYTES,
        formula: format!(
            "{DIGEST_BYTES} bytes a digest, {LISTED_BYTES} a file, {COPY_BYTES} a copy of an event, for \
             {digests}, {files} and {copies}"
        ),
        keys: &[],
    }
}

impl Evidence {
    /// How much the daemon judges.
    pub fn bounds(&self) -> Bounds {
        if self.public_keys.is_empty() { DIGESTS_WITHOUT_KEYS } else { DIGESTS }
    }

    /// How many events are remembered whose copies are better than they are.
    pub fn copies_max(&self) -> usize {
        if self.public_keys.is_empty() { COPIES_WITHOUT_KEYS } else { COPIES }
    }
}

/// Rounded up: a sum that looks smaller than it is would mislead.
pub(super) fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up_and_adds_up() {
        let expected = "\
inflate buffers             512 MiB  2 threads x 256 MiB, the largest file
segments in the making      288 MiB  2 threads x 144 MiB, one segment
claims of new events         22 MiB  2 batches x 2 threads x 60000 events x 96 bytes
keys and ledger             107 MiB  1.6 bytes an event and 32 a file, for 30 and 2 million
merge                       224 MiB  one at a time, fixed
searches                    288 MiB  2, and 1 long ones, x 96 MiB
answers and bodies           32 MiB  large ones, until they are read, fixed
connections                  40 MiB  160 x 256 KiB, heads and small answers
exports and tails           233 MiB  4 exports x 32 MiB, 64 MiB of rows, 64 tickets x 144 KiB, 64 tails x 512 KiB
digests                      18 MiB  2000 bytes a digest, 56 a file, 50 a copy of an event, for 5000, 100000 and 50000
coverage                     46 MiB  what the archive covers, twice, and a search for it, fixed
record cache                 64 MiB  decompressed blocks of records, and what wildcards found
base                         40 MiB  program and runtime, fixed
total                      1914 MiB";
        assert_eq!(Config::default().memory(2).to_string(), expected);
    }

    #[test]
    fn rules_take_what_they_take_where_there_are_some() {
        let mut config = Config::default();
        let without = config.memory(2).total();
        config.rules.pack = true;
        let with = config.memory(2);
        let asked = 350_000 * 400 + (32 << 20) + 1_000_000 * 40;
        let expected = (64 << 20) + 50_000 * 160 + asked;
        assert_eq!(with.total() - without, expected, "{with}");
        assert!(with.keys().contains(&"rules.pack"));
    }

    #[test]
    fn files_that_are_looked_up_take_what_they_take_where_there_are_some() {
        let mut config = Config::default();
        let without = config.memory(2).total();
        config.geo.bytes_max = 100 << 20;
        assert_eq!(config.memory(2).total(), without);
        config.geo.databases = vec!["/x.mmdb".into()];
        let with = config.memory(2);
        assert_eq!(with.total() - without, 2 * (100 << 20), "{with}");
        assert!(
            with.to_string().contains("100 MiB of databases, twice while they change"),
            "{with}"
        );
        assert!(with.keys().contains(&"geo.bytes_max"));
        config.ioc.files = vec!["/x.txt".into()];
        let more = config.memory(2).total() - with.total();
        assert_eq!(more, 2 * ((32 << 20) + 500_000 * 96));
    }

    #[test]
    fn sql_takes_what_it_takes_where_it_is_asked() {
        let mut config = Config::default();
        let without = config.memory(2).total();
        config.sql.postgres_address = Some(([127, 0, 0, 1], 5432).into());
        let with = config.memory(2);
        assert_eq!(with.total() - without, (1024 + 272) << 20, "{with}");
        assert!(with.to_string().contains("4 queries x 256 MiB, and 272 MiB of its own"), "{with}");
    }

    #[test]
    fn a_sum_above_the_machine_names_the_keys_to_lower() {
        let config = Config::default();
        let needed = config.memory(2).total();
        assert!(config.check_memory(2, None).is_ok());
        assert!(config.check_memory(2, Some(needed)).is_ok());
        let error = config.check_memory(2, Some(needed - 1)).unwrap_err().to_string();
        let (message, table) = error.split_once('\n').unwrap();
        assert_eq!(
            message,
            "the configuration adds up to 1914 MiB of memory and the machine has 1913 MiB; \
             lower ingest.threads, ingest.file_bytes_max, ingest.segment_bytes_max, \
             search.concurrent_max, search.record_cache_bytes, socket.connections_max, \
             ingest.segment_events_max"
        );
        assert_eq!(table, config.memory(2).to_string());
    }
}
