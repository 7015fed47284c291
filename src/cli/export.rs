//! `traildex export`: everything that a query finds, into a file or to standard output.
//!
//! Lines are fetched a part at a time. What is there of an interrupted export is in `FILE.partial`, and
//! how far it is in `FILE.resume`: the same command goes on there. A Parquet file has its index at the
//! end, and is begun anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::{EXIT_CODES, Exit, named};
use crate::cli::ask::AskArg;
use crate::cli::errors::QueryError;
use crate::cli::output::Look;
use crate::cli::shown::{ForTerminal, Shown};
use crate::cli::text::escape;
use client::Client;
use wire::limits::SEARCH_LIMIT_MAX;
use wire::{ExportFormat, ExportRequest, Order, SearchRequest, TotalMode};

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// Which events; without any, every event. A query that makes rows exports the rows
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// The file to write; the same command continues one that was interrupted [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// ndjson (the original records, one a line), csv, or parquet
    #[arg(long, default_value = "ndjson",
        value_parser = named::<ExportFormat>(&["ndjson", "csv", "parquet"]))]
    format: ExportFormat,
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
    let request = ExportRequest {
        query: args.query.join(" ").into(),
        format: args.format,
        start: args.since.clone(),
        end: args.until.clone(),
        time_zone: args.time_zone.clone(),
        order: args.order,
        limit: None,
        cursor: None,
    };
    let client = args.ask.client()?;
    let export = Export { client: &client, bar: bar(&client, &request)? };
    let written = match &args.output {
        None => export.to_stdout(&request)?,
        Some(path) if args.format == ExportFormat::Parquet => {
            let partial = beside(path, "partial");
            let mut file = File::create(&partial).with_context(|| named_path(&partial))?;
            let written = export.whole(&request, &mut file)?;
            finish(&file, &partial, path)?;
            written
        }
        Some(path) => export.parts(request, path)?,
    };
    Ok(Exit::found(written > 0))
}

/// Counts the events first, for the bar; it is drawn on a terminal only.
fn bar(client: &Client, request: &ExportRequest) -> anyhow::Result<ProgressBar> {
    let count = SearchRequest { total: TotalMode::Exact, ..request.page(0, None) };
    let located = |error| QueryError::locate(error, &request.query.to_string());
    let total = client.search(&count).map_err(located)?.total.value;
    let template = "{bar:30} {human_pos} of {human_len} events, {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    Ok(ProgressBar::new(total).with_style(style))
}

struct Export<'a> {
    client: &'a Client,
    bar: ProgressBar,
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
        let mut answer = self.client.export(request)?;
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
            request: ExportRequest { limit: Some(SEARCH_LIMIT_MAX), ..request },
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
        }
        loop {
            let mut answer = self.client.export(&progress.request)?;
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

    fn tell(&self, format: ExportFormat, bytes: &[u8]) {
        if format != ExportFormat::Parquet {
            self.bar.inc(memchr::memchr_iter(b'\n', bytes).count() as u64);
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
