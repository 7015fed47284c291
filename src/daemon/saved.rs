//! Saved searches: what can be saved, and the search that a run of one is.

use std::collections::BTreeMap;

use jiff::Timestamp;

use language::parameters::{bind, is_name, parameters};
use language::parse::parse_noted;
use search::run::{clock_of, parse_bound, refused};
use store::saved;
use store::saved::Search;
use wire::engine::{Caller, OPERATORS};
use wire::limits::{SAVED_BYTES_MAX, SAVED_MAX, SAVED_NAME_BYTES_MAX, SEARCH_LIMIT_MAX};
use wire::{
    ApiError, ErrorKind, Order, Parameter, QueryForm, SavedRequest, SavedSearch, SearchRequest,
};

/// Bytes of a query that a line of the log shows.
const QUERY_LOGGED_BYTES: usize = 1_000;

/// Refuses what could not be run, whatever the values of the parameters.
pub(super) fn check(name: &str, search: &SavedSearch) -> Result<(), ApiError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_begun = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !is_begun || !name.chars().all(is_plain) || name.len() > SAVED_NAME_BYTES_MAX {
        return Err(bad(format!(
            "'{name}' is no name: letters, digits, '-', '_' and '.', the first a letter or a digit, \
             {SAVED_NAME_BYTES_MAX} at most"
        )));
    }
    let used = parameters(&search.query).map_err(refused)?;
    for name in search.parameters.keys() {
        if !is_name(name) {
            return Err(bad(format!(
                "parameter '{name}': a name is letters, digits and '_', the first no digit"
            )));
        }
        if !used.contains(name) {
            return Err(bad(format!("parameter '{name}': the query has no value ${name}")));
        }
    }
    let clock = clock_of(search.time_zone.as_deref(), Timestamp::now())?;
    parse_bound("start", search.start.as_deref(), &clock)?;
    parse_bound("end", search.end.as_deref(), &clock)?;
    match search.limit {
        Some(limit) if limit > SEARCH_LIMIT_MAX => {
            Err(bad(format!("limit {limit} is more than {SEARCH_LIMIT_MAX}, the most there is")))
        }
        _ => Ok(()),
    }
}

