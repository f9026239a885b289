//! Fuzz targets: what strangers, operators and users send, read by this crate and by an oracle that
//! was written apart from it, from the protocol. The two have to agree, and nothing may panic.
//!
//! | target | what is fuzzed | against |
//! | --- | --- | --- |
//! | `nonce` | decoding of nonces | `base64`, `serde_json` and `chrono` |
//! | `canonical` | texts to sign | a writer on `serde_json`; two requests share none |
//! | `keys` | PEM, public and private | what DER says of algorithm and size |
//! | `headers` | the credential headers | the four rules |
//! | `bodies` | bodies of both endpoints | a reader on `serde_json` |
//! | `codes` | redeeming texts as codes | a normaliser |
//! | `configuration` | applications, keys, names and windows | the rules; no error shows a secret |
//! | `whole` | sequences of requests to one server | all of the above as one verdict |
//!
//! `cargo test --test fuzz` runs each with the inputs kept in `__fuzz__` and some thousand random
//! ones. A failure prints the seed: `BOLERO_RANDOM_SEED` repeats it, `BOLERO_RANDOM_ITERATIONS` runs
//! more.
//!
//! Under libFuzzer, guided by coverage, an hour each: this needs a C++ compiler and
//! `cargo install cargo-bolero`, but no nightly toolchain as long as there is no sanitizer.
//!
//! ```sh
//! for target in $(cargo test --test fuzz -- --list | sed -n 's/: test$//p'); do
//!     cargo bolero test "$target" --sanitizer NONE -T 1h
//! done
//! ```
//!
//! Profile `fuzz` checks overflows and debug assertions. New inputs come to lie beside the kept ones;
//! `cargo bolero reduce "$target" --sanitizer NONE` leaves those that add coverage.

mod bodies;
mod canonical;
mod codes;
mod configuration;
mod headers;
mod keys;
mod members;
mod nonce;
mod source;
mod whole;
