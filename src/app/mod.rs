//! Who calls: applications, where they are found, and the check of id and secret.
//!
//! 1. The id is read from its header and looked up in an [`AppRegistry`]. No id, an unknown one
//!    and an inactive application get one answer, `AppInvalid`.
//! 2. A server-side application also shows its secret, which is kept as a hash, compared in
//!    constant time, and may expire. Several may be good at once, for rotation.
//! 3. A client-side application shows its id alone. A secret that it sends all the same is
//!    ignored.
//!
//! # What it does not prove
//!
//! A client-side application's id is no secret: whoever reads one request can send another. And this
//! check alone says nothing of the request around the headers, nor that it is the first of its kind: mount
//! [`VerifyRequest`](crate::VerifyRequest), unless you have a reason not to.
//!
//! ```
//! use std::convert::Infallible;
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_registration::{
//!     app::{AppId, AppLayer, Application, StaticApps},
//!     verified::Verified,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = Application::client_side(AppId::new("ap-4s6se-e2t7n-89gfg50iaos73pm6")?);
//! let inner = service_fn(async |request: Request<()>| {
//!     assert!(Verified::of(request.extensions()).app().is_some());
//!     Ok::<_, Infallible>(Response::new(()))
//! });
//! let service = AppLayer::new(StaticApps::new([app])?).layer(inner);
//!
//! let request = |id: &str| Request::get("/").header("x-dfns-appid", id).body(());
//! let served = service.clone().oneshot(request("ap-4s6se-e2t7n-89gfg50iaos73pm6")?).await?;
//! assert_eq!(served.status(), 200);
//! let refused = service.oneshot(request("ap-unknown")?).await?;
//! assert_eq!(refused.status(), 401);
//! # Ok(())
//! # }
//! ```

mod cached;
mod check;
mod config;
mod id;
mod record;
mod registry;

pub use cached::{CachedApps, CachedAppsFuture, DEFAULT_CAPACITY, DEFAULT_TIME_TO_LIVE};
pub use check::{AppCheck, AppLayer};
pub use config::{AppConfig, AppConfigError, SecretConfig};
pub use id::{AppId, InvalidAppId};
pub use record::{AppKind, AppSecretHash, Application, EmptySecret, Permissions};
pub use registry::{AppRegistry, DuplicateApp, StaticApps};
