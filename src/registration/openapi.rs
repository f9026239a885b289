//! The endpoint as an OpenAPI 3.1 document, made of the bounds and tables that the service goes by.

use std::collections::BTreeMap;

use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};

use super::{
    MAX_ORG_ID, MAX_USERNAME, MIN_USERNAME, PATH, ResendRegistration,
    answer::{SUCCESS, success},
    request::{ORG_ID, USERNAME},
    service::Authority,
};
use crate::{
    headers::{Credential, HeaderNames},
    nonce::{MAX_RANDOM_CHARS, MIN_RANDOM_CHARS},
    rejection::{Rejection, RejectionKind},
    signature::BodyLimits,
};

/// What the operation does, for whoever calls it.
const DESCRIPTION: &str = "Sends the user a new registration code and makes the one before invalid. \
    A user who has completed registration gets nothing, and nothing changes. The answer is the \
    same for every user, known or not.";

impl<S, H> ResendRegistration<S, H> {
    /// The OpenAPI 3.1 document of the endpoint at [`PATH`], as JSON: request, credentials under
    /// these header names, and each answer. Of a service behind other authentication, it has
    /// neither the credentials nor the answers about them.
    ///
    /// The service knows neither where it is mounted nor what is mounted in front of it:
    ///
    /// 1. A second path, such as [`LATER_PATH`](super::LATER_PATH), is the embedder's to add.
    /// 2. `names` have to be those of the [`VerifyRequest`](crate::VerifyRequest) in front.
    /// 3. Behind that layer, the user action's header and the answers about it are always listed,
    ///    though no [verifier](crate::verify::VerifyBuilder::user_action) be mounted.
    ///
    /// What a schema can't say stands in the descriptions: a member twice is refused, lengths of
    /// usernames are in bytes, a nonce has to be new.
    ///
    /// ```
    /// use tower_registration::{
    ///     backend::memory::{MemoryMailer, MemoryRegistrations},
    ///     delivery::{Courier, Deliverer},
    ///     headers::HeaderNames,
    ///     registration::{RegistrationKey, Registrations, ResendRegistration},
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let registrations = Registrations::new(MemoryRegistrations::new(), RegistrationKey::generate()?);
    /// let courier = Courier::new(Deliverer::new(registrations.clone(), MemoryMailer::new()));
    /// let resend = ResendRegistration::builder(registrations, courier).build()?;
    ///
    /// let document: serde_json::Value =
    ///     serde_json::from_str(&resend.openapi(&HeaderNames::default()))?;
    /// let operation = &document["paths"]["/auth/manage/users/send-registration-email"]["put"];
    /// assert_eq!(operation["parameters"][0]["name"], "x-dfns-nonce");
    /// assert!(operation["responses"]["415"].is_object());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn openapi(&self, names: &HeaderNames) -> String {
        document(&self.shared.authority, self.shared.limits, names).to_string()
    }
}

fn document(authority: &Authority, limits: BodyLimits, names: &HeaderNames) -> Value {
    let is_verified = matches!(authority, Authority::VerifiedApp);
    let kinds = RejectionKind::ALL.iter().copied();
    let kinds: Vec<_> = kinds
        .filter(|kind| is_verified || !is_of_a_check(*kind))
        .collect();
    let mut operation = json!({
        "operationId": "sendRegistrationEmail",
        "summary": "Send a new registration code",
        "description": DESCRIPTION,
        "requestBody": request_body(limits),
        "responses": responses(&kinds),
    });
    let mut components = json!({"schemas": schemas(&kinds)});
    if is_verified {
        operation["parameters"] = parameters(names);
        operation["security"] = json!([
            {"appId": []},
            {"appId": [], "appSecret": [], "apiSignature": []},
        ]);
        components["securitySchemes"] = security_schemes(names);
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Registration e-mail", "version": env!("CARGO_PKG_VERSION")},
        "paths": {PATH: {"put": operation}},
        "components": components,
    })
}

/// Whether the layers in front of the service say this, rather than the service.
fn is_of_a_check(kind: RejectionKind) -> bool {
    use RejectionKind as Kind;
    match kind {
        Kind::NonceInvalid
        | Kind::NonceReplayed
        | Kind::UserActionReplayed
        | Kind::UserActionInvalid
        | Kind::AppInvalid
        | Kind::AppSecretInvalid
        | Kind::ApiSignatureInvalid
        | Kind::InternalError => true,
        Kind::BodyInvalid
        | Kind::PermissionDenied
        | Kind::MethodNotAllowed
        | Kind::BodyTimeout
        | Kind::BodyTooLarge
        | Kind::ContentTypeInvalid
        | Kind::Unavailable => false,
    }
}

fn security_schemes(names: &HeaderNames) -> Value {
    let scheme = |credential: Credential, what: &str| {
        let bytes = credential.max_length();
        json!({
            "type": "apiKey",
            "in": "header",
            "name": names.get(credential).as_str(),
            "description": format!("{what} At most {bytes} bytes; empty counts as absent."),
        })
    };
    json!({
        "appId": scheme(Credential::AppId, "The application's id."),
        "appSecret": scheme(
            Credential::AppSecret,
            "A secret of a server-side application.",
        ),
        "apiSignature": scheme(
            Credential::ApiSignature,
            "A server-side application's detached signature over the request, base64url.",
        ),
    })
}

