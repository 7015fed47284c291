//! Text in, text out.

use std::ops::Bound;

use super::parse;
use crate::limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX};
use crate::query::ast::{Expr, Query, Test};

/// Each query stands over its answer: the query as it prints, or a caret and the error. What prints
/// must parse back to the same tree.
#[track_caller]
fn check(cases: &str) {
    let lines: Vec<_> = cases.lines().filter(|line| !line.trim().is_empty()).collect();
    for pair in lines.chunks(2) {
        let [query, answer] = pair else { panic!("a query without its answer: {pair:?}") };
        let (indent, query) = query.split_at(query.len() - query.trim_start().len());
        assert_eq!(read(query), answer.strip_prefix(indent).unwrap(), "for the query: {query}");
    }
}

fn read(text: &str) -> String {
    match parse(text) {
        Ok(query) => {
            let printed = query.to_string();
            assert_eq!(parse(&printed).as_ref(), Ok(&query), "{text} prints as {printed}");
            printed
        }
        Err(error) => {
            let caret = " ".repeat(text[..error.offset].chars().count());
            let suggestion = error.suggestion.map(|suggestion| format!("; {suggestion}"));
            format!("{caret}^ {}{}", error.message, suggestion.unwrap_or_default())
        }
    }
}

#[test]
fn empty_text_and_a_star_are_every_event() {
    for text in ["", " \t\n", "*", "**", "*:*", " *:* "] {
        assert_eq!(parse(text), Ok(Query { filter: Expr::All }), "{text:?}");
    }
}

#[test]
fn words_stand_anywhere_in_the_event() {
    check(
        r#"
        pedro
        pedro
        arn:aws:iam::123456789012:user/pedro
        arn:aws:iam::123456789012:user/pedro
        https://example.com/?a&b -s3://bucket/key
        https://example.com/?a\&b AND NOT s3://bucket/key
        fe80::1 ::1 2001:db8::/32 10.0.0.0/8
        fe80::1 AND ::1 AND 2001:db8::/32 AND 10.0.0.0/8
        aws-cli/2.13.5 a@b.com x,y 12:30 C# "and" and or to
        aws-cli/2.13.5 AND a@b.com AND x,y AND 12\:30 AND C# AND "and" AND and AND or AND to
        "#,
    );
}

