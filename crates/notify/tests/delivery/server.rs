//! A webhook's server, with or without TLS, that misbehaves as it is told.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// What it does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Answer(u16),
    /// With a header.
    AnswerWith(u16, &'static str),
    /// With a body.
    Say(u16, &'static str),
    /// Nothing, for ever.
    Stall,
    /// Ends the connection in the middle of a good answer.
    BreakOff,
    /// Ends the connection without an answer.
    Close,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) path: String,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn key(&self) -> &str {
        self.header("idempotency-key").unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    acts: Mutex<VecDeque<Act>>,
    requests: Mutex<Vec<Request>>,
    is_down: AtomicBool,
    tls: Option<Arc<ServerConfig>>,
}

impl Server {
    /// Does these acts, one a request, and answers 200 to all that follow.
    pub(crate) fn http(acts: &[Act]) -> Self {
        Self::start("127.0.0.1:0".parse().unwrap(), acts, None)
    }

    /// The same with TLS; the authority that its certificate is of is written to a file.
    pub(crate) fn https(acts: &[Act], roots: &Path) -> Self {
        Self::start("127.0.0.1:0".parse().unwrap(), acts, Some(certify(roots)))
    }

    pub(crate) fn start(address: SocketAddr, acts: &[Act], tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = bind(address);
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            acts: Mutex::new(acts.iter().cloned().collect()),
            requests: Mutex::new(Vec::new()),
            is_down: AtomicBool::new(false),
            tls,
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = Arc::clone(&serving);
                if serving.is_down.load(Ordering::SeqCst) {
                    break;
                }
                thread::spawn(move || serving.serve(stream.unwrap()));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// Stops listening.
    pub(crate) fn shut_down(&self) {
        self.shared.is_down.store(true, Ordering::SeqCst);
        // The listener waits for one.
        drop(TcpStream::connect(self.address));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        match &self.tls {
            None => self.answer_all(stream),
            Some(tls) => {
                let connection = ServerConnection::new(Arc::clone(tls)).unwrap();
                self.answer_all(StreamOwned::new(connection, stream));
            }
        }
    }

    /// Answers until the client hangs up.
    fn answer_all(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read_request(&mut stream) {
            if self.is_down.load(Ordering::SeqCst) {
                return;
            }
            self.requests.lock().unwrap().push(request);
            let act = self.acts.lock().unwrap().pop_front().unwrap_or(Act::Answer(200));
            let answer = match act {
                Act::Answer(status) => {
                    format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\nok")
                }
                Act::AnswerWith(status, header) => {
                    format!("HTTP/1.1 {status} x\r\n{header}\r\ncontent-length: 0\r\n\r\n")
                }
                Act::Say(status, text) => {
                    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{text}", text.len())
                }
                Act::Stall => {
                    thread::sleep(Duration::from_secs(600));
                    return;
                }
                Act::BreakOff => {
                    let answer = "HTTP/1.1 200 x\r\ncontent-length: 1000\r\n\r\nhalf of it";
                    let _ = stream.get_mut().write_all(answer.as_bytes());
                    let _ = stream.get_mut().flush();
                    return;
                }
                Act::Close => return,
            };
            if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
            let _ = stream.get_mut().flush();
        }
    }
}

fn read_request(stream: &mut BufReader<impl Read>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    assert!(line.starts_with("POST "), "{line}");
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let text = String::from_utf8(body).unwrap();
    Some(Request { at: Instant::now(), path, headers, text })
}

/// A port that was used a moment ago may take a moment.
fn bind(address: SocketAddr) -> TcpListener {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// An authority of this test's own, whose certificate goes to a file, and a server's certificate of it.
pub(crate) fn certify(roots: &Path) -> Arc<ServerConfig> {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    std::fs::write(roots, authority.pem()).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate =
        rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    Arc::new(config.unwrap())
}
