//! The contract suite of a mailer over memory and lettre; what lettre writes, and what a server's
//! answers mean.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
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
    registration::{OrgId, UserId, Username},
};

const FROM: &str = "Example <noreply@example.com>";

/// A template that says what it is given.
struct Titled(&'static str);

impl Template for Titled {
    fn render(&self, _: &RegistrationEmail) -> RenderedEmail {
        RenderedEmail::new(self.0, "the text side").with_html("<p>the HTML side</p>")
    }
}

fn mail(to: &str) -> RegistrationEmail {
    let issued_at = DateTime::UNIX_EPOCH;
    let jane = UserId {
        org_id: OrgId::new("org").unwrap(),
        username: Username::new("jane@example.co").unwrap(),
    };
    RegistrationEmail::new(
        to,
        jane,
        "1234-1234-1234-1234".parse().unwrap(),
        issued_at,
        issued_at + TimeDelta::hours(4),
        "0123456789abcdef0123456789abcdef",
    )
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

/// A template without an HTML side.
struct Plain;

impl Template for Plain {
    fn render(&self, _: &RegistrationEmail) -> RenderedEmail {
        RenderedEmail::new("Welcome", "the text alone")
    }
}

#[tokio::test]
async fn a_mail_without_an_html_side_is_plain_text() {
    let directory = tempfile::tempdir().unwrap();
    let mailer = LettreMailer::file(directory.path(), FROM, Plain).unwrap();
    mailer.send(&mail("jane@example.co")).await.unwrap();
    let eml = written(directory.path()).remove(0);
    let plain = headers(&eml).contains(&"Content-Type: text/plain; charset=utf-8");
    assert!(plain && !eml.contains("multipart"), "{eml}");
    assert!(eml.contains("the text alone"), "{eml}");
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
    assert!(matches!(error, LettreConfigError::Url { .. }));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

/// What a server answers at each step; `250` unless said otherwise.
#[derive(Clone)]
struct Server {
    greeting: &'static str,
    hello: &'static str,
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
    greeting: "220 ready",
    hello: "250-here\r\n250 AUTH PLAIN",
    rcpt: "250 ok",
    content: "250 queued",
    auth: "235 welcome",
    pause: None,
};

impl Server {
    /// Talks with one client until it leaves; what it said, the mails' content included.
    async fn talk(self, stream: TcpStream) -> String {
        let mut stream = BufReader::new(stream);
        let greeting = format!("{}\r\n", self.greeting);
        stream.write_all(greeting.as_bytes()).await.unwrap();
        let (mut line, mut said) = (String::new(), String::new());
        while stream
            .read_line(&mut line)
            .await
            .is_ok_and(|bytes| bytes > 0)
        {
            said += &line;
            let answer = match line.get(..4).unwrap_or_default() {
                "EHLO" => self.hello,
                "AUTH" => self.auth,
                "RCPT" => self.rcpt,
                "QUIT" => "221 bye",
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.unwrap();
                    while !said.ends_with("\r\n.\r\n") {
                        stream.read_line(&mut said).await.unwrap();
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
        said
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
    drop(mailer);
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
            assert!(
                matches!(error, LettreError::Smtp { .. }),
                "{answer}: {error:?}"
            );
            assert_eq!(error.is_transient(), transient, "{answer}");
            // The log has the code, and not the server's words, which may name the user.
            let reason = error.reason();
            assert!(reason.contains(&answer[..3]), "{answer}: {reason}");
            assert!(!reason.contains(&answer[4..]), "{answer}: {reason}");
        }
    }
}

#[tokio::test]
async fn what_a_server_refuses_before_the_mail_is_not_the_mails_fault() {
    let servers = [
        Server {
            greeting: "554 your address is on a blocklist",
            ..OBLIGING
        },
        Server {
            hello: "550 who are you",
            ..OBLIGING
        },
        Server {
            auth: "535 wrong password",
            ..OBLIGING
        },
    ];
    for server in servers {
        let error = server.error("user:hunter2@").await;
        assert!(matches!(error, LettreError::Refused { .. }), "{error:?}");
        assert!(error.is_transient(), "{error:?}");
        assert!(
            error.reason().contains("it replied 5"),
            "{}",
            error.reason()
        );
    }
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

/// Servers of which each talks with one connection, in the order in which connections are made.
struct Servers {
    url: String,
    connections: Arc<AtomicUsize>,
    talks: JoinHandle<Vec<JoinHandle<String>>>,
}

impl Servers {
    async fn start<const N: usize>(servers: [Server; N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (url, connections) = (url(&listener), Arc::new(AtomicUsize::new(0)));
        let counted = connections.clone();
        let talks = tokio::spawn(async move {
            let mut talks = vec![];
            for server in servers {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                talks.push(tokio::spawn(server.talk(stream)));
            }
            talks
        });
        Self {
            url,
            connections,
            talks,
        }
    }

    fn mailer(&self) -> LettreMailer<Titled> {
        LettreMailer::smtp(&self.url, FROM, Titled("Welcome")).unwrap()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// What each connection's client said, once all have left.
    async fn said(self) -> Vec<String> {
        let mut said = vec![];
        for talk in self.talks.await.unwrap() {
            said.push(talk.await.unwrap());
        }
        said
    }
}

const REFUSING: Server = Server {
    rcpt: "550 no such user",
    ..OBLIGING
};

fn pausing() -> (Server, Arc<Pause>) {
    let pause = Arc::new(Pause::default());
    let server = Server {
        pause: Some(pause.clone()),
        ..OBLIGING
    };
    (server, pause)
}

#[tokio::test]
async fn one_connection_carries_one_mail_after_the_other() {
    let servers = Servers::start([OBLIGING]).await;
    let mailer = servers.mailer();
    for _ in 0..20 {
        mailer.send(&mail("jane@example.co")).await.unwrap();
    }
    assert_eq!(servers.connections(), 1);
    drop(mailer);
    let said = servers.said().await;
    assert_eq!(said[0].matches("Subject: Welcome\r\n").count(), 20);
    assert_eq!(said[0].matches("EHLO").count(), 1);
}

#[tokio::test]
async fn mails_at_once_have_connections_of_their_own_which_are_used_again() {
    let ((first, at_first), (second, at_second)) = (pausing(), pausing());
    let servers = Servers::start([first, second]).await;
    let mailer = servers.mailer();
    let to = mail("jane@example.co");
    for _ in 0..2 {
        let release = async {
            tokio::join!(at_first.arrived.notified(), at_second.arrived.notified());
            at_first.go_on.notify_one();
            at_second.go_on.notify_one();
        };
        let (one, other, ()) = tokio::join!(mailer.send(&to), mailer.send(&to), release);
        one.unwrap();
        other.unwrap();
    }
    assert_eq!(servers.connections(), 2);
}

#[tokio::test]
async fn a_connection_is_replaced_that_the_server_has_closed_meanwhile() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mailer = LettreMailer::smtp(&url(&listener), FROM, Titled("Welcome")).unwrap();
    for _ in 0..3 {
        let to = mail("jane@example.co");
        let (sent, accepted) = tokio::join!(mailer.send(&to), async {
            let (stream, _) = listener.accept().await.unwrap();
            Some(tokio::spawn(OBLIGING.talk(stream)))
        });
        sent.unwrap();
        let talk = accepted.unwrap();
        // The server closes the connection.
        talk.abort();
        assert!(talk.await.is_err());
    }
}

#[tokio::test]
async fn a_connection_carries_a_hundred_mails_and_no_more() {
    let servers = Servers::start([OBLIGING, OBLIGING]).await;
    let mailer = servers.mailer();
    for (mails, connections) in [(100, 1), (1, 2)] {
        for _ in 0..mails {
            mailer.send(&mail("jane@example.co")).await.unwrap();
        }
        assert_eq!(servers.connections(), connections);
    }
}

#[tokio::test]
async fn a_connection_that_idles_is_ended_with_a_farewell() {
    let servers = Servers::start([OBLIGING]).await;
    let mailer = servers.mailer();
    mailer.send(&mail("jane@example.co")).await.unwrap();
    // With nothing else to wait for, time leaps.
    tokio::time::pause();
    let said = servers.said().await;
    assert!(said[0].ends_with("\r\n.\r\nQUIT\r\n"), "{}", said[0]);
    drop(mailer);
}

#[tokio::test]
async fn a_mail_that_was_refused_ends_its_connection() {
    let servers = Servers::start([REFUSING, OBLIGING]).await;
    let mailer = servers.mailer();
    mailer.send(&mail("jane@example.co")).await.unwrap_err();
    mailer.send(&mail("jane@example.co")).await.unwrap();
    assert_eq!(servers.connections(), 2);
}

/// A pool that took the first connection back would take its late `250` for an answer to the next
/// mail.
#[tokio::test]
async fn a_dropped_send_leaves_no_answer_to_the_next_and_sends_nothing_more() {
    let (slow, pause) = pausing();
    let servers = Servers::start([slow, REFUSING]).await;
    let mailer = servers.mailer();
    let to = mail("jane@example.co");
    // The connection has been kept once when it is lost.
    let (kept, ()) = tokio::join!(mailer.send(&to), async {
        pause.arrived.notified().await;
        pause.go_on.notify_one();
    });
    kept.unwrap();
    tokio::select! {
        sent = mailer.send(&to) => panic!("the server had not answered: {sent:?}"),
        () = pause.arrived.notified() => pause.go_on.notify_one(),
    }
    // Time for a pool, if it did, to take the connection back.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let error = mailer.send(&to).await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    assert_eq!(servers.connections(), 2);
    let said = servers.said().await;
    assert!(said[0].ends_with("\r\n.\r\n"), "{}", said[0]);
}

#[tokio::test]
async fn a_send_out_of_time_leaves_no_answer_to_the_next() {
    let (slow, pause) = pausing();
    let servers = Servers::start([slow, REFUSING]).await;
    let mailer = servers.mailer();
    let to = mail("jane@example.co");
    let (late, ()) = tokio::join!(mailer.send(&to), async {
        pause.arrived.notified().await;
        // With nothing else to wait for, time leaps to the end of the send.
        tokio::time::pause();
    });
    assert!(matches!(late, Err(LettreError::TimedOut)), "{late:?}");
    tokio::time::resume();
    pause.go_on.notify_one();
    let error = mailer.send(&to).await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    assert_eq!(servers.connections(), 2);
}

struct Memory;

impl MailerHarness for Memory {
    type Mailer = MemoryMailer;

    async fn fresh(&self) -> Subject<MemoryMailer> {
        Subject::new(MemoryMailer::new())
    }

    async fn delivered(&self, mailer: &MemoryMailer) -> Vec<DeliveredMail> {
        let sent = mailer.sent().into_iter();
        sent.map(|mail| DeliveredMail::new(vec![mail.to], mail.message_id, mail.code.expose()))
            .collect()
    }

    async fn faulty(&self, fault: Fault) -> Option<Subject<MemoryMailer>> {
        let mailer = MemoryMailer::new();
        mailer.behave(match fault {
            Fault::Unreachable | Fault::Busy => Behaviour::FailTransiently,
            Fault::Refused => Behaviour::FailPermanently,
            Fault::Silent => Behaviour::Stall,
            other => panic!("nobody brings {other:?} about"),
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
            other => panic!("nobody brings {other:?} about"),
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
    let message_id = of(&["message-id"]).concat();
    DeliveredMail::new(of(&["to", "cc", "bcc"]), message_id, eml)
}

mod in_memory {
    tower_registration::conformance_tests!(mailer, super::Memory);
}
mod through_lettre {
    tower_registration::conformance_tests!(mailer, super::Lettre::default());
}
