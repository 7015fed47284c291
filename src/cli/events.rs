//! Events as tables: one a row, and where that is too wide for the terminal, one in two lines: when, what
//! and with what outcome; below it who, with which credentials, on what, from where. Headings are the names
//! that queries take.

use std::collections::HashSet;

use comfy_table::Color;

use crate::cli::output::Look;
use crate::cli::table::{Cell, paragraph, table, whole};
use crate::cli::times::Times;
use formats::record::Record;
use formats::sentence::targets;
use wire::{Hit, Integrity};

/// The columns, and whether only the wide table has them.
const COLUMNS: [(&str, bool); 12] = [
    ("time", false),
    ("actor", false),
    ("credential", false),
    ("action", false),
    ("target", false),
    ("ip", false),
    ("region", false),
    ("account", true),
    ("client", true),
    ("outcome", false),
    ("error", true),
    ("id", false),
];

/// Those of an event's first line, where it has two.
const FIRST_LINE: [&str; 4] = ["time", "action", "outcome", "id"];

/// Of the second line.
const INDENT: usize = 4;

/// Targets of an event that a cell shows; `--wide` and other forms have all.
pub(super) const TARGETS_SHOWN_MAX: usize = 3;

/// Characters to which ids are cut: the ends of the parts of a UUID.
const ID_CUTS: [usize; 4] = [8, 13, 18, 23];

/// How a table of events is to be.
#[derive(Clone, Debug, Default)]
pub(super) struct EventsLook {
    /// Each event on one line, however wide, with all columns and nothing cut.
    pub is_wide: bool,
    pub times: Times,
}

/// Events as this place can show them.
pub(super) fn events_table(hits: &[Hit], how: &EventsLook, look: Look) -> String {
    let ids = short_ids(hits);
    let shown: Vec<(&Hit, &str)> = hits.iter().zip(ids).collect();
    let names = COLUMNS.iter().filter(|(_, is_wide)| how.is_wide || !is_wide);
    let mut names: Vec<&str> = names.map(|(name, _)| *name).collect();
    if hits.iter().any(|hit| odd_integrity(hit).is_some()) {
        names.push("integrity");
    }
    let rows: Vec<Vec<Cell>> = shown.iter().map(|shown| row(&names, *shown, how)).collect();
    if how.is_wide {
        return table(&names, &rows, Look { width: None, ..look });
    }
    whole(&names, &rows, look).unwrap_or_else(|| in_two_lines(&shown, how, look))
}

/// The beginnings of ids, as short as still tells these events apart.
fn short_ids(hits: &[Hit]) -> Vec<&str> {
    fn cut(id: &str, at: usize) -> &str {
        let is_uuid = id.len() == 36 && ID_CUTS.iter().all(|dash| id.as_bytes()[*dash] == b'-');
        if is_uuid { &id[..at] } else { id }
    }
    let ids = || hits.iter().map(|hit| hit.meta.id.as_str());
    let distinct = ids().collect::<HashSet<_>>().len();
    let tells = |at: &usize| ids().map(|id| cut(id, *at)).collect::<HashSet<_>>().len() == distinct;
    match ID_CUTS.into_iter().find(tells) {
        Some(at) => ids().map(|id| cut(id, at)).collect(),
        None => ids().collect(),
    }
}

fn row(names: &[&str], (hit, id): (&Hit, &str), how: &EventsLook) -> Vec<Cell> {
    let record = Record::new(&hit.event);
    let text = |text: &str| Cell::text((!text.is_empty()).then_some(text));
    let cell = |name: &&str| match *name {
        "time" => text(&how.times.shown(&hit.meta.time)),
        "actor" => text(&hit.meta.actor),
        "credential" => marked(text(&hit.meta.credential), hit),
        "action" => Cell::text(record.action().as_deref()),
        "target" => text(&targets(hit, if how.is_wide { usize::MAX } else { TARGETS_SHOWN_MAX })),
        "ip" => Cell::text(record.text(&["sourceIPAddress"]).as_deref()),
        "region" => Cell::text(record.text(&["awsRegion"]).as_deref()),
        "account" => text(&hit.meta.account),
        "integrity" => text(odd_integrity(hit).map_or("", Integrity::name)),
        "client" => text(&hit.meta.client),
        "outcome" => outcome(text(&hit.meta.outcome), hit),
        "error" => text(&hit.meta.error),
        _ => text(if how.is_wide { &hit.meta.id } else { id }),
    };
    names.iter().map(cell).collect()
}

