//! Delivers what is in a target's spool, one change after another.
//!
//! A change that fails stays at the front and is tried again, with pauses that double and vary. It
//! becomes a dead letter when it was refused for good, was tried too often, or for too long.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use crate::config::{Retry, TargetConfig};
use crate::dead::{Dead, Letter};
use crate::run::Shared;
use crate::spool::Entry;
use crate::targets::{Failure, Next, Target, deliver};

/// How long an empty spool is waited for before files of retries are looked for again.
const IDLE: Duration = Duration::from_secs(1);

/// A target that keeps failing is told of in the log this often.
const REMINDER: Duration = Duration::from_secs(600);

/// After a fault of our own disk.
const FAULT_PAUSE: Duration = Duration::from_secs(5);

pub(crate) struct Deliverer<'a> {
    config: &'a TargetConfig,
    shared: &'a Shared,
    dead: &'a Dead,
    target: Box<dyn Target>,
    /// Failures since the last delivery.
    failures: u32,
    told: Option<Instant>,
}

impl<'a> Deliverer<'a> {
    pub(crate) fn new(
        config: &'a TargetConfig,
        shared: &'a Shared,
        dead: &'a Dead,
        target: Box<dyn Target>,
    ) -> Self {
        Self { config, shared, dead, target, failures: 0, told: None }
    }

    /// Delivers until a stop.
    pub(crate) fn run(mut self) {
        while !self.shared.is_stopped() {
            if let Err(error) = self.step() {
                let target = self.config.name.as_str();
                error!(target = target, %error, "cannot use the spool; tries again");
                self.shared.note(|status| status.error = Some(error.to_string()));
                self.shared.spool.pause(FAULT_PAUSE);
            }
        }
    }

