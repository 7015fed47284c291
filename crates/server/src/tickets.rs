//! Tickets for exports: a browser saves what a link leads to, and a link carries neither a body nor a
//! token. So who may ask asks for a ticket with the request of an export, and the link has the ticket.
//!
//! A ticket is a secret, is for one request of one user, and is of use once and for a minute. They are
//! bounded in number and in bytes, and are gone with the daemon.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode, header};

use crate::answer::{Answer, encode, json};
use crate::ask::App;
use crate::budget::Holder;
use crate::client::Client;
use crate::request::{bad_request, check_limit};
use crate::secret::{is_same, random};
use wire::limits::{
    SEARCH_LIMIT_MAX, TICKET_BYTES_MAX, TICKET_SECONDS, TICKETS_MAX, TICKETS_OF_USER_MAX,
};
use wire::{ApiError, ErrorKind, ExportFormat, ExportRequest, Ticket, TicketRequest};

const LIFE: Duration = Duration::from_secs(TICKET_SECONDS);

/// Those that wait to be used.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    secret: String,
    holder: Holder,
    until: Instant,
    /// As JSON: a tree in memory takes many times as much.
    request: Vec<u8>,
}

impl Tickets {
    /// Keeps a request, and returns its ticket; None where as many wait as may.
    fn keep(&self, holder: &Holder, request: Vec<u8>, now: Instant) -> Option<String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.until > now);
        let of_user = kept.iter().filter(|kept| kept.holder == *holder).count();
        if kept.len() >= TICKETS_MAX || of_user >= TICKETS_OF_USER_MAX {
            return None;
        }
        let secret = random();
        let holder = holder.clone();
        kept.push(Kept { secret: secret.clone(), holder, until: now + LIFE, request });
        Some(secret)
    }

    /// The request of a ticket, which is of no use from then on.
    fn take(&self, holder: &Holder, given: &str, now: Instant) -> Option<Vec<u8>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.until > now);
        // All are looked at, so that the time does not tell which it was.
        let found = kept.iter().enumerate().fold(None, |found, (at, kept)| {
            let is_it = is_same(given.as_bytes(), kept.secret.as_bytes());
            if is_it && kept.holder == *holder { Some(at) } else { found }
        });
        found.map(|at| kept.swap_remove(at).request)
    }
}

/// Answers with a ticket once the query is known to be one, and says how it was taken.
pub(crate) async fn ticket(app: App, client: &Client, request: ExportRequest) -> Answer {
    check_limit(request.limit.unwrap_or_default(), SEARCH_LIMIT_MAX)?;
    let encoded = encode(&request)?;
    if encoded.len() > TICKET_BYTES_MAX {
        let bytes = encoded.len();
        let message = format!("the request has {bytes} bytes; a ticket's has {TICKET_BYTES_MAX}");
        return Err(ApiError::new(ErrorKind::TooLarge, message).into());
    }
    let first = request.page(1, request.cursor.clone());
    let found = app.limited(move |engine, cancel| engine.search(&first, cancel)).await?;
    let kept = app.tickets.keep(&client.holder, encoded, Instant::now());
    let busy = "as many tickets as there may be wait to be used; one is of use for a minute";
    let ticket = kept.ok_or_else(|| ApiError::new(ErrorKind::Busy, busy))?;
    let warnings = found.warnings;
    json(StatusCode::CREATED, &Ticket { ticket, seconds: TICKET_SECONDS, warnings })
}

/// Answers with the export of a ticket, as a file to be saved.
pub(crate) async fn use_ticket(app: App, client: &Client, asked: TicketRequest) -> Answer {
    if asked.ticket.is_empty() {
        return Err(bad_request("'ticket' is empty").into());
    }
    let request = app.tickets.take(&client.holder, &asked.ticket, Instant::now());
    let gone = "this ticket was used, is older than a minute, or never was: ask for another";
    let request = request.ok_or_else(|| ApiError::new(ErrorKind::Gone, gone))?;
    let request: ExportRequest = serde_json::from_slice(&request).map_err(|error| {
        ApiError::new(ErrorKind::Internal, format!("the ticket's request cannot be read: {error}"))
    })?;
    let name = match request.format {
        ExportFormat::Ndjson => "attachment; filename=\"traildex.ndjson\"",
        ExportFormat::Csv => "attachment; filename=\"traildex.csv\"",
        ExportFormat::Parquet => "attachment; filename=\"traildex.parquet\"",
    };
    let mut response = crate::export::export(app, client, request).await?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str) -> Vec<u8> {
        let query = query.to_owned().into();
        encode(&ExportRequest { query, ..ExportRequest::default() }).unwrap()
    }

    #[test]
    fn a_ticket_is_of_use_once_to_its_user_and_for_its_request() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let (own, other) = (Holder::User(1), Holder::User(2));
        let one = tickets.keep(&own, request("a"), now).unwrap();
        let two = tickets.keep(&own, request("b"), now).unwrap();
        assert_ne!(one, two);
        for wrong in ["", "x", &one[..63], &format!("{one}0"), &one.replace(&one[..1], "x")] {
            assert_eq!(tickets.take(&own, wrong, now), None, "{wrong}");
        }
        // Who has another's is told what they are told of one that never was, and does not use it up.
        assert_eq!(tickets.take(&other, &one, now), None);
        assert_eq!(tickets.take(&own, &one, now), Some(request("a")));
        assert_eq!(tickets.take(&own, &one, now), None);
        assert_eq!(tickets.take(&own, &two, now), Some(request("b")));
    }

    #[test]
    fn a_ticket_is_of_no_use_after_a_minute() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let own = Holder::User(1);
        let [one, two] = [(); 2].map(|()| tickets.keep(&own, request("a"), now).unwrap());
        let almost = now + Duration::from_secs(TICKET_SECONDS - 1);
        assert_eq!(tickets.take(&own, &one, almost), Some(request("a")));
        assert_eq!(tickets.take(&own, &two, now + LIFE), None);
        assert_eq!(tickets.take(&own, &two, now), None);
    }

    #[test]
    fn tickets_are_bounded_and_one_user_leaves_some_to_others() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let keep = |user, now| tickets.keep(&Holder::User(user), request("a"), now);
        for _ in 0..TICKETS_OF_USER_MAX {
            assert!(keep(0, now).is_some());
        }
        assert!(keep(0, now).is_none());
        let users = u32::try_from(TICKETS_MAX / TICKETS_OF_USER_MAX).unwrap();
        for user in 1..users {
            for _ in 0..TICKETS_OF_USER_MAX {
                assert!(keep(user, now).is_some());
            }
        }
        assert!(keep(users, now).is_none());
        assert!(keep(users, now + LIFE).is_some());
        assert!(keep(0, now + LIFE).is_some());
    }
}
