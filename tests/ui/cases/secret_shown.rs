//! A secret in a message, and a struct that compares one in a time that tells about it. That the struct
//! derives `Debug` is no mistake: `src/secret.rs` holds that it shows no secret.

use tower_registration::secret::SecretString;

#[derive(Clone, Debug, PartialEq)]
struct Config {
    secret: SecretString,
}

fn main() {
    let config = Config {
        secret: SecretString::from("secret"),
    };
    println!("{config:?} {}", config.secret);
}
