//! The key under which codes are kept.
//!
//! 1. From one secret of 32 bytes, HKDF-SHA256 (RFC 5869) derives three independent keys: for
//!    digests, for seals, for message ids.
//! 2. A digest is HMAC-SHA256 of organisation, user, generation and code. A code guessed for one
//!    user, or kept from an earlier generation, matches nothing.
//! 3. A seal is ChaCha20-Poly1305 with a random nonce; organisation, user and generation are its
//!    associated data. Moved to another row, it does not open.
//! 4. All processes on one store have the same secret. With another one, the codes in the store
//!    are dead and owed mails can't be sent: users ask for new ones.
//!
//! ```
//! use tower_registration::registration::{OrgId, RegistrationKey, UserId, Username};
//!
//! let key = RegistrationKey::from_hex(&"5a".repeat(32)).unwrap();
//! let user = UserId {
//!     org_id: OrgId::new("example-org-id").unwrap(),
//!     username: Username::new("jane@example.co").unwrap(),
//! };
//! let code = "1234-5678-9012-3456".parse().unwrap();
//! let sealed = key.seal(&user, 1, &code, [7; 12]);
//! assert_eq!(key.open(&user, 1, &sealed).unwrap().expose(), code.expose());
//! assert!(key.open(&user, 2, &sealed).is_err());
//! ```

use std::fmt;

use ring::{
    aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

use super::{
    UserId,
    code::{CodeDigest, NewCode, RegistrationCode, SealedCode, WRITTEN},
};
use crate::secret::SecretString;

/// Bytes of the secret.
pub const KEY_BYTES: usize = 32;
/// Separates these keys from all others that could be derived from the same secret.
const SALT: &[u8] = b"tower-registration/1";
/// Bytes of the message id's MAC that are shown: 128 bits, so that no two mails share one.
const ID_BYTES: usize = 16;

/// Keys the digests of codes and seals owed mails. Not shown by `Debug`.
#[derive(Clone)]
pub struct RegistrationKey {
    secret: Zeroizing<[u8; KEY_BYTES]>,
    digests: hmac::Key,
    seals: LessSafeKey,
    message_ids: hmac::Key,
}

/// A secret that makes no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// Not 64 characters.
    #[error("the registration key has {0} characters: write {KEY_BYTES} random bytes as {len} hex digits", len = 2 * KEY_BYTES)]
    Length(usize),
    /// Something else than hex digits.
    #[error("the registration key is not hex: use the digits 0 to 9 and a to f alone")]
    NotHex,
    /// Zeros alone, which is what forgotten configuration looks like.
    #[error("the registration key is all zeros: use {KEY_BYTES} random bytes")]
    AllZero,
}

/// The system's random generator did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator failed")]
#[non_exhaustive]
pub struct GeneratorFailed;

/// A seal that this key did not make for this user and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed code does not open: it was sealed with another key, or has been changed")]
#[non_exhaustive]
pub struct SealBroken;

impl RegistrationKey {
    /// The key of 32 random bytes.
    ///
    /// # Errors
    ///
    /// If all of them are zero.
    pub fn from_bytes(secret: [u8; KEY_BYTES]) -> Result<Self, InvalidKey> {
        let secret = Zeroizing::new(secret);
        if *secret == [0; KEY_BYTES] {
            return Err(InvalidKey::AllZero);
        }
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(&secret[..]);
        Ok(Self {
            digests: derived(&root, &[b"digest"], hmac::HMAC_SHA256),
            seals: LessSafeKey::new(derived::<_, UnboundKey>(
                &root,
                &[b"seal"],
                &aead::CHACHA20_POLY1305,
            )),
            message_ids: derived(&root, &[b"message id"], hmac::HMAC_SHA256),
            secret,
        })
    }

