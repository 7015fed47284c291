//! Turns matches into results: fetches and parses their records, whole or for chosen fields.

use std::collections::HashMap;

use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::collect::Match;
use crate::fields::{Finder, Target, service_paths};
use crate::integrity::state_of;
use crate::lookups::{EventLookups, Told};
use crate::parsers::SharedParser;
use crate::pieces::{in_parallel, threads};
use crate::run::highlight::Highlighter;
use language::ast::FieldRef;
use segment::position::Position;
use segment::view::separated;
use store::snapshot::Snapshot;
use trail::cell::Cell;
use trail::columns;
use trail::columns::Words;
use trail::content::id_hash;
use trail::flags::Flags;
use trail::rows::RowPlace;
use wire::engine::Cancel;
use wire::{ApiError, ErrorKind, Hit, Meta};

/// Fewer matches are fetched by one thread.
const SHARE_MIN: usize = 10;

/// Matches fetched between two looks at how many bytes there are.
const ROUND: usize = 100;

/// The same of rows, which take less.
const ROWS_ROUND: usize = 1_000;

/// Fetches the records of matches.
pub(crate) struct Fetcher<'a> {
    snapshot: &'a Snapshot,
    parser: SharedParser,
    highlighter: Option<&'a Highlighter>,
    /// What is looked up, where something is.
    lookups: Option<EventLookups>,
}

impl<'a> Fetcher<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let lookups = EventLookups::new(snapshot.enrichment.load_full());
        Self { snapshot, parser: SharedParser::take(), highlighter: None, lookups }
    }

    fn fetch(&mut self, found: &Match, cancel: &Cancel) -> Result<Hit, ApiError> {
        let Match { segment, doc, position: Position { time, file, offset } } = found;
        let raw = segment.record(*doc)?;
        let integrity = state_of(segment, &self.snapshot.verdicts.load(), *doc)?;
        let path = self.snapshot.files.path_of(*file)?;
        let path = path.map_or_else(String::new, |path| path.to_string());
        let told = self.lookups.as_ref().map(|lookups| lookups.of(&raw, &mut self.parser));
        let (event, text) = self.parser.parse_record(&raw).ok_or_else(|| {
            let message = format!("the stored record of {path}, byte {offset}, cannot be parsed");
            ApiError::new(ErrorKind::Internal, message)
        })?;
        let is_as_delivered = matches!(text, std::borrow::Cow::Borrowed(_));
        let id = match event.column(columns::EVENT_ID) {
            "" => format!("{file}:{offset}"),
            id => id.to_owned(),
        };
        let account = event.column(columns::RECIPIENT_ACCOUNT);
        let flags = flags_of(self.snapshot, found, id_hash(account, &id));
        let place = flags.contains(Flags::TABLE).then(|| RowPlace::of(*offset));
        let Told { lookups, indicators } = told.unwrap_or_default();
        let first = |id| event.column(id).to_owned();
        let targets = event.columns().filter(|(id, _)| *id == columns::TARGET);
        let meta = Meta {
            id,
            time: time.to_string(),
            actor: first(columns::ACTOR),
            credential: first(columns::CREDENTIAL),
            outcome: first(columns::OUTCOME),
            error: first(columns::ERROR),
            target: targets.map(|(_, text)| text.to_owned()).collect(),
            client: first(columns::CLIENT),
            account: first(columns::ACCOUNT),
            file: path,
            offset: *offset,
            row: place.map(|place| place.row),
            column: place.map(|place| place.column).filter(|column| *column > 0),
            flags: flags.names(),
            integrity,
            lookups,
            indicators,
            raw: (!is_as_delivered).then(|| String::from_utf8_lossy(&raw).into_owned()),
            sentence: None,
        };
        let event = raw_json(text.into_owned())?;
        let mut highlights = Vec::new();
        if let Some(highlighter) = self.highlighter {
            highlights = highlighter.highlights(&raw, &mut self.parser, cancel);
            cancel.check()?;
        }
        Ok(Hit { event, meta, highlights })
    }
}

