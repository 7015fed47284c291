//! Syslog servers: datagrams, streams, and one that restarts.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::Duration;

use serde_json::Value;

use crate::program::Program;
use crate::source::Source;

/// Starts the program with one syslog target.
fn started(to: &str, more: &str) -> (Program, Source) {
    let mut program = Program::new();
    let source = Source::start(program.folder());
    let to = to.replace("FOLDER", program.folder().to_str().unwrap());
    let target = format!(
        "[[syslog]]\nname = 'log'\nto = '{to}'\npause_ms_min = 50\npause_ms_max = 100\n{more}"
    );
    program.configure(&source.socket, &target);
    program.start();
    (program, source)
}

/// The principal that a message names; checks the message's form.
fn principal(message: &[u8]) -> String {
    let text = std::str::from_utf8(message).unwrap();
    assert!(text.starts_with("<35>1 2"), "{text}");
    assert!(text.contains(" traildex-notify "), "{text}");
    assert!(text.contains(" raised [traildex@32473 key=\""), "{text}");
    let json = &text[text.find("] {").unwrap() + 2..];
    let json: Value = serde_json::from_str(json.trim_end()).unwrap();
    assert_eq!(json["alert"]["rule"]["author"], "An Author");
    json["alert"]["group"]["principal"].as_str().unwrap().to_owned()
}

#[test]
fn datagrams_are_sent_over_udp_and_a_unix_socket() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (_program, source) = started(&format!("udp://{}", udp.local_addr().unwrap()), "");
    source.raise("a\"]\n");
    let mut message = vec![0; 65_536];
    let bytes = udp.recv(&mut message).unwrap();
    assert_eq!(principal(&message[..bytes]), "a\"]\n");

    // The socket comes later.
    let (program, source) = started("unix:FOLDER/devlog", "");
    source.raise("b");
    program.wait_for_log("cannot send to ");
    let unix = UnixDatagram::bind(program.path("devlog")).unwrap();
    unix.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let bytes = unix.recv(&mut message).unwrap();
    assert_eq!(principal(&message[..bytes]), "b");
}

#[test]
fn a_stream_of_a_unix_socket_has_a_line_a_message() {
    let mut program = Program::new();
    let source = Source::start(program.folder());
    let path = program.path("devlog");
    let listener = UnixListener::bind(&path).unwrap();
    let target = format!("[[syslog]]\nname = 'log'\nto = 'unix:{}'\n", path.display());
    program.configure(&source.socket, &target);
    program.start();
    source.raise("a\nb");
    source.raise("c");
    let mut lines = BufReader::new(listener.accept().unwrap().0).lines();
    assert_eq!(principal(lines.next().unwrap().unwrap().as_bytes()), "a\nb");
    assert_eq!(principal(lines.next().unwrap().unwrap().as_bytes()), "c");
}

#[test]
fn tcp_has_lengths_or_lines_and_survives_a_restart_of_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (program, source) = started(&format!("tcp://{}", listener.local_addr().unwrap()), "");
    source.raise("a");
    let mut stream = BufReader::new(listener.accept().unwrap().0);
    let next = |stream: &mut BufReader<std::net::TcpStream>| {
        let mut length = Vec::new();
        stream.read_until(b' ', &mut length).unwrap();
        let length: usize = std::str::from_utf8(&length).unwrap().trim().parse().unwrap();
        let mut message = vec![0; length];
        stream.read_exact(&mut message).unwrap();
        principal(&message)
    };
    assert_eq!(next(&mut stream), "a");
    source.raise("b");
    assert_eq!(next(&mut stream), "b");
    program.wait_until("a state", || program.status_of("log")["counts"]["delivered"] == 2);
    drop(stream);
    // It has seen that by the next message.
    std::thread::sleep(Duration::from_millis(50));
    source.raise("c");
    let mut stream = BufReader::new(listener.accept().unwrap().0);
    assert_eq!(next(&mut stream), "c");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("tcp://{}", listener.local_addr().unwrap());
    let (_program, source) = started(&to, "framing = 'line'");
    source.raise("a\nb");
    let mut lines = BufReader::new(listener.accept().unwrap().0).lines();
    assert_eq!(principal(lines.next().unwrap().unwrap().as_bytes()), "a\nb");
}
