//! Who calls: applications, where they are found, and the check of id and secret.
//!
//! 1. The id is read from its header and looked up in an [`AppRegistry`]. No id, an unknown one
//!    and an inactive application get one answer, `AppInvalid`.
//! 2. A server-side application also shows its secret, which is kept as a hash, compared in
//!    constant time, and may expire. Several may be good at once, for rotation.
//! 3. A client-side application shows its id alone. A secret that it sends all the same is
//!    ignored.

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
