//! The rules between keys, and those about paths. Lexical: nothing is looked up on disk, so a
//! symbolic link can hide a nesting from them.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::{Config, ConfigError};
use crate::config::error::Origins;
use crate::config::keys::quote;

/// What `sockaddr_un` holds beside its final zero, on Linux.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Below this, an index keeps hardly an event.
const KEPT_BYTES_MIN: usize = 1 << 20;

/// Makes the directories absolute, then checks every rule.
pub(super) fn check(config: &mut Config, origins: &Origins) -> Result<(), ConfigError> {
    for dir in &config.watch.dirs {
        if let Some(advice) = advice_on_address(dir) {
            return Err(origins.refuse("watch.dirs", shown(dir), advice));
        }
    }
    for dir in &mut config.watch.dirs {
        *dir = absolute("watch.dirs", dir)?;
    }
    config.index.data_dir = absolute("index.data_dir", &config.index.data_dir)?;
    for path in &mut config.evidence.public_keys {
        *path = absolute("evidence.public_keys", path)?;
    }
    for path in &mut config.geo.databases {
        *path = absolute("geo.databases", path)?;
    }
    if let Some(path) = &mut config.geo.ip_ranges {
        *path = absolute("geo.ip_ranges", path)?;
    }
    for path in &mut config.ioc.files {
        *path = absolute("ioc.files", path)?;
    }
    for path in &mut config.rules.dirs {
        *path = absolute("rules.dirs", path)?;
    }
    config.sql.state_dir = absolute("sql.state_dir", &config.sql.state_dir)?;
    for root in &mut config.evidence.roots {
        let folder = absolute("evidence.roots", Path::new(&root.folder))?;
        // It was text.
        root.folder = folder.to_string_lossy().into_owned();
    }
    check_times(config, origins)?;
    check_retention(config, origins)?;
    check_dirs(config, origins)?;
    check_rules(config, origins)?;
    check_sql(config, origins)?;
    check_socket(&config.socket.path, origins)
}

/// What to do about the address of something that is no file here.
pub fn advice_on_address(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let (scheme, rest) = text.split_once(":/").filter(|(scheme, _)| !scheme.contains('/'))?;
    if path.exists() {
        return None;
    }
    Some(if scheme.eq_ignore_ascii_case("s3") {
        format!(
            "{text} is in S3, and traildex reads copies on this machine: \
             aws s3 sync s3://{} DIR --only-show-errors, and then DIR in its place",
            rest.trim_start_matches('/')
        )
    } else {
        format!("{text} is an address, and traildex reads files on this machine: copy them first")
    })
}

fn absolute(key: &'static str, dir: &Path) -> Result<PathBuf, ConfigError> {
    std::path::absolute(dir).map_err(|source| ConfigError::Relative {
        key,
        value: dir.display().to_string(),
        source,
    })
}

fn check_times(config: &Config, origins: &Origins) -> Result<(), ConfigError> {
    let (watch, ingest) = (&config.watch, &config.ingest);
    if watch.unfinished_s * 1_000 < watch.settle_ms {
        return Err(origins.refuse(
            "watch.unfinished_s",
            watch.unfinished_s.to_string(),
            format!(
                "with {} a file would be rejected before it is read",
                origins.setting("watch.settle_ms", watch.settle_ms)
            ),
        ));
    }
    if ingest.commit_idle_ms > ingest.commit_age_ms_max {
        return Err(origins.refuse(
            "ingest.commit_idle_ms",
            ingest.commit_idle_ms.to_string(),
            format!(
                "with {} a commit never waits that long",
                origins.setting("ingest.commit_age_ms_max", ingest.commit_age_ms_max)
            ),
        ));
    }
    Ok(())
}

fn check_retention(config: &Config, origins: &Origins) -> Result<(), ConfigError> {
    let bytes = config.retention.bytes_max;
    if bytes == 0 || bytes >= KEPT_BYTES_MIN {
        return Ok(());
    }
    let reason = format!("it would drop nearly every event; 0, or {KEPT_BYTES_MIN} and more");
    Err(origins.refuse("retention.bytes_max", bytes.to_string(), reason))
}

