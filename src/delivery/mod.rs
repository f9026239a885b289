//! From an owed mail to a sent one.
//!
//! The registration is its own outbox: the swap that makes a code owes its mail. Delivery is what
//! happens to that debt afterwards, and no request waits for it.
//!
//! 1. A [`Deliverer`] leases the owed mail, sends it within its time, and settles. The lease is
//!    why a user never has two mails in flight, however many senders there are.
//! 2. A transient failure, a panic and a send that takes too long are tried again, at growing
//!    intervals ([`backoff`]), until the policy's tries are used up or the code has expired. A
//!    permanent failure is the end of the mail.
//! 3. A mail may go out twice where a sender died, or the store failed, between sending and
//!    settling. Both have one message id.
//! 4. With a plain store, a [`Courier`] delivers in this process. What it has not delivered when
//!    the process ends is not sent any more: the user asks again, and gets another code.
//! 5. With a store that is an [`Outbox`](crate::registration::Outbox), [`Dispatcher`]s deliver
//!    whatever is owed, here or in other processes. A crash loses nothing.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use tower_registration::{
//!     backend::memory::{MemoryMailer, MemoryRegistrations},
//!     delivery::{Deliverer, Delivery},
//!     registration::{
//!         OrgId, Registration, RegistrationKey, Registrations, UserId, UserKind, Username,
//!     },
//! };
//!
//! let jane = UserId {
//!     org_id: OrgId::new("example-org-id").unwrap(),
//!     username: Username::new("jane@example.co").unwrap(),
//! };
//! let store = MemoryRegistrations::new();
//! store.insert_if_absent(&jane, Registration::pending(UserKind::EndUser, "jane@example.co"));
//! let registrations = Registrations::new(store, RegistrationKey::generate().unwrap());
//! let mailer = MemoryMailer::new();
//! let deliverer = Deliverer::new(registrations.clone(), mailer.clone());
//!
//! registrations.resend(&jane, |_| true).await.unwrap();
//! assert_eq!(deliverer.deliver(&jane).await.unwrap(), Delivery::Delivered);
//! assert_eq!(deliverer.deliver(&jane).await.unwrap(), Delivery::NothingOwed);
//! assert_eq!(mailer.sent().len(), 1);
//! # });
//! ```

pub mod backoff;
mod courier;
mod deliver;
mod dispatcher;
mod event;
mod handover;
mod send;
mod timing;

pub use backoff::Backoff;
pub use courier::{Courier, CourierLimits, CourierPermit, Drained};
pub use deliver::Deliverer;
pub use dispatcher::{
    DEFAULT_POLL_INTERVAL, Dispatcher, DispatcherHandle, DispatcherLimits, Wake, WakePermit,
};
pub use event::{Delivery, DeliveryEvent, Failure, GiveUp};
pub use handover::{Handover, NoRoom, Permit};
pub use timing::{DEFAULT_LEASE, DEFAULT_SEND_TIMEOUT, Timing, TimingError};

/// Mails sent at once by one [`Courier`] or [`Dispatcher`], unless set otherwise.
pub const DEFAULT_CONCURRENCY: usize = 8;
