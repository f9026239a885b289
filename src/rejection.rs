//! What a caller is told, and what the operator is told, when a request is refused.
//!
//! A [`Rejection`] has two sides. The *kind* alone decides [status](RejectionKind::status),
//! [name](RejectionKind::name) and [message](RejectionKind::message) of the answer; the *reason* and
//! *source* are for logs and observers, and never reach the caller. The answer carries the whole
//! `Rejection` in its extensions, so that middleware outside can count and log:
//!
//! ```
//! use tower_registration::rejection::{Rejection, RejectionKind};
//!
//! let refused = Rejection::new(RejectionKind::NonceInvalid, "dated 301 s ago").into_response();
//! assert_eq!(refused.status(), 400);
//! let rejection = refused.extensions().get::<Rejection>().unwrap();
//! assert_eq!(rejection.kind(), RejectionKind::NonceInvalid);
//! assert_eq!(rejection.reason(), "dated 301 s ago");
//! ```

use std::{borrow::Cow, error::Error, fmt, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::Full;

/// Seconds that a caller is asked to wait after a 503.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// The kinds, and the list of them, which can't be one short.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident,)+) => {
        /// Why a request was refused, as far as the caller may know.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RejectionKind {
            $($(#[$doc])* $kind,)+
        }

        impl RejectionKind {
            /// All of them, as declared.
            pub(crate) const ALL: &[Self] = &[$(Self::$kind),+];
        }
    };
}

kinds! {
    /// The nonce is missing, malformed, stale or from the future.
    NonceInvalid,
    /// The nonce has been used before.
    NonceReplayed,
    /// The user action token has been used before.
    UserActionReplayed,
    /// The body is no JSON object with the right members.
    BodyInvalid,
    /// No application id, an unknown one, or an inactive application: one answer for all.
    AppInvalid,
    /// The application secret is missing, wrong or expired.
    AppSecretInvalid,
    /// The signature is missing or does not verify.
    ApiSignatureInvalid,
    /// The user action token is missing or not good for this request.
    UserActionInvalid,
    /// The application lacks the permission `Auth:Users:Create`.
    PermissionDenied,
    /// Another method than `PUT`.
    MethodNotAllowed,
    /// The body did not arrive within its time.
    BodyTimeout,
    /// The body is over the limit.
    BodyTooLarge,
    /// The body is not declared as `application/json`.
    ContentTypeInvalid,
    /// The service is put together wrongly: a layer is mounted without the one it needs.
    InternalError,
    /// A check could not be made: a store, guard or registry is unreachable or full.
    Unavailable,
}

impl RejectionKind {
    /// Status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match StatusCode::from_u16(self.row().0) {
            Ok(status) => status,
            Err(_) => unreachable!(),
        }
    }

    /// `error.name` of the answer.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// `error.message` of the answer, unless the rejection has one of its own
    /// ([`body_invalid`](Rejection::body_invalid)).
    #[must_use]
    pub const fn message(self) -> &'static str {
        self.row().2
    }

    /// What the caller learns: the one table from kind to status, name and message.
    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::NonceInvalid => (400, "NonceInvalid", "request nonce is missing or invalid"),
            Self::NonceReplayed => (400, "NonceReplayed", "request nonce has already been used"),
            Self::UserActionReplayed => (
                400,
                "UserActionReplayed",
                "user action has already been used",
            ),
            Self::BodyInvalid => (400, "BodyInvalid", "request body is invalid"),
            Self::AppInvalid => (401, "AppInvalid", "application is missing or invalid"),
            Self::AppSecretInvalid => (
                401,
                "AppSecretInvalid",
                "application secret is missing or invalid",
            ),
            Self::ApiSignatureInvalid => (
                401,
                "ApiSignatureInvalid",
                "api signature is missing or invalid",
            ),
            Self::UserActionInvalid => (
                403,
                "UserActionInvalid",
                "user action signature is missing or invalid",
            ),
            Self::PermissionDenied => (
                403,
                "PermissionDenied",
                "application is not authorized to perform operation (Auth:Users:Create)",
            ),
            Self::MethodNotAllowed => (405, "MethodNotAllowed", "method must be PUT"),
            Self::BodyTimeout => (408, "BodyTimeout", "request body did not arrive in time"),
            Self::BodyTooLarge => (413, "BodyTooLarge", "request body is too large"),
            Self::ContentTypeInvalid => (
                415,
                "ContentTypeInvalid",
                "content type must be application/json",
            ),
            Self::InternalError => (500, "InternalError", "Internal Server Error"),
            Self::Unavailable => (503, "Unavailable", "service is temporarily unavailable"),
        }
    }
}

