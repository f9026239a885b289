//! Parts in each other's place.

use tower_registration::{VerifyRequest, app::StaticApps, backend::memory::MemoryReplayGuard};

fn main() {
    let guard = MemoryReplayGuard::builder().build().unwrap();
    let verify = VerifyRequest::builder().apps(guard).replay_guard(StaticApps::default());
}
