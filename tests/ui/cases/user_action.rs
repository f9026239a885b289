//! A token, where what knows good tokens is asked for.

use tower_registration::VerifyRequest;

fn main() {
    VerifyRequest::builder().user_action("token");
}
