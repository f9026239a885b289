//! What a request is aimed at, as its sender wrote it.

use http::{Extensions, Uri};

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