/// A watched directory neither holds nor lies in another one or the index.
fn check_dirs(config: &Config, origins: &Origins) -> Result<(), ConfigError> {
    let dirs: Vec<PathBuf> = config.watch.dirs.iter().map(|dir| fold(dir)).collect();
    let data_dir = fold(&config.index.data_dir);
    for (i, dir) in dirs.iter().enumerate() {
        let refuse = |reason| origins.refuse("watch.dirs", shown(dir), reason);
        if dirs[..i].contains(dir) {
            return Err(refuse("it is listed twice".to_owned()));
        }
        if let Some(outer) = dirs.iter().find(|outer| *outer != dir && dir.starts_with(outer)) {
            let outer = shown(outer);
            return Err(refuse(format!("it lies inside {outer}: files would be found twice")));
        }
        let nesting = match (dir.starts_with(&data_dir), data_dir.starts_with(dir)) {
            (true, _) => "it lies inside",
            (_, true) => "it holds",
            _ => continue,
        };
        let index = origins.setting("index.data_dir", shown(&data_dir));
        return Err(refuse(format!("{nesting} {index}: the index would be read as trails")));
    }
    Ok(())
}

/// Whoever can write into an archive has no say in what is looked for.
fn check_rules(config: &Config, origins: &Origins) -> Result<(), ConfigError> {
    let Config { geo, ioc, rules, .. } = config;
    let ranges: Vec<PathBuf> = geo.ip_ranges.iter().cloned().collect();
    let of_keys = [
        ("geo.databases", &geo.databases, "databases"),
        ("geo.ip_ranges", &ranges, "ranges"),
        ("ioc.files", &ioc.files, "lists"),
        ("rules.dirs", &rules.dirs, "rules"),
    ];
    for (key, paths, noun) in of_keys {
        for path in paths.iter().map(|path| fold(path)) {
            if let Some(dir) = config.watch.dirs.iter().find(|dir| path.starts_with(fold(dir))) {
                let reason = format!(
                    "it lies inside {}, which is watched: {noun} belong where no trail is delivered",
                    shown(dir)
                );
                return Err(origins.refuse(key, shown(&path), reason));
            }
        }
    }
    Ok(())
}

/// The SQL program writes beside the index and the archive.
fn check_sql(config: &Config, origins: &Origins) -> Result<(), ConfigError> {
    let state_dir = fold(&config.sql.state_dir);
    let data_dir = fold(&config.index.data_dir);
    let dirs = config.watch.dirs.iter().map(|dir| fold(dir)).chain([data_dir]);
    if let Some(dir) = dirs.into_iter().find(|dir| state_dir.starts_with(dir)) {
        let reason = format!("it lies inside {}, which others write to", shown(&dir));
        return Err(origins.refuse("sql.state_dir", shown(&state_dir), reason));
    }
    Ok(())
}

fn check_socket(path: &Path, origins: &Origins) -> Result<(), ConfigError> {
    let length = path.as_os_str().as_bytes().len();
    if (1..=SOCKET_PATH_BYTES_MAX).contains(&length) {
        return Ok(());
    }
    let reason = format!(
        "it is {length} bytes long; allowed is 1 to {SOCKET_PATH_BYTES_MAX}, \
         the kernel's bound on socket paths"
    );
    Err(origins.refuse("socket.path", shown(path), reason))
}

/// Without `..`, as if no part of it were a symbolic link.
fn fold(path: &Path) -> PathBuf {
    let mut folded = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            folded.pop();
        } else {
            folded.push(part);
        }
    }
    folded
}

