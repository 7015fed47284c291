//! What a filter means in one search, as a number under which what was found out about it is kept.

use std::ops::Bound;

use xxhash_rust::xxh3::xxh3_128;

use crate::fields::Target;
use language::ast::{Expr, FieldRef, Test};
use language::time::{Clock, parse_time};
use trail::time::Micros;
use wire::ApiError;

/// A hash of the tree, of the times between which events are looked for, and of what else decides
/// whether an event matches: the fields that names stand for now, and the times that texts stand for.
pub fn meaning(
    filter: &Expr,
    between: (Option<Micros>, Option<Micros>),
    clock: &Clock,
    resolve: impl Fn(&FieldRef) -> Result<Target, ApiError>,
) -> Result<u128, ApiError> {
    let (mut targets, mut times) = (Vec::new(), Vec::new());
    filter.each_field(&mut |field, test| {
        let target = resolve(field);
        let mut time = |text: &str| times.push(parse_time(text, clock).ok());
        match test {
            // Whatever the field is: ranges compare texts that look like times as times.
            Some(Test::Range { lower, upper }) => {
                for bound in [lower, upper] {
                    if let Bound::Included(value) | Bound::Excluded(value) = bound {
                        time(&value.text);
                    }
                }
            }
            Some(Test::Is(value)) if matches!(target, Ok(Target::Time)) => time(&value.text),
            Some(Test::Phrase(text)) if matches!(target, Ok(Target::Time)) => time(text),
            _ => {}
        }
        targets.push(target);
    });
    let targets = targets.into_iter().collect::<Result<Vec<_>, _>>()?;
    let zone = (!times.is_empty()).then_some(&clock.zone);
    let meaning = (filter, between, targets, times, zone);
    Ok(xxh3_128(format!("{meaning:?}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use language::parse::parse;
    use trail::columns::ColumnId;

    fn at(text: &str, second: i64, path: &str) -> u128 {
        let clock = Clock::utc(Timestamp::from_second(second).unwrap());
        let resolve = |field: &FieldRef| {
            Ok(match field.name.as_str() {
                "time" => Target::Time,
                name => match ColumnId::named(name) {
                    Some(id) => Target::Column(id),
                    None => Target::Paths(vec![path.to_owned()]),
                },
            })
        };
        meaning(&parse(text).unwrap().filter, (None, None), &clock, resolve).unwrap()
    }

    #[test]
    fn what_is_relative_to_a_moment_means_something_else_at_another() {
        for text in ["time >= -1h", "time = -5m", "a NOT (b time < -5m)", "since > -5m", "@-1h.."] {
            assert_eq!(at(text, 7, "x"), at(text, 7, "x"), "{text}");
            assert_ne!(at(text, 7, "x"), at(text, 8, "x"), "{text}");
        }
        for text in
            ["a b", "user:x OR NOT user IN [a, b*]", "/x.*/", "time > 2026-01-01", "size > 5"]
        {
            assert_eq!(at(text, 7, "x"), at(text, 8, "x"), "{text}");
        }
    }

    #[test]
    fn a_name_that_stands_for_another_field_means_something_else() {
        for text in
            ["size:5", "size = user", "user = requestParameters.size", "user:x OR size IN [1, 2]"]
        {
            assert_ne!(at(text, 7, "a.size"), at(text, 7, "b.size"), "{text}");
        }
        assert_eq!(at("user:x", 7, "a.size"), at("user:x", 7, "b.size"));
        assert_ne!(at("user:x", 7, ""), at("user:y", 7, ""));
    }

    #[test]
    fn other_bounds_mean_something_else() {
        let clock = Clock::utc(Timestamp::UNIX_EPOCH);
        let between = |start, end| {
            let filter = parse("a").unwrap().filter;
            meaning(&filter, (start, end), &clock, |_| Ok(Target::Time)).unwrap()
        };
        let all = [(None, None), (Some(Micros(1)), None), (None, Some(Micros(1)))];
        for (n, (start, end)) in all.into_iter().enumerate() {
            for (other_start, other_end) in &all[..n] {
                assert_ne!(between(start, end), between(*other_start, *other_end));
            }
        }
    }
}
