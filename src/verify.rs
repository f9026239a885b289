//! All checks, composed in the one safe order.
//!
//! ```text
//! bounds -> application id -> application secret -> nonce fresh
//!        -> body read -> signature -> nonce claimed -> [user action] -> the service
//! ```
//!
//! 1. Cheap before dear: the body is read only for who has shown an application's secret and a
//!    fresh nonce, and a public-key operation is done only on a body within its limit.
//! 2. Nothing is stored for a caller who has not proved to be one: the nonce is claimed last, so
//!    that a stranger can neither burn another's nonce nor fill the guard with unsigned ones.
//! 3. A check that can't be made refuses.
//!
//! What a client-side application proves is its id alone, which is no secret. What such callers
//! can use up is bounded by the replay guard's share for that application.
//!
//! What a proxy in front may change is told in [`signature`](crate::signature); what other layers may, in
//! the guide's page on [composing](crate::guide::compose).
//!
#![cfg_attr(feature = "client", doc = "```")]
#![cfg_attr(not(feature = "client"), doc = "```ignore")]
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use chrono::{DateTime, Utc};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_registration::{
//!     VerifyRequest,
//!     app::{AppId, Application, StaticApps},
//!     backend::memory::MemoryReplayGuard,
//!     client::encode_nonce,
//!     clock::ManualClock,
//!     signature::CheckedBody,
//!     verified::Verified,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now: DateTime<Utc> = "2026-11-23T07:44:00Z".parse()?;
//! let verify = VerifyRequest::builder()
//!     .apps(StaticApps::new([Application::client_side(AppId::new("ap-1")?)])?)
//!     .replay_guard(MemoryReplayGuard::builder().started_at(now).build()?)
//!     .clock(ManualClock::at(now))
//!     .build()?;
//! let inner = service_fn(async |request: Request<CheckedBody<Full<Bytes>>>| {
//!     assert!(Verified::of(request.extensions()).nonce().is_some());
//!     Ok::<_, Infallible>(Response::new(()))
//! });
//! let service = verify.layer(inner);
//!
//! let nonce = encode_nonce(uuid::Uuid::new_v4(), now);
//! let request = |app: &str| {
//!     Request::put("/")
//!         .header("x-dfns-appid", app)
//!         .header("x-dfns-nonce", &nonce)
//!         .body(Full::<Bytes>::default())
//! };
//! assert_eq!(service.clone().oneshot(request("unknown")?).await?.status(), 401);
//! assert_eq!(service.clone().oneshot(request("ap-1")?).await?.status(), 200);
//! // The same once more is a replay.
//! assert_eq!(service.oneshot(request("ap-1")?).await?.status(), 400);
//! # Ok(())
//! # }
//! ```
//!
//! # Rejected in development?
//!
//! The answer tells a caller little, on purpose. The exact reason is in the log of the server: an
//! event with target `tower_registration::verify`, at `debug` for what a caller did (switch it on by
//! `RUST_LOG=tower_registration=debug` or the like), at `error` for what the operator has to mend.
//!
//! * A nonce out of its window: the event has the difference of the clocks, and the window.
//! * A layer that misses another: the event names both, and which to mount outside of which.
//! * A signature that does not verify: with
//!   [`insecure_explain_signature`](VerifyBuilder::insecure_explain_signature), an event at `warn` has
//!   the first part of the request that the client signed otherwise than it arrived. For that, let
//!   the client send what it signed (the two parts of the JWS with their dot, or the second alone) in
//!   `x-dfns-explain-signature`, as `SignRequestLayer::insecure_show_signed_text` (feature `client`)
//!   does. Of a client that can't, what this server would have signed is logged instead. Secrets and
//!   body stand in the event by their length alone. The header itself has them in full, so
//!   [mark it as sensitive](VerifyBuilder::insecure_explain_signature) outside of a trace that writes
//!   headers down. A release build refuses to explain unless told to by name:
//!
//! ```
//! use tower_registration::{
//!     VerifyRequest, app::StaticApps, backend::memory::MemoryReplayGuard, signature::Explain,
//! };
//!
//! let builder = VerifyRequest::builder()
//!     .apps(StaticApps::default())
//!     .replay_guard(MemoryReplayGuard::builder().build().unwrap());
//! let explained = builder.insecure_explain_signature(Explain::InDevelopment).build();
//! assert_eq!(explained.is_ok(), cfg!(debug_assertions));
//! ```

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Request;

use crate::{
    app::{AppCheck, AppRegistry},
    clock::{Clock, SharedClock, SystemClock},
    gate::{Check, GateLayer, Mount, Then},
    headers::HeaderNames,
    nonce::{ClaimCheck, FreshCheck, Freshness, ReplayGuard},
    rejection::Rejection,
    signature::{
        BodyLimits, CheckedBody, Explain, SignatureCheck, SignatureCheckBuilder,
        SignatureConfigError, TransportProfile,
    },
    user_action::{NoUserAction, UserActionCheck, UserActionVerifier},
};

type Checks<R, G, U> =
    Then<AppCheck<R>, Then<FreshCheck, Then<SignatureCheck, Then<ClaimCheck<G>, U>>>>;

/// The composed check. See the [module](self) for the order.
pub struct Verify<R, G, U = NoUserAction>(Arc<Checks<R, G, U>>);

/// Mounts [all checks](self) in front of a service.
///
/// ```
/// use tower_registration::{VerifyRequest, app::StaticApps, backend::memory::MemoryReplayGuard};
///
/// let verify = VerifyRequest::builder()
///     .apps(StaticApps::default())
///     .replay_guard(MemoryReplayGuard::builder().build().unwrap())
///     .authority("api.example.com")
///     .build();
/// assert!(verify.is_ok());
///
/// let refused = VerifyRequest::builder()
///     .apps(StaticApps::default())
///     .replay_guard(MemoryReplayGuard::builder().build().unwrap())
///     .scheme("no scheme")
///     .build();
/// assert!(refused.is_err());
/// ```
///
/// Without a replay guard there is nothing to build:
///
/// ```compile_fail
/// use tower_registration::{VerifyRequest, app::StaticApps};
///
/// let verify = VerifyRequest::builder().apps(StaticApps::default()).build();
/// ```
pub type VerifyRequest<R, G, U = NoUserAction> = GateLayer<Verify<R, G, U>>;

impl<R, G, U, B> Check<B> for Verify<R, G, U>
where
    Checks<R, G, U>: Check<B>,
{
    type Pending = <Checks<R, G, U> as Check<B>>::Pending;

    fn begin(&self, request: &mut Request<B>) -> Result<Self::Pending, Rejection> {
        self.0.begin(request)
    }

    fn poll(
        &self,
        pending: Pin<&mut Self::Pending>,
        request: &mut Request<B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        self.0.poll(pending, request, cx)
    }
}

impl<R, G, U, B> Mount<B> for Verify<R, G, U> {
    type Body = CheckedBody<B>;

    fn mount(body: B) -> CheckedBody<B> {
        CheckedBody::unread(body)
    }
}

impl<R, G, U> Clone for Verify<R, G, U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R, G, U> fmt::Debug for Verify<R, G, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verify").finish_non_exhaustive()
    }
}

