use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// Loads `text` as a file, with the file's name shortened in the error.
fn read(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.toml");
    fs::write(&path, text).unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "hunter22").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(folder.path().join("bad.json"), "{").unwrap();
    let shorter = folder.path().to_str().unwrap().to_owned() + "/";
    Config::load(&path).map_err(|error| error.to_string().replace(&shorter, ""))
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = read(text).unwrap_err();
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn every_kind_has_its_keys_and_defaults() {
    let config = read(
        "[daemon]\nsocket = 's'\n[log]\nlevel = 'debug'\n\
         [[webhook]]\nname = 'w'\nurl = 'https://example.org/x'\nlevel = 'high'\n\
         headers = { X-A = 'b' }\ntemplate = { n = '{events}', t = '{secret.k}' }\n\
         secrets = { k = '/dev/null/none' }\n",
    );
    let error = config.unwrap_err();
    assert!(error.starts_with("n.toml, line 11: `webhook.w.secrets"), "{error}");

    let config = read(
        "[[webhook]]\nname = 'w'\nurl = 'http://127.0.0.1:9/x'\nlevel = 'high'\n\
         [[file]]\nname = 'f'\npath = 'alerts.ndjson'\nspool_bytes_max = '1 MiB'\n\
         [[syslog]]\nname = 's'\n[[command]]\nname = 'c'\nargv = ['/bin/cat', '-n']\n",
    );
    let config = config.unwrap();
    let names: Vec<_> = config.targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["w", "f", "s", "c"]);
    assert_eq!(config.targets[0].filter.level, 3);
    assert_eq!(config.targets[1].spool_bytes_max, 1 << 20);
    assert_eq!(config.targets[1].filter.changes, ["raised", "withdrawn"]);
    let Kind::Syslog(syslog) = &config.targets[2].kind else { panic!() };
    assert_eq!(syslog.to, To::Unix("/dev/log".into()));
    assert_eq!(config.targets[3].timeout.as_secs(), 60);
}

#[test]
fn an_error_names_file_line_key_and_what_would_work() {
    for (text, expected) in [
        ("[log]\nlevel = = 1", "n.toml, line 2, column 9: "),
        ("[lgo]", "n.toml, line 1: unknown section `lgo`; did you mean `log`?"),
        ("[tls]\n", "n.toml, line 1: unknown section `tls`; there are daemon, state, log, webhook"),
        (
            "[log]\nlevle = 'info'",
            "n.toml, line 2: unknown key `log.levle`; did you mean `log.level`?",
        ),
        (
            "[log]\nlevel = 'loud'",
            "n.toml, line 2: `log.level = 'loud'` is refused: allowed is error, warn, info, debug or trace",
        ),
        ("[[webhook]]\nurl = 'https://x'", "n.toml, line 1: [[webhook]] needs a `name`"),
        (
            "[webhook]\nname = 'a'",
            "n.toml, line 1: `webhook = [webhook]` is refused: write [[webhook]]",
        ),
        (
            "[[webhook]]\nname = 'a'",
            "n.toml, line 1: [[webhook]] needs a `url`, or a `url_file` that holds it",
        ),
        (
            "[[file]]\nname = 'a'\npath = 'x'\n\nlevle = 'high'",
            "n.toml, line 5: unknown key `file.a.levle`; did you mean `file.a.level`?",
        ),
        (
            "[[file]]\nname = 'A b'\npath = 'x'",
            "n.toml, line 2: `file.name = 'A b'` is refused: allowed is a word",
        ),
        (
            "[[file]]\nname = 'a'\npath = 'x'\n[[syslog]]\nname = 'a'",
            "n.toml, line 5: `syslog.a.name = 'a'` is refused: another target has the same name",
        ),
        (
            "[[file]]\nname = 'a'\npath = 'x'\nchanges = ['rased']",
            "n.toml, line 4: `file.a.changes = ['rased']` is refused: allowed are raised, grown",
        ),
        (
            "[[webhook]]\nname = 'a'\nurl = 'http://example.org/'",
            "n.toml, line 3: `webhook.a.url = 'http://example.org/'` is refused: http sends alerts",
        ),
        (
            "[[webhook]]\nname = 'a'\nurl = 'https://u:p@example.org/'",
            "n.toml, line 3: `webhook.a.url = 'https://u:p@example.org/'` is refused: a password",
        ),
        (
            "[[webhook]]\nname = 'a'\nurl = 'https://x'\nheaders = { Idempotency-Key = '1' }",
            "n.toml, line 4: `webhook.a.headers = { Idempotency-Key = '1' }` is refused: \
             Idempotency-Key is set by traildex-notify",
        ),
        (
            "[[command]]\nname = 'a'\nargv = ['sh', '-c']",
            "n.toml, line 3: `command.a.argv = ['sh', '-c']` is refused: it begins with the whole path",
        ),
        (
            "[[syslog]]\nname = 'a'\nto = 'udp://host'",
            "n.toml, line 3: `syslog.a.to = 'udp://host'` is refused: allowed are unix:/PATH",
        ),
        (
            "[[file]]\nname = 'a'\npath = 'x'\ntemplate_file = 'bad.json'",
            "n.toml, line 4: `file.a.template_file = 'bad.json'` is refused: it is not JSON: ",
        ),
        (
            "[[file]]\nname = 'a'\npath = 'x'\ntemplate = { a = '{rule.titel}' }",
            "n.toml, line 4: `file.a.template = { a = '{rule.titel}' }` is refused: \
             unknown placeholder {rule.titel}; did you mean {rule.title}?",
        ),
        (
            "[[file]]\nname = 'a'\npath = 'x'\nescape = 'slack'",
            "n.toml, line 4: `file.a.escape = 'slack'` is refused: it is for a template",
        ),
    ] {
        check_error(text, expected);
    }
}

#[test]
fn secrets_are_read_from_closed_files_and_never_shown() {
    let text = "[[webhook]]\nname = 'a'\nurl = 'https://x'\nheaders_file = 'secret'";
    check_error(
        text,
        "n.toml, line 4: `webhook.a.headers_file = 'secret'` is refused: its mode is 0644",
    );
}
