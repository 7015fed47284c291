//! `traildex-sql serve`: answers on a Unix socket until a signal, for the daemon, which passes statements on.
//!
//! Whatever asks shares one [`Desk`](desk::Desk): the index as it is opened once, and turns for queries. It
//! waits for an index where there is none yet. A stop ends what runs; what queries have spilled goes with it.

mod desk;
mod http;

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use clap::Args;
use server::ServerOptions;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use self::desk::Desk;
use crate::config::{Config, ConfigError};
use crate::log;
use crate::session::STACK_BYTES;

/// Answer on a Unix socket, beside the daemon, which passes statements on
#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// The daemon's configuration; its section sql is this program's
    #[arg(long, short, value_name = "FILE", env = "TRAILDEX_CONFIG")]
    config: Option<PathBuf>,
    /// Check the configuration, and end
    #[arg(long)]
    check_config: bool,
}

/// How long a stop waits for answers that are under way.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Connections: those that the daemon passes on, and as many that wait.
const CONNECTIONS_MAX: usize = 160;

/// Runs until a signal.
pub(crate) fn run(args: &Serve) -> anyhow::Result<()> {
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = Config::load(args.config.as_deref(), env)?;
    if args.check_config {
        return Ok(());
    }
    log::start(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.options().threads)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()?;
    let served = runtime.block_on(async { runtime.spawn(serve(config)).await });
    runtime.shutdown_timeout(STOP_GRACE);
    served?
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let Some(path) = config.sql.socket.clone() else {
        let nothing = "sql.socket is empty in the configuration: there is nothing to answer on; set it, \
                       as to /run/traildex-sql/sql.sock";
        return Err(ConfigError::new(nothing).into());
    };
    make_empty(&config.spill_dir())?;
    let socket = server::bind(&path, None)?;
    let desk = Arc::new(Desk::new(config));
    let opening = tokio::spawn(Arc::clone(&desk).keep_open());
    info!(socket = %path.display(), data_dir = %desk.config().data_dir.display(), "answering SQL");
    let stopped = async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: stopping"),
            _ = interrupt.recv() => info!("SIGINT: stopping"),
        }
    };
    let served = server::serve_own(socket, http::router(&desk), options(), stopped).await;
    opening.abort();
    let _ = fs::remove_dir_all(desk.config().spill_dir());
    served.context("the socket failed")
}

fn options() -> server::LiveOptions {
    Arc::new(ArcSwap::from_pointee(ServerOptions {
        connections_max: CONNECTIONS_MAX,
        stop_grace: STOP_GRACE,
        ..ServerOptions::default()
    }))
}

/// Makes a folder that nobody else may read, without what an earlier run has left in it.
fn make_empty(folder: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot make {} (`sql.state_dir`)", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(cannot)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(cannot)
}