/// Fetches the records of matches up to a number of bytes, but always the first. All cores fetch;
/// neighbours, which often share a block of records, go to the same core.
pub(crate) fn fetch_up_to(
    bytes_max: usize,
    snapshot: &Snapshot,
    matches: &[Match],
    highlighter: Option<&Highlighter>,
    cancel: &Cancel,
) -> Result<Vec<Hit>, ApiError> {
    let mut page = Vec::with_capacity(matches.len());
    let mut bytes = 0;
    for round in matches.chunks(ROUND) {
        let share = round.len().div_ceil(threads()).max(SHARE_MIN);
        let hits = in_parallel(round.chunks(share).collect(), |share| {
            let mut fetcher = Fetcher { highlighter, ..Fetcher::new(snapshot) };
            let (mut hits, mut bytes) = (Vec::with_capacity(share.len()), 0);
            for found in share {
                cancel.check()?;
                let hit = fetcher.fetch(found, cancel)?;
                bytes += hit_bytes(&hit);
                hits.push(hit);
                // What would come behind is not given: too much is before it.
                if bytes > bytes_max {
                    break;
                }
            }
            Ok::<_, ApiError>(hits)
        })?;
        for hit in hits.into_iter().flatten() {
            bytes += hit_bytes(&hit);
            if bytes > bytes_max && !page.is_empty() {
                return Ok(page);
            }
            page.push(hit);
        }
    }
    Ok(page)
}

fn hit_bytes(hit: &Hit) -> usize {
    hit.event.get().len() + hit.meta.raw.as_ref().map_or(0, String::len)
}

/// What a value takes in an answer, about.
fn json_bytes(value: &Json) -> usize {
    match value {
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(json_bytes).sum(),
        Json::Object(members) => members.iter().map(|(key, v)| key.len() + json_bytes(v)).sum(),
        _ => size_of::<Json>(),
    }
}

fn raw_json(bytes: Vec<u8>) -> Result<Box<RawValue>, ApiError> {
    let broken = |error: &dyn std::fmt::Display| {
        ApiError::new(ErrorKind::Internal, format!("a stored record is not JSON: {error}"))
    };
    let text = String::from_utf8(bytes).map_err(|error| broken(&error))?;
    RawValue::from_string(text).map_err(|error| broken(&error))
}

/// The fields that a query chose.
pub(crate) struct Chosen {
    fields: Vec<Target>,
    /// The paths of records that are read for them.
    paths: HashMap<String, Vec<usize>>,
}

impl Chosen {
    pub(crate) fn of(fields: &[FieldRef], finder: Finder<'_>) -> Result<Self, ApiError> {
        let fields: Vec<Target> =
            fields.iter().map(|field| finder.resolve_any(field)).collect::<Result<_, _>>()?;
        let mut paths: HashMap<String, Vec<usize>> = HashMap::new();
        let services = service_paths();
        let base = |target: &Target| match target {
            Target::LookedUp(of) => of.paths(),
            _ => Vec::new(),
        };
        let bases: Vec<Vec<String>> = fields.iter().map(base).collect();
        for (at, target) in fields.iter().enumerate() {
            let of_target: Vec<&str> = match target {
                Target::Ip => vec![columns::SOURCE_IP.column().path],
                Target::Column(id) if id.column().words != Words::Derived => {
                    vec![id.column().path]
                }
                Target::Service => services.iter().map(String::as_str).collect(),
                Target::LookedUp(_) => bases[at].iter().map(String::as_str).collect(),
                Target::Places(places) => places.values.iter().map(String::as_str).collect(),
                Target::Column(_) | Target::Time | Target::Integrity(_) | Target::Flag(_) => {
                    Vec::new()
                }
            };
            for path in of_target {
                paths.entry(separated(path)).or_default().push(at);
            }
        }
        Ok(Self { fields, paths })
    }
}

