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

use base64_simd::URL_SAFE_NO_PAD;
use http::{
    HeaderMap, HeaderName, Method,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST,
        USER_AGENT,
    },
};

use super::{key::SigningAlgorithm, profile::TransportProfile};
use crate::headers::{Credential, HeaderNames, visible};

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

/// What fixed member names, quotes, colons, commas and the method take up, with room for escapes.
const SKELETON: usize = 512;

#[derive(Clone, Copy)]
enum Repeat {
    /// Its values are joined by a comma and a space.
    Joined,
    /// A second value is refused.
    Refused,
}

/// The parts of a request that a signature covers, borrowed. The signed text has no others: it could
/// get more by a new protocol alone, and so in a new major version.
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
#[non_exhaustive]
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
        let mut json = String::with_capacity(self.estimated_length(&values));
        let header_names = STANDARD
            .iter()
            .map(|(name, _)| name)
            .chain(CREDENTIALS.map(|credential| self.parts.names.get(credential)));
        let mut opening = "{\"h-";
        for (name, value) in header_names.zip(values) {
            json.push_str(opening);
            json.push_str(name.as_str());
            json.push_str("\":\"");
            escape(value, &mut json);
            opening = "\",\"h-";
        }
        json.push_str("\",\"r-authority\":\"");
        escape(self.parts.authority, &mut json);
        json.push_str("\",\"r-body\":\"");
        URL_SAFE_NO_PAD.encode_append(self.parts.body, &mut json);
        json.push_str("\",\"r-method\":\"");
        // A method's characters need no escapes.
        let method = self.parts.method.as_str().chars();
        json.extend(method.map(|letter| letter.to_ascii_lowercase()));
        json.push_str("\",\"r-path\":\"");
        escape(self.parts.path_and_query, &mut json);
        json.push_str("\",\"r-scheme\":\"");
        escape(self.parts.scheme, &mut json);
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
        URL_SAFE_NO_PAD.encode_append(json, &mut text);
        SigningInput(text)
    }

    /// The length of the JSON, escapes aside, so that its buffer grows at most once.
    fn estimated_length(&self, values: &[&str; COVERED]) -> usize {
        let parts = &self.parts;
        let values: usize = values.iter().map(|value| value.len()).sum();
        let body = parts.body.len().div_ceil(3) * 4;
        let names = CREDENTIALS.len() * parts.names.get(Credential::UserAction).as_str().len();
        let request = parts.authority.len() + parts.path_and_query.len() + parts.scheme.len();
        SKELETON + names + values + body + request
    }

    pub(super) fn names(&self) -> &'a HeaderNames {
        self.parts.names
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
    let mut values = headers
        .get_all(name)
        .iter()
        .map(|value| visible(value).ok_or_else(|| CanonicalError::NotVisible(name.clone())));
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
    // Counting has no early exit, so that it is vectorized; nearly every value needs none.
    let escapes = text
        .bytes()
        .filter(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\'))
        .count();
    if escapes == 0 {
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

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const ALGORITHMS: [SigningAlgorithm; 3] = [
        SigningAlgorithm::Rs256,
        SigningAlgorithm::Es256,
        SigningAlgorithm::EdDsa,
    ];

    /// The members' names with the default prefix, in the protocol's order.
    const MEMBERS: [&str; 17] = [
        "h-accept",
        "h-accept-encoding",
        "h-authorization",
        "h-connection",
        "h-content-length",
        "h-content-type",
        "h-host",
        "h-user-agent",
        "h-x-dfns-appid",
        "h-x-dfns-appsecret",
        "h-x-dfns-nonce",
        "h-x-dfns-useraction",
        "r-authority",
        "r-body",
        "r-method",
        "r-path",
        "r-scheme",
    ];

    fn headers(values: &[(&str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        headers
    }

    fn json_of(headers: &HeaderMap, names: &HeaderNames) -> Result<String, CanonicalError> {
        let parts = RequestParts {
            method: &Method::PUT,
            scheme: "https",
            authority: "authority",
            path_and_query: "/path?query",
            host: "fallback",
            headers,
            names,
            body: b"body",
        };
        Ok(CanonicalRequest::of(parts)?.json(&TransportProfile::RECEIVED))
    }

    #[track_caller]
    fn member(values: &[(&str, &[u8])], name: &str) -> String {
        let json = json_of(&headers(values), &HeaderNames::default()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json[name].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn error(values: &[(&str, &[u8])]) -> CanonicalError {
        json_of(&headers(values), &HeaderNames::default()).unwrap_err()
    }

    #[test]
    fn the_members_follow_the_prefix_and_keep_their_order() {
        let names = HeaderNames::with_prefix("x-acme-").unwrap();
        let json = json_of(
            &headers(&[("x-acme-nonce", b"n"), ("x-dfns-nonce", b"m")]),
            &names,
        );
        assert_eq!(
            json.unwrap(),
            r#"{"h-accept":"","h-accept-encoding":"","h-authorization":"","h-connection":"","h-content-length":"","h-content-type":"","h-host":"fallback","h-user-agent":"","h-x-acme-appid":"","h-x-acme-appsecret":"","h-x-acme-nonce":"n","h-x-acme-useraction":"","r-authority":"authority","r-body":"Ym9keQ","r-method":"put","r-path":"/path?query","r-scheme":"https"}"#
        );
    }

    #[test]
    fn several_values_are_joined_by_comma_and_space() {
        let accept: [(&str, &[u8]); 3] = [("accept", b"a"), ("accept", b""), ("accept", b"b,c")];
        assert_eq!(member(&accept, "h-accept"), "a, , b,c");
    }

    #[test]
    fn a_header_that_must_be_single_is_refused_when_it_comes_twice() {
        for name in [
            "authorization",
            "content-length",
            "content-type",
            "host",
            "x-dfns-appid",
            "x-dfns-appsecret",
            "x-dfns-nonce",
            "x-dfns-useraction",
        ] {
            let repeated = CanonicalError::Repeated(HeaderName::try_from(name).unwrap());
            assert_eq!(error(&[(name, b"a"), (name, b"a")]), repeated);
            assert_eq!(error(&[(name, b""), (name, b"")]), repeated);
        }
    }

    #[test]
    fn a_covered_value_is_refused_unless_it_is_visible_ascii_space_or_tab() {
        assert_eq!(member(&[("accept", b"a\tb ~!")], "h-accept"), "a\tb ~!");
        for value in ["ä".as_bytes(), b"\xff", b"\x80"] {
            assert!(matches!(
                error(&[("accept", value)]),
                CanonicalError::NotVisible(_)
            ));
            assert!(matches!(
                error(&[("accept", b"a"), ("accept", value)]),
                CanonicalError::NotVisible(_)
            ));
            assert_eq!(member(&[("x-other", value)], "h-accept"), "");
        }
    }

    #[test]
    fn host_falls_back_only_where_the_header_is_absent() {
        assert_eq!(member(&[], "h-host"), "fallback");
        assert_eq!(member(&[("host", b"h")], "h-host"), "h");
        assert_eq!(member(&[("host", b"")], "h-host"), "");
    }

    #[test]
    fn a_method_that_the_text_could_not_tell_from_another_is_refused() {
        let (headers, names) = (HeaderMap::new(), HeaderNames::default());
        let method = Method::from_bytes(b"pUT").unwrap();
        let parts = RequestParts {
            method: &method,
            scheme: "",
            authority: "",
            path_and_query: "",
            host: "",
            headers: &headers,
            names: &names,
            body: b"",
        };
        assert_eq!(
            CanonicalRequest::of(parts).unwrap_err(),
            CanonicalError::LowerCaseMethod
        );
    }

    #[test]
    fn the_signed_header_names_the_algorithm_and_all_are_of_one_length() {
        for algorithm in ALGORITHMS {
            let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, algorithm.name());
            assert_eq!(
                BASE64_URL_SAFE_NO_PAD.encode(header),
                algorithm.encoded_header()
            );
            assert_eq!(algorithm.encoded_header().len(), 36);
        }
    }

    #[test]
    fn debug_shows_no_header_and_no_body() {
        let (headers, names) = (
            headers(&[("x-dfns-appsecret", b"hidden")]),
            HeaderNames::default(),
        );
        let request = CanonicalRequest::of(RequestParts {
            method: &Method::PUT,
            scheme: "https",
            authority: "authority",
            path_and_query: "/path",
            host: "",
            headers: &headers,
            names: &names,
            body: b"hidden",
        })
        .unwrap();
        let input = request.signing_input(&TransportProfile::NODE, SigningAlgorithm::EdDsa);
        assert_eq!(
            format!("{request:?}"),
            "CanonicalRequest(RequestParts { method: PUT, path_and_query: \"/path\", .. })"
        );
        assert_eq!(format!("{input:?}"), "SigningInput(..)");
    }

    fn header_value() -> impl Strategy<Value = String> {
        "[\\t -~]{0,12}"
    }

    proptest! {
        #[test]
        fn escapes_agree_with_a_json_library(text in any::<String>()) {
            let mut json = String::from("\"");
            escape(&text, &mut json);
            json.push('"');
            prop_assert_eq!(json, serde_json::to_string(&text).unwrap());
        }

        /// Whoever can read all covered parts back from the text can never have two different sets
        /// of them for one text.
        #[test]
        fn different_parts_never_share_a_text(
            values in proptest::collection::vec(header_value(), COVERED),
            method in "[A-Z!#$%&'*+.^_`|~-]{1,8}",
            strings in proptest::collection::vec(any::<String>(), 3),
            body in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut headers = HeaderMap::new();
            for (member, value) in MEMBERS.iter().zip(&values) {
                let name = HeaderName::from_static(&member["h-".len()..]);
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
            let names = HeaderNames::default();
            let request = CanonicalRequest::of(RequestParts {
                method: &Method::from_bytes(method.as_bytes()).unwrap(),
                authority: &strings[0],
                path_and_query: &strings[1],
                scheme: &strings[2],
                host: "",
                headers: &headers,
                names: &names,
                body: &body,
            })
            .unwrap()
            .signing_input(&TransportProfile::RECEIVED, SigningAlgorithm::Rs256);
            let (_, payload) = request.as_str().split_once('.').unwrap();
            let json = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
            let parsed: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(&json).unwrap();
            let read = |name: &str| parsed[name].as_str().unwrap();
            prop_assert_eq!(parsed.len(), MEMBERS.len());
            for (member, value) in MEMBERS.iter().zip(&values) {
                prop_assert_eq!(read(member), value);
            }
            prop_assert_eq!(read("r-authority"), &strings[0]);
            prop_assert_eq!(read("r-path"), &strings[1]);
            prop_assert_eq!(read("r-scheme"), &strings[2]);
            prop_assert_eq!(read("r-method").to_ascii_uppercase(), method);
            prop_assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(read("r-body")).unwrap(), body);
        }
    }
}
