//! What is added to a request before it goes out. Pure: time and the random UUID are arguments.

use base64_simd::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{
    HeaderMap, HeaderValue, Method, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, HOST, InvalidHeaderValue, TRANSFER_ENCODING},
    request::Parts,
    uri::{Authority, Scheme},
};
use uuid::Uuid;

use super::app::{ClientApp, Credentials};
use crate::{
    headers::{Credential, HeaderNames, MAX_EXPLANATION},
    signature::{CanonicalError, CanonicalRequest, RequestParts, SigningFailed, TransportProfile},
    target::{self, NameError},
};

/// Why a request cannot be signed as it would go out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Neither a `host` header nor an authority in the URI.
    #[error("the request has no authority: write its URI with scheme and host, or set `host`")]
    NoAuthority,
    /// The `host` header names another service than the URI, and no authority is set to say which
    /// one is meant: HTTP/2 sends both, HTTP/1.1 the header alone.
    #[error(
        "host header and URI name two services: leave `host` out, or set the layer's authority to \
         the name that the server goes by"
    )]
    TwoAuthorities,
    /// The URI's authority makes no `host` header.
    #[error("the URI's authority makes no host header: write host and port alone, or set `host`")]
    Host(#[source] InvalidHeaderValue),
    /// The request has no canonical text.
    #[error("the request cannot be signed")]
    Canonical(#[from] CanonicalError),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
}

/// What does not change from request to request.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) app: ClientApp,
    pub(super) names: HeaderNames,
    pub(super) authority: Option<Authority>,
    pub(super) scheme: Scheme,
    /// Whether the text that is signed goes along, in a header of its own.
    pub(super) shows_text: bool,
}

/// The header value of a nonce: base64url of `{"uuid":…,"datetime":…}`.
///
/// ```
/// use tower_registration::{client::encode_nonce, nonce::Nonce};
///
/// let header = encode_nonce(uuid::Uuid::nil(), "2026-11-23T07:44:00.123456Z".parse()?);
/// assert_eq!(Nonce::decode(&header)?.datetime().to_rfc3339(), "2026-11-23T07:44:00.123+00:00");
/// assert!(Nonce::decode(&header[1..]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn encode_nonce(random: Uuid, now: DateTime<Utc>) -> String {
    let time = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    URL_SAFE_NO_PAD.encode_to_string(format!(r#"{{"uuid":"{random}","datetime":"{time}"}}"#))
}

impl Signer {
    /// Makes `parts` those of a request that is ready to go out with `body`.
    pub(super) fn sign(
        &self,
        parts: &mut Parts,
        body: &[u8],
        random: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), RequestError> {
        settle_transport_headers(parts, body.len());
        self.settle_host(parts)?;
        let headers = &mut parts.headers;
        let nonce = encoded(encode_nonce(random, now));
        headers.insert(self.names.get(Credential::Nonce), nonce);
        headers.insert(self.names.get(Credential::AppId), self.app.id.clone());
        headers.remove(self.names.get(Credential::AppSecret));
        headers.remove(self.names.get(Credential::ApiSignature));
        headers.remove(self.names.explanation());
        let Some(Credentials { secret, key }) = &self.app.credentials else {
            return Ok(());
        };
        headers.insert(self.names.get(Credential::AppSecret), secret.clone());
        let input = self
            .canonical(parts, body)?
            .signing_input(&TransportProfile::RECEIVED, key.algorithm());
        let mut signature = encoded(key.sign(input.as_str())?);
        signature.set_sensitive(true);
        parts
            .headers
            .insert(self.names.get(Credential::ApiSignature), signature);
        if self.shows_text && input.as_str().len() <= MAX_EXPLANATION {
            let mut text = encoded(input.as_str().to_owned());
            text.set_sensitive(true);
            parts.headers.insert(self.names.explanation().clone(), text);
        }
        Ok(())
    }

    /// Sees to it that the server finds one name in the request, and the one that is signed.
    fn settle_host(&self, parts: &mut Parts) -> Result<(), RequestError> {
        let (headers, uri) = (&mut parts.headers, &parts.uri);
        if headers.contains_key(HOST) {
            return match target::service_name(self.authority.as_ref(), &self.scheme, headers, uri) {
                Ok(_) => Ok(()),
                Err(NameError::None) => Err(RequestError::NoAuthority),
                Err(NameError::Two) => Err(RequestError::TwoAuthorities),
            };
        }
        if target::authority(uri).is_empty() {
            return Err(RequestError::NoAuthority);
        }
        if parts.version != Version::HTTP_2 {
            headers.insert(HOST, host_of(uri)?);
        }
        Ok(())
    }

    fn canonical<'a>(
        &'a self,
        parts: &'a Parts,
        body: &'a [u8],
    ) -> Result<CanonicalRequest<'a>, CanonicalError> {
        CanonicalRequest::of(RequestParts {
            method: &parts.method,
            scheme: self.scheme.as_str(),
            authority: self.authority.as_ref().map_or_else(
                || target::host(&parts.headers, &parts.uri),
                Authority::as_str,
            ),
            path_and_query: target::path_and_query(&parts.uri),
            host: target::authority(&parts.uri),
            headers: &parts.headers,
            names: &self.names,
            body,
        })
    }
}

/// Sets what the transport would set otherwise, after the signature, and removes what it would
/// remove.
fn settle_transport_headers(parts: &mut Parts, length: usize) {
    let headers = &mut parts.headers;
    trim_values(headers);
    headers.remove(TRANSFER_ENCODING);
    if length > 0 || has_defined_payload(&parts.method) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    } else {
        headers.remove(CONTENT_LENGTH);
    }
    if parts.version == Version::HTTP_2 {
        headers.remove(CONNECTION);
    }
}

