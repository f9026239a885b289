//! The contract of a [`Mailer`]. What a rule can see of it depends on the harness: what was
//! delivered, and what faults it can bring about.

use std::{
    future::{Future, ready},
    time::Duration,
};

use chrono::{DateTime, TimeDelta};
use tokio::time::{sleep, timeout};

use super::{
    Breach, Breaches, Subject,
    breach::{Answered, Kept, ensure},
};
use crate::{
    mail::{MailError, Mailer, RegistrationEmail},
    registration::{OrgId, Username},
};

const CODE: &str = "1234-5678-9012-3456";
const ADDRESS: &str = "jane@example.co";
/// How long a send to a silent server goes on before it is dropped.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long a dropped send has to show that it went on.
const AFTERMATH: Duration = Duration::from_millis(300);

/// Opens mailers to be put to the test, and looks at where their mails go.
#[diagnostic::on_unimplemented(
    message = "`{Self}` opens no mailers to test",
    note = "implement `tower_registration::conformance::mailer::MailerHarness`"
)]
pub trait MailerHarness {
    /// What is put to the test.
    type Mailer: Mailer;

    /// A mailer whose mails arrive.
    fn fresh(&self) -> impl Future<Output = Subject<Self::Mailer>>;

    /// What has arrived through this mailer, or one of the faulty ones, in any order. Waits for
    /// what is under way.
    fn delivered(&self, mailer: &Self::Mailer) -> impl Future<Output = Vec<DeliveredMail>>;

    /// A mailer that meets a fault; `None` where the harness can't bring it about, and then the
    /// rules leave it out.
    fn faulty(&self, fault: Fault) -> impl Future<Output = Option<Subject<Self::Mailer>>> {
        let _ = fault;
        ready(None)
    }
}

/// A mail that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveredMail {
    /// Everybody whom it went to, as the envelope or the headers have it.
    pub recipients: Vec<String>,
    /// Its `Message-ID`, or what stands for it.
    pub message_id: String,
    /// What is to be read in it, decoded.
    pub text: String,
}

impl DeliveredMail {
    /// A mail to `recipients`, in which `text` is to be read.
    #[must_use]
    pub fn new(
        recipients: Vec<String>,
        message_id: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            recipients,
            message_id: message_id.into(),
            text: text.into(),
        }
    }
}

/// What may be wrong between a mailer and its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody answers at the server's address.
    Unreachable,
    /// The server says that it can't take the mail for now.
    Busy,
    /// The server says that it will never take the mail.
    Refused,
    /// The server takes the connection and says nothing more, or nothing after the mail.
    Silent,
}

/// Runs every rule.
///
/// # Errors
///
/// All rules that are broken.
pub async fn all(harness: &impl MailerHarness) -> Result<(), Breaches> {
    crate::__conformance_rules! { mailer __conformance_all [harness] }
}

/// The mail with this number.
fn mail(to: &str, number: u8) -> Kept<RegistrationEmail> {
    let issued_at = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
    Ok(RegistrationEmail {
        to: to.to_owned(),
        username: Username::new(ADDRESS).answered("a username")?,
        org_id: OrgId::new("org").answered("an organisation's id")?,
        code: CODE.parse().answered("a code")?,
        locale: None,
        issued_at,
        expires_at: issued_at + TimeDelta::hours(4),
        sent_at: issued_at,
        message_id: format!("{number:032x}"),
    })
}

/// Sentence 1: what was answered with `Ok` arrives, once, with its code, at its address.
///
/// # Errors
///
/// If the rule is broken.
pub async fn what_was_accepted_is_delivered_with_its_code(harness: &impl MailerHarness) -> Kept {
    let subject = harness.fresh().await;
    subject
        .one
        .send(&mail(ADDRESS, 1)?)
        .await
        .answered("a send")?;
    let delivered = harness.delivered(&subject.one).await;
    let [mail] = &delivered[..] else {
        let arrived = delivered.len();
        return Err(Breach::new(format!(
            "{arrived} mails arrived of one accepted"
        )));
    };
    ensure!(
        mail.recipients == [ADDRESS],
        "the mail went to {:?}",
        mail.recipients
    );
    ensure!(mail.text.contains(CODE), "the mail has no code in it");
    Ok(())
}