/// Makes rows of the chosen fields of matches up to a number of bytes, but always the first; on all cores,
/// as [`fetch_up_to`].
pub(crate) fn rows_up_to(
    bytes_max: usize,
    snapshot: &Snapshot,
    matches: &[Match],
    chosen: &Chosen,
    cancel: &Cancel,
) -> Result<Vec<Vec<Json>>, ApiError> {
    let mut rows = Vec::with_capacity(matches.len());
    let mut bytes = 0;
    for round in matches.chunks(ROWS_ROUND) {
        let share = round.len().div_ceil(threads()).max(SHARE_MIN);
        let parts = in_parallel(round.chunks(share).collect(), |share| {
            let mut fetcher = Fetcher::new(snapshot);
            let (mut rows, mut bytes) = (Vec::with_capacity(share.len()), 0);
            for found in share {
                cancel.check()?;
                let row = fetcher.values(found, chosen)?;
                bytes += row.iter().map(json_bytes).sum::<usize>();
                rows.push(row);
                // What would come behind is not given: too much is before it.
                if bytes > bytes_max {
                    break;
                }
            }
            Ok::<_, ApiError>(rows)
        })?;
        for row in parts.into_iter().flatten() {
            bytes += row.iter().map(json_bytes).sum::<usize>();
            if bytes > bytes_max && !rows.is_empty() {
                return Ok(rows);
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

impl Fetcher<'_> {
    /// The values of chosen fields: null where there is none, a list where there are several.
    fn values(&mut self, found: &Match, chosen: &Chosen) -> Result<Vec<Json>, ApiError> {
        let raw = found.segment.record(found.doc)?;
        let mut values: Vec<Vec<Json>> = vec![Vec::new(); chosen.fields.len()];
        self.parser.each_scalar(&raw, |path, scalar| {
            for at in chosen.paths.get(path).into_iter().flatten() {
                values[*at].push(serde_json::to_value(Cell::from(scalar)).unwrap_or_default());
            }
        });
        let is_needed = |(target, values): (&Target, &Vec<Json>)| match target {
            Target::Column(_) => values.is_empty(),
            Target::Places(places) => !places.objects.is_empty(),
            Target::Flag(_) => true,
            _ => false,
        };
        // To take a record apart a second time is half of the work.
        let parsed = if chosen.fields.iter().zip(&values).any(is_needed) {
            let parsed = self.parser.parse_record(&raw);
            let message = "a stored record cannot be parsed";
            Some(parsed.ok_or_else(|| ApiError::new(ErrorKind::Internal, message))?)
        } else {
            None
        };
        let mut record = None;
        for (target, values) in chosen.fields.iter().zip(&mut values) {
            match target {
                Target::Time => values.push(found.position.time.to_string().into()),
                Target::Column(id) if values.is_empty() => {
                    let Some((event, _)) = &parsed else { continue };
                    let of_event = event.columns().filter(|(column, _)| column == id);
                    values.extend(of_event.map(|(_, text)| Json::from(text)));
                }
                Target::Places(places) => {
                    let Some((_, text)) = &parsed else { continue };
                    for path in &places.objects {
                        let record = record.get_or_insert_with(|| {
                            serde_json::from_slice(text).unwrap_or_default()
                        });
                        let mut objects = Vec::new();
                        values_at(record, path, &mut objects);
                        // The others are values, which were read.
                        values.extend(objects.into_iter().filter(has_parts));
                    }
                }
                Target::Integrity(_) => {
                    let state =
                        state_of(&found.segment, &self.snapshot.verdicts.load(), found.doc)?;
                    values.extend(state.map(|state| state.name().into()));
                }
                Target::Flag(_) => {
                    let Some((event, _)) = &parsed else { continue };
                    let [account, id] = [columns::RECIPIENT_ACCOUNT, columns::EVENT_ID];
                    let key = id_hash(event.column(account), event.column(id));
                    let flags = flags_of(self.snapshot, found, key);
                    values.extend(flags.names().into_iter().map(Json::from));
                }
                Target::LookedUp(of) => {
                    let mut cells: Vec<Cell> = Vec::new();
                    for value in values.drain(..).filter_map(|value| text_of(&value)) {
                        cells.extend(of.cells(&value));
                    }
                    cells.sort();
                    cells.dedup();
                    let cells = cells.into_iter();
                    values.extend(cells.map(|cell| serde_json::to_value(cell).unwrap_or_default()));
                }
                Target::Ip | Target::Column(_) | Target::Service => {}
            }
        }
        let one_or_all = |mut values: Vec<Json>| match values.len() {
            0 => Json::Null,
            1 => values.remove(0),
            _ => Json::Array(values),
        };
        Ok(values.into_iter().map(one_or_all).collect())
    }
}

/// A value as text; none of a null.
fn text_of(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}

/// What is odd about an event, whose account and id have this hash, or about its file.
fn flags_of(snapshot: &Snapshot, found: &Match, key: u64) -> Flags {
    let mut flags = found.segment.flags(found.doc);
    // The event that came first does not know of the other.
    if snapshot.has_conflict(key) {
        flags |= Flags::ID_CONFLICT;
    }
    if snapshot.files.is_cut_off(found.position.file) {
        flags |= Flags::CUT_OFF;
    }
    flags
}

/// Whether it is an object, or a list with some.
fn has_parts(json: &Json) -> bool {
    match json {
        Json::Object(_) => true,
        Json::Array(items) => items.is_empty() || items.iter().any(has_parts),
        _ => false,
    }
}

/// Finds what lies at a path, through lists, and where keys have dots of their own.
fn values_at(json: &Json, path: &str, found: &mut Vec<Json>) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| values_at(item, path, found)),
        Json::Object(members) => {
            for (key, value) in members {
                if key == path {
                    found.push(value.clone());
                } else if let Some(rest) =
                    path.strip_prefix(key.as_str()).and_then(|rest| rest.strip_prefix('.'))
                {
                    values_at(value, rest, found);
                }
            }
        }
        _ => {}
    }
}
