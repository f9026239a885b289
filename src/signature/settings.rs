//! Settings of the check of the API signature, and what is wrong with them.

use http::uri::{Authority, Scheme};

use super::{
    body::BodyLimits,
    check::{ApiSignatureLayer, SignatureCheck},
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
}

/// Settings under which no signature could be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
}

impl Default for SignatureCheckBuilder {
    fn default() -> Self {
        Self {
            names: HeaderNames::default(),
            authority: None,
            scheme: DEFAULT_SCHEME.to_owned(),
            profiles: TransportProfile::DEFAULT.to_vec(),
            limits: BodyLimits::default(),
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
    pub fn profiles(self, profiles: impl IntoIterator<Item = TransportProfile>) -> Self {
        Self {
            profiles: profiles.into_iter().collect(),
            ..self
        }
    }

    /// How long a body may be, and how long it may take.
    pub fn body_limits(self, limits: BodyLimits) -> Self {
        Self { limits, ..self }
    }

    /// The check.
    ///
    /// # Errors
    ///
    /// If the authority or scheme is none, or the profiles are none or too many.
    pub fn build(self) -> Result<SignatureCheck, SignatureConfigError> {
        let authority = match self.authority {
            None => None,
            Some(text) => Some(
                Authority::try_from(text.as_str())
                    .map_err(|_| SignatureConfigError::Authority(text))?,
            ),
        };
        let scheme = Scheme::try_from(self.scheme.as_str())
            .map_err(|_| SignatureConfigError::Scheme(self.scheme))?;
        match self.profiles.len() {
            1..=MAX_PROFILES => {}
            0 => return Err(SignatureConfigError::NoProfiles),
            more => return Err(SignatureConfigError::TooManyProfiles(more)),
        }
        Ok(SignatureCheck::new(Settings {
            names: self.names,
            authority,
            scheme,
            profiles: self.profiles,
            limits: self.limits,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_under_which_nothing_could_verify_are_refused() {
        let error = |builder: SignatureCheckBuilder| builder.build().unwrap_err();
        let profiles =
            |count| SignatureCheck::builder().profiles(vec![TransportProfile::NODE; count]);
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
