//! The settings of one target: what all kinds have, and what each kind has of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::error::ConfigError;
use super::read::Keys;
use crate::change::CHANGES;
use crate::filter::{Filter, LEVELS, Pattern};
use crate::secret::{Hidden, Secret};
use crate::template::{Escape, Extras, Template, Words};

/// The sections of targets.
pub(super) const KINDS: [&str; 4] = ["webhook", "file", "syslog", "command"];

const DAY_S: u64 = 86_400;

/// A target's name is a folder's, too.
const NAME_BYTES_MAX: usize = 64;

/// The system's roots, on Debian and most others.
const ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// One target.
#[derive(Debug, Clone)]
pub(crate) struct TargetConfig {
    pub name: String,
    pub filter: Filter,
    pub begin: Begin,
    pub spool_bytes_max: u64,
    pub dead_bytes_max: u64,
    pub retry: Retry,
    /// How long one delivery may take.
    pub timeout: Duration,
    /// None: the change as it is.
    pub template: Option<Template>,
    /// What must not be in the log.
    pub hidden: Hidden,
    pub kind: Kind,
}

/// Where a target that is new begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With the first change that the daemon keeps.
    First,
    /// With the next one.
    Now,
}

/// How long a delivery is tried.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    /// 0: no bound.
    pub attempts_max: u64,
    /// Since the change came to this target, or the program started.
    pub give_up: Duration,
    pub pause_min: Duration,
    pub pause_max: Duration,
    /// What a server may ask for.
    pub retry_after_max: Duration,
}

/// What there is of each kind alone.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Webhook(WebhookConfig),
    File(FileConfig),
    Syslog(SyslogConfig),
    Command(CommandConfig),
}

#[derive(Debug, Clone)]
pub(crate) struct WebhookConfig {
    pub url: Secret,
    pub headers: Vec<(String, Secret)>,
    pub sign: Option<Secret>,
    pub roots: PathBuf,
    pub proxy: Option<Secret>,
}

#[derive(Debug, Clone)]
pub(crate) struct FileConfig {
    pub path: PathBuf,
    pub mode: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct SyslogConfig {
    pub to: To,
    pub facility: u8,
    /// TCP: whether messages end in a line's end instead of beginning with their length.
    pub is_framed_by_lines: bool,
    pub bytes_max: u64,
}

/// Where a syslog server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    Unix(PathBuf),
    Udp(String),
    Tcp(String),
}

#[derive(Debug, Clone)]
pub(crate) struct CommandConfig {
    pub argv: Vec<String>,
}

/// Reads a target of a kind.
pub(super) fn read(kind: &'static str, keys: &mut Keys) -> Result<TargetConfig, ConfigError> {
    let name = read_name(kind, keys)?;
    keys.rename(format!("{kind}.{name}"));
    let filter = read_filter(keys)?;
    let mut begin = Begin::First;
    keys.choice("begin", &[("first", Begin::First), ("now", Begin::Now)], &mut begin)?;
    let (mut spool_bytes_max, mut dead_bytes_max) = (64 << 20, 64 << 20);
    keys.bytes("spool_bytes_max", 1 << 16..=1 << 40, &mut spool_bytes_max)?;
    keys.bytes("dead_bytes_max", 1 << 16..=1 << 40, &mut dead_bytes_max)?;
    let retry = read_retry(keys)?;
    let mut timeout_s = if kind == "command" { 60 } else { 10 };
    keys.count("timeout_s", 1..=3600, &mut timeout_s)?;
    let mut hidden = Hidden::default();
    let template = read_template(keys, &mut hidden)?;
    let kind = match kind {
        "webhook" => Kind::Webhook(read_webhook(keys, &mut hidden)?),
        "file" => Kind::File(read_file(keys)?),
        "syslog" => Kind::Syslog(read_syslog(keys)?),
        _ => Kind::Command(read_command(keys)?),
    };
    let timeout = Duration::from_secs(timeout_s);
    keys.finish()?;
    Ok(TargetConfig {
        name,
        filter,
        begin,
        spool_bytes_max,
        dead_bytes_max,
        retry,
        timeout,
        template,
        hidden,
        kind,
    })
}

