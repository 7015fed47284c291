//! Keeps other sites' pages away from the daemon, where its socket is forwarded to a port that a
//! browser can reach. Pure: from a request's head to an error, if there is one.
//!
//! A page can make its visitor's browser send requests in two ways. By a name of its own that it
//! points at this machine: so `Host` must be a name that is known to be ours, for every path. Or
//! across sites: a browser tells that by `Origin` and `Sec-Fetch-Site`, so what has one of these is
//! a browser's, and must come from a page of ours. Other clients send neither.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use wire::{ApiError, ErrorKind};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a `Host` header names, without its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// In lower case.
    Name(String),
    /// An address, which no name server can point elsewhere.
    Address(IpAddr),
}

impl Host {
    /// Parses a name or an address without a port, as `web.hosts` lists them. An IPv6 address may
    /// stand in brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Some(inside) = inside {
            return inside.parse::<Ipv6Addr>().ok().map(|address| Self::Address(address.into()));
        }
        if let Ok(address) = text.parse() {
            return Some(Self::Address(address));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_name = !text.is_empty() && text.bytes().all(is_plain);
        is_name.then(|| Self::Name(text.to_ascii_lowercase()))
    }

    /// Whether it means this machine, whatever a name server says.
    fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Address(address) => address.to_canonical().is_loopback(),
        }
    }
}

/// A host and its port, as `Host` and `Origin` have them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostPort {
    host: Host,
    port: Option<u16>,
}

impl HostPort {
    fn parse(text: &str) -> Option<Self> {
        let end = if text.starts_with('[') {
            text.find(']')? + 1
        } else {
            text.find(':').unwrap_or(text.len())
        };
        let (host, port) = text.split_at(end);
        let host = match Host::parse(host)? {
            Host::Address(IpAddr::V6(_)) if !host.starts_with('[') => return None,
            host => host,
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            _ => return None,
        };
        Some(Self { host, port })
    }

    /// The port that is meant where none is written.
    fn or(&self, port: u16) -> (&Host, u16) {
        (&self.host, self.port.unwrap_or(port))
    }
}

/// Refuses a request for a host that is not ours, or from a page of another origin. `hosts` are
/// names that are ours beside this machine's own.
pub fn check_site(request: &Parts, hosts: &[Host]) -> Result<(), ApiError> {
    let host = check_host(request, hosts)?;
    if is_browsers(&request.headers) { check_origin(&request.headers, host) } else { Ok(()) }
}

/// As [`check_site`] for the paths that answer with what the index holds, and change things. Others
/// may be asked for by any page, which cannot read the answer.
pub fn check_request(request: &Parts, has_body: bool, hosts: &[Host]) -> Result<(), ApiError> {
    if !request.uri.path().starts_with("/v1") {
        return check_host(request, hosts).map(|_| ());
    }
    check_site(request, hosts)?;
    if has_body && is_browsers(&request.headers) && !is_json(&request.headers) {
        let message = "a browser's request with a body needs Content-Type: application/json";
        return Err(ApiError::new(ErrorKind::WrongType, message));
    }
    Ok(())
}

fn is_browsers(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.contains_key(FETCH_SITE)
}

/// Checks the host that the request is for; it stands in the header, or in the target, or in both.
/// None where no host is said.
fn check_host(request: &Parts, hosts: &[Host]) -> Result<Option<HostPort>, ApiError> {
    let in_target = request.uri.authority().map(axum::http::uri::Authority::as_str);
    let in_header = only(&request.headers, &HOST)?;
    let mut known = None;
    for text in in_target.into_iter().chain(in_header).filter(|text| !text.is_empty()) {
        let found = HostPort::parse(text)
            .filter(|found| found.host.is_loopback() || hosts.contains(&found.host))
            .ok_or_else(|| misdirected(text))?;
        if known.as_ref().is_some_and(|known| *known != found) {
            let message = "the request's target and its Host header name different hosts";
            return Err(ApiError::new(ErrorKind::BadRequest, message));
        }
        known = Some(found);
    }
    Ok(known)
}

