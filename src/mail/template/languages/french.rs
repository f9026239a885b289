//! French.

use crate::mail::{Lasting, Translation};

pub(super) struct French;

/// Numbers keep their unit, and a colon its word, on one line: a no-break space stands between.
impl Translation for French {
    fn subject(&self, product: Option<&str>) -> String {
        match product {
            Some(product) => format!("Votre code d’inscription pour {product}"),
            None => "Votre code d’inscription".to_owned(),
        }
    }

    fn instruction(&self) -> &'static str {
        "Saisissez ce code pour terminer votre inscription\u{A0}:"
    }

    fn username_label(&self) -> &'static str {
        "Votre nom d’utilisateur\u{A0}:"
    }

    fn validity(&self, lasting: Lasting, until: &str) -> String {
        // None is singular too.
        let lasting = match lasting {
            Lasting::Minutes(minutes @ 0..=1) => format!("{minutes}\u{A0}minute"),
            Lasting::Minutes(minutes) => format!("{minutes}\u{A0}minutes"),
            Lasting::Hours(hours) => format!("{hours}\u{A0}heures"),
            Lasting::Days(days) => format!("{days}\u{A0}jours"),
        };
        format!(
            "Ce code est valable {lasting} (jusqu’au {until}) et ne peut être utilisé qu’une seule \
             fois."
        )
    }

    fn superseded(&self) -> &'static str {
        "Les codes reçus dans des e-mails précédents ne sont plus valables."
    }

    fn unasked(&self) -> &'static str {
        "Si vous n’avez pas demandé de code, ignorez cet e-mail et ne communiquez le code à \
         personne."
    }
}
