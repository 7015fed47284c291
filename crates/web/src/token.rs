//! The secret in the address that `traildex web` prints: who has it may ask.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use server::secret::{is_same, random};

/// 244 random bits, as text.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn random() -> Self {
        Self(random())
    }

    /// The text, for the address that is printed and for nothing else.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Whether the request has it, once, as a bearer's.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, given)) = value.as_bytes().split_at_checked(7) else { return false };
        scheme.eq_ignore_ascii_case(b"bearer ") && is_same(given, self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_whole_token_is_asked_for_once_and_as_a_bearers() {
        let token = Token(("0123456789abcdef").to_owned());
        let is_in = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            token.is_in(&headers)
        };
        assert!(is_in(&["Bearer 0123456789abcdef"]));
        assert!(is_in(&["bearer 0123456789abcdef"]));
        for wrong in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["0123456789abcdef"],
            &["Basic 0123456789abcdef"],
            &["Bearer 0123456789abcde"],
            &["Bearer 0123456789abcdeF"],
            &["Bearer 0123456789abcdef0"],
            &["Bearer  0123456789abcdef"],
            &["Bearer 0123456789abcdef", "Bearer 0123456789abcdef"],
        ] {
            assert!(!is_in(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn no_two_tokens_are_the_same() {
        let (one, other) = (Token::random(), Token::random());
        assert_eq!(one.text().len(), 64);
        assert_ne!(one.text(), other.text());
    }
}