    /// The key that stands in a configuration as 64 hex digits, upper or lower case; white space
    /// at the ends is ignored.
    ///
    /// # Errors
    ///
    /// If it has another length, other characters, or is all zeros.
    pub fn from_hex(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim();
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        if text.len() != 2 * KEY_BYTES {
            return Err(InvalidKey::Length(text.chars().count()));
        }
        for (byte, digits) in secret.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| {
                char::from(digits[at])
                    .to_digit(16)
                    .ok_or(InvalidKey::NotHex)
            };
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).map_err(|_| InvalidKey::NotHex)?;
        }
        Self::from_bytes(*secret)
    }

    /// A new key. Keep its [`to_hex`](Self::to_hex): without it, the codes in the store are lost.
    ///
    /// # Errors
    ///
    /// If the system's generator fails.
    pub fn generate() -> Result<Self, GeneratorFailed> {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        fill(&mut secret[..])?;
        Self::from_bytes(*secret).map_err(|_| GeneratorFailed)
    }

    /// The secret as [`from_hex`](Self::from_hex) reads it.
    #[must_use]
    pub fn to_hex(&self) -> SecretString {
        hex(&self.secret[..]).into()
    }

    /// The digest of `code` as the code of this user and generation.
    #[must_use]
    pub fn digest(&self, user: &UserId, generation: u64, code: &RegistrationCode) -> CodeDigest {
        let mut mac = hmac::Context::with_key(&self.digests);
        mac.update(&binding(user, generation));
        mac.update(code.expose().as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(mac.sign().as_ref());
        CodeDigest(digest)
    }

    /// Seals `code` for this user and generation. `nonce` is random, and never used twice.
    ///
    /// # Panics
    ///
    /// Never: a code is far shorter than what the cipher takes.
    #[must_use]
    pub fn seal(
        &self,
        user: &UserId,
        generation: u64,
        code: &RegistrationCode,
        nonce: [u8; NONCE_LEN],
    ) -> SealedCode {
        let mut text = Zeroizing::new([0; WRITTEN]);
        text.copy_from_slice(code.expose().as_bytes());
        let tag = self
            .seals
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(binding(user, generation)),
                &mut text[..],
            )
            .expect("a code is short");
        SealedCode([&nonce[..], &text[..], tag.as_ref()].concat())
    }

    /// Opens what [`seal`](Self::seal) made for the same user and generation.
    ///
    /// # Errors
    ///
    /// If another key, user or generation sealed it, or a bit has changed.
    pub fn open(
        &self,
        user: &UserId,
        generation: u64,
        sealed: &SealedCode,
    ) -> Result<RegistrationCode, SealBroken> {
        let (nonce, text) = sealed.0.split_first_chunk().ok_or(SealBroken)?;
        let mut text = Zeroizing::new(text.to_vec());
        let opened = self.seals.open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(binding(user, generation)),
            &mut text,
        );
        let code = std::str::from_utf8(opened.map_err(|_| SealBroken)?).map_err(|_| SealBroken)?;
        code.parse().map_err(|_| SealBroken)
    }

    /// The id of the mail with this user's code of this generation, 32 hex digits: the same for
    /// each try, and telling nothing to who has not the key.
    #[must_use]
    pub fn message_id(&self, user: &UserId, generation: u64) -> String {
        let mac = hmac::sign(&self.message_ids, &binding(user, generation));
        hex(&mac.as_ref()[..ID_BYTES])
    }

    /// Draws, digests and seals a code from the system's generator.
    pub(super) fn new_code(
        &self,
        user: &UserId,
        generation: u64,
    ) -> Result<NewCode, GeneratorFailed> {
        let code = RegistrationCode::draw(fill)?;
        let mut nonce = [0; NONCE_LEN];
        fill(&mut nonce)?;
        Ok(NewCode {
            digest: self.digest(user, generation, &code),
            sealed: self.seal(user, generation, &code, nonce),
        })
    }
}

impl fmt::Debug for RegistrationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistrationKey(..)")
    }
}

/// Fills `bytes` from the system's generator.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), GeneratorFailed> {
    SystemRandom::new().fill(bytes).map_err(|_| GeneratorFailed)
}

fn derived<'a, L, K>(root: &'a hkdf::Prk, info: &'a [&'a [u8]], kind: L) -> K
where
    L: hkdf::KeyType,
    K: From<hkdf::Okm<'a, L>>,
{
    let okm = root.expand(info, kind);
    okm.expect("HKDF yields 255 times what these keys take")
        .into()
}