fn parameters(names: &HeaderNames) -> Value {
    let parameter = |credential: Credential, is_required: bool, pattern: &str, what: &str| {
        json!({
            "name": names.get(credential).as_str(),
            "in": "header",
            "required": is_required,
            "description": what,
            "schema": {
                "type": "string",
                "maxLength": credential.max_length(),
                "pattern": pattern,
            },
        })
    };
    let nonce = format!(
        "base64url of a JSON object with a random `uuid` of {MIN_RANDOM_CHARS} to \
         {MAX_RANDOM_CHARS} characters and the current time as `date`, RFC 3339. New for each \
         request."
    );
    json!([
        parameter(Credential::Nonce, true, "^[A-Za-z0-9+/_-]+={0,2}$", &nonce),
        parameter(
            Credential::UserAction,
            false,
            r"^[\t -~]*$",
            "A one-time token for this very request, where the deployment asks for one.",
        ),
    ])
}

fn request_body(limits: BodyLimits) -> Value {
    json!({
        "required": true,
        "description": format!(
            "At most {} bytes, all of them there within {:?}.",
            limits.max_bytes(),
            limits.timeout(),
        ),
        "content": {"application/json": {"schema": reference("SendRegistrationEmail")}},
    })
}

/// Each answer under its status; kinds of one status share an entry.
fn responses(kinds: &[RejectionKind]) -> Value {
    let answer = success();
    let ok = response(
        "The same for every user.",
        answer.headers(),
        &reference("Success"),
    );
    let mut responses = Map::from_iter([(answer.status().as_str().to_owned(), ok)]);
    let mut by_status: BTreeMap<StatusCode, Vec<RejectionKind>> = BTreeMap::new();
    for kind in kinds {
        by_status.entry(kind.status()).or_default().push(*kind);
    }
    for (status, kinds) in by_status {
        let answer = Rejection::new(kinds[0], "").into_response();
        let messages: Vec<_> = kinds.iter().map(|kind| kind.message()).collect();
        let mut bodies: Vec<_> = kinds.iter().map(|kind| reference(kind.name())).collect();
        let body = match bodies.len() {
            1 => bodies.remove(0),
            _ => json!({"oneOf": bodies}),
        };
        responses.insert(
            status.as_str().to_owned(),
            response(&messages.join("; "), answer.headers(), &body),
        );
    }
    responses.into()
}

/// A response with these headers, each with its one value.
fn response(description: &str, headers: &HeaderMap, body: &Value) -> Value {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let media_type = headers.get(CONTENT_TYPE).map(text).unwrap_or_default();
    let others = headers.iter().filter(|(name, _)| *name != CONTENT_TYPE);
    let headers: Map<_, _> = others
        .map(|(name, value)| {
            let schema = json!({"type": "string", "const": text(value)});
            let header = json!({"required": true, "schema": schema});
            (name.as_str().to_owned(), header)
        })
        .collect();
    json!({
        "description": description,
        "headers": headers,
        "content": {media_type: {"schema": body}},
    })
}

fn schemas(kinds: &[RejectionKind]) -> Value {
    let success: Value = serde_json::from_slice(SUCCESS).unwrap_or_default();
    let message = json!({"type": "string", "const": success["message"]});
    let mut schemas = Map::from_iter([
        ("SendRegistrationEmail".to_owned(), request()),
        ("Success".to_owned(), closed(&json!({"message": message}))),
    ]);
    for kind in kinds {
        let message = match kind {
            RejectionKind::BodyInvalid => json!({
                "type": "string",
                "description": "says which member is missing or wrong, and nothing else",
            }),
            _ => json!({"type": "string", "const": kind.message()}),
        };
        let name = json!({"type": "string", "const": kind.name()});
        let error = closed(&json!({"message": message, "name": name}));
        schemas.insert(kind.name().to_owned(), closed(&json!({"error": error})));
    }
    schemas.into()
}

fn request() -> Value {
    let username = "The user's e-mail address. White space around it is passed over, and spellings \
        that differ in case alone are one user. The bounds are in bytes.";
    json!({
        "type": "object",
        "description": "Other members are passed over. A member twice is refused.",
        "required": [USERNAME, ORG_ID],
        "properties": {
            USERNAME: {
                "type": "string",
                "format": "email",
                "minLength": MIN_USERNAME,
                "maxLength": MAX_USERNAME,
                "description": username,
            },
            ORG_ID: {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_ORG_ID,
                "pattern": "^[ -~]*$",
                "description": "The organisation's id, compared byte for byte.",
            },
        },
        "additionalProperties": true,
        "examples": [{USERNAME: "jane@example.co", ORG_ID: "example-org-id"}],
    })
}

/// An object of these members, all of them and no others.
fn closed(members: &Value) -> Value {
    let names: Vec<_> = members
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .collect();
    json!({
        "type": "object",
        "required": names,
        "properties": members,
        "additionalProperties": false,
    })
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}
