//! Bounds how often one place in the program speaks in the log: an archive of a million broken files,
//! or a client that asks nonsense all day, must not fill the disk with lines that say the same.
//!
//! What is left out is counted by `traildex_log_lines_left_out_total`. Nothing else depends on the
//! log: every file's state and reason are in the ledger.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines of one place in a span of time: enough to see what is wrong, and with which files.
const LINES_MAX: u32 = 100;
const SPAN: Duration = Duration::from_secs(60);

/// Writes events as `inner` does, as long as their place has not said too much.
pub(super) struct Limited<F> {
    inner: F,
    /// The line that says that there would be more.
    notice: fn(&str) -> String,
    places: Mutex<HashMap<Identifier, LogPlace>>,
}

/// What a place has said since a time.
struct LogPlace {
    since: Instant,
    lines: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Line,
    /// The last line for now.
    Last,
    LeftOut,
}

impl<F> Limited<F> {
    pub(super) fn new(inner: F, notice: fn(&str) -> String) -> Self {
        Self { inner, notice, places: Mutex::default() }
    }

    fn turn(&self, place: Identifier, now: Instant) -> Turn {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(place).or_insert(LogPlace { since: now, lines: 0 });
        if now.duration_since(place.since) >= SPAN {
            *place = LogPlace { since: now, lines: 0 };
        }
        place.lines = place.lines.saturating_add(1);
        match place.lines {
            ..LINES_MAX => Turn::Line,
            LINES_MAX => Turn::Last,
            _ => Turn::LeftOut,
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for Limited<F>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.turn(event.metadata().callsite(), Instant::now()) {
            Turn::Line => self.inner.format_event(context, writer, event),
            Turn::Last => {
                self.inner.format_event(context, writer.by_ref(), event)?;
                let seconds = SPAN.as_secs();
                let text =
                    format!("more lines like the one before, within {seconds} s, are left out");
                writeln!(writer, "{}", (self.notice)(&text))
            }
            Turn::LeftOut => {
                metrics::counter!("traildex_log_lines_left_out_total").increment(1);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{Layer as _, fmt};

    use super::*;

    /// Collects what is written.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn one_place_says_so_much_and_others_go_on() {
        let log = Log::default();
        let written = log.clone();
        let lines = fmt::layer().with_writer(move || written.clone()).with_ansi(false);
        let lines = lines.map_event_format(|lines| Limited::new(lines, |text| format!("({text})")));
        let subscriber = tracing_subscriber::registry().with(lines.boxed());
        tracing::subscriber::with_default(subscriber, || {
            for n in 0..1_000 {
                tracing::warn!(n, "the same");
            }
            tracing::warn!("another");
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 102, "{text}");
        assert!(lines[99].ends_with("the same n=99"), "{}", lines[99]);
        assert_eq!(lines[100], "(more lines like the one before, within 60 s, are left out)");
        assert!(lines[101].ends_with("another"), "{}", lines[101]);
    }

    #[test]
    fn a_place_may_speak_again_later() {
        let limited = Limited::new((), str::to_owned);
        let subscriber = tracing_subscriber::registry();
        let place = tracing::subscriber::with_default(subscriber, || {
            tracing::warn_span!("a place").metadata().unwrap().callsite()
        });
        let start = Instant::now();
        let turn = |after| limited.turn(place.clone(), start + Duration::from_secs(after));
        for _ in 1..LINES_MAX {
            assert_eq!(turn(0), Turn::Line);
        }
        assert_eq!((turn(1), turn(2), turn(59)), (Turn::Last, Turn::LeftOut, Turn::LeftOut));
        assert_eq!(turn(60), Turn::Line);
    }
}
