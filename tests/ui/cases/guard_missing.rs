//! Applications are given, and nothing that remembers nonces.

use tower_registration::{VerifyRequest, app::StaticApps};

fn main() {
    let verify = VerifyRequest::builder().apps(StaticApps::default()).build();
}
