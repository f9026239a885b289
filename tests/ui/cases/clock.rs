//! A time, where what tells the time is asked for.

use std::time::SystemTime;

use tower_registration::VerifyRequest;

fn main() {
    VerifyRequest::builder().clock(SystemTime::now());
}