fn shown(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    fn load(watch: &[&str], data_dir: &str, env: &[(&str, &str)]) -> Result<Config, String> {
        let flags = Overrides {
            watch: watch.iter().map(PathBuf::from).collect(),
            data_dir: Some(data_dir.into()),
            socket: None,
        };
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(None, env, &flags).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check_refused(watch: &[&str], data_dir: &str, expected: &str) {
        assert_eq!(load(watch, data_dir, &[]).unwrap_err(), expected);
    }

    #[test]
    fn neighbours_are_not_nested() {
        let config = load(&["/trails/a", "/trails/ab", "/trails/c/../d"], "/trails/data", &[]);
        assert_eq!(config.unwrap().watch.dirs.len(), 3);
    }

    #[test]
    fn watched_directories_must_not_share_files() {
        check_refused(
            &["/a", "/b", "/a/"],
            "/data",
            "flag --watch: `watch.dirs = \"/a\"` is refused: it is listed twice",
        );
        check_refused(
            &["/a/b", "/a"],
            "/data",
            "flag --watch: `watch.dirs = \"/a/b\"` is refused: \
             it lies inside \"/a\": files would be found twice",
        );
        check_refused(
            &["/a", "/x/../a/./b"],
            "/data",
            "flag --watch: `watch.dirs = \"/a/b\"` is refused: \
             it lies inside \"/a\": files would be found twice",
        );
    }

    #[test]
    fn index_and_archive_must_not_hold_each_other() {
        check_refused(
            &["/a", "/data/trails"],
            "/data",
            "flag --watch: `watch.dirs = \"/data/trails\"` is refused: it lies inside \
             `index.data_dir = \"/data\"` (flag --data-dir): the index would be read as trails",
        );
        for dir in ["/", "/srv", "/srv/../srv"] {
            let error = load(&[dir], "/srv/data", &[]).unwrap_err();
            assert!(error.contains("it holds `index.data_dir = \"/srv/data\"`"), "{error}");
        }
    }

    #[test]
    fn what_is_looked_for_lies_in_no_watched_directory() {
        for (variable, key, noun) in [
            ("TRAILDEX_RULES_DIRS", "rules.dirs", "rules"),
            ("TRAILDEX_GEO_DATABASES", "geo.databases", "databases"),
            ("TRAILDEX_GEO_IP_RANGES", "geo.ip_ranges", "ranges"),
            ("TRAILDEX_IOC_FILES", "ioc.files", "lists"),
        ] {
            let error = load(&["/a"], "/data", &[(variable, "/b/../a/x")]).unwrap_err();
            assert_eq!(
                error,
                format!(
                    "environment variable {variable}: `{key} = \"/a/x\"` is refused: it lies inside \
                     \"/a\", which is watched: {noun} belong where no trail is delivered"
                )
            );
            assert!(load(&["/a"], "/data", &[(variable, "/ab/x")]).is_ok());
        }
    }

    #[test]
    fn directories_become_absolute() {
        let here = std::env::current_dir().unwrap();
        let config = load(&["trails"], "./data", &[]).unwrap();
        assert_eq!(config.watch.dirs, [here.join("trails")]);
        assert_eq!(config.index.data_dir, here.join("data"));
        check_refused(&[""], "/data", "cannot make `watch.dirs = ` absolute");
        assert!(load(&["data/trails"], "data", &[]).unwrap_err().contains("it lies inside"));
    }

    #[test]
    fn a_socket_path_fits_the_kernels_address() {
        let path = |length: usize| "/".to_owned() + &"s".repeat(length - 1);
        assert!(load(&[], "/data", &[("TRAILDEX_SOCKET", &path(107))]).is_ok());
        let error = load(&[], "/data", &[("TRAILDEX_SOCKET", &path(108))]).unwrap_err();
        assert!(error.starts_with("environment variable TRAILDEX_SOCKET: "), "{error}");
        assert!(error.contains("it is 108 bytes long; allowed is 1 to 107"), "{error}");
    }

    #[test]
    fn the_sql_program_writes_at_a_place_of_its_own() {
        for dir in ["/data/sql", "/data", "/a/sql"] {
            let error = load(&["/a"], "/data", &[("TRAILDEX_SQL_STATE_DIR", dir)]).unwrap_err();
            assert!(error.contains("which others write to"), "{error}");
        }
    }

    #[test]
    fn a_bound_that_would_drop_everything_is_refused() {
        let kept = |bytes| load(&[], "/data", &[("TRAILDEX_RETENTION_BYTES_MAX", bytes)]);
        assert!(kept("0").is_ok() && kept("1 MiB").is_ok());
        let error = kept("100").unwrap_err();
        assert!(error.contains("it would drop nearly every event"), "{error}");
    }

    #[test]
    fn times_that_undo_each_other_are_refused() {
        let unfinished = [("TRAILDEX_WATCH_UNFINISHED_S", "1")];
        assert_eq!(
            load(&[], "/data", &unfinished).unwrap_err(),
            "environment variable TRAILDEX_WATCH_UNFINISHED_S: `watch.unfinished_s = 1` \
             is refused: with `watch.settle_ms = 2000` (built-in default) a file would be \
             rejected before it is read"
        );
        let settled = [unfinished[0], ("TRAILDEX_WATCH_SETTLE_MS", "1000")];
        assert!(load(&[], "/data", &settled).is_ok());

        let idle = load(&[], "/data", &[("TRAILDEX_INGEST_COMMIT_IDLE_MS", "1001")]).unwrap_err();
        assert!(idle.contains("`ingest.commit_age_ms_max = 1000` (built-in default)"), "{idle}");
    }
}
