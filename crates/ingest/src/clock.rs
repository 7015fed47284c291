//! Whether the system's clock can be believed: it has run for an hour without a jump. A machine that
//! starts with a wrong clock is set right soon after.

use std::time::{Duration, Instant};

use trail::time::Micros;

/// How long the clock must have run.
const TRUSTED_AFTER: Duration = Duration::from_secs(3_600);

/// The clock may be corrected by this much in between.
const JUMP: Duration = Duration::from_secs(60);

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// When it was looked at first, and has not jumped since.
    since: Instant,
    then: Micros,
}

impl Default for Clock {
    fn default() -> Self {
        Self { since: Instant::now(), then: Micros::now() }
    }
}

impl Clock {
    /// Looks at the clock.
    pub(crate) fn look(&mut self) {
        *self = self.seen(Instant::now(), Micros::now());
    }

    /// Whether it has run for long enough.
    pub(crate) fn is_trusted(&self) -> bool {
        is_trusted_for_a_test() || self.since.elapsed() >= TRUSTED_AFTER
    }

    fn seen(self, at: Instant, now: Micros) -> Self {
        let (passed, shown) = (at - self.since, now.0 - self.then.0);
        let off = (passed.as_micros() as i64).abs_diff(shown);
        if Duration::from_micros(off) <= JUMP { self } else { Self { since: at, then: now } }
    }
}

#[cfg(feature = "failpoints")]
fn is_trusted_for_a_test() -> bool {
    segment::steps::is_set("clock-is-trusted")
}

#[cfg(not(feature = "failpoints"))]
fn is_trusted_for_a_test() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_begins_anew_and_a_correction_does_not() {
        let begun = Clock::default();
        let after = |seconds: u64| begun.since + Duration::from_secs(seconds);
        let shown = |seconds: i64| Micros(begun.then.0 + seconds * 1_000_000);
        assert_eq!(begun.seen(after(3_600), shown(3_601)).since, begun.since);
        assert_eq!(begun.seen(after(3_600), shown(3_590)).since, begun.since);
        for jumped in [shown(4_000), shown(-4_000), shown(400_000_000)] {
            assert_eq!(begun.seen(after(3_600), jumped).since, after(3_600), "{jumped}");
        }
    }
}