/// A refused request: what the caller is told ([`kind`](Self::kind)) and what the operator is told
/// ([`reason`](Self::reason), [`source`](Error::source)).
#[derive(Clone)]
pub struct Rejection {
    kind: RejectionKind,
    reason: Cow<'static, str>,
    message: Option<Cow<'static, str>>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Rejection {
    /// A rejection whose `reason` is for operators alone. It must hold no secret.
    #[must_use]
    pub fn new(kind: RejectionKind, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            message: None,
            source: None,
        }
    }

    /// A malformed body; `message` says which member is wrong, and goes to the caller.
    #[must_use]
    pub fn body_invalid(message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self {
            message: Some(message.clone()),
            ..Self::new(RejectionKind::BodyInvalid, message)
        }
    }

    /// A check that could not be made: 503. `reason` names the part that failed.
    #[must_use]
    pub fn unavailable(
        reason: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            source: Some(Arc::from(source.into())),
            ..Self::new(RejectionKind::Unavailable, reason)
        }
    }

    /// A layer that does not find what an earlier one has to leave: 500.
    pub(crate) fn missing_layer(check: &'static str, needs: &'static str) -> Self {
        Self::new(
            RejectionKind::InternalError,
            format!("{check} found no proof of {needs}: mount {needs} outside of {check}"),
        )
    }

    /// What the caller may know.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// What the operator should know. Never sent to the caller.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The answer: JSON body, `cache-control: no-store`, `allow` with 405, `retry-after` with 503,
    /// and this rejection in the extensions.
    #[must_use]
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let message = self.message.as_deref().unwrap_or(self.kind.message());
        let body = serde_json::json!({"error": {"message": message, "name": self.kind.name()}});
        let mut response = Response::new(Full::from(body.to_string()));
        *response.status_mut() = self.kind.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.kind {
            RejectionKind::MethodNotAllowed => {
                headers.insert(ALLOW, HeaderValue::from_static("PUT"));
            }
            RejectionKind::Unavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
            }
            _ => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("kind", &self.kind)
            .field("reason", &self.reason)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.reason)
    }
}

impl Error for Rejection {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The protocol's table, word for word.
    #[test]
    fn every_kind_has_the_row_of_the_protocol() {
        use RejectionKind as Kind;
        let rows = [
            (
                Kind::NonceInvalid,
                400,
                "NonceInvalid",
                "request nonce is missing or invalid",
            ),
            (
                Kind::NonceReplayed,
                400,
                "NonceReplayed",
                "request nonce has already been used",
            ),
            (
                Kind::UserActionReplayed,
                400,
                "UserActionReplayed",
                "user action has already been used",
            ),
            (
                Kind::BodyInvalid,
                400,
                "BodyInvalid",
                "request body is invalid",
            ),
            (
                Kind::AppInvalid,
                401,
                "AppInvalid",
                "application is missing or invalid",
            ),
            (
                Kind::AppSecretInvalid,
                401,
                "AppSecretInvalid",
                "application secret is missing or invalid",
            ),
            (
                Kind::ApiSignatureInvalid,
                401,
                "ApiSignatureInvalid",
                "api signature is missing or invalid",
            ),
            (
                Kind::UserActionInvalid,
                403,
                "UserActionInvalid",
                "user action signature is missing or invalid",
            ),
            (
                Kind::PermissionDenied,
                403,
                "PermissionDenied",
                "application is not authorized to perform operation (Auth:Users:Create)",
            ),
            (
                Kind::MethodNotAllowed,
                405,
                "MethodNotAllowed",
                "method must be PUT",
            ),
            (
                Kind::BodyTimeout,
                408,
                "BodyTimeout",
                "request body did not arrive in time",
            ),
            (
                Kind::BodyTooLarge,
                413,
                "BodyTooLarge",
                "request body is too large",
            ),
            (
                Kind::ContentTypeInvalid,
                415,
                "ContentTypeInvalid",
                "content type must be application/json",
            ),
            (
                Kind::InternalError,
                500,
                "InternalError",
                "Internal Server Error",
            ),
            (
                Kind::Unavailable,
                503,
                "Unavailable",
                "service is temporarily unavailable",
            ),
        ];
        assert_eq!(rows.map(|(kind, ..)| kind), Kind::ALL);
        for (kind, status, name, message) in rows {
            assert_eq!(
                (kind.status().as_u16(), kind.name(), kind.message()),
                (status, name, message)
            );
        }
    }

    #[test]
    fn the_guide_tells_callers_of_every_kind_as_it_is() {
        let page = include_str!("docs/guide/caller.md");
        let told = page.lines().filter(|line| line.contains(" | `"));
        let rows = RejectionKind::ALL.iter().copied().map(|kind| {
            let (status, name, message) = kind.row();
            format!("| {status} | `{name}` | {message} | ")
        });
        let mut told = told.skip_while(|line| !line.starts_with("| 400 "));
        for row in rows {
            let line = told.next().unwrap_or_default();
            assert!(line.starts_with(&row), "{row} is not {line}");
        }
        assert_eq!(told.next(), None);
    }
}
