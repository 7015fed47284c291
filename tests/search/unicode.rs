//! Composed and decomposed letters are the same; and names of fields that a search looks at.

use std::fs;

use crate::common::{Daemon, PATIENCE, Place};

const COMPOSED: &str = "R\u{e9}sum\u{e9}";
const DECOMPOSED: &str = "Re\u{301}sume\u{301}";

fn event(name: &str, parameters: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.08","eventTime":"2024-05-06T07:08:09Z","eventSource":"s3.amazonaws.com","eventName":"{name}","eventID":"{name}","requestParameters":{parameters}}}"#
    )
}

fn daemon(place: &Place, events: &[String]) -> Daemon {
    let text = format!(r#"{{"Records":[{}]}}"#, events.join(","));
    fs::write(place.archive().join("x.json"), text).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, events.len() as u64);
    daemon
}

/// The names of a query's events, in order.
#[track_caller]
fn check(daemon: &Daemon, query: &str, expected: &[&str]) {
    let hits = daemon.find(query).hits;
    let mut found: Vec<&str> = hits.iter().map(|hit| hit.meta.id.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{query}");
}

#[test]
fn a_query_finds_both_forms_of_a_letter() {
    let place = Place::new();
    let of_key = |name: &str, key: &str| event(name, &format!(r#"{{"key":"{key}"}}"#));
    let daemon = daemon(
        &place,
        &[
            of_key("a-composed", &format!("{COMPOSED}.pdf")),
            of_key("b-decomposed", &format!("{DECOMPOSED}.pdf")),
            of_key("c-plain", "Resume.pdf re sume pdf"),
            event("d-name", &format!(r#"{{"in":{{"{DECOMPOSED}":"1"}}}}"#)),
            event("e-name", &format!(r#"{{"in":{{"{COMPOSED}":"1"}}}}"#)),
        ],
    );
    let both = ["a-composed", "b-decomposed"];
    for form in [COMPOSED, DECOMPOSED] {
        check(&daemon, &format!("{form}.pdf"), &both);
        check(&daemon, &format!("\"{form}.pdf\""), &both);
        check(&daemon, &format!("requestParameters.key:{form}.pdf"), &both);
        check(&daemon, &format!("requestParameters.key:{form}*"), &both);
        check(&daemon, &format!("requestParameters.key~\"{form}.PDF\""), &both);
        check(&daemon, &format!("requestParameters.key IN [x, {form}.pdf]"), &both);
        check(
            &daemon,
            &format!("NOT requestParameters.key:{form}.pdf requestParameters.key:*"),
            &["c-plain"],
        );
        check(&daemon, &format!("requestParameters.in.{form}:1"), &["d-name", "e-name"]);
        check(&daemon, &format!("names:{form}"), &["d-name", "e-name"]);
        let table = daemon.find(&format!("requestParameters.key:{form}* | count by requestParameters.key | filter requestParameters.key:{form}.pdf"));
        assert_eq!(table.table.unwrap().rows.len(), 2);
    }
    // What was delivered is what is shown.
    let hit = &daemon.find("eventID:b-decomposed").hits[0];
    assert!(hit.event.get().contains(DECOMPOSED));
    daemon.stop();
}

#[test]
fn names_of_fields_are_looked_at_where_a_search_asks_for_it() {
    let place = Place::new();
    let daemon = daemon(
        &place,
        &[
            event("a", r#"{"in":{"../../../etc/profile":[""]}}"#),
            event("b", r#"{"etc":{"x":1,"y":{"z":true}}}"#),
            event("c", r#"{"key":"etc","names":["x"]}"#),
            event("d", r#"{"etcetera":null,"Etc":"x"}"#),
        ],
    );
    check(&daemon, "etc", &["c"]);
    check(&daemon, "names:etc", &["a", "b", "d"]);
    check(&daemon, "names:\"etc profile\"", &["a"]);
    check(&daemon, "names:*rofil*", &["a"]);
    check(&daemon, "names:/pro.+e/", &["a"]);
    check(&daemon, "names:(z OR profile)", &["a", "b"]);
    check(&daemon, "names:eventID", &["a", "b", "c", "d"]);
    check(&daemon, "NOT names:etc", &["c"]);
    check(&daemon, "names:nowhere", &[]);
    check(&daemon, "requestParameters.names:x", &["c"]);
    daemon.stop();
}