fn misdirected(host: &str) -> ApiError {
    let message = format!(
        "the request is for the host '{host}', which is not known to be this daemon's: use \
         localhost or a loopback address, or list the host in `web.hosts`"
    );
    ApiError::new(ErrorKind::Misdirected, message)
}

/// Checks that a browser's request comes from a page of the same origin.
fn check_origin(headers: &HeaderMap, host: Option<HostPort>) -> Result<(), ApiError> {
    let foreign = |what: &str| {
        let message = format!("a page of another origin may not ask: {what}");
        Err(ApiError::new(ErrorKind::Forbidden, message))
    };
    if let Some(site) = only(headers, &FETCH_SITE)?
        && site != "same-origin"
    {
        return foreign(&format!("Sec-Fetch-Site is '{site}', not 'same-origin'"));
    }
    let Some(origin) = only(headers, &ORIGIN)? else { return Ok(()) };
    let parsed = [("http://", 80), ("https://", 443)]
        .into_iter()
        .find_map(|(scheme, port)| Some((HostPort::parse(origin.strip_prefix(scheme)?)?, port)));
    match (parsed, host) {
        (Some((origin, port)), Some(host)) if origin.or(port) == host.or(port) => Ok(()),
        _ => foreign(&format!("Origin is '{origin}', which is not the request's Host")),
    }
}

