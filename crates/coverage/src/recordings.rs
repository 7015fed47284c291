//! Which data events were recorded from when to when: the selectors of each trail over time.

use std::collections::BTreeMap;

use crate::limits::RECORDINGS_MAX;
use crate::selectors::Selectors;
use crate::trails::Change;
use trail::time::Micros;
use wire::Recording;

/// What is known of a trail at some time.
#[derive(Default)]
struct Trail {
    /// What it is told to record; None where the archive does not say.
    selectors: Option<Selectors>,
    is_stopped: bool,
    is_organization: bool,
    /// Its recordings that go on, by their places in the list.
    open: Vec<usize>,
}

/// The recordings that changes make, the earliest change first. Those that begin with the change of a
/// selector are at least that long: what applied before the first change is not known.
pub(crate) fn recordings(changes: &[Change]) -> Vec<Recording> {
    let mut trails: BTreeMap<(&str, &str, &str), Trail> = BTreeMap::new();
    let mut recordings = Vec::new();
    for change in changes {
        let told = &change.told;
        let key = (told.account.as_str(), told.region.as_str(), told.trail.as_str());
        let trail = trails.entry(key).or_default();
        trail.is_organization = change.is_organization.unwrap_or(trail.is_organization);
        match told.action.as_str() {
            "StopLogging" => {
                close(trail, told.time, &mut recordings);
                trail.is_stopped = true;
            }
            "DeleteTrail" => {
                close(trail, told.time, &mut recordings);
                *trail = Trail { is_stopped: true, ..Trail::default() };
            }
            "StartLogging" if trail.is_stopped => {
                trail.is_stopped = false;
                open(trail, change, &mut recordings);
            }
            "CreateTrail" => {
                close(trail, told.time, &mut recordings);
                *trail = Trail {
                    selectors: change.selectors.clone(),
                    is_organization: trail.is_organization,
                    ..Trail::default()
                };
            }
            "PutEventSelectors" if change.selectors.is_some() => {
                close(trail, told.time, &mut recordings);
                trail.selectors.clone_from(&change.selectors);
                if !trail.is_stopped {
                    open(trail, change, &mut recordings);
                }
            }
            _ => {}
        }
    }
    recordings
}

fn close(trail: &mut Trail, time: Micros, recordings: &mut [Recording]) {
    for at in trail.open.drain(..) {
        recordings[at].until = Some(time);
    }
}

fn open(trail: &mut Trail, change: &Change, recordings: &mut Vec<Recording>) {
    let told = &change.told;
    for data in trail.selectors.iter().flat_map(|selectors| &selectors.data) {
        if recordings.len() >= RECORDINGS_MAX {
            return;
        }
        trail.open.push(recordings.len());
        recordings.push(Recording {
            resource_type: data.resource_type.clone(),
            resources: data.resources.clone().unwrap_or_default(),
            only: data.only.clone(),
            account: told.account.clone(),
            is_organization: trail.is_organization,
            region: told.region.clone(),
            trail: told.trail.clone(),
            from: told.time,
            until: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::change;

    const S3: &str = r#"{"eventSelectors":[{"includeManagementEvents":true,
        "dataResources":[{"type":"AWS::S3::Object","values":["arn:aws:s3:::b/"]}]}]}"#;
    const NONE: &str =
        r#"{"eventSelectors":[{"includeManagementEvents":true,"dataResources":[]}]}"#;

    #[track_caller]
    fn check(changes: &[(&str, &str, &str)], expected: &[(&str, Option<&str>)]) {
        let changes: Vec<Change> = changes
            .iter()
            .map(|(time, action, parameters)| change(time, action, "t", parameters))
            .collect();
        let found = recordings(&changes);
        let hour = |time: Micros| time.to_string()[11..16].to_owned();
        let found: Vec<(String, Option<String>)> =
            found.iter().map(|r| (hour(r.from), r.until.map(hour))).collect();
        let expected: Vec<(String, Option<String>)> =
            expected.iter().map(|(from, to)| ((*from).into(), to.map(Into::into))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_recording_lasts_until_its_selector_or_its_trail_ends() {
        check(&[("23:53", "PutEventSelectors", S3)], &[("23:53", None)]);
        check(
            &[("10:00", "PutEventSelectors", S3), ("12:00", "PutEventSelectors", NONE)],
            &[("10:00", Some("12:00"))],
        );
        check(
            &[
                ("10:00", "PutEventSelectors", S3),
                ("11:00", "StopLogging", "{}"),
                ("12:00", "StartLogging", "{}"),
                ("13:00", "DeleteTrail", "{}"),
                ("14:00", "StartLogging", "{}"),
            ],
            &[("10:00", Some("11:00")), ("12:00", Some("13:00"))],
        );
        check(
            &[
                ("09:00", "StopLogging", "{}"),
                ("10:00", "PutEventSelectors", S3),
                ("11:00", "StartLogging", "{}"),
            ],
            &[("11:00", None)],
        );
        check(&[("10:00", "CreateTrail", "{}"), ("10:01", "StartLogging", "{}")], &[]);
    }
}
