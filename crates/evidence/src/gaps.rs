//! What a chain covers, and the hours in it without a digest that counts.

use std::collections::BTreeMap;

use trail::time::Micros;
use wire::{Chain, Gap};

use crate::chains::{Chains, Digest, Signed};
use crate::digest::Head;
use crate::judge::Filter;
use crate::limits::{GAPS_MAX, HOUR_US};
use crate::place::Series;

/// The chains that have digests in what was asked.
pub(crate) fn chains(chains: &Chains, filter: &Filter) -> Vec<Chain> {
    let mut by_series: BTreeMap<(u32, &Series), Vec<(&Digest, &Head)>> = BTreeMap::new();
    for digest in &chains.digests {
        if let (Some(group), Some(head)) = (digest.group, &digest.head) {
            by_series.entry((group, &digest.series)).or_default().push((digest, head));
        }
    }
    let made = by_series.into_iter().filter_map(|((group, series), mut digests)| {
        digests.sort_by_key(|(digest, head)| (head.end, head.start, &digest.path));
        let mut chain = summary(series, &digests, filter)?;
        let group = &chains.groups[group as usize];
        (chain.account, chain.region) = (group.owner.clone(), group.region.clone());
        if chains.unread.is_empty() {
            chain.gaps = gaps(chains, &digests, filter);
        }
        Some(chain)
    });
    made.collect()
}

fn summary(series: &Series, digests: &[(&Digest, &Head)], filter: &Filter) -> Option<Chain> {
    let asked = || digests.iter().filter(|(_, head)| filter.has_span(head.start, head.end));
    let verified = || asked().filter(|(digest, _)| digest.signed == Signed::Yes);
    let (_, first) = asked().next()?;
    Some(Chain {
        trail: series.trail.clone(),
        account: String::new(),
        region: String::new(),
        home_region: series.home_region.clone(),
        bucket: first.pair.bucket.clone(),
        is_backfill: series.is_backfill,
        digests: asked().count() as u64,
        verified: verified().count() as u64,
        start: asked().map(|(_, head)| head.start).min()?,
        end: asked().map(|(_, head)| head.end).max()?,
        verified_from: verified().map(|(_, head)| head.start).min(),
        verified_to: verified().map(|(_, head)| head.end).max(),
        gaps: Vec::new(),
    })
}

/// The hours between the digests that count; and where a time was asked for, before and after them.
fn gaps(chains: &Chains, digests: &[(&Digest, &Head)], filter: &Filter) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut add = |start: Micros, end: Micros, reason: String| {
        let start = filter.start.map_or(start, |asked| asked.max(start));
        let end = filter.end.map_or(end, |asked| asked.min(end));
        if start < end && gaps.len() < GAPS_MAX {
            gaps.push(Gap { start, end, hours: hours(start, end), reason });
        }
    };
    let mut covered_to =
        filter.start.filter(|_| !digests.iter().any(|(digest, _)| digest.series.is_backfill));
    let mut is_first = true;
    for (digest, head) in digests.iter().filter(|(digest, _)| digest.signed != Signed::No) {
        if let Some(end) = covered_to.filter(|end| *end < head.start) {
            add(end, head.start, why(chains, digest, head, is_first));
        }
        is_first = false;
        covered_to = Some(covered_to.map_or(head.end, |end| end.max(head.end)));
    }
    if let (Some(last), Some(asked)) = (covered_to.filter(|_| !is_first), filter.end) {
        add(last, asked, "no digest follows".to_owned());
    }
    gaps
}

/// Why there is nothing before a digest.
fn why(chains: &Chains, digest: &Digest, head: &Head, is_first: bool) -> String {
    match (&head.previous, chains.before(digest)) {
        (None, _) if is_first => "the chain begins after it".to_owned(),
        (None, _) => "the trail was stopped, or made no digests: a new chain follows".to_owned(),
        (Some(_), Some(before)) if before.signed == Signed::No => {
            format!("{} does not count: {}", before.path, before.state)
        }
        (Some(_), Some(_)) => "the digests name each other, and leave it out".to_owned(),
        (Some(_), None) => "digests are missing".to_owned(),
    }
}

fn hours(start: Micros, end: Micros) -> Vec<Micros> {
    let times = (0..GAPS_MAX as i64).map(|hour| Micros(start.0.saturating_add(hour * HOUR_US)));
    times.take_while(|time| *time < end).collect()
}
