//! Data on a terminal; see [`formats::terminal`].

pub(super) use formats::terminal::{ForTerminal, Shown, csv_for_terminal, json_for_terminal};
