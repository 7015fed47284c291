//! The command line as a person sees it: on a terminal of 80 or 200 columns, with and without colours,
//! through a pager, interrupted, completed, with a query that is wrong, without a daemon.
//!
//! Needs `less`, `zsh` and `fish`, which `.ci/clients` installs.

mod completion;
mod hostile;
mod screen;

use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use bench::generate::{GenerateOptions, generate};

use crate::common::{Daemon, PATIENCE, Place, run, sample};
use screen::Terminal;
use wire::SearchRequest;

/// More rows than most answers have: nothing scrolls away.
const TALL: u16 = 200;

/// What sets a colour or weight begins so; less and the shell move the cursor by others.
const RED: &str = "\x1b[38;5;9m";

fn daemon() -> Daemon {
    let daemon = Place::watching(&[sample("invictus")]).start();
    daemon.wait_indexed(PATIENCE, 2_900);
    daemon
}

/// Runs a command to its end on a tall terminal.
fn shown(daemon: &Daemon, columns: u16, settings: &[(&str, &str)], args: &[&str]) -> Terminal {
    let mut terminal = Terminal::start(&daemon.socket, (columns, TALL), settings, args);
    let status = terminal.end();
    assert_eq!(status.code(), Some(0), "{}", terminal.raw());
    terminal
}

const EVENTS: &[&str] =
    &["search", "eventName:AssumeRole OR errorCode:AccessDenied", "--limit", "20"];

#[test]
fn events_fit_80_columns_in_two_lines_each_and_300_in_one() {
    let daemon = daemon();
    let found = run(&[EVENTS, &["--socket", daemon.socket.to_str().unwrap()]].concat());
    let rows: Vec<Vec<&str>> =
        found.stdout.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 20, "{}", found.stdout);

    let wide = shown(&daemon, 300, &[], EVENTS).lines();
    let narrow = shown(&daemon, 80, &[], EVENTS).lines();
    assert_eq!(wide.len(), 22, "a header, and a line that counts: {wide:#?}");
    assert!(narrow[0].starts_with("time ") && narrow[0].contains("outcome"), "{narrow:#?}");
    // What is indented belongs to the line above it.
    let mut events: Vec<(&str, String)> = Vec::new();
    for line in &narrow[1..narrow.len() - 1] {
        match (line.starts_with("    "), events.last_mut()) {
            (true, Some((_, below))) => below.push_str(&line.replace(' ', "")),
            _ => events.push((line, String::new())),
        }
    }
    assert_eq!(events.len(), rows.len(), "{narrow:#?}");
    for (n, (row, (first, below))) in rows.iter().zip(events).enumerate() {
        let [time, actor, credential, action, ref target @ .., ip, region, outcome, id] = row[..]
        else {
            panic!("{row:?}")
        };
        let line: Vec<&str> = wide[n + 1].split_whitespace().collect();
        assert_eq!(line, *row);
        assert_eq!(first.split_whitespace().collect::<Vec<_>>(), [time, action, outcome, id]);
        let on = if target == ["-"] { String::new() } else { format!("on{}", target.concat()) };
        assert_eq!(below, format!("{actor}({credential}){on}from{ip}in{region}"));
    }
    assert!(narrow.last().unwrap().starts_with("20 of "), "{narrow:#?}");
    daemon.stop();
}

#[test]
fn tables_fit_and_break_no_word_where_there_is_another_place() {
    let daemon = daemon();
    let query = "* | count by userAgent, sourceIPAddress | sort count desc | limit 10";
    let lines = shown(&daemon, 80, &[], &["search", query]).lines();
    assert!(lines.len() > 13, "some are broken: {lines:#?}");
    let whole: Vec<String> = daemon
        .find(query)
        .table
        .unwrap()
        .rows
        .iter()
        .map(|row| row[0].as_str().unwrap().to_owned())
        .collect();
    // The first column, its lines put together again, is what the daemon says.
    let width = lines[0].find("sourceIPAddress").unwrap();
    let cells =
        lines[1..lines.len() - 1].iter().map(|line| line.get(..width).unwrap_or(line).trim_end());
    let mut rest = whole.concat().replace(' ', "");
    for cell in cells {
        let cell = cell.replace(' ', "");
        rest = rest.strip_prefix(&cell).unwrap_or_else(|| panic!("{cell} in {rest}")).to_owned();
        let is_broken_well = rest
            .chars()
            .next()
            .is_none_or(|next| !cell.ends_with(char::is_alphanumeric) || !next.is_alphanumeric());
        let is_whole = whole.iter().any(|text| text.replace(' ', "").ends_with(&cell));
        let has_spaces = whole.iter().any(|text| text.contains(' '));
        assert!(is_broken_well || is_whole || has_spaces, "{cell}|{rest}");
    }
    assert_eq!(rest, "");
    daemon.stop();
}

