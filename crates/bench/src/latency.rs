//! How long a daemon takes to answer a search, asked again and again on several connections.
//!
//! Open loop: requests are due at a steady rate, whether or not the last one has its answer, and a
//! request that waits for a connection counts from when it was due. A daemon that stalls delays all
//! of them, not one (coordinated omission).

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use client::{ClientError, Connection};

/// Requests of a measurement, however slow they are.
const REQUESTS_MIN: u64 = 20;

/// Share of the time that goes to finding out how many requests the daemon can take.
const CALIBRATION_SHARE: u32 = 4;

/// Without a rate given, requests come at this share of what the daemon can take.
const RATE_SHARE: f64 = 0.5;

/// How often, how long and over how many connections to send requests.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections at once.
    pub clients: u64,
    /// Requests per second over all connections; None for a share of what the daemon can take.
    pub rate: Option<f64>,
    /// How long requests are sent.
    pub duration: Duration,
}

/// The latencies of one search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    pub(crate) requests: u64,
    /// Requests per second that were sent.
    pub rate_per_s: f64,
    /// Half of the requests took at most this many milliseconds.
    pub median_ms: f64,
    /// 95 % of the requests took at most this many milliseconds.
    pub p95_ms: f64,
    /// 99 % of the requests took at most this many milliseconds.
    pub p99_ms: f64,
    /// 99.9 % of the requests took at most this many milliseconds.
    pub p999_ms: f64,
    pub(crate) max_ms: f64,
    /// Requests per second that the daemon answers when each connection sends its next one at once.
    pub throughput_per_s: f64,
}

/// Sends one search, given as JSON, at a steady rate and measures the answers.
pub fn measure(socket: &Path, body: &[u8], load: Load) -> Result<Latencies, ClientError> {
    let calibration = load.duration / CALIBRATION_SHARE;
    let at_once = Schedule { started: Instant::now(), pause: Duration::ZERO, requests: u64::MAX };
    let closed = run(socket, body, load.clients, &at_once, calibration)?;
    let throughput_per_s = closed.len() as f64 / at_once.started.elapsed().as_secs_f64();
    let rate_per_s = load.rate.unwrap_or(throughput_per_s * RATE_SHARE);
    let requests = ((load.duration.as_secs_f64() * rate_per_s) as u64).max(REQUESTS_MIN);
    let pause = Duration::from_secs_f64(1.0 / rate_per_s);
    let steady = Schedule { started: Instant::now(), pause, requests };
    let mut times = run(socket, body, load.clients, &steady, Duration::MAX)?;
    times.sort_unstable();
    let at = |share: f64| percentile(&times, share).as_secs_f64() * 1e3;
    Ok(Latencies {
        requests,
        rate_per_s,
        median_ms: at(0.5),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        max_ms: at(1.0),
        throughput_per_s,
    })
}

/// Nearest rank.
fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// When requests are due.
struct Schedule {
    started: Instant,
    pause: Duration,
    requests: u64,
}

/// Sends requests as they are due, each connection one after another, until all are answered or `within`
/// is over, and each connection has had one answer.
fn run(
    socket: &Path,
    body: &[u8],
    clients: u64,
    schedule: &Schedule,
    within: Duration,
) -> Result<Vec<Duration>, ClientError> {
    let next = AtomicU64::new(0);
    let client = || -> Result<Vec<Duration>, ClientError> {
        let mut connection = Connection::open(socket)?;
        let mut times = Vec::new();
        while times.is_empty() || schedule.started.elapsed() < within {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= schedule.requests {
                break;
            }
            let since = wait_until_due(schedule, number);
            connection.search(body)?;
            times.push(since.elapsed());
        }
        Ok(times)
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(all)
    })
}

/// Since when a request counts: when it was due, if the connection was not free before; else now, so
/// that what sleeping takes too long is not the daemon's.
fn wait_until_due(schedule: &Schedule, number: u64) -> Instant {
    let due = schedule.started + schedule.pause.mul_f64(number as f64);
    let left = due.saturating_duration_since(Instant::now());
    if schedule.pause.is_zero() || !left.is_zero() {
        thread::sleep(left);
        return Instant::now();
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=1_000).map(Duration::from_micros).collect();
        let at = |share| percentile(&times, share).as_micros();
        assert_eq!([at(0.5), at(0.99), at(0.999), at(1.0)], [500, 990, 999, 1_000]);
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn a_request_that_waited_counts_from_when_it_was_due() {
        let started = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let schedule = Schedule { started, pause: Duration::from_millis(10), requests: 1_000 };
        assert_eq!(wait_until_due(&schedule, 7), started + Duration::from_millis(70));
        let before = Instant::now();
        let ahead = wait_until_due(&schedule, 101);
        assert!(ahead >= before && ahead >= started + Duration::from_millis(1_010));
    }
}
