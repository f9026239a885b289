//! What a request is aimed at, as its sender wrote it.

use http::{
    Extensions, HeaderMap, Uri,
    header::HOST,
    uri::{Authority, Scheme},
};

/// The URI as the client sent it: a nested axum router strips the prefix of the path before inner
/// layers see it, and keeps the original beside.
#[cfg_attr(not(feature = "axum"), expect(unused_variables))]
pub(crate) fn original_uri<'a>(uri: &'a Uri, extensions: &'a Extensions) -> &'a Uri {
    #[cfg(feature = "axum")]
    if let Some(axum::extract::OriginalUri(original)) = extensions.get() {
        return original;
    }
    uri
}

/// Path and query as on the wire.
pub(crate) fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("", |path| path.as_str())
}

/// The URI's authority; empty where it has none.
pub(crate) fn authority(uri: &Uri) -> &str {
    uri.authority().map_or("", Authority::as_str)
}

/// The name under which the request is sent: the `host` header's value, else the URI's authority.
pub(crate) fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> &'a str {
    let sent = headers.get(HOST).and_then(|host| host.to_str().ok());
    sent.unwrap_or_else(|| authority(uri))
}

/// No one service is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("host header and URI name two services: send one name in both, or set `authority`")]
    Two,
    #[error("the request names no service: have the client send `host`, or set `authority`")]
    None,
}

/// The name of the service that a request is for: the one that is `set`, whatever proxies have made
/// of the request's own, or else the request's own, if it has one and no other beside it.
pub(crate) fn service_name<'a>(
    set: Option<&'a Authority>,
    scheme: &Scheme,
    headers: &'a HeaderMap,
    uri: &'a Uri,
) -> Result<&'a str, NameError> {
    if let Some(set) = set {
        return Ok(set.as_str());
    }
    if names_disagree(headers, uri, scheme) {
        return Err(NameError::Two);
    }
    let name = Some(host(headers, uri)).filter(|name| !name.is_empty());
    name.ok_or(NameError::None)
}

/// Whether `host` header and URI name two different services. Upper and lower case are the same, and
/// so are no port, an empty one, and the one that `scheme` implies.
fn names_disagree(headers: &HeaderMap, uri: &Uri, scheme: &Scheme) -> bool {
    let (Some(host), Some(authority)) = (headers.get(HOST), uri.authority()) else {
        return false;
    };
    let implied: &[u8] = match scheme.as_str() {
        "https" => b":443",
        "http" => b":80",
        _ => b":",
    };
    // The text and not its parts: a port that is no number must not count as none.
    let plain = |name| {
        let without = |port| <[u8]>::strip_suffix(name, port);
        without(implied).or_else(|| without(b":")).unwrap_or(name)
    };
    !plain(host.as_bytes()).eq_ignore_ascii_case(plain(authority.as_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn host_and_uri_agree_up_to_case_and_the_port_that_the_set_scheme_implies() {
        for (scheme, host, uri, disagree) in [
            ("https", "a.example", "/path", false),
            ("https", "a.example", "https://a.example/path", false),
            ("https", "A.example", "https://a.Example/path", false),
            ("https", "a.example", "https://a.example:443/path", false),
            ("https", "a.example:443", "https://a.example/path", false),
            ("https", "a.example:", "https://a.example/path", false),
            ("https", "a.example:", "https://a.example:443/path", false),
            ("https", "a.example:443", "https://a.example:/path", false),
            ("https", "a.example:8080", "https://a.example:8080/", false),
            ("https", "[::1]:443", "https://[::1]/path", false),
            ("http", "a.example", "http://a.example:80/path", false),
            ("ftp", "a.example", "ftp://a.example:/path", false),
            // The hop's own scheme says nothing about the service's.
            ("https", "a.example", "http://a.example:443/path", false),
            ("https", "a.example", "a.example:443", false),
            ("https", "a.example", "http://a.example:80/path", true),
            ("http", "a.example", "https://a.example:443/path", true),
            ("https", "a.example", "https://a.example:80/path", true),
            ("https", "a.example", "https://a.example:8080/", true),
            ("https", "a.example:8443", "https://a.example:443/", true),
            // 443, modulo what fits into a port.
            ("https", "a.example", "https://a.example:65979/", true),
            ("https", "a.example:x443", "https://a.example/path", true),
            ("https", "a.example", "https://b.example/path", true),
            ("https", "a.example", "https://a.example./path", true),
            ("https", "a.example", "https://user@a.example/path", true),
            ("https", "[::1]", "https://[::2]/path", true),
            ("https", "", "https://a.example/path", true),
        ] {
            let mut headers = HeaderMap::new();
            let (uri, scheme) = (uri.parse().unwrap(), scheme.parse().unwrap());
            let what = format!("{host}, {uri}, {scheme}");
            assert!(!names_disagree(&headers, &uri, &scheme), "no host: {what}");
            headers.insert(HOST, HeaderValue::from_static(host));
            let verdict = names_disagree(&headers, &uri, &scheme);
            assert_eq!(verdict, disagree, "{what}");
        }
    }

    #[test]
    fn a_set_name_counts_whatever_the_request_says_and_else_there_has_to_be_one() {
        let set = Authority::from_static("public.example");
        for (host, uri, own) in [
            (Some("a.example"), "/path", Ok("a.example")),
            (None, "https://a.example/path", Ok("a.example")),
            (
                Some("A.example:443"),
                "https://a.example/",
                Ok("A.example:443"),
            ),
            (Some("b.example"), "https://a.example/", Err(NameError::Two)),
            (Some(""), "https://a.example/", Err(NameError::Two)),
            (Some(""), "/path", Err(NameError::None)),
            (None, "/path", Err(NameError::None)),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(host.map(|host| (HOST, HeaderValue::from_static(host))));
            let uri = uri.parse().unwrap();
            let name = |set| service_name(set, &Scheme::HTTPS, &headers, &uri);
            assert_eq!(name(None), own, "{host:?}, {uri}");
            assert_eq!(name(Some(&set)), Ok("public.example"), "{host:?}, {uri}");
        }
    }
}
