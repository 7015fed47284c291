//! `traildex demo`: five questions to a sample trail, answered by a real daemon on a real socket.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::oneshot;

use super::Exit;
use crate::cli::answer::answer_table;
use crate::cli::event::describe_hit;
use crate::cli::events::{EventsLook, events_table};
use crate::cli::output::Look;
use crate::cli::text::{counted, escape, thousands};
use crate::cli::web::OpenPort;
use crate::config::Config;
use crate::daemon;
use bench::sample;
use client::Client;
use web::{GateOptions, PORT};
use wire::SearchRequest;

/// How long the daemon may take to index the sample: a hundred times what it takes.
const INDEXED_WITHIN: Duration = Duration::from_secs(60);

/// Between two looks at the daemon's status.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// How long nobody needs to ask for the demo to go on: a week.
const UNATTENDED: Duration = Duration::from_secs(7 * 24 * 3600);

/// Rows shown of a longer answer.
const ROWS_MAX: usize = 8;

/// The access key of the sample's attacker.
const KEY: &str = "AKIATFQR7NSC8Q4X20BJ";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after the answers instead of serving until Ctrl-C
    #[arg(long)]
    pub once: bool,
}

/// A question, and the query that asks it.
struct Question {
    number: u32,
    text: &'static str,
    query: String,
    /// Whether one of the events is shown whole.
    shows_whole: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let dir = tempfile::Builder::new().prefix("traildex-demo-").tempdir()?;
    let trail = dir.path().join("trail");
    let records = sample::extract(&trail).context("cannot write the sample trail")?;
    let config = config(dir.path(), &trail);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = {
        let config = config.clone();
        let wait = async move { drop(stopped.await) };
        std::thread::spawn(move || {
            tokio::runtime::Runtime::new()?.block_on(daemon::serve_until(&config, wait))
        })
    };
    let client = Client::new(&config.socket.path);
    let started = Instant::now();
    while !is_indexed(&client, records) {
        if serving.is_finished() || started.elapsed() > INDEXED_WITHIN {
            break;
        }
        std::thread::sleep(LOOK_PAUSE);
    }
    let answered = answer_all(&client, records, started.elapsed());
    if answered.is_ok() && !args.once {
        let port = open_port(&config.socket.path)?;
        writeln!(io::stdout(), "{}", invitation(&config.socket.path, &port.url()))?;
        port.serve()?;
    }
    drop(stop);
    serving.join().map_err(|_| anyhow::anyhow!("the daemon panicked"))??;
    answered?;
    Ok(Exit::Done)
}

fn config(dir: &Path, trail: &Path) -> Config {
    let mut config = Config::default();
    config.watch.dirs = vec![trail.to_owned()];
    // Nobody is writing to the sample any more.
    config.watch.settle_ms = 0;
    config.index.data_dir = dir.join("data");
    config.socket.path = dir.join("traildex.sock");
    config
}

fn is_indexed(client: &Client, records: u64) -> bool {
    client
        .status()
        .is_ok_and(|status| status.events.indexed == records && status.files.pending == 0)
}

fn answer_all(client: &Client, records: u64, took: Duration) -> anyhow::Result<()> {
    let status = client.status()?;
    anyhow::ensure!(
        status.events.indexed == records,
        "{} of {records} events were indexed",
        status.events.indexed
    );
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "Indexed {} from {} in {:.2} s. Five of the questions investigators ask:",
        counted(records, "event"),
        counted(status.files.indexed, "file"),
        took.as_secs_f64()
    )?;
    questions().iter().try_for_each(|question| answer(client, question, &mut out))
}

fn questions() -> [Question; 5] {
    let question =
        |number, text, query| Question { number, text, query, shows_whole: number == 19 };
    [
        question(
            2,
            "An access key leaked. From where, with what client was it used?",
            format!("key = {KEY} | stats count, first, last by ip, client | sort count desc"),
        ),
        question(
            3,
            "Did it make itself at home? (persistence by that key)",
            format!(
                "key = {KEY} AND eventName:(CreateUser OR CreateAccessKey OR CreateLoginProfile OR \
                 Attach*Policy OR Put*Policy OR UpdateAssumeRolePolicy) \
                 | stats count, first, last by action, actor"
            ),
        ),
        question(
            5,
            "What was denied, to whom?",
            "outcome:denied | count by actor, service, action".to_owned(),
        ),
        question(
            12,
            "Was the trail itself tampered with?",
            "eventName:(StopLogging OR DeleteTrail OR UpdateTrail OR PutEventSelectors)".to_owned(),
        ),
        question(
            19,
            "What was asked of Access Analyzer: by whom, from where, when, with which credentials?",
            "service:access-analyzer.amazonaws.com".to_owned(),
        ),
    ]
}

fn answer(client: &Client, question: &Question, out: &mut impl Write) -> anyhow::Result<()> {
    let request = SearchRequest {
        query: question.query.as_str().into(),
        limit: Some(ROWS_MAX),
        ..SearchRequest::default()
    };
    let response = client.search(&request)?;
    writeln!(out, "\n{}. {}", question.number, question.text)?;
    writeln!(out, "   traildex search '{}'", question.query)?;
    writeln!(out, "   {} in {:.1} ms\n", counted(response.total.value, "event"), response.took_ms)?;
    let look = Look::of_stdout();
    match &response.table {
        Some(rows) => writeln!(out, "{}", answer_table(rows, &request.query, look))?,
        None => {
            writeln!(out, "{}", events_table(&response.hits, &EventsLook::default(), look))?;
        }
    }
    let all = response.table.as_ref().map_or(response.total.value, |table| table.rows_total);
    if all > ROWS_MAX as u64 {
        writeln!(out, "… and {} more", thousands(all - ROWS_MAX as u64))?;
    }
    if let (true, Some(hit)) = (question.shows_whole, response.hits.first()) {
        writeln!(out, "\n{}", describe_hit(hit))?;
    }
    Ok(())
}

/// The page's port: the usual one, or another where that is taken.
fn open_port(socket: &Path) -> anyhow::Result<OpenPort> {
    let options = GateOptions { socket: socket.to_owned(), is_read_only: false, idle: UNATTENDED };
    OpenPort::new(PORT, options.clone()).or_else(|_| OpenPort::new(0, options))
}

fn invitation(socket: &Path, page: &str) -> String {
    let socket = socket.display().to_string();
    let socket = escape(&socket);
    format!(
        "\nThe daemon goes on until Ctrl-C. A page to look at it, on this machine only:\n\n  {page}\n\n\
         In another terminal:\n\n  \
         export TRAILDEX_SOCKET={socket}\n  \
         traildex search 'errorCode:* AND NOT readOnly:true' --limit 10\n  \
         curl --unix-socket {socket} 'http://localhost/v1/search?q=bert-jan&limit=1'\n"
    )
}
