//! The step after the mail: a user shows the code.

use super::{
    Redeem, Refusal, RegistrationCode, RegistrationStore, Registrations, UserId, policy,
    swap::{Step, SwapError, swap},
};
use crate::{measure, trace};

/// What became of a code that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RedeemOutcome {
    /// It was the live one, and is used up: the user has completed registration.
    Redeemed,
    /// It was not. The guess is charged.
    WrongGuess,
    /// It was not looked at.
    Refused(Refusal),
    /// There is no such user.
    UnknownUser,
}

impl<S: RegistrationStore> Registrations<S> {
    /// Completes the user's registration if `code` is the live one; white space and hyphens in it
    /// don't matter. A text that is no code is a wrong guess.
    ///
    /// Tell the caller one thing for all outcomes but [`RedeemOutcome::Redeemed`]: the rest says
    /// who has an account.
    ///
    /// # Errors
    ///
    /// If the store fails, or the registration keeps changing. The code may have been used up.
    pub async fn redeem(
        &self,
        user: &UserId,
        code: &str,
    ) -> Result<RedeemOutcome, SwapError<S::Error>> {
        let code: Option<RegistrationCode> = code.parse().ok();
        let outcome = swap(&*self.store, user, |current| {
            let generation = current.map_or(0, |current| current.generation);
            let guess = code
                .as_ref()
                .map(|code| self.key.digest(user, generation, code));
            let Some(current) = current else {
                return Ok(Step::Keep(RedeemOutcome::UnknownUser));
            };
            let now = self.clock.now();
            Ok(
                match policy::redeem(current, now, &self.policy, guess.as_ref()) {
                    Redeem::Redeemed(new) => Step::Swap(new, RedeemOutcome::Redeemed),
                    Redeem::WrongGuess(new) => Step::Swap(new, RedeemOutcome::WrongGuess),
                    Redeem::Refused(refusal) => Step::Keep(RedeemOutcome::Refused(refusal)),
                },
            )
        })
        .await
        .inspect_err(|_| measure::redeemed(None))?;
        measure::redeemed(Some(outcome));
        trace::debug!(target: trace::RESEND, org = %user.org_id, outcome = ?outcome, "decided about a code shown");
        Ok(outcome)
    }
}
