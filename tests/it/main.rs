//! One integration binary; its modules mirror `src/`.

mod delivery;
mod layers;
mod mail;
mod nonce_vectors;
mod registration;
mod replay;
mod resend;
mod signature_vectors;
mod sqlite;
mod support;
mod users;
mod vectors;
mod verify;
