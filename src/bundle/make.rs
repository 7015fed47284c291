//! Makes a bundle: collects the events, copies what they are from, says what is missing, and ends the bag.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::bail;
use bundle::{
    About, Bag, Begun, COVERAGE, Counts, EVENTS, Problems, Query, RECORDS, REPORT, Reasons, Report,
    Stage, StageError, Stored, VALIDATION,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use client::{Client, ClientError};
use evidence::Root;
use ingest::read::ReadLimits;
use language::parse::parse;
use segment::steps::step;
use wire::limits::COVERAGE_GROUPS_MAX;
use wire::{CoverageRequest, ErrorKind, Integrity, SearchRequest};

use super::archive::{validate, validation};
use super::ask::{Ask, request};
use super::collect::{self, Collected, Where};
use super::contents::Packed;
use super::digests::{Copied, Digests, bag_roots};
use super::index::{State, lacking};
use super::originals::{Sources, archive};
use crate::evidence::Given;

const STATE: &str = "state.json";

/// What a bundle is made with.
pub struct Making<'a> {
    /// What is asked for.
    pub ask: &'a Ask,
    /// Where it is to be.
    pub output: &'a Path,
    /// When it is made; None is now, or when an interrupted run was begun.
    pub time: Option<Timestamp>,
    /// Who is asked.
    pub client: &'a Client,
    /// Keys and metadata.
    pub given: &'a Given,
    /// Folders whose bucket is known.
    pub roots: &'a [Root],
    /// Bounds on what a file may inflate to.
    pub limits: ReadLimits,
    /// Told what is being done, how far it is, and how much there is.
    pub tell: &'a dyn Fn(&str, u64, u64),
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// What the bag says of itself.
    pub report: Report,
    /// Originals that a digest contradicts, or does not list.
    pub suspicious: u64,
    /// Of the originals, those that are verified.
    pub verified: u64,
}

/// What was begun.
#[derive(Debug, Serialize, Deserialize)]
struct BegunAs {
    ask: Ask,
    /// In seconds since 1970.
    time: i64,
    index: State,
}

/// Makes a bundle, or goes on with one.
pub fn make(making: &Making<'_>) -> anyhow::Result<Made> {
    let stage = match Stage::open(making.output, making.ask.is_tar)? {
        Begun::Making(stage) => stage,
        Begun::Done(output) => return making.done(&output),
    };
    let begun = making.begin(&stage)?;
    let time = Timestamp::from_second(begun.time)?;
    let query = making.ask.resolved(time)?;
    let mut work = Work {
        making,
        stage: &stage,
        request: request(&query),
        watch: making.client.status()?.watch,
        reasons: Reasons::default(),
        notes: Vec::new(),
        files: BTreeMap::new(),
    };
    work.coverage(&query)?;
    let collected = work.collect(&query)?;
    let (counts, verdicts) = work.evidence()?;
    let events_found = work.judge(&query, &begun, &collected, counts.events)?;
    let report = work.report(query, time, Counts { events_found, ..counts })?;
    let files = work.files;
    let seconds = u64::try_from(begun.time).unwrap_or_default();
    stage.finish(&files, &report, seconds, &|name| step(name))?;
    Ok(Made { report, suspicious: verdicts.0, verified: verdicts.1 })
}

/// Originals that a digest contradicts or does not list, and those that are verified.
fn verdicts(report: &wire::ValidateReport) -> (u64, u64) {
    let suspicious = [Integrity::Mismatch, Integrity::Unlisted, Integrity::TrailingData];
    let suspicious = suspicious.iter().map(|state| report.files_in(*state)).sum();
    (suspicious, report.files_in(Integrity::Verified))
}

impl Making<'_> {
    /// Of a bag that an earlier run finished, if that was asked for the same.
    fn done(&self, output: &Path) -> anyhow::Result<Made> {
        let taken = || StageError::Taken(output.to_owned());
        let bag = Bag::open(output, &mut Problems::default())?;
        let report = bag.report().map_err(|_| taken())?;
        let time: Timestamp = report.time.parse().map_err(|_| taken())?;
        let is_same = report.records_only == self.ask.records_only
            && self.time.is_none_or(|asked| asked.as_second() == time.as_second())
            && self.ask.resolved(time).is_ok_and(|query| query == report.query);
        if !is_same {
            return Err(taken().into());
        }
        let (suspicious, verified) = validation(&bag).as_ref().map_or((0, 0), verdicts);
        Ok(Made { report, suspicious, verified })
    }

    /// What an earlier run has begun, if it is the same; else what is begun now.
    fn begin(&self, stage: &Stage) -> anyhow::Result<BegunAs> {
        if let Some(begun) = stage.state::<BegunAs>(STATE) {
            let is_of_time = self.time.is_none_or(|time| time.as_second() == begun.time);
            if begun.ask != *self.ask || !is_of_time {
                bail!(
                    "{} is of another bundle: remove it, or name another output",
                    stage.beside("").display()
                );
            }
            return Ok(begun);
        }
        stage.begin_anew()?;
        let time = self.time.unwrap_or_else(Timestamp::now).as_second();
        let index = State::of(&self.client.status()?);
        let begun = BegunAs { ask: self.ask.clone(), time, index };
        // A mistake in the query leaves nothing behind.
        if let Err(error) = begun.ask.resolved(Timestamp::from_second(time)?) {
            stage.give_up()?;
            return Err(error.into());
        }
        stage.note(STATE, &begun)?;
        step("bundle-begun");
        Ok(begun)
    }
}

