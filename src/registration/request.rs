//! Reading the bodies of the endpoint, and of the step after the mail.

use std::borrow::Cow;

use super::{InvalidOrgId, InvalidUsername, OrgId, UserId, Username};
use crate::{
    members::{self, MembersError},
    secret::SecretString,
};

pub(super) const USERNAME: &str = "username";
pub(super) const ORG_ID: &str = "orgId";
const REGISTRATION_CODE: &str = "registrationCode";

/// What a caller asks for: a new code for this user.
///
/// ```
/// use tower_registration::registration::{BodyError, ResendRequest};
///
/// let request = ResendRequest::parse(br#"{"username": "jane@example.co", "orgId": "o-1"}"#);
/// assert_eq!(request.unwrap().user.username.as_str(), "jane@example.co");
///
/// let refused = ResendRequest::parse(br#"{"username": "jane@example.co"}"#).unwrap_err();
/// assert_eq!(refused.to_string(), "orgId is missing");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResendRequest {
    /// Which user.
    pub user: UserId,
}

/// Why a body can't be read. The text goes to the caller: it names the member and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// No JSON object, or not that alone.
    #[error("body is not a JSON object")]
    NotAnObject,
    /// A member comes twice.
    #[error("body has a member twice")]
    Twice,
    /// A member is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member is no string.
    #[error("{0} is not a string")]
    NotText(&'static str),
    /// The username is no e-mail address.
    #[error("{USERNAME} is {0}")]
    Username(#[from] InvalidUsername),
    /// The organisation's id is none.
    #[error("{ORG_ID} is {0}")]
    OrgId(#[from] InvalidOrgId),
}

impl ResendRequest {
    /// Reads a body: a JSON object with `username` and `orgId`, both strings; other members are
    /// ignored, a member twice is refused.
    ///
    /// # Errors
    ///
    /// Names the first thing that is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let [username, org_id] = read(body, [USERNAME, ORG_ID])?;
        let user = user(&username, &org_id)?;
        Ok(Self { user })
    }
}

/// What the step after the mail gets: this user shows this code. `Debug` does not show it.
///
/// ```
/// use tower_registration::registration::RedeemRequest;
///
/// let body = br#"{"username": "jane@example.co", "orgId": "o-1", "registrationCode": "1234"}"#;
/// assert_eq!(RedeemRequest::parse(body).unwrap().code.expose(), "1234");
///
/// let refused = RedeemRequest::parse(br#"{"username": "jane@example.co", "orgId": "o-1"}"#);
/// assert_eq!(refused.unwrap_err().to_string(), "registrationCode is missing");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedeemRequest {
    /// Which user.
    pub user: UserId,
    /// What the user takes for the code; [`Registrations::redeem`](super::Registrations::redeem)
    /// says whether it is.
    pub code: SecretString,
}

impl RedeemRequest {
    /// Reads a body: as [`ResendRequest::parse`], and `registrationCode`, any string.
    ///
    /// # Errors
    ///
    /// Names the first thing that is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let [username, org_id, code] = read(body, [USERNAME, ORG_ID, REGISTRATION_CODE])?;
        Ok(Self {
            user: user(&username, &org_id)?,
            code: SecretString::from(&*code),
        })
    }
}

fn read<'a, const N: usize>(
    body: &'a [u8],
    names: [&'static str; N],
) -> Result<[Cow<'a, str>; N], BodyError> {
    members::read(body, names.each_ref().map(std::slice::from_ref)).map_err(|error| match error {
        MembersError::NotAnObject => BodyError::NotAnObject,
        MembersError::Twice => BodyError::Twice,
        MembersError::Missing(place) => BodyError::Missing(names[place]),
        MembersError::NotText(place) => BodyError::NotText(names[place]),
    })
}

fn user(username: &str, org_id: &str) -> Result<UserId, BodyError> {
    Ok(UserId {
        username: Username::new(username)?,
        org_id: OrgId::new(org_id)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_refused(body: &str, message: &str) {
        let error = ResendRequest::parse(body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), message, "{body}");
    }

    #[test]
    fn a_refusal_names_the_member_and_nothing_else() {
        assert_refused("", "body is not a JSON object");
        assert_refused(r#"["jane@example.co","o"]"#, "body is not a JSON object");
        assert_refused(r#"{"orgId":"o"}"#, "username is missing");
        assert_refused(r#"{"username":"a@b.co"}"#, "orgId is missing");
        assert_refused(r#"{"username":1,"orgId":"o"}"#, "username is not a string");
        assert_refused(
            r#"{"username":"a@b.co","orgId":null}"#,
            "orgId is not a string",
        );
        assert_refused(
            r#"{"username":"a@b.co","orgId":"o","orgId":"o"}"#,
            "body has a member twice",
        );
        assert_refused(
            r#"{"username":"jane","orgId":"o"}"#,
            "username is no e-mail address of 3 to 254 bytes",
        );
        assert_refused(
            r#"{"username":"a@b.co","orgId":""}"#,
            "orgId is no organisation id of 1 to 128 printable ASCII characters",
        );
    }

    #[test]
    fn a_name_with_a_display_name_is_no_address() {
        assert!(
            ResendRequest::parse(br#"{"username":"Jane <jane@example.co>","orgId":"o"}"#).is_err()
        );
    }
}
