//! English.

use crate::mail::{Lasting, Translation};

pub(super) struct English;

impl Translation for English {
    fn subject(&self, product: Option<&str>) -> String {
        match product {
            Some(product) => format!("Your {product} registration code"),
            None => "Your registration code".to_owned(),
        }
    }

    fn instruction(&self) -> &'static str {
        "Enter this code to complete your registration:"
    }

    fn username_label(&self) -> &'static str {
        "Your user name:"
    }

    fn validity(&self, lasting: Lasting, until: &str) -> String {
        let lasting = match lasting {
            Lasting::Minutes(1) => "1 minute".to_owned(),
            Lasting::Minutes(minutes) => format!("{minutes} minutes"),
            Lasting::Hours(hours) => format!("{hours} hours"),
            Lasting::Days(days) => format!("{days} days"),
        };
        format!("The code is valid for {lasting}, until {until}, and works once.")
    }

    fn superseded(&self) -> &'static str {
        "Codes from earlier mails no longer work."
    }

    fn unasked(&self) -> &'static str {
        "If you did not ask for a code, ignore this mail and give the code to nobody."
    }
}
