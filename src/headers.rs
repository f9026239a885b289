//! The five credential headers: their names, their bounds, and reading exactly one value.
//!
//! 1. An empty value counts as absent.
//! 2. A header that comes twice is refused, whatever its values.
//! 3. A value over its bound is refused.
//! 4. A value that is not visible ASCII, space or tab is refused.
//!
//! The names are a prefix and a fixed ending; the prefix is `x-dfns-` unless
//! [`HeaderNames::with_prefix`] says otherwise.
//!
//! A proxy that adds a header of these names to one that the client sent makes two of it, and a refusal.
//!
//! ```
//! use http::{HeaderMap, HeaderValue};
//! use tower_registration::headers::{Credential, HeaderNames};
//!
//! let names = HeaderNames::default();
//! let mut headers = HeaderMap::new();
//! headers.insert("x-dfns-appid", HeaderValue::from_static("ap-4s6se-e2t7n-89gfg50iaos73pm6"));
//! assert_eq!(names.read(&headers, Credential::AppId)?, Some("ap-4s6se-e2t7n-89gfg50iaos73pm6"));
//! assert_eq!(names.read(&headers, Credential::Nonce)?, None);
//!
//! headers.append("x-dfns-appid", HeaderValue::from_static("ap-4s6se-e2t7n-89gfg50iaos73pm6"));
//! assert!(names.read(&headers, Credential::AppId).is_err());
//! # Ok::<(), tower_registration::rejection::Rejection>(())
//! ```

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::rejection::{Rejection, RejectionKind};

/// The prefix of the credential headers, unless set otherwise.
pub const DEFAULT_PREFIX: &str = "x-dfns-";
/// Longest value of the nonce and application id headers, in bytes.
pub const MAX_SHORT_VALUE: usize = 1_024;
/// Longest value of the secret, signature and user action headers, in bytes.
pub const MAX_LONG_VALUE: usize = 8_192;

/// Longest value of the header in which a client shows the text that it signed, in bytes.
pub const MAX_EXPLANATION: usize = 16_384;

const EXPLANATION: &str = "explain-signature";

/// One of the credential headers. The protocol has these five: another would be another protocol, and
/// so a new major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `X-DFNS-APPID`
    AppId,
    /// `X-DFNS-APPSECRET`
    AppSecret,
    /// `X-DFNS-NONCE`
    Nonce,
    /// `X-DFNS-APISIGNATURE`
    ApiSignature,
    /// `X-DFNS-USERACTION`
    UserAction,
}

impl Credential {
    /// All of them, in the order in which their bounds are checked.
    pub const ALL: [Self; 5] = [
        Self::AppId,
        Self::AppSecret,
        Self::Nonce,
        Self::ApiSignature,
        Self::UserAction,
    ];

    /// Longest accepted value, in bytes.
    #[must_use]
    pub const fn max_length(self) -> usize {
        match self {
            Self::AppId | Self::Nonce => MAX_SHORT_VALUE,
            Self::AppSecret | Self::ApiSignature | Self::UserAction => MAX_LONG_VALUE,
        }
    }

    /// The rejection of a request whose header of this kind is missing or malformed.
    #[must_use]
    pub const fn rejection(self) -> RejectionKind {
        match self {
            Self::AppId => RejectionKind::AppInvalid,
            Self::AppSecret => RejectionKind::AppSecretInvalid,
            Self::Nonce => RejectionKind::NonceInvalid,
            Self::ApiSignature => RejectionKind::ApiSignatureInvalid,
            Self::UserAction => RejectionKind::UserActionInvalid,
        }
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::AppId => "appid",
            Self::AppSecret => "appsecret",
            Self::Nonce => "nonce",
            Self::ApiSignature => "apisignature",
            Self::UserAction => "useraction",
        }
    }
}

/// The names of the credential headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderNames {
    names: [HeaderName; 5],
    explanation: HeaderName,
    /// A bit for each name's length, modulo 64: most other names have none, and are passed over.
    lengths: u64,
}

/// A prefix that makes no header name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no prefix of a header name: use letters, digits and hyphens, as in \"x-acme-\"")]
pub struct InvalidPrefix(String);

impl HeaderNames {
    /// Names with another prefix than `x-dfns-`; upper and lower case are the same.
    ///
    /// ```
    /// use tower_registration::headers::{Credential, HeaderNames};
    ///
    /// let names = HeaderNames::with_prefix("X-Acme-").unwrap();
    /// assert_eq!(names.get(Credential::Nonce), "x-acme-nonce");
    /// assert!(HeaderNames::with_prefix("x acme ").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// If prefix and ending do not make a header name.
    pub fn with_prefix(prefix: &str) -> Result<Self, InvalidPrefix> {
        let make = |ending: &str| {
            HeaderName::try_from(format!("{prefix}{ending}"))
                .map_err(|_| InvalidPrefix(prefix.to_owned()))
        };
        let name = |credential: Credential| make(credential.ending());
        let [id, secret, nonce, signature, action] = Credential::ALL;
        let names = [
            name(id)?,
            name(secret)?,
            name(nonce)?,
            name(signature)?,
            name(action)?,
        ];
        Ok(Self::of(names, make(EXPLANATION)?))
    }

