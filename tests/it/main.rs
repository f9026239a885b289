//! One integration binary; its modules mirror `src/`.

mod delivery;
mod registration;
mod users;