fn read_name(kind: &str, keys: &mut Keys) -> Result<String, ConfigError> {
    let Some(name) = keys.text("name")? else { return Err(keys.missing("a `name`")) };
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let is_name = name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(is_part);
    if is_name {
        return Ok(name);
    }
    keys.rename(kind.to_owned());
    Err(keys.refuse("name", "allowed is a word of a-z, 0-9, - and _, 64 characters at most"))
}

fn read_filter(keys: &mut Keys) -> Result<Filter, ConfigError> {
    let mut level = 0;
    let levels: Vec<(&str, usize)> = LEVELS.iter().copied().zip(0..).collect();
    keys.choice("level", &levels, &mut level)?;
    let patterns = |texts: Option<Vec<String>>| {
        texts.unwrap_or_default().iter().map(|text| Pattern::new(text)).collect()
    };
    let rules = patterns(keys.texts("rules")?);
    let rules_not = patterns(keys.texts("rules_not")?);
    let mut changes = vec!["raised", "withdrawn"];
    if let Some(given) = keys.texts("changes")? {
        let known = |name: &String| CHANGES.iter().copied().find(|known| known == name);
        let allowed = format!("allowed are {}", CHANGES.join(", "));
        changes = given
            .iter()
            .map(known)
            .collect::<Option<_>>()
            .filter(|changes: &Vec<_>| !changes.is_empty())
            .ok_or_else(|| keys.refuse("changes", &allowed))?;
    }
    let mut age_s_max = 0;
    keys.count("age_s_max", 0..=3650 * DAY_S, &mut age_s_max)?;
    Ok(Filter { level, rules, rules_not, changes, age_s_max })
}

fn read_retry(keys: &mut Keys) -> Result<Retry, ConfigError> {
    let (mut attempts_max, mut give_up_s) = (0, DAY_S);
    let (mut pause_ms_min, mut pause_ms_max, mut after_s_max) = (1_000, 300_000, 3_600);
    keys.count("attempts_max", 0..=1_000_000, &mut attempts_max)?;
    keys.count("give_up_s", 1..=365 * DAY_S, &mut give_up_s)?;
    keys.count("pause_ms_min", 10..=3_600_000, &mut pause_ms_min)?;
    keys.count("pause_ms_max", 10..=DAY_S * 1000, &mut pause_ms_max)?;
    keys.count("retry_after_s_max", 0..=DAY_S, &mut after_s_max)?;
    if pause_ms_max < pause_ms_min {
        return Err(keys.refuse("pause_ms_max", "it is less than pause_ms_min"));
    }
    Ok(Retry {
        attempts_max,
        give_up: Duration::from_secs(give_up_s),
        pause_min: Duration::from_millis(pause_ms_min),
        pause_max: Duration::from_millis(pause_ms_max),
        retry_after_max: Duration::from_secs(after_s_max),
    })
}

fn read_template(keys: &mut Keys, hidden: &mut Hidden) -> Result<Option<Template>, ConfigError> {
    let mut escape = Escape::None;
    let has_escape = keys.has("escape");
    keys.choice("escape", Escape::NAMES, &mut escape)?;
    let mut extras = Extras { secrets: BTreeMap::new(), words: BTreeMap::new() };
    for (name, path) in keys.pairs("secrets")? {
        let secret = Secret::read(&keys.beside(&path))
            .map_err(|error| keys.refuse("secrets", &format!("{path}: {error}")))?;
        hidden.add(secret.reveal());
        extras.secrets.insert(name, secret);
    }
    for (name, mut words) in keys.pairs_by_name("words")? {
        let of = words.remove("of").ok_or_else(|| {
            keys.refuse("words", &format!("{name} has no `of`, the placeholder that is looked up"))
        })?;
        let other = words.remove("else");
        extras.words.insert(name, Words { of, words, other });
    }
    let inline = keys.json("template")?;
    let from_file = keys.text("template_file")?;
    let (key, value) = match (inline, from_file) {
        (Some(_), Some(_)) => {
            return Err(
                keys.refuse("template_file", "`template` is there, too; keep one of the two")
            );
        }
        (Some(value), None) => ("template", value),
        (None, Some(path)) => {
            let value = read_json(&keys.beside(&path));
            ("template_file", value.map_err(|error| keys.refuse("template_file", &error))?)
        }
        (None, None) if has_escape => {
            return Err(keys.refuse("escape", "it is for a template, and there is none"));
        }
        (None, None) => return Ok(None),
    };
    let template = Template::new(&value, escape, extras);
    template.map(Some).map_err(|error| keys.refuse(key, &error))
}

