//! A pass: all rules look at what came in since the one before.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use detect::{Ask, Known, Rule, Scope, decide, touched};
use segment::IndexError;
use sha2::{Digest, Sha256};
use wire::AlertRule;

use crate::seen::Seen;
use crate::store::{Alerts, Deciding, Verdict};

/// From then on, the log tells that a rule took long.
const SLOW_MS: u64 = 50;

/// What was decided is kept so often while a pass goes on.
const KEEP_PAUSE: Duration = Duration::from_millis(100);

/// Rules that are asked, with what they are known by.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Those that are asked by themselves.
    asked: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    place: usize,
    key: String,
    /// What the rule is: another text where it, or one that it refers to, is another.
    version: String,
    told: AlertRule,
}

impl Rules {
    /// Rules as they were loaded.
    pub fn of(rules: Vec<Rule>) -> Self {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut asked = Vec::new();
        for (place, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.is_asked) {
            let key = rule.meta.key().to_owned();
            let count = seen.entry(key.clone()).or_default();
            *count += 1;
            // Two rules that are known by one name are two.
            let key = if *count == 1 { key } else { format!("{key} ({count})") };
            let version = Sha256::digest(rule.definition(&rules));
            let version = hex::encode(&version[..16]);
            asked.push(Asked { place, key, version, told: told(rule) });
        }
        // Those that matter most come first.
        asked.sort_by_key(|asked| std::cmp::Reverse(rules[asked.place].meta.level));
        Self { rules, asked }
    }

    /// Whether it was these that looked, as they are now.
    pub fn are_those_of(&self, seen: &Seen) -> bool {
        let is_known = |asked: &Asked| seen.rules.get(&asked.key) == Some(&asked.version);
        self.asked.len() == seen.rules.len() && self.asked.iter().all(is_known)
    }

    /// How many are asked.
    pub fn count(&self) -> usize {
        self.asked.len()
    }
}

/// What a pass looks at.
pub struct Pass<'p> {
    /// Answers for events that came in since the last pass; None where that is not known, so that all rules
    /// look at everything.
    pub new: Option<&'p dyn Ask>,
    /// Answers for all events.
    pub all: &'p dyn Ask,
    /// The index, and how far this pass looks at it.
    pub begun: i64,
    /// Events of files from this number on are for a later pass.
    pub next_file: u64,
    /// What is known of the archive; None where it has no event.
    pub known: Option<Known>,
    /// Whether alerts that are not found again are withdrawn.
    pub may_withdraw: bool,
    /// Whether the rules that are owed a look at everything have it now.
    pub pays: bool,
}

/// What a pass did.
#[derive(Debug, Default)]
pub struct Passed {
    /// How many alerts changed.
    pub changes: usize,
    /// The rules that could not be asked, and why. They are owed a look at everything.
    pub failed: BTreeMap<String, String>,
}

impl Alerts {
    /// Makes a pass. `is_stopped` ends it between two rules; what was decided by then is not kept.
    pub fn pass(
        &self,
        rules: &Rules,
        pass: &Pass<'_>,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Option<Passed>, IndexError> {
        let before = self.seen();
        let mut passed = Passed::default();
        let (mut verdicts, mut kept) = (Vec::new(), Instant::now());
        let mut owed = std::collections::BTreeSet::new();
        for asked in &rules.asked {
            if is_stopped() {
                return Ok(None);
            }
            let is_known = before.rules.get(&asked.key) == Some(&asked.version)
                && !before.owed.contains(&asked.key);
            let looks_at_all = !is_known || pass.new.is_none();
            if looks_at_all && !pass.pays {
                owed.insert(asked.key.clone());
                continue;
            }
            let started = Instant::now();
            let verdict = self.asked(rules, asked, pass, looks_at_all);
            let (rule, took_ms) = (&asked.key, started.elapsed().as_millis() as u64);
            if took_ms >= SLOW_MS {
                tracing::debug!(rule, looks_at_all, took_ms, "a rule took long");
            }
            match verdict {
                Ok(Some(verdict)) => {
                    verdicts.push(verdict);
                    // Nobody waits for the rules behind it.
                    if kept.elapsed() >= KEEP_PAUSE {
                        passed.changes += self.keep(std::mem::take(&mut verdicts), None)?;
                        kept = Instant::now();
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    passed.failed.insert(asked.key.clone(), error.to_string());
                    owed.insert(asked.key.clone());
                }
            }
        }
        let versions = rules.asked.iter().map(|asked| (asked.key.clone(), asked.version.clone()));
        let seen = Seen {
            begun: pass.begun,
            next_file: pass.next_file,
            span: pass.known.map(|known| (known.start, known.end)),
            rules: versions.collect(),
            owed,
            ..before
        };
        if is_stopped() {
            return Ok(None);
        }
        passed.changes += self.keep(verdicts, Some(seen))?;
        Ok(Some(passed))
    }

    fn asked<'r>(
        &self,
        rules: &'r Rules,
        asked: &'r Asked,
        pass: &Pass<'_>,
        looks_at_all: bool,
    ) -> Result<Option<Verdict<'r>>, detect::AskError> {
        let Asked { place, key, told, .. } = asked;
        let Some(known) = pass.known else { return Ok(None) };
        let scope = match pass.new {
            Some(new) if !looks_at_all => touched(new, &rules.rules, *place, &known)?,
            _ => Some(Scope::all()),
        };
        let Some(scope) = scope else { return Ok(None) };
        let standing = self.standing(key);
        let decided = decide(pass.all, &rules.rules, *place, scope, &standing, &known)?;
        let kind = rules.rules[*place].kind.name();
        let of = Deciding { key, kind, rule: told };
        Ok(Some(Verdict { of, decided, may_withdraw: pass.may_withdraw }))
    }
}

fn told(rule: &Rule) -> AlertRule {
    let meta = rule.meta.clone();
    AlertRule {
        title: meta.title,
        id: meta.id,
        name: meta.name,
        level: meta.level.name().to_owned(),
        status: meta.status,
        description: meta.description,
        author: meta.author,
        license: meta.license,
        references: meta.references,
        tags: meta.tags,
        falsepositives: meta.falsepositives,
    }
}
