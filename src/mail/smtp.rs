//! Connections to an SMTP server, each used by one send at a time.
//!
//! 1. A send owns its connection. Dropped half-way, it takes the connection with it, so that no
//!    other mail ever reads what was meant for this one, and nothing more is sent.
//! 2. A connection is kept only after the server's last answer was read. Kept ones are asked
//!    whether they live before they are used, and closed when they have idled.
//!
//! lettre's own pool does neither: it takes back the connection of a send that was dropped, and
//! says farewell to broken ones for as long as a silent server likes.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use lettre::{
    Message,
    transport::smtp::{
        SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Tls, TlsParameters},
        extension::ClientId,
    },
};
use percent_encoding::percent_decode_str;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use url::Url;

use super::LettreError;

/// Connections that are kept between mails: as many as a mailer is likely to use at once.
const MAX_IDLE: usize = 8;
/// How long a connection is kept unused: servers close theirs after some minutes.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);
/// Mails over one connection; many servers refuse more than some hundreds.
const MAX_MAILS: u32 = 100;
/// How long a kept connection's server may take to say that it is there, and to say farewell.
const SMALL_TALK: Duration = Duration::from_secs(2);

/// Where a server is, and how it is talked to.
pub(super) struct Server {
    host: String,
    port: u16,
    tls: Tls,
    login: Option<Credentials>,
    hello: ClientId,
}

impl Server {
    /// What is wrong with the URL is told in words that repeat nothing of it.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let url = Url::parse(url).map_err(|_| "it can't be read")?;
        // What stands around an IPv6 address in URLs.
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err("it names no host");
        }
        let (tls, port) = security(&url, &host)?;
        let hello = match url.path().trim_matches('/') {
            "" => ClientId::default(),
            name => ClientId::Domain(name.to_owned()),
        };
        Ok(Self {
            port: url.port().unwrap_or(port),
            tls,
            login: login(&url)?,
            hello,
            host,
        })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, LettreError> {
        let mut connection = self.reach().await?;
        let hello = &self.hello;
        let secured = match &self.tls {
            Tls::Required(parameters) => connection.starttls(parameters.clone(), hello).await,
            Tls::Opportunistic(parameters) if connection.can_starttls() => {
                connection.starttls(parameters.clone(), hello).await
            }
            _ => Ok(()),
        };
        secured.map_err(LettreError::refused)?;
        if let Some(login) = &self.login {
            let welcome = connection.auth(DEFAULT_MECHANISMS, login).await;
            welcome.map_err(LettreError::refused)?;
        }
        Ok(connection)
    }

    async fn reach(&self) -> Result<AsyncSmtpConnection, LettreError> {
        let (server, hello) = ((self.host.as_str(), self.port), &self.hello);
        let reached = if let Tls::Wrapper(parameters) = &self.tls {
            // TLS from the start has no other entrance. Whoever waits bounds the time.
            let tls = Some(parameters.clone());
            AsyncSmtpConnection::connect_tokio1(server, None, hello, tls, None).await
        } else {
            let stream = TcpStream::connect(server).await;
            let stream = stream.map_err(LettreError::Connect)?;
            // lettre writes a mail's end apart from the rest, and it would wait, by Nagle's rule,
            // until the server has acknowledged the rest: 40 ms a mail.
            stream.set_nodelay(true).map_err(LettreError::Connect)?;
            AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello).await
        };
        reached.map_err(LettreError::refused)
    }
}

/// How the connection is secured, and the port where servers expect that.
fn security(url: &Url, host: &str) -> Result<(Tls, u16), &'static str> {
    let mut query = url.query_pairs();
    let tls = query.find_map(|(name, value)| (name == "tls").then_some(value));
    let parameters = || TlsParameters::new(host.to_owned()).map_err(|_| "TLS can't be set up");
    match (url.scheme(), tls.as_deref()) {
        ("smtps", None) => Ok((Tls::Wrapper(parameters()?), SUBMISSIONS_PORT)),
        ("smtp", None) => Ok((Tls::None, SMTP_PORT)),
        ("smtp", Some("required")) => Ok((Tls::Required(parameters()?), SUBMISSION_PORT)),
        ("smtp", Some("opportunistic")) => Ok((Tls::Opportunistic(parameters()?), SUBMISSION_PORT)),
        ("smtp", Some(_)) => Err("`tls` is `required` or `opportunistic`"),
        ("smtps", Some(_)) => Err("`smtps` is TLS from the start: it takes no `tls`"),
        _ => Err("its scheme is neither `smtp` nor `smtps`"),
    }
}

