//! `traildex bench`: what indexing an archive and searching it costs on this machine.
//!
//! Everything is measured as people run it: `traildex import` and `traildex serve` as processes of
//! their own, and searches over the socket.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;

use super::{EXIT_CODES, Exit, named};
use crate::cli::output::Look;
use crate::cli::table::{Cell, table};
use crate::cli::text::{bytes, labelled, thousands};
use bench::latency::{Load, measure};
use bench::plot::growth;
use bench::questions::{Question, from_lines, of_archive};
use bench::report::{IngestReport, QueryReport, Report, StartReport};
use bench::usage::Usage;
use client::Client;
use wire::{SearchRequest, TotalMode};

/// How long a daemon may take until it answers: an index of a hundred million events is read once.
const READY_WITHIN: Duration = Duration::from_mins(10);

/// Between two looks whether the daemon answers.
const READY_PAUSE: Duration = Duration::from_millis(2);

/// How long a daemon is left alone to see what it does at rest.
const REST: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum BenchFormat {
    Table,
    Json,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// The archive to index, and to ask about
    #[arg(value_name = "ARCHIVE", required_unless_present_any = ["against", "plot"])]
    archive: Option<PathBuf>,
    /// Queries to ask, one a line [default: one of each shape, made of what the archive holds]
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// Connections that ask
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=256))]
    clients: u64,
    /// How far searches count what matches: exact, bounded (to 10,000), or none
    #[arg(long, default_value = "exact",
        value_parser = named::<TotalMode>(&["exact", "bounded", "none"]))]
    total: TotalMode,
    /// Searches a second, over all connections [default: half of what the daemon can take]
    #[arg(long, value_name = "R")]
    rate: Option<f64>,
    /// How long each query is asked
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    seconds: f64,
    /// Ask the daemon at this socket, and index nothing
    #[arg(long, value_name = "SOCKET", conflicts_with_all = ["archive", "data_dir"])]
    against: Option<PathBuf>,
    /// Where the index is kept, and found by the next run, which then indexes nothing
    /// [default: a temporary directory, gone at the end]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// An earlier result, from --format json, to compare with
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Measure nothing, and draw how costs grow with the events of earlier results, from --format
    /// json; prints SVG
    #[arg(long, value_name = "FILE", num_args = 1.., exclusive = true)]
    plot: Vec<PathBuf>,
    #[arg(long, value_enum, default_value_t = BenchFormat::Table)]
    format: BenchFormat,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    if !args.plot.is_empty() {
        let reports = args.plot.iter().map(|path| read_report(path)).collect::<Result<Vec<_>, _>>();
        let drawing =
            growth(&reports?).context("nothing was measured: there is nothing to draw")?;
        io::stdout().lock().write_all(drawing.as_bytes())?;
        return Ok(Exit::Done);
    }
    anyhow::ensure!(
        args.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0),
        "--rate is a number of searches a second, above 0"
    );
    let before = args.compare.as_deref().map(read_report).transpose()?;
    let lines = args
        .queries
        .as_deref()
        .map(|path| fs::read_to_string(path).with_context(|| path.display().to_string()));
    let lines = lines.transpose()?;
    let questions = |client: &Client| -> anyhow::Result<Vec<Question>> {
        let mut questions = match &lines {
            Some(lines) => from_lines(lines),
            None => of_archive(client)?,
        };
        for question in &mut questions {
            question.request.total = args.total;
        }
        Ok(questions)
    };
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cores: std::thread::available_parallelism()?.get(),
        started_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        total: args.total,
        ..Report::default()
    };
    let load = Load {
        clients: args.clients,
        rate: args.rate,
        duration: Duration::try_from_secs_f64(args.seconds).context("--seconds")?,
    };
    match (&args.against, &args.archive) {
        (Some(socket), _) => {
            let client = Client::new(socket);
            report.events = client.status()?.events.indexed;
            for question in questions(&client)? {
                report.queries.push(ask(socket, &question, load)?);
            }
        }
        (None, archive) => {
            let place = BenchPlace::new(args.data_dir.as_deref())?;
            let archive = archive.as_deref().context("an archive is needed")?;
            measure_all(&place, archive, &questions, load, &mut report)?;
        }
    }
    let mut out = io::stdout().lock();
    match args.format {
        BenchFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
        BenchFormat::Table => {
            write!(out, "{}", render(&report, before.as_ref(), Look::of_stdout()))?;
        }
    }
    Ok(Exit::Done)
}

fn read_report(path: &Path) -> anyhow::Result<Report> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{} is no result of bench", path.display()))
}

