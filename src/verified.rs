//! The proofs that checks leave in a request's extensions.
//!
//! One [`Verified`] value holds them all. Its fields can be filled by this crate's checks alone:
//! whoever finds a proof may rely on it. It is about the request as it came to the checks. What
//! changes a request goes neither outside of them, where it would change what was signed, nor, if it
//! can be helped, between them and the reader, who would read what nobody proved: see
//! [`compose`](crate::guide::compose).
//!
//! ```
//! use http::Request;
//! use tower_registration::verified::Verified;
//!
//! fn handler(request: &Request<()>) -> &str {
//!     match Verified::of(request.extensions()).app() {
//!         Some(app) => app.application().id().as_str(),
//!         None => "nobody has checked this request",
//!     }
//! }
//! assert_eq!(handler(&Request::new(())), "nobody has checked this request");
//! ```

use std::sync::Arc;

use http::Extensions;

use crate::{
    app::Application,
    nonce::{FreshNonce, Nonce},
};

/// What has been proved about a request so far.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    pub(crate) app: Option<VerifiedApp>,
    pub(crate) nonce: Option<FreshNonce>,
    pub(crate) claimed: bool,
    pub(crate) signature: Option<VerifiedSignature>,
    pub(crate) user_action: Option<VerifiedUserAction>,
}

static NOTHING: Verified = Verified {
    app: None,
    nonce: None,
    claimed: false,
    signature: None,
    user_action: None,
};

impl Verified {
    /// What has been proved about the request with these extensions; nothing, if no check ran.
    #[must_use]
    pub fn of(extensions: &Extensions) -> &Self {
        extensions.get().unwrap_or(&NOTHING)
    }

    pub(crate) fn of_mut(extensions: &mut Extensions) -> &mut Self {
        extensions.get_or_insert_default()
    }

    /// The calling application, if its id (and secret, for a server-side one) was verified.
    #[must_use]
    pub fn app(&self) -> Option<&VerifiedApp> {
        self.app.as_ref()
    }

    /// The signature, if the application is a server-side one and its signature was verified.
    #[must_use]
    pub fn signature(&self) -> Option<&VerifiedSignature> {
        self.signature.as_ref()
    }

    /// The nonce, if it was fresh and is now used up.
    #[must_use]
    pub fn nonce(&self) -> Option<&Nonce> {
        self.nonce
            .as_ref()
            .filter(|_| self.claimed)
            .map(FreshNonce::nonce)
    }

    /// The user action, if one was checked and used up.
    #[must_use]
    pub fn user_action(&self) -> Option<&VerifiedUserAction> {
        self.user_action.as_ref()
    }
}

/// Proof that the request carries the id of an active application and, for a server-side one, a
/// secret of it that has not expired.
#[derive(Clone, Debug)]
pub struct VerifiedApp {
    pub(crate) application: Arc<Application>,
    pub(crate) secret: Option<usize>,
}

impl VerifiedApp {
    /// The application's record.
    #[must_use]
    pub fn application(&self) -> &Arc<Application> {
        &self.application
    }

    /// Which of the application's secrets the request carries, counted from 0 in the record's
    /// order; `None` for a client-side application, which has none.
    #[must_use]
    pub fn secret_index(&self) -> Option<usize> {
        self.secret
    }
}

/// Proof that a key of the application signed this very request, body included.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedSignature {
    pub(crate) key: usize,
    pub(crate) profile: &'static str,
}

impl VerifiedSignature {
    /// Which of the application's keys verified, counted from 0 in the record's order.
    #[must_use]
    pub fn key_index(&self) -> usize {
        self.key
    }

    /// The name of the transport profile under which it verified.
    #[must_use]
    pub fn profile(&self) -> &'static str {
        self.profile
    }
}

/// Proof that the user action token was good for this method, path and body, and is used up.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedUserAction(pub(crate) ());
