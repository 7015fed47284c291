//! What a process uses, from `/proc`.

use std::fs;
use std::io;

/// Processor time and memory that a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor seconds of all its threads, in user and kernel mode.
    pub cpu_s: f64,
    /// The most memory resident at once, pages of mapped files included.
    pub peak_resident_bytes: u64,
    /// Memory resident now, without pages of mapped files.
    pub own_bytes: u64,
}

impl Usage {
    /// The usage of this process.
    pub fn of_self() -> io::Result<Self> {
        Self::read("self")
    }

    /// The usage of the process with this id.
    pub fn of(pid: u32) -> io::Result<Self> {
        Self::read(&pid.to_string())
    }

    fn read(process: &str) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let kilobytes = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        let ticks_a_second = rustix::param::clock_ticks_per_second() as f64;
        Ok(Self {
            cpu_s: ticks(&stat) as f64 / ticks_a_second,
            peak_resident_bytes: kilobytes("VmHWM:") << 10,
            own_bytes: kilobytes("RssAnon:") << 10,
        })
    }
}

/// `utime` and `stime`, the 14th and 15th field; the second is a name in parentheses that may hold
/// anything.
fn ticks(stat: &str) -> u64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 300 0 5 0 120 34 0 0 20 0 9 0 100 1 2";
        assert_eq!(ticks(stat), 154);
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = Usage::of_self().unwrap();
        assert!(usage.own_bytes > 0 && usage.peak_resident_bytes >= usage.own_bytes, "{usage:?}");
    }
}