fn read_json(path: &std::path::Path) -> Result<Value, String> {
    let text = std::fs::read(path).map_err(|error| format!("it cannot be read: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("it is not JSON: {error}"))
}

fn read_webhook(keys: &mut Keys, hidden: &mut Hidden) -> Result<WebhookConfig, ConfigError> {
    let url = read_url(keys, hidden)?;
    let mut headers = Vec::new();
    for (name, value) in keys.pairs("headers")? {
        check_header(&name, &value).map_err(|error| keys.refuse("headers", &error))?;
        headers.push((name, Secret::shown(&value)));
    }
    if let Some(path) = keys.text("headers_file")? {
        let refuse = |reason: &str| keys.refuse("headers_file", reason);
        let secret = Secret::read(&keys.beside(&path)).map_err(|error| refuse(&error))?;
        for (at, line) in secret.reveal().lines().enumerate() {
            let split = line.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
            let Some((name, value)) = split else {
                return Err(refuse(&format!("line {} of it is not Name: value", at + 1)));
            };
            check_header(name, value)
                .map_err(|error| refuse(&format!("line {}: {error}", at + 1)))?;
            hidden.add(value);
            // The secret of `Bearer …` or `Basic …` alone, too.
            value.split_whitespace().skip(1).for_each(|part| hidden.add(part));
            headers.push((name.to_owned(), Secret::shown(value)));
        }
    }
    let mut sign = None;
    if let Some(path) = keys.text("sign_file")? {
        let secret =
            Secret::read(&keys.beside(&path)).map_err(|error| keys.refuse("sign_file", &error))?;
        hidden.add(secret.reveal());
        sign = Some(secret);
    }
    let mut roots = default_roots();
    keys.path("roots_file", &mut roots)?;
    let proxy = keys.text("proxy")?;
    if let Some(proxy) = &proxy {
        ureq::Proxy::new(proxy).map_err(|_| keys.refuse("proxy", "allowed is http://HOST:PORT"))?;
        hidden.add(proxy);
    }
    let proxy = proxy.as_deref().map(Secret::shown);
    Ok(WebhookConfig { url, headers, sign, roots, proxy })
}

fn default_roots() -> PathBuf {
    let found = ROOTS.iter().find(|path| std::path::Path::new(path).exists());
    PathBuf::from(found.unwrap_or(&ROOTS[0]))
}

fn read_url(keys: &mut Keys, hidden: &mut Hidden) -> Result<Secret, ConfigError> {
    let mut is_http_allowed = false;
    keys.truth("http", &mut is_http_allowed)?;
    let (key, url) = match (keys.text("url")?, keys.text("url_file")?) {
        (Some(_), Some(_)) => {
            return Err(keys.refuse("url_file", "`url` is there, too; keep one of the two"));
        }
        (None, None) => return Err(keys.missing("a `url`, or a `url_file` that holds it")),
        (Some(url), None) => ("url", Secret::shown(&url)),
        (None, Some(path)) => {
            let secret = Secret::read(&keys.beside(&path));
            ("url_file", secret.map_err(|error| keys.refuse("url_file", &error))?)
        }
    };
    let uri = url.reveal().parse::<ureq::http::Uri>();
    let uri = uri.ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    let Some(uri) = uri else { return Err(keys.refuse(key, "it is no address of a server")) };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(keys
            .refuse(key, "a password does not belong here: write Authorization in headers_file"));
    }
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if is_http_allowed || uri.host().is_some_and(is_loopback) => {}
        Some("http") => {
            return Err(keys.refuse(
                key,
                "http sends alerts where everybody between can read them: https, or `http = true`",
            ));
        }
        _ => return Err(keys.refuse(key, "allowed are https and http")),
    }
    // A path can be a secret: Slack's is.
    if let Some(path) = uri.path_and_query().filter(|path| path.as_str().len() > 1) {
        hidden.add(path.as_str());
    }
    Ok(url)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The error does not repeat the value.
fn check_header(name: &str, value: &str) -> Result<(), String> {
    let ours = ["content-type", "content-length", "host", "idempotency-key", "transfer-encoding"];
    if ours.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
        return Err(format!("{name} is set by traildex-notify"));
    }
    if ureq::http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(format!("{name:?} is no name of a header"));
    }
    match ureq::http::HeaderValue::from_str(value) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{name} has a value that no header can have")),
    }
}

