//! What becomes of a mail, as values for callers and observers.

use chrono::{DateTime, Utc};

use crate::registration::OrgId;

/// What became of a user's owed mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// It is in the hands of somebody who will deliver it.
    Delivered,
    /// There is no such user, or no mail owed.
    NothingOwed,
    /// The lease ended before the send could be settled, and somebody else answers for the user's
    /// mail now.
    Superseded,
    /// It is still owed: not yet due, in somebody else's hands, or it failed and will be tried again.
    /// At this time.
    Later(DateTime<Utc>),
    /// It was not tried, since its code is sealed with another key than this sender's. It is still
    /// owed, for who has the right key, and will be looked at again at this time.
    Unopened(DateTime<Utc>),
    /// It will not be sent. The user has to ask for another code.
    GaveUp(GiveUp),
}

/// Why a mail will not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GiveUp {
    /// The mailer said that no try can succeed.
    Permanent,
    /// The policy's tries are used up, or the code would have expired at the next.
    TriesSpent,
    /// The code has expired, or the user has registered or been switched off since.
    Moot,
    /// The sealed code does not open, since it was sealed with another key, and it will have expired
    /// before another sender can look at it.
    SealBroken,
}

/// Why one try at a mail failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The mailer said that another try may succeed.
    Transient,
    /// The mailer said that no other try can.
    Permanent,
    /// The mailer did not answer within the send timeout.
    TimedOut,
    /// The mailer panicked.
    Panicked,
}

/// One try at a mail, for metrics and audit. It names neither user nor code.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeliveryEvent {
    /// The user's organisation.
    pub org_id: OrgId,
    /// The generation of the code in the mail.
    pub generation: u64,
    /// Which try this was, from 1 on.
    pub attempt: u32,
    /// Why the mailer did not take the mail, if it was asked to and did not.
    pub failure: Option<Failure>,
    /// What became of the mail.
    pub outcome: Delivery,
}
