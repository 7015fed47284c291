//! `traildex demo`: five questions to a sample trail, answered by a real daemon on a real socket.
//!
//! The daemon's language cannot group yet, so the demo counts the returned events itself; each query
//! is shown as it was asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::oneshot;

use super::Exit;
use super::event::describe_hit;
use super::record::Record;
use super::search::table;
use super::table::{Look, cell};
use super::text::thousands;
use crate::api::client::Client;
use crate::api::proto::{Hit, Order, SearchRequest};
use crate::config::Config;
use crate::daemon;
use crate::limits::SEARCH_LIMIT_MAX;
use crate::sample;

/// How long the daemon may take to index the sample: a hundred times what it takes.
const INDEXED_WITHIN: Duration = Duration::from_secs(60);

/// Between two looks at the daemon's status.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

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

/// A question, the query that asks it, and how its answer is shown.
struct Question {
    number: u32,
    text: &'static str,
    query: String,
    order: Order,
    show: Show,
}

enum Show {
    /// Counts by the values at these paths; `actor` is the derived one.
    Groups(&'static [(&'static str, &'static [&'static str])]),
    /// The events, and the first of them whole.
    EventAndWhole,
    Events,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
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
        println!("{}", invitation(&config.socket.path));
        wait_for_interrupt()?;
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
    println!(
        "Indexed {} events from {} files in {:.2} s. Five of the questions investigators ask:",
        thousands(records),
        status.files.indexed,
        took.as_secs_f64()
    );
    questions().iter().try_for_each(|question| answer(client, question))
}

fn questions() -> [Question; 5] {
    const SERVICE: (&str, &[&str]) = ("SERVICE", &["eventSource"]);
    const ACTION: (&str, &[&str]) = ("ACTION", &["eventName"]);
    const SOURCE: (&str, &[&str]) = ("SOURCE", &["sourceIPAddress"]);
    const AGENT: (&str, &[&str]) = ("CLIENT", &["userAgent"]);
    const ACTOR: (&str, &[&str]) = ("ACTOR", &["actor"]);
    [
        Question {
            number: 2,
            text: "An access key leaked. From where, with what client was it used?",
            query: format!("userIdentity.accessKeyId = {KEY}"),
            order: Order::Oldest,
            show: Show::Groups(&[SOURCE, AGENT]),
        },
        Question {
            number: 3,
            text: "Did it make itself at home? (persistence by that key)",
            query: format!(
                "userIdentity.accessKeyId = {KEY} AND eventName:(CreateUser OR CreateAccessKey OR \
                 CreateLoginProfile OR Attach*Policy OR Put*Policy OR UpdateAssumeRolePolicy)"
            ),
            order: Order::Oldest,
            show: Show::Groups(&[ACTION, ACTOR]),
        },
        Question {
            number: 5,
            text: "What was denied, to whom?",
            query: "errorCode:(AccessDenied OR *UnauthorizedOperation OR Client.*Unauthorized*)"
                .to_owned(),
            order: Order::Newest,
            show: Show::Groups(&[ACTOR, SERVICE, ACTION]),
        },
        Question {
            number: 12,
            text: "Was the trail itself tampered with?",
            query: "eventName:(StopLogging OR DeleteTrail OR UpdateTrail OR PutEventSelectors)"
                .to_owned(),
            order: Order::Newest,
            show: Show::Events,
        },
        Question {
            number: 19,
            text: "What was asked of Access Analyzer: by whom, from where, when, with which \
                   credentials?",
            query: "service:access-analyzer.amazonaws.com".to_owned(),
            order: Order::Newest,
            show: Show::EventAndWhole,
        },
    ]
}

fn answer(client: &Client, question: &Question) -> anyhow::Result<()> {
    let request = SearchRequest {
        query: question.query.clone(),
        order: question.order,
        limit: SEARCH_LIMIT_MAX,
        ..SearchRequest::default()
    };
    let response = client.search(&request)?;
    println!("\n{}. {}", question.number, question.text);
    println!("   traildex search '{}'", question.query);
    println!("   {} events in {:.1} ms\n", thousands(response.total.value), response.took_ms);
    let look = Look::of_stdout();
    let shown = &response.hits[..response.hits.len().min(ROWS_MAX)];
    match question.show {
        Show::Groups(columns) => println!("{}", groups(&response.hits, columns, look)),
        Show::Events => println!("{}", table(shown, look)),
        Show::EventAndWhole => {
            println!("{}", table(shown, look));
            if let Some(hit) = response.hits.first() {
                println!("\n{}", describe_hit(hit));
            }
        }
    }
    Ok(())
}

/// Events counted by the values of some fields, most frequent first, with first and last time.
fn groups(hits: &[Hit], columns: &[(&str, &[&str])], look: Look) -> String {
    let mut groups: BTreeMap<Vec<String>, (u64, &str, &str)> = BTreeMap::new();
    for hit in hits {
        let record = Record::new(&hit.event);
        let values = columns.iter().map(|(_, path)| match *path {
            ["actor"] => hit.meta.actor.clone(),
            path => record.text(path).unwrap_or_default(),
        });
        let time = hit.meta.time.as_str();
        let (count, first, last) = groups.entry(values.collect()).or_insert((0, time, time));
        *count += 1;
        *first = (*first).min(time);
        *last = (*last).max(time);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (count, ..))| std::cmp::Reverse(*count));
    let mut header: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    header.extend(["COUNT", "FIRST", "LAST"]);
    let mut table = look.table(&header, "COUNT");
    for (values, (count, first, last)) in groups.iter().take(ROWS_MAX) {
        let mut row: Vec<_> = values.iter().map(|value| cell(Some(value))).collect();
        row.push(cell(Some(&thousands(*count))));
        row.extend([cell(Some(first)), cell(Some(last))]);
        table.add_row(row);
    }
    let more = groups.len().saturating_sub(ROWS_MAX);
    let more = if more > 0 { format!("\n… and {more} more") } else { String::new() };
    format!("{}{more}", table.trim_fmt())
}

fn invitation(socket: &Path) -> String {
    let socket = socket.display();
    format!(
        "\nThe daemon goes on until Ctrl-C. In another terminal:\n\n  \
         export TRAILDEX_SOCKET={socket}\n  \
         traildex search 'errorCode:* AND NOT readOnly:true' --limit 10\n  \
         curl --unix-socket {socket} 'http://localhost/v1/search?q=bert-jan&limit=1'\n"
    )
}

fn wait_for_interrupt() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::signal::ctrl_c())
}
