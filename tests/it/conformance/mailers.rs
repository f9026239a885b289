//! Mailers with a fault.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_registration::{
    conformance::{
        Subject, mailer,
        mailer::{DeliveredMail, MailerHarness},
    },
    mail::{MailError, Mailer, RegistrationEmail},
};

use super::breaks;

/// What is wrong with a mailer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Swallows,
    SplitsAddresses,
    MakesNewIds,
    SaysThatAllIsTransient,
    SaysWhom,
    SendsInATaskOfItsOwn,
}

struct Faulty {
    fault: Fault,
    met: Option<mailer::Fault>,
    sent: Arc<Mutex<Vec<DeliveredMail>>>,
}

#[derive(Debug)]
struct Refused {
    transient: bool,
    reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl MailError for Refused {
    fn is_transient(&self) -> bool {
        self.transient
    }

    fn reason(&self) -> Cow<'static, str> {
        self.reason.clone().into()
    }
}

impl Faulty {
    fn refused(&self, mail: &RegistrationEmail) -> Refused {
        let permanent = matches!(self.met, None | Some(mailer::Fault::Refused));
        Refused {
            transient: !permanent || self.fault == Fault::SaysThatAllIsTransient,
            reason: match self.fault {
                Fault::SaysWhom => format!("no such user: {}", mail.to),
                _ => "refused".to_owned(),
            },
        }
    }

    fn delivered(&self, mail: &RegistrationEmail) -> DeliveredMail {
        let recipients = mail.to.split([',', '\n']).map(str::to_owned).collect();
        let message_id = match self.fault {
            Fault::MakesNewIds => uuid::Uuid::new_v4().to_string(),
            _ => mail.message_id.clone(),
        };
        DeliveredMail::new(recipients, message_id, mail.code.expose())
    }
}

impl Mailer for Faulty {
    type Error = Refused;

    async fn send(&self, mail: &RegistrationEmail) -> Result<(), Refused> {
        let delivered = self.delivered(mail);
        match self.met {
            Some(mailer::Fault::Silent) => {
                let (sent, task) = (self.sent.clone(), self.fault == Fault::SendsInATaskOfItsOwn);
                let slow = async move {
                    tokio::time::sleep(Duration::from_millis(450)).await;
                    sent.lock().unwrap().push(delivered);
                };
                if task {
                    tokio::spawn(slow).await.unwrap();
                } else {
                    slow.await;
                }
            }
            Some(_) => return Err(self.refused(mail)),
            None if delivered.recipients != ["jane@example.co"]
                && self.fault != Fault::SplitsAddresses =>
            {
                return Err(self.refused(mail));
            }
            None if self.fault == Fault::Swallows => {}
            None => self.sent.lock().unwrap().push(delivered),
        }
        Ok(())
    }
}

impl MailerHarness for Fault {
    type Mailer = Faulty;

    async fn fresh(&self) -> Subject<Faulty> {
        Subject::new(Faulty {
            fault: *self,
            met: None,
            sent: Arc::default(),
        })
    }

    async fn delivered(&self, mailer: &Faulty) -> Vec<DeliveredMail> {
        mailer.sent.lock().unwrap().clone()
    }

    async fn faulty(&self, fault: mailer::Fault) -> Option<Subject<Faulty>> {
        Some(Subject::new(Faulty {
            fault: *self,
            met: Some(fault),
            sent: Arc::default(),
        }))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mailers_with_a_fault_are_found_and_others_pass() {
    mailer::all(&Fault::None).await.unwrap();
    for (fault, rule) in [
        (
            Fault::Swallows,
            "what_was_accepted_is_delivered_with_its_code",
        ),
        (
            Fault::SplitsAddresses,
            "a_hostile_address_reaches_nobody_else",
        ),
        (
            Fault::MakesNewIds,
            "tries_at_one_mail_share_their_message_id",
        ),
        (
            Fault::SaysThatAllIsTransient,
            "a_failure_says_whether_another_try_may_succeed",
        ),
        (Fault::SaysWhom, "a_reason_names_neither_user_nor_code"),
        (
            Fault::SendsInATaskOfItsOwn,
            "a_dropped_send_sends_nothing_more",
        ),
    ] {
        breaks(mailer::all(&fault).await, &[rule]);
    }
}
