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
//! Under libFuzzer, guided by coverage, an hour each: this needs a C++ compiler, but no nightly
//! toolchain as there is no sanitizer. `cargo bolero test` sets the same flags, and builds all other
//! tests with them too.
//!
//! ```sh
//! export BOLERO_FUZZER=libfuzzer BOLERO_LIBTEST_HARNESS=1
//! sancov=-Cllvm-args=-sanitizer-coverage
//! fuzz=$(RUSTFLAGS="--cfg fuzzing --cfg fuzzing_libfuzzer -Cpasses=sancov-module $sancov-level=4 \
//!     $sancov-inline-8bit-counters $sancov-pc-table $sancov-trace-compares $sancov-stack-depth" \
//!     cargo test --target x86_64-unknown-linux-gnu --profile fuzz --test fuzz --no-run 2>&1 |
//!     sed -n 's/.*Executable.*(\(.*\))$/\1/p')
//! for target in $("$fuzz" --list | sed -n 's/: test$//p'); do
//!     BOLERO_TEST_NAME=$target \
//!         BOLERO_LIBFUZZER_ARGS="tests/fuzz/__fuzz__/${target/::/__}/corpus -max_total_time=3600" \
//!         "$fuzz" "$target" --exact --nocapture --test-threads 1
//! done
//! ```
//!
//! Profile `fuzz` checks overflows and debug assertions. New inputs come to lie beside the kept ones:
//! keep those that add coverage, which libFuzzer's `-merge=1` finds. Without the kept ones, as in the
//! published package, `cargo test` tries random ones alone.

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
