//! The page's files, which are part of the program. Pure: from a request's head to an answer.
//!
//! A file is found in a table by its whole path, so no path leads anywhere else. All but the document
//! are below a folder whose name is the hash of them all: what is there never changes, and a browser
//! keeps it. The document is asked for again each time, and answered by 304 where it is the same.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::headers::protect;

/// Where the document says that the other files are; the hash takes the place of the `*`.
const FOLDER: &str = "/page/*/";

const DOCUMENT: &str = "index.html";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../page/", $name)))),*]
    };
}

/// Every file of the folder `page` but the types of `vendor`; a test compares the two.
const FILES: &[(&str, &[u8])] = files![
    "app.js",
    "core/alerting.js",
    "core/alerts.js",
    "core/api.js",
    "core/arrivals.js",
    "core/archive.js",
    "core/bars.js",
    "core/cells.js",
    "core/chart.js",
    "core/columns.js",
    "core/compare.js",
    "core/event.js",
    "core/history.js",
    "core/inventory.js",
    "core/json.js",
    "core/newest.js",
    "core/query.js",
    "core/saved.js",
    "core/searches.js",
    "core/sse.js",
    "core/stages.js",
    "core/state.js",
    "core/tail.js",
    "core/text.js",
    "core/time.js",
    "core/tsv.js",
    "core/url.js",
    "core/window.js",
    "icon.svg",
    "index.html",
    "style.css",
    "vendor/LICENCES.txt",
    "vendor/preact.js",
    "view/alert.js",
    "view/alerts.js",
    "view/archive.js",
    "view/chart.js",
    "view/columns.js",
    "view/compare.js",
    "view/completion.js",
    "view/detail.js",
    "view/download.js",
    "view/events.js",
    "view/facets.js",
    "view/heatmap.js",
    "view/help.js",
    "view/history.js",
    "view/locked.js",
    "view/notes.js",
    "view/parts.js",
    "view/querybar.js",
    "view/saved.js",
    "view/table.js",
    "view/tail.js",
    "view/timeline.js",
    "view/timerange.js",
    "view/tree.js",
    "view/triage.js",
];

struct Page {
    /// The hash of all files, in hexadecimal.
    hash: String,
    document: String,
    /// By the path that a request has.
    files: HashMap<String, (&'static str, &'static [u8])>,
}

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    for (name, bytes) in FILES {
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    // Of 256 bits, as many as no two builds share.
    let hash = hex::encode(&hasher.finalize()[..16]);
    let folder = FOLDER.replace('*', &hash);
    let others = FILES.iter().filter(|(name, _)| *name != DOCUMENT);
    let files = others.map(|(name, bytes)| (format!("{folder}{name}"), (kind(name), *bytes)));
    let document = FILES.iter().find(|(name, _)| *name == DOCUMENT).map_or(&[][..], |(_, b)| b);
    let document = String::from_utf8_lossy(document).replace(FOLDER, &folder);
    Page { document, files: files.collect(), hash }
});

/// The answer to a request for the page or one of its files; None where it is for something else.
pub fn page(request: &Parts) -> Option<Response> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return None;
    }
    let path = request.uri.path();
    let mut response = if path == "/" {
        document(&request.headers)
    } else {
        let (kind, bytes) = PAGE.files.get(path)?;
        let lasting = "public, max-age=31536000, immutable";
        ([(CONTENT_TYPE, *kind), (CACHE_CONTROL, lasting)], *bytes).into_response()
    };
    protect(&mut response);
    Some(response)
}

fn document(headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", PAGE.hash);
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == tag);
    let cached = [(CACHE_CONTROL, "no-cache"), (CONTENT_TYPE, kind(DOCUMENT))];
    let (status, body) = if is_known {
        (StatusCode::NOT_MODIFIED, Body::empty())
    } else {
        (StatusCode::OK, Body::from(PAGE.document.as_str()))
    };
    (status, cached, [(ETAG, tag)], body).into_response()
}

/// The content type of a file, by its ending.
fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use axum::http::Request;

    use super::*;

    fn ask(method: &str, path: &str, known: Option<&str>) -> Option<Response> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(known) = known {
            request = request.header(IF_NONE_MATCH, known);
        }
        page(&request.body(()).unwrap().into_parts().0)
    }

    fn header<'r>(response: &'r Response, name: &str) -> &'r str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn names(folder: &Path, below: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = format!("{below}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                names(&entry.path(), &format!("{name}/"), found);
            } else if !name.ends_with(".d.ts") {
                found.insert(name);
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_program() {
        let mut found = BTreeSet::new();
        names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("page"), "", &mut found);
        let listed: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn the_document_names_files_that_are_there_and_never_change() {
        let document = ask("GET", "/", None).unwrap();
        assert_eq!(header(&document, "cache-control"), "no-cache");
        let named: Vec<&str> =
            PAGE.document.split('"').filter(|part| part.starts_with("/page/")).collect();
        assert!(named.len() >= 2, "{named:?}");
        for path in named {
            let file = ask("GET", path, None).unwrap_or_else(|| panic!("{path}"));
            assert!(header(&file, "cache-control").contains("immutable"), "{path}");
            assert!(!header(&file, "content-type").contains("plain"), "{path}");
        }
    }

    #[test]
    fn a_document_that_is_known_is_not_sent_again() {
        let tag = header(&ask("GET", "/", None).unwrap(), "etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
            assert_eq!(ask("GET", "/", Some(&known)).unwrap().status(), 304, "{known}");
        }
        assert_eq!(ask("GET", "/", Some("\"x\"")).unwrap().status(), 200);
    }

    #[test]
    fn no_path_leads_elsewhere() {
        let file = FOLDER.replace('*', &PAGE.hash);
        for path in [
            "/index.html".to_owned(),
            "/page/app.js".to_owned(),
            "/page/0123/app.js".to_owned(),
            format!("{file}index.html"),
            format!("{file}../Cargo.toml"),
            format!("{file}../../src/lib.rs"),
            format!("{file}%2e%2e/Cargo.toml"),
            format!("{file}..%2fCargo.toml"),
            format!("{file}/app.js"),
            format!("/{file}app.js"),
            "//".to_owned(),
            "/..".to_owned(),
            "/etc/passwd".to_owned(),
        ] {
            assert!(ask("GET", &path, None).is_none(), "{path}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            assert!(ask(method, "/", None).is_none(), "{method}");
        }
    }

    #[test]
    fn every_file_says_what_a_browser_may_do_with_it() {
        let paths = ["/".to_owned()].into_iter().chain(PAGE.files.keys().cloned());
        for path in paths {
            let response = ask("GET", &path, None).unwrap();
            assert!(header(&response, "content-security-policy").contains("trusted-types 'none'"));
            assert_eq!(header(&response, "x-content-type-options"), "nosniff");
            assert_eq!(header(&response, "cross-origin-resource-policy"), "same-origin");
            assert_eq!(header(&response, "cross-origin-opener-policy"), "same-origin");
            assert_eq!(header(&response, "referrer-policy"), "no-referrer");
        }
    }
}
