//! Syslog: RFC 5424, over a Unix socket, UDP, or TCP with the framing of RFC 6587.
//!
//! Syslog has no acknowledgements. A delivery is that the system took the message; over TCP, that the
//! server had not closed the connection before.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use formats::terminal::is_unsafe;
use serde_json::{Map, Value, json};

use super::{Failure, Target};
use crate::change::Change;
use crate::config::{SyslogConfig, To};
use crate::template::host;

/// The name of our structured data. The number is the one of RFC 5612, for documentation: there is
/// none of ours.
const DATA_ID: &str = "traildex@32473";

/// Of a value in the structured data.
const VALUE_CHARS_MAX: usize = 100;

/// What an alert can do without, in the order in which it is left out of a message that is too long.
const SPARE: [&str; 3] = ["ids", "query", "note"];
const SPARE_OF_RULE: [&str; 4] = ["falsepositives", "description", "tags", "references"];

pub(super) struct Syslog {
    config: SyslogConfig,
    timeout: Duration,
    open: Option<Connection>,
}

enum Connection {
    Datagram(UnixDatagram),
    Stream(UnixStream),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Syslog {
    pub(super) fn new(config: &SyslogConfig, timeout: Duration) -> Self {
        Self { config: config.clone(), timeout, open: None }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let mut connection = match self.open.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.connect()?,
        };
        let framed = match &connection {
            Connection::Datagram(_) | Connection::Udp(_) => message.to_vec(),
            // What rsyslog and syslog-ng read from a stream of /dev/log.
            Connection::Stream(_) => [message, b"\n"].concat(),
            Connection::Tcp(_) if self.config.is_framed_by_lines => [message, b"\n"].concat(),
            Connection::Tcp(_) => [format!("{} ", message.len()).as_bytes(), message].concat(),
        };
        connection.write(&framed)?;
        self.open = Some(connection);
        Ok(())
    }

    fn connect(&self) -> io::Result<Connection> {
        match &self.config.to {
            To::Unix(path) => self.connect_unix(path),
            To::Udp(address) => {
                let address = resolve(address)?;
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                Ok(Connection::Udp(socket))
            }
            To::Tcp(address) => {
                let stream = TcpStream::connect_timeout(&resolve(address)?, self.timeout)?;
                stream.set_write_timeout(Some(self.timeout))?;
                Ok(Connection::Tcp(stream))
            }
        }
    }

    /// A datagram socket, as syslog's usually is, or a stream.
    fn connect_unix(&self, path: &Path) -> io::Result<Connection> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(self.timeout))?;
        match socket.connect(path) {
            Ok(()) => Ok(Connection::Datagram(socket)),
            Err(error)
                if error.raw_os_error() == Some(rustix::io::Errno::PROTOTYPE.raw_os_error()) =>
            {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(self.timeout))?;
                Ok(Connection::Stream(stream))
            }
            Err(error) => Err(error),
        }
    }
}

