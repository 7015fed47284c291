//! Lists of alerts.

use wire::{Alert, AlertCount, AlertState, AlertsRequest, AlertsResponse, ApiError, ErrorKind};

use crate::file::Entry;
use crate::limits::LIST_LIMIT_DEFAULT;
use crate::store::Alerts;
use detect::Level;
use wire::limits::ALERTS_LIMIT_MAX;

/// All alerts, each with the decision that it is.
pub(crate) struct Listing<'a> {
    pub(crate) alerts: Vec<(&'a Entry, &'a Alert)>,
}

impl Alerts {
    /// All alerts, withdrawn ones among them, in the order of their ids.
    pub fn all(&self) -> Vec<Alert> {
        self.listed(|Listing { alerts }| {
            let mut all: Vec<Alert> = alerts.into_iter().map(|(_, alert)| alert.clone()).collect();
            all.sort_by(|a, b| a.id.cmp(&b.id));
            all
        })
    }

    /// Lists alerts. `span` is from when on (inclusive) and until when, in microseconds since 1970.
    pub fn list(
        &self,
        request: &AlertsRequest,
        span: (Option<i64>, Option<i64>),
    ) -> Result<AlertsResponse, ApiError> {
        let bad = |message: String| ApiError::new(ErrorKind::BadRequest, message);
        let limit = request.limit.unwrap_or(LIST_LIMIT_DEFAULT);
        if limit > ALERTS_LIMIT_MAX {
            return Err(bad(format!("limit: {ALERTS_LIMIT_MAX} at most")));
        }
        let level = request.level.as_ref().map(|text| {
            level(text).ok_or_else(|| {
                bad(format!(
                    "level: '{text}' is none of {}",
                    Level::ALL.map(Level::name).join(", ")
                ))
            })
        });
        let level = level.transpose()?;
        let words: Vec<String> =
            request.q.iter().flat_map(|q| q.split_whitespace()).map(str::to_lowercase).collect();
        let is_meant = |(entry, alert): &(&Entry, &Alert)| {
            let Alert { rule, .. } = alert;
            let names = [rule.id.as_ref(), rule.name.as_ref(), Some(&rule.title)];
            request.withdrawn.unwrap_or(false) == alert.withdrawn.is_some()
                && request.state.is_none_or(|state| state == alert.state)
                && request.id.as_ref().is_none_or(|id| alert.id.starts_with(id.as_str()))
                && request.rule.as_ref().is_none_or(|rule| names.contains(&Some(rule)))
                && level.is_none_or(|least| level_of(alert) >= least)
                && span.0.is_none_or(|start| entry.last >= start)
                && span.1.is_none_or(|end| entry.first < end)
                && (words.is_empty() || has_words(alert, &words))
        };
        Ok(self.listed(|Listing { mut alerts }| {
            alerts.retain(is_meant);
            alerts.sort_by(|(a, of_a), (b, of_b)| (b.last, &of_b.id).cmp(&(a.last, &of_a.id)));
            let of_level = |level: &Level| AlertCount {
                value: level.name().to_owned(),
                alerts: alerts.iter().filter(|(_, alert)| level_of(alert) == *level).count() as u64,
            };
            let of_state = |(state, value): (AlertState, &str)| AlertCount {
                value: value.to_owned(),
                alerts: alerts.iter().filter(|(_, alert)| alert.state == state).count() as u64,
            };
            let states = [
                (AlertState::Open, "open"),
                (AlertState::Acknowledged, "acknowledged"),
                (AlertState::Closed, "closed"),
            ];
            let some = |count: &AlertCount| count.alerts > 0;
            let levels = Level::ALL.iter().rev().map(of_level).filter(some).collect();
            let states = states.into_iter().map(of_state).filter(some).collect();
            let page = alerts.iter().skip(request.offset.unwrap_or(0)).take(limit);
            let page = page.map(|(_, alert)| (*alert).clone()).collect();
            let total = alerts.len() as u64;
            AlertsResponse { alerts: page, total, levels, states, ..AlertsResponse::default() }
        }))
    }
}

fn level(text: &str) -> Option<Level> {
    Level::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(text))
}

fn level_of(alert: &Alert) -> Level {
    level(&alert.rule.level).unwrap_or_default()
}

fn has_words(alert: &Alert, words: &[String]) -> bool {
    let Alert { id, rule, kind, group, ids, query, note, .. } = alert;
    let of_rule = [&rule.id, &rule.name, &rule.description, &rule.author].into_iter().flatten();
    let texts = [id, kind, &rule.title, &rule.level].into_iter().chain(of_rule);
    let texts = texts.chain(rule.tags.iter()).chain(group.values()).chain(ids);
    let texts = texts.chain([query, note].into_iter().flatten());
    let texts: Vec<String> = texts.map(|text| text.to_lowercase()).collect();
    words.iter().all(|word| texts.iter().any(|text| text.contains(word)))
}
