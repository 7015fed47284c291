//! A word is looked for in the text as it stands in the record: numbers, truth values, times.

use std::fs;

use wire::SearchRequest;

use crate::common::{PATIENCE, Place};

const RECORDS: &str = r#"{"Records":[
{"eventVersion":"1.08","eventTime":"2021-07-30T16:33:00Z","eventID":"a","requestParameters":{"n":243.0,"is":true}},
{"eventVersion":"1.08","eventTime":"2021-07-30T16:33:59.5Z","eventID":"b","requestParameters":{"n":2.43E2,"s":"243.0"}},
{"eventVersion":"1.08","eventTime":"2021-07-30T16:34:00Z","eventID":"c","requestParameters":{"n":[243,-0.50],"is":[false]}},
{"eventVersion":"1.08","eventTime":"2021-07-30T17:00:00Z","eventID":"d","requestParameters":{"n":[2.43e2,243.00]}},
{"eventVersion":"1.08","eventTime":"2021-07-31T00:00:00Z","eventID":"e","requestParameters":{"s":"at 2021-07-30T16:33:10Z","big":1e+300}}
]}"#;

#[test]
fn words_are_found_as_they_stand_in_the_record() {
    let place = Place::new();
    fs::write(place.archive().join("x.json"), RECORDS).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 5);
    for (query, expected) in [
        // Numbers.
        ("243.0", "ab"),
        ("243", "c"),
        ("2.43e2", "bd"),
        ("2.43E2", "bd"),
        ("243.00", "d"),
        ("0.50", "c"),
        ("0.5", ""),
        ("2.4*", "bd"),
        ("/243\\.0+/", "abd"),
        ("\"243 0.50\"", ""),
        // A field's value is a number, however it is written.
        ("requestParameters.n:243", "abcd"),
        ("requestParameters.n:243.0", "abcd"),
        // Truth values.
        ("true", "a"),
        ("TRUE", "a"),
        ("false", "c"),
        ("fals*", "c"),
        // Times, as the record has them: in UTC.
        ("2021-07-30T16:33", "abe"),
        ("\"2021-07-30T16:33\"", "abe"),
        ("2021-07-30T16:33:59", "b"),
        ("2021-07-30T16:33:59.5Z", "b"),
        ("2021-07-30T16:33:10Z", "e"),
        ("2021-07-30T16", "abce"),
        ("2021-07-30t16", "abce"),
        ("2021-07-30", "abcd"),
        ("2021-07-30T1*", "abcde"),
        ("2021-07-30*", "abcde"),
        ("/2021-07-3[01]t0.*/", "e"),
        ("-2021-07-30", "e"),
        ("33", "e"),
        ("2021-07-30T25", ""),
    ] {
        let answer = daemon.find(query);
        let mut found: Vec<&str> = answer.hits.iter().map(|hit| hit.meta.id.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found.concat(), expected, "{query}");
        assert_eq!(daemon.count(query), expected.len() as u64, "{query}");
    }
    daemon.stop();
}

/// What is highlighted is the value as it stands in the record.
#[test]
fn numbers_and_truth_values_are_highlighted() {
    let place = Place::new();
    fs::write(place.archive().join("x.json"), RECORDS).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 5);
    for (query, field, value) in [
        ("243.00", "requestParameters.n", "243.00"),
        ("true", "requestParameters.is", "true"),
        ("requestParameters.big:\"1e 300\"", "requestParameters.big", "1e+300"),
        ("requestParameters.big:1e*", "requestParameters.big", "1e+300"),
        ("requestParameters.big:1e300", "requestParameters.big", "1e+300"),
        ("2021-07-30T17", "eventTime", "2021-07-30T17:00:00Z"),
        ("2021-07-31t*", "eventTime", "2021-07-31T00:00:00Z"),
    ] {
        let request =
            SearchRequest { highlights: true, query: query.into(), ..SearchRequest::default() };
        let hits = daemon.search(&request).hits;
        let highlights = &hits[0].highlights;
        let found: Vec<(&str, &str)> =
            highlights.iter().map(|one| (one.field.as_str(), one.value.as_str())).collect();
        assert_eq!(found, [(field, value)], "{query}");
    }
    daemon.stop();
}
