//! `traildex rebuild`: make the index anew from the archive, of a running daemon or of a data directory
//! that nobody uses. The old index is kept until the new one is whole.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::import::{absolute, fill, tell_damage};
use super::serve::environment;
use super::{EXIT_CODES, Exit, SocketArg};
use crate::api::client::Client;
use crate::api::proto::RebuildRequest;
use crate::config::{Config, Overrides};
use crate::daemon::open_store;
use crate::daemon::upkeep::{Missing, missing};

/// Between two looks at a daemon's status.
const TICK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// Rebuild this data directory, which no daemon uses, in place of a daemon's index
    #[arg(long, value_name = "DIR", conflicts_with = "socket", requires = "watch")]
    data_dir: Option<PathBuf>,
    /// With --data-dir: a directory with trail files, with all below it; may be given several times
    #[arg(long, value_name = "DIR", requires = "data_dir")]
    watch: Vec<PathBuf>,
    /// Go on although the archive lacks files that the index holds events of
    #[arg(long)]
    accept_loss: bool,
    /// Return once the daemon has begun
    #[arg(long, conflicts_with = "data_dir")]
    no_wait: bool,
    #[command(flatten)]
    socket: SocketArg,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.data_dir {
        Some(data_dir) => offline(args, data_dir)?,
        None => online(args, &args.socket.client())?,
    }
    Ok(Exit::Done)
}

fn offline(args: &Args, data_dir: &std::path::Path) -> anyhow::Result<()> {
    let config = Config::load(None, environment(), &Overrides::default())?;
    let roots = absolute(&args.watch)?;
    let mut store = open_store(data_dir, &config)?;
    tell_damage(&store);
    let Missing { files, events } = missing(&store.snapshots().load())?;
    if files > 0 && !args.accept_loss {
        anyhow::bail!(
            "{files} files of the index are not in the archive any more, or have changed since; up \
             to {events} events that came from them would be gone: --accept-loss goes on"
        );
    }
    store.begin_rebuild()?;
    let mut store = fill(store, &roots, &config)?;
    if store.is_rebuild() {
        store.promote()?;
    }
    Ok(())
}

fn online(args: &Args, client: &Client) -> anyhow::Result<()> {
    client.rebuild(&RebuildRequest { accept_loss: args.accept_loss })?;
    if args.no_wait {
        return Ok(());
    }
    let bar = ProgressBar::no_length()
        .with_style(ProgressStyle::with_template("{msg}").expect("the template is valid"));
    loop {
        let status = client.status()?;
        if let Some(fault) = status.fault {
            anyhow::bail!("the daemon's ingest has stopped: {fault}");
        }
        let Some(rebuild) = status.rebuild else {
            bar.finish_and_clear();
            let (events, files) = (status.events.indexed, status.files.indexed);
            eprintln!("{} events of {} files", HumanCount(events), HumanCount(files));
            return Ok(());
        };
        let (events, pending) = (HumanCount(rebuild.events), HumanCount(rebuild.pending));
        bar.set_message(format!("{events} events indexed, {pending} files known to be left"));
        std::thread::sleep(TICK);
    }
}