impl Connection {
    /// Whether the other side has gone: what is written then is lost without an error.
    fn is_closed(&self) -> bool {
        let mut byte = [0];
        let looked = match self {
            Self::Datagram(_) | Self::Udp(_) => return false,
            Self::Stream(stream) => stream.set_nonblocking(true).and_then(|()| {
                let looked = (&mut &*stream).read(&mut byte);
                stream.set_nonblocking(false)?;
                looked
            }),
            Self::Tcp(stream) => stream.set_nonblocking(true).and_then(|()| {
                let looked = (&mut &*stream).read(&mut byte);
                stream.set_nonblocking(false)?;
                looked
            }),
        };
        match looked {
            Ok(bytes) => bytes == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let whole = |sent: usize| {
            if sent == bytes.len() { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
        };
        match self {
            Self::Datagram(socket) => socket.send(bytes).and_then(whole),
            Self::Udp(socket) => socket.send(bytes).and_then(whole),
            Self::Stream(stream) => stream.write_all(bytes),
            Self::Tcp(stream) => stream.write_all(bytes),
        }
    }
}

impl Target for Syslog {
    fn deliver(&mut self, change: &Change, body: &Value) -> Result<(), Failure> {
        let message = message(&self.config, change, body);
        self.send(message.as_bytes()).map_err(|error| {
            let to = match &self.config.to {
                To::Unix(path) => path.display().to_string(),
                To::Udp(address) | To::Tcp(address) => address.clone(),
            };
            Failure::retry(format!("cannot send to {to}: {error}"))
        })
    }
}

fn resolve(address: &str) -> io::Result<std::net::SocketAddr> {
    let mut found = address.to_socket_addrs()?;
    found.next().ok_or_else(|| io::Error::new(ErrorKind::NotFound, "the host has no address"))
}

/// The message of RFC 5424; one that would be too long says less.
fn message(config: &SyslogConfig, change: &Change, body: &Value) -> String {
    let level = change.text(&["rule", "level"]).unwrap_or_default();
    let severity = match level {
        "critical" => 2,
        "high" => 3,
        "medium" => 4,
        "low" => 5,
        _ => 6,
    };
    let priority = u32::from(config.facility) * 8 + severity;
    // The syslog's own time: when it was sent. In JSON there is the alert's.
    let time = jiff::Timestamp::now();
    let host: String = host().chars().filter(char::is_ascii_graphic).take(255).collect();
    let host = if host.is_empty() { "-" } else { &host };
    let kind: String = change.change.chars().filter(char::is_ascii_graphic).take(32).collect();
    let data = structured_data(change, level);
    let pid = std::process::id();
    let head = format!("<{priority}>1 {time:.6} {host} traildex-notify {pid} {kind} {data} ");
    let room = (config.bytes_max as usize).saturating_sub(head.len());
    format!("{head}{}", fit(change, body, room))
}

fn structured_data(change: &Change, level: &str) -> String {
    let rule = change.text(&["rule", "name"]).or(change.text(&["rule", "id"])).unwrap_or_default();
    let value = |text: &str| {
        let mut value = String::new();
        for c in text.chars().take(VALUE_CHARS_MAX) {
            match c {
                '"' | '\\' | ']' => value.extend(['\\', c]),
                c if is_unsafe(c) => value.push('?'),
                c => value.push(c),
            }
        }
        value
    };
    format!(
        "[{DATA_ID} key=\"{}\" change=\"{}\" level=\"{}\" rule=\"{}\"]",
        value(&change.key),
        value(&change.change),
        value(level),
        value(rule)
    )
}

/// The body as JSON in so many bytes. What is left out is the least needed; never half of the JSON.
fn fit(change: &Change, body: &Value, room: usize) -> String {
    let mut text = body.to_string();
    if text.len() <= room {
        return text;
    }
    let mut shorter = change.clone();
    for key in SPARE {
        shorter.alert.remove(key);
    }
    for key in SPARE_OF_RULE {
        text = shortened(&shorter);
        if text.len() <= room {
            return text;
        }
        if let Some(Value::Object(rule)) = shorter.alert.get_mut("rule") {
            rule.remove(key);
        }
    }
    text = shortened(&shorter);
    if text.len() <= room {
        return text;
    }
    let cut = |text: Option<&str>| formats::terminal::escape_cut(text.unwrap_or_default(), 40);
    let rule = json!({
        "title": cut(change.text(&["rule", "title"])), "author": cut(change.text(&["rule", "author"])),
    });
    let least = json!({ "key": change.key, "change": cut(Some(&change.change)), "rule": rule,
        "shortened": true });
    least.to_string()
}

fn shortened(change: &Change) -> String {
    let mut value = change.to_json();
    if let Value::Object(members) = &mut value {
        let members: &mut Map<_, _> = members;
        members.insert("shortened".to_owned(), true.into());
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> SyslogConfig {
        let to = To::Udp(String::new());
        SyslogConfig { to, facility: 4, is_framed_by_lines: false, bytes_max: 2048 }
    }

    #[test]
    fn a_message_is_of_rfc_5424_whatever_strangers_wrote() {
        let mut change = Change::test("raised");
        change.alert.insert("rule".to_owned(), json!({ "name": "a\"]\\\n", "level": "high" }));
        let text = message(&config(), &change, &change.to_json());
        assert!(text.starts_with("<35>1 20"), "{text}");
        assert!(text.contains("rule=\"a\\\"\\]\\\\?\"] {\""), "{text}");
        assert!(!text.contains('\n'), "{text}");
        let json = text.split_once("] {").unwrap().1;
        let parsed: Value = serde_json::from_str(&format!("{{{json}")).unwrap();
        assert_eq!(parsed["alert"]["rule"]["name"], "a\"]\\\n");
    }

    #[test]
    fn a_long_message_says_less_and_stays_json() {
        for (key, length) in [("ids", 5000), ("first", 5000), ("ids", 1)] {
            let mut change = Change::test("raised");
            change.alert.insert(key.to_owned(), "x".repeat(length).into());
            let text = message(&config(), &change, &change.to_json());
            assert!(text.len() <= 2048, "{}", text.len());
            let json = text.split_once("] {").unwrap().1;
            let parsed: Value = serde_json::from_str(&format!("{{{json}")).unwrap();
            assert_eq!(parsed["shortened"].as_bool(), (length > 1).then_some(true));
            assert_eq!(parsed["key"], change.key.as_str());
            let rule = if key == "first" { &parsed["rule"] } else { &parsed["alert"]["rule"] };
            assert_eq!(rule["author"], "traildex");
        }
    }
}
