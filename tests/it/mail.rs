//! The contract suite of a mailer over memory and lettre; what lettre writes, and what a server's
//! answers mean.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, TimeDelta};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::Instant,
};
use tower_registration::{
    backend::memory::{Behaviour, MemoryMailer},
    conformance::{
        Subject,
        mailer::{DeliveredMail, Fault, MailerHarness},
    },
    mail::{
        DefaultTemplate, LettreConfigError, LettreError, LettreMailer, MailError, Mailer,
        RegistrationEmail, RenderedEmail, SMTP_TIMEOUT, Template,
    },
    registration::{OrgId, Username},
};

const FROM: &str = "Example <noreply@example.com>";

/// A template that says what it is given.
struct Titled(&'static str);

impl Template for Titled {
    fn render(&self, _: &RegistrationEmail) -> RenderedEmail {
        RenderedEmail {
            subject: self.0.to_owned(),
            text: "the text side".to_owned(),
            html: "<p>the HTML side</p>".to_owned(),
        }
    }
}

fn mail(to: &str) -> RegistrationEmail {
    let issued_at = DateTime::UNIX_EPOCH;
    RegistrationEmail {
        to: to.to_owned(),
        username: Username::new("jane@example.co").unwrap(),
        org_id: OrgId::new("org").unwrap(),
        code: "1234-1234-1234-1234".parse().unwrap(),
        locale: None,
        issued_at,
        expires_at: issued_at + TimeDelta::hours(4),
        message_id: "0123456789abcdef0123456789abcdef".to_owned(),
    }
}

/// The `.eml` files in a directory.
fn written(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let eml = entries.filter(|entry| entry.path().extension() == Some("eml".as_ref()));
    eml.map(|entry| fs::read_to_string(entry.path()).unwrap())
        .collect()
}

fn headers(eml: &str) -> Vec<&str> {
    eml.split("\r\n")
        .take_while(|line| !line.is_empty())
        .collect()
}

#[tokio::test]
async fn a_mail_is_written_with_both_sides_and_says_that_no_human_sent_it() {
    let directory = tempfile::tempdir().unwrap();
    let mailbox = directory.path().join("made/if missing");
    let mailer = LettreMailer::file(&mailbox, FROM, Titled("Welcome")).unwrap();
    mailer.send(&mail("jane@example.co")).await.unwrap();
    mailer.send(&mail("jane@example.co")).await.unwrap();

    let eml = written(&mailbox);
    assert_eq!(eml.len(), 2);
    for eml in eml {
        let headers = headers(&eml);
        for header in [
            "From: Example <noreply@example.com>",
            "To: jane@example.co",
            "Subject: Welcome",
            "Auto-Submitted: auto-generated",
            "Message-ID: <0123456789abcdef0123456789abcdef@example.com>",
        ] {
            assert!(
                headers.contains(&header),
                "{header} is missing from {headers:?}"
            );
        }
        assert!(eml.contains("multipart/alternative"));
        assert!(eml.contains("the text side"));
        assert!(eml.contains("<p>the HTML side</p>"));
    }
}

#[tokio::test]
async fn a_subject_begins_no_other_header() {
    let directory = tempfile::tempdir().unwrap();
    let subject = Titled("Welcome\r\nBcc: all@example.co\r\n\r\nbody");
    let mailer = LettreMailer::file(directory.path(), FROM, subject).unwrap();
    mailer.send(&mail("jane@example.co")).await.unwrap();
    let eml = written(directory.path()).remove(0);
    let headers = headers(&eml);
    assert!(
        !headers.iter().any(|line| line.starts_with("Bcc")),
        "{headers:?}"
    );
    assert!(
        headers.iter().any(|line| line.starts_with("MIME-Version")),
        "{headers:?}"
    );
}

#[tokio::test]
async fn what_is_no_address_is_refused_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let mailer = LettreMailer::file(directory.path(), FROM, Titled("Welcome")).unwrap();
    for wrong in [
        "jane",
        "Jane <jane@example.co>",
        "jane@example.co, john@example.co",
        "jane@example.co\r\nBcc: all@example.co",
    ] {
        let error = mailer.send(&mail(wrong)).await.unwrap_err();
        assert!(
            matches!(error, LettreError::Address(_)),
            "{wrong}: {error:?}"
        );
        assert!(!error.is_transient(), "{wrong}");
    }
    assert_eq!(written(directory.path()), [""; 0]);
}

