//! Configurations: each is accepted or refused by the rules, and no refusal shows a secret.

use std::time::Duration;

use http::{HeaderName, uri::Authority};
use tower_registration::{
    app::{AppConfig, AppId, StaticApps},
    headers::HeaderNames,
    mail::DefaultTemplate,
    nonce::Freshness,
    registration::RegistrationKey,
    signature::SignatureCheck,
};

use crate::source::Source;

const HIDDEN: &str = "hush-hush-8a55-4ac1";

fn near_valid(source: &mut Source<'_>) -> String {
    const SECRETS: [&str; 6] = [
        r#""hush-hush-8a55-4ac1""#,
        r#"{"secret":"hush-hush-8a55-4ac1","expiresAt":"2027-01-01T00:00:00Z"}"#,
        r#"{"secret":"hush-hush-8a55-4ac1","expiresAt":"never"}"#,
        r#"{"secret":"hush-hush-8a55-4ac1"}"#,
        r#""""#,
        r#"["hush-hush-8a55-4ac1"]"#,
    ];
    let mut apps = Vec::new();
    for _ in 0..=source.byte() % 3 {
        let id = source.pick(&["ap-1", "ap-2", "", " ap", "ä"]);
        let kind = source.pick(&["ServerSideApplication", "ClientSideApplication", "Other"]);
        let key = serde_json::to_string(source.pick(&[
            include_str!("../keys/test-only-ed25519.pub.pem"),
            include_str!("../keys/test-only-rsa-1024.pem"),
            "no key",
        ]));
        let keys = vec![key.expect("JSON"); source.pick(&[1, 0, 4, 5])].join(",");
        let secret = source.pick(&SECRETS);
        let more = source.pick(&[
            "",
            r#","active":false"#,
            r#","permissions":["a"]"#,
            r#","x":1"#,
        ]);
        apps.push(format!(
            r#"{{"id":"{id}","kind":"{kind}","secrets":[{secret}],"publicKeys":[{keys}]{more}}}"#
        ));
    }
    let apps = format!("[{}]", apps.join(","));
    source.edited(&apps)
}

fn load(text: &str) -> Result<StaticApps, String> {
    let configs: Vec<AppConfig> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    assert!(!format!("{configs:?}").contains(HIDDEN), "{text}");
    let ids: Vec<_> = configs.iter().map(|config| config.id.clone()).collect();
    let apps = StaticApps::from_configs(configs).map_err(|e| format!("{e} {e:?}"))?;
    assert!(!format!("{apps:?}").contains(HIDDEN), "{text}");
    for (at, id) in ids.iter().enumerate() {
        assert!(AppId::new(id).is_ok(), "{text}");
        assert!(!ids[..at].contains(id), "{text}");
    }
    Ok(apps)
}

fn hex(text: &str) -> bool {
    let text = text.trim();
    let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits && text.bytes().any(|byte| byte != b'0')
}

fn check_texts(text: &str) {
    let printable = !text.is_empty() && text.len() <= 1_024 && text.trim() == text;
    let is_id = printable && text.bytes().all(|byte| (32..127).contains(&byte));
    assert_eq!(AppId::new(text).is_ok(), is_id, "{text:?}");
    assert_eq!(
        RegistrationKey::from_hex(text).is_ok(),
        hex(text),
        "{text:?}"
    );
    let authority = SignatureCheck::builder().authority(text).build().is_ok();
    assert_eq!(authority, Authority::try_from(text).is_ok(), "{text:?}");
    let _ = SignatureCheck::builder().scheme(text).build();
    let _ = DefaultTemplate::for_product(text);
    let is_prefix = HeaderName::try_from(format!("{text}nonce")).is_ok();
    let names = HeaderNames::with_prefix(text);
    assert_eq!(names.is_ok(), is_prefix, "{text:?}");
}

fn check_window(source: &mut Source<'_>) {
    let times = [300_000, 0, 1, 86_400_000, 86_400_001, u64::MAX];
    let (age, future) = (source.pick(&times), source.pick(&times));
    let millis = Duration::from_millis;
    let window = Freshness::new(millis(age), millis(future));
    let in_bounds = (1..=86_400_000).contains(&age) && future <= 86_400_000;
    assert_eq!(window.is_ok(), in_bounds, "{age} {future}");
}

#[test]
fn configurations_are_accepted_by_the_rules_and_show_no_secret() {
    bolero::check!()
        .with_iterations(3_000)
        .for_each(|bytes: &[u8]| {
            let mut source = Source::new(bytes);
            match source.byte() % 4 {
                0 => {
                    let text = near_valid(&mut source);
                    if let Err(error) = load(&text) {
                        // A member's name is no place for a secret, and is shown if it is unknown.
                        let is_hidden = !error.contains(HIDDEN);
                        assert!(is_hidden || error.starts_with("unknown field"), "{error}");
                    }
                }
                1 => {
                    let text = source.pick(&["x-dfns-", "api.example.com", "https"]);
                    check_texts(&source.edited(text));
                    let digits = source.pick(&["0", "a", "F"]).repeat(64);
                    check_texts(&source.edited(&digits));
                }
                2 => check_window(&mut source),
                _ => {
                    let text = String::from_utf8_lossy(source.rest());
                    let _ = load(&text);
                    check_texts(&text);
                }
            }
        });
}
