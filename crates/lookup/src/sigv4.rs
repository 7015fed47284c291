//! Checks AWS's signature version 4. Pure: the clock is passed in.
//!
//! Source: AWS's "Create a signed AWS API request", and its published test suite. A request has the
//! path `/`, so there is nothing to normalise in a path.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::error::AwsError;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
const DATE: &str = "x-amz-date";

/// What AWS's services with this protocol allow. A request that somebody has overheard is good for
/// as long.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

const BASIC_FORMAT: &str = "%Y%m%dT%H%M%SZ";

const MISMATCH: &str = "The request signature we calculated does not match the signature you \
                        provided. Check your AWS Secret Access Key and signing method. Consult the \
                        service documentation for details.";

/// The parts of an `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) key_id: String,
    pub(crate) region: String,
    date: String,
    service: String,
    signed_headers: Vec<String>,
    signature: String,
}

impl Authorization {
    /// Parses a request's header; checks nothing yet.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, AwsError> {
        let Some(header) = headers.get(AUTHORIZATION).filter(|header| !header.is_empty()) else {
            let message = "Missing Authentication Token";
            return Err(AwsError::bad("MissingAuthenticationTokenException", message));
        };
        let text = header.to_str().map_err(|_| {
            AwsError::incomplete_signature("Authorization header is not made of ASCII characters")
        })?;
        Self::parse(text)
    }

    fn parse(text: &str) -> Result<Self, AwsError> {
        let Some(fields) = text.strip_prefix(ALGORITHM).filter(|rest| rest.starts_with(' ')) else {
            let message = format!("Authorization header requires the algorithm '{ALGORITHM}'.");
            return Err(AwsError::incomplete_signature(message));
        };
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',').map(str::trim) {
            match field.split_once('=') {
                Some(("Credential", value)) => credential = Some(value),
                Some(("SignedHeaders", value)) => signed_headers = Some(value),
                Some(("Signature", value)) => signature = Some(value),
                Some(_) => {}
                None => {
                    return Err(AwsError::incomplete_signature(format!(
                        "'{field}' not a valid key=value pair (missing equal-sign) in \
                         Authorization header."
                    )));
                }
            }
        }
        let (Some(credential), Some(signed_headers), Some(signature)) =
            (credential, signed_headers, signature)
        else {
            let missing = [
                ("Credential", credential),
                ("Signature", signature),
                ("SignedHeaders", signed_headers),
            ]
            .into_iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| format!("Authorization header requires '{name}' parameter."));
            let message = missing.collect::<Vec<_>>().join(" ");
            return Err(AwsError::incomplete_signature(message));
        };
        // An id may have slashes of its own at AWS; the scope never has.
        let scope: Vec<&str> = credential.rsplitn(5, '/').collect();
        let [terminator, service, region, date, key_id] = scope[..] else {
            return Err(AwsError::incomplete_signature(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{credential}'"
            )));
        };
        if terminator != TERMINATOR {
            return Err(AwsError::invalid_signature(format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not \
                 '{terminator}'."
            )));
        }
        Ok(Self {
            key_id: key_id.to_owned(),
            region: region.to_owned(),
            date: date.to_owned(),
            service: service.to_owned(),
            signed_headers: signed_headers.split(';').map(str::to_owned).collect(),
            signature: signature.to_owned(),
        })
    }

    /// Checks what can be told without the body: that the request says that it was made for this
    /// service, within the allowed time. Returns the request's time as it stands in it.
    pub(crate) fn check_head<'a>(
        &self,
        request: &'a Parts,
        service: &str,
        now: Timestamp,
    ) -> Result<&'a str, AwsError> {
        let date = self.check_date(&request.headers, now)?;
        if self.service != service {
            return Err(AwsError::invalid_signature(format!(
                "Credential should be scoped to correct service: '{service}'. "
            )));
        }
        for name in ["host", DATE] {
            if !self.signed_headers.iter().any(|signed| signed == name) {
                return Err(AwsError::invalid_signature(format!(
                    "'{name}' must be a 'SignedHeader' in the AWS Authorization."
                )));
            }
        }
        Ok(date)
    }

    /// Checks that the request was made for this service, within the allowed time, by a client that
    /// knows the secret.
    pub(crate) fn verify(
        &self,
        request: &Parts,
        body: &[u8],
        service: &str,
        secret: &str,
        now: Timestamp,
    ) -> Result<(), AwsError> {
        let date = self.check_head(request, service, now)?;
        let mismatch = || AwsError::invalid_signature(MISMATCH);
        let canonical = self.canonical_request(request, body).ok_or_else(mismatch)?;
        let Self { date: day, region, service, .. } = self;
        let scope = format!("{day}/{region}/{service}/{TERMINATOR}");
        let digest = hex::encode(Sha256::digest(canonical));
        let mut key = mac(format!("AWS4{secret}").as_bytes(), day);
        for part in [region, service, TERMINATOR] {
            key = mac(&key.finalize().into_bytes(), part);
        }
        let mac =
            mac(&key.finalize().into_bytes(), &format!("{ALGORITHM}\n{date}\n{scope}\n{digest}"));
        let signature = hex::decode(&self.signature).map_err(|_| mismatch())?;
        // In constant time.
        mac.verify_slice(&signature).map_err(|_| mismatch())
    }

    /// The request's time as it stands in it.
    fn check_date<'a>(&self, headers: &'a HeaderMap, now: Timestamp) -> Result<&'a str, AwsError> {
        let Some(date) = headers.get(DATE).and_then(|date| date.to_str().ok()) else {
            return Err(AwsError::incomplete_signature(
                "Authorization header requires existence of a 'X-Amz-Date' header.",
            ));
        };
        let parsed = DateTime::strptime(BASIC_FORMAT, date)
            .and_then(|date| date.to_zoned(TimeZone::UTC))
            .map_err(|_| {
                AwsError::incomplete_signature(format!(
                    "Date must be in ISO-8601 'basic format'. Got '{date}'. \
                     See http://en.wikipedia.org/wiki/ISO_8601"
                ))
            })?;
        let time = parsed.timestamp();
        let (earliest, latest) = (now - SKEW, now + SKEW);
        let basic = |time: Timestamp| time.strftime(BASIC_FORMAT).to_string();
        if time < earliest {
            return Err(AwsError::invalid_signature(format!(
                "Signature expired: {date} is now earlier than {} ({} - 5 min.)",
                basic(earliest),
                basic(now)
            )));
        }
        if time > latest {
            return Err(AwsError::invalid_signature(format!(
                "Signature not yet current: {date} is still later than {} ({} + 5 min.)",
                basic(latest),
                basic(now)
            )));
        }
        let day = date.get(..8).unwrap_or_default();
        if self.date != day {
            return Err(AwsError::invalid_signature(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
                 HTTP: '{}' != '{day}', from '{date}'.",
                self.date
            )));
        }
        Ok(date)
    }

    /// None where a header is said to be signed that is not there, or is no text.
    fn canonical_request(&self, request: &Parts, body: &[u8]) -> Option<String> {
        let mut text = format!("{}\n/\n{}\n", request.method, canonical_query(request));
        for name in &self.signed_headers {
            let values = request.headers.get_all(name).iter();
            let values: Vec<String> =
                values.map(|value| value.to_str().ok().map(trimmed)).collect::<Option<_>>()?;
            if values.is_empty() {
                return None;
            }
            text.push_str(&format!("{name}:{}\n", values.join(",")));
        }
        let digest = hex::encode(Sha256::digest(body));
        text.push_str(&format!("\n{}\n{digest}", self.signed_headers.join(";")));
        Some(text)
    }
}

