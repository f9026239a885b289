//! One integration binary; its modules mirror `src/`.

mod allocations;
mod apps;
mod conformance;
mod delivery;
mod dependencies;
mod example_server;
mod layers;
mod mail;
mod many;
mod nonce_vectors;
mod postgres;
mod process;
mod redis;
mod registration;
mod registrations;
mod replay;
mod resend;
mod server;
mod services;
mod signature_vectors;
mod sqlite;
mod support;
mod threats;
mod users;
mod vectors;
mod verify;
