//! `traildex export`: everything that a query finds, into a file or to standard output.
//!
//! Lines in the order of time are fetched a part at a time. What is there of an interrupted export is in
//! `FILE.partial`, and how far it is in `FILE.resume`: the same command goes on there. All else is begun
//! anew: rows, what is sorted, and a Parquet file, which has its index at the end.

use std::cell::{Cell, RefCell};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar};
use serde::{Deserialize, Serialize};

use super::{EXIT_CODES, Exit, named};
use crate::cli::ask::AskArg;
use crate::cli::errors::QueryError;
use crate::cli::explained::why_empty;
use crate::cli::output::Look;
use crate::cli::progress;
use crate::cli::shown::{ForTerminal, Shown};
use crate::cli::text::{counted, escape};
use crate::cli::warnings::Warnings;
use client::{Client, ClientError, Streamed};
use formats::parquet::parquet_rows;
use wire::limits::SEARCH_LIMIT_MAX;
use wire::{ApiError, ErrorKind, ExportFormat, ExportRequest, Order, SearchRequest, TotalMode};

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// Which events; without any, every event. A query that makes rows exports the rows
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// The file to write; the same command continues one that was interrupted [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// ndjson (the original records, one a line), csv, or parquet [default: as the file's name ends;
    /// else ndjson]
    #[arg(long, value_parser = named::<ExportFormat>(&["ndjson", "csv", "parquet"]))]
    format: Option<ExportFormat>,
    /// Only these fields of each event, as queries name them, in place of those of each format:
    /// time,actor,action
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    columns: Vec<String>,
    /// Earliest event time: 2023-07-10, 2023-07-10T11:42:36Z, -24h, now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Latest event time, itself excluded; the same forms
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Zone of times without an offset, and of days: Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Which end of time to start from
    #[arg(long, default_value = "newest", value_parser = named::<Order>(&["newest", "oldest"]))]
    order: Order,
    #[command(flatten)]
    ask: AskArg,
}

/// How far an export is; `FILE.resume`.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    /// With the cursor of the next part.
    request: ExportRequest,
    /// Of `FILE.partial` that count.
    bytes: u64,
    events: u64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let format = match args.format {
        Some(format) => format,
        None => format_of(args.output.as_deref())?,
    };
    let request = ExportRequest {
        query: query(args).into(),
        format,
        start: args.since.clone(),
        end: args.until.clone(),
        time_zone: args.time_zone.clone(),
        order: args.order,
        limit: None,
        cursor: None,
    };
    let client = args.ask.client()?;
    let Counted { bar, noun, is_paged } = count(&client, &request)?;
    let (lines, warnings) = (LineCount::default(), RefCell::default());
    let export = Export { client: &client, bar, noun, is_paged, lines, warnings };
    let written = match &args.output {
        None => export.to_stdout(&request)?,
        Some(path) if format == ExportFormat::Parquet => {
            let partial = beside(path, "partial");
            let mut file = File::create(&partial).with_context(|| named_path(&partial))?;
            let written = export.whole(&request, &mut file)?;
            finish(&file, &partial, path)?;
            let rows = parquet_rows(File::open(path).with_context(|| named_path(path))?)?;
            export.bar.set_position(rows);
            written
        }
        Some(path) => export.parts(request, path)?,
    };
    export.tell_end(format, written, args.output.as_deref());
    Ok(Exit::found(written > 0))
}

/// The query, with the columns that are wanted as its last stage.
fn query(args: &Args) -> String {
    let query = args.query.join(" ");
    if args.columns.is_empty() {
        return query;
    }
    let filter = if query.trim().is_empty() { "*" } else { &query };
    format!("{filter} | fields {}", args.columns.join(", "))
}

/// The format that a file's name tells.
fn format_of(path: Option<&Path>) -> anyhow::Result<ExportFormat> {
    let Some(ending) = path.and_then(Path::extension).and_then(|ending| ending.to_str()) else {
        return Ok(ExportFormat::Ndjson);
    };
    match ending.to_ascii_lowercase().as_str() {
        "csv" => Ok(ExportFormat::Csv),
        "parquet" => Ok(ExportFormat::Parquet),
        "gz" | "zst" | "xz" | "bz2" | "zip" | "xlsx" | "xls" => {
            let message = format!(
                "no export is written as .{ending}: name a file .ndjson, .csv or .parquet, or give \
                 --format to write another under this name"
            );
            Err(ClientError::Api(ApiError::new(ErrorKind::BadRequest, message)).into())
        }
        _ => Ok(ExportFormat::Ndjson),
    }
}

