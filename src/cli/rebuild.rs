//! `traildex rebuild`: make the index anew from the archive, of a running daemon or of a data directory
//! that nobody uses. The old index is kept until the new one is whole. Of a data directory that nobody
//! uses it can be made of the index's own records, too, without the archive.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use indicatif::HumanCount;

use super::{EXIT_CODES, Exit, SocketArg};
use crate::cli::import::{absolute, fill, tell_damage};
use crate::cli::progress;
use crate::cli::serve::environment;
use crate::config::{Config, Overrides};
use crate::daemon::pipeline::replace;
use crate::daemon::upkeep::missing;
use crate::daemon::{open_store, rebuilt_from};
use client::Client;
use ingest::again::read_again;
use ingest::archive::Archive;
use segment::stop::Stop;
use store::remake::SizeLimits;
use wire::{RebuildRequest, RebuildState, RebuildStatus};

/// Between two looks at a daemon's status.
const TICK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Args {
    /// Rebuild the index in a data directory that no daemon uses, in place of a daemon's
    #[arg(long)]
    offline: bool,
    /// With --offline: configuration file
    #[arg(long, value_name = "FILE", env = "TRAILDEX_CONFIG")]
    config: Option<PathBuf>,
    /// With --offline: where the index is kept
    #[arg(long, value_name = "DIR", requires = "offline")]
    data_dir: Option<PathBuf>,
    /// With --offline: a directory with trail files, with all below it; may be given several times
    #[arg(long, value_name = "DIR", requires = "offline")]
    watch: Vec<PathBuf>,
    /// With --offline: make it of the index's own records, and leave the archive alone, which may lack
    /// files by now
    #[arg(long, requires = "offline", conflicts_with_all = ["watch", "accept_loss"])]
    from_records: bool,
    /// Go on although the archive lacks files that the index holds events of
    #[arg(long)]
    accept_loss: bool,
    /// Return once the daemon has begun
    #[arg(long, conflicts_with = "offline")]
    no_wait: bool,
    #[command(flatten)]
    socket: SocketArg,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let request = RebuildRequest { accept_loss: args.accept_loss };
    if args.offline {
        offline(args, request)?;
    } else {
        online(args, request, &args.socket.client())?;
    }
    Ok(Exit::Done)
}

fn offline(args: &Args, request: RebuildRequest) -> anyhow::Result<()> {
    let flags = Overrides {
        watch: args.watch.clone(),
        data_dir: args.data_dir.clone(),
        ..Overrides::default()
    };
    let config = Config::load(args.config.as_deref(), environment(), &flags)?;
    if args.from_records {
        return of_records(&config);
    }
    if config.watch.dirs.is_empty() {
        bail!("no archive to read: give --watch DIR, or watch.dirs in the configuration");
    }
    let roots = absolute(&config.watch.dirs)?;
    let mut store = open_store(&config.index.data_dir, &config)?;
    tell_damage(&store);
    // The new index is compared with the old one, which an earlier version may have made.
    let never = Stop::when(|| false);
    let outdated = store.outdated();
    if !outdated.is_empty() {
        eprintln!(
            "an earlier version made the index; making it anew of its records first, to compare with"
        );
    }
    for segment in outdated {
        store.remake_segment(&segment, size_limits(&config), &mut *read_again(), &never)?;
    }
    if !request.accept_loss {
        missing(&store.snapshots().load(), &Archive::new(roots.iter().cloned()))?.refuse()?;
    }
    store.begin_rebuild(rebuilt_from(&config))?;
    let (mut store, _) = fill(store, &roots, &config)?;
    match replace(&mut store, request) {
        Ok(lost) => tell_loss(lost),
        Err(reason) => {
            store.abandon_rebuild();
            bail!(reason);
        }
    }
    Ok(())
}

/// Says what `--accept-loss` cost.
fn tell_loss(lost: u64) {
    if lost > 0 {
        eprintln!("{} events of the old index are lost, as was accepted", HumanCount(lost));
    }
}

/// Makes each segment anew of its records. What is damaged has none to make it of.
fn of_records(config: &Config) -> anyhow::Result<()> {
    let mut store = open_store(&config.index.data_dir, config)?;
    tell_damage(&store);
    store.remake(size_limits(config), &mut *read_again())?;
    let snapshot = store.snapshots().load_full();
    let files = snapshot.files.counts().files.indexed;
    eprintln!("{} events of {} files", HumanCount(snapshot.events()), HumanCount(files));
    Ok(())
}

fn size_limits(config: &Config) -> SizeLimits {
    SizeLimits {
        events_max: config.ingest.segment_events_max as u32,
        bytes_max: config.ingest.segment_bytes_max,
    }
}

fn online(args: &Args, request: RebuildRequest, client: &Client) -> anyhow::Result<()> {
    client.rebuild(&request)?;
    if args.no_wait {
        return Ok(());
    }
    let bar = progress::line(None);
    loop {
        let status = client.status()?;
        let Some(RebuildStatus { state, message, events_lost, events, pending, .. }) =
            status.rebuild
        else {
            bail!("the daemon was started anew, and the rebuild with it");
        };
        match state {
            RebuildState::Running => {
                let (events, pending) = (HumanCount(events), HumanCount(pending));
                bar.set_message(format!(
                    "{events} events indexed, {pending} files known to be left"
                ));
                std::thread::sleep(TICK);
            }
            RebuildState::Done => {
                bar.finish_and_clear();
                let (events, files) = (status.events.indexed, status.files.indexed);
                eprintln!("{} events of {} files", HumanCount(events), HumanCount(files));
                tell_loss(events_lost);
                return Ok(());
            }
            RebuildState::Failed => {
                bail!("the old index stays: {}", message.unwrap_or_default());
            }
        }
    }
}