#[tokio::test]
async fn a_file_that_can_not_be_written_may_be_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let mailbox = directory.path().join("mailbox");
    let mailer = LettreMailer::file(&mailbox, FROM, Titled("Welcome")).unwrap();
    fs::remove_dir(&mailbox).unwrap();
    let error = mailer.send(&mail("jane@example.co")).await.unwrap_err();
    assert!(matches!(error, LettreError::File(_)), "{error:?}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn settings_that_can_not_work_are_told_and_passwords_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let from = LettreMailer::file(directory.path(), "nobody", Titled(""));
    assert!(matches!(from.err(), Some(LettreConfigError::From { .. })));

    let file = directory.path().join("a file");
    fs::write(&file, "").unwrap();
    let in_a_file = LettreMailer::file(file.join("mailbox"), FROM, Titled(""));
    assert!(matches!(
        in_a_file.err(),
        Some(LettreConfigError::Directory { .. })
    ));

    let url = LettreMailer::smtp("http://user:hunter2@example.com", FROM, Titled(""));
    let error = url.err().unwrap();
    assert!(matches!(error, LettreConfigError::Url(_)));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

/// What a server answers at each step; `250` unless said otherwise.
#[derive(Clone)]
struct Server {
    rcpt: &'static str,
    content: &'static str,
    auth: &'static str,
    /// Where it waits before it answers to the content.
    pause: Option<Arc<Pause>>,
}

#[derive(Default)]
struct Pause {
    arrived: Notify,
    go_on: Notify,
}

const OBLIGING: Server = Server {
    rcpt: "250 ok",
    content: "250 queued",
    auth: "235 welcome",
    pause: None,
};

impl Server {
    /// Talks with one client until it leaves; the mail's content, if there was one.
    async fn talk(self, stream: TcpStream) -> String {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 ready\r\n").await.unwrap();
        let (mut line, mut content) = (String::new(), String::new());
        while stream
            .read_line(&mut line)
            .await
            .is_ok_and(|bytes| bytes > 0)
        {
            let answer = match line.get(..4).unwrap_or_default() {
                "EHLO" => "250-here\r\n250 AUTH PLAIN",
                "AUTH" => self.auth,
                "RCPT" => self.rcpt,
                "QUIT" => "221 bye",
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.unwrap();
                    while !content.ends_with("\r\n.\r\n") {
                        stream.read_line(&mut content).await.unwrap();
                    }
                    if let Some(pause) = &self.pause {
                        pause.arrived.notify_one();
                        pause.go_on.notified().await;
                    }
                    self.content
                }
                _ => "250 ok",
            };
            let answered = stream.write_all(format!("{answer}\r\n").as_bytes()).await;
            if answered.is_err() {
                break;
            }
            line.clear();
        }
        content
    }

    /// Listens for one client; the URL, and what it sent.
    async fn listen(self) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url(&listener);
        let talk = async move { self.talk(listener.accept().await.unwrap().0).await };
        (url, tokio::spawn(talk))
    }

    /// The error of sending a mail to this server, with or without a login.
    async fn error(self, login: &str) -> LettreError {
        let (url, _talk) = self.listen().await;
        let url = url.replace("smtp://", &format!("smtp://{login}"));
        let mailer = LettreMailer::smtp(&url, FROM, Titled("Welcome")).unwrap();
        mailer.send(&mail("jane@example.co")).await.unwrap_err()
    }
}

fn url(listener: &TcpListener) -> String {
    format!("smtp://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_server_gets_the_mail() {
    let (url, talk) = OBLIGING.listen().await;
    let mailer = LettreMailer::smtp(&url, FROM, Titled("Welcome")).unwrap();
    mailer.send(&mail("jane@example.co")).await.unwrap();
    let content = talk.await.unwrap();
    assert!(content.contains("Subject: Welcome\r\n"), "{content}");
    assert!(content.contains("the text side"), "{content}");
}

#[tokio::test]
async fn a_servers_no_for_now_is_told_from_its_no_for_good() {
    let answers = [
        ("450 mailbox busy", true),
        ("421 going down", true),
        ("550 no such user", false),
        ("553 not allowed", false),
    ];
    for (answer, transient) in answers {
        let servers = [
            Server {
                rcpt: answer,
                ..OBLIGING
            },
            Server {
                content: answer,
                ..OBLIGING
            },
        ];
        for server in servers {
            let error = server.error("").await;
            assert!(matches!(error, LettreError::Smtp(_)), "{answer}: {error:?}");
            assert_eq!(error.is_transient(), transient, "{answer}");
            // The log has the code, and not the server's words, which may name the user.
            let reason = error.reason();
            assert!(reason.contains(&answer[..3]), "{answer}: {reason}");
            assert!(!reason.contains(&answer[4..]), "{answer}: {reason}");
        }
    }
}

#[tokio::test]
async fn a_refused_login_is_not_the_mails_fault() {
    let strict = Server {
        auth: "535 wrong password",
        ..OBLIGING
    };
    assert!(strict.error("user:hunter2@").await.is_transient());
}

#[tokio::test]
async fn a_server_that_is_not_there_or_hangs_up_may_be_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mailer = LettreMailer::smtp(&url(&listener), FROM, Titled("Welcome")).unwrap();
    let hang_up = async { drop(listener.accept().await.unwrap()) };
    let to = mail("jane@example.co");
    let (sent, ()) = tokio::join!(mailer.send(&to), hang_up);
    assert!(sent.unwrap_err().is_transient());

    drop(listener);
    assert!(mailer.send(&to).await.unwrap_err().is_transient());
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mailer = LettreMailer::smtp(&url(&listener), FROM, Titled("Welcome")).unwrap();
    let started = Instant::now();
    let error = mailer.send(&mail("jane@example.co")).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(matches!(error, LettreError::TimedOut));
    assert!(started.elapsed() >= SMTP_TIMEOUT);
}

