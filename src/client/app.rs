//! As whom the client calls.

use http::HeaderValue;

use crate::{app::AppId, headers::MAX_LONG_VALUE, secret::SecretString, signature::SigningKey};

/// An application, with what it needs to prove that it is the one. `Debug` shows neither secret nor
/// key.
#[derive(Clone, Debug)]
pub struct ClientApp {
    pub(super) id: HeaderValue,
    pub(super) credentials: Option<Credentials>,
}

#[derive(Clone, Debug)]
pub(super) struct Credentials {
    /// Marked sensitive.
    pub(super) secret: HeaderValue,
    pub(super) key: SigningKey,
}

/// An application secret that no request could carry in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the application secret cannot be sent: use 1 to {MAX_LONG_VALUE} characters of visible \
     ASCII, without white space at its ends"
)]
#[non_exhaustive]
pub struct InvalidAppSecret;

impl ClientApp {
    /// A client-side application: it sends its id and a nonce.
    ///
    /// # Panics
    ///
    /// Never: an [`AppId`] is a header value.
    #[must_use]
    pub fn client_side(id: &AppId) -> Self {
        let id = HeaderValue::from_str(id.as_str()).expect("an application id is visible ASCII");
        Self {
            id,
            credentials: None,
        }
    }

    /// A server-side application: it also sends its secret, and signs with `key`.
    ///
    /// # Errors
    ///
    /// If no header could carry the secret.
    pub fn server_side(
        id: &AppId,
        secret: &SecretString,
        key: SigningKey,
    ) -> Result<Self, InvalidAppSecret> {
        let text = secret.expose();
        let sendable = (1..=MAX_LONG_VALUE).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
            && text.trim() == text;
        let mut secret = HeaderValue::from_str(text).map_err(|_| InvalidAppSecret)?;
        if !sendable {
            return Err(InvalidAppSecret);
        }
        secret.set_sensitive(true);
        Ok(Self {
            credentials: Some(Credentials { secret, key }),
            ..Self::client_side(id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_no_header_carries_is_refused() {
        let key = include_str!("../../tests/keys/test-only-ed25519.pem");
        let key = SigningKey::from_pem(key).unwrap();
        let app = |secret: String| {
            let id = AppId::new("app").unwrap();
            ClientApp::server_side(&id, &SecretString::from(secret), key.clone())
        };
        assert!(app("a".repeat(MAX_LONG_VALUE)).is_ok());
        for bad in [
            "a".repeat(MAX_LONG_VALUE + 1),
            String::new(),
            " a".into(),
            "ä".into(),
        ] {
            assert_eq!(app(bad).unwrap_err(), InvalidAppSecret);
        }
        let shown = format!("{:?}", app("hidden".into()).unwrap());
        assert!(
            shown.contains("Sensitive") && !shown.contains("hidden"),
            "{shown}"
        );
    }
}
