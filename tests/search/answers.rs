//! What an answer says beside the events: which values met the query, and what the search did.

use wire::SearchRequest;

use crate::common::{PATIENCE_BULK, Place, copy_invictus};

fn request(query: &str) -> SearchRequest {
    SearchRequest { query: query.into(), limit: Some(1), ..SearchRequest::default() }
}

#[test]
fn highlights_are_the_values_that_met_the_query() {
    let place = Place::new();
    copy_invictus(&place.archive(), 1);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 2_900);
    let highlights = |query: &str| -> Vec<(String, Vec<String>)> {
        let found = daemon.search(&SearchRequest { highlights: true, ..request(query) });
        let told = |h: &wire::Highlight| {
            let parts = h.ranges.iter().map(|[from, to]| h.value[*from..*to].to_owned());
            (h.field.clone(), parts.collect())
        };
        assert_eq!(found.hits.len(), 1, "{query}");
        found.hits[0].highlights.iter().map(told).collect()
    };
    let one = |field: &str, text: &str| vec![(field.to_owned(), vec![text.to_owned()])];
    assert_eq!(highlights("eventName:Decrypt"), one("eventName", "Decrypt"));
    assert_eq!(highlights("action:Decr*"), one("eventName", "Decrypt"));
    assert_eq!(highlights("action:~DECRYPT NOT errorCode:*"), one("eventName", "Decrypt"));
    assert_eq!(highlights("action:(Decrypt OR Nothing)"), one("eventName", "Decrypt"));
    let words = highlights("\"not authorized to perform\"");
    assert_eq!(words, one("errorMessage", "not authorized to perform"));
    let words = highlights("errorMessage:\"authorized to perform\"");
    assert_eq!(words, one("errorMessage", "authorized to perform"));
    let word = highlights("*unauthorized*");
    assert!(
        word.iter().any(|(field, parts)| field == "errorCode" && !parts.is_empty()),
        "{word:?}"
    );
    assert_eq!(highlights("NOT eventName:Decrypt"), []);
    assert!(daemon.search(&request("eventName:Decrypt")).hits[0].highlights.is_empty());
    daemon.stop();
}

#[test]
fn a_search_explains_what_it_did() {
    let place = Place::new();
    copy_invictus(&place.archive(), 1);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 2_900);
    let query = "eventName:Decrypt AND NOT (errorCode:* OR s3) AND eventName:Decrypt";
    let request = SearchRequest { explain: true, ..request(query) };
    let explain = daemon.search(&request).explain.unwrap();
    let told: Vec<(&str, u64)> =
        explain.conditions.iter().map(|c| (c.condition.as_str(), c.events)).collect();
    let counts: Vec<(&str, u64)> =
        ["eventName:Decrypt", "errorCode:*", "s3"].map(|query| (query, daemon.count(query))).into();
    assert_eq!(told, counts);
    let steps: Vec<&str> = explain.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(steps, ["inner queries", "plan", "collect", "fetch"]);
    assert_eq!(explain.segments_skipped, 0);

    let later = Some("2030-01-01".to_owned());
    let explain = daemon.search(&SearchRequest { start: later, ..request }).explain.unwrap();
    assert!(explain.segments > 0);
    assert_eq!(explain.segments_skipped, explain.segments);
    assert_eq!(explain.start.as_deref(), Some("2030-01-01T00:00:00Z"));
    assert!(explain.conditions.iter().all(|condition| condition.events == 0));
    daemon.stop();
}
