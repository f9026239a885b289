//! Who signed: the canonical text of a request, the keys, and the check of the API signature.
//!
//! 1. Client and server build the same text from a request ([`CanonicalRequest`]): twelve headers,
//!    authority, body, method, path and scheme.
//! 2. The algorithm comes from the registered key ([`VerifyingKey`]), never from the request: RSA
//!    means `RS256`, P-256 `ES256`, Ed25519 `EdDSA`.
//! 3. Headers that HTTP stacks and proxies rewrite after signing are covered by an ordered list of
//!    [`TransportProfile`]s. A signature is good if one of the application's keys verifies it under
//!    one of the profiles ([`verify`]).
//! 4. A server-side application has to sign each request; a client-side one has no key, and a
//!    signature that it sends all the same is ignored ([`SignatureCheck`]).
//!
//! The text is the signing input of a JWS in compact form (RFC 7515) whose payload is detached: the
//! header of the request carries the signature alone.
//!
//! # Behind a proxy
//!
//! What a proxy rewrites no longer verifies, unless a setting or a profile says what the client
//! saw: set [`authority`](SignatureCheckBuilder::authority) to the public name where `Host` is
//! replaced, and add a [`TransportProfile`] where one of its headers is. A proxy that changes
//! `content-type`, path or query breaks every signature.
//!
//! # Example
//!
//! ```
//! use http::{HeaderMap, Method};
//! use tower_registration::{
//!     headers::HeaderNames,
//!     signature::{
//!         ApiSignature, CanonicalRequest, RequestParts, SigningKey, TransportProfile, verify,
//!     },
//! };
//!
//! let key = SigningKey::from_pem(
//!     "-----BEGIN PRIVATE KEY-----\n\
//!      MC4CAQAwBQYDK2VwBCIEIBftnHPp22SewYmmEoMcX8VwI4IHwaqd+9LFPj/15eqF\n\
//!      -----END PRIVATE KEY-----\n",
//! )?;
//! let (names, headers) = (HeaderNames::default(), HeaderMap::new());
//! let request = |body: &'static [u8]| {
//!     CanonicalRequest::of(RequestParts {
//!         method: &Method::PUT,
//!         scheme: "https",
//!         authority: "api.example.com",
//!         path_and_query: "/auth/registration/code",
//!         host: "api.example.com",
//!         headers: &headers,
//!         names: &names,
//!         body,
//!     })
//! };
//! let input = request(b"{}")?.signing_input(&TransportProfile::RECEIVED, key.algorithm());
//! let signature = ApiSignature::decode(&key.sign(input.as_str())?)?;
//!
//! let keys = [key.verifying_key().clone()];
//! let profiles = TransportProfile::DEFAULT;
//! assert!(verify(&signature, &request(b"{}")?, profiles, &keys).is_ok());
//! assert!(verify(&signature, &request(b"[]")?, profiles, &keys).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod canonical;
mod check;
mod explain;
#[cfg(test)]
mod foreign_tests;
mod key;
mod pem;
mod profile;
mod settings;
mod sign;
mod verify;

pub use body::{
    BodyLimits, Buffering, CheckedBody, DEFAULT_BODY_TIMEOUT, DEFAULT_MAX_BODY_BYTES,
    InvalidBodyLimits,
};
pub use canonical::{CanonicalError, CanonicalRequest, RequestParts, SigningInput};
pub use check::{ApiSignatureLayer, SignatureCheck, SignaturePending};
pub use explain::Explain;
pub use key::{MAX_RSA_BITS, MIN_RSA_BITS, SigningAlgorithm, VerifyingKey};
pub use pem::KeyError;
pub use profile::{MAX_PROFILES, TransportHeader, TransportProfile, TransportValue};
pub use settings::{DEFAULT_SCHEME, SignatureCheckBuilder, SignatureConfigError};
pub use sign::{MAX_RSA_SIGNING_BITS, SigningFailed, SigningKey};
pub use verify::{
    ApiSignature, MAX_KEYS, MAX_SIGNATURE_BYTES, SignatureDecodeError, SignatureError, verify,
};

pub(crate) use body::{collect, collect_unread};
#[cfg(feature = "client")]
pub(crate) use settings::{read_authority, read_scheme};
