//! Tables: as wide as the terminal on one, without a bound elsewhere, and plain unless asked.
//!
//! Where a table is wider than the terminal, its long cells go on in further lines, broken between words
//! and behind punctuation. Where they would become too narrow for that, the rows are shown one below
//! another, with a line for each column.

use clap::ValueEnum;
use comfy_table::presets;
use comfy_table::{Attribute, CellAlignment, Color, Table};
use textwrap::core::{Word, display_width};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

use crate::cli::output::Look;
use crate::cli::text::escape;

/// Between two columns.
const GAP: usize = 2;

/// Columns up to this width are never broken: times, addresses, numbers, most names.
const WHOLE_MAX: usize = 24;

/// Columns that are broken are at least this wide; otherwise there is nothing to see in them.
const BROKEN_MIN: usize = 16;

/// A word can be broken behind these.
const PUNCTUATION: &[char] = &['/', ':', '.', ',', '-', '_', '@', '=', ';', '?', '&', '|'];

/// The forms of an answer that is a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    Table,
    Json,
    Ndjson,
    Csv,
}

/// The forms of an answer about one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// What a cell shows, and how.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    text: String,
    is_number: bool,
    colour: Option<Color>,
    is_bold: bool,
}

impl Cell {
    /// A text that cannot harm the terminal; `-` where there is nothing to show.
    pub(super) fn text(text: Option<&str>) -> Self {
        Self { text: text.map_or("-".into(), escape).into_owned(), ..Self::default() }
    }

    /// Lines that were made harmless already.
    pub(super) fn lines(lines: String) -> Self {
        Self { text: lines, ..Self::default() }
    }

    /// A column of nothing but these is aligned by its last digit.
    pub(super) fn number(number: impl Into<String>) -> Self {
        Self { text: number.into(), is_number: true, ..Self::default() }
    }

    pub(super) fn coloured(self, colour: Color) -> Self {
        Self { colour: Some(colour), ..self }
    }

    pub(super) fn bold(self) -> Self {
        Self { is_bold: true, ..self }
    }

    /// The width of its widest line.
    fn width(&self) -> usize {
        self.text.lines().map(display_width).max().unwrap_or(0)
    }

    fn in_width(&self, width: usize) -> comfy_table::Cell {
        let mut cell = comfy_table::Cell::new_owned(textwrap::fill(&self.text, breaking(width)));
        if let Some(colour) = self.colour {
            cell = cell.fg(colour);
        }
        if self.is_bold {
            cell = cell.add_attribute(Attribute::Bold);
        }
        cell
    }
}

/// Rows under a header, as this place can show them.
pub(super) fn table(header: &[&str], rows: &[Vec<Cell>], look: Look) -> String {
    let natural = natural_widths(header, rows);
    let widths = match look.width {
        Some(width) => fit(&natural, width.into()),
        None => Some(natural),
    };
    match widths {
        Some(widths) => columns(header, rows, &widths, look),
        None => list(header, rows, look),
    }
}

/// The same with no cell broken, and nothing where the terminal is too narrow for that.
pub(super) fn whole(header: &[&str], rows: &[Vec<Cell>], look: Look) -> Option<String> {
    let natural = natural_widths(header, rows);
    let width: usize = natural.iter().map(|column| column + GAP).sum();
    let fits = look.width.is_none_or(|columns| width <= usize::from(columns) + GAP);
    fits.then(|| columns(header, rows, &natural, look))
}

