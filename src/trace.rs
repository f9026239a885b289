//! The one place that knows whether feature `tracing` is on, so that call sites carry no `cfg`.
//!
//! Targets are stable: [`VERIFY`] for the checks, [`RESEND`] for codes made and redeemed,
//! [`DELIVERY`] for mails.

pub(crate) const VERIFY: &str = "tower_registration::verify";
pub(crate) const RESEND: &str = "tower_registration::resend";
pub(crate) const DELIVERY: &str = "tower_registration::delivery";

#[cfg(feature = "tracing")]
pub(crate) use tracing::{Instrument, debug, error, info, warn};

#[cfg(not(feature = "tracing"))]
mod silent {
    /// Accepts what the `tracing` macros accept, uses the values, emits nothing. The level is there
    /// so that two events are as different to lints as they are with the feature on.
    macro_rules! silent {
        ($level:literal, target: $target:expr, $($(%)? $name:ident = $(%)? $(?)? $value:expr,)* $message:literal) => {{
            let _ = ($level, $target);
            $(let _ = &$value;)*
        }};
    }
    macro_rules! debug {
        ($($event:tt)*) => { $crate::trace::silent!("debug", $($event)*) };
    }
    macro_rules! error {
        ($($event:tt)*) => { $crate::trace::silent!("error", $($event)*) };
    }
    macro_rules! info {
        ($($event:tt)*) => { $crate::trace::silent!("info", $($event)*) };
    }
    macro_rules! warning {
        ($($event:tt)*) => { $crate::trace::silent!("warn", $($event)*) };
    }
    /// Where there are no spans, a future is in none.
    pub(crate) trait Instrument: Sized {
        fn in_current_span(self) -> Self {
            self
        }
    }

    impl<F> Instrument for F {}

    pub(crate) use debug;
    pub(crate) use error;
    pub(crate) use info;
    pub(crate) use silent;
    pub(crate) use warning as warn;
}
#[cfg(not(feature = "tracing"))]
pub(crate) use silent::{Instrument, debug, error, info, silent, warn};
