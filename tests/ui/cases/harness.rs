//! What a suite of contracts shall test, instead of what opens it anew for each rule.

use tower_registration::{
    app::StaticApps,
    backend::memory::{MemoryMailer, MemoryRegistrations, MemoryReplayGuard},
    conformance,
};

fn main() {
    let guard = MemoryReplayGuard::builder().build().unwrap();
    drop(conformance::app_registry::all(&StaticApps::default()));
    drop(conformance::mailer::all(&MemoryMailer::new()));
    drop(conformance::registration_store::all(&MemoryRegistrations::new()));
    drop(conformance::replay_guard::all(&guard));
}
