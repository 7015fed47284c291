//! A pass: all rules look at what came in since the one before.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use detect::limits::SIGHTINGS_MAX;
use detect::{Ask, Known, Memory, Rule, decide};
use segment::IndexError;
use sha2::{Digest, Sha256};
use wire::AlertRule;

use crate::seen::{Behind, Seen};
use crate::store::{Alerts, Deciding, Verdict};

/// A rule that takes so long is not asked for so many times as long, and no longer than alerts may be late.
const LONG: Duration = Duration::from_secs(1);
const PAUSE: u32 = 20;
const PAUSE_MAX: Duration = Duration::from_mins(2);

/// When a rule that could not be asked is asked again, at the earliest.
const AGAIN: Duration = Duration::from_secs(60);

/// What was decided is kept so often while a pass goes on.
const KEEP_PAUSE: Duration = Duration::from_millis(100);

/// Rules that are asked, with what they are known by.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Those that are asked by themselves.
    asked: Vec<Asked>,
    /// Those that are not asked for a while, by what they are known by.
    resting: Mutex<HashMap<String, Rest>>,
    /// What rules keep between passes, by what they are known by, and up to where it is what came in.
    memories: Mutex<HashMap<String, (Place, Memory)>>,
}

/// A place in what came in. What an index has dropped, or another one has, is not what memory is of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    begun: i64,
    next_file: u64,
    kept_from: i64,
}

/// Until when a rule is not asked.
#[derive(Clone, Debug)]
struct Rest {
    until: Instant,
    /// Why it could not be asked; None where it takes long.
    failed: Option<String>,
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
    /// Rules as they were loaded. `depends` says of a rule's definition what else decides what the rule
    /// finds: where that is another, the rule looks at everything again.
    pub fn of(rules: Vec<Rule>, depends: &dyn Fn(&str) -> String) -> Self {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut asked = Vec::new();
        for (place, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.is_asked) {
            let key = rule.meta.key().to_owned();
            let count = seen.entry(key.clone()).or_default();
            *count += 1;
            // Two rules that are known by one name are two.
            let key = if *count == 1 { key } else { format!("{key} ({count})") };
            let told = told(rule);
            let definition = rule.definition(&rules);
            let version = format!("{definition}{told:?}{}", depends(&definition));
            let version = hex::encode(&Sha256::digest(version)[..16]);
            asked.push(Asked { place, key, version, told });
        }
        // Those that matter most come first.
        asked.sort_by_key(|asked| std::cmp::Reverse(rules[asked.place].meta.level));
        Self { rules, asked, resting: Mutex::default(), memories: Mutex::default() }
    }

    /// Whether it was these that looked, as they are now.
    pub fn are_those_of(&self, seen: &Seen) -> bool {
        let is_known = |asked: &Asked| seen.rules.get(&asked.key) == Some(&asked.version);
        self.asked.len() == seen.rules.len() && self.asked.iter().all(is_known)
    }

    /// Whether a rule that is behind could be asked now.
    pub fn can_catch_up(&self, seen: &Seen) -> bool {
        let resting = self.resting();
        let now = Instant::now();
        seen.behind.keys().any(|key| resting.get(key).is_none_or(|rest| rest.until <= now))
    }

    /// The rules that could not be asked, and why.
    pub fn failed(&self) -> Vec<String> {
        let resting = self.resting();
        let failed = resting.iter().filter_map(|(rule, rest)| Some((rule, rest.failed.as_ref()?)));
        let mut failed: Vec<String> = failed.map(|(rule, why)| format!("{rule}: {why}")).collect();
        failed.sort();
        failed
    }

    fn resting(&self) -> MutexGuard<'_, HashMap<String, Rest>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_resting(&self, key: &str) -> bool {
        self.resting().get(key).is_some_and(|rest| rest.until > Instant::now())
    }

    /// Notes how asking a rule went. One that takes long over what came in is asked seldom, so that it holds
    /// up no other and takes a small part of a core. Of everything it is asked once.
    fn note(&self, key: &str, took: Duration, is_of_all: bool, failed: Option<String>) {
        let pause = (took * PAUSE).min(PAUSE_MAX);
        let pause = if failed.is_some() { AGAIN.max(pause) } else { pause };
        let mut resting = self.resting();
        if failed.is_some() || took >= LONG && !is_of_all {
            resting.insert(key.to_owned(), Rest { until: Instant::now() + pause, failed });
        } else {
            resting.remove(key);
        }
    }

    /// What a rule kept, if it is of what came in up to a place.
    fn take_memory(&self, key: &str, place: &Place) -> Memory {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = memories.remove(key).filter(|(of, _)| of == place);
        kept.map_or_else(Memory::default, |(_, memory)| memory)
    }

    /// Keeps it, if there is room.
    fn keep_memory(&self, key: &str, place: Place, memory: Memory) {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let others: usize = memories.values().map(|(_, memory)| memory.times()).sum();
        if others + memory.times() <= SIGHTINGS_MAX {
            memories.insert(key.to_owned(), (place, memory));
        }
    }

    /// How many are asked.
    pub fn count(&self) -> usize {
        self.asked.len()
    }
}

