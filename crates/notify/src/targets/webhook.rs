//! A webhook: the body is sent by POST to an address, by HTTPS with the system's roots.
//!
//! An answer of 2xx that arrives whole is a delivery. 408, 425, 429 and 5xx are tried again, as is
//! whatever happens to a connection. Other answers are final: the request itself is not wanted.
//! Redirects are not followed: secrets would go with them.

use std::fs;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::Value;
use sha2::Sha256;
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::{Failure, Next, Target};
use crate::change::Change;
use crate::config::WebhookConfig;
use crate::secret::Secret;

/// An answer is read so far. What matters is that it ends.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// The name of the header with the body's signature.
const SIGNATURE: &str = "traildex-signature";

pub(super) struct Webhook {
    agent: Agent,
    url: Secret,
    headers: Vec<(String, Secret)>,
    sign: Option<Secret>,
    timeout: Duration,
}

impl Webhook {
    pub(super) fn new(config: &WebhookConfig, timeout: Duration) -> anyhow::Result<Self> {
        let mut builder = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(timeout))
            .user_agent(concat!("traildex-notify/", env!("CARGO_PKG_VERSION")))
            // One that the server has closed meanwhile would cost a retry.
            .max_idle_age(Duration::from_secs(10))
            .proxy(None);
        if let Some(proxy) = &config.proxy {
            builder = builder.proxy(Some(ureq::Proxy::new(proxy.reveal())?));
        }
        if config.url.reveal().starts_with("https:") {
            let roots = read_roots(&config.roots)?;
            let tls = TlsConfig::builder()
                .root_certs(RootCerts::Specific(Arc::new(roots)))
                .unversioned_rustls_crypto_provider(Arc::new(
                    rustls::crypto::ring::default_provider(),
                ));
            builder = builder.tls_config(tls.build());
        }
        Ok(Self {
            agent: builder.build().new_agent(),
            url: config.url.clone(),
            headers: config.headers.clone(),
            sign: config.sign.clone(),
            timeout,
        })
    }
}

impl Webhook {
    fn failed(&self, error: &ureq::Error) -> Failure {
        match error {
            ureq::Error::Timeout(_) => {
                Failure::retry(format!("the server did not answer in {} s", self.timeout.as_secs()))
            }
            error => Failure::retry(error.to_string()),
        }
    }
}

impl Target for Webhook {
    fn deliver(&mut self, change: &Change, body: &Value) -> Result<(), Failure> {
        let body = body.to_string();
        let mut request = self
            .agent
            .post(self.url.reveal())
            .header("content-type", "application/json")
            .header("idempotency-key", &change.key);
        if let Some(sign) = &self.sign {
            request = request.header(SIGNATURE, signature(sign, body.as_bytes()));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value.reveal());
        }
        let mut response = request.send(body.as_bytes()).map_err(|error| self.failed(&error))?;
        let status = response.status().as_u16();
        let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| retry_after(text, Timestamp::now()));
        let mut said = Vec::new();
        let read = response.body_mut().as_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        let said =
            if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
        let reason = format!("the server answered {status}{said}");
        match status {
            200..300 => read.map(drop).map_err(|error| {
                Failure::retry(format!("the server answered {status}, and broke off: {error}"))
            }),
            408 | 425 | 429 | 500.. => Err(Failure { reason, next: Next::Retry(retry_after) }),
            300..400 => {
                let reason = format!("the server answered {status}: redirects are not followed");
                Err(Failure { reason, next: Next::GiveUp })
            }
            _ => Err(Failure { reason, next: Next::GiveUp }),
        }
    }
}

fn read_roots(path: &std::path::Path) -> anyhow::Result<Vec<ureq::tls::Certificate<'static>>> {
    let cannot = || format!("cannot read the certificates that are trusted, {}", path.display());
    let pem = fs::read(path).with_context(cannot)?;
    let mut roots = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.with_context(cannot)? {
            roots.push(certificate);
        }
    }
    anyhow::ensure!(!roots.is_empty(), "{}: there is none", cannot());
    Ok(roots)
}

/// `sha256=` and the HMAC in hex, as GitHub's webhooks have it.
fn signature(secret: &Secret, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes());
    let mut mac = mac.expect("a key of any length will do");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Seconds, or a date as HTTP writes it.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-30T14:00:00Z".parse().unwrap();
        let seconds = |text| retry_after(text, now).map(|it| it.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Mon, 30 Nov 2026 14:01:00 GMT"), Some(60));
        assert_eq!(seconds("Mon, 30 Nov 2026 13:01:00 GMT"), Some(0));
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds("-1"), None);
    }

    #[test]
    fn the_signature_is_an_hmac_of_the_body() {
        // The example of GitHub's documentation.
        let signed = signature(&Secret::shown("It's a Secret to Everybody"), b"Hello, World!");
        let expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signed, format!("sha256={expected}"));
    }
}