/// Stands where a builder has not been given a part that it needs. It implements none of the
/// traits, so that what is not complete does not compile.
#[derive(Clone, Copy, Debug)]
pub struct NotGiven;

impl GateLayer<Verify<NotGiven, NotGiven>> {
    /// Begins with the defaults; [`apps`](VerifyBuilder::apps) and
    /// [`replay_guard`](VerifyBuilder::replay_guard) have none.
    pub fn builder() -> VerifyBuilder<NotGiven, NotGiven> {
        VerifyBuilder {
            apps: NotGiven,
            guard: NotGiven,
            user_action: NotGiven,
            settings: Settings {
                names: HeaderNames::default(),
                signature: SignatureCheck::builder(),
                freshness: Freshness::default(),
                limits: BodyLimits::default(),
                clock: Arc::new(SystemClock),
            },
        }
    }
}

/// Puts [`VerifyRequest`] together.
#[derive(Clone)]
#[must_use]
pub struct VerifyBuilder<R, G, V = NotGiven> {
    apps: R,
    guard: G,
    user_action: V,
    settings: Settings,
}

#[derive(Clone)]
struct Settings {
    names: HeaderNames,
    signature: SignatureCheckBuilder,
    freshness: Freshness,
    limits: BodyLimits,
    clock: SharedClock,
}

/// Why [`VerifyBuilder::build`] refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Authority, scheme or profiles can't be used.
    #[error(transparent)]
    Signature(#[from] SignatureConfigError),
}

impl<R, G, V> fmt::Debug for VerifyBuilder<R, G, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyBuilder")
            .field("names", &self.settings.names)
            .field("signature", &self.settings.signature)
            .finish_non_exhaustive()
    }
}

impl<R, G, V> VerifyBuilder<R, G, V> {
    /// Where applications are found. Required.
    pub fn apps<R2: AppRegistry>(self, apps: R2) -> VerifyBuilder<R2, G, V> {
        VerifyBuilder {
            apps,
            guard: self.guard,
            user_action: self.user_action,
            settings: self.settings,
        }
    }

