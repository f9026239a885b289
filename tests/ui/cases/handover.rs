//! A mailer, where what takes mails over is asked for; and one whose room takes none.

use tower_registration::{
    backend::memory::{MemoryMailer, MemoryRegistrations},
    delivery::{Handover, NoRoom},
    registration::{RegistrationKey, Registrations, ResendRegistration},
};

#[derive(Clone)]
struct Queue;

impl Handover for Queue {
    type Permit = ();

    fn reserve(&self) -> Result<(), NoRoom> {
        Ok(())
    }
}

fn main() {
    let key = RegistrationKey::generate().unwrap();
    let registrations = Registrations::new(MemoryRegistrations::new(), key);
    ResendRegistration::builder(registrations, MemoryMailer::new());
}