fn canonical_query(request: &Parts) -> String {
    let query = request.uri.query().unwrap_or_default();
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Without spaces at the ends, and with one in place of several.
fn trimmed(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn mac(key: &[u8], message: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const SENT: &str = "2015-08-30T12:36:00Z";

    /// A request of AWS's test suite.
    struct Vector {
        method: &'static str,
        uri: &'static str,
        headers: &'static [(&'static str, &'static str)],
        signed: &'static str,
        body: &'static str,
        signature: &'static str,
    }

    const VANILLA: Vector = Vector {
        method: "GET",
        uri: "/",
        headers: &[],
        signed: "host;x-amz-date",
        body: "",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    };

    const VECTORS: &[Vector] = &[
        VANILLA,
        Vector {
            method: "POST",
            signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ..VANILLA
        },
        Vector {
            method: "POST",
            headers: &[("Content-Type", "application/x-www-form-urlencoded")],
            signed: "content-type;host;x-amz-date",
            body: "Param1=value1",
            signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ..VANILLA
        },
        Vector {
            uri: "/?Param2=value2&Param1=value1",
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ..VANILLA
        },
        Vector {
            headers: &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
            signed: "host;my-header1;my-header2;x-amz-date",
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ..VANILLA
        },
        Vector {
            headers: &[
                ("My-Header1", "value2"),
                ("My-Header1", "value2"),
                ("My-Header1", "value1"),
            ],
            signed: "host;my-header1;x-amz-date",
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            ..VANILLA
        },
    ];

    impl Vector {
        fn request(&self) -> Parts {
            let mut request = Request::builder()
                .method(self.method)
                .uri(self.uri)
                .header("Host", "example.amazonaws.com")
                .header("X-Amz-Date", "20150830T123600Z");
            for (name, value) in self.headers {
                request = request.header(*name, *value);
            }
            request.body(()).unwrap().into_parts().0
        }

        fn authorization(&self) -> String {
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={}, Signature={}",
                self.signed, self.signature
            )
        }

        fn verify(&self, body: &str, secret: &str, now: &str) -> Result<(), AwsError> {
            let authorization = Authorization::parse(&self.authorization())?;
            let now = now.parse().unwrap();
            authorization.verify(&self.request(), body.as_bytes(), "service", secret, now)
        }
    }

    #[test]
    fn the_requests_of_the_test_suite_are_signed_as_they_say() {
        for vector in VECTORS {
            let verified = vector.verify(vector.body, SECRET, SENT);
            assert_eq!(verified, Ok(()), "{} {}", vector.uri, vector.signed);
        }
    }

    #[test]
    fn another_body_secret_or_signature_is_refused() {
        let mismatch = Err(AwsError::invalid_signature(MISMATCH));
        for vector in VECTORS {
            assert_eq!(vector.verify("x", SECRET, SENT), mismatch);
            assert_eq!(vector.verify(vector.body, "x", SENT), mismatch);
        }
        for signature in ["", "00", "zz", VECTORS[1].signature] {
            let vector = Vector { signature, ..VANILLA };
            assert_eq!(vector.verify("", SECRET, SENT), mismatch, "{signature}");
        }
        let missing = Vector { signed: "host;x-amz-date;x-other", ..VANILLA };
        assert_eq!(missing.verify("", SECRET, SENT), mismatch);
    }

    #[test]
    fn a_request_is_good_for_five_minutes() {
        let at = |now| VANILLA.verify("", SECRET, now).map_err(|error| error.message);
        assert_eq!(at("2015-08-30T12:41:00Z"), Ok(()));
        assert_eq!(at("2015-08-30T12:31:00Z"), Ok(()));
        assert_eq!(
            at("2015-08-30T12:41:01Z").unwrap_err(),
            "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
             (20150830T124101Z - 5 min.)"
        );
        assert_eq!(
            at("2015-08-30T12:30:59Z").unwrap_err(),
            "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z \
             (20150830T123059Z + 5 min.)"
        );
    }

    #[test]
    fn a_header_that_lacks_something_is_told_what() {
        for (text, expected) in [
            ("Basic YTpi", "requires the algorithm"),
            ("AWS4-HMAC-SHA256 Credential", "not a valid key=value pair"),
            ("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request", "requires 'Signature' parameter"),
            (
                "AWS4-HMAC-SHA256 Credential=a/b/aws4_request, SignedHeaders=host, Signature=0",
                "exactly 5 slash-delimited elements",
            ),
        ] {
            let error = Authorization::parse(text).unwrap_err();
            assert_eq!(error.name, "IncompleteSignatureException", "{text}");
            assert!(error.message.contains(expected), "{text}: {}", error.message);
        }
    }
}