#[test]
fn wildcards_stand_at_either_end_and_inside() {
    check(
        r"
        Create* *Unauthorized* wo?d ?
        Create* AND *Unauthorized* AND wo?d AND ?
        eventName:Attach*Policy
        eventName:Attach*Policy
        eventName:a**b
        eventName:a*b
        arn:aws:iam::*:role/admin
        arn:aws:iam::*:role/admin
        key:/home/*
        key:\/home/*
        ",
    );
}

#[test]
fn a_backslash_makes_any_character_text() {
    check(
        r#"
        \* a\ b \(c\) \"d\" \\ \AND \-x
        \* AND a\ b AND \(c\) AND \"d\" AND \\ AND \AND AND \-x
        a\:b a\=b
        a\:b AND a\=b
        aws\:SourceIp:10.0.0.1
        aws\:SourceIp:10.0.0.1
        f:\>5 f:\/x/ f:\*
        f:\>5 AND f:\/x/ AND f:\*
        "#,
    );
}

#[test]
fn quotes_hold_phrases() {
    check(
        r#"
        "Failed authentication"
        "Failed authentication"
        errorMessage:"Failed authentication"
        errorMessage:"Failed authentication"
        "say \"hi\" \\ C:\Users"
        "say \"hi\" \\ C:\\Users"
        "a | b" f:"(x OR y)"
        "a | b" AND f:"(x OR y)"
        "#,
    );
}

#[test]
fn a_field_ends_at_its_first_colon() {
    check(
        r"
        userIdentity.arn:arn:aws:iam::123456789012:user/pedro
        userIdentity.arn:arn:aws:iam::123456789012:user/pedro
        ip:2001:db8::1 ip: ::1
        ip:2001:db8::1 AND ip:::1
        requestParameters.x-amz_acl:a=b @timestamp:x
        requestParameters.x-amz_acl:a=b AND @timestamp:x
        key:/home/x f:a]
        key:\/home/x AND f:a\]
        ",
    );
}

#[test]
fn an_equals_sign_asks_for_the_whole_value() {
    check(
        r#"
        user = "pedro lopez"
        user:pedro\ lopez
        user=pedro user == pedro
        user:pedro AND user:pedro
        user = Admin*
        user:Admin*
        user != pedro
        NOT user:pedro
        arn = aws
        arn = aws
        user = "" user:""
        user:"" AND user:""
        "#,
    );
}

#[test]
fn a_star_asks_whether_the_field_is_there() {
    check(
        r"
        errorCode:*
        errorCode:*
        -errorCode:* errorCode = * errorCode:[* TO *]
        NOT errorCode:* AND errorCode:* AND errorCode:*
        ",
    );
}

#[test]
fn ranges_are_compared_or_bracketed() {
    check(
        r#"
        n:>=5 n:>5 n:<=5 n:<5
        n:>=5 AND n:>5 AND n:<=5 AND n:<5
        n >= 5 n > 5 n<= 5 n <5 n:> 5
        n:>=5 AND n:>5 AND n:<=5 AND n:<5 AND n:>5
        n:[1 TO 5] n:{1 TO 5} n:[1 TO 5} n:{1 TO 5]
        n:[1 TO 5] AND n:{1 TO 5} AND n:[1 TO 5} AND n:{1 TO 5]
        n:[1 TO *] n:{1 TO *} n:[* TO 5] n:{* TO 5}
        n:>=1 AND n:>1 AND n:<=5 AND n:<5
        time:[-24h TO "2026-06-01 12:30"]
        time:[-24h TO 2026-06-01\ 12:30]
        n >= "a b" n:["*" TO ""]
        n:>=a\ b AND n:[\* TO ""]
        "#,
    );
}

#[test]
fn several_values_are_alternatives_of_one_field() {
    check(
        r#"
        f:(a OR b* OR "c d" OR >5 OR [1 TO 2] OR *)
        f:(a OR b* OR "c d" OR >5 OR [1 TO 2] OR *)
        f IN [a, "b c", d*] f in (a, b)
        f:(a OR b\ c OR d*) AND f:(a OR b)
        f NOT IN [a,b] f not in (a)
        NOT f:(a OR b) AND NOT f:a
        f:(a) f:((a OR b) OR c)
        f:a AND f:(a OR b OR c)
        ip:(::1 OR 2001:db8::1)
        ip:(::1 OR 2001:db8::1)
        f:(a AND b) f:(a OR NOT b)
        f:a AND f:b AND (f:a OR NOT f:b)
        foo in bar
        foo AND in AND bar
        "#,
    );
}

#[test]
fn not_binds_tighter_than_and_and_and_tighter_than_or() {
    check(
        r#"
        a b OR c AND NOT d
        a AND b OR c AND NOT d
        (a OR b) c
        (a OR b) AND c
        NOT (a b) NOT NOT c
        NOT (a AND b) AND NOT NOT c
        a && b || !c && ! d
        a AND b OR NOT c AND NOT d
        a&&b||c
        a AND b OR c
        +a -b -(c OR d) -f:e -"g h"
        a AND NOT b AND NOT (c OR d) AND NOT f:e AND NOT "g h"
        ((a) AND (b AND (c)))
        a AND b AND c
        -24h
        NOT 24h
        "#,
    );
}

#[test]
fn a_missing_condition_is_an_error_where_it_should_be() {
    check(
        r#"
        foo AND
               ^ expected a condition, found the end of the query
        AND foo
        ^ expected a condition, found 'AND'
        foo OR OR bar
               ^ expected a condition, found 'OR'
        NOT )
            ^ expected a condition, found ')'
        ()
         ^ expected a condition, found ')'
        [a TO b]
        ^ expected a condition, found '['
        ""
        ^ these quotes are empty
        a - b
          ^ a condition must follow '-' without a space; quote it to look for it
        "#,
    );
}

#[test]
fn what_is_left_open_is_an_error_where_it_began() {
    check(
        r#"
        a (b OR (c)
          ^ this '(' is never closed
        a)
         ^ this ')' has no '(' before it
        é "abc
          ^ this quote is never closed
        f:"abc\"
          ^ this quote is never closed
        f:(a
          ^ this '(' is never closed
        f IN [a
             ^ this '[' is never closed
        f:{1 TO 2
          ^ this '{' is never closed
        abc\
           ^ nothing follows the backslash; write \\
        "#,
    );
}

#[test]
fn a_missing_value_is_an_error_after_its_field() {
    check(
        r"
        f:
          ^ expected a value, found the end of the query
        f: AND x
           ^ expected a value, found 'AND'
        f >=
            ^ expected a value, found the end of the query
        f:>*
           ^ expected a value, found '*'
        f = (a OR b)
            ^ expected a value, found '('; a list is field IN [a, b], a range is field:[a TO b]
        f:(a OR )
                ^ expected a value, found ')'
        f IN [a,]
                ^ expected a value, found ']'
        f IN [(a, b)]
              ^ expected a value, found '('
        f:[TO b]
           ^ expected a value or *, found 'TO'
        f:[{a TO b]
           ^ expected a value, found '{'
        ",
    );
}

#[test]
fn a_missing_field_is_an_error() {
    check(
        r"
        field : value
              ^ expected a field name before this; write field:value or field >= value
        >= 5
        ^ expected a field name before this; write field:value or field >= value
        user*.arn:x
        ^ a field name has no wildcards; a backslash before the colon makes it text
        ",
    );
}

#[test]
fn lists_and_ranges_say_what_they_miss() {
    check(
        r"
        f:(a b)
             ^ expected OR, AND or ')', found 'b'; write field:(a OR b), or quote a phrase
        f:(a or b)
             ^ expected OR, AND or ')', found 'or'; write OR in upper case
        f in (a b)
                ^ expected ',' or ')', found 'b'
        f:[a to b]
             ^ expected TO, found 'to'; write TO in upper case
        f:[a, b]
              ^ expected TO, found 'b'; a list is field IN [a, b], a range is field:[a TO b]
        f:[a TO b)
                 ^ expected ']' or '}', found ')'
        f:[a* TO b]
           ^ a range has no wildcards; quote the value if it holds * or ?
        ",
    );
}

#[test]
fn pipes_and_regular_expressions_are_refused() {
    check(
        r"
        a | count by b
          ^ pipes are not supported yet; quote '|' to look for it
        (f:a|count)
            ^ pipes are not supported yet; quote '|' to look for it
        f:/a.*b/
          ^ regular expressions are not supported yet; use * and ?, or quote the value if it is a path
        f:/Create(User|Role)/
          ^ regular expressions are not supported yet; use * and ?, or quote the value if it is a path
        ",
    );
}

#[test]
fn bounds_hold() {
    let nested = |depth| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    let negated = |depth| format!("{}a", "NOT ".repeat(depth));
    let values = |count| format!("f IN [{}]", vec!["a"; count].join(","));
    for fits in [
        nested(QUERY_DEPTH_MAX),
        negated(QUERY_DEPTH_MAX),
        "a ".repeat(QUERY_TERMS_MAX),
        values(QUERY_TERMS_MAX - 1),
        "a".repeat(QUERY_BYTES_MAX),
    ] {
        parse(&fits).unwrap();
    }
    let offset = |text: String| parse(&text).unwrap_err().offset;
    assert_eq!(offset(nested(QUERY_DEPTH_MAX + 1)), QUERY_DEPTH_MAX + 1);
    assert_eq!(offset(negated(1_000)), (QUERY_DEPTH_MAX + 1) * "NOT ".len() - 1);
    assert_eq!(offset("a ".repeat(QUERY_TERMS_MAX + 1)), QUERY_TERMS_MAX * "a ".len());
    assert_eq!(offset(values(QUERY_TERMS_MAX)), "f IN [".len() + (QUERY_TERMS_MAX - 1) * 2);
    assert_eq!(offset("é".repeat(QUERY_BYTES_MAX / 2) + "!"), QUERY_BYTES_MAX);
}

#[test]
fn the_tree_knows_where_fields_and_values_stand() {
    let query = parse("é user:pedro OR -(ip IN [::1] n:>= 5)").unwrap();
    let fields = query.filter.fields();
    let fields: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.offset)).collect();
    assert_eq!(fields, [("user", 3), ("ip", 19), ("n", 31)]);

    let Expr::Field { test: Test::Range { lower: Bound::Included(value), .. }, .. } =
        parse("n:>= 5").unwrap().filter
    else {
        panic!("not a range");
    };
    assert_eq!(value.offset, 5);
}

#[test]
fn a_prefix_is_text_before_a_single_star() {
    let prefix = |text| match parse(text).unwrap().filter {
        Expr::Wildcard(pattern) => pattern.as_prefix().map(str::to_owned),
        _ => None,
    };
    assert_eq!(prefix(r"Create\**"), Some("Create*".to_owned()));
    for text in ["Create", "*Policy", "a*b", "a*b*", "ab?"] {
        assert_eq!(prefix(text), None, "{text}");
    }
}
