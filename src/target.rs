//! What a request is aimed at, as its sender wrote it.

use http::{Extensions, HeaderMap, Uri, header::HOST, uri::Authority};

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
