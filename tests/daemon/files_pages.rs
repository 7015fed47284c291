//! Lists of files, page by page.

use std::fs;
use std::os::unix::fs::symlink;

use wire::FilesRequest;

use crate::common::{Daemon, PATIENCE, Place, trail};

/// The paths of a list of files, page by page.
fn paged(daemon: &Daemon, request: &FilesRequest, limit: usize) -> Vec<String> {
    let mut paths = Vec::new();
    let mut cursor = None;
    loop {
        let page = daemon.files(&FilesRequest { limit: Some(limit), cursor, ..request.clone() });
        assert!(page.files.len() <= limit);
        paths.extend(page.files.into_iter().map(|file| file.path));
        cursor = page.cursor;
        if cursor.is_none() {
            return paths;
        }
        assert!(paths.len() < page.total as usize, "there is more of what is all there");
    }
}

#[test]
fn pages_of_files_have_each_once_and_none_is_left_out() {
    let place = Place::new().with("WATCH_RESCAN_S", "1");
    let archive = place.archive();
    let write = |name: &str| fs::write(archive.join(name), trail(&[name])).unwrap();
    for n in 0..20 {
        write(&format!("{n:02}.json"));
    }
    for n in 0..5 {
        symlink("/", archive.join(format!("link-{n}.json"))).unwrap();
    }
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 20);
    daemon.wait_for(PATIENCE, "five are skipped", |status| status.files.skipped == 5);
    let all = FilesRequest::default();
    let whole = daemon.files(&FilesRequest { limit: Some(100), ..all.clone() });
    assert_eq!((whole.files.len(), whole.cursor), (25, None));
    let paths: Vec<String> = whole.files.into_iter().map(|file| file.path).collect();
    for limit in [1, 3, 20, 24, 25, 26] {
        assert_eq!(paged(&daemon, &all, limit), paths, "{limit}");
    }
    let some = FilesRequest { path: Some("1".to_owned()), ..all.clone() };
    assert_eq!(paged(&daemon, &some, 2).len(), paths.iter().filter(|p| p.contains('1')).count());
    let none = daemon.files(&FilesRequest { limit: Some(0), ..all.clone() });
    assert_eq!((none.total, none.files.len(), none.cursor), (25, 0, None));

    // What is read between two pages is on one of them, wherever the first one ended.
    for limit in [5, 22] {
        let first = daemon.files(&FilesRequest { limit: Some(limit), ..all.clone() });
        let before = daemon.status().events.indexed;
        write(&format!("late-{limit}.json"));
        daemon.wait_indexed(PATIENCE, before + 1);
        let next = FilesRequest { limit: Some(100), cursor: first.cursor, ..all.clone() };
        let rest = daemon.files(&next);
        assert_eq!(first.files.len() + rest.files.len(), rest.total as usize);
        assert!(rest.files.iter().any(|file| file.path.ends_with(&format!("late-{limit}.json"))));
    }

    // A cursor belongs to its list, and to its index.
    let ask = |query: &str| {
        let (status, body) = daemon.client.get(&format!("/v1/files?{query}")).unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        (status, answer["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let page = daemon.files(&FilesRequest { limit: Some(1), ..all });
    let cursor = page.cursor.unwrap();
    assert_eq!(ask(&format!("limit=2&cursor={cursor}")).0, 200);
    for (query, told) in [
        (format!("path=x&cursor={cursor}"), "belongs to another list"),
        (format!("by=day&cursor={cursor}"), "sums have no pages"),
        ("cursor=AAAA".to_owned(), "none of traildex's"),
    ] {
        let (status, message) = ask(&query);
        assert!(status == 400 && message.contains(told), "{query}: {status} {message}");
    }
    daemon.stop();
    fs::remove_dir_all(place.data_dir()).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 22);
    let (status, _) = daemon.client.get(&format!("/v1/files?cursor={cursor}")).unwrap();
    assert_eq!(status, 410);
    daemon.stop();
}
