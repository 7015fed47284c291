//! What a browser may do with our answers: run our own files and ask us, and nothing else.

use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use axum::response::Response;

use server::harden;

/// Scripts, styles and requests of our own only, nothing inline, no text made into markup (Trusted
/// Types), in no frame. So a record that a stranger wrote stays text, whatever is in it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// Adds the headers that every answer to a browser has: those of the API, and the page's policy.
pub(crate) fn protect(response: &mut Response) {
    harden(response);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
}
