//! What a client's HTTP stack does to headers after the client signed.
//!
//! `accept`, `accept-encoding`, `connection`, `content-length` and `user-agent` are written or
//! rewritten by HTTP stacks and proxies. A [`TransportProfile`] says for each of the five whether
//! the client signed it as it arrives, or as a fixed value. Every other covered header is always
//! as received.

/// Most profiles that one check holds. Each is one more text that a forged signature makes the
/// server verify.
pub const MAX_PROFILES: usize = 8;

/// A header that HTTP stacks rewrite. The discriminant is its place in the canonical text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportHeader {
    /// `accept`
    Accept = 0,
    /// `accept-encoding`
    AcceptEncoding = 1,
    /// `connection`
    Connection = 3,
    /// `content-length`
    ContentLength = 4,
    /// `user-agent`
    UserAgent = 7,
}

impl TransportHeader {
    const ALL: [Self; 5] = [
        Self::Accept,
        Self::AcceptEncoding,
        Self::Connection,
        Self::ContentLength,
        Self::UserAgent,
    ];

    const fn rule(self) -> usize {
        match self {
            Self::Accept => 0,
            Self::AcceptEncoding => 1,
            Self::Connection => 2,
            Self::ContentLength => 3,
            Self::UserAgent => 4,
        }
    }

    /// Its place among the covered headers.
    pub(super) const fn position(self) -> usize {
        self as usize
    }
}

/// What the client signed for a transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportValue {
    /// The value that arrives, or the empty string where none does.
    AsReceived,
    /// This text, whatever arrives.
    Fixed(&'static str),
}

/// What a kind of client signs for the five [`TransportHeader`]s.
///
/// ```
/// use tower_registration::signature::{TransportHeader, TransportProfile, TransportValue};
///
/// // A proxy in front of us replaces `user-agent`; our clients sign none.
/// const BEHIND_PROXY: TransportProfile = TransportProfile::as_received("behind-proxy")
///     .with(TransportHeader::UserAgent, TransportValue::Fixed(""));
/// assert_eq!(BEHIND_PROXY.name(), "behind-proxy");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportProfile {
    name: &'static str,
    rules: [TransportValue; 5],
}

impl TransportProfile {
    /// `node`: as received, but `connection` empty. The Node client's stack adds it after signing.
    pub const NODE: Self =
        Self::as_received("node").with(TransportHeader::Connection, TransportValue::Fixed(""));

    /// `received`: all five as received.
    pub const RECEIVED: Self = Self::as_received("received");

    /// `shell`: `accept` is `application/json`; `accept-encoding`, `connection` and `user-agent`
    /// are empty; `content-length` is as received. The reference's shell sample signs so.
    pub const SHELL: Self = Self::as_received("shell")
        .with(
            TransportHeader::Accept,
            TransportValue::Fixed("application/json"),
        )
        .with(TransportHeader::AcceptEncoding, TransportValue::Fixed(""))
        .with(TransportHeader::Connection, TransportValue::Fixed(""))
        .with(TransportHeader::UserAgent, TransportValue::Fixed(""));

    /// The built-in profiles, in the order in which they are tried unless set otherwise.
    pub const DEFAULT: &'static [Self] = &[Self::NODE, Self::RECEIVED, Self::SHELL];

    /// A profile under which all five are as received. The name is for logs and proofs.
    #[must_use]
    pub const fn as_received(name: &'static str) -> Self {
        Self {
            name,
            rules: [TransportValue::AsReceived; 5],
        }
    }

    /// The same profile with another rule for one header.
    #[must_use]
    pub const fn with(mut self, header: TransportHeader, value: TransportValue) -> Self {
        self.rules[header.rule()] = value;
        self
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The headers whose value it fixes, with the values.
    pub(super) fn fixed(&self) -> impl Iterator<Item = (TransportHeader, &'static str)> + '_ {
        TransportHeader::ALL
            .into_iter()
            .filter_map(|header| match self.rules[header.rule()] {
                TransportValue::AsReceived => None,
                TransportValue::Fixed(text) => Some((header, text)),
            })
    }
}
