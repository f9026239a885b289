//! A secret in a message, and a struct that compares one in a time that tells about it.

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
