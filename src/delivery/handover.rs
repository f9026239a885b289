//! The port through which the endpoint leaves a mail to be delivered.

use crate::registration::UserId;

/// Takes on the delivery of mails: a [`Courier`](super::Courier), or a dispatcher's
/// [`Wake`](super::Wake).
///
/// Room is reserved before a code is made. Where there is none, nothing has happened, and the
/// caller may try again later; once there is a code, its mail can't be turned away.
#[diagnostic::on_unimplemented(
    message = "`{Self}` takes no mails over",
    note = "use a `tower_registration::delivery::Courier`, or `wake()` of a `tower_registration::delivery::Dispatcher`"
)]
pub trait Handover: Clone + Send + Sync + 'static {
    /// Room for one mail.
    type Permit: Permit;

    /// Reserves room for one mail.
    ///
    /// # Errors
    ///
    /// If there is none.
    fn reserve(&self) -> Result<Self::Permit, NoRoom>;
}

/// Room for one mail, reserved by [`Handover::reserve`]. Dropped, it is free again.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no room for a mail",
    note = "implement `tower_registration::delivery::Permit` for the `Permit` of your `tower_registration::delivery::Handover`"
)]
pub trait Permit: Send + 'static {
    /// Leaves the mail that `user` is owed to be delivered. Returns at once.
    fn hand_over(self, user: UserId);
}

/// Why no room could be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NoRoom {
    /// As many mails are waiting as may.
    #[error("the queue of mails is full")]
    Full,
    /// The process is stopping.
    #[error("the queue of mails is closed")]
    Closed,
}