#[test]
fn colours_are_for_terminals_unless_somebody_says_otherwise() {
    let daemon = daemon();
    let args = |more: &[&'static str]| [&["search", "errorCode:*", "--limit", "5"], more].concat();
    let on = |settings: &[(&str, &str)], more: &[&'static str]| {
        shown(&daemon, 300, settings, &args(more)).raw()
    };
    assert!(on(&[], &[]).contains(RED));
    assert!(on(&[("NO_COLOR", "1")], &["--color", "always"]).contains(RED));
    for (settings, more) in [
        (&[("NO_COLOR", "1")][..], &[][..]),
        (&[("TERM", "dumb")], &[]),
        (&[], &["--color", "never"]),
    ] {
        let raw = on(settings, more);
        assert!(!raw.contains("\x1b[3") && raw.contains("outcome"), "{raw:?}");
    }
    let socket = ["--socket", daemon.socket.to_str().unwrap()];
    let piped = |more: &[&'static str]| run(&[&args(more)[..], &socket].concat()).stdout;
    assert!(!piped(&[]).contains('\x1b'));
    assert!(piped(&["--color", "always"]).contains(RED));
    daemon.stop();
}

#[test]
fn a_timeline_has_bars_on_a_terminal_and_nowhere_else() {
    let daemon = daemon();
    let args = ["search", "* | timeline 10m"];
    let terminal = shown(&daemon, 80, &[], &args);
    let bar = |line: &String| line.chars().filter(|c| ('█'..='▏').contains(c)).count();
    let lines = terminal.lines();
    let request = SearchRequest { query: args[1].into(), empty: true, ..SearchRequest::default() };
    let table = daemon.search(&request).table.unwrap();
    let counts: Vec<u64> = table.rows.iter().map(|row| row[1].as_u64().unwrap()).collect();
    let longest = counts.iter().copied().max().unwrap();
    let bars: Vec<usize> = lines[1..=counts.len()].iter().map(bar).collect();
    let most = bars.iter().copied().max().unwrap();
    assert!(most > 30, "{lines:#?}");
    for (count, bar) in counts.iter().zip(bars) {
        let expected = (*count as f64 / longest as f64 * most as f64).ceil() as usize;
        assert!(
            bar.abs_diff(expected) <= 1 && (bar > 0) == (*count > 0),
            "{count}: {bar}, {expected}"
        );
    }
    let socket = daemon.socket.to_str().unwrap();
    let piped = run(&[&args[..], &["--socket", socket]].concat()).stdout;
    assert!(!piped.contains('█'), "{piped}");
    daemon.stop();
}

#[test]
fn a_terminal_that_does_not_know_its_width_has_80_columns() {
    let daemon = daemon();
    let args = ["search", "eventName:AssumeRole", "--limit", "3"];
    let known = shown(&daemon, 80, &[("TRAILDEX_PAGER", "cat")], &args).raw();
    let mut unknown = Terminal::start(&daemon.socket, (0, 0), &[("TRAILDEX_PAGER", "cat")], &args);
    assert_eq!(unknown.end().code(), Some(0), "{}", unknown.raw());
    // All but the time that it took.
    let table =
        |raw: &str| raw.split(" ms").next().unwrap().rsplit_once(", ").unwrap().0.to_owned();
    assert_eq!(table(&unknown.raw()), table(&known));
}

#[test]
fn a_line_of_progress_fits_any_width() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    let options = GenerateOptions { events: 20_000, ..GenerateOptions::default() };
    generate(&options, &archive).unwrap();
    for columns in [20, 40, 200] {
        let data_dir = folder.path().join(columns.to_string());
        let (archive, data_dir) = (archive.to_str().unwrap(), data_dir.to_str().unwrap());
        let args = ["import", archive, "--data-dir", data_dir];
        let mut terminal = Terminal::start(Path::new("/none"), (columns, TALL), &[], &args);
        terminal.wait_for("progress", |lines| {
            assert!(lines.len() <= 1 || lines[0].contains("events from"), "{lines:#?}");
            lines.iter().any(|line| line.contains('%'))
        });
        assert_eq!(terminal.end().code(), Some(0));
    }
}

#[test]
fn a_long_answer_is_paged_and_a_short_one_is_not() {
    let daemon = daemon();
    let small = (80, 24);
    let long = ["search", "*", "--limit", "50"];
    let mut terminal = Terminal::start(&daemon.socket, small, &[], &long);
    terminal.wait_for("less waits", |lines| lines.len() == 24 && lines[23].starts_with(':'));
    assert!(terminal.lines()[0].starts_with("time "), "{:#?}", terminal.lines());
    terminal.press("G");
    terminal.wait_for("the end", |lines| lines.last().is_some_and(|line| line.contains("(END)")));
    // Ctrl-C is less's, and ends nothing. It throws away keys that are pressed at once behind it.
    terminal.press("\x03");
    thread::sleep(Duration::from_millis(300));
    assert!(terminal.program.try_wait().unwrap().is_none());
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
    assert!(terminal.lines().last().unwrap().starts_with("50 of 2,900 events"));

    // Quit before all was written: much more than a pipe holds.
    let all = ["search", "*", "--limit", "2900", "--format", "ndjson"];
    let mut terminal = Terminal::start(&daemon.socket, (200, 24), &[("LESS", "FRXS")], &all);
    terminal.wait_for("less waits", |lines| lines.len() == 24 && lines[23].starts_with(':'));
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0), "{}", terminal.raw());

    let short = ["search", "*", "--limit", "3"];
    assert!(shown(&daemon, 80, &[], &short).lines().len() == 8);
    daemon.stop();
}

