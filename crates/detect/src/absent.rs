//! What did not follow: events behind which one of another rule does not come in time. Pure.

use std::collections::HashMap;

use crate::window::Occurrence;

/// Of `events`, those behind which none of `others` with the same group comes within a time; and how many
/// are too late in the archive to know. One of the same second counts as behind, but no event is behind
/// itself.
pub(crate) fn find(
    events: Vec<Occurrence>,
    others: Vec<Occurrence>,
    within: i64,
    end: i64,
) -> (Vec<Occurrence>, u64) {
    let mut by_group: HashMap<Vec<String>, Vec<(i64, String)>> = HashMap::new();
    for Occurrence { group, time, id, .. } in others {
        by_group.entry(group).or_default().push((time, id));
    }
    for times in by_group.values_mut() {
        times.sort_unstable();
    }
    let (mut found, mut open) = (Vec::new(), 0);
    for event in events {
        let until = event.time.saturating_add(within);
        let times = by_group.get(&event.group).map(Vec::as_slice).unwrap_or_default();
        let first = times.partition_point(|(time, _)| *time < event.time);
        let follows = times[first..]
            .iter()
            .take_while(|(time, _)| *time <= until)
            .any(|(_, id)| *id != event.id);
        if follows {
            continue;
        }
        if until >= end {
            open += 1;
        } else {
            found.push(event);
        }
    }
    found.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    (found, open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(id: &str, time: i64, group: &str) -> Occurrence {
        let (id, group) = (id.to_owned(), vec![group.to_owned()]);
        Occurrence { time, id, rule: 0, group, value: None }
    }

    #[test]
    fn what_follows_in_time_and_group_is_no_finding() {
        let events = vec![at("a", 0, "g"), at("b", 10, "g"), at("c", 20, "h"), at("d", 98, "g")];
        let others = vec![at("x", 5, "g"), at("y", 15, "h"), at("b", 10, "g")];
        let (found, open) = find(events, others, 5, 100);
        let ids: Vec<&str> = found.iter().map(|event| event.id.as_str()).collect();
        assert_eq!((ids, open), (vec!["b", "c"], 1));
    }
}