/// Sentences 1 and 2: an address that would begin another header, or is more than one, is refused
/// for good, or is taken for the one address that it is; nobody else gets the mail.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_hostile_address_reaches_nobody_else(harness: &impl MailerHarness) -> Kept {
    for hostile in [
        "jane@example.co\r\nBcc: all@example.co",
        "jane@example.co\nBcc: all@example.co",
        "jane@example.co\r\n\r\nbody",
        "jane@example.co, all@example.co",
        "jane@example.co;all@example.co",
        "Jane <jane@example.co>",
        "jane@example.co> RCPT TO:<all@example.co",
        "jane",
        "@",
        "",
    ] {
        let subject = harness.fresh().await;
        let sent = subject.one.send(&mail(hostile, 1)?).await;
        if let Err(error) = &sent {
            ensure!(!error.is_transient(), "{hostile:?} would be tried again");
        }
        for mail in harness.delivered(&subject.one).await {
            ensure!(
                sent.is_ok() && mail.recipients == [hostile],
                "a mail to {hostile:?} went to {:?}",
                mail.recipients
            );
        }
    }
    Ok(())
}

/// Sentence 2: a server that is not there or is busy may be tried again; one that refuses the mail
/// need not be.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_failure_says_whether_another_try_may_succeed(harness: &impl MailerHarness) -> Kept {
    let faults = [
        (Fault::Unreachable, true),
        (Fault::Busy, true),
        (Fault::Refused, false),
    ];
    for (fault, transient) in faults {
        let Some(subject) = harness.faulty(fault).await else {
            continue;
        };
        let sent = subject.one.send(&mail(ADDRESS, 1)?).await;
        let Err(error) = sent else {
            return Err(Breach::new(format!("{fault:?}, and the mail was accepted")));
        };
        ensure!(
            error.is_transient() == transient,
            "{fault:?}, and the error says that it is {}transient",
            if transient { "not " } else { "" }
        );
    }
    Ok(())
}

/// Sentence 2, as the log needs it: [`MailError::reason`] has neither the address nor the code.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_reason_names_neither_user_nor_code(harness: &impl MailerHarness) -> Kept {
    let mut subjects = vec![(harness.fresh().await, "jane.example.co")];
    for fault in [Fault::Unreachable, Fault::Busy, Fault::Refused] {
        subjects.extend(
            harness
                .faulty(fault)
                .await
                .map(|subject| (subject, ADDRESS)),
        );
    }
    for (subject, address) in subjects {
        if let Err(error) = subject.one.send(&mail(address, 1)?).await {
            let reason = error.reason();
            ensure!(
                !reason.contains("jane"),
                "the address is in the reason {reason:?}"
            );
            ensure!(
                !reason.contains(&CODE[..9]),
                "the code is in the reason {reason:?}"
            );
        }
    }
    Ok(())
}

/// Sentence 3: what is sent again arrives under the same id, and another mail under another.
///
/// # Errors
///
/// If the rule is broken.
pub async fn tries_at_one_mail_share_their_message_id(harness: &impl MailerHarness) -> Kept {
    let subject = harness.fresh().await;
    for number in [1, 1, 2] {
        let sent = subject.one.send(&mail(ADDRESS, number)?).await;
        sent.answered("a send")?;
    }
    let delivered = harness.delivered(&subject.one).await;
    let mut ids: Vec<_> = delivered.into_iter().map(|mail| mail.message_id).collect();
    ids.sort();
    ids.dedup();
    let [one, two] = &ids[..] else {
        return Err(Breach::new(format!(
            "two mails arrived under {} ids",
            ids.len()
        )));
    };
    for (number, id) in [(1_u8, one), (2, two)] {
        let given = format!("{number:032x}");
        ensure!(id.contains(&given), "the mail's id {given} is not in {id}");
    }
    Ok(())
}

/// Sentence 4: a send that is dropped while a server is silent leaves nothing behind that goes on.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_dropped_send_sends_nothing_more(harness: &impl MailerHarness) -> Kept {
    let Some(subject) = harness.faulty(Fault::Silent).await else {
        return Ok(());
    };
    let mail = mail(ADDRESS, 1)?;
    let sent = timeout(PATIENCE, subject.one.send(&mail)).await;
    ensure!(
        !matches!(sent, Ok(Ok(()))),
        "the server said nothing, and the mail was accepted"
    );
    if let Ok(Err(error)) = &sent {
        ensure!(
            error.is_transient(),
            "nobody knows what came of it, and it is permanent"
        );
    }
    let before = harness.delivered(&subject.one).await.len();
    sleep(AFTERMATH).await;
    let after = harness.delivered(&subject.one).await.len();
    ensure!(
        before == after,
        "a dropped send went on, and a mail arrived"
    );
    Ok(())
}