/// Organisation, username and generation as bytes, no two alike: the texts' lengths come first.
fn binding(user: &UserId, generation: u64) -> Vec<u8> {
    let (org, name) = (user.org_id.as_str(), user.username.as_str());
    let mut bytes = Vec::with_capacity(3 * size_of::<u64>() + org.len() + name.len());
    for text in [org, name] {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::registration::{OrgId, Username};

    fn user(org: &str, name: &str) -> UserId {
        UserId {
            org_id: OrgId::new(org).unwrap(),
            username: Username::new(name).unwrap(),
        }
    }

    fn jane() -> UserId {
        user("org", "jane@example.co")
    }

    fn key(byte: u8) -> RegistrationKey {
        RegistrationKey::from_bytes([byte; KEY_BYTES]).unwrap()
    }

    fn code() -> RegistrationCode {
        "1234-5678-9012-3456".parse().unwrap()
    }

    #[test]
    fn a_key_is_refused_with_what_to_change() {
        let refused = |text: &str| RegistrationKey::from_hex(text).unwrap_err();
        assert_eq!(refused(&"a".repeat(63)), InvalidKey::Length(63));
        assert_eq!(refused(&"a".repeat(65)), InvalidKey::Length(65));
        assert_eq!(refused(&"g".repeat(64)), InvalidKey::NotHex);
        assert_eq!(refused(&"ä".repeat(32)), InvalidKey::NotHex);
        assert_eq!(refused(&"+1".repeat(32)), InvalidKey::NotHex);
        assert_eq!(refused(&"0".repeat(64)), InvalidKey::AllZero);
    }

    #[test]
    fn a_generated_key_can_be_kept_as_hex() {
        let key = RegistrationKey::generate().unwrap();
        let hex = key.to_hex();
        let again = RegistrationKey::from_hex(&format!("{}\n", hex.expose().to_uppercase()));
        let digest = |key: &RegistrationKey| key.digest(&jane(), 1, &code());
        assert_eq!(digest(&again.unwrap()), digest(&key));
        assert_ne!(digest(&RegistrationKey::generate().unwrap()), digest(&key));
    }

    #[test]
    fn a_digest_depends_on_key_user_generation_and_code() {
        let digest = key(1).digest(&jane(), 1, &code());
        assert_eq!(digest, key(1).digest(&jane(), 1, &code()));
        assert_ne!(digest, key(2).digest(&jane(), 1, &code()));
        assert_ne!(
            digest,
            key(1).digest(&user("org", "john@example.co"), 1, &code())
        );
        assert_ne!(
            digest,
            key(1).digest(&user("orh", "jane@example.co"), 1, &code())
        );
        assert_ne!(
            key(1).digest(&user("org", "ajane@example.co"), 1, &code()),
            key(1).digest(&user("orga", "jane@example.co"), 1, &code()),
            "where the organisation ends counts"
        );
        assert_ne!(digest, key(1).digest(&jane(), 2, &code()));
        assert_ne!(
            digest,
            key(1).digest(&jane(), 1, &"1".repeat(16).parse().unwrap())
        );
    }

    #[test]
    fn a_seal_opens_for_its_own_key_user_and_generation_alone() {
        let sealed = key(1).seal(&jane(), 1, &code(), [7; NONCE_LEN]);
        assert_eq!(
            key(1).open(&jane(), 1, &sealed).unwrap().expose(),
            code().expose()
        );
        assert!(key(2).open(&jane(), 1, &sealed).is_err());
        assert!(
            key(1)
                .open(&user("org", "john@example.co"), 1, &sealed)
                .is_err()
        );
        assert!(key(1).open(&jane(), 2, &sealed).is_err());
        for at in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[at] ^= 1;
            assert!(key(1).open(&jane(), 1, &changed).is_err(), "byte {at}");
            changed.0.truncate(at);
            assert!(key(1).open(&jane(), 1, &changed).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn new_codes_differ_and_match_their_digests() {
        let first = key(1).new_code(&jane(), 1).unwrap();
        let second = key(1).new_code(&jane(), 1).unwrap();
        assert_ne!(first.digest, second.digest);
        let opened = key(1).open(&jane(), 1, &first.sealed).unwrap();
        assert_eq!(key(1).digest(&jane(), 1, &opened), first.digest);
    }

    #[test]
    fn a_message_id_is_the_same_for_each_try_and_new_for_each_code() {
        let id = key(1).message_id(&jane(), 1);
        assert_eq!(id, key(1).message_id(&jane(), 1));
        assert_eq!(id.len(), 32);
        assert_ne!(id, key(1).message_id(&jane(), 2));
        assert_ne!(id, key(2).message_id(&jane(), 1));
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = key(0x5a);
        let new = key.new_code(&jane(), 1).unwrap();
        assert_eq!(format!("{key:?}"), "RegistrationKey(..)");
        assert_eq!(
            format!("{new:?}"),
            "NewCode { digest: CodeDigest(..), sealed: SealedCode(..) }"
        );
    }

    proptest! {
        #[test]
        fn no_two_users_or_generations_share_a_binding(
            org in "[ab]{1,3}", name in "[ab]{1,3}", generation in 0_u64..4,
            other_org in "[ab]{1,3}", other_name in "[ab]{1,3}", other_generation in 0_u64..4,
        ) {
            let one = user(&org, &format!("{name}@b"));
            let other = user(&other_org, &format!("{other_name}@b"));
            prop_assert_eq!(
                binding(&one, generation) == binding(&other, other_generation),
                one == other && generation == other_generation
            );
        }
    }
}
