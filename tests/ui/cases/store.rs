//! Users as they are, where a store of registrations is asked for.

use std::collections::HashMap;

use tower_registration::registration::{RegistrationKey, Registrations};

fn main() {
    let users = HashMap::<String, String>::new();
    let registrations = Registrations::new(users, RegistrationKey::generate().unwrap());
}
