//! One integration binary; its modules mirror `src/`.

mod layers;
mod nonce_vectors;
mod replay;
mod resend;
mod sqlite;
mod support;
mod vectors;
mod verify;