    /// The name of the header in which a client may show the text that it signed,
    /// `x-dfns-explain-signature` with the default prefix. Read only where
    /// [`insecure_explain_signature`](crate::signature::SignatureCheckBuilder::insecure_explain_signature)
    /// is set; no signature covers it. It holds the app secret, any bearer token and the body: keep
    /// it out of logs as the [secret](Credential::AppSecret) itself.
    #[must_use]
    pub fn explanation(&self) -> &HeaderName {
        &self.explanation
    }

    /// The name of one header.
    #[must_use]
    pub fn get(&self, credential: Credential) -> &HeaderName {
        &self.names[credential as usize]
    }

    fn of(names: [HeaderName; 5], explanation: HeaderName) -> Self {
        let lengths = names.iter().fold(0, |all, name| all | length_bit(name));
        Self {
            names,
            explanation,
            lengths,
        }
    }

    /// Which of them `name` is, in the order of [`Credential::ALL`].
    fn position(&self, name: &HeaderName) -> Option<usize> {
        if self.lengths & length_bit(name) == 0 {
            return None;
        }
        self.names.iter().position(|own| own == name)
    }

    /// The one value of a header, or `None` where it is absent or empty.
    ///
    /// # Errors
    ///
    /// The credential's own [rejection](Credential::rejection), if the header comes twice, is too
    /// long, or is not visible ASCII, space or tab.
    pub fn read<'a>(
        &self,
        headers: &'a HeaderMap,
        credential: Credential,
    ) -> Result<Option<&'a str>, Rejection> {
        let bytes = self.read_bytes(headers, credential)?;
        Ok(bytes.map(text))
    }

    fn read_bytes<'a>(
        &self,
        headers: &'a HeaderMap,
        credential: Credential,
    ) -> Result<Option<&'a [u8]>, Rejection> {
        let mut values = headers.get_all(self.get(credential)).iter();
        self.accept(credential, values.next(), values.next().is_some())
    }

    fn accept<'a>(
        &self,
        credential: Credential,
        value: Option<&'a HeaderValue>,
        comes_again: bool,
    ) -> Result<Option<&'a [u8]>, Rejection> {
        let Some(value) = value else {
            return Ok(None);
        };
        let name = self.get(credential);
        let refuse =
            |fault: &str| Rejection::new(credential.rejection(), format!("{name} {fault}"));
        if comes_again {
            return Err(refuse("comes more than once"));
        }
        if value.len() > credential.max_length() {
            return Err(refuse(&format!(
                "is longer than {} bytes",
                credential.max_length()
            )));
        }
        if !is_visible(value) {
            return Err(refuse("is not visible ASCII"));
        }
        Ok(Some(value.as_bytes()).filter(|bytes| !bytes.is_empty()))
    }

    /// What [`read`](Self::read) says of every header, in the order of [`Credential::ALL`].
    pub(crate) fn read_all<'a>(
        &self,
        headers: &'a HeaderMap,
    ) -> Result<[Option<&'a [u8]>; 5], Rejection> {
        let mut found = [(None, false); 5];
        // A look at each header costs less than five searches by name.
        for (name, value) in headers {
            if let Some(at) = self.position(name) {
                let (first, comes_again) = &mut found[at];
                *comes_again = first.replace(value).is_some();
            }
        }
        let mut values = [None; 5];
        for ((value, (first, comes_again)), credential) in
            values.iter_mut().zip(found).zip(Credential::ALL)
        {
            *value = self.accept(credential, first, comes_again)?;
        }
        Ok(values)
    }

    /// Marks secret, signature and user action as sensitive, so that `Debug` and HTTP/2's header
    /// compression leave them out. To readers they are as before.
    /// `sent` says which headers there are, in the order of [`Credential::ALL`].
    pub(crate) fn mark_secrets(&self, headers: &mut HeaderMap, sent: [bool; 5]) {
        let secrets = [
            Credential::AppSecret,
            Credential::ApiSignature,
            Credential::UserAction,
        ];
        for credential in secrets.into_iter().filter(|secret| sent[*secret as usize]) {
            if let Some(value) = headers.get_mut(self.get(credential)) {
                value.set_sensitive(true);
            }
        }
    }

    /// The value of a header that has to be there.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read), and the same rejection if the header is absent or empty.
    pub fn require<'a>(
        &self,
        headers: &'a HeaderMap,
        credential: Credential,
    ) -> Result<&'a str, Rejection> {
        self.require_bytes(headers, credential).map(text)
    }

    /// As [`require`](Self::require), for what is decoded from bytes.
    pub(crate) fn require_bytes<'a>(
        &self,
        headers: &'a HeaderMap,
        credential: Credential,
    ) -> Result<&'a [u8], Rejection> {
        let value = self.read_bytes(headers, credential)?;
        value.ok_or_else(|| self.missing(credential))
    }

    /// The application's id, among what [`read_all`](Self::read_all) found.
    pub(crate) fn app_id<'a>(&self, values: [Option<&'a [u8]>; 5]) -> Result<&'a str, Rejection> {
        let id = values[Credential::AppId as usize].map(text);
        id.ok_or_else(|| self.missing(Credential::AppId))
    }

    fn missing(&self, credential: Credential) -> Rejection {
        let name = self.get(credential);
        Rejection::new(credential.rejection(), format!("{name} is missing"))
    }
}

