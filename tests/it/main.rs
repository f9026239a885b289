//! One integration binary; its modules mirror `src/`.

mod replay;
mod sqlite;
