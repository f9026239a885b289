//! Users in rows: entered once, and unreadable ones passed over.

use tower_registration::{
    backend::postgres::PostgresError,
    registration::{Outbox, RegistrationStatus, RegistrationStore},
};

use super::{at, enter, owing, pending, user};
use crate::services::in_schema;

#[tokio::test]
async fn a_user_that_is_there_is_not_entered_again() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        let store = backend.registrations();
        enter(&backend, "jane", &pending()).await;
        let other = pending().with_status(RegistrationStatus::Registered);
        assert!(!store.insert_if_absent(&user("jane"), &other).await.unwrap());
        assert_eq!(store.load(&user("jane")).await.unwrap(), Some(pending()));
        backend.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_row_that_can_not_be_read_keeps_no_other_mail_from_going_out() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        let store = backend.registrations();
        let names = ["text", "list", "empty", "skewed", "last", "status", "jane"];
        for (due, name) in (0..).zip(names) {
            enter(&backend, name, &owing(at(due))).await;
        }
        for set in [
            "registration = '\"text\"' WHERE username LIKE 'text%'",
            "registration = '[1]' WHERE username LIKE 'list%'",
            "registration = '{}' WHERE username LIKE 'empty%'",
            "version = 9 WHERE username LIKE 'skewed%'",
            "version = 9223372036854775807, registration = \
             jsonb_set(registration, '{version}', '9223372036854775807') \
             WHERE username LIKE 'last%'",
            "registration = jsonb_set(registration, '{status}', '\"odd\"') \
             WHERE username LIKE 'status%'",
        ] {
            let update = format!("UPDATE {{schema}}.tower_registration_user SET {set}");
            place.run(&update).await;
        }
        let unreadable = names.len() - 1;
        let none = store.lease_due(at(9), at(60), unreadable).await.unwrap();
        assert!(none.is_empty(), "{none:?}");
        let leased = store.lease_due(at(9), at(60), 3).await.unwrap();
        assert_eq!(leased.len(), 1);
        assert_eq!(leased[0].user, user("jane"));
        let broken = store.load(&user("text")).await;
        let unreadable = matches!(broken, Err(PostgresError::Unreadable(_)));
        assert!(unreadable, "{broken:?}");
        backend.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_row_that_can_not_be_read_counts_as_owed_and_hides_no_age() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        for (name, registration) in [
            ("text", r#""text""#),
            ("odd", r#"{"code":{"issuedAt":"0 is none"}}"#),
            ("number", r#"{"code":{"issuedAt":7}}"#),
            ("jane", r#"{"code":{"issuedAt":"2027-01-15T08:00:01Z"}}"#),
        ] {
            enter(&backend, name, &owing(at(0))).await;
            let set = format!("registration = '{registration}' WHERE username LIKE '{name}%'");
            let update = format!("UPDATE {{schema}}.tower_registration_user SET {set}");
            place.run(&update).await;
        }
        let backlog = backend.registrations().backlog().await.unwrap().unwrap();
        assert_eq!((backlog.owed, backlog.oldest), (4, Some(at(1))));
        backend.close().await;
    })
    .await;
}
