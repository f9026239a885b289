//! A backend whose feature is not on.

use tower_registration::backend::postgres::PostgresBackend;

fn main() {}
