//! What a hunt found, as tables, JSON, CSV and HTML.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::place;
use crate::cli::list::write_json;
use crate::cli::output::Look;
use crate::cli::shown::csv_for_terminal;
use crate::cli::table::{Cell, table};
use crate::cli::text::{counted, escape, thousands};
use comfy_table::Color;
use detect::{Finding, Hunted, Level, Rule, Told};
use formats::csv::CsvWriter;

/// Principals that the table shows; the other formats have all.
const PRINCIPALS_SHOWN: usize = 20;

/// Lines of what the archive lacks that are shown; JSON has all.
const COVERAGE_SHOWN: usize = 5;

/// Columns of CSV.
const KEYS: [&str; 14] = [
    "level",
    "title",
    "id",
    "name",
    "kind",
    "tactics",
    "group",
    "first",
    "last",
    "events",
    "query",
    "author",
    "license",
    "references",
];

pub(super) struct Report<'r> {
    /// Rules with what they found, the most serious first.
    found: Vec<(&'r Rule, Hunted)>,
    failed: Vec<(&'r Rule, String)>,
    asked: usize,
}

/// What is known of one principal, or of one tactic.
#[derive(Default)]
struct Sum<'r> {
    level: Level,
    rules: BTreeSet<&'r str>,
    events: u64,
    first: String,
    last: String,
}

impl<'r> Report<'r> {
    pub(super) fn of(rules: &'r [Rule], hunted: Vec<Hunted>) -> Self {
        let asked = hunted.len();
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        for hunted in hunted {
            let rule = &rules[hunted.rule];
            if let Some(error) = hunted.error.clone() {
                failed.push((rule, error));
            }
            found.push((rule, hunted));
        }
        let title = |rule: &Rule| rule.meta.title.clone();
        found.sort_by_key(|(rule, hunted)| {
            (std::cmp::Reverse(rule.meta.level), std::cmp::Reverse(hunted.events), title(rule))
        });
        Self { found, failed, asked }
    }

    pub(super) fn has_findings(&self) -> bool {
        self.with_findings().next().is_some()
    }

    pub(super) fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    fn with_findings(&self) -> impl Iterator<Item = &(&'r Rule, Hunted)> {
        self.found.iter().filter(|(_, hunted)| !hunted.findings.is_empty())
    }

    pub(super) fn footer(&self) -> String {
        let found = self.with_findings().count() as u64;
        let findings: u64 = self
            .with_findings()
            .map(|(_, hunted)| hunted.findings.len() as u64 + hunted.findings_left_out)
            .sum();
        format!(
            "{} of {} found something: {}",
            thousands(found),
            counted(self.asked as u64, "rule"),
            counted(findings, "finding")
        )
    }

    /// What the findings do not say, a line each.
    pub(super) fn left_out(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (rule, error) in &self.failed {
            lines.push(format!("error: '{}': {}", escape(&rule.meta.title), escape(error)));
        }
        for (rule, hunted) in &self.found {
            let title = escape(&rule.meta.title);
            if hunted.findings_left_out > 0 {
                let left_out = counted(hunted.findings_left_out, "finding");
                lines.push(format!("left out: {left_out} of '{title}'"));
            }
            if hunted.events_undecided > 0 {
                let events = counted(hunted.events_undecided, "event");
                lines.push(format!(
                    "open: {events} of '{title}': what should follow may still come"
                ));
            }
        }
        lines
    }

    /// Three tables: rules, principals, tactics.
    pub(super) fn tables(&self, look: Look) -> String {
        if !self.has_findings() {
            return String::new();
        }
        let rows: Vec<Vec<Cell>> =
            self.with_findings().map(|(rule, hunted)| row(rule, hunted)).collect();
        let header = ["level", "rule", "events", "findings", "first", "last", "tactics"];
        let mut text = table(&header, &rows, look);
        let (principals, tactics) = self.sums();
        let mut principals: Vec<_> = principals.into_iter().collect();
        principals
            .sort_by_key(|(_, sum)| std::cmp::Reverse((sum.level, sum.rules.len(), sum.events)));
        let more = principals.len().saturating_sub(PRINCIPALS_SHOWN);
        principals.truncate(PRINCIPALS_SHOWN);
        let row = |(name, sum): (&str, &Sum<'_>)| {
            vec![
                level_cell(sum.level),
                Cell::text(Some(name)),
                Cell::number(thousands(sum.rules.len() as u64)),
                Cell::number(thousands(sum.events)),
                Cell::text(Some(&sum.first)),
                Cell::text(Some(&sum.last)),
            ]
        };
        let rows: Vec<_> = principals.iter().map(|(name, sum)| row((name, sum))).collect();
        let header = ["level", "principal", "rules", "events", "first", "last"];
        let _ = write!(text, "\n\n{}", table(&header, &rows, look));
        if more > 0 {
            let _ =
                write!(text, "\n{} more; --format json has all", counted(more as u64, "principal"));
        }
        let rows: Vec<_> = tactics.iter().map(|(name, sum)| row((name, sum))).collect();
        let header = ["level", "tactic", "rules", "events", "first", "last"];
        let _ = writeln!(text, "\n\n{}", table(&header, &rows, look));
        text
    }

