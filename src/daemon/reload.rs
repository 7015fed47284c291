//! SIGHUP: the configuration is read again, and what a running daemon can take of it takes effect.
//!
//! The log names each key that changed, and each that waits for a restart. A configuration that is
//! refused, or names users that there are not, changes nothing.

use std::sync::Arc;
use std::time::Duration;

use super::{Live, access, hosts};
use crate::config::{Change, Config, Level};
use server::ServerOptions;

/// What reloading needs of whoever started the daemon.
pub struct Source {
    /// Reads the configuration as at the start.
    pub load: Box<dyn Fn() -> anyhow::Result<Config> + Send>,
    pub set_level: Box<dyn Fn(Level) + Send>,
}

/// See the module's documentation.
pub struct Reloader {
    source: Source,
    live: Live,
    /// In force.
    config: Config,
}

impl Reloader {
    pub(super) fn new(config: &Config, source: Source, live: Live) -> Self {
        Self { source, live, config: config.clone() }
    }

    pub fn reload(&mut self) {
        let outcome = match self.try_reload() {
            Ok(()) => "done",
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "SIGHUP: the configuration is refused; nothing changes");
                "refused"
            }
        };
        metrics::counter!("traildex_reloads_total", "outcome" => outcome).increment(1);
    }

    fn try_reload(&mut self) -> anyhow::Result<()> {
        let found = (self.source.load)()?;
        let access = access(&found)?;
        let changes = self.config.changes(&found);
        let level_before = self.config.log.level;
        self.config = self.config.reloaded(&found);
        self.live.rules.rcu(|rules| rules.reloaded(&self.config));
        self.live.lookups.rcu(|lookups| lookups.reloaded(&self.config));
        self.live.server.store(Arc::new(ServerOptions {
            access,
            hosts: hosts(&self.config),
            queue_max: self.config.search.queue_max,
            search_timeout: Duration::from_millis(self.config.search.deadline_ms),
            ..ServerOptions::clone(&self.live.server.load())
        }));
        // Said at the level that says more, the old or the new one.
        (self.source.set_level)(level_before.max(self.config.log.level));
        say(&changes);
        (self.source.set_level)(self.config.log.level);
        Ok(())
    }
}

fn say(changes: &[Change]) {
    for Change { key, from, to, is_reloaded } in changes {
        if *is_reloaded {
            tracing::info!(key, from, to, "SIGHUP: changed");
        } else {
            tracing::warn!(key, running = from, file = to, "SIGHUP: needs a restart");
        }
    }
    let changed = changes.iter().filter(|change| change.is_reloaded).count();
    let waiting = changes.len() - changed;
    tracing::info!(changed, waiting, "SIGHUP: configuration reloaded");
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use arc_swap::ArcSwap;

    use super::*;

    /// The options and the levels set after reloading what `change` makes of the defaults.
    fn reload(change: impl Fn(&mut Config) + Send + 'static) -> (Arc<ServerOptions>, Vec<Level>) {
        let options = Arc::new(ArcSwap::from_pointee(ServerOptions::default()));
        let levels: Arc<Mutex<Vec<Level>>> = Arc::default();
        let set = Arc::clone(&levels);
        let source = Source {
            load: Box::new(move || {
                let mut config = Config::default();
                change(&mut config);
                Ok(config)
            }),
            set_level: Box::new(move |level| set.lock().unwrap().push(level)),
        };
        let rules = crate::daemon::live_rules(&Config::default());
        let lookups = crate::daemon::live_lookups(&Config::default());
        let live = Live { server: Arc::clone(&options), rules, lookups };
        Reloader::new(&Config::default(), source, live).reload();
        let levels = levels.lock().unwrap().clone();
        (options.load_full(), levels)
    }

    #[test]
    fn the_server_takes_what_it_can() {
        let (options, levels) = reload(|config| {
            config.socket.allowed_users = vec!["4000001".to_owned()];
            config.search.queue_max = 3;
            config.search.deadline_ms = 1_234;
            config.search.concurrent_max = 77;
            config.log.level = Level::Error;
        });
        assert_eq!((options.queue_max, options.search_timeout.as_millis()), (3, 1_234));
        assert!(!options.access.is_open());
        assert_eq!(options.searches_max, ServerOptions::default().searches_max);
        // What changed is said before the log falls silent.
        assert_eq!(levels, [Level::Info, Level::Error]);
    }

    #[test]
    fn users_that_there_are_not_change_nothing() {
        let (options, levels) = reload(|config| {
            config.search.queue_max = 3;
            config.socket.allowed_groups = vec!["no such group".to_owned()];
        });
        assert_eq!(options.queue_max, ServerOptions::default().queue_max);
        assert!(options.access.is_open() && levels.is_empty());
    }
}