fn measure_all(
    place: &BenchPlace,
    archive: &Path,
    questions: &dyn Fn(&Client) -> anyhow::Result<Vec<Question>>,
    load: Load,
    report: &mut Report,
) -> anyhow::Result<()> {
    if !place.has_index() {
        report.ingest = Some(place.import(archive)?);
    }
    place.drop_from_cache()?;
    let (daemon, cold_ms) = place.serve()?;
    daemon.stop()?;
    let (daemon, warm_ms) = place.serve()?;
    report.events = daemon.client.status()?.events.indexed;
    let questions = questions(&daemon.client)?;
    daemon.stop()?;
    let mut cold = Vec::new();
    for question in &questions {
        let (daemon, _) = place.serve()?;
        place.drop_from_cache()?;
        let started = Instant::now();
        daemon.client.search(&question.request).with_context(|| question.name.clone())?;
        cold.push(started.elapsed().as_secs_f64() * 1e3);
        daemon.stop()?;
    }
    let (daemon, _) = place.serve()?;
    for (question, cold_ms) in questions.iter().zip(cold) {
        let query = ask(&place.socket, question, load)?;
        report.queries.push(QueryReport { cold_ms: Some(cold_ms), ..query });
    }
    let before = Usage::of(daemon.process.id())?;
    std::thread::sleep(REST);
    let after = Usage::of(daemon.process.id())?;
    report.start = Some(StartReport {
        cold_ms,
        warm_ms,
        own_bytes: after.own_bytes,
        peak_resident_bytes: after.peak_resident_bytes,
        idle_cpu_s: (after.cpu_s - before.cpu_s) / REST.as_secs_f64(),
    });
    daemon.stop()
}

/// Asks one question until its latencies are known.
fn ask(socket: &Path, question: &Question, load: Load) -> anyhow::Result<QueryReport> {
    let Question { name, request } = question;
    let count = SearchRequest { total: TotalMode::Exact, ..request.clone() };
    let counted = Client::new(socket).search(&count).with_context(|| name.clone())?;
    let body = serde_json::to_vec(request)?;
    let warm = measure(socket, &body, load).with_context(|| name.clone())?;
    let (name, query) = (name.clone(), request.query.to_string());
    Ok(QueryReport { name, query, matches: counted.total.value, cold_ms: None, warm })
}

/// Where the index and the socket of a measurement are.
struct BenchPlace {
    data_dir: PathBuf,
    socket: PathBuf,
    /// Watched by the daemon.
    empty: PathBuf,
    /// Gone at the end.
    _folder: tempfile::TempDir,
}

impl BenchPlace {
    fn new(data_dir: Option<&Path>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("traildex-bench-").tempdir()?;
        let empty = folder.path().join("empty");
        fs::create_dir(&empty)?;
        let data_dir = data_dir.map_or_else(|| folder.path().join("index"), Path::to_path_buf);
        Ok(Self { data_dir, socket: folder.path().join("socket"), empty, _folder: folder })
    }

    fn has_index(&self) -> bool {
        self.data_dir.join("manifest.json").exists()
    }

    fn import(&self, archive: &Path) -> anyhow::Result<IngestReport> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("import").arg(archive).arg("--data-dir").arg(&self.data_dir);
        let output = command.args(["--format", "json"]).stderr(Stdio::inherit()).output()?;
        anyhow::ensure!(output.status.success(), "traildex import failed");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Starts a daemon on the index; returns how many milliseconds it took until it answered a search.
    fn serve(&self) -> anyhow::Result<(Serving, f64)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg("--watch").arg(&self.empty).arg("--data-dir").arg(&self.data_dir);
        command.arg("--socket").arg(&self.socket).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let mut serving = Serving { process: command.spawn()?, client: Client::new(&self.socket) };
        let count = SearchRequest { limit: Some(0), ..SearchRequest::default() };
        while serving.client.search(&count).is_err() {
            if let Some(status) = serving.process.try_wait()? {
                anyhow::bail!("traildex serve ended: {status}");
            }
            anyhow::ensure!(started.elapsed() < READY_WITHIN, "the daemon does not answer");
            std::thread::sleep(READY_PAUSE);
        }
        Ok((serving, started.elapsed().as_secs_f64() * 1e3))
    }

    /// Drops the index's pages from the page cache, but for those that are mapped and in use.
    fn drop_from_cache(&self) -> io::Result<()> {
        for dir in [self.data_dir.clone(), self.data_dir.join("segments")] {
            for entry in fs::read_dir(dir)? {
                let path = entry?.path();
                if path.is_file() && !path.as_os_str().as_bytes().ends_with(b"LOCK") {
                    let file = File::open(path)?;
                    // Written pages can be dropped only when they are on disk.
                    file.sync_all()?;
                    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
                }
            }
        }
        Ok(())
    }
}

/// A daemon of our own.
struct Serving {
    process: Child,
    client: Client,
}

