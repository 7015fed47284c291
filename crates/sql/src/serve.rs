//! `traildex-sql serve`: answers PostgreSQL's clients until a signal.
//!
//! Whoever asks shares one [`Queries`]: the index as it is opened once, and turns for queries. It
//! waits for an index where there is none yet. A stop ends what runs; what queries have spilled goes with it.

pub(crate) mod queries;

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use self::queries::Queries;
use crate::config::{Config, ConfigError};
use crate::log;
use crate::postgres::{self, Passwords};
use crate::session::STACK_BYTES;

/// Answer PostgreSQL's clients on a loopback address, beside the daemon or without one
#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// The daemon's configuration; its section sql is this program's
    #[arg(long, short, value_name = "FILE", env = "TRAILDEX_CONFIG")]
    config: Option<PathBuf>,
    /// Check the configuration, and end
    #[arg(long)]
    check_config: bool,
}

/// How long a stop waits for threads that still read.
const STOP_GRACE: Duration = Duration::from_secs(2);

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
    let Some(address) = config.sql.postgres_address else {
        let nothing = "sql.postgres_address is empty in the configuration: there is nothing to answer \
                       on; set it, as to 127.0.0.1:5432";
        return Err(ConfigError::new(nothing).into());
    };
    let passwords =
        Passwords::read(&config.sql.postgres_passwords).context("sql.postgres_passwords")?;
    make_empty(&config.spill_dir())?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen at {address} (sql.postgres_address)"))?;
    let address = listener.local_addr()?;
    let queries = Arc::new(Queries::new(config));
    let opening = tokio::spawn(Arc::clone(&queries).keep_open());
    info!(%address, data_dir = %queries.config().data_dir.display(), "answering PostgreSQL's clients");
    tokio::select! {
        served = postgres::serve(listener, Arc::clone(&queries), passwords) => served?,
        _ = terminate.recv() => info!("SIGTERM: stopping"),
        _ = interrupt.recv() => info!("SIGINT: stopping"),
    }
    opening.abort();
    let _ = fs::remove_dir_all(queries.config().spill_dir());
    Ok(())
}

/// Makes a folder that nobody else may read, without what an earlier run has left in it.
pub(crate) fn make_empty(folder: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot make {} (sql.state_dir)", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(cannot)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(cannot)
}
