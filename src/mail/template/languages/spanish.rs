//! Spanish.

use crate::mail::{Lasting, Translation};

pub(super) struct Spanish;

impl Translation for Spanish {
    fn subject(&self, product: Option<&str>) -> String {
        match product {
            Some(product) => format!("Su código de registro para {product}"),
            None => "Su código de registro".to_owned(),
        }
    }

    fn instruction(&self) -> &'static str {
        "Introduzca este código para completar su registro:"
    }

    fn username_label(&self) -> &'static str {
        "Su nombre de usuario:"
    }

    fn validity(&self, lasting: Lasting, until: &str) -> String {
        let lasting = match lasting {
            Lasting::Minutes(1) => "1 minuto".to_owned(),
            Lasting::Minutes(minutes) => format!("{minutes} minutos"),
            Lasting::Hours(hours) => format!("{hours} horas"),
            Lasting::Days(days) => format!("{days} días"),
        };
        format!(
            "El código es válido durante {lasting} (hasta el {until}) y solo se puede utilizar una \
             vez."
        )
    }

    fn superseded(&self) -> &'static str {
        "Los códigos de correos anteriores ya no son válidos."
    }

    fn unasked(&self) -> &'static str {
        "Si no ha solicitado ningún código, ignore este correo y no comparta el código con nadie."
    }
}