/// The search that a run is: what the run says, then what was saved.
pub(super) fn search(search: &SavedSearch, run: &SavedRequest) -> Result<SearchRequest, ApiError> {
    let used = parameters(&search.query).map_err(refused)?;
    if let Some(unknown) = run.parameters.keys().find(|name| !used.contains(*name)) {
        let known: Vec<String> = used.iter().map(|name| format!("'{name}'")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(bad(format!("there is no parameter '{unknown}', but {known}")));
    }
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for name in used {
        let default = || search.parameters.get(&name).and_then(|known| known.default.clone());
        match run.parameters.get(&name).cloned().or_else(default) {
            Some(value) => {
                values.insert(name, value);
            }
            None => missing.push(format!("'{name}'")),
        }
    }
    if !missing.is_empty() {
        return Err(bad(format!("no value for parameter {}", missing.join(", "))));
    }
    let query = bind(&search.query, &values).map_err(refused)?;
    let either = |said: &Option<String>, saved: &Option<String>| said.clone().or(saved.clone());
    Ok(SearchRequest {
        query: QueryForm::Tree(Box::new(query)),
        start: either(&run.start, &search.start),
        end: either(&run.end, &search.end),
        time_zone: either(&run.time_zone, &search.time_zone),
        limit: run.limit.or(search.limit),
        order: run.order.or(search.order).unwrap_or_default(),
        total: run.total,
        cursor: run.cursor.clone(),
        highlights: run.highlights,
        empty: run.empty,
        explain: run.explain,
        unexplained: false,
        is_unexplained: false,
        is_streamed: false,
        keeps: None,
    })
}

/// How the text of a saved search is taken, for the warnings of its answers.
pub(super) fn notes(search: &SavedSearch) -> Result<Vec<String>, ApiError> {
    parse_noted(&search.query).map(|parsed| parsed.notes).map_err(refused)
}

/// A search of the API, as it is kept on disk.
fn kept(search: &SavedSearch) -> Search {
    let SavedSearch { query, description, parameters, start, end, time_zone, limit, order, owner } =
        search.clone();
    let parameter = |(name, Parameter { default, description })| {
        (name, saved::Parameter { default, description })
    };
    let order = order.map(|order| match order {
        Order::Newest => saved::Order::Newest,
        Order::Oldest => saved::Order::Oldest,
    });
    let parameters = parameters.into_iter().map(parameter).collect();
    Search { query, description, parameters, start, end, time_zone, limit, order, owner }
}

/// What the API tells of a search on disk.
pub(super) fn told(search: &Search) -> SavedSearch {
    let Search { query, description, parameters, start, end, time_zone, limit, order, owner } =
        search.clone();
    let parameter = |(name, saved::Parameter { default, description })| {
        (name, Parameter { default, description })
    };
    let order = order.map(|order| match order {
        saved::Order::Newest => Order::Newest,
        saved::Order::Oldest => Order::Oldest,
    });
    let parameters = parameters.into_iter().map(parameter).collect();
    SavedSearch { query, description, parameters, start, end, time_zone, limit, order, owner }
}

/// Saves a search, whose owner is who saved its name first. Returns it, and the one before it.
pub(super) fn insert(
    searches: &mut BTreeMap<String, Search>,
    caller: Caller,
    name: &str,
    search: &SavedSearch,
) -> Result<(SavedSearch, Option<Search>), ApiError> {
    let before = searches.get(name);
    check_owner(caller, name, before, "replace")?;
    let owner = before.and_then(|before| before.owner).or(Some(caller.uid));
    let search = Search { owner, ..kept(search) };
    let told = told(&search);
    let before = searches.insert(name.to_owned(), search);
    check_size(searches)?;
    check_share(searches, caller)?;
    Ok((told, before))
}

pub(super) fn remove(
    searches: &mut BTreeMap<String, Search>,
    caller: Caller,
    name: &str,
) -> Result<SavedSearch, ApiError> {
    check_owner(caller, name, searches.get(name), "delete")?;
    let search = searches.remove(name).ok_or_else(|| unknown(name))?;
    Ok(told(&search))
}

/// The beginning of a query, for a line of the log.
pub(super) fn shown(query: &str) -> &str {
    &query[..query.floor_char_boundary(QUERY_LOGGED_BYTES)]
}

/// Refuses to change what belongs to somebody else.
fn check_owner(
    caller: Caller,
    name: &str,
    search: Option<&Search>,
    what: &str,
) -> Result<(), ApiError> {
    let Caller { uid, is_operator } = caller;
    let owner = match search {
        Some(Search { owner, .. }) if !is_operator && *owner != Some(uid) => owner,
        _ => return Ok(()),
    };
    let owner = match owner {
        Some(owner) => format!("belongs to user {owner}"),
        None => "has no owner, because an older version saved it".to_owned(),
    };
    Err(ApiError::new(
        ErrorKind::Forbidden,
        format!("the saved search '{name}' {owner}; user {uid} may not {what} it: {OPERATORS} may"),
    ))
}

/// Refuses a user, who is no operator, more than a share of the room: what is left is for others.
fn check_share(searches: &BTreeMap<String, Search>, caller: Caller) -> Result<(), ApiError> {
    let Caller { uid, is_operator } = caller;
    let theirs = searches.values().filter(|search| search.owner == Some(uid));
    let (mut count, mut bytes) = (0, 0);
    for search in theirs {
        count += 1;
        bytes += serde_json::to_string(search).map_or(0, |json| json.len());
    }
    if !is_operator && (count > SAVED_MAX / 2 || bytes > SAVED_BYTES_MAX / 2) {
        return Err(bad(format!(
            "a user who is no operator can save {} searches of {} bytes together",
            SAVED_MAX / 2,
            SAVED_BYTES_MAX / 2
        )));
    }
    Ok(())
}

/// Refuses more than there is room for.
fn check_size(searches: &BTreeMap<String, Search>) -> Result<(), ApiError> {
    let bytes = serde_json::to_string(searches).map_or(0, |json| json.len());
    if searches.len() > SAVED_MAX || bytes > SAVED_BYTES_MAX {
        return Err(bad(format!(
            "there is room for {SAVED_MAX} saved searches of {SAVED_BYTES_MAX} bytes together"
        )));
    }
    Ok(())
}

pub(super) fn unknown(name: &str) -> ApiError {
    ApiError::new(ErrorKind::NotFound, format!("no search is saved as '{name}'"))
}

fn bad(message: String) -> ApiError {
    ApiError::new(ErrorKind::BadRequest, message)
}