/// What is known of an export before it begins.
struct Counted {
    bar: ProgressBar,
    noun: &'static str,
    is_paged: bool,
}

/// Counts the events first, for the bar, which is drawn on a terminal only, and says what they lack.
fn count(client: &Client, request: &ExportRequest) -> anyhow::Result<Counted> {
    // With one event, it shows whether there are pages.
    let count = SearchRequest { total: TotalMode::Exact, ..request.page(1, None) };
    let located = |error| QueryError::locate(error, &request.query.to_string());
    let answer = client.search(&count).map_err(located)?;
    if let Some(why) = &answer.explanation {
        let _ = writeln!(io::stderr(), "{}", why_empty(why));
    }
    for line in &answer.coverage {
        let _ = writeln!(io::stderr(), "coverage: {}", escape(line));
    }
    let (all, noun) = match &answer.table {
        // Fields of events are a table, too.
        Some(table) => (table.rows_total, "row"),
        None => (answer.total.value, "event"),
    };
    let is_paged = answer.cursor.is_some();
    Ok(Counted { bar: progress::line(Some(all)), noun, is_paged })
}

struct Export<'a> {
    client: &'a Client,
    bar: ProgressBar,
    /// What is exported.
    noun: &'static str,
    /// Whether it can be fetched in parts: it is in the order of time, and more than one.
    is_paged: bool,
    lines: LineCount,
    /// Those of each part, which are mostly the same.
    warnings: RefCell<Warnings>,
}

/// Counts the events or rows in what is written: line ends, but those in a cell of CSV, and without the
/// line of its names.
#[derive(Default)]
struct LineCount {
    is_quoted: Cell<bool>,
    has_names: Cell<bool>,
}

impl LineCount {
    fn of(&self, format: ExportFormat, bytes: &[u8]) -> u64 {
        let mut lines = 0;
        match format {
            ExportFormat::Parquet => return 0,
            ExportFormat::Ndjson => return memchr::memchr_iter(b'\n', bytes).count() as u64,
            ExportFormat::Csv => {
                for byte in bytes {
                    match byte {
                        b'"' => self.is_quoted.set(!self.is_quoted.get()),
                        b'\n' if !self.is_quoted.get() => lines += 1,
                        _ => {}
                    }
                }
            }
        }
        if lines > 0 && !self.has_names.replace(true) { lines - 1 } else { lines }
    }
}