fn login(url: &Url) -> Result<Option<Credentials>, &'static str> {
    let decoded = |text| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err("user and password are not UTF-8"),
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, Some(password)) => Ok(Some(Credentials::new(decoded(user)?, decoded(password)?))),
        (_, None) => Err("it has a user without a password"),
    }
}

/// A server and the connections to it that are free.
pub(super) struct Pool {
    server: Server,
    free: Mutex<Free>,
}

#[derive(Default)]
struct Free {
    /// The one used last at the end.
    connections: Vec<Kept>,
    /// Whether a task closes what has idled.
    swept: bool,
}

struct Kept {
    connection: AsyncSmtpConnection,
    mails: u32,
    since: Instant,
}

impl Pool {
    pub(super) fn new(server: Server) -> Arc<Self> {
        let free = Mutex::default();
        Arc::new(Self { server, free })
    }

    /// Hands one mail over. Whoever waits bounds the time: dropped, it ends its connection.
    pub(super) async fn send(self: &Arc<Self>, message: &Message) -> Result<(), LettreError> {
        let (mut connection, mails) = match self.take().await {
            Some(kept) => (kept.connection, kept.mails),
            None => (self.server.connect().await?, 0),
        };
        connection
            .send(message.envelope(), &message.formatted())
            .await
            .map_err(LettreError::smtp)?;
        self.keep(Kept {
            connection,
            mails: mails + 1,
            since: Instant::now(),
        });
        Ok(())
    }

    /// A connection that lives. If the one used last does not, the rest are not worth the wait.
    async fn take(&self) -> Option<Kept> {
        let mut kept = self.free().connections.pop()?;
        let lives = timeout(SMALL_TALK, kept.connection.test_connected()).await;
        if lives != Ok(true) {
            self.free().connections.clear();
            return None;
        }
        Some(kept)
    }

    fn keep(self: &Arc<Self>, kept: Kept) {
        let mut free = self.free();
        if kept.mails >= MAX_MAILS || free.connections.len() >= MAX_IDLE {
            drop(free);
            tokio::spawn(part(kept));
            return;
        }
        free.connections.push(kept);
        if !free.swept {
            free.swept = true;
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// What has idled, or `None` where no connection is left to idle.
    fn idled(&self) -> Option<Vec<Kept>> {
        let mut free = self.free();
        if free.connections.is_empty() {
            free.swept = false;
            return None;
        }
        let idled = |kept: &mut Kept| kept.since.elapsed() >= MAX_IDLE_TIME;
        Some(free.connections.extract_if(.., idled).collect())
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what has idled, as long as there is something, and a mailer.
async fn sweep(pool: Weak<Pool>) {
    loop {
        sleep(MAX_IDLE_TIME).await;
        let Some(idled) = pool.upgrade().and_then(|pool| pool.idled()) else {
            return;
        };
        for kept in idled {
            part(kept).await;
        }
    }
}

/// Says farewell; the connection ends, whatever the server says to that.
async fn part(mut kept: Kept) {
    let _ = timeout(SMALL_TALK, kept.connection.quit()).await;
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("host", &self.server.host)
            .field("port", &self.server.port)
            .field("free", &self.free().connections.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_says_where_and_how() {
        let rows = [
            ("smtp://mail.example.com", "mail.example.com", 25),
            ("smtp://[::1]:2525", "::1", 2525),
            (
                "smtp://mail.example.com?tls=required",
                "mail.example.com",
                587,
            ),
            (
                "smtps://u:p@mail.example.com/me.example.com",
                "mail.example.com",
                465,
            ),
        ];
        for (url, host, port) in rows {
            let server = Server::parse(url).unwrap_or_else(|wrong| panic!("{url}: {wrong}"));
            assert_eq!((server.host.as_str(), server.port), (host, port), "{url}");
        }
    }

    #[test]
    fn user_and_password_are_decoded() {
        let server = Server::parse("smtp://jane%40example.co:a%2Fb@localhost").unwrap();
        let expected = Credentials::new("jane@example.co".to_owned(), "a/b".to_owned());
        assert_eq!(server.login, Some(expected));
    }

    #[test]
    fn an_url_that_names_no_server_says_what_is_wrong() {
        let rows = [
            ("mail.example.com", "read"),
            ("http://mail.example.com", "scheme"),
            ("smtp:mail.example.com", "host"),
            ("smtp://mail.example.com?tls=perhaps", "tls"),
            ("smtps://mail.example.com?tls=required", "tls"),
            ("smtp://user@mail.example.com", "password"),
            ("smtp://u:%ff@mail.example.com", "UTF-8"),
        ];
        for (url, part) in rows {
            let wrong = Server::parse(url).err().unwrap_or_default();
            assert!(wrong.contains(part), "{url}: {wrong}");
        }
    }
}
