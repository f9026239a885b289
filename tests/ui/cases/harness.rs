//! What a suite of contracts shall test, instead of what opens it anew for each rule.

use tower_registration::{
    app::StaticApps,
    backend::memory::{MemoryMailer, MemoryRegistrations, MemoryReplayGuard},
    conformance,
};

fn main() {
    let guard = MemoryReplayGuard::builder().build().unwrap();
    let _ = conformance::app_registry::all(&StaticApps::default());
    let _ = conformance::mailer::all(&MemoryMailer::new());
    let _ = conformance::registration_store::all(&MemoryRegistrations::new());
    let _ = conformance::replay_guard::all(&guard);
}
