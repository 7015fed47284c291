//! Text in, text out.

use std::ops::Bound;

use super::parse;
use crate::ast::{Expr, Query, Test};
use crate::limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX};

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
        assert_eq!(parse(text), Ok(Query::of(Expr::All)), "{text:?}");
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
        aws-cli/2.13.5 a@b.com x,y 12:30 C# "and" \and \or to
        aws-cli/2.13.5 AND a@b.com AND x,y AND 12\:30 AND C# AND "and" AND \and AND \or AND \to
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
        -5x
        NOT 5x
        -24h
        ^ '-24h' is no condition; write @-24h.., or quote "24h" to exclude it
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
        ^ expected a condition, found '['; a list is field IN [a, b], a query in one field IN (query | values field)
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
        : value
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
        f in (a b)
                ^ expected ',' or ')', found 'b'
        f:[a, b]
            ^ expected TO, found ','; a list is field IN [a, b], a range is field:[a TO b]
        f:[a TO b)
                 ^ expected ']' or '}', found ')'
        f:[a* TO b]
           ^ a range has no wildcards; quote the value if it holds * or ?
        ",
    );
}

#[test]
fn regular_expressions_stand_between_slashes() {
    check(
        r#"
        eventName:/Create(User|Role)/ eventName = /a b/i
        eventName:/Create(User|Role)/ AND eventName:/a b/i
        /ak[iI]a.*/ -/x|y/
        /ak[iI]a.*/ AND NOT /x|y/
        path:/a\/b/ f IN [/a/, b, /c,d/]
        path:/a\/b/ AND f:(/a/ OR b OR /c,d/)
        key:/home/x key:/tmp /etc/passwd
        key:\/home/x AND key:\/tmp AND \/etc/passwd
        key:"/home/"
        key:"/home/"
        f:/a(/
          ^ this regular expression is not one: unclosed group; quote the value if it is a path
        "#,
    );
}

#[test]
fn a_tilde_asks_for_any_case_and_like_for_a_part() {
    check(
        r#"
        user ~ PEDRO user:~pe*ro user ~ "a b" user ~ /x/
        user:~PEDRO AND user:~pe*ro AND user:~a\ b AND user:/x/i
        f like "a*b" f not like c f LIKE /x|y/
        f:*a\*b* AND NOT f:*c* AND f:/.*(?:x|y).*/
        f:(~a OR b)
        f:(~a OR b)
        _exists_:errorCode
        errorCode:*
        "#,
    );
}

#[test]
fn an_at_sign_begins_a_span_of_time() {
    check(
        r"
        @2026-06-01..2026-06-05 x
        time:[2026-06-01 TO 2026-06-05] AND x
        @-24h.. @..now @2026-06-01 @..
        time:>=-24h AND time:<=now AND time:2026-06-01 AND time:*
        time >= 2026-06-01T00:00[Europe/Berlin] time:[2026-06-01[Europe/Berlin] TO now]
        time:>=2026-06-01T00:00\[Europe/Berlin\] AND time:[2026-06-01\[Europe/Berlin\] TO now]
        @timestamp:x a@b.com
        @timestamp:x AND a@b.com
        ",
    );
}

#[test]
fn a_path_behind_a_comparison_is_a_field() {
    check(
        r#"
        userIdentity.accountId != recipientAccountId
        userIdentity.accountId != recipientAccountId
        a = eventName a == requestParameters.x a >= userIdentity.arn
        a = eventName AND a = requestParameters.x AND a >= userIdentity.arn
        a:eventName a = "eventName" a = eventNames a = root.x a != root
        a:eventName AND a:eventName AND a:eventNames AND a:root.x AND NOT a:root
        f:(>userIdentity.arn OR x)
        f > userIdentity.arn OR f:x
        "#,
    );
}

#[test]
fn stages_follow_pipes() {
    check(
        r"
        x | stats count, first(time), distinct(ip) as ips by actor, bin(5m) as t
        x | stats count, first(time), distinct(ip) as ips by actor, bin(5m) as t
        | stats sum(a.b), p95(x), p99.9(x), pct(x, 50), count(*), count(e)
        * | stats sum(a.b), p95(x), p99.9(x), pct(x, 50), count(*), count(e)
        x | stats earliest(a), latest(b), first, last as l, count_distinct(c), average(d)
        x | stats earliest(a), latest(b), first(time), last(time) as l, count_distinct(c), average(d)
        x | sort time desc, -n, a asc, sum(b) desc | limit 20
        x | sort time desc, n desc, a, sum\(b\) desc | limit 20
        x | filter a:1 OR b | where c > 5 | fields a, b.c | head 5
        x AND (a:1 OR b) AND c:>5 | fields a, b.c | limit 5
        x | dedup user, ip | display user
        x | dedup user, ip | fields user
        x | stats count by a | filter count > 5 | sort a | limit 3 by a | fields count
        x | stats count by a | filter count:>5 | sort a | limit 3 by a | fields count
        key IN (eventName:AssumeRole | values responseElements.credentials.accessKeyId)
        key IN (eventName:AssumeRole AND responseElements.credentials.accessKeyId:* | stats count by responseElements.credentials.accessKeyId | sort responseElements.credentials.accessKeyId)
        ",
    );
}

#[test]
fn shorthands_are_the_stages_that_they_stand_for() {
    check(
        r#"
        x | count
        x | stats count
        x | count by actor, bin(1d)
        x | stats count by actor, bin(1d) | sort count desc
        x | top ip, user
        x AND ip:* AND user:* | stats count by ip, user | sort count desc | limit 10
        x | top 3 user by action
        x AND user:* | stats count by action, user | sort count desc | limit 3 by action | sort action, count desc
        x | timeline | limit 5
        x | stats count by bin(1h) | sort time | limit 5
        x | timeline 1d by action
        x | stats count by bin(1d), action | sort time
        x | values ip
        x AND ip:* | stats count by ip | sort ip
        top 5 ip
        ip:* | stats count by ip | sort count desc | limit 5
        filter a = "x" | stats count
        a:x | stats count
        count
        * | stats count
        count AND x
        count AND x
        "#,
    );
}

#[test]
fn a_wrong_stage_says_what_would_be_right() {
    check(
        r"
        x | cuont by a
            ^ there is no stage 'cuont'; did you mean 'count'?
        x | frobnicate y
            ^ there is no stage 'frobnicate'; stages are filter, stats, count, top, timeline, values, fields, sort, limit and dedup
        x |
           ^ expected a stage, found the end of the query
        x | stats cuont by a
                  ^ there is no function 'cuont'; did you mean 'count'?
        x | stats sum by a
                      ^ expected '(', found 'by'; write sum(field)
        x | stats sum(a
                  ^ this 'sum' is never closed
        x | count by
                    ^ expected a field name, found the end of the query
        x | timeline 5x
                     ^ expected a width of time, found '5x'; write 5m, 1h, 1d, 1w or 1mo
        x | limit many
                  ^ expected a number, found 'many'; write limit 10
        x | count by a b
                       ^ expected '|' or the end of the query, found 'b'; put a comma between names
        x | limit 5 | sort a
                      ^ sort comes before limit
        x | count by a | stats count
                         ^ a table cannot be grouped again: there is one stats
        x | stats median(x), median(x)
            ^ two columns are called 'median(x)'; name one with as
        x | stats pct(a, 200)
                  ^ '200' is not a percentage between 0 and 100
        (f:a|count)
            ^ expected AND, OR or ')', found '|'; stages follow the whole filter; quote '|' to look for it
        key IN (a b)
                  ^ expected ',' or ')', found 'b'
        ",
    );
}

#[test]
fn a_query_is_json_too() {
    let check = |json: &str, text: &str| {
        let query: Query = serde_json::from_str(json).unwrap();
        assert_eq!(query.to_string(), text);
        assert_eq!(parse(text).as_ref(), Ok(&query));
    };
    check("{}", "*");
    check(
        r#"{"filter":{"and":[{"field":"eventName","wildcard":"Create*"},{"word":"pedro"},
            {"not":{"field":"n","range":{"gte":5,"lt":"7"}}},{"field":"ok","is":true}]},
            "stages":[{"stats":[{"function":"count"},{"function":"p95","field":"x","as":"slow"}],
            "by":["actor",{"bin":"1h"}]},{"sort":[{"field":"count","order":"desc"},"actor"]},{"limit":10}]}"#,
        "eventName:Create* AND pedro AND NOT n:[5 TO 7} AND ok:true \
         | stats count, p95(x) as slow by actor, bin(1h) | sort count desc, actor | limit 10",
    );
    let error = |json: &str, expected: &str| {
        let error = serde_json::from_str::<Query>(json).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    error(r#"{"filtr":{}}"#, "query: unknown key 'filtr', expected one of filter, stages");
    error(
        r#"{"filter":{"and":[{"word":"a"},{"feld":"b"}]}}"#,
        "query.filter.and[1]: expected a key of field, and, or, not",
    );
    error(r#"{"filter":{"field":"a","is":[1]}}"#, "query.filter.is: expected a value, found [1]");
    error(
        r#"{"filter":{"regex":"("}}"#,
        "query.filter.regex: not a regular expression: unclosed group",
    );
    error(
        r#"{"stages":[{"limit":1},{"sort":["a"]}]}"#,
        "query: stages[1]: sort comes before limit",
    );
    let deep = format!("{}{{}}{}", r#"{"not":"#.repeat(100), "}".repeat(100));
    error(&format!(r#"{{"filter":{deep}}}"#), "query.filter");
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
        // A fuzzer found that its groups counted as conditions in JSON.
        "a b OR ".repeat(QUERY_TERMS_MAX / 2 - 1) + "a b",
    ] {
        let query = parse(&fits).unwrap();
        let json = serde_json::to_string(&query).unwrap();
        assert_eq!(serde_json::from_str::<Query>(&json).unwrap(), query);
    }
    let offset = |text: String| parse(&text).unwrap_err().offset;
    assert_eq!(offset(nested(QUERY_DEPTH_MAX + 1)), QUERY_DEPTH_MAX + 1);
    assert_eq!(offset(negated(1_000)), (QUERY_DEPTH_MAX + 1) * "NOT ".len() - 1);
    let tree = |bytes: usize| {
        let json = serde_json::json!({ "filter": { "wildcard": "a?*".repeat(bytes / 3) } });
        serde_json::from_value::<Query>(json).map_err(|error| error.to_string())
    };
    tree(QUERY_BYTES_MAX).unwrap();
    let error = tree(QUERY_BYTES_MAX + 3).unwrap_err();
    assert!(error.contains("longer than 65536 bytes"), "{error}");
    assert_eq!(offset("a ".repeat(QUERY_TERMS_MAX + 1)), QUERY_TERMS_MAX * "a ".len());
    assert_eq!(offset(values(QUERY_TERMS_MAX)), "f IN [".len() + (QUERY_TERMS_MAX - 1) * 2);
    assert_eq!(offset("é".repeat(QUERY_BYTES_MAX / 2) + "!"), QUERY_BYTES_MAX);
}

#[test]
fn the_tree_knows_where_fields_and_values_stand() {
    let Expr::Or(parts) = parse("é user:pedro OR -n:>=5").unwrap().filter else { panic!() };
    let (Expr::And(words), Expr::Not(test)) = (&parts[0], &parts[1]) else { panic!("{parts:?}") };
    for (expr, name, offset) in [(&words[1], "user", 3), (&**test, "n", 18)] {
        let Expr::Field { field, .. } = expr else { panic!("{expr:?}") };
        assert_eq!((field.name.as_str(), field.offset), (name, Some(offset)));
    }

    let Expr::Field { test: Test::Range { lower: Bound::Included(value), .. }, .. } =
        parse("n:>= 5").unwrap().filter
    else {
        panic!("not a range");
    };
    assert_eq!(value.offset, Some(5));
}

#[test]
fn a_prefix_is_text_before_a_single_star() {
    let prefix = |text| match parse(text).unwrap().filter {
        Expr::Wildcard(pattern) => match pattern.pieces() {
            [crate::ast::PatternPiece::Text(prefix), crate::ast::PatternPiece::AnyRun] => {
                Some(prefix.clone())
            }
            _ => None,
        },
        _ => None,
    };
    assert_eq!(prefix(r"Create\**"), Some("Create*".to_owned()));
    for text in ["Create", "*Policy", "a*b", "a*b*", "ab?"] {
        assert_eq!(prefix(text), None, "{text}");
    }
}
