//! Sigma's documents as rules: rules, filters, correlations, and the kinds of our own.

use jiff::Timestamp;
use language::ast::Expr;
use rsigma_ir::lower::lower_correlation;
use rsigma_ir::{IrRuleMetadata, LowerOptions, lower_conditions, lower_rule};
use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType,
    FilterRule, FilterRuleTarget, LogSource, Quantifier, SigmaRule, WindowMode, parse_sigma_yaml,
};
use std::collections::{BTreeMap, HashSet};

use crate::condition::whole;
use crate::exception::Exception;
use crate::extension::{Absent, EXTENSION, extended, micros};
use crate::fields::Key;
use crate::load::{Document, Loaded, Problem};
use crate::rule::{
    Absence, Correlation, Is, Kind, Level, Limit, Measure, Meta, Rule, Suppress, Together,
    WindowTest,
};

/// A document that refers to others, by its place and its file.
struct Referring<'d, T> {
    document: &'d Document<'d>,
    parsed: T,
}

/// Turns documents into rules. Correlations and filters may refer to rules of any file.
pub(crate) fn rules(documents: &[Document<'_>]) -> Loaded {
    let mut loaded = Loaded::default();
    let now = Timestamp::now().as_microsecond();
    let (documents, exceptions) = without_exceptions(documents, &mut loaded);
    loaded.changes_at = exceptions.iter().filter_map(|one| one.parsed.ends_at(now)).min();
    let (mut plain, mut filters, mut correlations) = (Vec::new(), Vec::new(), Vec::new());
    for document in documents {
        let path = document.path;
        let found = match parse_sigma_yaml(&document.text) {
            Ok(found) => found,
            Err(error) => {
                loaded.problems.push(Problem::at(path, document.line, error.to_string()));
                continue;
            }
        };
        for reason in found.errors {
            let line = line_in(&reason).unwrap_or(document.line);
            loaded.problems.push(Problem::at(path, line, reason));
        }
        plain.extend(found.rules.into_iter().map(|parsed| Referring { document, parsed }));
        filters.extend(found.filters.into_iter().map(|parsed| Referring { document, parsed }));
        let of_document = found.correlations.into_iter();
        correlations.extend(of_document.map(|parsed| Referring { document, parsed }));
    }
    let mut absences = Vec::new();
    for Referring { document, parsed } in &plain {
        if let Some(elsewhere) = elsewhere(&parsed.logsource) {
            let problem = Problem::at(document.path, document.line, elsewhere);
            loaded.problems.push(Problem { is_elsewhere: true, ..problem });
            continue;
        }
        match rule(document, parsed, &filters, (&exceptions, now)) {
            Ok((rule, absence)) => {
                if let Some(absence) = absence {
                    absences.push((loaded.rules.len(), absence));
                }
                loaded.rules.push(rule);
            }
            Err(reason) => loaded.problems.push(refused(document, &parsed.title, &reason)),
        }
    }
    tell_filters(&filters, &mut loaded);
    tell_exceptions(&exceptions, &mut loaded);
    refer_absences(absences, &mut loaded);
    refer_correlations(correlations, &mut loaded);
    tell_doubles(&mut loaded.rules);
    loaded
}

/// Takes the exceptions out of documents.
fn without_exceptions<'d>(
    documents: &'d [Document<'d>],
    loaded: &mut Loaded,
) -> (Vec<&'d Document<'d>>, Vec<Referring<'d, Exception>>) {
    let is_exception = |document: &&Document<'_>| Exception::is_written_in(&document.text);
    let (exceptions, documents) = documents.iter().partition::<Vec<_>, _>(is_exception);
    let mut parsed = Vec::new();
    for document in exceptions {
        match Exception::parse(&document.text) {
            Ok(exception) => parsed.push(Referring { document, parsed: exception }),
            Err(reason) => {
                loaded.problems.push(Problem::at(document.path, document.line, reason));
            }
        }
    }
    (documents, parsed)
}

/// Exceptions for no rule are a slip. A correlation has no condition of its own, so they are for the rules
/// that it refers to.
fn tell_exceptions(exceptions: &[Referring<'_, Exception>], loaded: &mut Loaded) {
    let rules: Vec<Meta> = loaded.rules.iter().map(|rule| rule.meta.clone()).collect();
    for Referring { document, parsed } in exceptions {
        for name in parsed.unknown(&rules) {
            let reason =
                format!("there is no rule '{name}' with events of its own to leave some out");
            loaded.problems.push(Problem::at(document.path, document.line, reason));
        }
    }
}

/// The line that an error of the parser names.
fn line_in(reason: &str) -> Option<usize> {
    let (_, rest) = reason.split_once("at line ")?;
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    rest[..digits].parse().ok()
}

fn refused(document: &Document<'_>, title: &str, reason: &str) -> Problem {
    Problem::at(document.path, document.line, format!("'{title}': {reason}"))
}

/// Why a rule is not for CloudTrail; None where it is.
fn elsewhere(source: &LogSource) -> Option<String> {
    let is_other = |found: &Option<String>, ours: &str| {
        found.as_deref().is_some_and(|found| !found.eq_ignore_ascii_case(ours))
    };
    let is_elsewhere = is_other(&source.product, "aws") || is_other(&source.service, "cloudtrail");
    let named = [&source.category, &source.product, &source.service];
    let names: Vec<&str> = named.into_iter().flatten().map(String::as_str).collect();
    is_elsewhere.then(|| format!("it is for {}, and not for CloudTrail", names.join(" ")))
}

type Filters<'d> = [Referring<'d, FilterRule>];

