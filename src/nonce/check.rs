//! The two halves of the nonce check: fresh, before anything dear; claimed, last of all.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use chrono::{DateTime, Utc};
use http::Request;
use pin_project::pin_project;

use super::{
    Claim, ClaimOutcome, FreshNonce, Freshness, Nonce, ReplayGuard, freshness::signed_seconds,
};
use crate::{
    app::{AppId, AppKind},
    clock::{Clock, SharedClock, SystemClock},
    gate::{Check, GateLayer, Mount, Then},
    headers::{Credential, HeaderNames},
    measure::ClaimTimer,
    rejection::{Rejection, RejectionKind},
    trace,
    verified::Verified,
};

/// Who misses a layer.
const NAME: &str = "NonceLayer";

/// Reads the nonce and requires it to be fresh. Stores nothing.
#[derive(Clone)]
pub struct FreshCheck(Arc<FreshSettings>);

#[derive(Clone)]
struct FreshSettings {
    names: HeaderNames,
    freshness: Freshness,
    clock: SharedClock,
}

impl FreshCheck {
    pub(crate) fn new(names: HeaderNames, freshness: Freshness, clock: SharedClock) -> Self {
        Self(Arc::new(FreshSettings {
            names,
            freshness,
            clock,
        }))
    }

    fn verdict<B>(&self, request: &Request<B>) -> Result<FreshNonce, Rejection> {
        let settings = &*self.0;
        let invalid = |reason: String| Rejection::new(RejectionKind::NonceInvalid, reason);
        let value = settings
            .names
            .require_bytes(request.headers(), Credential::Nonce)?;
        let nonce = Nonce::decode_bytes(value).map_err(|error| invalid(error.to_string()))?;
        let now = settings.clock.now();
        let freshness = settings.freshness;
        freshness
            .check(nonce, now)
            .map_err(|error| invalid(freshness.describe(error, nonce.datetime(), now)))
    }
}

impl<B> Check<B> for FreshCheck {
    type Pending = ();

    fn begin(&self, _: &mut Request<B>) -> Result<(), Rejection> {
        Ok(())
    }

    /// Here and not in `begin`, which is asked when the service is called, any time before.
    fn poll(
        &self,
        _: Pin<&mut ()>,
        request: &mut Request<B>,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        let nonce = self.verdict(request)?;
        let verified = Verified::of_mut(request.extensions_mut());
        verified.nonce = Some(nonce);
        verified.claimed = false;
        Poll::Ready(Ok(()))
    }
}

/// Whose nonces these are, and what must have been proved before one is used up.
#[derive(Clone, Debug)]
enum Claimant {
    /// A verified application; if it is a server-side one, its signature too.
    SignedApp,
    /// A verified application, whatever was signed.
    App,
    /// Anybody: all callers share one name.
    Anybody(AppId),
}

/// Uses the nonce up. Requires the proofs of the checks before it.
#[derive(Debug)]
pub struct ClaimCheck<G> {
    guard: Arc<G>,
    clock: ClockSetting,
    claimant: Claimant,
}

impl<G> Clone for ClaimCheck<G> {
    fn clone(&self) -> Self {
        Self {
            guard: Arc::clone(&self.guard),
            clock: self.clock.clone(),
            claimant: self.claimant.clone(),
        }
    }
}

#[derive(Clone)]
struct ClockSetting(SharedClock);

impl std::fmt::Debug for ClockSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl std::fmt::Debug for FreshCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FreshCheck")
            .field("names", &self.0.names)
            .field("freshness", &self.0.freshness)
            .finish_non_exhaustive()
    }
}

impl<G> ClaimCheck<G> {
    pub(crate) fn new(guard: G, clock: SharedClock) -> Self {
        Self {
            guard: Arc::new(guard),
            clock: ClockSetting(clock),
            claimant: Claimant::SignedApp,
        }
    }
}

/// A claim under way.
#[pin_project]
#[derive(Debug)]
pub struct ClaimPending<F> {
    #[pin]
    claim: F,
    timer: ClaimTimer,
}

impl<G: ReplayGuard, B> Check<B> for ClaimCheck<G> {
    type Pending = ClaimPending<G::Future>;

    fn begin(&self, request: &mut Request<B>) -> Result<Self::Pending, Rejection> {
        let verified = Verified::of(request.extensions());
        let app = self.claimant.identify(verified)?;
        let nonce = verified
            .nonce
            .as_ref()
            .ok_or_else(|| Rejection::missing_layer(NAME, "FreshCheck"))?;
        let now = self.now(verified, nonce);
        if !nonce.is_fresh_at(now) {
            return Err(Rejection::new(
                RejectionKind::NonceInvalid,
                format!(
                    "nonce became stale while the request was checked: it was fresh until {} s from \
                     this clock; send the body faster, or make the nonce later",
                    signed_seconds(nonce.fresh_until().signed_duration_since(now))
                ),
            ));
        }
        let (id, issued_at) = (nonce.id(), nonce.nonce().datetime());
        let claim = Claim::new(app, id, issued_at, nonce.fresh_until(), now);
        // Before the claim: a guard in memory makes it at once.
        let timer = ClaimTimer::start();
        Ok(ClaimPending {
            claim: self.guard.claim(claim),
            timer,
        })
    }

