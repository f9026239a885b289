//! Mail through lettre: over SMTP, or into `.eml` files.

use std::{
    borrow::Cow,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lettre::{
    Address, AsyncFileTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp,
};
use tokio::time::timeout;

use super::{
    MailError, Mailer, RegistrationEmail, RenderedEmail, Template,
    smtp::{Pool, Server},
};

/// How long it may take to hand a mail to an SMTP server, from connecting to its last answer.
pub const SMTP_TIMEOUT: Duration = Duration::from_secs(10);

/// A [`Mailer`] over lettre: mails with a text and, if there is one, an HTML side, written by a
/// [`Template`].
///
/// 1. Each try at one mail has the same `Message-ID`, made of the mail's
///    [`message_id`](RegistrationEmail::message_id) and the sender's domain, and `Auto-Submitted: auto-generated` (RFC 3834), so that no vacation notice answers.
/// 2. Addresses are parsed, and everything else that goes into a header is encoded: nothing in a
///    name, an address or a subject begins another header. An address that lettre refuses is a
///    permanent error.
/// 3. A mail that an SMTP server refuses with 5xx is permanent, and so is a sender that it refuses,
///    since lettre does not tell the two apart. What it says before, in its greeting or to the
///    login, is about the operator and not the mail. That and everything else may be tried again.
/// 4. SMTP connections are used again, up to 8 are kept for 30 s, and each carries one mail at a
///    time, 100 in all. A send that is dropped, fails or runs out of time ends its connection, so
///    that the server's late answer is no other mail's.
///
/// ```
/// use tower_registration::mail::{DefaultTemplate, LettreConfigError, LettreMailer};
///
/// # let directory = tempfile::tempdir().unwrap();
/// let mailbox = directory.path().join("mailbox");
/// let mailer = LettreMailer::file(&mailbox, "Example <noreply@example.com>", DefaultTemplate::new());
/// assert!(mailer.is_ok());
/// let mailer = LettreMailer::file(&mailbox, "no address", DefaultTemplate::new());
/// assert!(matches!(mailer, Err(LettreConfigError::From { .. })));
/// ```
#[derive(Clone, Debug)]
pub struct LettreMailer<T> {
    from: Mailbox,
    template: T,
    carrier: Carrier,
}

#[derive(Clone, Debug)]
enum Carrier {
    Directory(AsyncFileTransport<Tokio1Executor>),
    Smtp(Arc<Pool>),
}

type BoxError = Box<dyn Error + Send + Sync>;

/// Why a [`LettreMailer`] could not be built.
///
/// A boxed source is lettre's own error. Its type is no part of this crate's API.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LettreConfigError {
    /// The sender is no address.
    #[error("{from:?} is no sender: use `noreply@example.com` or `Example <noreply@example.com>`")]
    From {
        /// What was given.
        from: String,
        /// What is wrong with it.
        source: BoxError,
    },
    /// The directory is missing and could not be made.
    #[error("the mailbox directory {path} could not be made: name one that this user may write to", path = path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The URL names no SMTP server. It is not repeated here, since it may hold a password.
    #[error(
        "no URL of an SMTP server: write `smtps://user:password@smtp.example.com:465`: {reason}"
    )]
    Url {
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Why a mail was not handed over.
///
/// Sources may repeat what the server said, and with it the address: take care where they go. A boxed
/// one is lettre's own error. Its type is no part of this crate's API.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LettreError {
    /// The address is none that lettre sends to.
    #[error("the address is none that mail can be sent to")]
    Address(#[source] BoxError),
    /// The mail could not be put together.
    #[error("the mail could not be put together")]
    Message(#[source] BoxError),
    /// The file could not be written.
    #[error("the mail could not be written to its file")]
    File(#[source] BoxError),
    /// The server could not be connected to.
    #[error("the SMTP server could not be connected to")]
    Connect(#[source] io::Error),
    /// The server refused to be talked to at all, by its greeting, at the start of TLS or at the
    /// login: the operator's concern, and no mail's fault.
    #[error("the SMTP server refused the connection")]
    Refused {
        /// The SMTP reply code, if it was a reply that refused.
        code: Option<u16>,
        /// What was refused, and how.
        source: BoxError,
    },
    /// The server did not take the mail, or was lost on the way.
    #[error("the SMTP server did not take the mail")]
    Smtp {
        /// The SMTP reply code, if it was a reply that refused.
        code: Option<u16>,
        /// What went wrong.
        source: BoxError,
    },
    /// The server did not answer in time, so that nobody knows whether it took the mail.
    #[error("the SMTP server did not answer within {SMTP_TIMEOUT:?}")]
    TimedOut,
}

impl LettreError {
    pub(super) fn refused(error: smtp::Error) -> Self {
        Self::Refused {
            code: error.status().map(u16::from),
            source: error.into(),
        }
    }

    pub(super) fn smtp(error: smtp::Error) -> Self {
        Self::Smtp {
            code: error.status().map(u16::from),
            source: error.into(),
        }
    }
}

impl<T: Template> LettreMailer<T> {
    /// Writes each mail to a file in `directory`, named by chance and ending in `.eml`. The
    /// directory is made if it is missing.
    ///
    /// For development: the files hold codes in clear.
    ///
    /// # Errors
    ///
    /// If `from` is no address, or the directory can't be made.
    pub fn file(
        directory: impl AsRef<Path>,
        from: &str,
        template: T,
    ) -> Result<Self, LettreConfigError> {
        fs::create_dir_all(&directory).map_err(|source| LettreConfigError::Directory {
            path: directory.as_ref().to_owned(),
            source,
        })?;
        Ok(Self {
            from: sender(from)?,
            template,
            carrier: Carrier::Directory(AsyncFileTransport::new(directory)),
        })
    }

    /// Sends mails over SMTP, giving each [`SMTP_TIMEOUT`] in all.
    ///
    /// `url` is `smtps://user:password@host:port` for TLS from the start (port 465 by default), or
    /// `smtp://user:password@host:port?tls=required` for STARTTLS (587). `smtp://host:port`, without
    /// `tls`, sends codes and passwords in clear: for a server on this machine. User and password
    /// are percent-encoded. A path, as in `smtp://host/me.example.com`, is the name to say hello by.
    /// TLS is rustls, with the roots that browsers trust. Nothing is connected to before the first
    /// mail.
    ///
    /// # Errors
    ///
    /// If `from` is no address, or `url` no SMTP server's.
    pub fn smtp(url: &str, from: &str, template: T) -> Result<Self, LettreConfigError> {
        let server = Server::parse(url).map_err(|reason| LettreConfigError::Url { reason })?;
        Ok(Self {
            from: sender(from)?,
            template,
            carrier: Carrier::Smtp(Pool::new(server)),
        })
    }

    fn message(&self, mail: &RegistrationEmail) -> Result<Message, LettreError> {
        let to: Result<Address, _> = mail.to.parse();
        let to = to.map_err(|error| LettreError::Address(error.into()))?;
        let RenderedEmail {
            subject,
            text,
            html,
        } = self.template.render(mail);
        let id = format!("<{}@{}>", mail.message_id, self.from.email.domain());
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let builder = Message::builder()
            .from(self.from.clone())
            .to(to.into())
            .subject(subject)
            .message_id(Some(id))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
        let message = if html.is_empty() {
            builder.singlepart(SinglePart::plain(text))
        } else {
            builder.multipart(MultiPart::alternative_plain_html(text, html))
        };
        message.map_err(|error| LettreError::Message(error.into()))
    }
}

fn sender(from: &str) -> Result<Mailbox, LettreConfigError> {
    let sender: Result<Mailbox, _> = from.parse();
    sender.map_err(|error| LettreConfigError::From {
        from: from.to_owned(),
        source: error.into(),
    })
}

impl<T: Template> Mailer for LettreMailer<T> {
    type Error = LettreError;

    async fn send(&self, mail: &RegistrationEmail) -> Result<(), LettreError> {
        let message = self.message(mail)?;
        match &self.carrier {
            Carrier::Directory(files) => {
                let written = files.send(message).await;
                written.map_err(|error| LettreError::File(error.into()))?;
            }
            Carrier::Smtp(server) => {
                timeout(SMTP_TIMEOUT, server.send(&message))
                    .await
                    .map_err(|_| LettreError::TimedOut)??;
            }
        }
        Ok(())
    }
}

impl MailError for LettreError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Address(_) | Self::Message(_) => false,
            Self::File(_) | Self::Connect(_) | Self::Refused { .. } | Self::TimedOut => true,
            Self::Smtp { code, .. } => !code.is_some_and(is_about_the_mail_for_good),
        }
    }

    /// The error's own words, which are fixed, and the SMTP reply code.
    fn reason(&self) -> Cow<'static, str> {
        match self {
            Self::Smtp {
                code: Some(code), ..
            }
            | Self::Refused {
                code: Some(code), ..
            } => format!("{self}: it replied {code}").into(),
            _ => self.to_string().into(),
        }
    }
}

/// Reply codes from 500 on, but for 530, 534, 535 and 538 of RFC 4954, which are about the login.
fn is_about_the_mail_for_good(code: u16) -> bool {
    code >= 500 && !matches!(code, 530 | 534 | 535 | 538)
}
