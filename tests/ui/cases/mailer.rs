//! What sends no mails, where a mailer is asked for; and a mailer whose error does not say whether
//! another try may succeed.

use std::io;

use tower_registration::{
    backend::memory::MemoryRegistrations,
    delivery::Deliverer,
    mail::{Mailer, RegistrationEmail},
    registration::{RegistrationKey, Registrations},
};

struct Queue;

impl Mailer for Queue {
    type Error = io::Error;

    async fn send(&self, _: &RegistrationEmail) -> Result<(), io::Error> {
        Ok(())
    }
}

fn main() {
    let key = RegistrationKey::generate().unwrap();
    let registrations = Registrations::new(MemoryRegistrations::new(), key);
    Deliverer::new(registrations, "smtp://127.0.0.1:25");
}
