//! German.

use crate::mail::{Lasting, Translation};

pub(super) struct German;

impl Translation for German {
    fn subject(&self, product: Option<&str>) -> String {
        match product {
            Some(product) => format!("Ihr Registrierungscode für {product}"),
            None => "Ihr Registrierungscode".to_owned(),
        }
    }

    fn instruction(&self) -> &'static str {
        "Geben Sie diesen Code ein, um Ihre Registrierung abzuschließen:"
    }

    fn username_label(&self) -> &'static str {
        "Ihr Benutzername:"
    }

    fn validity(&self, lasting: Lasting, until: &str) -> String {
        let lasting = match lasting {
            Lasting::Minutes(1) => "1 Minute".to_owned(),
            Lasting::Minutes(minutes) => format!("{minutes} Minuten"),
            Lasting::Hours(hours) => format!("{hours} Stunden"),
            Lasting::Days(days) => format!("{days} Tage"),
        };
        format!("Der Code ist {lasting} gültig (bis {until}) und kann nur einmal verwendet werden.")
    }

    fn superseded(&self) -> &'static str {
        "Codes aus früheren E-Mails sind nicht mehr gültig."
    }

    fn unasked(&self) -> &'static str {
        "Wenn Sie keinen Code angefordert haben, ignorieren Sie diese E-Mail bitte und geben Sie \
         den Code nicht weiter."
    }
}