/// What a pass looks at.
pub struct Pass<'p> {
    /// Makes something that answers for events of files from a number on; None where it is not known what
    /// came in since the last pass, so that all rules look at everything.
    pub since: Option<&'p dyn Fn(u64) -> Box<dyn Ask + 'p>>,
    /// Answers for all events.
    pub all: &'p dyn Ask,
    /// The index, and how far this pass looks at it.
    pub begun: i64,
    /// Events of files from this number on are for a later pass.
    pub next_file: u64,
    /// What is known of the archive, but for what was known before; None where it has no event.
    pub known: Option<Known>,
    /// Whether alerts that are not found again are withdrawn.
    pub may_withdraw: bool,
}

impl Pass<'_> {
    fn place(&self, next_file: u64) -> Place {
        let kept_from = self.known.map_or(i64::MIN, |known| known.kept_from);
        Place { begun: self.begun, next_file, kept_from }
    }
}

/// What came in since several passes.
type News<'p> = BTreeMap<u64, Box<dyn Ask + 'p>>;

impl Alerts {
    /// Makes a pass; returns how many alerts changed. `is_stopped` ends it between two rules: it is then
    /// made again, and None is returned.
    pub fn pass(
        &self,
        rules: &Rules,
        pass: &Pass<'_>,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Option<usize>, IndexError> {
        let before = self.seen();
        let mut changes = 0;
        let (mut verdicts, mut kept) = (Vec::new(), Instant::now());
        let (mut behind, mut news) = (BTreeMap::new(), News::new());
        for asked in &rules.asked {
            if is_stopped() {
                return Ok(None);
            }
            let looked = looked(asked, &before).filter(|_| pass.since.is_some());
            if rules.is_resting(&asked.key) {
                behind.insert(asked.key.clone(), looked);
                continue;
            }
            let started = Instant::now();
            let verdict = self.asked(rules, asked, pass, looked, &mut news);
            let (rule, took) = (&asked.key, started.elapsed());
            let failed = verdict.as_ref().err().map(ToString::to_string);
            rules.note(rule, took, looked.is_none(), failed);
            let (took_us, is_of_all) = (took.as_micros() as u64, looked.is_none());
            if took >= LONG {
                tracing::debug!(rule, is_of_all, took_us, "a rule took long");
            } else {
                tracing::trace!(rule, is_of_all, took_us, "a rule was asked");
            }
            match verdict {
                Ok(Some(verdict)) => {
                    verdicts.push(verdict);
                    // Nobody waits for the rules behind it.
                    if kept.elapsed() >= KEEP_PAUSE {
                        changes += self.keep(std::mem::take(&mut verdicts), None)?;
                        kept = Instant::now();
                    }
                }
                Ok(None) => {}
                Err(_) if is_stopped() => return Ok(None),
                Err(error) => {
                    tracing::warn!(rule, %error, "a rule could not be asked");
                    behind.insert(asked.key.clone(), looked);
                }
            }
        }
        let versions = rules.asked.iter().map(|asked| (asked.key.clone(), asked.version.clone()));
        let seen = Seen {
            begun: pass.begun,
            next_file: pass.next_file,
            span: pass.known.map(|known| (known.start, known.end)),
            rules: versions.collect(),
            behind,
            ..before
        };
        if is_stopped() {
            return Ok(None);
        }
        changes += self.keep(verdicts, Some(seen))?;
        Ok(Some(changes))
    }

    /// Asks a rule of what came in since it looked; of everything where it has not.
    fn asked<'r, 'p>(
        &self,
        rules: &'r Rules,
        asked: &'r Asked,
        pass: &Pass<'p>,
        looked: Option<Behind>,
        news: &mut News<'p>,
    ) -> Result<Option<Verdict<'r>>, detect::AskError> {
        let Asked { place, key, told, .. } = asked;
        let Some(known) = pass.known else {
            rules.keep_memory(key, pass.place(pass.next_file), Memory::of_nothing());
            return Ok(None);
        };
        let known = Known { before: looked.and_then(|looked| looked.span), ..known };
        let new = match (looked, pass.since) {
            (Some(looked), Some(since)) => {
                let new = news.entry(looked.next_file).or_insert_with_key(|next| since(*next));
                Some(&**new)
            }
            _ => None,
        };
        let mut memory = match looked {
            Some(looked) => rules.take_memory(key, &pass.place(looked.next_file)),
            None => Memory::default(),
        };
        let standing = self.standing(key);
        let asking = (new, pass.all);
        let decided = decide(asking, &rules.rules, *place, &standing, &known, &mut memory)?;
        rules.keep_memory(key, pass.place(pass.next_file), memory);
        let kind = rules.rules[*place].kind.name();
        let of = Deciding { key, kind, rule: told };
        let may_withdraw = pass.may_withdraw;
        Ok(decided.map(|decided| Verdict { of, decided, may_withdraw }))
    }
}

