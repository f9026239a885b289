//! Which user: an organisation's id and an e-mail address.

use std::fmt;

use email_address::{EmailAddress, Options};

/// Shortest username, in bytes after trimming.
pub const MIN_USERNAME: usize = 3;
/// Longest username, in bytes after trimming: what RFC 5321 leaves of a path for the address.
pub const MAX_USERNAME: usize = 254;
/// Longest organisation id, in bytes.
pub const MAX_ORG_ID: usize = 128;

/// An e-mail address that names a user. Spellings that differ in case alone are one user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Username(String);

/// A text that is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no e-mail address of {MIN_USERNAME} to {MAX_USERNAME} bytes")]
#[non_exhaustive]
pub struct InvalidUsername;

impl Username {
    /// Reads an address: trimmed, [`MIN_USERNAME`] to [`MAX_USERNAME`] bytes as written and in
    /// lower case, no control characters. What [`as_str`](Self::as_str) gives reads as itself.
    ///
    /// ```
    /// use tower_registration::registration::Username;
    ///
    /// assert_eq!(Username::new(" Jane@Example.co "), Username::new("jane@example.co"));
    /// assert!(Username::new("jane").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// If `address` is none.
    pub fn new(address: &str) -> Result<Self, InvalidUsername> {
        let address = address.trim();
        let sized = |text: &str| (MIN_USERNAME..=MAX_USERNAME).contains(&text.len());
        if !sized(address) || address.chars().any(char::is_control) {
            return Err(InvalidUsername);
        }
        // What is kept has to be an address too, or a store could not read it back: in lower case
        // some letters are longer, and one is no letter any more.
        let address = address.to_lowercase();
        if !sized(&address) {
            return Err(InvalidUsername);
        }
        let no_display_name = Options::default().without_display_text();
        EmailAddress::parse_with_options(&address, no_display_name).map_err(|_| InvalidUsername)?;
        Ok(Self(address))
    }

    /// The address in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An organisation's globally unique id: printable ASCII, compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrgId(String);

/// A text that is no organisation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no organisation id of 1 to {MAX_ORG_ID} printable ASCII characters")]
#[non_exhaustive]
pub struct InvalidOrgId;

impl OrgId {
    /// Reads an id of 1 to [`MAX_ORG_ID`] printable ASCII characters.
    ///
    /// # Errors
    ///
    /// If `id` is none.
    pub fn new(id: &str) -> Result<Self, InvalidOrgId> {
        let printable = id.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if printable && (1..=MAX_ORG_ID).contains(&id.len()) {
            Ok(Self(id.to_owned()))
        } else {
            Err(InvalidOrgId)
        }
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which user: the key of a [`Registration`](super::Registration) in its store. These two name a user, and
/// nothing will be added to them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId {
    /// The organisation.
    pub org_id: OrgId,
    /// The user's name in it.
    pub username: Username,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(length: usize) -> String {
        let domain = "@example.co".to_owned();
        let local = "a".repeat(64.min(length - domain.len()));
        let label = "b".repeat(63);
        let mut address = local + "@";
        while address.len() + 64 + "example.co".len() < length {
            address = address + &label + ".";
        }
        let rest = length - address.len() - ".co".len();
        address + &"c".repeat(rest) + ".co"
    }

    #[test]
    fn a_username_is_accepted_up_to_its_bounds() {
        assert!(Username::new("a@b").is_ok());
        assert!(Username::new("@b").is_err());
        assert_eq!(address_of(MAX_USERNAME).len(), MAX_USERNAME);
        assert!(Username::new(&address_of(MAX_USERNAME)).is_ok());
        assert!(Username::new(&address_of(MAX_USERNAME + 1)).is_err());
    }

    #[test]
    fn white_space_and_case_make_no_other_user() {
        assert_eq!(
            Username::new("\tJÜRGEN@Example.CO\n").unwrap().as_str(),
            "jürgen@example.co"
        );
    }

    #[test]
    fn a_username_reads_back_as_itself_though_its_lower_case_be_longer() {
        // Two bytes, and three in lower case; a local part has 64.
        let named = |count| Username::new(&("\u{23a}".repeat(count) + "@example.co"));
        let longest = named(21).unwrap();
        assert_eq!(Username::new(longest.as_str()), Ok(longest));
        assert!(named(22).is_err());
        let labels = vec!["\u{23a}".repeat(21); 4].join(".");
        assert!(labels.len() < MAX_USERNAME - "a@.co".len());
        assert!(Username::new(&format!("a@{labels}.co")).is_err());
        // In lower case an `i` and a combining dot, which the library takes for no address.
        assert!(Username::new("\u{130}zmir@example.co").is_err());
    }

    #[test]
    fn control_characters_are_no_part_of_an_address() {
        assert!(Username::new("jane\r\nBcc: all@example.co").is_err());
        assert!(Username::new("jane\u{0}@example.co").is_err());
        assert!(Username::new("jane\u{85}@example.co").is_err());
    }

    #[test]
    fn an_org_id_is_printable_ascii_up_to_its_bound() {
        assert!(OrgId::new(&"o".repeat(MAX_ORG_ID)).is_ok());
        assert!(OrgId::new(&"o".repeat(MAX_ORG_ID + 1)).is_err());
        assert!(OrgId::new("").is_err());
        assert!(OrgId::new("o\t").is_err());
        assert!(OrgId::new("ö").is_err());
        assert_ne!(OrgId::new("O"), OrgId::new("o"));
    }
}
