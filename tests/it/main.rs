//! One integration binary; its modules mirror `src/`.

mod nonce_vectors;
mod support;
mod vectors;
mod verify;
