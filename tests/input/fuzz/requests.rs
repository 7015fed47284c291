//! What a client sends: bodies and query strings, read as the server reads them.

use std::fmt::Debug;
use std::time::Duration;

use axum::body::Body;
use axum::http::Uri;
use serde::Serialize;
use serde::de::DeserializeOwned;
use server::request::{from_body, from_optional_body, from_query_string};
use wire::{ApiError, ErrorBody, FilesRequest, RebuildRequest, SearchRequest};

use super::language::queries;
use super::{fuzz, outcome};

const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ",",
    ":",
    "%",
    "%00",
    "%ff",
    "%e2%82%ac",
    "&",
    "=",
    "+",
    "\"query\":",
    "\"start\":",
    "\"limit\":",
    "\"order\":\"oldest\"",
    "\"total\":\"bounded\"",
    "limit=5",
    "q=",
    "state=",
    "by=account,region,day",
    "18446744073709551616",
    "-1",
    "1e400",
    "null",
    "{\"all\":[",
    "{\"and\":[",
    "{\"field\":\"a\",\"is\":\"b\"}",
    "{\"not\":",
    "{\"stages\":[",
    "\\ud800",
    "\u{feff}",
    "\u{1f600}",
];

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for query in queries() {
        let query = String::from_utf8(query).unwrap();
        seeds.push(serde_json::json!({ "query": query }).to_string().into_bytes());
        if let Ok(tree) = language::parse::parse(&query) {
            let body = serde_json::json!({
                "query": tree, "start": "-24h", "end": "now", "time_zone": "UTC", "limit": 5,
                "order": "oldest", "total": "bounded",
            });
            seeds.push(body.to_string().into_bytes());
        }
    }
    for text in [
        "q=eventName:ConsoleLogin&limit=1&order=oldest&total=bounded&start=2023-07-10",
        "state=rejected&path=2023/07/10&limit=3&start=-1h&end=now&read_start=0&read_end=now",
        "by=account,region,day",
        r#"{"accept_loss":true}"#,
    ] {
        seeds.push(text.as_bytes().to_vec());
    }
    seeds
}

/// A request that was read says the same when it is sent again; a refusal is one that can be sent.
fn check<T: DeserializeOwned + Serialize + PartialEq + Debug>(
    read: Result<T, ApiError>,
    again: impl FnOnce(&[u8]) -> Result<T, ApiError>,
) -> u64 {
    match read {
        Ok(request) => {
            let body = serde_json::to_vec(&request).unwrap();
            assert_eq!(again(&body).unwrap(), request, "{}", String::from_utf8_lossy(&body));
            1
        }
        Err(error) => {
            assert!(!error.message.is_empty());
            let kind = format!("{:?}", error.kind);
            let message: String =
                error.message.chars().filter(|c| c.is_alphabetic()).take(40).collect();
            serde_json::to_vec(&ErrorBody { error }).unwrap();
            outcome((kind, message))
        }
    }
}

#[test]
fn requests() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let limit = Duration::from_secs(5);
    let search = |body: &[u8]| {
        runtime.block_on(from_body::<SearchRequest>(Body::from(body.to_vec()), limit))
    };
    let rebuild = |body: &[u8]| {
        runtime.block_on(from_optional_body::<RebuildRequest>(Body::from(body.to_vec()), limit))
    };
    let files =
        |body: &[u8]| runtime.block_on(from_body::<FilesRequest>(Body::from(body.to_vec()), limit));
    fuzz("requests", seeds(), TOKENS, |input| {
        let bodies = (check(search(input), search), check(rebuild(input), rebuild));
        let target = [b"/v1/files?", input].concat();
        let Ok(uri) = Uri::try_from(target.as_slice()) else { return outcome(bodies) };
        let strings =
            (check(from_query_string(&uri), search), check(from_query_string(&uri), files));
        outcome((bodies, strings))
    });
}
