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

/// Whether `host` header and URI name two different services. Upper and lower case are the same, and
/// so is a port that the URI's scheme implies.
pub(crate) fn names_disagree(headers: &HeaderMap, uri: &Uri) -> bool {
    let (Some(host), Some(authority)) = (headers.get(HOST), uri.authority()) else {
        return false;
    };
    let implied: &[u8] = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => b":443",
        Some(scheme) if *scheme == Scheme::HTTP => b":80",
        _ => b"",
    };
    let without_port = |name| <[u8]>::strip_suffix(name, implied).unwrap_or(name);
    let (host, authority) = (host.as_bytes(), authority.as_str().as_bytes());
    !without_port(host).eq_ignore_ascii_case(without_port(authority))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn host_and_uri_agree_up_to_case_and_the_port_that_the_scheme_implies() {
        for (host, uri, disagree) in [
            ("a.example", "/path", false),
            ("a.example", "https://a.example/path", false),
            ("A.example", "https://a.Example/path", false),
            ("a.example", "https://a.example:443/path", false),
            ("a.example:443", "https://a.example/path", false),
            ("a.example", "http://a.example:80/path", false),
            ("a.example:8080", "http://a.example:8080/path", false),
            ("a.example", "https://a.example:80/path", true),
            ("a.example", "http://a.example:443/path", true),
            ("a.example", "a.example:443", true),
            ("a.example", "https://b.example/path", true),
            ("a.example", "https://a.example./path", true),
            ("a.example", "https://user@a.example/path", true),
            ("", "https://a.example/path", true),
        ] {
            let mut headers = HeaderMap::new();
            let uri = uri.parse().unwrap();
            assert!(!names_disagree(&headers, &uri), "no host, {uri}");
            headers.insert(HOST, HeaderValue::from_static(host));
            assert_eq!(names_disagree(&headers, &uri), disagree, "{host}, {uri}");
        }
    }
}