/// How far a rule has looked; None where it has not, as it is now.
fn looked(asked: &Asked, before: &Seen) -> Option<Behind> {
    let is_known = before.rules.get(&asked.key) == Some(&asked.version);
    let all = Behind { next_file: before.next_file, span: before.span };
    let looked = before.behind.get(&asked.key).copied().unwrap_or(Some(all));
    looked.filter(|_| is_known)
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::thread::sleep;

    use detect::{AskError, Source, load};
    use segment::disk::RealDisk;
    use wire::{SearchRequest, SearchResponse, Table};

    use super::*;

    /// An archive without events, which takes long over one name and knows nothing of another.
    #[derive(Default)]
    struct Odd {
        asked: Mutex<Vec<String>>,
    }

    impl Ask for &Odd {
        fn search(&self, request: &SearchRequest) -> Result<SearchResponse, AskError> {
            let query = request.query.to_string();
            self.asked.lock().unwrap().push(query.clone());
            if query.contains("Slow") {
                sleep(LONG + Duration::from_millis(10));
            }
            if query.contains("Broken") {
                return Err("nobody knows".into());
            }
            let table = Some(Table { exact: true, ..Table::default() });
            Ok(SearchResponse { table, ..SearchResponse::default() })
        }
    }

    impl Odd {
        /// Which rules were asked since the last time.
        fn rules(&self) -> String {
            let asked = std::mem::take(&mut *self.asked.lock().unwrap()).join(" ");
            let names = ["Quick", "Slow", "Broken"].into_iter().filter(|name| asked.contains(name));
            names.collect::<Vec<_>>().join(" ")
        }
    }

    fn rule(name: &str) -> Source {
        let text = format!(
            "title: {name}\nlogsource: {{product: aws, service: cloudtrail}}\n\
             detection:\n    s: {{eventName: {name}}}\n    condition: s\n"
        );
        Source { path: PathBuf::from(format!("{name}.yml")), text }
    }

    #[test]
    fn what_a_rule_remembers_is_of_one_place_in_one_index() {
        let rules = Rules::of(Vec::new(), &|_| String::new());
        let place = |begun, next_file, kept_from| Place { begun, next_file, kept_from };
        let has_memory = |of: Place| {
            rules.keep_memory("a rule", place(1, 5, 0), Memory::of_nothing());
            format!("{:?}", rules.take_memory("a rule", &of)) != format!("{:?}", Memory::default())
        };
        assert!(has_memory(place(1, 5, 0)));
        for other in [place(2, 5, 0), place(1, 6, 0), place(1, 5, 7)] {
            assert!(!has_memory(other));
        }
    }

    #[test]
    fn a_rule_that_takes_long_or_fails_holds_up_no_other_and_looks_at_what_it_left_out_later() {
        let loaded = load(&[], vec![rule("Slow"), rule("Broken"), rule("Quick")]);
        assert_eq!(loaded.problems, []);
        let rules = Rules::of(loaded.rules, &|_| String::new());
        let folder = tempfile::tempdir().unwrap();
        let (alerts, _) = Alerts::open(folder.path(), Arc::new(RealDisk)).unwrap();
        let (new, all) = (Odd::default(), Odd::default());
        let since = Mutex::new(Vec::new());
        let known = Known { start: 0, end: 1, before: None, kept_from: i64::MIN };
        let mut next_file = 0;
        // Who is asked of what came in, from which files on, and who of everything.
        let mut pass = || {
            next_file += 1;
            let news = |next_file| -> Box<dyn Ask> {
                since.lock().unwrap().push(next_file);
                Box::new(&new)
            };
            let pass = Pass {
                since: Some(&news),
                all: &&all,
                begun: 1,
                next_file,
                known: Some(known),
                may_withdraw: true,
            };
            alerts.pass(&rules, &pass, &|| false).unwrap().unwrap();
            (new.rules(), std::mem::take(&mut *since.lock().unwrap()), all.rules())
        };
        // Nobody has looked yet. What takes long over everything does so once.
        let nobody = String::new();
        assert_eq!(pass(), (nobody.clone(), vec![], "Quick Slow Broken".to_owned()));
        assert_eq!(rules.failed(), ["Broken: nobody knows"]);
        let behind = || alerts.seen().behind.into_keys().collect::<Vec<String>>();
        assert_eq!(behind(), ["Broken"]);
        assert!(!rules.can_catch_up(&alerts.seen()), "not yet");
        assert_eq!(pass(), ("Quick Slow".to_owned(), vec![1], nobody.clone()));
        // It rests, and what comes in is asked of one only.
        assert_eq!(pass(), ("Quick".to_owned(), vec![2], nobody.clone()));
        assert_eq!(pass(), ("Quick".to_owned(), vec![3], nobody));
        assert_eq!(behind(), ["Broken", "Slow"]);
        // Later, one looks at what it left out, and the other at everything.
        for rest in rules.resting().values_mut() {
            rest.until = Instant::now();
        }
        assert!(rules.can_catch_up(&alerts.seen()));
        assert_eq!(pass(), ("Quick Slow".to_owned(), vec![2, 4], "Broken".to_owned()));
        assert_eq!(behind(), ["Broken"]);
    }
}