/// White space around a value is no part of it: readers of HTTP/1 drop it, and HTTP/2 forbids it.
fn trim_values(headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        let trimmed = value.as_bytes().trim_ascii();
        if trimmed.len() < value.len()
            && let Ok(mut trimmed) = HeaderValue::from_bytes(trimmed)
        {
            trimmed.set_sensitive(value.is_sensitive());
            *value = trimmed;
        }
    }
}

fn host_of(uri: &Uri) -> Result<HeaderValue, RequestError> {
    // The port that the scheme implies is left out, as hyper-util does.
    let host = uri.host().unwrap_or_default();
    let is_secure = uri.scheme() == Some(&Scheme::HTTPS);
    let host = match uri.port_u16() {
        None => HeaderValue::from_str(host),
        Some(443) if is_secure => HeaderValue::from_str(host),
        Some(80) if !is_secure => HeaderValue::from_str(host),
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")),
    };
    host.map_err(RequestError::Host)
}

/// Whether hyper states the length of an empty body with this method.
fn has_defined_payload(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::DELETE | Method::CONNECT
    )
}

fn encoded(base64: String) -> HeaderValue {
    HeaderValue::try_from(base64).expect("base64 is visible ASCII")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::app::AppId;

    fn sign(request: http::request::Builder, body: &[u8]) -> Result<HeaderMap, RequestError> {
        sign_for(None, request, body)
    }

    fn sign_for(
        authority: Option<Authority>,
        request: http::request::Builder,
        body: &[u8],
    ) -> Result<HeaderMap, RequestError> {
        let signer = Signer {
            app: ClientApp::client_side(&AppId::new("app").unwrap()),
            names: HeaderNames::default(),
            authority,
            scheme: Scheme::HTTPS,
            shows_text: false,
        };
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        signer.sign(&mut parts, body, Uuid::nil(), DateTime::UNIX_EPOCH)?;
        Ok(parts.headers)
    }

    #[track_caller]
    fn header(headers: &HeaderMap, name: &str) -> String {
        headers
            .get(name)
            .map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn host_is_the_uris_authority_without_the_port_that_its_scheme_implies() {
        for (uri, host) in [
            ("https://a.example/", "a.example"),
            ("https://a.example:443/", "a.example"),
            ("https://a.example:80/", "a.example:80"),
            ("http://a.example:443/", "a.example:443"),
            ("http://a.example:80/", "a.example"),
            ("http://[::1]:8080/", "[::1]:8080"),
        ] {
            let headers = sign(Request::put(uri), b"").unwrap();
            assert_eq!(header(&headers, "host"), host);
        }
        let http2 = Request::put("https://a.example/").version(Version::HTTP_2);
        let headers = sign(http2.header("connection", "close"), b"").unwrap();
        assert_eq!(header(&headers, "host"), "");
        assert_eq!(header(&headers, "connection"), "");
        for nowhere in [Request::put("/"), Request::put("/").header("host", "")] {
            let verdict = sign(nowhere, b"");
            assert!(matches!(verdict, Err(RequestError::NoAuthority)));
        }
    }

    #[test]
    fn a_host_of_ones_own_is_kept_where_no_other_is_named_or_an_authority_is_set() {
        let with = |host| Request::put("https://a.example/").header("host", host);
        for same in ["a.example", "A.example", "a.example:443"] {
            assert_eq!(header(&sign(with(same), b"").unwrap(), "host"), same);
        }
        let alone = Request::put("/").header("host", "b.example");
        assert_eq!(header(&sign(alone, b"").unwrap(), "host"), "b.example");
        for other in ["b.example", "a.example:80", ""] {
            let verdict = sign(with(other), b"");
            assert!(
                matches!(verdict, Err(RequestError::TwoAuthorities)),
                "{other:?}: {verdict:?}"
            );
            let set = Authority::from_static("b.example");
            let headers = sign_for(Some(set), with(other), b"").unwrap();
            assert_eq!(header(&headers, "host"), other);
        }
    }

    #[test]
    fn the_length_is_stated_where_the_body_or_the_method_asks_for_it() {
        for (method, body, length) in [
            ("PUT", &b"12"[..], "2"),
            ("PUT", b"", "0"),
            ("GET", b"", ""),
            ("GET", b"1", "1"),
        ] {
            let request = Request::builder()
                .method(method)
                .uri("https://a.example/")
                .header("content-length", "99")
                .header("transfer-encoding", "chunked");
            let headers = sign(request, body).unwrap();
            assert_eq!(header(&headers, "content-length"), length);
            assert_eq!(header(&headers, "transfer-encoding"), "");
        }
    }

    #[test]
    fn credentials_that_the_request_had_are_replaced() {
        let request = Request::put("https://a.example/")
            .header("x-dfns-nonce", "old")
            .header("x-dfns-nonce", "older")
            .header("x-dfns-appid", "other")
            .header("x-dfns-appsecret", "secret")
            .header("x-dfns-apisignature", "signature")
            .header("x-dfns-useraction", "token");
        let headers = sign(request, b"").unwrap();
        assert_eq!(header(&headers, "x-dfns-appid"), "app");
        assert_eq!(headers.get_all("x-dfns-nonce").iter().count(), 1);
        assert_ne!(header(&headers, "x-dfns-nonce"), "old");
        assert!(!headers.contains_key("x-dfns-appsecret"));
        assert!(!headers.contains_key("x-dfns-apisignature"));
        assert_eq!(header(&headers, "x-dfns-useraction"), "token");
    }
}
