//! Credential headers, against the four rules of reading one.

use http::{HeaderMap, HeaderName, HeaderValue};
use tower_registration::headers::{Credential, HeaderNames};

use crate::{canonical::value, source::Source};

const ENDINGS: [(&str, Credential, usize); 5] = [
    ("appid", Credential::AppId, 1_024),
    ("appsecret", Credential::AppSecret, 8_192),
    ("nonce", Credential::Nonce, 1_024),
    ("apisignature", Credential::ApiSignature, 8_192),
    ("useraction", Credential::UserAction, 8_192),
];

/// What is read of a header's values: nothing, one value, or a refusal.
pub(crate) fn expected<'a>(values: &[&'a [u8]], most: usize) -> Result<Option<&'a [u8]>, ()> {
    match values {
        [] => Ok(None),
        [one] if one.len() > most => Err(()),
        [one] if !one.iter().all(|b| *b == b'\t' || (32..127).contains(b)) => Err(()),
        [one] => Ok(Some(*one).filter(|one| !one.is_empty())),
        _ => Err(()),
    }
}

#[test]
fn credential_headers_are_read_by_the_rules() {
    bolero::check!()
        .with_iterations(10_000)
        .for_each(|bytes: &[u8]| {
            let mut source = Source::new(bytes);
            let prefix = source.pick(&["x-dfns-", "X-Acme-", "", "x acme", "\u{e4}-", "a\r\n"]);
            let prefix = source.edited(prefix);
            let name = |ending: &str| HeaderName::try_from(format!("{prefix}{ending}"));
            let names = HeaderNames::with_prefix(&prefix);
            assert_eq!(names.is_ok(), name("nonce").is_ok(), "{prefix:?}");
            let Ok(names) = names else { return };

            let mut sent: Vec<(&str, Vec<u8>)> = Vec::new();
            for _ in 0..source.byte() % 8 {
                let (ending, _, most) = source.pick(&ENDINGS);
                let value = match source.byte() {
                    0..200 => value(&mut source),
                    filler => vec![b'a' + filler % 26; most - 4 + source.below(9)],
                };
                sent.push((ending, value));
            }
            let mut headers = HeaderMap::new();
            for (ending, value) in &sent {
                let value = HeaderValue::from_bytes(value).expect("a value");
                headers.append(name(ending).expect("a name"), value);
            }
            for (ending, credential, most) in ENDINGS {
                let values = sent.iter().filter(|(own, _)| *own == ending);
                let values: Vec<_> = values.map(|(_, value)| &value[..]).collect();
                let expected = expected(&values, most);
                let read = names.read(&headers, credential);
                let read = read.map(|value| value.map(str::as_bytes));
                assert_eq!(read.map_err(drop), expected);
                let required = names.require(&headers, credential).map(str::as_bytes);
                assert_eq!(required.ok(), expected.ok().flatten());
            }
        });
}