fn columns(header: &[&str], rows: &[Vec<Cell>], widths: &[usize], look: Look) -> String {
    let mut table = plain_table(look);
    let name = |name: &&str| comfy_table::Cell::new(*name).add_attribute(Attribute::Bold);
    table.set_header(header.iter().map(name).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.iter().zip(widths).map(|(cell, width)| cell.in_width(*width)));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        let is_last = at + 1 == header.len();
        column.set_padding((0, if is_last { 0 } else { GAP as u16 }));
        if rows.iter().all(|row| row[at].is_number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// A text in lines of the terminal's width, those behind the first indented by as much as the first.
pub(super) fn paragraph(cell: &Cell, indent: usize, look: Look) -> String {
    let indent = " ".repeat(indent);
    let width = look.width.map_or(usize::MAX, usize::from);
    let options = breaking(width).initial_indent(&indent).subsequent_indent(&indent);
    let mut table = plain_table(look);
    let filled = Cell { text: textwrap::fill(&cell.text, options), ..cell.clone() };
    table.add_row([filled.in_width(usize::MAX)]);
    table.column_mut(0).expect("it has one").set_padding((0, 0));
    table.trim_fmt()
}

fn plain_table(look: Look) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if look.has_colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

/// What a table of these leaves of the terminal's width beside itself.
pub(super) fn room_beside(header: &[&str], rows: &[Vec<Cell>], width: usize) -> usize {
    let taken: usize = natural_widths(header, rows).iter().map(|column| column + GAP).sum();
    width.saturating_sub(taken)
}

fn natural_widths(header: &[&str], rows: &[Vec<Cell>]) -> Vec<usize> {
    let cells = |at: usize| rows.iter().map(move |row| row[at].width());
    let names = header.iter().enumerate();
    names.map(|(at, name)| cells(at).chain([display_width(name)]).max().unwrap_or(0)).collect()
}

/// The widths that columns have on a terminal of this width: short ones whole, the others an equal
/// share of what is left, as far as they need it. None where that is too little.
fn fit(natural: &[usize], width: usize) -> Option<Vec<usize>> {
    let mut room = width.checked_sub(GAP * natural.len().saturating_sub(1))?;
    if natural.iter().sum::<usize>() <= room {
        return Some(natural.to_vec());
    }
    let mut long: Vec<usize> = (0..natural.len()).filter(|at| natural[*at] > WHOLE_MAX).collect();
    let short = natural.iter().filter(|width| **width <= WHOLE_MAX).sum();
    room = room.checked_sub(short)?;
    long.sort_unstable_by_key(|at| natural[*at]);
    let mut widths = natural.to_vec();
    for (done, at) in long.iter().enumerate() {
        widths[*at] = natural[*at].min(room / (long.len() - done));
        room -= widths[*at];
    }
    long.iter().all(|at| widths[*at] >= BROKEN_MIN).then_some(widths)
}

/// One row below another, an empty line between them.
fn list(header: &[&str], rows: &[Vec<Cell>], look: Look) -> String {
    let labels = header.iter().map(|name| display_width(name)).max().unwrap_or(0) + GAP;
    let indent = " ".repeat(labels);
    let width = look.width.map_or(usize::MAX, usize::from);
    let options = breaking(width).subsequent_indent(&indent);
    let line = |(name, cell): (&&str, &Cell)| {
        let pad = " ".repeat(labels - display_width(name));
        textwrap::fill(&format!("{name}{pad}{}", cell.text), &options) + "\n"
    };
    let row = |row: &Vec<Cell>| header.iter().zip(row).map(line).collect::<String>();
    rows.iter().map(row).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// How a text is broken into lines of this width: as the module's documentation says, and anywhere
/// where a word has no better place.
pub(super) fn breaking<'a>(width: usize) -> Options<'a> {
    Options::new(width.max(1))
        .word_separator(WordSeparator::Custom(|line| Box::new(words(line))))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
}

/// A line's words, each with what comes behind it up to the next.
fn words(line: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices().peekable();
        while let Some((_, c)) = chars.next() {
            let is_end = |next: char| {
                let is_fraction = c == '.' && next.is_numeric();
                next != ' ' && (c == ' ' || PUNCTUATION.contains(&c) && !is_fraction)
            };
            if let Some((at, _)) = chars.peek().filter(|(_, next)| is_end(*next)) {
                let (word, behind) = rest.split_at(*at);
                rest = behind;
                return Some(Word::from(word));
            }
        }
        (!rest.is_empty()).then(|| Word::from(std::mem::take(&mut rest)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(width: u16, rows: &[[&str; 3]], expected: &str) {
        let look = Look { is_terminal: true, width: Some(width), has_colour: false };
        let row = |[time, agent, count]: &[&str; 3]| {
            vec![Cell::text(Some(time)), Cell::text(Some(agent)), Cell::number(*count)]
        };
        let rows: Vec<Vec<Cell>> = rows.iter().map(row).collect();
        let shown = table(&["time", "userAgent", "count"], &rows, look);
        assert_eq!(shown, expected.trim_end());
        assert!(shown.lines().all(|line| display_width(line) <= width.into()), "{shown}");
    }

    const ROWS: &[[&str; 3]] = &[
        ["2023-07-10T11:42:36Z", "aws-cli/2.1", "5"],
        ["2023-07-10T11:42:37Z", "stratus-red-team_9a2f4c1b-7bd2-4d1e-a531-df5a39cc8ecb", "1234"],
    ];

    #[test]
    fn a_table_that_fits_is_as_wide_as_its_text() {
        check(
            90,
            ROWS,
            "\
time                  userAgent                                              count
2023-07-10T11:42:36Z  aws-cli/2.1                                                5
2023-07-10T11:42:37Z  stratus-red-team_9a2f4c1b-7bd2-4d1e-a531-df5a39cc8ecb   1234
",
        );
    }

    #[test]
    fn long_cells_are_broken_behind_punctuation_and_short_ones_are_not() {
        check(
            60,
            ROWS,
            "\
time                  userAgent                        count
2023-07-10T11:42:36Z  aws-cli/2.1                          5
2023-07-10T11:42:37Z  stratus-red-team_9a2f4c1b-7bd2-   1234
                      4d1e-a531-df5a39cc8ecb
",
        );
    }

    #[test]
    fn rows_are_lists_where_columns_would_be_too_narrow() {
        check(
            44,
            ROWS,
            "\
time       2023-07-10T11:42:36Z
userAgent  aws-cli/2.1
count      5

time       2023-07-10T11:42:37Z
userAgent  stratus-red-team_9a2f4c1b-7bd2-
           4d1e-a531-df5a39cc8ecb
count      1234
",
        );
    }

    #[test]
    fn a_word_without_a_place_to_break_is_broken_all_the_same() {
        let text = "x".repeat(40);
        assert_eq!(
            textwrap::fill(&text, breaking(30)),
            format!("{}\n{}", &text[10..], &text[30..])
        );
    }
}
