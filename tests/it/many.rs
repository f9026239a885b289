//! Many processes of the example server on one database, as on many machines: what they promise
//! together, and what is left of it whatever dies.
//!
//! `TEST_POSTGRES_URL` and `TEST_REDIS_URL` say where servers are; those that are killed are the
//! tests' own.

mod catcher;
mod chaos;
mod configuration;
mod fleet;
mod own;
mod replay;
mod resend;
mod stop;