fn read_file(keys: &mut Keys) -> Result<FileConfig, ConfigError> {
    let mut path = PathBuf::new();
    keys.path("path", &mut path)?;
    if path.as_os_str().is_empty() {
        return Err(keys.missing("a `path`"));
    }
    let mut mode = 0o600;
    if let Some(text) = keys.text("mode")? {
        let allowed = "allowed is a mode in octal digits, as \"0640\"";
        mode = u32::from_str_radix(&text, 8)
            .ok()
            .filter(|mode| *mode <= 0o777 && mode & 0o200 != 0)
            .ok_or_else(|| keys.refuse("mode", allowed))?;
    }
    Ok(FileConfig { path, mode })
}

fn read_syslog(keys: &mut Keys) -> Result<SyslogConfig, ConfigError> {
    let to = keys.text("to")?.unwrap_or_else(|| "unix:/dev/log".to_owned());
    let has_port = |address: &str| {
        let port = address.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
        port.is_some_and(|(host, port)| !host.is_empty() && port.is_ok())
    };
    let allowed = "allowed are unix:/PATH, udp://HOST:PORT and tcp://HOST:PORT";
    let to = if let Some(path) = to.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
        To::Unix(path.into())
    } else if let Some(address) = to.strip_prefix("udp://").filter(|it| has_port(it)) {
        To::Udp(address.to_owned())
    } else if let Some(address) = to.strip_prefix("tcp://").filter(|it| has_port(it)) {
        To::Tcp(address.to_owned())
    } else {
        return Err(keys.refuse("to", allowed));
    };
    let facilities: Vec<(String, u8)> = [("user", 1), ("daemon", 3), ("auth", 4), ("authpriv", 10)]
        .map(|(name, number)| (name.to_owned(), number))
        .into_iter()
        .chain((0..8).map(|local| (format!("local{local}"), 16 + local)))
        .collect();
    let facilities: Vec<(&str, u8)> =
        facilities.iter().map(|(name, number)| (name.as_str(), *number)).collect();
    let mut facility = 4;
    keys.choice("facility", &facilities, &mut facility)?;
    let mut is_framed_by_lines = false;
    keys.choice("framing", &[("length", false), ("line", true)], &mut is_framed_by_lines)?;
    let mut bytes_max = 8192;
    keys.bytes("bytes_max", 480..=65_000, &mut bytes_max)?;
    Ok(SyslogConfig { to, facility, is_framed_by_lines, bytes_max })
}

fn read_command(keys: &mut Keys) -> Result<CommandConfig, ConfigError> {
    let Some(argv) = keys.texts("argv")? else {
        return Err(keys.missing("an `argv`: the program's path and its arguments"));
    };
    if !argv.first().is_some_and(|program| program.starts_with('/')) {
        return Err(keys.refuse("argv", "it begins with the whole path of a program"));
    }
    Ok(CommandConfig { argv })
}