/// What digests say of the event, unless it is verified or there are none.
fn odd_integrity(hit: &Hit) -> Option<Integrity> {
    hit.meta.integrity.filter(|state| !matches!(state, Integrity::Verified | Integrity::NoDigest))
}

fn in_two_lines(shown: &[(&Hit, &str)], how: &EventsLook, look: Look) -> String {
    let rows = |names: &[&str]| -> Vec<Vec<Cell>> {
        shown.iter().map(|shown| row(names, *shown, how)).collect()
    };
    let with_outcomes = whole(&FIRST_LINE, &rows(&FIRST_LINE), look);
    let has_outcomes = with_outcomes.is_some();
    let first = with_outcomes.unwrap_or_else(|| {
        let names = &FIRST_LINE[..2];
        // Without a bound, a row is one line.
        table(names, &rows(names), Look { width: None, ..look })
    });
    let mut lines = first.lines();
    let mut text: String = lines.next().map(|header| format!("{header}\n")).unwrap_or_default();
    for (line, shown) in lines.zip(shown) {
        let second = paragraph(&second_line(*shown, !has_outcomes), INDENT, look);
        text.push_str(&format!("{line}\n{second}\n"));
    }
    text.trim_end().to_owned()
}

/// `alice (iam-user) on my-bucket/key from 203.0.113.7 in eu-west-1`, and where the first line had no room
/// for them, outcome and id behind it: `: denied, 3f2a8c11`.
fn second_line((hit, id): (&Hit, &str), has_outcome: bool) -> Cell {
    let record = Record::new(&hit.event);
    let part = |word: &str, value: Option<String>| {
        value.map(|value| format!(" {word} {value}")).unwrap_or_default()
    };
    let target = targets(hit, TARGETS_SHOWN_MAX);
    let on = part("on", (!target.is_empty()).then_some(target));
    let from = part("from", record.text(&["sourceIPAddress"]));
    let at = part("in", record.text(&["awsRegion"]));
    let odd = part("is", odd_integrity(hit).map(|state| state.to_string()));
    let line = format!("{} ({}){on}{from}{at}", hit.meta.actor, hit.meta.credential);
    let line = if odd.is_empty() { line } else { format!("{line},{odd}") };
    if !has_outcome {
        return marked(Cell::text(Some(&line)), hit);
    }
    let parts = [hit.meta.outcome.as_str(), id];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let cell = Cell::text(Some(&format!("{line}: {}", parts.join(", "))));
    outcome(marked(cell, hit), hit)
}

/// What root did stands out.
fn marked(cell: Cell, hit: &Hit) -> Cell {
    if hit.meta.credential == "root" { cell.coloured(Color::Yellow).bold() } else { cell }
}