#[test]
fn the_pager_is_who_the_user_says() {
    let daemon = daemon();
    let args = ["search", "*", "--limit", "50"];
    for pager in ["", "cat", "/no/such/pager -x"] {
        let lines =
            shown(&daemon, 80, &[("TRAILDEX_PAGER", pager), ("PAGER", "false")], &args).lines();
        assert!(lines.len() > 100, "{pager}: {lines:#?}");
    }
    let settings = [("TRAILDEX_PAGER", "sed 's/^/: /'"), ("PAGER", "false")];
    assert!(shown(&daemon, 120, &settings, &args).lines()[0].starts_with(": time"));
    assert!(
        shown(&daemon, 120, &[("PAGER", "sed 's/^/> /'")], &args).lines()[0].starts_with("> time")
    );
    // One that does not read is no failure, and does not become the answer's exit code.
    let lines = shown(&daemon, 80, &[("PAGER", "false")], &args).lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    daemon.stop();
}

#[test]
fn a_wrong_query_is_pointed_at() {
    let daemon = daemon();
    let args = ["search", "root AND évntName:Decrypt"];
    let mut terminal = Terminal::start(&daemon.socket, (80, 24), &[], &args);
    assert_eq!(terminal.end().code(), Some(2));
    let lines = terminal.lines();
    let [_, query, caret] = &lines[..3] else { panic!("{lines:#?}") };
    assert_eq!(query.trim(), args[1]);
    let place = query.chars().position(|c| c == 'é').unwrap();
    assert_eq!(caret.chars().position(|c| c == '^'), Some(place), "{lines:#?}");
    daemon.stop();
}

#[test]
fn ctrl_c_ends_a_command_that_waits_for_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    // It takes the question, and says nothing.
    let listener = UnixListener::bind(&socket).unwrap();
    let mut terminal = Terminal::start(&socket, (80, 24), &[], &["search", "*"]);
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    terminal.press("\x03");
    assert_eq!(terminal.end().signal(), Some(2));
}

#[test]
fn without_a_daemon_the_terminal_says_what_would_help() {
    let socket = Path::new("/nonexistent/socket");
    let mut terminal = Terminal::start(socket, (80, 24), &[], &["search", "*"]);
    assert_eq!(terminal.end().code(), Some(3));
    let text = terminal.screen.screen().contents();
    assert!(text.contains("/nonexistent/socket") && text.contains("traildex serve"), "{text}");
}
