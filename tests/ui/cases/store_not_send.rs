//! A store that keeps an `Rc` across an await: its future can't move between threads.

use std::{convert::Infallible, rc::Rc};

use tower_registration::registration::{Registration, RegistrationStore, UserId};

struct Store;

impl RegistrationStore for Store {
    type Error = Infallible;

    async fn load(&self, _: &UserId) -> Result<Option<Registration>, Infallible> {
        let shared = Rc::new(());
        std::future::ready(()).await;
        drop(shared);
        Ok(None)
    }

    async fn replace(&self, _: &UserId, _: u64, _: &Registration) -> Result<bool, Infallible> {
        Ok(false)
    }
}

fn main() {}
