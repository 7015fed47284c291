//! What the reader of an answer is told of how the text was taken: operators in lower case, words that mean
//! something in another tool, and comparisons that another tool answers otherwise.

use super::stage::is_foreign_word;
use crate::syntax::names_a_field;
use crate::time::{is_date, is_distance};
use trail::columns::COLUMNS;
use trail::names::{OTHER_NAMES, without_addition};

/// Words of other languages that are no stages there; in text they are words.
const WORDS_ELSEWHERE: [&str; 30] = [
    "as",
    "asc",
    "between",
    "by",
    "contains",
    "desc",
    "else",
    "endswith",
    "equals",
    "exists",
    "from",
    "has",
    "having",
    "in",
    "is",
    "like",
    "limit",
    "matches",
    "near",
    "nor",
    "null",
    "on",
    "order",
    "over",
    "startswith",
    "then",
    "when",
    "with",
    "within",
    "xor",
];

/// Fields that every event has, as good as, and `flag`, which says what is odd: `!=` finds no event for the
/// want of them.
const ALWAYS_THERE: [&str; 16] = [
    "eventVersion",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "eventID",
    "eventType",
    "sourceIPAddress",
    "time",
    "ip",
    "action",
    "actor",
    "account",
    "credential",
    "outcome",
    "flag",
];

/// Fields whose values are names of hosts, or can be: `iam.*` is no regular expression there.
const OF_HOSTS: [&str; 7] = [
    "eventSource",
    "sourceIPAddress",
    "ip",
    "userIdentity.invokedBy",
    "invokedBy",
    "tlsDetails.clientProvidedHostHeader",
    "clientProvidedHostHeader",
];