/// A pool would take the first connection back, and its late `250` for an answer to the next mail.
#[tokio::test]
async fn a_dropped_send_leaves_no_answer_to_the_next() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mailer = LettreMailer::smtp(&url(&listener), FROM, Titled("Welcome")).unwrap();
    let pause = Arc::new(Pause::default());
    let slow = Server {
        pause: Some(pause.clone()),
        ..OBLIGING
    };
    let refusing = Server {
        rcpt: "550 no such user",
        ..OBLIGING
    };
    let servers = tokio::spawn(async move {
        for server in [slow, refusing] {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(server.talk(stream));
        }
    });
    let to = mail("jane@example.co");
    tokio::select! {
        sent = mailer.send(&to) => panic!("the server had not answered: {sent:?}"),
        () = pause.arrived.notified() => pause.go_on.notify_one(),
    }
    // Time for a pool, if there were one, to take the connection back.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let error = mailer.send(&to).await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    servers.await.unwrap();
}

struct Memory;

impl MailerHarness for Memory {
    type Mailer = MemoryMailer;

    async fn fresh(&self) -> Subject<MemoryMailer> {
        Subject::new(MemoryMailer::new())
    }

    async fn delivered(&self, mailer: &MemoryMailer) -> Vec<DeliveredMail> {
        let sent = mailer.sent().into_iter();
        sent.map(|mail| DeliveredMail {
            text: mail.code.expose().to_owned(),
            recipients: vec![mail.to],
            message_id: mail.message_id,
        })
        .collect()
    }

    async fn faulty(&self, fault: Fault) -> Option<Subject<MemoryMailer>> {
        let mailer = MemoryMailer::new();
        mailer.behave(match fault {
            Fault::Unreachable | Fault::Busy => Behaviour::FailTransiently,
            Fault::Refused => Behaviour::FailPermanently,
            Fault::Silent => Behaviour::Stall,
        });
        Some(Subject::new(mailer))
    }
}

/// Files where all is well, SMTP where something is wrong.
#[derive(Default)]
struct Lettre(Mutex<Option<TempDir>>);

impl MailerHarness for Lettre {
    type Mailer = LettreMailer<DefaultTemplate>;

    async fn fresh(&self) -> Subject<Self::Mailer> {
        let directory = tempfile::tempdir().unwrap();
        let mailer = LettreMailer::file(directory.path(), FROM, DefaultTemplate::new()).unwrap();
        *self.0.lock().unwrap() = Some(directory);
        Subject::new(mailer)
    }

    async fn delivered(&self, _: &Self::Mailer) -> Vec<DeliveredMail> {
        let directory = self.0.lock().unwrap();
        let files = directory
            .as_ref()
            .map(|directory| written(directory.path()));
        let files = files.unwrap_or_default().into_iter();
        files.map(|eml| delivered(&eml)).collect()
    }

    async fn faulty(&self, fault: Fault) -> Option<Subject<Self::Mailer>> {
        let answer = |content| Server {
            content,
            ..OBLIGING
        };
        let url = match fault {
            Fault::Unreachable => url(&TcpListener::bind("127.0.0.1:0").await.unwrap()),
            Fault::Busy => answer("450 mailbox busy").listen().await.0,
            Fault::Refused => answer("550 no such user").listen().await.0,
            Fault::Silent => {
                let pause = Some(Arc::default());
                Server { pause, ..OBLIGING }.listen().await.0
            }
        };
        let mailer = LettreMailer::smtp(&url, FROM, DefaultTemplate::new()).unwrap();
        Some(Subject::new(mailer))
    }
}

fn delivered(eml: &str) -> DeliveredMail {
    let of = |names: &[&str]| {
        let lines = headers(eml)
            .into_iter()
            .filter_map(|line| line.split_once(": "));
        let named = lines.filter(|(name, _)| names.contains(&&*name.to_lowercase()));
        named.map(|(_, value)| value.to_owned()).collect::<Vec<_>>()
    };
    DeliveredMail {
        recipients: of(&["to", "cc", "bcc"]),
        message_id: of(&["message-id"]).concat(),
        text: eml.to_owned(),
    }
}

mod in_memory {
    tower_registration::conformance_tests!(mailer, super::Memory);
}
mod through_lettre {
    tower_registration::conformance_tests!(mailer, super::Lettre::default());
}
