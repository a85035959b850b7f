//! The token that clients must send.

use std::fmt;

use lakepilot_query::{Error, ErrorKind, Result};
use subtle::ConstantTimeEq;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

/// A secret that clients send as `authorization: Bearer TOKEN`. It is never in `Debug`, and compared in constant time.
#[derive(Clone)]
pub struct BearerToken(String);

impl BearerToken {
    /// A token from its text, such as the content of a file: white space around it is not part of it.
    ///
    /// # Errors
    /// `InvalidInput` when it is empty, or has characters that a header cannot carry. The text is never in the error.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        let token = text.as_ref().trim();
        let problem = if token.is_empty() {
            "is empty"
        } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            "has spaces in it, or characters that are not ASCII"
        } else {
            return Ok(Self(token.to_owned()));
        };
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the token {problem}; give one line of letters, digits and punctuation"),
        ))
    }

    /// Whether a call brings the token.
    fn admits(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let header = metadata
            .get("authorization")
            .ok_or_else(|| Status::unauthenticated("a token is needed: send the header authorization: Bearer TOKEN"))?;
        let given = bearer(header.as_bytes())
            .ok_or_else(|| Status::unauthenticated("the header authorization does not read Bearer TOKEN"))?;
        if bool::from(given.ct_eq(self.0.as_bytes())) {
            Ok(())
        } else {
            Err(Status::unauthenticated("the token is not the one of this server"))
        }
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(..)")
    }
}

/// The token in `Bearer TOKEN`; the scheme is not case sensitive (RFC 7235).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Checks every call for the token, if there is one.
pub(crate) fn guard(
    token: Option<BearerToken>,
) -> impl Fn(Request<()>) -> Result<Request<()>, Status> + Clone + Send + Sync + 'static {
    move |request| {
        if let Some(token) = &token {
            token.admits(request.metadata())?;
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    fn check(header: Option<&str>) -> Result<(), Code> {
        let mut request = Request::new(());
        if let Some(header) = header {
            request.metadata_mut().insert("authorization", header.parse().unwrap());
        }
        let guard = guard(Some(BearerToken::new("secret\n").unwrap()));
        guard(request).map(|_| ()).map_err(|status| status.code())
    }

    #[test]
    fn only_the_token_is_let_in() {
        for good in ["Bearer secret", "bearer secret", "BEARER  secret "] {
            assert_eq!(check(Some(good)), Ok(()), "{good}");
        }
        for bad in [
            "Bearer secreT",
            "Bearer secret2",
            "Bearer secre",
            "Bearer",
            "Bearer ",
            "Basic secret",
            "secret",
            "",
        ] {
            assert_eq!(check(Some(bad)), Err(Code::Unauthenticated), "{bad}");
        }
        assert_eq!(check(None), Err(Code::Unauthenticated));
        assert!(guard(None)(Request::new(())).is_ok());
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused() {
        for bad in ["", " \n", "two words", "schlüssel", "a\nb", "a\u{7f}"] {
            let error = BearerToken::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(
                bad.trim().is_empty() || !error.to_string().contains(bad.trim()),
                "{error}"
            );
        }
    }
}
