//! Settings of the check of the API signature, and what is wrong with them.

use http::uri::{Authority, Scheme};

use super::{
    body::BodyLimits,
    check::{ApiSignatureLayer, SignatureCheck},
    explain::Explain,
    profile::{MAX_PROFILES, TransportProfile},
};
use crate::{gate::GateLayer, headers::HeaderNames};

/// The scheme under which clients reach the service, unless set otherwise.
pub const DEFAULT_SCHEME: &str = "https";

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) names: HeaderNames,
    pub(super) authority: Option<Authority>,
    pub(super) scheme: Scheme,
    pub(super) profiles: Vec<TransportProfile>,
    pub(super) limits: BodyLimits,
    /// Whether a signature that does not verify is explained in the log.
    pub(super) explains: bool,
}

/// Settings of a [`SignatureCheck`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SignatureCheckBuilder {
    names: HeaderNames,
    authority: Option<String>,
    scheme: String,
    profiles: Vec<TransportProfile>,
    limits: BodyLimits,
    explain: Option<Explain>,
}

/// Settings under which no signature could be made or checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureConfigError {
    /// The authority is none.
    #[error("{0:?} is no authority: use host and port alone, as in \"api.example.com\"")]
    Authority(String),
    /// The scheme is none.
    #[error("{0:?} is no scheme: use \"https\"")]
    Scheme(String),
    /// No profile: nothing would ever verify.
    #[error("no transport profile is set: leave the default, or set at least one")]
    NoProfiles,
    /// More than [`MAX_PROFILES`] profiles.
    #[error("{0} transport profiles are set: use at most {MAX_PROFILES}")]
    TooManyProfiles(usize),
    /// [`Explain::InDevelopment`] in a build without debug assertions.
    #[error(
        "signatures are not explained in release builds: leave `insecure_explain_signature` away, \
         or say `Explain::EvenInRelease`"
    )]
    ExplainInRelease,
}

impl Default for SignatureCheckBuilder {
    fn default() -> Self {
        Self {
            names: HeaderNames::default(),
            authority: None,
            scheme: DEFAULT_SCHEME.to_owned(),
            profiles: TransportProfile::DEFAULT.to_vec(),
            limits: BodyLimits::default(),
            explain: None,
        }
    }
}

impl SignatureCheckBuilder {
    /// The names of the credential headers.
    pub fn header_names(self, names: HeaderNames) -> Self {
        Self { names, ..self }
    }

    /// The authority under which clients reach the service, such as `api.example.com`: what is
    /// signed, whatever `Host` header and URI say about it. Set it where a proxy rewrites either.
    ///
    /// Without it, the `Host` header's value counts, and where there is none, the URI's authority. A
    /// request that has neither is then refused, and so is one that has both if they differ in more
    /// than case and the [scheme](Self::scheme)'s own port.
    pub fn authority(self, authority: impl Into<String>) -> Self {
        Self {
            authority: Some(authority.into()),
            ..self
        }
    }

    /// The scheme under which clients reach the service. [`DEFAULT_SCHEME`] unless set.
    pub fn scheme(self, scheme: impl Into<String>) -> Self {
        Self {
            scheme: scheme.into(),
            ..self
        }
    }

    /// The transport profiles in the order in which they are tried, 1 to [`MAX_PROFILES`].
    pub fn transport_profiles(self, profiles: impl IntoIterator<Item = TransportProfile>) -> Self {
        Self {
            profiles: profiles.into_iter().collect(),
            ..self
        }
    }

    /// How long a body may be, and how long it may take.
    pub fn body_limits(self, limits: BodyLimits) -> Self {
        Self { limits, ..self }
    }

