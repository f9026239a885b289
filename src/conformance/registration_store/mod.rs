//! The contract of a [`RegistrationStore`].
//!
//! Sentence 3, what a store promises to survive, is each store's own, and so are its tests.

mod resend;
mod round_trip;
mod swap;

use std::{fmt, future::Future};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

pub use self::{
    resend::a_thousand_resends_at_once_give_one_code_one_mail_and_equal_answers,
    round_trip::{
        an_unknown_user_is_none_and_stays_so, every_field_comes_back, extreme_values_come_back,
        users_are_told_apart_byte_for_byte, what_one_handle_wrote_another_reads,
    },
    swap::{
        a_dropped_swap_happened_or_not, a_load_sees_no_half_of_a_swap,
        a_swap_under_another_version_changes_nothing, of_many_swaps_at_once_one_wins,
        swaps_at_once_lose_no_change,
    },
};
use super::{
    Breaches, Subject,
    breach::{Answered, Kept, ensure},
};
use crate::registration::{
    Budgets, CurrentCode, Lease, OrgId, OwedMail, Registration, RegistrationStatus,
    RegistrationStore, UserId, UserKind, Username,
};

/// Opens stores to be put to the test, and enters users into them, which the port has no word for.
#[diagnostic::on_unimplemented(
    message = "`{Self}` opens no registration stores to test",
    note = "implement `tower_registration::conformance::registration_store::StoreHarness`"
)]
pub trait StoreHarness {
    /// What is put to the test.
    type Store: RegistrationStore;
    /// Why a user could not be entered.
    type Error: fmt::Debug;

    /// A store without users.
    fn fresh(&self) -> impl Future<Output = Subject<Self::Store>>;

    /// Enters a user that is not there yet: the registration as it is, its version included.
    fn enter(
        &self,
        store: &Self::Store,
        user: &UserId,
        registration: &Registration,
    ) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Runs every rule.
///
/// # Errors
///
/// All rules that are broken.
pub async fn all(harness: &impl StoreHarness) -> Result<(), Breaches> {
    crate::__conformance_rules! { registration_store __conformance_all [harness] }
}

/// Enters a user, which has to succeed.
pub(super) async fn enter<H: StoreHarness>(
    harness: &H,
    subject: &Subject<H::Store>,
    user: &UserId,
    registration: &Registration,
) -> Kept {
    let entered = harness.enter(&subject.one, user, registration).await;
    entered.map_err(|error| super::Breach::new(format!("a user was not entered: {error:?}")))
}

pub(super) async fn load<S: RegistrationStore>(
    store: &S,
    user: &UserId,
) -> Kept<Option<Registration>> {
    store.load(user).await.answered("a load")
}

/// The user's registration, which has to be there.
pub(super) async fn stored<S: RegistrationStore>(store: &S, user: &UserId) -> Kept<Registration> {
    let loaded = load(store, user).await?;
    loaded.ok_or_else(|| super::Breach::new("a user who was entered is unknown"))
}

pub(super) async fn replace<S: RegistrationStore>(
    store: &S,
    user: &UserId,
    expected_version: u64,
    new: &Registration,
) -> Kept<bool> {
    let replaced = store.replace(user, expected_version, new).await;
    replaced.answered("a swap")
}

/// A swap that nothing is in the way of.
pub(super) async fn must_replace<S: RegistrationStore>(
    store: &S,
    user: &UserId,
    new: &Registration,
) -> Kept {
    let replaced = replace(store, user, new.version - 1, new).await?;
    ensure!(
        replaced,
        "a swap under the stored version was lost, and nobody else swapped"
    );
    Ok(())
}

pub(super) fn user(org_id: &str, username: &str) -> Kept<UserId> {
    Ok(UserId {
        org_id: OrgId::new(org_id).answered("an organisation's id")?,
        username: Username::new(username).answered("a username")?,
    })
}

pub(super) fn jane() -> Kept<UserId> {
    user("org", "jane@example.co")
}

pub(super) fn pending() -> Registration {
    Registration::pending(UserKind::EndUser, "jane@example.co")
}

/// So many microseconds after an instant of 2027.
pub(super) fn at(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default() + TimeDelta::microseconds(micros)
}

/// A registration that says by every field that it is change number `number`.
pub(super) fn marked(number: u64, version: u64) -> Kept<Registration> {
    let micros = i64::try_from(number).answered("a number")?;
    let digest = format!(
        "{:0>43}",
        char::from(b'0' + u8::try_from(number % 3).unwrap_or(0) * 4)
    );
    let sealed = format!("c2VhbGVk{:04}", number % 10_000);
    let mut registration = pending().with_locale(format!("en-x-{number}"));
    registration.status = RegistrationStatus::Pending;
    registration.address = format!("number{number}@example.co");
    registration.generation = number;
    registration.version = version;
    registration.code = Some(CurrentCode {
        digest: serde_json::from_value(json!(digest)).answered("a digest")?,
        issued_at: at(micros),
        expires_at: at(micros + 1),
    });
    registration.budgets = Budgets {
        hour: Some(at(micros + 2)),
        day: Some(at(micros + 3)),
        guesses: Some(at(micros + 4)),
    };
    registration.owed = Some(OwedMail {
        sealed: serde_json::from_value(json!(sealed)).answered("a sealed code")?,
        attempts: u32::try_from(number % 1_000).unwrap_or(0),
        next_at: at(micros + 5),
    });
    registration.lease = Some(Lease {
        token: version,
        until: at(micros + 6),
    });
    Ok(registration)
}