/// A bundle in the making.
struct Work<'a> {
    making: &'a Making<'a>,
    stage: &'a Stage,
    request: SearchRequest,
    watch: Vec<String>,
    reasons: Reasons,
    notes: Vec<String>,
    files: BTreeMap<String, Stored>,
}

impl Work<'_> {
    fn put_json(&mut self, path: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let stored = self.stage.put(path, |to| -> anyhow::Result<()> {
            serde_json::to_writer_pretty(&mut *to, value)?;
            Ok(to.write_all(b"\n")?)
        })?;
        self.files.insert(path.to_owned(), stored);
        Ok(())
    }

    /// What the archive can know of the time that is asked for.
    fn coverage(&mut self, query: &Query) -> anyhow::Result<()> {
        let request = CoverageRequest {
            start: query.start.clone(),
            end: query.end.clone(),
            limit: Some(COVERAGE_GROUPS_MAX),
            ..CoverageRequest::default()
        };
        let answer = self.making.client.coverage(&request)?;
        self.put_json(COVERAGE, &answer)
    }

    fn collect(&mut self, query: &Query) -> anyhow::Result<Collected> {
        let making = self.making;
        let (total, _) = match collect::count(making.client, &self.request) {
            Ok(counted) => counted,
            Err(error) => {
                if is_refused(&error) {
                    self.stage.give_up()?;
                }
                return Err(error);
            }
        };
        let has_stages = parse(&query.text).is_ok_and(|query| !query.stages.is_empty());
        collect::collect(self.stage, making.client, &self.request, has_stages, &mut |events| {
            (making.tell)("events", events, total);
        })
    }

    /// Copies originals and digests, and writes the events.
    fn evidence(&mut self) -> anyhow::Result<(Counts, (u64, u64))> {
        let making = self.making;
        let mut sources = Sources::of(self.stage, making.client)?;
        let mut counts = Counts { files: sources.files.len() as u64, ..Counts::default() };
        let mut found = (0, 0);
        if making.ask.records_only {
            self.records()?;
        } else {
            let total = counts.files;
            let mut files = 0;
            let mut packed = Packed::new(making.limits);
            let archive = archive(&self.watch);
            sources.copy(self.stage, &archive, &mut packed, &mut self.reasons, &mut || {
                files += 1;
                (making.tell)("files", files, total);
            })?;
            for source in sources.files.values() {
                if let Some(stored) = source.stored {
                    self.files.insert(source.place.clone(), stored);
                    counts.originals += 1;
                }
            }
            let originals: BTreeSet<String> = self.files.keys().cloned().collect();
            let Copied { files, digests, metadata, keys } = self.digests(&sources, &originals)?;
            self.files.extend(files);
            (counts.digests, counts.metadata, counts.keys) = (digests, metadata, keys);
            found = self.validation(&originals)?;
        }
        self.events(&sources, &mut counts)?;
        Ok((counts, found))
    }

    fn digests(&mut self, sources: &Sources, places: &BTreeSet<String>) -> anyhow::Result<Copied> {
        let originals: Vec<&str> = sources
            .files
            .iter()
            .filter(|(_, source)| source.stored.is_some())
            .map(|(path, _)| &**path)
            .collect();
        let Making { client, given, roots, limits, .. } = self.making;
        let place = (&*self.watch, *limits);
        Digests::new(self.stage, client, given, roots, place, &mut self.reasons)
            .copy(&originals, places)
    }

    /// What the digests in the bag say of the originals in it.
    fn validation(&mut self, originals: &BTreeSet<String>) -> anyhow::Result<(u64, u64)> {
        self.stage.keep_only(&self.files)?;
        let bag = Bag::open(&self.stage.bag(), &mut Problems::default())?;
        let (given, limits) = (self.making.given, self.making.limits);
        let roots = bag_roots(self.making.roots);
        let report = validate(&bag, originals, &roots, &given.keys, limits);
        self.put_json(VALIDATION, &report)?;
        Ok(verdicts(&report))
    }

    /// The records one behind another, where the originals are left out.
    fn records(&mut self) -> anyhow::Result<()> {
        let stage = self.stage;
        let stored = stage.put(RECORDS, |to| {
            collect::each(stage, |_, event| {
                to.write_all(event.record().as_bytes())?;
                to.write_all(b"\n")?;
                Ok::<(), anyhow::Error>(())
            })
        })?;
        self.files.insert(RECORDS.to_owned(), stored);
        Ok(())
    }

    /// The events, each with where its record is.
    fn events(&mut self, sources: &Sources, counts: &mut Counts) -> anyhow::Result<()> {
        let (stage, records_only) = (self.stage, self.making.ask.records_only);
        let mut record_offset = 0;
        let mut files = BTreeSet::new();
        let stored = stage.put(EVENTS, |to| {
            collect::each(stage, |number, event| {
                let source = sources.of_event(number, &event);
                let place = match source {
                    Some(source) => Where {
                        file: Some(source.place.clone()),
                        sha256: source.sha256.clone(),
                        record_offset: None,
                    },
                    None => Where {
                        file: None,
                        sha256: sources.last_hash(&event.source),
                        record_offset: records_only.then_some(record_offset),
                    },
                };
                record_offset += event.record().len() as u64 + 1;
                let line = event.line(place)?;
                counts.events += 1;
                counts.events_in_originals += u64::from(line.file.is_some());
                counts.events_in_tables += u64::from(line.file.is_some() && line.is_of_table());
                files.extend(line.file.clone());
                counts.see_time(&line.time);
                serde_json::to_writer(&mut *to, &line)?;
                to.write_all(b"\n")?;
                Ok::<(), anyhow::Error>(())
            })
        })?;
        self.files.insert(EVENTS.to_owned(), stored);
        Ok(())
    }

    /// What is missing of what was asked for, as far as that is known.
    fn judge(
        &mut self,
        query: &Query,
        begun: &BegunAs,
        collected: &Collected,
        events: u64,
    ) -> anyhow::Result<u64> {
        let client = self.making.client;
        step("bundle-to-be-judged");
        let (found, _) = collect::count(client, &self.request)?;
        if found != events {
            let reason = format!(
                "the bag has {events} events, and the index has {found} for the query's conditions"
            );
            self.reasons.add(About::Events, reason);
        }
        for line in &collected.coverage {
            self.reasons.add(About::Coverage, line.clone());
        }
        for warning in &collected.warnings {
            if LACKING.iter().any(|text| warning.contains(text)) {
                self.reasons.add(About::Index, warning.clone());
            } else {
                self.notes.push(warning.clone());
            }
        }
        let status = client.status()?;
        lacking(client, &status, query, &mut self.reasons, &mut self.notes)?;
        let (changes, is_grave) = begun.index.changes(&State::of(&status));
        if !changes.is_empty() {
            let told =
                format!("the index changed while the bundle was made: {}", changes.join("; "));
            if is_grave || found != events {
                self.reasons.add(About::Index, told);
            } else {
                self.notes.push(format!("{told}; the query finds as many events as before"));
            }
        }
        Ok(found)
    }

    fn report(&mut self, query: Query, time: Timestamp, counts: Counts) -> anyhow::Result<Report> {
        let (reasons, reasons_left_out) = std::mem::take(&mut self.reasons).end();
        let report = Report {
            format: bundle::FORMAT,
            traildex: env!("CARGO_PKG_VERSION").to_owned(),
            time: time.to_string(),
            complete: reasons.is_empty() && reasons_left_out == 0,
            reasons,
            reasons_left_out,
            notes: std::mem::take(&mut self.notes),
            query,
            records_only: self.making.ask.records_only,
            counts,
            roots: bag_roots(self.making.roots),
        };
        self.put_json(REPORT, &report)?;
        Ok(report)
    }
}

/// What a warning says of an answer that may lack events.
const LACKING: [&str; 3] = ["damaged", "made anew", "find none of its events"];

/// Whether an error is the caller's mistake.
fn is_refused(error: &anyhow::Error) -> bool {
    let Some(ClientError::Api(error)) = error.downcast_ref() else { return false };
    matches!(error.kind, ErrorKind::BadQuery | ErrorKind::UnknownField | ErrorKind::BadRequest)
}