/// The value of a header that may be there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bad = |what: &str| {
        let message = format!("the header '{name}' {what}");
        ApiError::new(ErrorKind::BadRequest, message)
    };
    if values.next().is_some() {
        return Err(bad("is there twice"));
    }
    value.to_str().map(Some).map_err(|_| bad("is no ASCII text"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Ok(Some(text)) = only(headers, &CONTENT_TYPE) else { return false };
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        request.body(()).unwrap().into_parts().0
    }

    /// The status of the refusal; 200 where there is none.
    fn status(method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
        let ours = [Host::parse("Trail.Example.com").unwrap(), Host::parse("10.1.2.3").unwrap()];
        let has_body = method == "POST";
        let refused = check_request(&request(method, target, headers), has_body, &ours);
        refused.map_or_else(|error| error.kind.http_status(), |()| 200)
    }

    #[test]
    fn a_host_is_this_machine_or_listed_on_every_path() {
        for host in [
            "",
            "localhost",
            "LOCALHOST:8080",
            "localhost:",
            "127.0.0.1",
            "127.9.8.7:1",
            "[::1]",
            "[::1]:8080",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]:9",
            "trail.example.com",
            "TRAIL.example.com:65535",
            "10.1.2.3:80",
        ] {
            for path in ["/v1/search", "/", "/healthz", "/metrics"] {
                assert_eq!(status("GET", path, &[("host", host)]), 200, "{host} {path}");
            }
        }
        for host in [
            "evil.com",
            "traildex",
            "localhost.evil.com",
            "evil-localhost",
            "a.localhost",
            "localhost.",
            "trail.example.com.",
            "sub.trail.example.com",
            "0.0.0.0",
            "[::]",
            "::1",
            "[::1",
            "[::1]x",
            "[::1%25lo]",
            "[127.0.0.1]",
            "127.0.0.1.evil.com",
            "127.1",
            "0x7f.1",
            "2130706433",
            "localhost@evil.com",
            "evil.com@localhost",
            "user:pw@localhost",
            "localhost:80:80",
            "localhost:x",
            "localhost:+80",
            "localhost:65536",
            "localhost/",
            "localhost#",
            "localhost?",
            " localhost",
            "localhost, evil.com",
            "*",
            "10.1.2.4",
        ] {
            for path in ["/v1/search", "/", "/healthz", "/nothing"] {
                assert_eq!(status("GET", path, &[("host", host)]), 421, "{host} {path}");
            }
        }
        assert_eq!(status("GET", "/v1/search", &[]), 200);
        assert_eq!(status("GET", "/", &[("host", "loc\u{e4}lhost")]), 400);
    }

    #[test]
    fn all_hosts_of_a_request_count() {
        let local = ("host", "localhost");
        assert_eq!(status("GET", "/", &[local, local]), 400);
        assert_eq!(status("GET", "/", &[local, ("host", "evil.com")]), 400);
        assert_eq!(status("GET", "http://localhost/v1/status", &[local]), 200);
        assert_eq!(status("GET", "http://localhost/v1/status", &[]), 200);
        assert_eq!(status("GET", "http://evil.com/v1/status", &[local]), 421);
        assert_eq!(status("GET", "http://localhost/v1/status", &[("host", "evil.com")]), 421);
        assert_eq!(status("GET", "http://evil.com@localhost/", &[local]), 421);
        assert_eq!(status("GET", "http://127.0.0.1/", &[local]), 400);
        assert_eq!(status("CONNECT", "evil.com:443", &[local]), 421);
    }

    #[test]
    fn a_browsers_request_comes_from_a_page_of_ours() {
        let json = ("content-type", "application/json; charset=utf-8");
        let post = |host: &str, more: &[(&str, &str)]| {
            status("POST", "/v1/search", &[&[("host", host), json], more].concat())
        };
        for (host, origin) in [
            ("localhost:8080", "http://localhost:8080"),
            ("LocalHost:8080", "http://localhost:8080"),
            ("localhost", "http://localhost"),
            ("localhost:80", "http://localhost"),
            ("trail.example.com", "https://trail.example.com"),
            ("[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(post(host, &[("origin", origin)]), 200, "{host} {origin}");
            let both = [("origin", origin), ("sec-fetch-site", "same-origin")];
            assert_eq!(post(host, &both), 200, "{host} {origin}");
            let torn = [("origin", origin), ("sec-fetch-site", "cross-site")];
            assert_eq!(post(host, &torn), 403, "{host} {origin}");
        }
        for origin in [
            "null",
            "",
            "http://evil.com",
            "http://localhost",
            "http://localhost:8081",
            "https://localhost:80801",
            "http://127.0.0.1:8080",
            "http://localhost:8080.evil.com",
            "http://localhost:8080@evil.com",
            "http://localhost:8080/",
            "localhost:8080",
            "file://",
            "chrome-extension://localhost:8080",
            "http://localhost:8080 http://evil.com",
        ] {
            assert_eq!(post("localhost:8080", &[("origin", origin)]), 403, "{origin}");
        }
        for site in ["cross-site", "same-site", "none", "", "Same-Origin"] {
            let headers = [("host", "localhost"), ("sec-fetch-site", site)];
            for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
                assert_eq!(status(method, "/v1/saved/x", &headers), 403, "{method} {site}");
                assert_eq!(status(method, "/metrics", &headers), 200, "{method} {site}");
            }
        }
        let same = ("sec-fetch-site", "same-origin");
        assert_eq!(status("GET", "/v1/status", &[("host", "localhost"), same]), 200);
        let twice = [("host", "localhost"), same, ("sec-fetch-site", "cross-site")];
        assert_eq!(status("GET", "/v1/status", &twice), 400);
        // Nothing to compare with.
        assert_eq!(status("GET", "/v1/status", &[("origin", "http://localhost")]), 403);
    }

    #[test]
    fn a_browsers_body_is_json_and_others_may_be_anything() {
        let local = ("host", "localhost");
        let same = ("sec-fetch-site", "same-origin");
        let post = |headers: &[(&str, &str)]| status("POST", "/v1/rebuild", headers);
        for kind in ["application/json", "Application/JSON", "application/json;charset=utf-8"] {
            assert_eq!(post(&[local, same, ("content-type", kind)]), 200, "{kind}");
        }
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/plain; application/json",
            "application/jsonx",
            "",
            "text/json",
        ] {
            assert_eq!(post(&[local, same, ("content-type", kind)]), 415, "{kind}");
            assert_eq!(post(&[local, ("content-type", kind)]), 200, "{kind}");
        }
        assert_eq!(post(&[local, same]), 415);
        assert_eq!(post(&[local]), 200);
        let json = ("content-type", "application/json");
        assert_eq!(post(&[local, same, json, ("content-type", "text/plain")]), 415);
    }
}
