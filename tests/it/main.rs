//! One integration binary; its modules mirror `src/`.

mod signature_vectors;
