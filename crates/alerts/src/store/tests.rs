use super::*;
use crate::limits::RULE_ALERTS_MAX;
use detect::Scope;
use wire::AlertsRequest;

fn decision(group: &str, at: i64) -> Decision {
    Decision {
        names: vec!["principal".to_owned()],
        group: vec![group.to_owned()],
        at,
        first: at,
        last: at,
        events: 2,
        ids: Vec::new(),
        query: None,
    }
}

fn keep(alerts: &Alerts, key: &str, decisions: Vec<Decision>, seen: Option<Seen>) -> usize {
    let rule =
        AlertRule { title: key.to_owned(), level: "high".to_owned(), ..AlertRule::default() };
    let decided = Decided { scope: Scope::all(), decisions, events_without_group: 0 };
    let of = Deciding { key, kind: "events", rule: &rule };
    alerts.keep(vec![Verdict { of, decided, may_withdraw: true }], seen).unwrap()
}

fn open(folder: &tempfile::TempDir) -> Alerts {
    let (alerts, note) = Alerts::open(folder.path(), Arc::new(RealDisk)).unwrap();
    assert_eq!(note, None);
    alerts
}

fn count(alerts: &Alerts, rule: &str) -> u64 {
    let request = AlertsRequest { rule: Some(rule.to_owned()), ..AlertsRequest::default() };
    alerts.list(&request, (None, None)).unwrap().total
}

#[test]
fn a_rule_that_finds_without_end_hides_nothing_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = open(&folder);
    keep(&alerts, "quiet", vec![decision("eve", 1)], None);
    let many = |from: i64, to: i64| (from..to).map(|at| decision("noise", at)).collect::<Vec<_>>();
    let max = RULE_ALERTS_MAX as i64;
    keep(&alerts, "noisy", many(0, max), None);
    assert_eq!((count(&alerts, "noisy"), alerts.seen().dropped), (max as u64, 0));
    keep(&alerts, "noisy", many(0, 2 * max), Some(Seen { next_file: 7, ..Seen::default() }));
    let left = count(&alerts, "noisy");
    assert!(left <= max as u64 && left >= max as u64 / 2, "{left}");
    assert_eq!(count(&alerts, "quiet"), 1);
    let dropped = alerts.seen().dropped;
    assert_eq!(dropped, 2 * max as u64 - left);
    // The latest are there. Those that went are not raised again, now or by the next process.
    assert_eq!(keep(&alerts, "noisy", many(0, 2 * max), None), 0);
    drop(alerts);
    let alerts = open(&folder);
    assert_eq!(keep(&alerts, "noisy", many(0, 2 * max), None), 0);
    assert_eq!((count(&alerts, "noisy"), alerts.seen().dropped), (left, dropped));
    assert_eq!(alerts.seen().next_file, 7);
    assert!(alerts.standing("noisy").iter().all(|standing| standing.at >= max));
}

#[test]
fn nobody_is_told_of_what_is_dropped_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = open(&folder);
    let max = RULE_ALERTS_MAX as i64;
    let many: Vec<Decision> = (0..=max).rev().map(|at| decision("noise", at)).collect();
    let told = keep(&alerts, "noisy", many, None) as u64;
    assert_eq!((count(&alerts, "noisy"), alerts.seen().dropped), (told, max as u64 + 1 - told));
    let changes = alerts.changes(&AlertChangesRequest::default());
    assert_eq!((changes.last, changes.missed), (told, 0));
    assert!(alerts.standing("noisy").iter().any(|standing| standing.at == max), "the latest");
}

#[test]
fn all_rules_together_keep_what_fits_and_each_its_latest() {
    let counts = |rules: usize, each: usize| vec![each; rules];
    assert_eq!(share_of(&counts(10, 100), 1), RULE_ALERTS_MAX);
    // More than fit, evenly and not.
    assert_eq!(share_of(&counts(100, 2_000), 1), 450);
    let mut uneven = counts(300, 100);
    uneven.push(40_000);
    assert_eq!(share_of(&uneven, 1), RULE_ALERTS_MAX - 1, "the noisy one goes");
    let half = share_of(&counts(10, 100), 2 * ALERTS_BYTES_MAX);
    assert!((40..50).contains(&half), "{half}");
    assert_eq!(share_of(&counts(100_000, 1), 1), 1);
}

#[test]
fn what_grows_is_withdrawn_and_comes_back_keeps_its_note() {
    use AlertChangeKind::{Acknowledged, Grown, Raised, Withdrawn};

    let folder = tempfile::tempdir().unwrap();
    let alerts = open(&folder);
    let one = || decision("eve", 1);
    assert_eq!(keep(&alerts, "rule", vec![one(), decision("adam", 2)], None), 2);
    assert_eq!(keep(&alerts, "rule", vec![one(), decision("adam", 2)], None), 0, "nothing is new");
    let id = id_of("rule", "events", &one());
    let set = AlertsChangeRequest {
        ids: vec![id.clone()],
        state: Some(AlertState::Acknowledged),
        note: Some("mine".to_owned()),
    };
    alerts.change(&set, 7).unwrap();
    assert_eq!(alerts.change(&set, 8).unwrap()[0].by, Some(7), "nothing changed");
    assert_eq!(keep(&alerts, "rule", vec![Decision { events: 3, ..one() }], None), 2);
    assert_eq!(keep(&alerts, "rule", Vec::new(), None), 1);
    let alerts = open(&folder);
    assert_eq!(keep(&alerts, "rule", vec![one()], None), 1);
    let changes = alerts.changes(&AlertChangesRequest::default());
    let kinds: Vec<AlertChangeKind> = changes.changes.iter().map(|change| change.change).collect();
    assert_eq!(kinds, [Raised, Raised, Acknowledged, Grown, Withdrawn, Withdrawn, Raised]);
    let alert = &changes.changes[6].alert;
    assert_eq!((alert.note.as_deref(), alert.by, alert.events), (Some("mine"), Some(7), 2));
    assert_eq!(alert.state, AlertState::Open, "it is to be looked at again");
    let after = AlertChangesRequest { after: 6, ..AlertChangesRequest::default() };
    let changes = alerts.changes(&after);
    assert_eq!((changes.changes.len(), changes.last, changes.missed), (1, 7, 0));
}

#[test]
fn old_alerts_go_and_are_not_raised_again() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = open(&folder);
    keep(&alerts, "rule", vec![decision("eve", 10), decision("adam", 20)], None);
    alerts.expire(20).unwrap();
    assert_eq!(count(&alerts, "rule"), 1);
    assert_eq!(keep(&alerts, "rule", vec![decision("eve", 10), decision("adam", 20)], None), 0);
    let alerts = open(&folder);
    alerts.expire(20).unwrap();
    assert_eq!(keep(&alerts, "rule", vec![decision("eve", 10), decision("adam", 20)], None), 0);
    // The change that raised it has nothing to show any more, and is missed.
    let changes = alerts.changes(&AlertChangesRequest::default());
    assert_eq!((changes.changes.len(), changes.missed), (1, 1));
    let after = AlertChangesRequest { after: 2, ..AlertChangesRequest::default() };
    assert_eq!((alerts.changes(&after).changes.len(), alerts.changes(&after).missed), (0, 0));
    // Where more is kept, it comes back.
    alerts.expire(i64::MIN).unwrap();
    assert_eq!(keep(&alerts, "rule", vec![decision("eve", 10), decision("adam", 20)], None), 1);
}