    /// Takes over retries, and brings one entry to its end, or waits for one.
    fn step(&mut self) -> std::io::Result<()> {
        self.take_retries()?;
        let Some(entry) = self.shared.spool.front(IDLE)? else { return Ok(()) };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let Err(failure) = deliver(&mut *self.target, self.config, &entry.change) else {
                self.delivered(&entry);
                return self.shared.spool.done(&entry);
            };
            let is_final = self.is_final(&failure, &entry, attempts);
            if is_final && self.bury(&entry, &failure, attempts)? {
                return self.shared.spool.done(&entry);
            }
            self.failures = self.failures.saturating_add(1);
            let pause = pause(&self.config.retry, self.failures, &failure);
            self.failed(&entry, &failure, attempts, pause);
            if !self.shared.spool.pause(pause) {
                return Ok(());
            }
        }
    }

    /// Dead letters that somebody wants to be tried again.
    fn take_retries(&self) -> std::io::Result<()> {
        for (path, letters) in self.dead.retries()? {
            let count = letters.len();
            let changes: Vec<_> = letters.into_iter().map(|letter| (None, letter.change)).collect();
            self.shared.spool.append(&changes)?;
            std::fs::remove_file(&path)?;
            info!(target = self.config.name.as_str(), letters = count, "tries dead letters again");
        }
        Ok(())
    }

    fn is_final(&self, failure: &Failure, entry: &Entry, attempts: u32) -> bool {
        let retry = &self.config.retry;
        failure.next == Next::GiveUp
            || (retry.attempts_max > 0 && u64::from(attempts) >= retry.attempts_max)
            || entry.since.elapsed() >= retry.give_up
    }

    /// Makes a dead letter; false where there is no room for one.
    fn bury(&mut self, entry: &Entry, failure: &Failure, attempts: u32) -> std::io::Result<bool> {
        let target = self.config.name.as_str();
        let (key, reason) = (entry.change.key.as_str(), failure.reason.as_str());
        if self.dead.bytes() >= self.config.dead_bytes_max {
            if self.is_time_to_tell() {
                let help = "look at `traildex-notify dead --list`, then --retry or --drop";
                error!(target = target, reason, "there are too many dead letters: {help}");
            }
            return Ok(false);
        }
        let at = jiff::Timestamp::now().to_string();
        let letter =
            Letter { at, reason: reason.to_owned(), attempts, change: entry.change.clone() };
        self.dead.push(&letter)?;
        error!(target = target, key, reason, attempts, "gave up: the alert is a dead letter");
        // A server that refuses is one that answers.
        if failure.next == Next::GiveUp {
            (self.failures, self.told) = (0, None);
        }
        self.shared.note(|status| {
            status.counts.dead += 1;
            status.error = Some(reason.to_owned());
        });
        Ok(true)
    }

    fn delivered(&mut self, entry: &Entry) {
        let target = self.config.name.as_str();
        let key = entry.change.key.as_str();
        if self.failures > 0 {
            info!(target = target, failures = self.failures, "delivers again");
        }
        (self.failures, self.told) = (0, None);
        debug!(target = target, key, "delivered");
        self.shared.note(|status| {
            status.counts.delivered += 1;
            status.delivered_at = Some(jiff::Timestamp::now().to_string());
            status.failures = 0;
            status.error = None;
            status.next_try = None;
        });
    }

    fn failed(&mut self, entry: &Entry, failure: &Failure, attempts: u32, pause: Duration) {
        let target = self.config.name.as_str();
        let (key, reason) = (entry.change.key.as_str(), failure.reason.as_str());
        let pause_ms = pause.as_millis() as u64;
        if self.is_time_to_tell() {
            warn!(target = target, key, reason, attempts, pause_ms, "not delivered; tries again");
        } else {
            debug!(target = target, key, reason, attempts, pause_ms, "not delivered");
        }
        let next = jiff::Timestamp::now().checked_add(pause).ok();
        self.shared.note(|status| {
            status.counts.failures += 1;
            status.failures = self.failures;
            status.error = Some(reason.to_owned());
            status.next_try = next.map(|next| next.to_string());
        });
    }

    /// At the first failure, and now and then.
    fn is_time_to_tell(&mut self) -> bool {
        let is_time = self.told.is_none_or(|told| told.elapsed() >= REMINDER);
        if is_time {
            self.told = Some(Instant::now());
        }
        is_time
    }
}

/// The pause after so many failures: it doubles up to a bound, and is between a half and the whole of
/// that, so that many do not come back at once. What a server asks for is a minimum, within a bound.
fn pause(retry: &Retry, failures: u32, failure: &Failure) -> Duration {
    let doubled = retry.pause_min.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let whole = doubled.min(retry.pause_max);
    // Seeded anew for each: a number by chance.
    let chance = RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
    let pause = whole.mul_f64(0.5 + chance / 2.0);
    match failure.next {
        Next::Retry(Some(asked)) => pause.max(asked.min(retry.retry_after_max)),
        _ => pause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_vary_and_have_bounds() {
        let retry = Retry {
            attempts_max: 0,
            give_up: Duration::from_secs(60),
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(2),
            retry_after_max: Duration::from_secs(30),
        };
        let failure = |asked| Failure { reason: String::new(), next: Next::Retry(asked) };
        for (failures, max_ms) in [(1, 100), (2, 200), (4, 800), (6, 2000), (4_000_000, 2000)] {
            let pause = pause(&retry, failures, &failure(None)).as_millis();
            assert!((max_ms / 2..=max_ms).contains(&pause), "{failures}: {pause}");
        }
        let varied: std::collections::BTreeSet<_> =
            (0..20).map(|_| pause(&retry, 6, &failure(None))).collect();
        assert!(varied.len() > 10);
        let asked = |seconds| pause(&retry, 1, &failure(Some(Duration::from_secs(seconds))));
        assert_eq!(asked(7).as_secs(), 7);
        assert_eq!(asked(86_400).as_secs(), 30);
        assert!(asked(0).as_millis() >= 50);
    }
}