    /// Writes down, in a `tracing` event at `warn`, why a signature does not verify: the first
    /// member in which the canonical text of a client and the one made here differ, where the client
    /// [shows](crate::headers::HeaderNames::explanation) its own; else what was made here. Off by
    /// default.
    ///
    /// For the developer of a client. It changes no verdict and no answer. What is secret in the
    /// text stands in that event by its length alone, but path, query, host and nonce are shown: let
    /// nobody read the log who may not know them. A release build is refused, unless it is asked
    /// for by name.
    ///
    /// **The header itself holds app secret, bearer token and body in full.** This check marks it as
    /// sensitive when a request gets there, and so too late for whatever is outside and writes
    /// headers down: a trace, another server in front. Mark it outside of them, with
    /// `SetSensitiveRequestHeadersLayer` and
    /// [`HeaderNames::explanation`](crate::headers::HeaderNames::explanation), and do so where nothing
    /// is explained as well: no check looks at the header there, but a client may send it.
    pub fn insecure_explain_signature(self, explain: Explain) -> Self {
        Self {
            explain: Some(explain),
            ..self
        }
    }

    /// The check.
    ///
    /// # Errors
    ///
    /// If the authority or scheme is none, the profiles are none or too many, or signatures are to
    /// be explained in a release build.
    pub fn build(self) -> Result<SignatureCheck, SignatureConfigError> {
        let authority = self.authority.map(read_authority).transpose()?;
        let scheme = read_scheme(self.scheme)?;
        match self.profiles.len() {
            1..=MAX_PROFILES => {}
            0 => return Err(SignatureConfigError::NoProfiles),
            more => return Err(SignatureConfigError::TooManyProfiles(more)),
        }
        if !is_permitted(self.explain, cfg!(debug_assertions)) {
            return Err(SignatureConfigError::ExplainInRelease);
        }
        Ok(SignatureCheck::new(Settings {
            names: self.names,
            authority,
            scheme,
            profiles: self.profiles,
            limits: self.limits,
            explains: self.explain.is_some(),
        }))
    }

    /// The check as a layer.
    ///
    /// # Errors
    ///
    /// Those of [`build`](Self::build).
    pub fn layer(self) -> Result<ApiSignatureLayer, SignatureConfigError> {
        self.build().map(GateLayer::from_check)
    }
}

pub(crate) fn read_authority(text: String) -> Result<Authority, SignatureConfigError> {
    Authority::try_from(text.as_str()).map_err(|_| SignatureConfigError::Authority(text))
}

pub(crate) fn read_scheme(text: String) -> Result<Scheme, SignatureConfigError> {
    Scheme::try_from(text.as_str()).map_err(|_| SignatureConfigError::Scheme(text))
}

/// Whether signatures may be explained as is asked for.
fn is_permitted(explain: Option<Explain>, is_debug_build: bool) -> bool {
    explain != Some(Explain::InDevelopment) || is_debug_build
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_builds_explain_signatures_only_if_asked_for_by_name() {
        let (development, always) = (Some(Explain::InDevelopment), Some(Explain::EvenInRelease));
        for (explain, debug, release) in [
            (None, true, true),
            (development, true, false),
            (always, true, true),
        ] {
            assert_eq!(is_permitted(explain, true), debug, "{explain:?}");
            assert_eq!(is_permitted(explain, false), release, "{explain:?}");
        }
        // The build that this test runs in is held to it.
        let built = SignatureCheck::builder()
            .insecure_explain_signature(Explain::InDevelopment)
            .build();
        if cfg!(debug_assertions) {
            assert!(built.is_ok());
        } else {
            assert_eq!(built.unwrap_err(), SignatureConfigError::ExplainInRelease);
        }
    }

    #[test]
    fn settings_under_which_nothing_could_verify_are_refused() {
        let error = |builder: SignatureCheckBuilder| builder.build().unwrap_err();
        let profiles = |count| {
            SignatureCheck::builder().transport_profiles(vec![TransportProfile::NODE; count])
        };
        assert_eq!(error(profiles(0)), SignatureConfigError::NoProfiles);
        assert!(profiles(MAX_PROFILES).build().is_ok());
        assert_eq!(
            error(profiles(MAX_PROFILES + 1)),
            SignatureConfigError::TooManyProfiles(MAX_PROFILES + 1)
        );
        for bad in ["", "https://api.example.com", "api.example.com/path", "a b"] {
            assert_eq!(
                error(SignatureCheck::builder().authority(bad)),
                SignatureConfigError::Authority(bad.into())
            );
        }
        assert_eq!(
            error(SignatureCheck::builder().scheme("ht tp")),
            SignatureConfigError::Scheme("ht tp".into())
        );
    }
}
