//! Where results go: a file or a pipe, a terminal, or on a terminal a pager; and how they may look there.
//!
//! The pager is `TRAILDEX_PAGER`, else `PAGER`, else `less -FRX`, which ends at once where everything is
//! on the screen. An empty one, `cat`, or one that cannot be started is none. Ctrl-C is the pager's while
//! it runs. Who quits it early has seen enough: what is left is thrown away, and it is no failure.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::ColorChoice;
use signal_hook::consts::SIGINT;

/// Quits where everything fits, passes colours on, leaves the text on the screen.
const PAGER: &str = "less -FRX";

/// Columns of a terminal that tells none.
const WIDTH_UNKNOWN: u16 = 80;

/// How results may look where they go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    pub is_terminal: bool,
    /// Columns of the terminal.
    pub width: Option<u16>,
    pub has_colour: bool,
}

impl Look {
    pub(super) fn of_stdout() -> Self {
        Self::coloured(ColorChoice::Auto)
    }

    fn coloured(choice: ColorChoice) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let has_colour = match choice {
            ColorChoice::Auto => is_terminal && !is_set("NO_COLOR") && !is_dumb(),
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        };
        if has_colour {
            // It obeys NO_COLOR by itself, which --color overrules.
            crossterm::style::force_color_output(true);
        }
        let width = comfy_table::Table::new().width().filter(|_| is_terminal);
        // A terminal that does not know, such as that of a container or of a serial line.
        let width = width.map(|width| if width == 0 { WIDTH_UNKNOWN } else { width });
        Self { is_terminal, width, has_colour }
    }
}

/// A terminal that obeys nothing: no colours, and no pager, which would complain.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// `--color`, for the commands that show tables.
#[derive(Debug, clap::Args)]
pub(super) struct ColorArg {
    /// Colours: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(long, value_name = "WHEN", value_enum, hide_possible_values = true,
        default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

impl ColorArg {
    pub(super) fn look(&self) -> Look {
        Look::coloured(self.color)
    }
}

/// What results are written to.
pub(super) struct Output(Sink);

enum Sink {
    Stdout(BufWriter<Stdout>),
    Pager { pager: Child, pipe: Option<BufWriter<ChildStdin>> },
}

impl Output {
    /// Standard output, through a pager where that is a terminal.
    pub(super) fn open(look: Look) -> Self {
        let pager = if look.is_terminal && !is_dumb() { start_pager() } else { None };
        Self(pager.unwrap_or_else(|| Sink::Stdout(BufWriter::new(io::stdout()))))
    }

    /// Writes out what is left, and waits until the pager has ended.
    pub(super) fn close(mut self) -> io::Result<()> {
        self.flush()?;
        if let Sink::Pager { pager, pipe } = &mut self.0 {
            drop(pipe.take());
            pager.wait()?;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.pass(bytes.len(), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.pass((), |out| out.flush())
    }
}

impl Sink {
    /// Does this to where results go; where its pager has gone, nothing, with this result.
    fn pass<T>(
        &mut self,
        result: T,
        act: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Self::Stdout(out) => act(out),
            Self::Pager { pipe, .. } => match pipe.as_mut().map(|pipe| act(pipe)) {
                Some(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    // What its buffer holds must not be tried again.
                    let _ = pipe.take().map(BufWriter::into_parts);
                    Ok(result)
                }
                None => Ok(result),
                Some(done) => done,
            },
        }
    }
}

fn start_pager() -> Option<Sink> {
    let named = ["TRAILDEX_PAGER", "PAGER"].into_iter().find_map(|name| std::env::var(name).ok());
    let words = shlex::split(named.as_deref().unwrap_or(PAGER))?;
    let (program, args) = words.split_first().filter(|(program, _)| *program != "cat")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped());
    // What `less` by itself is told, unless its user has told it.
    for (name, value) in [("LESS", "FRX"), ("LESSCHARSET", "utf-8")] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let mut pager = command.spawn().ok()?;
    // The handler does nothing, but we are not ended; without it, less would go on behind the shell.
    signal_hook::flag::register(SIGINT, Arc::new(AtomicBool::new(false))).ok()?;
    let pipe = pager.stdin.take().map(BufWriter::new);
    Some(Sink::Pager { pager, pipe })
}
