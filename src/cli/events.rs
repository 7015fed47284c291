//! Events as tables: one a row, and where that is too wide for the terminal, one in two lines: when, what
//! and with what result; below it who, with which credentials, from where.

use comfy_table::Color;

use crate::cli::output::Look;
use crate::cli::record::Record;
use crate::cli::table::{Cell, paragraph, table, whole};
use wire::Hit;

const HEADER: [&str; 7] = ["TIME", "ACTOR", "CREDENTIAL", "ACTION", "SOURCE", "REGION", "RESULT"];

/// Those of an event's first line, where it has two.
const FIRST_LINE: [&str; 3] = ["TIME", "ACTION", "RESULT"];

/// Of the second line.
const INDENT: usize = 4;

/// Events as this place can show them.
pub(super) fn events_table(hits: &[Hit], look: Look) -> String {
    let rows: Vec<Vec<Cell>> = hits.iter().map(row).collect();
    whole(&HEADER, &rows, look).unwrap_or_else(|| in_two_lines(hits, look))
}

fn row(hit: &Hit) -> Vec<Cell> {
    let record = Record::new(&hit.event);
    vec![
        Cell::text(Some(&hit.meta.time)),
        Cell::text(Some(&hit.meta.actor)),
        marked(Cell::text(Some(&hit.meta.credential)), hit),
        Cell::text(record.action().as_deref()),
        Cell::text(record.text(&["sourceIPAddress"]).as_deref()),
        Cell::text(record.text(&["awsRegion"]).as_deref()),
        result(&record),
    ]
}

fn in_two_lines(hits: &[Hit], look: Look) -> String {
    let first = |hit: &Hit| {
        let record = Record::new(&hit.event);
        let time = Cell::text(Some(&hit.meta.time));
        vec![time, Cell::text(record.action().as_deref()), result(&record)]
    };
    let mut rows: Vec<Vec<Cell>> = hits.iter().map(first).collect();
    let with_results = whole(&FIRST_LINE, &rows, look);
    let has_results = with_results.is_some();
    let first = with_results.unwrap_or_else(|| {
        for row in &mut rows {
            row.truncate(2);
        }
        // Without a bound, a row is one line.
        table(&FIRST_LINE[..2], &rows, Look { width: None, ..look })
    });
    let mut lines = first.lines();
    let mut text: String = lines.next().map(|header| format!("{header}\n")).unwrap_or_default();
    for (line, hit) in lines.zip(hits) {
        let second = paragraph(&second_line(hit, !has_results), INDENT, look);
        text.push_str(&format!("{line}\n{second}\n"));
    }
    text.trim_end().to_owned()
}

/// `alice (iam-user) from 203.0.113.7 in eu-west-1`, and where the first line had no room for the result,
/// `: AccessDenied` behind it.
fn second_line(hit: &Hit, has_result: bool) -> Cell {
    let record = Record::new(&hit.event);
    let part = |word: &str, name| {
        record.text(&[name]).map(|value| format!(" {word} {value}")).unwrap_or_default()
    };
    let (from, at) = (part("from", "sourceIPAddress"), part("in", "awsRegion"));
    let line = format!("{} ({}){from}{at}", hit.meta.actor, hit.meta.credential);
    if !has_result {
        return marked(Cell::text(Some(&line)), hit);
    }
    let result = record.result();
    let cell = marked(Cell::text(Some(&format!("{line}: {result}"))), hit);
    if result == "ok" { cell } else { cell.coloured(Color::Red) }
}

/// What root did stands out.
fn marked(cell: Cell, hit: &Hit) -> Cell {
    if hit.meta.credential == "root" { cell.coloured(Color::Yellow).bold() } else { cell }
}

fn result(record: &Record) -> Cell {
    let result = record.result();
    let cell = Cell::text(Some(&result));
    if result == "ok" { cell } else { cell.coloured(Color::Red) }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use wire::Meta;

    pub(crate) fn hit(actor: &str, credential: &str, event: &str) -> Hit {
        let meta = Meta {
            id: "e1".into(),
            time: "2023-07-10T11:42:36Z".into(),
            actor: actor.into(),
            credential: credential.into(),
            file: "a.json.gz".into(),
            offset: 12,
            row: None,
            column: None,
            flags: Vec::new(),
            raw: None,
        };
        Hit { event: RawValue::from_string(event.into()).unwrap(), meta, highlights: Vec::new() }
    }

    fn shown(width: Option<u16>, has_colour: bool) -> String {
        let hits = [
            hit(
                "alice",
                "root",
                r#"{"eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1",
                    "sourceIPAddress":"203.0.113.7","errorCode":"AccessDenied"}"#,
            ),
            hit(
                "deploy-role/\x1b[2Jsession-of-a-build-server",
                "assumed-role",
                r#"{"eventSource":"access-analyzer.amazonaws.com","eventName":"ListFindings"}"#,
            ),
        ];
        events_table(&hits, Look { is_terminal: width.is_some(), width, has_colour }) + "\n"
    }

    const UNBOUNDED: &str = r"TIME                  ACTOR                                           CREDENTIAL    ACTION                        SOURCE       REGION     RESULT
2023-07-10T11:42:36Z  alice                                           root          s3:GetObject                  203.0.113.7  eu-west-1  AccessDenied
2023-07-10T11:42:36Z  deploy-role/\u{1b}[2Jsession-of-a-build-server  assumed-role  access-analyzer:ListFindings  -            -          ok
";

    #[test]
    fn a_table_without_a_terminal_is_as_wide_as_its_text() {
        assert_eq!(shown(None, false), UNBOUNDED);
    }

    #[test]
    fn a_wide_terminal_gets_the_same_table() {
        assert_eq!(shown(Some(200), false), UNBOUNDED);
    }

    #[test]
    fn a_narrow_terminal_gets_two_lines_an_event_and_loses_nothing() {
        let expected = r"TIME                  ACTION                        RESULT
2023-07-10T11:42:36Z  s3:GetObject                  AccessDenied
    alice (root) from 203.0.113.7 in eu-west-1
2023-07-10T11:42:36Z  access-analyzer:ListFindings  ok
    deploy-role/\u{1b}[2Jsession-of-a-build-server (assumed-role)
";
        assert_eq!(shown(Some(80), false), expected);
    }

    #[test]
    fn a_narrower_terminal_has_the_results_behind_the_rest() {
        let expected = r"TIME                  ACTION
2023-07-10T11:42:36Z  s3:GetObject
    alice (root) from 203.0.113.7 in eu-west-1: AccessDenied
2023-07-10T11:42:36Z  access-analyzer:ListFindings
    deploy-role/\u{1b}[2Jsession-of-a-build-server (assumed-
    role): ok
";
        assert_eq!(shown(Some(60), false), expected);
    }

    #[test]
    fn colours_mark_errors_and_root_and_only_where_asked() {
        for width in [80, 200] {
            let coloured = shown(Some(width), true);
            assert!(coloured.contains("\x1b[38;5;9mAccessDenied"), "{coloured:?}");
            assert!(coloured.contains("\x1b[38;5;11m\x1b[1m"), "{coloured:?}");
        }
        assert!(!shown(Some(80), false).contains('\x1b'));
    }
}
