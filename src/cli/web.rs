//! `traildex web`: a port on this machine for the page, whose questions go to the daemon's socket as the
//! user who started it.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use jiff::SignedDuration;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{EXIT_CODES, Exit, SocketArg};
use web::{Gate, GateOptions};

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// The port on 127.0.0.1; 0 is any that is free. Links to the page work as long as it stays the same
    #[arg(long, value_name = "PORT", default_value_t = web::PORT)]
    port: u16,
    /// Opens the page in a browser
    #[arg(long)]
    open: bool,
    /// Refuses everything that changes something: saved searches, checks, rebuilds
    #[arg(long)]
    read_only: bool,
    /// Ends once nothing was asked for so long: 30m, 8h [default: 16h]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    idle: Option<Duration>,
    #[command(flatten)]
    socket: SocketArg,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    let parsed = Duration::try_from(parsed).map_err(|error| format!("{error}"))?;
    if parsed.is_zero() { Err("it must be longer".to_owned()) } else { Ok(parsed) }
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let socket = args.socket.path();
    // A page that nobody answers helps nobody.
    args.socket.client().status()?;
    let idle = args.idle.unwrap_or(web::IDLE);
    let options = GateOptions { socket, is_read_only: args.read_only, idle };
    let port = OpenPort::new(args.port, options)?;
    let url = port.url();
    let mut out = io::stdout();
    writeln!(out, "{url}")?;
    out.flush()?;
    let _opened = args.open.then(|| open_in_browser(&url)).transpose().unwrap_or_else(|error| {
        // The address is printed: whoever reads it can open it.
        warn_unopened(&format!("{error:#}"));
        None
    });
    // Nobody may listen, as on a terminal that is gone.
    let _ = writeln!(io::stderr(), "The address holds a key to the archive. Ctrl-C ends it.");
    port.serve()?;
    Ok(Exit::Done)
}

/// An open port, and what ends it.
pub(super) struct OpenPort {
    gate: Gate,
    runtime: Runtime,
    interrupted: Signal,
    terminated: Signal,
}

impl OpenPort {
    pub(super) fn new(port: u16, options: GateOptions) -> anyhow::Result<Self> {
        let gate = Gate::bind(port, options).with_context(|| {
            format!(
                "cannot open port {port} of 127.0.0.1: another 'traildex web' may have it; --port 0 \
                 takes any"
            )
        })?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        // Before the address is told: from then on, somebody may end it.
        let within = runtime.enter();
        let (interrupted, terminated) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        drop(within);
        Ok(Self { gate, runtime, interrupted, terminated })
    }

    pub(super) fn url(&self) -> String {
        self.gate.url()
    }

    /// Answers until Ctrl-C, or until nothing was asked for long.
    pub(super) fn serve(self) -> anyhow::Result<()> {
        let Self { gate, runtime, mut interrupted, mut terminated } = self;
        let ended = async move {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
        };
        Ok(runtime.block_on(gate.serve(ended))?)
    }
}

fn warn_unopened(why: &str) {
    let _ = writeln!(io::stderr(), "No browser was opened: {why}. Open the address yourself.");
}

/// Has the desktop open a file that leads to the address: other users see the arguments of a program,
/// and the address holds the token. The file is there as long as what is returned.
fn open_in_browser(url: &str) -> anyhow::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("traildex-").tempdir()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700))?;
    let file = folder.path().join("traildex.html");
    fs::write(&file, format!("<meta http-equiv=\"refresh\" content=\"0; url={url}\">\n"))?;
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(opener);
    command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut opening = command.spawn().with_context(|| format!("cannot start {opener}"))?;
    // It can stay as long as the browser does.
    thread::spawn(move || match opening.wait() {
        Ok(status) if !status.success() => warn_unopened(&format!("{opener} failed ({status})")),
        _ => {}
    });
    Ok(folder)
}
