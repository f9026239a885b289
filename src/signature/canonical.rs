//! The text that both sides sign.
//!
//! ```text
//! text       = base64url(header) "." base64url(normalized)     ; without padding
//! header     = {"alg":"RS256","typ":"JWT"}                      ; or ES256, EdDSA, by the key
//! normalized = a JSON object without white space, of these members in this order, every value a
//!              string, escaped as JavaScript's JSON.stringify does:
//!              h-accept, h-accept-encoding, h-authorization, h-connection, h-content-length,
//!              h-content-type, h-host, h-user-agent, h-x-dfns-appid, h-x-dfns-appsecret,
//!              h-x-dfns-nonce, h-x-dfns-useraction,
//!              r-authority, r-body, r-method, r-path, r-scheme
//! ```
//!
//! Two requests share a text only if they agree in every covered part. Three things are therefore
//! refused here rather than written down: a header that must be single and comes twice, a value
//! that is not visible ASCII, space or tab, and a method with lower-case letters (`put` would be
//! written as `PUT` is). A header that is absent and one that is empty are one and the same, and so
//! are several values and one with their commas.

use std::{borrow::Cow, fmt};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{
    HeaderMap, HeaderName, Method,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST,
        USER_AGENT,
    },
};

use super::{key::SigningAlgorithm, profile::TransportProfile};
use crate::headers::{Credential, HeaderNames};

/// Covered headers that have one name everywhere, and whether they may come more than once.
static STANDARD: [(HeaderName, Repeat); 8] = [
    (ACCEPT, Repeat::Joined),
    (ACCEPT_ENCODING, Repeat::Joined),
    (AUTHORIZATION, Repeat::Refused),
    (CONNECTION, Repeat::Joined),
    (CONTENT_LENGTH, Repeat::Refused),
    (CONTENT_TYPE, Repeat::Refused),
    (HOST, Repeat::Refused),
    (USER_AGENT, Repeat::Joined),
];

/// Covered headers whose names follow the prefix. None may come more than once.
const CREDENTIALS: [Credential; 4] = [
    Credential::AppId,
    Credential::AppSecret,
    Credential::Nonce,
    Credential::UserAction,
];

const COVERED: usize = STANDARD.len() + CREDENTIALS.len();
const HOST_POSITION: usize = 6;

/// What member names, quotes, colons and commas take up, generously, and some room for escapes.
const SKELETON: usize = 512;

#[derive(Clone, Copy)]
enum Repeat {
    /// Its values are joined by a comma and a space.
    Joined,
    /// A second value is refused.
    Refused,
}

/// The parts of a request that a signature covers, borrowed.
#[derive(Clone, Copy)]
pub struct RequestParts<'a> {
    /// The method.
    pub method: &'a Method,
    /// The scheme under which clients reach the service, such as `https`.
    pub scheme: &'a str,
    /// The authority under which clients reach the service, such as `api.example.com`.
    pub authority: &'a str,
    /// Path and query as on the wire.
    pub path_and_query: &'a str,
    /// What stands for the `host` header where there is none, as in HTTP/2: the URI's authority.
    pub host: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The names of the credential headers.
    pub names: &'a HeaderNames,
    /// The whole body.
    pub body: &'a [u8],
}

impl fmt::Debug for RequestParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and body hold secrets.
        f.debug_struct("RequestParts")
            .field("method", self.method)
            .field("path_and_query", &self.path_and_query)
            .finish_non_exhaustive()
    }
}

/// Why a request has no canonical text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A header that must be single comes more than once.
    #[error("{0} comes more than once")]
    Repeated(HeaderName),
    /// A covered header's value is not visible ASCII, space or tab.
    #[error("{0} is not visible ASCII")]
    NotVisible(HeaderName),
    /// The method has lower-case letters, which the text would not tell from upper-case ones.
    #[error("the method has lower-case letters")]
    LowerCaseMethod,
}

/// A request that has a canonical text, one per [`TransportProfile`] and [`SigningAlgorithm`].
pub struct CanonicalRequest<'a> {
    parts: RequestParts<'a>,
    /// The covered headers as received, in the order of the text.
    values: [Cow<'a, str>; COVERED],
}

impl<'a> CanonicalRequest<'a> {
    /// Reads the covered headers.
    ///
    /// # Errors
    ///
    /// If two different requests would share the text; see [`CanonicalError`].
    pub fn of(parts: RequestParts<'a>) -> Result<Self, CanonicalError> {
        if parts
            .method
            .as_str()
            .bytes()
            .any(|byte| byte.is_ascii_lowercase())
        {
            return Err(CanonicalError::LowerCaseMethod);
        }
        let mut values = [const { Cow::Borrowed("") }; COVERED];
        let (standard, credentials) = values.split_at_mut(STANDARD.len());
        for (value, (name, repeat)) in standard.iter_mut().zip(&STANDARD) {
            *value = read(parts.headers, name, *repeat)?;
        }
        for (value, credential) in credentials.iter_mut().zip(CREDENTIALS) {
            *value = read(parts.headers, parts.names.get(credential), Repeat::Refused)?;
        }
        if !parts.headers.contains_key(HOST) {
            values[HOST_POSITION] = Cow::Borrowed(parts.host);
        }
        Ok(Self { parts, values })
    }

