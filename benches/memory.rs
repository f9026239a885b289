//! What a live nonce takes of the heap, as the allocator is asked: on average when all are entered,
//! and at the peak on the way there.
//!
//! Every set begins with room for nothing but what it must have. `quick_cache` alone is told how
//! many there will be: it would forget live ones otherwise.

mod claims;

use std::time::Duration;

use allocation_counter::measure;
use chrono::Utc;

use crate::claims::{Claims, Dash, Moka, NonceAuth, Ours, QuickCache, app, nonces};

const MILLION: usize = 1_000_000;

/// Fills a set and prints its bytes for each nonce.
fn print<C: Claims>(name: &str, live: usize) {
    let (app, now, nonces) = (app(), Utc::now(), nonces(live));
    let mut set = None;
    let info = measure(|| {
        let filled = C::new(live, Duration::from_mins(6));
        for nonce in &nonces {
            assert!(filled.claim(&app, *nonce, now));
        }
        set = Some(filled);
    });
    let each = |bytes: i64| bytes / i64::try_from(live).expect("as many fit");
    let (average, peak) = (each(info.bytes_current), each(info.bytes_max.cast_signed()));
    println!("memory/{name}/{live}: {average} bytes for each nonce, {peak} at the peak");
}

fn main() {
    for live in [10_000, MILLION, 10 * MILLION] {
        print::<Ours>("ours", live);
    }
    print::<Moka>("moka", MILLION);
    print::<QuickCache>("quick_cache", MILLION);
    print::<Dash>("dashmap", MILLION);
    print::<NonceAuth>("nonce_auth", MILLION);
}