fn length_bit(name: &HeaderName) -> u64 {
    1 << (name.as_str().len() % 64)
}

/// The value, if it is visible ASCII, space or tab: what [`HeaderValue::to_str`] says.
pub(crate) fn visible(value: &HeaderValue) -> Option<&str> {
    is_visible(value).then(|| text(value.as_bytes()))
}

fn is_visible(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    let (chunks, _) = bytes.as_chunks::<16>();
    match bytes.last_chunk::<16>() {
        // The last chunk may lie over the one before it.
        Some(last) => chunks.iter().chain([last]).all(|chunk| are_visible(chunk)),
        None => are_visible(bytes),
    }
}

/// Neither exits early nor chooses, so that it is vectorized.
#[inline]
fn are_visible(bytes: &[u8]) -> bool {
    let hidden = bytes.iter().fold(0, |hidden, byte| {
        let is_printed = byte.wrapping_sub(b' ') <= b'~' - b' ';
        hidden | u8::from(!is_printed) & u8::from(*byte != b'\t')
    });
    hidden == 0
}

/// The text of bytes that are visible; nothing else comes here.
fn text(visible: &[u8]) -> &str {
    str::from_utf8(visible).unwrap_or_default()
}

impl Default for HeaderNames {
    fn default() -> Self {
        let names = Credential::ALL.map(|credential| {
            HeaderName::from_static(match credential {
                Credential::AppId => "x-dfns-appid",
                Credential::AppSecret => "x-dfns-appsecret",
                Credential::Nonce => "x-dfns-nonce",
                Credential::ApiSignature => "x-dfns-apisignature",
                Credential::UserAction => "x-dfns-useraction",
            })
        });
        Self::of(names, HeaderName::from_static("x-dfns-explain-signature"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let names = HeaderNames::default();
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                names.get(Credential::Nonce),
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        headers
    }

    /// What both ways of reading say.
    #[track_caller]
    fn read(values: &[&[u8]]) -> Result<Option<String>, RejectionKind> {
        let (names, headers) = (HeaderNames::default(), headers(values));
        let plain = |found: Result<Option<&str>, Rejection>| {
            let text = found.map(|value| value.map(str::to_owned));
            text.map_err(|rejection| rejection.kind())
        };
        let one = plain(names.read(&headers, Credential::Nonce));
        let all = names.read_all(&headers);
        assert_eq!(
            plain(all.map(|values| values[Credential::Nonce as usize].map(text))),
            one
        );
        one
    }

    #[test]
    fn the_default_names_are_those_of_the_default_prefix() {
        assert_eq!(
            HeaderNames::default(),
            HeaderNames::with_prefix(DEFAULT_PREFIX).unwrap()
        );
    }

    #[test]
    fn one_value_is_read_and_none_or_an_empty_one_counts_as_absent() {
        assert_eq!(read(&[b"abc"]), Ok(Some("abc".into())));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b""]), Ok(None));
    }

    #[test]
    fn a_second_value_is_refused_even_if_one_is_empty() {
        assert_eq!(read(&[b"abc", b"abc"]), Err(RejectionKind::NonceInvalid));
        assert_eq!(read(&[b"abc", b""]), Err(RejectionKind::NonceInvalid));
        assert_eq!(read(&[b"", b""]), Err(RejectionKind::NonceInvalid));
    }

    #[test]
    fn a_value_is_accepted_up_to_its_bound_and_refused_past_it() {
        assert!(read(&[&[b'a'; MAX_SHORT_VALUE]]).is_ok());
        assert!(read(&[&[b'a'; MAX_SHORT_VALUE + 1]]).is_err());
        assert_eq!(Credential::ApiSignature.max_length(), MAX_LONG_VALUE);
    }

    #[test]
    fn every_byte_is_judged_as_by_the_library() {
        for (length, byte) in [1, 15, 16, 17, 40]
            .iter()
            .flat_map(|l| (0..=u8::MAX).map(move |b| (*l, b)))
        {
            for at in 0..length {
                let mut bytes = vec![b'a'; length];
                bytes[at] = byte;
                if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                    assert_eq!(
                        visible(&value),
                        value.to_str().ok(),
                        "{byte} at {at} of {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_value_that_is_not_ascii_is_refused() {
        assert_eq!(read(&["ä".as_bytes()]), Err(RejectionKind::NonceInvalid));
        assert_eq!(read(&[b"\xff"]), Err(RejectionKind::NonceInvalid));
    }
}
