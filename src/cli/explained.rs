//! What an answer says of itself, as text: how a search was done (`--explain`), and why nothing was found.

use crate::cli::text::{counted, escape, escape_cut, thousands};
use wire::{Explain, ExplainCondition, Explanation};

/// Characters of a condition in a sentence: two lines of a terminal.
const CONDITION_CHARS_MAX: usize = 160;

/// The steps of a search, and what each condition finds by itself.
pub(super) fn steps(explain: &Explain) -> String {
    let mut lines = vec![format!("query     {}", escape(&explain.query))];
    if explain.start.is_some() || explain.end.is_some() {
        let bound = |time: &Option<String>| time.clone().unwrap_or_else(|| "…".to_owned());
        lines.push(format!("time      {} to {}", bound(&explain.start), bound(&explain.end)));
    }
    lines.push(format!(
        "segments  {}, {} without an event in that time",
        thousands(explain.segments),
        thousands(explain.segments_skipped)
    ));
    for step in &explain.steps {
        lines.push(format!("step      {}, {:.1} ms", escape(&step.step), step.ms));
    }
    lines.extend(explain.conditions.iter().map(|known| format!("finds     {}", condition(known))));
    lines.join("\n")
}

/// Why nothing was found, and what there is instead.
pub(super) fn why_empty(why: &Explanation) -> String {
    let mut lines = Vec::new();
    match (&why.first, &why.last) {
        (Some(first), Some(last)) if why.events == 0 => {
            lines.push(format!("no event is of that time; the index spans {first} to {last}"));
        }
        (Some(_), Some(_)) => {}
        _ => lines.push("the index has no event".to_owned()),
    }
    lines.extend(why.conditions.iter().map(|known| format!("  {}", condition(known))));
    if let Some(emptied_by) = why.emptied_by.as_deref().filter(|_| tells_more(why)) {
        let condition = escape_cut(emptied_by, CONDITION_CHARS_MAX);
        lines.push(format!("the first that leaves nothing: {condition}"));
    }
    for near in &why.near {
        lines.push(format!(
            "instead of {}: {}, {} ({})",
            escape_cut(&near.instead_of, CONDITION_CHARS_MAX),
            escape_cut(&near.condition, CONDITION_CHARS_MAX),
            counted(near.events, "event"),
            near.difference.words()
        ));
    }
    for word in &why.operators_as_words {
        lines.push(format!("'{}' was searched as a word", escape(word)));
    }
    if !why.left_out.is_empty() {
        lines.push(format!("left out here: {}", why.left_out.join("; ")));
    }
    lines.join("\n")
}

/// Whether the counts of the conditions do not say it already.
fn tells_more(why: &Explanation) -> bool {
    why.conditions.len() != 1
}

fn condition(ExplainCondition { condition, events, ms }: &ExplainCondition) -> String {
    let condition = escape_cut(condition, CONDITION_CHARS_MAX);
    format!("{condition}: {}, {ms:.1} ms", counted(*events, "event"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Difference, Near};

    #[test]
    fn an_empty_answer_says_why() {
        let condition = |condition: &str, events| ExplainCondition {
            condition: condition.into(),
            events,
            ms: 0.04,
        };
        let why = Explanation {
            events: 2_900,
            first: Some("2023-07-10T11:00:00Z".into()),
            last: Some("2023-07-10T13:00:00Z".into()),
            conditions: vec![
                condition("region:us-east-1", 1_200),
                condition("eventName:put\u{1b}", 0),
            ],
            emptied_by: Some("eventName:put\u{1b}".into()),
            near: vec![Near {
                instead_of: "eventName:put\u{1b}".into(),
                condition: "eventName:Put".into(),
                events: 1,
                difference: Difference::Case,
            }],
            operators_as_words: vec!["between".into()],
            left_out: vec!["2 more conditions".into()],
        };
        let expected = r"  region:us-east-1: 1,200 events, 0.0 ms
  eventName:put\u{1b}: 0 events, 0.0 ms
the first that leaves nothing: eventName:put\u{1b}
instead of eventName:put\u{1b}: eventName:Put, 1 event (another case)
'between' was searched as a word
left out here: 2 more conditions";
        assert_eq!(why_empty(&why), expected);
        let of_time = Explanation::default();
        assert_eq!(why_empty(&of_time), "the index has no event");
    }
}