    /// The normalized request: the JSON under the signature.
    ///
    /// It holds the app secret: don't log it.
    #[must_use]
    pub fn json(&self, profile: &TransportProfile) -> String {
        let values = self.signed_values(profile);
        let RequestParts {
            method,
            scheme,
            authority,
            path_and_query,
            names,
            body,
            ..
        } = self.parts;
        let size: usize = values.iter().map(|value| value.len()).sum::<usize>()
            + authority.len()
            + body.len().div_ceil(3) * 4
            + path_and_query.len()
            + scheme.len();
        let mut json = String::with_capacity(
            SKELETON + 4 * names.get(Credential::Nonce).as_str().len() + size,
        );
        let header_names = STANDARD
            .iter()
            .map(|(name, _)| name)
            .chain(CREDENTIALS.map(|credential| names.get(credential)));
        let mut opening = "{\"h-";
        for (name, value) in header_names.zip(values) {
            json.push_str(opening);
            json.push_str(name.as_str());
            json.push_str("\":\"");
            escape(value, &mut json);
            opening = "\",\"h-";
        }
        json.push_str("\",\"r-authority\":\"");
        escape(authority, &mut json);
        json.push_str("\",\"r-body\":\"");
        BASE64_URL_SAFE_NO_PAD.encode_string(body, &mut json);
        json.push_str("\",\"r-method\":\"");
        // A method's characters need no escapes.
        json.extend(method.as_str().chars().map(|c| c.to_ascii_lowercase()));
        json.push_str("\",\"r-path\":\"");
        escape(path_and_query, &mut json);
        json.push_str("\",\"r-scheme\":\"");
        escape(scheme, &mut json);
        json.push_str("\"}");
        json
    }

    /// The text to sign with a key of `algorithm`.
    #[must_use]
    pub fn signing_input(
        &self,
        profile: &TransportProfile,
        algorithm: SigningAlgorithm,
    ) -> SigningInput {
        let header = algorithm.encoded_header();
        let json = self.json(profile);
        let mut text = String::with_capacity(header.len() + 1 + (json.len() * 4).div_ceil(3));
        text.push_str(header);
        text.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(json, &mut text);
        SigningInput(text)
    }

    /// Whether two profiles come to the same text for this request.
    pub(super) fn same_text(&self, left: &TransportProfile, right: &TransportProfile) -> bool {
        self.signed_values(left) == self.signed_values(right)
    }

    fn signed_values(&self, profile: &TransportProfile) -> [&str; COVERED] {
        let mut values = self.values.each_ref().map(|value| &**value);
        for (header, text) in profile.fixed() {
            values[header.position()] = text;
        }
        values
    }
}

impl fmt::Debug for CanonicalRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CanonicalRequest")
            .field(&self.parts)
            .finish()
    }
}

/// The text that is signed. It holds the app secret: `Debug` does not show it.
#[derive(Clone)]
pub struct SigningInput(String);

impl SigningInput {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text for a key of another algorithm. The headers are of one length, so that this
    /// moves nothing.
    pub(super) fn set_algorithm(&mut self, algorithm: SigningAlgorithm) {
        let header = algorithm.encoded_header();
        if !self.0.starts_with(header) {
            self.0.replace_range(..header.len(), header);
        }
    }
}

impl fmt::Debug for SigningInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningInput(..)")
    }
}

/// The value of a covered header: empty for none, several joined by `, `.
fn read<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    repeat: Repeat,
) -> Result<Cow<'a, str>, CanonicalError> {
    let mut values = headers.get_all(name).iter().map(|value| {
        value
            .to_str()
            .map_err(|_| CanonicalError::NotVisible(name.clone()))
    });
    let mut joined = match values.next() {
        None => return Ok(Cow::Borrowed("")),
        Some(first) => Cow::Borrowed(first?),
    };
    for value in values {
        if matches!(repeat, Repeat::Refused) {
            return Err(CanonicalError::Repeated(name.clone()));
        }
        let text = joined.to_mut();
        text.push_str(", ");
        text.push_str(value?);
    }
    Ok(joined)
}

/// Appends `text` as `JSON.stringify` writes the inside of a string: quote, backslash and control
/// characters are escaped, with the short forms where JSON has them and lower-case hex elsewhere.
fn escape(text: &str, json: &mut String) {
    // Without an early exit this loop is vectorized, and nearly every value passes it.
    let plain = text.bytes().fold(true, |plain, byte| {
        plain & (byte >= b' ') & (byte != b'"') & (byte != b'\\')
    });
    if plain {
        json.push_str(text);
        return;
    }
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\u{8}' => json.push_str("\\b"),
            '\t' => json.push_str("\\t"),
            '\n' => json.push_str("\\n"),
            '\u{c}' => json.push_str("\\f"),
            '\r' => json.push_str("\\r"),
            '\0'..' ' => {
                let code = character as u32;
                json.push_str("\\u00");
                json.extend(
                    [code / 16, code % 16].map(|digit| char::from_digit(digit, 16).unwrap_or('0')),
                );
            }
            _ => json.push(character),
        }
    }
}