impl Export<'_> {
    /// Streams all of it to standard output: as it is, or as a terminal may have it.
    fn to_stdout(&self, request: &ExportRequest) -> anyhow::Result<u64> {
        let out = io::stdout().lock();
        if !Look::of_stdout().is_terminal {
            return self.whole(request, &mut { out });
        }
        let shown = match request.format {
            ExportFormat::Ndjson => Shown::json(),
            ExportFormat::Csv => Shown::csv(),
            ExportFormat::Parquet => {
                bail!("a terminal cannot show Parquet: give --output FILE, or another --format")
            }
        };
        self.whole(request, &mut ForTerminal::new(out, shown))
    }

    /// Streams all of it. Returns the bytes written.
    fn whole(&self, request: &ExportRequest, out: &mut impl Write) -> anyhow::Result<u64> {
        let mut answer = self.begin(request)?;
        let mut written = 0;
        while let Some(bytes) = answer.chunk()? {
            out.write_all(&bytes)?;
            written += bytes.len() as u64;
            self.tell(request.format, &bytes);
        }
        out.flush()?;
        self.bar.finish_and_clear();
        Ok(written)
    }

    /// Fetches what is left, part by part. Returns the bytes of the whole file.
    fn parts(&self, request: ExportRequest, path: &Path) -> anyhow::Result<u64> {
        let (partial, resume) = (beside(path, "partial"), beside(path, "resume"));
        let mut progress = begun(&request, &resume)?.unwrap_or(Progress {
            request: ExportRequest { limit: self.is_paged.then_some(SEARCH_LIMIT_MAX), ..request },
            bytes: 0,
            events: 0,
        });
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&partial)
            .with_context(|| named_path(&partial))?;
        if file.metadata()?.len() < progress.bytes {
            bail!("{} is shorter than {} says; remove both", partial.display(), resume.display());
        }
        file.set_len(progress.bytes)?;
        io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        if progress.events > 0 {
            let events = HumanCount(progress.events);
            let path = named_path(path);
            eprintln!("continuing {} behind {events} events", escape(&path));
            self.bar.set_position(progress.events);
            self.lines.has_names.set(true);
        }
        loop {
            let mut answer = self.begin(&progress.request)?;
            while let Some(bytes) = answer.chunk()? {
                file.write_all(&bytes)?;
                progress.bytes += bytes.len() as u64;
                self.tell(progress.request.format, &bytes);
            }
            let Some(cursor) = answer.cursor else { break };
            file.sync_data()?;
            progress.request.cursor = Some(cursor);
            progress.events = self.bar.position();
            let new = beside(path, "resume.new");
            fs::write(&new, serde_json::to_vec(&progress)?).with_context(|| named_path(&new))?;
            fs::rename(&new, &resume).with_context(|| named_path(&resume))?;
        }
        finish(&file, &partial, path)?;
        if resume.exists() {
            fs::remove_file(&resume).with_context(|| named_path(&resume))?;
        }
        self.bar.finish_and_clear();
        Ok(progress.bytes)
    }

    /// Begins an export, or a part of one, and says how the query was taken.
    fn begin(&self, request: &ExportRequest) -> anyhow::Result<Streamed> {
        let answer = self.client.export(request)?;
        self.bar.suspend(|| self.warnings.borrow_mut().tell(&answer.warnings));
        Ok(answer)
    }

    fn tell(&self, format: ExportFormat, bytes: &[u8]) {
        self.bar.inc(self.lines.of(format, bytes));
        let total = self.bar.length().unwrap_or_default();
        self.bar.set_message(format!(
            "{:>3}%  {} of {}, {} left",
            progress::percent(&self.bar),
            HumanCount(self.bar.position()),
            counted(total, self.noun),
            HumanDuration(self.bar.eta())
        ));
    }

    /// Says what was written. Of Parquet on standard output only the bytes are known.
    fn tell_end(&self, format: ExportFormat, bytes: u64, path: Option<&Path>) {
        let size = HumanBytes(bytes);
        let place = path.map(|path| format!(" to {}", escape(&named_path(path))));
        let place = place.unwrap_or_default();
        if format == ExportFormat::Parquet && path.is_none() {
            eprintln!("{size} exported");
        } else {
            eprintln!("{} exported{place}, {size}", counted(self.bar.position(), self.noun));
        }
    }
}

/// How far an earlier run of the same command is.
fn begun(request: &ExportRequest, resume: &Path) -> anyhow::Result<Option<Progress>> {
    let text = match fs::read(resume) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| named_path(resume)),
    };
    let progress: Progress = serde_json::from_slice(&text).with_context(|| named_path(resume))?;
    let same = ExportRequest { limit: None, cursor: None, ..progress.request.clone() };
    if same != *request {
        bail!(
            "{} is of another export; remove it and the .partial beside it, or give another file",
            resume.display()
        );
    }
    Ok(Some(progress))
}

fn finish(file: &File, partial: &Path, path: &Path) -> anyhow::Result<()> {
    file.sync_all()?;
    fs::rename(partial, path).with_context(|| named_path(path))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn named_path(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_and_not_lines() {
        let csv = b"a,b\n\"x\ny\",1\n\"say \"\"z\n\"\"\",2\n";
        for at in 0..csv.len() {
            let lines = LineCount::default();
            let count = |bytes| lines.of(ExportFormat::Csv, bytes);
            assert_eq!(count(&csv[..at]) + count(&csv[at..]), 2, "{at}");
        }
        assert_eq!(LineCount::default().of(ExportFormat::Ndjson, b"{}\n{}\n"), 2);
    }

    #[test]
    fn a_files_name_tells_its_format() {
        let of = |name: &str| format_of(Some(Path::new(name))).ok();
        assert_eq!(of("a.CSV"), Some(ExportFormat::Csv));
        assert_eq!(of("a.parquet"), Some(ExportFormat::Parquet));
        for name in ["a", "a.jsonl", "a.json", "a.txt", ".csv"] {
            assert_eq!(of(name), Some(ExportFormat::Ndjson), "{name}");
        }
        assert_eq!(of("a.csv.gz"), None);
        assert_eq!(format_of(None).ok(), Some(ExportFormat::Ndjson));
    }
}
