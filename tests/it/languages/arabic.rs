//! A language that an embedder might add: from right to left, and with six plural forms.

use tower_registration::mail::{Direction, Lasting, Translation};

pub(super) struct Arabic;

impl Translation for Arabic {
    fn direction(&self) -> Direction {
        Direction::RightToLeft
    }

    fn subject(&self, product: Option<&str>) -> String {
        match product {
            Some(product) => format!("رمز التسجيل الخاص بك في {product}"),
            None => "رمز التسجيل الخاص بك".to_owned(),
        }
    }

    fn instruction(&self) -> &'static str {
        "أدخل هذا الرمز لإكمال تسجيلك:"
    }

    fn username_label(&self) -> &'static str {
        "اسم المستخدم:"
    }

    fn validity(&self, lasting: Lasting, until: &str) -> String {
        let lasting = match lasting {
            Lasting::Minutes(minutes) => {
                counted(minutes, ["دقيقة واحدة", "دقيقتين", "دقائق", "دقيقة"])
            }
            Lasting::Hours(hours) => counted(hours, ["ساعة واحدة", "ساعتين", "ساعات", "ساعة"]),
            Lasting::Days(days) => counted(days, ["يوم واحد", "يومين", "أيام", "يومًا"]),
        };
        format!("الرمز صالح لمدة {lasting} (حتى {until})، ويمكن استخدامه مرة واحدة فقط.")
    }

    fn superseded(&self) -> &'static str {
        "لم تعد الرموز الواردة في الرسائل السابقة صالحة."
    }

    fn unasked(&self) -> &'static str {
        "إذا لم تطلب رمزًا، فتجاهل هذه الرسالة ولا تعطِ الرمز لأحد."
    }
}

fn counted(count: u64, [one, two, few, many]: [&str; 4]) -> String {
    match count {
        1 => one.to_owned(),
        2 => two.to_owned(),
        3..=10 => format!("{count} {few}"),
        _ => format!("{count} {many}"),
    }
}