/// What did not succeed stands out.
fn outcome(cell: Cell, hit: &Hit) -> Cell {
    match hit.meta.outcome.as_str() {
        "denied" => cell.coloured(Color::Red).bold(),
        "failure" => cell.coloured(Color::Red),
        _ => cell,
    }
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
            outcome: "success".into(),
            file: "a.json.gz".into(),
            offset: 12,
            ..Meta::default()
        };
        Hit { event: RawValue::from_string(event.into()).unwrap(), meta, highlights: Vec::new() }
    }

    fn hits() -> [Hit; 2] {
        let mut hits = [
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
        hits[0].meta.outcome = "denied".into();
        hits[0].meta.error = "AccessDenied".into();
        hits[0].meta.target = vec!["bucket/key".into()];
        hits[0].meta.id = "3f2a8c11-0000-4000-8000-000000000001".into();
        hits
    }

    fn shown(width: Option<u16>, has_colour: bool) -> String {
        let look = Look { is_terminal: width.is_some(), width, has_colour };
        events_table(&hits(), &EventsLook::default(), look) + "\n"
    }

    const UNBOUNDED: &str = r"time                  actor                                           credential    action                        target      ip           region     outcome  id
2023-07-10T11:42:36Z  alice                                           root          s3:GetObject                  bucket/key  203.0.113.7  eu-west-1  denied   3f2a8c11
2023-07-10T11:42:36Z  deploy-role/\u{1b}[2Jsession-of-a-build-server  assumed-role  access-analyzer:ListFindings  -           -            -          success  e1
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
        let expected = r"time                  action                        outcome  id
2023-07-10T11:42:36Z  s3:GetObject                  denied   3f2a8c11
    alice (root) on bucket/key from 203.0.113.7 in eu-west-1
2023-07-10T11:42:36Z  access-analyzer:ListFindings  success  e1
    deploy-role/\u{1b}[2Jsession-of-a-build-server (assumed-role)
";
        assert_eq!(shown(Some(80), false), expected);
    }

    #[test]
    fn a_narrower_terminal_has_the_outcomes_behind_the_rest() {
        let expected = r"time                  action
2023-07-10T11:42:36Z  s3:GetObject
    alice (root) on bucket/key from 203.0.113.7 in eu-west-
    1: denied, 3f2a8c11
2023-07-10T11:42:36Z  access-analyzer:ListFindings
    deploy-role/\u{1b}[2Jsession-of-a-build-server (assumed-
    role): success, e1
";
        assert_eq!(shown(Some(60), false), expected);
    }

    #[test]
    fn the_wide_table_has_all_columns_whole_on_any_terminal() {
        let look = Look { is_terminal: true, width: Some(80), has_colour: false };
        let how = EventsLook { is_wide: true, times: Times::of(Some("Europe/Berlin")).unwrap() };
        let mut hits = hits();
        hits[0].meta.target = (1..=5).map(|n| format!("i-{n}")).collect();
        let wide = events_table(&hits, &how, look);
        let lines: Vec<Vec<&str>> = wide
            .lines()
            .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).collect())
            .collect();
        let names = COLUMNS.map(|(name, _)| name);
        assert_eq!(lines[0].iter().map(|name| name.trim()).collect::<Vec<_>>(), names);
        let row: Vec<&str> = lines[1].iter().map(|cell| cell.trim()).collect();
        let expected = [
            "2023-07-10T13:42:36+02:00",
            "alice",
            "root",
            "s3:GetObject",
            "i-1, i-2, i-3, i-4, i-5",
            "203.0.113.7",
            "eu-west-1",
            "-",
            "-",
            "denied",
            "AccessDenied",
            "3f2a8c11-0000-4000-8000-000000000001",
        ];
        assert_eq!(row, expected);
        let narrow = events_table(&hits, &EventsLook::default(), Look::default());
        assert!(narrow.contains("i-1, i-2, i-3 and 2 more"), "{narrow}");
    }

    #[test]
    fn ids_are_as_short_as_tells_them_apart() {
        let ids = |ids: &[&str]| {
            let with_id = |id: &&str| {
                let mut hit = hit("a", "root", "{}");
                hit.meta.id = (*id).to_owned();
                hit
            };
            short_ids(&ids.iter().map(with_id).collect::<Vec<_>>()).join(" ")
        };
        let [a, b] =
            ["3f2a8c11-0000-4000-8000-000000000001", "3f2a8c11-0001-4000-8000-000000000001"];
        assert_eq!(ids(&[a, "0:12", "not-a-uuid"]), "3f2a8c11 0:12 not-a-uuid");
        assert_eq!(ids(&[a, a]), "3f2a8c11 3f2a8c11");
        assert_eq!(ids(&[a, b]), "3f2a8c11-0000 3f2a8c11-0001");
    }

    #[test]
    fn colours_mark_errors_and_root_and_only_where_asked() {
        for width in [80, 200] {
            let coloured = shown(Some(width), true);
            assert!(coloured.contains("\x1b[38;5;9m\x1b[1mdenied"), "{coloured:?}");
            assert!(coloured.contains("\x1b[38;5;11m\x1b[1m"), "{coloured:?}");
        }
        assert!(!shown(Some(80), false).contains('\x1b'));
    }
}