    /// What was found of each principal, and by each tactic.
    fn sums(&self) -> (BTreeMap<String, Sum<'r>>, BTreeMap<String, Sum<'r>>) {
        let (mut principals, mut tactics) = (BTreeMap::new(), BTreeMap::new());
        for (rule, hunted) in self.with_findings() {
            for finding in &hunted.findings {
                if let Some(name) = principal(finding) {
                    add(principals.entry(name.to_owned()).or_default(), rule, finding);
                }
                for tactic in rule.meta.tactics() {
                    add(tactics.entry(tactic.to_owned()).or_default(), rule, finding);
                }
            }
        }
        (principals, tactics)
    }

    pub(super) fn json(&self, told: &Told) -> Value {
        let rule = |(rule, hunted): &(&Rule, Hunted)| {
            let mut json =
                json!({ "rule": rule.meta, "kind": rule.kind.name(), "place": place(rule) });
            if let (Some(json), Ok(Value::Object(hunted))) =
                (json.as_object_mut(), serde_json::to_value(hunted))
            {
                json.extend(hunted);
            }
            json
        };
        let sums = |sums: &BTreeMap<String, Sum<'_>>, key: &str| -> Vec<Value> {
            let sum = |(name, sum): (&String, &Sum<'_>)| {
                json!({
                    key: name, "level": sum.level, "rules": sum.rules, "events": sum.events,
                    "first": sum.first, "last": sum.last,
                })
            };
            sums.iter().map(sum).collect()
        };
        let (principals, tactics) = self.sums();
        let quiet = |(rule, hunted): &&(&Rule, Hunted)| {
            (hunted.findings.is_empty() && hunted.error.is_none())
                .then(|| rule.meta.key().to_owned())
        };
        json!({
            "rules_asked": self.asked,
            "rules": self.found.iter()
                .filter(|(_, hunted)| !hunted.findings.is_empty() || hunted.error.is_some())
                .map(rule).collect::<Vec<_>>(),
            "rules_without_findings": self.found.iter().filter_map(|found| quiet(&found)).collect::<Vec<_>>(),
            "principals": sums(&principals, "principal"),
            "tactics": sums(&tactics, "tactic"),
            "warnings": told.warnings,
            "coverage": told.coverage,
        })
    }

    pub(super) fn lines(&self, out: &mut impl Write, look: Look) -> anyhow::Result<()> {
        for (rule, hunted) in self.with_findings() {
            for finding in &hunted.findings {
                write_json(out, &line(rule, finding)?, look)?;
            }
        }
        Ok(())
    }

    pub(super) fn csv(&self, look: Look) -> anyhow::Result<String> {
        let mut csv = CsvWriter::new(Vec::new());
        csv.names(&KEYS)?;
        for (rule, hunted) in self.with_findings() {
            for finding in &hunted.findings {
                let line = line(rule, finding)?;
                csv.row(&KEYS.map(|key| line[key].clone()))?;
            }
        }
        let csv = String::from_utf8(csv.into_inner()?)?;
        Ok(if look.is_terminal { csv_for_terminal(&csv).into_owned() } else { csv })
    }

    /// A page that stands alone: no script, and nothing from elsewhere.
    pub(super) fn html(&self, told: &Told) -> String {
        let mut page = head();
        let _ = write!(page, "<p>{}</p>", html(&self.footer()));
        let lines = told.warnings.iter().cloned().chain(self.left_out());
        for line in lines.chain(coverage(told)) {
            let _ = write!(page, "<p class=told>{}</p>", html(&line));
        }
        for (rule, hunted) in self.with_findings() {
            let meta = &rule.meta;
            let _ = write!(
                page,
                "<h2 class={}>{} <small>{}</small></h2>",
                meta.level,
                html(&meta.title),
                meta.level
            );
            for text in meta.description.iter().chain(&meta.falsepositives) {
                let _ = write!(page, "<p>{}</p>", html(text));
            }
            let who: Vec<&str> = meta
                .author
                .iter()
                .chain(&meta.license)
                .chain(&meta.id)
                .map(String::as_str)
                .collect();
            let _ = write!(
                page,
                "<p class=who>{}</p><table><tr><th>what they have in common<th>events\
                <th>first<th>last<th>query",
                html(&who.join(" · "))
            );
            for finding in &hunted.findings {
                let _ = write!(
                    page,
                    "<tr><td>{}<td>{}<td>{}<td>{}<td><code>{}</code>",
                    html(&together(finding)),
                    thousands(finding.events),
                    html(&finding.first),
                    html(&finding.last),
                    html(finding.query.as_deref().unwrap_or_default()),
                );
            }
            page.push_str("</table>");
        }
        page.push_str("</html>\n");
        page
    }
}

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2em;max-width:90em}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3em .6em;\
border-bottom:1px solid #ccc;vertical-align:top;overflow-wrap:anywhere}code{font-size:12px}\
h2{border-left:.4em solid #888;padding-left:.5em;margin-top:2em}h2.critical{border-color:#a00}\
h2.high{border-color:#c50}h2.medium{border-color:#a80}.who,.told{color:#555}small{color:#555}";

/// The beginning of the page, which allows its own style and nothing else.
fn head() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=Content-Security-Policy \
         content=\"default-src 'none'; style-src 'sha256-{hash}'\"><title>traildex hunt</title>\
         <style>{STYLE}</style><h1>traildex hunt</h1>"
    )
}

