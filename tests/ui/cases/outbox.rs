//! A dispatcher over a store that can't tell which mails are due.

use std::convert::Infallible;

use tower_registration::{
    backend::memory::MemoryMailer,
    delivery::{Deliverer, Dispatcher},
    registration::{
        Registration, RegistrationKey, RegistrationStore, Registrations, UserId,
    },
};

struct Users;

impl RegistrationStore for Users {
    type Error = Infallible;

    async fn load(&self, _: &UserId) -> Result<Option<Registration>, Infallible> {
        Ok(None)
    }

    async fn replace(&self, _: &UserId, _: u64, _: &Registration) -> Result<bool, Infallible> {
        Ok(false)
    }
}

fn main() {
    let registrations = Registrations::new(Users, RegistrationKey::generate().unwrap());
    Dispatcher::new(Deliverer::new(registrations, MemoryMailer::new()));
}
