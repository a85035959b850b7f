//! What a token says of itself.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use lakepilot_query::{Error, ErrorKind, Result};
use serde::Deserialize;

/// The claims of an ID token that somebody may want to see.
///
/// They are read, not verified: the token came from the provider over TLS, and the server is who verifies it. OpenID
/// Connect Core allows that for a token had from the token endpoint (section 3.1.3.7, item 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who issued the token.
    pub issuer: Option<String>,
    /// The person or program that it is about.
    pub subject: Option<String>,
    /// The address of the person.
    pub email: Option<String>,
    /// The name of the person.
    pub name: Option<String>,
    /// When the token was issued.
    pub issued: Option<DateTime<Utc>>,
    /// When the token expires.
    pub expires: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Header {
    alg: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    iss: Option<String>,
    sub: Option<String>,
    email: Option<String>,
    name: Option<String>,
    iat: Option<f64>,
    exp: Option<f64>,
}

impl Claims {
    /// Reads the claims of a JSON Web Token (RFC 7519).
    ///
    /// # Errors
    /// `Protocol` when it is not one; `Unauthenticated` when it is not signed (`alg` is `none`): no server should take it.
    pub fn of(token: &str) -> Result<Self> {
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(not_a_token("it has not three parts"));
        };
        let header: Header = decode(header)?;
        if header.alg.is_none_or(|alg| alg.eq_ignore_ascii_case("none")) {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                "the provider's token is not signed, and is not sent: log in again, or correct the provider's settings",
            ));
        }
        let payload: Payload = decode(payload)?;
        Ok(Self {
            issuer: payload.iss,
            subject: payload.sub,
            email: payload.email,
            name: payload.name,
            issued: payload.iat.and_then(time),
            expires: payload.exp.and_then(time),
        })
    }
}

/// A `NumericDate`, which may have a fraction. The cast saturates, and a time out of chrono's range is none.
fn time(seconds: f64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds as i64, 0)
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part.trim_end_matches('='))
        .map_err(|error| not_a_token("a part of it is not Base64").with_source(error))?;
    serde_json::from_slice(&bytes).map_err(|error| not_a_token("a part of it is not JSON").with_source(error))
}

fn not_a_token(problem: &str) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("the provider's token is not a JSON Web Token: {problem}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        format!(
            "{}.{}.c2ln",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        )
    }

    #[test]
    fn the_claims_are_read() {
        let claims = Claims::of(&token(
            r#"{"alg":"RS256"}"#,
            r#"{"sub":"ann","exp":1767225600,"aud":["a"]}"#,
        ))
        .unwrap();
        assert_eq!(claims.subject.as_deref(), Some("ann"));
        assert_eq!(claims.expires, "2026-01-01T00:00:00Z".parse().ok());
    }

    #[test]
    fn an_unsigned_token_is_refused() {
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"NONE"}"#, "{}"] {
            assert_eq!(
                Claims::of(&token(header, "{}")).unwrap_err().kind(),
                ErrorKind::Unauthenticated
            );
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        for text in [
            "",
            "hunter2",
            "a.b",
            "a.b.c",
            "eyJhbGciOiJSUzI1NiJ9.hunter2.c",
            "a.b.c.d",
        ] {
            let error = Claims::of(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{text}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