/// A text that is no markup, with no sign in it that hides or reorders others.
fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in escape(text).chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}

/// What the archive lacks of what was asked for, a line each, the first of them.
pub(super) fn coverage(told: &Told) -> Vec<String> {
    let mut lines: Vec<String> = told
        .coverage
        .iter()
        .take(COVERAGE_SHOWN)
        .map(|line| format!("coverage: {}", escape(line)))
        .collect();
    let more = told.coverage.len().saturating_sub(COVERAGE_SHOWN);
    if more > 0 {
        let more = counted(more as u64, "line");
        lines.push(format!("{more} more of what the archive lacks; --format json has them"));
    }
    lines
}

fn row(rule: &Rule, hunted: &Hunted) -> Vec<Cell> {
    let findings = &hunted.findings;
    let first = findings.iter().map(|finding| finding.first.as_str()).min();
    let last = findings.iter().map(|finding| finding.last.as_str()).max();
    let tactics: Vec<&str> = rule.meta.tactics().collect();
    vec![
        level_cell(rule.meta.level),
        Cell::text(Some(&rule.meta.title)),
        Cell::number(thousands(hunted.events)),
        Cell::number(thousands(findings.len() as u64 + hunted.findings_left_out)),
        Cell::text(first),
        Cell::text(last),
        Cell::text(Some(&tactics.join(" "))),
    ]
}

pub(in crate::cli) fn level_cell(level: Level) -> Cell {
    let cell = Cell::text(Some(level.name()));
    match level {
        Level::Critical => cell.coloured(Color::Red).bold(),
        Level::High => cell.coloured(Color::Red),
        Level::Medium => cell.coloured(Color::Yellow),
        Level::Low | Level::Informational => cell,
    }
}

/// Who did it, of a finding that says so.
fn principal(finding: &Finding) -> Option<&str> {
    const NAMES: [&str; 4] =
        ["principal", "userIdentity.arn", "actor", "userIdentity.sessionContext.sessionIssuer.arn"];
    NAMES.iter().find_map(|name| finding.group.get(*name)).map(String::as_str)
}

fn add<'r>(sum: &mut Sum<'r>, rule: &'r Rule, finding: &Finding) {
    sum.level = sum.level.max(rule.meta.level);
    sum.rules.insert(&rule.meta.title);
    sum.events += finding.events;
    if sum.first.is_empty() || finding.first < sum.first {
        sum.first.clone_from(&finding.first);
    }
    if finding.last > sum.last {
        sum.last.clone_from(&finding.last);
    }
}

fn together(finding: &Finding) -> String {
    let pairs = finding.group.iter().map(|(name, value)| format!("{name} {value}"));
    pairs.collect::<Vec<_>>().join(", ")
}

/// A finding with what its rule says of itself.
fn line(rule: &Rule, finding: &Finding) -> anyhow::Result<Value> {
    let mut line = serde_json::to_value(&rule.meta)?;
    line["kind"] = rule.kind.name().into();
    line["tactics"] = rule.meta.tactics().collect::<Vec<_>>().join(" ").into();
    let finding = serde_json::to_value(finding)?;
    if let (Some(line), Value::Object(finding)) = (line.as_object_mut(), finding) {
        line.extend(finding);
    }
    Ok(line)
}