/// What was met in a query that its reader may have meant otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Told<'a> {
    /// Operators in lower case, with their bytes.
    taken: Vec<(&'a str, usize)>,
    /// Bare words without a field, with their bytes.
    words: Vec<(&'a str, usize)>,
    /// Fields that must not have a value, with their bytes, and where they are looked for.
    unequal: Vec<(String, usize)>,
    existing: Vec<String>,
    /// Whether there is a condition on a field, or a stage.
    has_more: bool,
    /// Whether what is parsed is about the rows of a table.
    pub(super) is_of_rows: bool,
    /// Whether a stage was called as in Kusto.
    pub(super) is_of_kusto: bool,
    notes: Vec<String>,
}

impl<'a> Told<'a> {
    /// Adds a sentence, unless it is there.
    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(super) fn operator(&mut self, word: &'a str, at: usize) {
        self.taken.push((word, at));
    }

    pub(super) fn word(&mut self, word: &'a str, at: usize) {
        self.words.push((word, at));
    }

    /// There is a condition on a field, or a stage.
    pub(super) fn more(&mut self) {
        self.has_more = true;
    }

    /// A field must exist.
    pub(super) fn exists(&mut self, field: &str) {
        self.existing.push(field.to_owned());
    }

    /// A field must not have a value, by an operator that says so elsewhere of events that have the field.
    pub(super) fn unequal(&mut self, field: &str, at: Option<usize>) {
        if !self.is_of_rows && !is_one_of(&ALWAYS_THERE, field) {
            self.unequal.push((field.to_owned(), at.unwrap_or_default()));
        }
    }

    /// The sentences, each once.
    pub(super) fn sentences(mut self) -> Vec<String> {
        let mut sentences = Vec::from_iter(self.of_operators());
        sentences.append(&mut self.notes);
        sentences.extend(self.of_words());
        sentences.extend(self.of_unequal());
        sentences
    }

    fn of_operators(&self) -> Option<String> {
        let (named, count) = named(self.taken.iter().copied());
        let taken = match count {
            0 => return None,
            1 => format!("{named} was taken as an operator; to look for the word, quote it"),
            _ => format!("{named} were taken as operators; to look for the words, quote them"),
        };
        Some(format!("{taken}, as in \"is not authorized\""))
    }

    /// Words that are none in another tool, beside what is no word.
    fn of_words(&self) -> Option<String> {
        let is_first = |at: usize| self.words.first().is_some_and(|(_, first)| *first == at);
        let is_elsewhere = |word: &str| {
            WORDS_ELSEWHERE.iter().any(|known| known.eq_ignore_ascii_case(word))
                || is_foreign_word(word)
                || is_distance(word) && !word.bytes().all(|byte| byte.is_ascii_digit())
                || ["today", "yesterday"].contains(&word)
        };
        // A text of words alone is looked for as such, if it does not begin as a command.
        let is_command =
            |word: &str, at| is_first(at) && self.words.len() > 1 && is_foreign_word(word);
        let odd = self.words.iter().copied().filter(|(word, at)| {
            self.has_more && is_elsewhere(word) || is_command(word, *at) || reads_as_time(word)
        });
        let is_of_time = odd.clone().any(|(word, _)| reads_as_time(word));
        let time = if is_of_time {
            "; a time is time:2026-06-01T12:30, a span @2026-06-01T12..2026-06-01T13"
        } else {
            ""
        };
        let (named, count) = named(odd);
        match count {
            0 => None,
            1 => Some(format!(
                "{named} was looked for as a word, in any field; quote it if that is meant{time}"
            )),
            _ => Some(format!(
                "{named} were looked for as words, in any field; quote them if that is meant{time}"
            )),
        }
    }

    fn of_unequal(&self) -> Option<String> {
        let mut fields: Vec<&str> = Vec::new();
        for (field, _) in &self.unequal {
            if !self.existing.contains(field) && !fields.contains(&field.as_str()) {
                fields.push(field);
            }
        }
        let first = fields.first()?;
        let all: Vec<String> = fields.iter().map(|field| format!("'{field}'")).collect();
        Some(format!(
            "events without {} are found, too; AND {first}:* leaves them out",
            all.join(" or ")
        ))
    }
}

/// Whether a field has names of hosts.
pub(super) fn is_of_hosts(field: &str) -> bool {
    is_one_of(&OF_HOSTS, field)
}

/// Whether a name, in any case and as any tool has it, is that of one of some fields.
fn is_one_of(fields: &[&str], name: &str) -> bool {
    let is = |known: &str| fields.iter().any(|field| field.eq_ignore_ascii_case(known));
    let mut names = std::iter::successors(Some(name), |name| without_addition(name));
    names.any(|name| {
        let ours = OTHER_NAMES.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        let name = ours.map_or(name, |(_, ours)| *ours);
        let is_alias = |alias: &&str| alias.eq_ignore_ascii_case(name);
        let column = COLUMNS.iter().find(|column| column.aliases.iter().any(is_alias));
        is(column.map_or(name, |column| column.path))
    })
}

/// Whether a word is a part of a time, or a span of days, which the language has otherwise.
fn reads_as_time(word: &str) -> bool {
    let is_clock = word.split_once(':').is_some_and(|(hour, rest)| {
        let is_hour = (1..=2).contains(&hour.len()) && hour.bytes().all(|b| b.is_ascii_digit());
        is_hour && rest.bytes().all(|b| b.is_ascii_digit() || b":.Z".contains(&b))
    });
    let is_day = |text: &str| text.get(..10).is_some_and(is_date);
    is_clock || word.split_once("..").is_some_and(|(from, to)| is_day(from) || is_day(to))
}

/// Words with their bytes, each word once, and how many they are.
fn named<'a>(words: impl Iterator<Item = (&'a str, usize)>) -> (String, usize) {
    let mut once: Vec<(&str, usize)> = Vec::new();
    for (word, at) in words {
        if !once.iter().any(|(known, _)| *known == word) {
            once.push((word, at));
        }
    }
    let named = once.iter().map(|(word, at)| format!("'{word}' at byte {at}"));
    (named.collect::<Vec<_>>().join(" and "), once.len())
}

/// Short names of fields that people write in front of a value, and hardly as words.
const SHORT_NAMES: [&str; 16] = [
    "user",
    "ip",
    "action",
    "actor",
    "service",
    "region",
    "account",
    "outcome",
    "credential",
    "bucket",
    "time",
    "eventname",
    "eventsource",
    "errorcode",
    "errormessage",
    "useragent",
];

/// Whether a bare word in front of another is probably meant for a field.
pub(super) fn reads_as_field(word: &str) -> bool {
    names_a_field(word) || SHORT_NAMES.contains(&word)
}