    fn poll(
        &self,
        pending: Pin<&mut Self::Pending>,
        request: &mut Request<B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        let refuse = |kind, reason: &'static str| Err(Rejection::new(kind, reason));
        let pending = pending.project();
        let outcome = ready!(pending.claim.poll(cx));
        pending.timer.stop(outcome.as_ref().ok().copied());
        Poll::Ready(match outcome {
            Ok(ClaimOutcome::Claimed) => {
                let verified = Verified::of_mut(request.extensions_mut());
                verified.claimed = true;
                let app = verified.app().map(|app| app.application().id());
                trace::debug!(target: trace::VERIFY, app = app.map_or("", AppId::as_str), outcome = "Verified", "request verified");
                Ok(())
            }
            Ok(ClaimOutcome::Replayed) => refuse(
                RejectionKind::NonceReplayed,
                "nonce has been used before: make a new random value for each request, and for each \
                 try of it",
            ),
            Ok(ClaimOutcome::Unknowable) => refuse(
                RejectionKind::NonceInvalid,
                "nonce dates from before what the replay guard remembers, as after a restart: make a new \
                 nonce with the present time",
            ),
            Err(error) => Err(Rejection::unavailable("replay guard failed", error)),
        })
    }
}

impl<G, B> Mount<B> for ClaimCheck<G> {
    type Body = B;

    fn mount(body: B) -> B {
        body
    }
}

impl<G> ClaimCheck<G> {
    /// The body that a signature was verified over may have taken seconds to arrive: what was fresh
    /// then may be stale now. Without one, nothing has been waited for since: [`FreshCheck`] and
    /// this check are asked in one poll.
    fn now(&self, verified: &Verified, nonce: &FreshNonce) -> DateTime<Utc> {
        match verified.signature() {
            Some(_) => self.clock.0.now(),
            None => nonce.checked_at(),
        }
    }
}

impl Claimant {
    /// Who uses a nonce up, if all that has to be proved of them has been.
    fn identify<'a>(&'a self, verified: &'a Verified) -> Result<&'a AppId, Rejection> {
        let needs_signature = match self {
            Self::Anybody(name) => return Ok(name),
            Self::App => false,
            Self::SignedApp => true,
        };
        let app = verified
            .app()
            .ok_or_else(|| Rejection::missing_layer(NAME, "AppLayer"))?
            .application();
        let has_to_sign = needs_signature && app.kind() == AppKind::ServerSideApplication;
        if has_to_sign && verified.signature().is_none() {
            return Err(Rejection::missing_layer(NAME, "ApiSignatureLayer"));
        }
        Ok(app.id())
    }
}

/// Nonce read, fresh and claimed, in one check.
pub type NonceCheck<G> = Then<FreshCheck, ClaimCheck<G>>;

/// Mounts the nonce check by itself: inside of [`AppLayer`](crate::app::AppLayer) and
/// [`ApiSignatureLayer`](crate::signature::ApiSignatureLayer), since a nonce is used up only for
/// who has proved to be its sender. A request without those proofs is refused with 500.
///
/// [`VerifyRequest`](crate::VerifyRequest) does the same in the safe order by itself, and looks at
/// the nonce's freshness before it reads the body.
pub type NonceLayer<G> = GateLayer<NonceCheck<G>>;

impl<G: ReplayGuard> GateLayer<NonceCheck<G>> {
    /// Claims nonces with `guard`; header `x-dfns-nonce`, window of 300 s back and 60 s ahead.
    pub fn new(guard: G) -> Self {
        let clock: SharedClock = Arc::new(SystemClock);
        Self::from_check(Then::new(
            FreshCheck::new(
                HeaderNames::default(),
                Freshness::default(),
                Arc::clone(&clock),
            ),
            ClaimCheck::new(guard, clock),
        ))
    }

    /// Reads the nonce from another header.
    pub fn header_names(self, names: HeaderNames) -> Self {
        self.set_fresh(|settings| settings.names = names)
    }

    /// Accepts nonces in another window.
    pub fn freshness(self, freshness: Freshness) -> Self {
        self.set_fresh(|settings| settings.freshness = freshness)
    }

    /// Reads the time from another clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        let clock: SharedClock = Arc::new(clock);
        self.check_mut().second_mut().clock = ClockSetting(Arc::clone(&clock));
        self.set_fresh(|settings| settings.clock = clock)
    }

    /// Claims nonces of server-side applications whose signature nobody has verified.
    ///
    /// Whoever reads a request on its way can then use up its nonce with another body. Safe only
    /// where something outside of this crate verifies the whole request.
    pub fn insecure_without_signature(mut self) -> Self {
        self.check_mut().second_mut().claimant = Claimant::App;
        self
    }

    /// Claims nonces of callers whom nobody has identified: all of them share one set of nonces,
    /// and one share of the guard's room.
    ///
    /// Any stranger can then fill the guard. Safe only behind other authentication.
    ///
    /// # Panics
    ///
    /// Never: the shared name is a valid application id.
    pub fn insecure_without_applications(mut self) -> Self {
        let name = AppId::new("(no application)").expect("visible ASCII");
        self.check_mut().second_mut().claimant = Claimant::Anybody(name);
        self
    }

    fn set_fresh(mut self, set: impl FnOnce(&mut FreshSettings)) -> Self {
        set(Arc::make_mut(&mut self.check_mut().first_mut().0));
        self
    }
}