impl Serving {
    fn stop(mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.process.wait()?;
        anyhow::ensure!(status.success(), "traildex serve ended: {status}");
        Ok(())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // After an error; a daemon that was stopped is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn render(report: &Report, before: Option<&Report>, look: Look) -> String {
    let mut text = String::new();
    if let Some(ingest) = &report.ingest {
        let before = before.and_then(|before| before.ingest.as_ref());
        text.push_str(&render_ingest(ingest, before));
        text.push('\n');
    }
    if let Some(start) = &report.start {
        let StartReport { cold_ms, warm_ms, own_bytes, peak_resident_bytes, idle_cpu_s } = start;
        text.push_str(&labelled(&[
            ("start", format!("{warm_ms:.0} ms, {cold_ms:.0} ms with a cold cache")),
            (
                "memory",
                format!(
                    "{} after the queries; {} resident at the peak, mapped pages included",
                    bytes(*own_bytes),
                    bytes(*peak_resident_bytes)
                ),
            ),
            ("at rest", format!("{:.1} % of a core", idle_cpu_s * 1e2)),
        ]));
        text.push('\n');
    }
    text.push_str(&render_queries(report, before, look));
    text.push('\n');
    text
}

fn render_ingest(ingest: &IngestReport, before: Option<&IngestReport>) -> String {
    let rate = |amount: u64| amount as f64 / ingest.wall_s;
    let than = |now: f64, value: fn(&IngestReport) -> f64| {
        before.map_or_else(String::new, |before| format!(" ({:.2} of before)", now / value(before)))
    };
    let cpu = ingest.cpu_s_per_million();
    let share = ingest.share_of_raw();
    let parts = |parts: Vec<String>| parts.join(", ");
    labelled(&[
        (
            "indexed",
            format!(
                "{} events of {} files in {:.1} s: {} events/s, {}/s raw, {}/s on disk",
                thousands(ingest.events),
                thousands(ingest.files),
                ingest.wall_s,
                thousands(rate(ingest.events) as u64),
                bytes(rate(ingest.raw_bytes) as u64),
                bytes(rate(ingest.read_bytes) as u64),
            ),
        ),
        (
            "processor",
            format!(
                "{:.1} s, {cpu:.1} s a million events{}",
                ingest.cpu_s,
                than(cpu, IngestReport::cpu_s_per_million)
            ),
        ),
        ("busy", parts(ingest.busy_s.iter().map(|(part, s)| format!("{part} {s:.1} s")).collect())),
        (
            "memory",
            format!(
                "{} resident at the peak{}",
                bytes(ingest.peak_resident_bytes),
                than(ingest.peak_resident_bytes as f64, |before| before.peak_resident_bytes as f64)
            ),
        ),
        (
            "index",
            format!(
                "{}, {:.1} % of raw{}: {}",
                bytes(ingest.index_bytes_all()),
                share * 1e2,
                than(share, IngestReport::share_of_raw),
                parts(
                    ingest
                        .index_bytes
                        .iter()
                        .map(|(part, size)| format!("{part} {}", bytes(*size)))
                        .collect()
                )
            ),
        ),
        (
            "left out",
            format!(
                "{} duplicates, {} records and {} files rejected, {} paths skipped",
                thousands(ingest.duplicates),
                thousands(ingest.rejected),
                thousands(ingest.files_rejected),
                thousands(ingest.skipped)
            ),
        ),
    ])
}

fn render_queries(report: &Report, before: Option<&Report>, look: Look) -> String {
    let mut header = vec![
        "QUERY",
        "MATCHES",
        "COLD ms",
        "MEDIAN ms",
        "P95",
        "P99",
        "P99.9",
        "AT 1/s",
        "MOST 1/s",
    ];
    if before.is_some() {
        header.push("OF BEFORE");
    }
    let row = |query: &QueryReport| {
        let warm = &query.warm;
        let ms = |ms: f64| Cell::number(format!("{ms:.2}"));
        let rate = |rate: f64| Cell::number(format!("{rate:.0}"));
        let mut row = vec![
            Cell::text(Some(&query.name)),
            Cell::number(thousands(query.matches)),
            query.cold_ms.map_or_else(|| Cell::number("-"), ms),
            ms(warm.median_ms),
            ms(warm.p95_ms),
            ms(warm.p99_ms),
            ms(warm.p999_ms),
            rate(warm.rate_per_s),
            rate(warm.throughput_per_s),
        ];
        if let Some(before) = before {
            let earlier = before.queries.iter().find(|earlier| earlier.name == query.name);
            row.push(earlier.map_or_else(
                || Cell::number("-"),
                |earlier| ms(warm.median_ms / earlier.warm.median_ms),
            ));
        }
        row
    };
    table(&header, &report.queries.iter().map(row).collect::<Vec<_>>(), look)
}