fn rule(
    document: &Document<'_>,
    parsed: &SigmaRule,
    filters: &Filters<'_>,
    (exceptions, now): (&[Referring<'_, Exception>], i64),
) -> Result<(Rule, Option<Absent>), String> {
    let lowered =
        lower_rule(parsed, &LowerOptions::default()).map_err(|error| error.to_string())?;
    let mut condition = whole(&lowered.detections, &lowered.conditions)?;
    let meta = meta(&lowered.metadata);
    let mut notes = Vec::new();
    for Referring { parsed: filter, .. } in filters {
        if !is_meant(filter, &meta) {
            continue;
        }
        let filtered = of_filter(filter)?;
        condition = Expr::all_of([condition, filtered]);
        notes.push(format!("the filter '{}' is part of it", filter.title));
    }
    for Referring { parsed: exception, .. } in exceptions {
        if exception.is_for(&meta) {
            let (left, note) = exception.apply(condition, now);
            condition = left;
            notes.push(note);
        }
    }
    let (kind, absent, suppress) = match lowered.metadata.custom_attributes.get(EXTENSION) {
        None => (Kind::Events(condition), None, Suppress::default()),
        Some(extension) => extended(extension, condition)?,
    };
    let file = document.path.to_owned();
    let rule = Rule { meta, file, line: document.line, kind, suppress, is_asked: true, notes };
    Ok((rule, absent))
}

/// What a document says of itself.
fn meta(theirs: &IrRuleMetadata) -> Meta {
    let theirs = theirs.clone();
    Meta {
        title: theirs.title,
        id: theirs.id,
        name: theirs.name,
        level: level(theirs.level),
        status: theirs.status.map(|status| format!("{status:?}").to_ascii_lowercase()),
        description: theirs.description,
        author: theirs.author,
        license: theirs.license,
        references: theirs.references,
        tags: theirs.tags,
        falsepositives: theirs.falsepositives,
    }
}

fn level(level: Option<rsigma_parser::Level>) -> Level {
    use rsigma_parser::Level as Theirs;
    match level {
        None | Some(Theirs::Informational) => Level::Informational,
        Some(Theirs::Low) => Level::Low,
        Some(Theirs::Medium) => Level::Medium,
        Some(Theirs::High) => Level::High,
        Some(Theirs::Critical) => Level::Critical,
    }
}

/// Whether a filter is for a rule.
fn is_meant(filter: &FilterRule, rule: &Meta) -> bool {
    if filter.logsource.as_ref().is_some_and(|source| elsewhere(source).is_some()) {
        return false;
    }
    match &filter.rules {
        FilterRuleTarget::Any => true,
        FilterRuleTarget::Specific(names) => names.iter().any(|name| rule.is_called(name)),
    }
}

/// The condition that a filter adds to a rule's.
fn of_filter(filter: &FilterRule) -> Result<Expr, String> {
    let fault = |reason: String| format!("the filter '{}': {reason}", filter.title);
    let mut detections = std::collections::HashMap::new();
    for (name, detection) in &filter.detection.named {
        let lowered = rsigma_ir::lower::lower_detection(detection, &LowerOptions::default());
        detections.insert(name.clone(), lowered.map_err(|error| fault(error.to_string()))?);
    }
    let conditions = lower_conditions(&filter.detection);
    let conditions = conditions.map_err(|error| fault(error.to_string()))?;
    whole(&detections, &conditions).map_err(fault)
}

/// Filters that are for no rule are a slip, as a rule.
fn tell_filters(filters: &Filters<'_>, loaded: &mut Loaded) {
    for Referring { document, parsed } in filters {
        let FilterRuleTarget::Specific(names) = &parsed.rules else { continue };
        let rules = &loaded.rules;
        let missing = |name: &&String| !rules.iter().any(|rule| rule.meta.is_called(name));
        let missing: Vec<String> = names.iter().filter(missing).cloned().collect();
        for name in missing {
            let reason = format!("there is no rule '{name}'");
            loaded.problems.push(refused(document, &parsed.title, &reason));
        }
    }
}

/// The place of the rule that a name means, first by id, then by name, then by title.
fn place(rules: &[Rule], name: &str) -> Result<(usize, Option<String>), String> {
    let by = |is: &dyn Fn(&Meta) -> bool| rules.iter().position(|rule| is(&rule.meta));
    let by_id_or_name = by(&|meta| meta.id.as_deref() == Some(name))
        .or_else(|| by(&|meta| meta.name.as_deref() == Some(name)));
    if let Some(place) = by_id_or_name {
        return Ok((place, None));
    }
    let place =
        by(&|meta| meta.title == name).ok_or_else(|| format!("there is no rule '{name}'"))?;
    Ok((place, Some(format!("it refers to '{name}' by its title, where an id or a name is usual"))))
}

fn refer_absences(absences: Vec<(usize, Absent)>, loaded: &mut Loaded) {
    for (at, Absent { of, group_by, within }) in absences {
        let found = place(&loaded.rules, &of).and_then(|(place, note)| {
            let other = loaded.rules[place].kind.condition();
            other.map(|_| (place, note)).ok_or_else(|| format!("'{of}' finds no single events"))
        });
        match found {
            Ok((place, note)) => {
                loaded.rules[place].is_asked = false;
                let rule = &mut loaded.rules[at];
                rule.notes.extend(note);
                if let Kind::Absence(absence) = &mut rule.kind {
                    *absence = Absence {
                        of: place,
                        group_by,
                        within,
                        condition: absence.condition.clone(),
                    };
                }
            }
            Err(reason) => {
                let rule = &mut loaded.rules[at];
                loaded.problems.push(Problem::at(
                    &rule.file,
                    rule.line,
                    format!("'{}': {reason}", rule.meta.title),
                ));
                // Its place must stay, for those that refer to others behind it.
                rule.is_asked = false;
            }
        }
    }
}

/// Correlations, of which one can refer to another. Each is made once those that it refers to are.
fn refer_correlations(mut waiting: Vec<Referring<'_, CorrelationRule>>, loaded: &mut Loaded) {
    let mut is_base = HashSet::new();
    loop {
        let mut later = Vec::new();
        let before = waiting.len();
        for referring in waiting {
            let Referring { document, parsed } = &referring;
            match correlation(parsed, &loaded.rules) {
                Ok((meta, kind, notes)) => {
                    if !parsed.generate {
                        is_base.extend(kind.rules.iter().copied());
                    }
                    let (file, line) = (document.path.to_owned(), document.line);
                    let kind = Kind::Correlation(Box::new(kind));
                    loaded.rules.push(Rule {
                        meta,
                        file,
                        line,
                        kind,
                        suppress: Suppress::default(),
                        is_asked: true,
                        notes,
                    });
                }
                Err(_) => later.push(referring),
            }
        }
        if later.is_empty() || later.len() == before {
            waiting = later;
            break;
        }
        waiting = later;
    }
    for Referring { document, parsed } in waiting {
        if let Err(reason) = correlation(&parsed, &loaded.rules) {
            loaded.problems.push(refused(document, &parsed.title, &reason));
        }
    }
    for place in is_base {
        loaded.rules[place].is_asked = false;
    }
}

fn correlation(
    parsed: &CorrelationRule,
    rules: &[Rule],
) -> Result<(Meta, Correlation, Vec<String>), String> {
    if parsed.window != WindowMode::Sliding {
        return Err("only sliding windows are supported".to_owned());
    }
    if parsed.rules.is_empty() {
        return Err("it refers to no rule".to_owned());
    }
    let mut notes = Vec::new();
    let mut places = Vec::new();
    for name in &parsed.rules {
        let (place, note) = place(rules, name)?;
        places.push(place);
        notes.extend(note);
    }
    for alias in &parsed.aliases {
        let names = alias.mapping.keys();
        if let Some(name) = names.into_iter().find(|name| !parsed.rules.contains(name)) {
            return Err(format!(
                "the alias '{}' is of '{name}', to which it does not refer",
                alias.alias
            ));
        }
    }
    let group_by = parsed.rules.iter().map(|name| group_keys(parsed, name)).collect();
    let test = window_test(parsed)?;
    let within = micros(&parsed.timespan)?;
    let lowered = lower_correlation(parsed).map_err(|error| error.to_string())?;
    Ok((meta(&lowered.metadata), Correlation { rules: places, group_by, within, test }, notes))
}

/// The fields by which events of one of the rules are grouped.
fn group_keys(parsed: &CorrelationRule, rule: &str) -> Vec<Key> {
    let key = |name: &String| {
        let alias = parsed.aliases.iter().find(|alias| alias.alias == *name);
        let own = alias.and_then(|alias| alias.mapping.get(rule));
        Key { name: name.clone(), ..Key::named(own.unwrap_or(name)) }
    };
    parsed.group_by.iter().map(key).collect()
}

fn window_test(parsed: &CorrelationRule) -> Result<WindowTest, String> {
    let (predicates, field, percentile) = match &parsed.condition {
        CorrelationCondition::Threshold { predicates, field, percentile } => {
            (predicates, field.as_deref().unwrap_or_default(), percentile)
        }
        CorrelationCondition::Extended(expr) => {
            return match parsed.correlation_type {
                CorrelationType::Temporal => {
                    Ok(WindowTest::Together(together(expr, &parsed.rules)?))
                }
                kind => Err(format!("{} needs a comparison as its condition", kind.as_str())),
            };
        }
    };
    let limit = |(op, than): &(ConditionOperator, u64)| {
        let is = match op {
            ConditionOperator::Lt => Is::Less,
            ConditionOperator::Lte => Is::AtMost,
            ConditionOperator::Gt => Is::More,
            ConditionOperator::Gte => Is::AtLeast,
            ConditionOperator::Eq => Is::Equal,
            ConditionOperator::Neq => Is::Different,
        };
        Limit { is, than: *than as f64 }
    };
    let limits: Vec<Limit> = predicates.iter().map(limit).collect();
    let number = |measure| match field {
        [field] => {
            Ok(WindowTest::Number { of: Key::named(field), measure, limits: limits.clone() })
        }
        _ => Err(format!("{} needs one field", parsed.correlation_type.as_str())),
    };
    match parsed.correlation_type {
        CorrelationType::EventCount => Ok(WindowTest::Count(limits)),
        CorrelationType::ValueCount if field.is_empty() => {
            Err("value_count needs a field".to_owned())
        }
        CorrelationType::ValueCount => {
            let of = field.iter().map(|name| Key::named(name)).collect();
            Ok(WindowTest::Values { of, limits })
        }
        CorrelationType::ValueSum => number(Measure::Sum),
        CorrelationType::ValueAvg => number(Measure::Avg),
        CorrelationType::ValueMedian => number(Measure::Percentile(50.0)),
        CorrelationType::ValuePercentile => {
            let percentile = percentile.unwrap_or(50);
            if percentile > 100 {
                return Err("a percentile is from 0 to 100".to_owned());
            }
            number(Measure::Percentile(percentile as f64))
        }
        CorrelationType::Temporal | CorrelationType::TemporalOrdered if !is_usual(predicates) => {
            Err("a temporal correlation is of all its rules, or has rules in its condition"
                .to_owned())
        }
        CorrelationType::Temporal => {
            let all = (0..parsed.rules.len()).map(Together::Rule).collect();
            Ok(WindowTest::Together(Together::All(all)))
        }
        CorrelationType::TemporalOrdered => Ok(WindowTest::InOrder),
    }
}

/// The condition that the parser makes up where there is none.
fn is_usual(predicates: &[(ConditionOperator, u64)]) -> bool {
    matches!(predicates, [(ConditionOperator::Gte, 1)])
}

/// A condition of rules' names.
fn together(expr: &ConditionExpr, rules: &[String]) -> Result<Together, String> {
    let each = |parts: &[ConditionExpr]| {
        parts.iter().map(|part| together(part, rules)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match expr {
        ConditionExpr::And(parts) => Together::All(each(parts)?),
        ConditionExpr::Or(parts) => Together::Any(each(parts)?),
        ConditionExpr::Not(inner) => Together::Not(Box::new(together(inner, rules)?)),
        ConditionExpr::Identifier(name) => {
            let place = rules.iter().position(|rule| rule == name);
            Together::Rule(place.ok_or_else(|| format!("it does not refer to '{name}'"))?)
        }
        ConditionExpr::Selector { quantifier, pattern } => {
            let meant = |(_, name): &(usize, &String)| pattern.matches_detection_name(name);
            let meant = rules.iter().enumerate().filter(meant);
            let meant: Vec<Together> = meant.map(|(place, _)| Together::Rule(place)).collect();
            match quantifier {
                _ if meant.is_empty() => return Err(format!("'{pattern}' is the name of no rule")),
                Quantifier::Any => Together::Any(meant),
                Quantifier::All => Together::All(meant),
                Quantifier::Count(_) => return Err("'N of' rules is not supported".to_owned()),
            }
        }
    })
}

/// Tells rules that share an id: correlations and filters mean the first.
fn tell_doubles(rules: &mut [Rule]) {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for rule in rules {
        let Some(id) = rule.meta.id.clone() else { continue };
        let here = format!("{}:{}", rule.file.display(), rule.line);
        if let Some(first) = known.get(&id) {
            rule.notes.push(format!("its id is that of a rule in {first}, too"));
        } else {
            known.insert(id, here);
        }
    }
}
