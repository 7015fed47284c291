//! The map of `traildex coverage --format map`: a row for each account and region, and a sign for each
//! day or hour, the darker the more events.

use std::collections::BTreeMap;

use crate::cli::coverage::shown;
use crate::cli::output::Look;
use crate::cli::text::{escape, thousands};
use trail::time::Micros;
use wire::{CoverageGroup, CoverageKey};

/// Signs of a row, where there is no terminal that says how many fit.
const SIGNS: usize = 96;

/// Signs that a row has at least, however narrow the terminal is.
const SIGNS_MIN: usize = 10;

/// From few events to many.
const SHADES: [char; 4] = ['░', '▒', '▓', '█'];

/// No event, and there should be some.
const GAP: char = '!';

/// No event.
const NONE: char = '·';

const HOUR_US: i64 = 3_600 * 1_000_000;

/// What one sign stands for.
#[derive(Clone, Copy, Default)]
struct Sum {
    events: u64,
    missing: u64,
}

/// Draws the groups; without a time, each group is one sign.
pub(super) fn map(groups: &[CoverageGroup], by: &[CoverageKey], look: Look) -> String {
    let is_hour = by.contains(&CoverageKey::Hour);
    let unit = if is_hour { HOUR_US } else { 24 * HOUR_US };
    let times = groups.iter().filter_map(|group| group.time);
    let first = times.clone().min().unwrap_or_default();
    let last = times.max().unwrap_or_default();
    let units = ((last.0 - first.0) / unit + 1) as usize;
    let label = |group: &CoverageGroup| {
        let names = [&group.account, &group.region].into_iter().flatten();
        let names = names.map(|name| if name.is_empty() { "-".into() } else { escape(name) });
        names.collect::<Vec<_>>().join(" ")
    };
    let width = groups.iter().map(|group| label(group).chars().count()).max().unwrap_or(0);
    let room = look.width.map_or(SIGNS, |columns| usize::from(columns).saturating_sub(width + 2));
    let each = units.div_ceil(room.max(SIGNS_MIN));
    let mut rows: BTreeMap<String, Vec<Sum>> = BTreeMap::new();
    for group in groups {
        let at = group.time.map_or(0, |time| ((time.0 - first.0) / unit) as usize / each);
        let row =
            rows.entry(label(group)).or_insert_with(|| vec![Sum::default(); units.div_ceil(each)]);
        row[at].events += group.events;
        row[at].missing += group.missing;
    }
    let most = rows.values().flatten().map(|sum| sum.events).max().unwrap_or(0);
    let mut lines = vec![format!("{:width$}  {}", "", scale(first, last, is_hour))];
    for (label, row) in &rows {
        let signs: String = row.iter().map(|sum| sign(*sum, most)).collect();
        let pad = " ".repeat(width - label.chars().count());
        lines.push(format!("{label}{pad}  {signs}"));
    }
    let unit = match (each, is_hour) {
        (1, true) => "an hour".to_owned(),
        (1, false) => "a day".to_owned(),
        (each, true) => format!("{each} hours"),
        (each, false) => format!("{each} days"),
    };
    lines.push(format!(
        "a sign is {unit}: {GAP} a gap, {NONE} no events, {} up to {} events",
        SHADES.iter().collect::<String>(),
        thousands(most)
    ));
    lines.join("\n")
}

fn scale(first: Micros, last: Micros, is_hour: bool) -> String {
    format!("{} to {}", shown(first, is_hour), shown(last, is_hour))
}

/// Shades go by the logarithm: one busy day does not hide the others.
fn sign(sum: Sum, most: u64) -> char {
    if sum.missing > 0 {
        return GAP;
    }
    if sum.events == 0 {
        return NONE;
    }
    let share = (sum.events as f64 + 1.0).ln() / (most as f64 + 1.0).ln();
    SHADES[((share * SHADES.len() as f64).ceil() as usize).clamp(1, SHADES.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_shows_gaps_and_how_much_there_is() {
        let group = |region: &str, day: i64, events: u64, missing: u64| CoverageGroup {
            account: Some("111122223333".into()),
            region: Some(region.into()),
            time: Some(Micros(day * 24 * HOUR_US)),
            events,
            missing,
            ..CoverageGroup::default()
        };
        let groups = [
            group("eu\u{1b}", 1, 5, 0),
            group("us-east-1", 0, 1, 0),
            group("us-east-1", 1, 0, 24),
            group("us-east-1", 3, 100_000, 0),
        ];
        let by = CoverageKey::DEFAULT;
        let expected = r"
                        1970-01-01 to 1970-01-04
111122223333 eu\u{1b}   ·░··
111122223333 us-east-1  ░!·█
a sign is a day: ! a gap, · no events, ░▒▓█ up to 100,000 events";
        assert_eq!(map(&groups, &by, Look::default()), expected[1..]);
    }
}
