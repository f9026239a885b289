//! One integration binary; its modules mirror `src/`.

mod delivery;
mod mail;
mod registration;
mod replay;
mod sqlite;
mod users;
