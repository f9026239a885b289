//! Japanese.

use crate::mail::{Lasting, Translation};

pub(super) struct Japanese;

impl Translation for Japanese {
    fn subject(&self, product: Option<&str>) -> String {
        match product {
            Some(product) => format!("【{product}】登録コードのお知らせ"),
            None => "登録コードのお知らせ".to_owned(),
        }
    }

    fn instruction(&self) -> &'static str {
        "登録を完了するには、次のコードを入力してください。"
    }

    fn username_label(&self) -> &'static str {
        "ユーザー名："
    }

    fn validity(&self, lasting: Lasting, until: &str) -> String {
        let lasting = match lasting {
            Lasting::Minutes(minutes) => format!("{minutes}分間"),
            Lasting::Hours(hours) => format!("{hours}時間"),
            Lasting::Days(days) => format!("{days}日間"),
        };
        format!("コードの有効期間は{lasting}（{until} まで）で、使用できるのは1回限りです。")
    }

    fn superseded(&self) -> &'static str {
        "以前のメールでお送りしたコードはご利用いただけません。"
    }

    fn unasked(&self) -> &'static str {
        "コードの送信をご依頼されていない場合は、このメールを破棄し、コードを誰にも教えないでください。"
    }
}
