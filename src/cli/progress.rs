//! The line that shows how far a command is: on a terminal only, and whole on one of any width. What is
//! at its end is cut first.

use indicatif::{ProgressBar, ProgressStyle};

/// A line that shows the bar's message.
pub(super) fn line(length: Option<u64>) -> ProgressBar {
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    bar.with_style(ProgressStyle::with_template("{wide_msg}").expect("the template is valid"))
}

/// How much of it is done, in percent.
pub(super) fn percent(bar: &ProgressBar) -> u64 {
    bar.position().saturating_mul(100) / bar.length().unwrap_or_default().max(1)
}