    /// What remembers used nonces. Required.
    pub fn replay_guard<G2: ReplayGuard>(self, guard: G2) -> VerifyBuilder<R, G2, V> {
        VerifyBuilder {
            apps: self.apps,
            guard,
            user_action: self.user_action,
            settings: self.settings,
        }
    }

    /// Requires a user action token on every request, last of all. Off by default.
    pub fn user_action<V2: UserActionVerifier>(self, verifier: V2) -> VerifyBuilder<R, G, V2> {
        VerifyBuilder {
            apps: self.apps,
            guard: self.guard,
            user_action: verifier,
            settings: self.settings,
        }
    }

    /// The name under which clients reach this API, as they sign it: `api.example.com`, with the
    /// port where it is not the scheme's own. Once it is set, what `Host` header and URI say about
    /// it refuses nothing: set it where a proxy rewrites either. By default, what the `Host` header
    /// says, else the URI's authority; a request that has neither is refused, and so is one that has
    /// both if they differ in more than case and the [scheme](Self::scheme)'s own port.
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.settings.signature = self.settings.signature.authority(authority);
        self
    }

    /// The scheme under which clients reach this API; `https` by default.
    pub fn scheme(mut self, scheme: impl Into<String>) -> Self {
        self.settings.signature = self.settings.signature.scheme(scheme);
        self
    }

    /// Which forms of the transport headers a signature may cover, tried in this order;
    /// [`TransportProfile::DEFAULT`] by default.
    pub fn transport_profiles(
        mut self,
        profiles: impl IntoIterator<Item = TransportProfile>,
    ) -> Self {
        self.settings.signature = self.settings.signature.transport_profiles(profiles);
        self
    }

    /// Writes down in the log why a signature does not verify, and has clients send secrets in one
    /// more header, to be marked as sensitive by whatever logs outside of the checks: see
    /// [`SignatureCheckBuilder::insecure_explain_signature`]. Off by default.
    pub fn insecure_explain_signature(mut self, explain: Explain) -> Self {
        self.settings.signature = self.settings.signature.insecure_explain_signature(explain);
        self
    }

    /// The window in which a nonce is fresh; 300 s back and 60 s ahead by default.
    pub fn freshness(mut self, freshness: Freshness) -> Self {
        self.settings.freshness = freshness;
        self
    }

    /// How long a body may be that is read for the signature or the user action, and how long it may
    /// take to arrive; 16 KiB and 10 s by default.
    pub fn body_limits(mut self, limits: BodyLimits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// The names of the credential headers; those that begin with `x-dfns-` by default.
    pub fn header_names(mut self, names: HeaderNames) -> Self {
        self.settings.names = names;
        self
    }

    /// Where the time comes from; the system's clock by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }
}

impl<R: AppRegistry, G: ReplayGuard, V> VerifyBuilder<R, G, V> {
    fn build_with<U>(
        self,
        user_action: impl FnOnce(V, HeaderNames, BodyLimits) -> U,
    ) -> Result<VerifyRequest<R, G, U>, VerifyError> {
        let Settings {
            names,
            signature,
            freshness,
            limits,
            clock,
        } = self.settings;
        let signature = signature
            .header_names(names.clone())
            .body_limits(limits)
            .build()?;
        let checks = Then::new(
            AppCheck::new(self.apps, names.clone(), Arc::clone(&clock)),
            Then::new(
                FreshCheck::new(names.clone(), freshness, Arc::clone(&clock)),
                Then::new(
                    signature,
                    Then::new(
                        ClaimCheck::new(self.guard, clock),
                        user_action(self.user_action, names, limits),
                    ),
                ),
            ),
        );
        Ok(GateLayer::from_check(Verify(Arc::new(checks))))
    }
}

// Bounds on the methods instead of the blocks: so the compiler says which part is not given, and by
// which method to give it.
impl<R, G> VerifyBuilder<R, G, NotGiven> {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If a setting can't be served; the error says which, and what it takes.
    pub fn build(self) -> Result<VerifyRequest<R, G>, VerifyError>
    where
        R: AppRegistry,
        G: ReplayGuard,
    {
        self.build_with(|_, _, _| NoUserAction)
    }
}

impl<R, G, V: UserActionVerifier> VerifyBuilder<R, G, V> {
    /// The layer, with the check of user actions.
    ///
    /// # Errors
    ///
    /// If a setting can't be served; the error says which, and what it takes.
    pub fn build(self) -> Result<VerifyRequest<R, G, UserActionCheck<V>>, VerifyError>
    where
        R: AppRegistry,
        G: ReplayGuard,
    {
        self.build_with(UserActionCheck::with)
    }
}
