//! Load, decide, compare-and-swap, and start over where somebody else was faster: the one loop
//! through which this crate changes a registration.

use std::error::Error;

use super::{GeneratorFailed, Registration, RegistrationStore, UserId};

/// How often a change starts over before it is given up. Each lost swap means that somebody else's
/// change went through, and a user's limits allow for few of those: this many in a row are the
/// sign of a store that does not keep its contract.
pub const MAX_SWAPS: u32 = 100;

/// Why a registration could not be read or changed. Nothing was decided; where the store failed,
/// the change may have happened all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SwapError<E: Error + 'static> {
    /// The store gave no answer.
    #[error("the registration store failed")]
    Store(#[source] E),
    /// Every one of [`MAX_SWAPS`] swaps was lost.
    #[error("the registration changed {MAX_SWAPS} times while it was to be changed")]
    Contended,
    /// No code could be drawn.
    #[error(transparent)]
    Generator(#[from] GeneratorFailed),
}

/// What was decided about a registration.
#[expect(
    clippy::large_enum_variant,
    reason = "lives for one swap, and is never kept in numbers"
)]
pub(crate) enum Step<T> {
    /// Nothing changes.
    Keep(T),
    /// The registration becomes this one; if it does, the outcome is `T`.
    Swap(Registration, T),
}

/// Changes a user's registration as `decide` says, which sees `None` for an unknown user. It is
/// asked anew after each lost swap.
pub(crate) async fn swap<S, T, D>(
    store: &S,
    user: &UserId,
    mut decide: D,
) -> Result<T, SwapError<S::Error>>
where
    S: RegistrationStore,
    T: Send,
    D: FnMut(Option<&Registration>) -> Result<Step<T>, GeneratorFailed> + Send,
{
    for _ in 0..MAX_SWAPS {
        let current = store.load(user).await.map_err(SwapError::Store)?;
        let (new, outcome) = match (decide(current.as_ref())?, &current) {
            (Step::Swap(new, outcome), Some(_)) => (new, outcome),
            // A user whom the store does not know can't be changed.
            (Step::Keep(outcome) | Step::Swap(_, outcome), _) => return Ok(outcome),
        };
        let expected = current.map_or(0, |current| current.version);
        let swapped = store.replace(user, expected, &new).await;
        if swapped.map_err(SwapError::Store)? {
            return Ok(outcome);
        }
    }
    Err(SwapError::Contended)
}
