//! The one place that knows whether feature `tracing` is on, so that call sites carry no `cfg`.
//!
//! Targets are stable: [`VERIFY`] for the checks, [`RESEND`] for codes made and redeemed,
//! [`DELIVERY`] for mails.

pub(crate) const VERIFY: &str = "tower_registration::verify";
pub(crate) const RESEND: &str = "tower_registration::resend";
pub(crate) const DELIVERY: &str = "tower_registration::delivery";

#[cfg(feature = "tracing")]
pub(crate) use tracing::{debug, error, info, warn};

#[cfg(not(feature = "tracing"))]
mod silent {
    /// Accepts what the `tracing` macro of the same name accepts, uses the values, emits nothing.
    macro_rules! silent {
        (target: $target:expr, $($(%)? $name:ident = $(%)? $(?)? $value:expr,)* $message:literal) => {{
            let _ = $target;
            $(let _ = &$value;)*
        }};
    }
    pub(crate) use silent as debug;
    pub(crate) use silent as error;
    pub(crate) use silent as info;
    pub(crate) use silent as warn;
}
#[cfg(not(feature = "tracing"))]
pub(crate) use silent::{debug, error, info, warn};
