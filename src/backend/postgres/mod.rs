//! Registrations and used nonces in PostgreSQL: for any number of processes and machines.
//!
//! 1. Every swap, lease and claim is one statement, right at READ COMMITTED, which is PostgreSQL's
//!    default. A resend costs two round trips, a claim one.
//! 2. What was acknowledged is committed, and survives what the server's settings say.
//! 3. Whatever happens to the server, an answer or an error comes within [`ANSWER_TIMEOUT`]; an
//!    error refuses the request. Lost connections are made anew by themselves: one that was lost
//!    while it was in use, or within a second of that, costs one request a refusal.
//! 4. Schema and tables are made where they are missing, also by several processes that start at
//!    once. Where they are up to date, the user needs no right to make any: `USAGE` on the schema;
//!    `SELECT`, `INSERT`, `UPDATE` and `DELETE` on its tables; `USAGE` and `SELECT` on its sequence.
//! 5. With [`PostgresBackend::listen`], a mail that one process owes wakes the dispatcher of
//!    another at once.
//!
//! PostgreSQL 12 or later. A `PgBouncer` in between must keep prepared statements (1.21 or later, or
//! pooling sessions) and pass over the start parameter `options` (`ignore_startup_parameters`);
//! then set [`STATEMENT_TIMEOUT`] on the server.
//!
//! Keep the clocks of all processes in step: which nonces have passed is told by the clock of the
//! process that asks.
//!
//! ```no_run
//! use tower_registration::{
//!     VerifyRequest,
//!     app::{AppId, Application, StaticApps},
//!     backend::{memory::MemoryMailer, postgres::PostgresBackend},
//!     delivery::{Deliverer, Dispatcher},
//!     registration::{RegistrationKey, Registrations, ResendRegistration},
//! };
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let backend = PostgresBackend::settings()
//!     .schema("registration")
//!     .connect("postgres://user:password@db.example.com/app?sslmode=verify-full")
//!     .await?;
//!
//! let app = Application::client_side(AppId::new("ap-4s6se-e2t7n-89gfg50iaos73pm6")?);
//! let verify = VerifyRequest::builder()
//!     .apps(StaticApps::new([app])?)
//!     .replay_guard(backend.replay_guard())
//!     .authority("api.example.com")
//!     .build()?;
//!
//! let registrations = Registrations::new(backend.registrations(), RegistrationKey::generate()?);
//! let deliverer = Deliverer::new(registrations.clone(), MemoryMailer::new());
//! let dispatcher = Dispatcher::new(deliverer).start();
//! let listener = backend.listen(dispatcher.wake());
//! let resend = ResendRegistration::builder(registrations, dispatcher.wake()).build()?;
//!
//! // Serve, and in the end:
//! listener.stop().await;
//! dispatcher.stop().await;
//! backend.close().await;
//! # Ok(())
//! # }
//! ```

mod ask;
mod connect;
mod error;
mod fault;
mod listen;
mod migrate;
mod registrations;
mod replay;
mod schema;

pub use connect::{
    ACQUIRE_TIMEOUT, ANSWER_TIMEOUT, DEFAULT_CONNECTIONS, PostgresBackend, PostgresSettings,
    STATEMENT_TIMEOUT,
};
pub use error::PostgresError;
pub use fault::PostgresFault;
pub use listen::PostgresListener;
pub use migrate::MIGRATION_TIMEOUT;
pub use registrations::PostgresRegistrations;
pub use replay::{DEFAULT_CAPACITY, PostgresReplayGuard};
pub use schema::{DEFAULT_SCHEMA, MAX_SCHEMA_BYTES};
