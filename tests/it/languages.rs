//! The default template's mails in every language: as files to be looked at in `tests/mails`, and
//! what must hold of each.
//!
//! `REWRITE_MAILS=1 cargo test --test it languages::` writes the files anew.

mod arabic;
mod narrow;

use std::{collections::BTreeSet, env, fs, path::Path};

use arabic::Arabic;
use chrono::{DateTime, TimeDelta};
use tower_registration::{
    mail::{
        DefaultTemplate, Lasting, MAX_PRODUCT_NAME, RegistrationEmail, RenderedEmail, Template,
        Translation,
    },
    registration::{OrgId, UserId, Username},
};

/// The shipped languages, and one that a template was given.
const LANGUAGES: [&str; 6] = ["en", "de", "fr", "es", "ja", "ar"];
const CODE: &str = "1234-5678-9012-3456";
const UNTIL: &str = "1970-01-01 04:00 UTC";
const JANE: &str = "jane@example.co";

fn mail(username: &str, locale: &str) -> RegistrationEmail {
    let user = UserId {
        org_id: OrgId::new("org").unwrap(),
        username: Username::new(username).unwrap(),
    };
    let (code, issued_at) = (CODE.parse().unwrap(), DateTime::UNIX_EPOCH);
    let expires_at = issued_at + TimeDelta::hours(4);
    RegistrationEmail::new(
        "mailbox@example.co",
        user,
        code,
        issued_at,
        expires_at,
        "id",
    )
    .with_sent_at(issued_at + TimeDelta::milliseconds(20))
    .with_locale(locale)
}

fn template(product: &str) -> DefaultTemplate {
    let template = DefaultTemplate::for_product(product).unwrap();
    template.with_translation("ar", Arabic)
}

fn rendered(locale: &str) -> RenderedEmail {
    template("Acme").render(&mail(JANE, locale))
}

/// As long an address as there can be, in labels as long as they can be.
fn longest_address() -> String {
    let domain = ["d".repeat(63), "o".repeat(63), "m".repeat(58)].join(".");
    let address = format!("{}@{domain}.co", "l".repeat(64));
    assert_eq!(address.len(), 254);
    address
}

#[test]
fn mails_read_as_their_files_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mails");
    for language in LANGUAGES {
        let mail = rendered(language);
        let text = format!("Subject: {}\n\n{}", mail.subject, mail.text);
        for (ending, content) in [("txt", text), ("html", mail.html)] {
            let file = folder.join(format!("{language}.{ending}"));
            if env::var_os("REWRITE_MAILS").is_some() {
                fs::write(&file, &content).unwrap();
            }
            let known = fs::read_to_string(&file).unwrap_or_default();
            let hint = "see the head of this test's file";
            assert_eq!(known, content, "{} differs: {hint}", file.display());
        }
    }
}

#[test]
fn every_mail_has_the_product_the_code_its_user_and_its_end() {
    for language in LANGUAGES {
        let RenderedEmail {
            subject,
            text,
            html,
            ..
        } = rendered(language);
        assert!(subject.contains("Acme"), "{subject}");
        assert!(!subject.contains(CODE), "{subject}");
        for body in [&text, &html] {
            for expected in ["Acme", CODE, JANE, UNTIL] {
                assert!(body.contains(expected), "{expected} in {body}");
            }
        }
        assert!(text.contains(&format!("\n    {CODE}\n")), "{text}");
        assert!(html.contains(&format!("<div class=\"page\" lang=\"{language}\"")));
        let unnamed = DefaultTemplate::new().with_translation("ar", Arabic);
        let unnamed = unnamed.render(&mail(JANE, language));
        assert!(!unnamed.subject.is_empty() && unnamed.subject != subject);
        assert!(!unnamed.text.contains("Acme"), "{}", unnamed.text);
    }
}

/// What a mail says, without what is the same in all.
fn sentences(language: &str) -> BTreeSet<String> {
    let text = rendered(language).text;
    let lines = text.split('\n').filter(|line| !line.is_empty());
    lines
        .filter(|line| !line.contains(CODE) && !line.contains(JANE))
        .map(str::to_owned)
        .collect()
}

#[test]
fn no_sentence_is_left_in_another_language() {
    let all: Vec<_> = LANGUAGES.map(sentences).into_iter().flatten().collect();
    let different: BTreeSet<_> = all.iter().collect();
    assert!(all.len() >= 6 * LANGUAGES.len(), "{all:?}");
    assert_eq!(all.len(), different.len(), "{all:?}");
}

#[test]
fn durations_have_the_plural_of_their_language() {
    let (minute, hour, day) = (60, 3_600, 86_400);
    let rows = [
        ("en", minute, "for 1 minute,"),
        ("en", 90 * minute, "for 90 minutes,"),
        ("en", hour, "for 60 minutes,"),
        ("en", 2 * hour, "for 2 hours,"),
        ("en", 4 * hour + minute, "for 4 hours,"),
        ("en", day, "for 24 hours,"),
        ("en", 7 * day, "for 7 days,"),
        ("de", minute, "ist 1 Minute gültig"),
        ("de", 90 * minute, "ist 90 Minuten gültig"),
        ("de", hour, "ist 60 Minuten gültig"),
        ("de", 3 * hour + 59 * minute, "ist 3 Stunden gültig"),
        ("de", day, "ist 24 Stunden gültig"),
        ("de", 2 * day, "ist 2 Tage gültig"),
        ("fr", 0, "valable 0\u{A0}minute ("),
        ("fr", minute, "valable 1\u{A0}minute ("),
        ("fr", 2 * minute, "valable 2\u{A0}minutes ("),
        ("fr", hour, "valable 60\u{A0}minutes ("),
        ("fr", 2 * hour, "valable 2\u{A0}heures ("),
        ("fr", 30 * day, "valable 30\u{A0}jours ("),
        ("es", minute, "durante 1 minuto ("),
        ("es", 0, "durante 0 minutos ("),
        ("es", hour, "durante 60 minutos ("),
        ("es", 2 * hour, "durante 2 horas ("),
        ("es", day, "durante 24 horas ("),
        ("es", 3 * day, "durante 3 días ("),
        ("ja", minute, "は1分間（"),
        ("ja", hour, "は60分間（"),
        ("ja", 2 * hour, "は2時間（"),
        ("ja", 2 * day, "は2日間（"),
        ("ar", 2 * hour, "لمدة ساعتين ("),
        ("ar", 4 * hour, "لمدة 4 ساعات ("),
        ("ar", day, "لمدة 24 ساعة ("),
    ];
    for (language, seconds, expected) in rows {
        let mut mail = mail(JANE, language);
        mail.sent_at = mail.expires_at - TimeDelta::seconds(seconds);
        let text = template("Acme").render(&mail).text;
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

#[track_caller]
fn assert_speaks(template: &DefaultTemplate, locale: Option<&str>, language: &str) {
    let mut mail = mail(JANE, "");
    mail.locale = locale.map(str::to_owned);
    let html = template.render(&mail).html;
    let expected = format!("<html lang=\"{language}\"");
    assert!(html.contains(&expected), "{locale:?}: {html}");
}

#[test]
fn a_locale_finds_its_language_or_the_fallback() {
    let german = template("Acme").with_fallback("DE-at").unwrap();
    let rows = [
        ("en", Some("en")),
        ("de-CH", Some("de")),
        ("DE", Some("de")),
        ("de_AT", Some("de")),
        ("fr-Latn-CA-x-private", Some("fr")),
        ("es-419", Some("es")),
        ("ja-JP", Some("ja")),
        ("ar-EG", Some("ar")),
        ("x-klingon", None),
        ("x-de", None),
        ("deu", None),
        ("nl", None),
        ("-", None),
        ("日本", None),
        ("", None),
    ];
    for (locale, language) in rows {
        assert_speaks(&template("Acme"), Some(locale), language.unwrap_or("en"));
        assert_speaks(&german, Some(locale), language.unwrap_or("de"));
    }
    assert_speaks(&template("Acme"), None, "en");
    assert_speaks(&german, None, "de");
}

#[test]
fn a_fallback_needs_a_translation() {
    let error = DefaultTemplate::new().with_fallback("ar").unwrap_err();
    assert!(error.to_string().contains("with_translation"), "{error}");
    let arabic = template("Acme").with_fallback("ar").unwrap();
    assert_speaks(&arabic, None, "ar");
}

/// Says its subject, and markup in place of all else.
struct Named(&'static str);

impl Translation for Named {
    fn subject(&self, _: Option<&str>) -> String {
        self.0.to_owned()
    }

    fn instruction(&self) -> &'static str {
        "<i>"
    }

    fn username_label(&self) -> &'static str {
        "<i>"
    }

    fn validity(&self, _: Lasting, _: &str) -> String {
        "<i>".to_owned()
    }

    fn superseded(&self) -> &'static str {
        "<i>"
    }

    fn unasked(&self) -> &'static str {
        "<i>"
    }
}

#[test]
fn an_added_translation_comes_before_those_there_and_the_closest_first() {
    let template = DefaultTemplate::new()
        .with_translation("de", Named("first"))
        .with_translation("de", Named("second"))
        .with_translation("de-CH", Named("swiss"));
    for (locale, subject) in [
        ("de", "second"),
        ("de-AT", "second"),
        ("de-CH-1996", "swiss"),
        ("en", "Your registration code"),
    ] {
        assert_eq!(template.render(&mail(JANE, locale)).subject, subject);
    }
}

#[test]
fn a_translation_is_text_and_its_subject_one_line() {
    let broken = Named("one\r\ntwo\u{2028}three");
    let template = DefaultTemplate::new().with_translation("\"><b>", broken);
    let mail = template.render(&mail(JANE, "\"><b>"));
    assert_eq!(mail.subject, "one  two three");
    for tag in ["<i>", "<b>"] {
        assert!(!mail.html.contains(tag), "{}", mail.html);
    }
}

#[test]
fn what_comes_from_outside_is_escaped_in_html() {
    for language in LANGUAGES {
        let mail = template("<b>&'\"").render(&mail("o'neil&co@example.co", language));
        assert!(mail.html.contains("o&#39;neil&#38;co@example.co"));
        assert!(mail.html.contains("&#60;b&#62;&#38;&#39;&#34;"));
        assert!(!mail.html.contains("<b>"));
        assert!(mail.text.contains("o'neil&co@example.co"));
    }
}

#[test]
fn the_html_loads_nothing_from_elsewhere() {
    for language in LANGUAGES {
        let html = rendered(language).html.to_lowercase();
        for remote in [
            "http",
            "//",
            "src",
            "href",
            "url(",
            "@import",
            "@font-face",
            "<script",
            "<img",
            "<link",
            "<a",
            "cid:",
            "data:",
        ] {
            assert!(!html.contains(remote), "{remote}");
        }
    }
}

#[test]
fn a_reader_in_the_dark_gets_dark_colours() {
    let html = rendered("en").html;
    assert!(html.contains("<meta name=\"color-scheme\" content=\"light dark\">"));
    let (_, dark) = html.split_once("(prefers-color-scheme: dark)").unwrap();
    let (dark, _) = dark.split_once("</style>").unwrap();
    for class in ["page", "card", "field", "faint"] {
        assert!(dark.contains(&format!(".{class} {{")), "{dark}");
        assert!(html.contains(&format!("class=\"{class}\"")), "{html}");
    }
}

/// Columns of a line in these tests: what is in none of the alphabets is Japanese, and wide.
fn columns(line: &str) -> usize {
    let narrow = |c| c < '\u{2000}' || matches!(c, '’');
    let isolates = ['\u{2066}', '\u{2068}', '\u{2069}'];
    let chars = line.chars().filter(|c| !isolates.contains(c));
    chars.map(|c| if narrow(c) { 1 } else { 2 }).sum()
}

#[test]
fn a_line_of_text_has_78_columns_unless_it_is_one_address() {
    let address = longest_address();
    for language in LANGUAGES {
        let products = [
            "word ".repeat(20),
            "長".repeat(MAX_PRODUCT_NAME),
            "Acme".to_owned(),
        ];
        for product in products {
            let mail = template(&product).render(&mail(&address, language));
            let wide = mail.text.lines().filter(|line| columns(line) > 78);
            for line in wide {
                let bare = line.trim_matches(['\u{2066}', '\u{2069}', ' ']);
                assert_eq!(bare, address, "{language}");
            }
            assert!(mail.text.contains(&address));
        }
    }
}

#[test]
fn a_subject_is_one_line_however_long_the_product_is() {
    for language in LANGUAGES {
        let product = "長".repeat(MAX_PRODUCT_NAME);
        let subject = template(&product).render(&mail(JANE, language)).subject;
        assert!(subject.contains(&product), "{subject}");
        assert!(
            subject.chars().count() <= MAX_PRODUCT_NAME + 50,
            "{subject}"
        );
        assert!(!subject.contains(char::is_control), "{subject}");
    }
}

/// Nor could one get out of its isolate if it did: the tests of `src/mail/template/bidi.rs`.
#[test]
fn a_user_name_holds_no_mark_that_turns_text() {
    for mark in [
        '\u{202E}', '\u{202A}', '\u{2069}', '\u{2066}', '\u{2029}', '\u{200F}', '\u{61C}',
    ] {
        for hostile in [
            format!("a{mark}b@example.co"),
            format!("\"a{mark}b\"@example.co"),
            format!("ab@ex{mark}ample.co"),
        ] {
            assert!(Username::new(&hostile).is_err(), "{hostile:?}");
        }
    }
}

#[test]
fn names_of_the_other_direction_stand_in_isolates() {
    let hebrew = template("שלום").render(&mail("דנה@example.co", "en"));
    assert_eq!(
        hebrew.subject,
        "Your \u{2068}שלום\u{2069} registration code"
    );
    assert!(hebrew.text.starts_with(&hebrew.subject));
    assert!(hebrew.text.contains("\n\u{2066}דנה@example.co\u{2069}\n"));
    assert!(
        hebrew
            .html
            .contains("Your <bdi>שלום</bdi> registration code</h1>")
    );
    // A title knows no elements.
    let title = format!("<title>{}</title>", hebrew.subject);
    assert!(hebrew.html.contains(&title), "{}", hebrew.html);

    let arabic = rendered("ar");
    assert!(arabic.html.contains("<html lang=\"ar\" dir=\"rtl\">"));
    assert!(arabic.html.contains("lang=\"ar\" dir=\"rtl\" style="));
    assert!(arabic.subject.ends_with("\u{2068}Acme\u{2069}"));
    assert!(arabic.text.contains(&format!("\u{2066}{JANE}\u{2069}")));
    assert!(arabic.text.contains(&format!("\u{2066}{UNTIL}\u{2069}")));
    // Who copies the line copies the code and no mark.
    assert!(arabic.text.contains(&format!("\n    {CODE}\n")));
    assert!(arabic.html.contains("<p class=\"field\" dir=\"ltr\""));
}

#[test]
fn an_english_mail_is_ascii() {
    let mail = rendered("en");
    assert!(mail.subject.is_ascii() && mail.text.is_ascii() && mail.html.is_ascii());
}

#[test]
fn a_list_of_mails_shows_how_long_the_code_is_valid_and_not_the_code() {
    for language in LANGUAGES {
        let html = rendered(language).html;
        let (_, body) = html.split_once("display:none").unwrap();
        let (hidden, shown) = body.split_once("</div>").unwrap();
        assert!(hidden.contains(UNTIL), "{hidden}");
        assert!(!hidden.contains(CODE), "{hidden}");
        assert!(shown.contains(UNTIL), "{shown}");
    }
}

#[test]
fn a_product_name_is_accepted_up_to_its_bound_and_without_controls() {
    let name = |length| DefaultTemplate::for_product(&"ä".repeat(length));
    assert!(name(0).is_err());
    assert!(name(MAX_PRODUCT_NAME).is_ok());
    assert!(name(MAX_PRODUCT_NAME + 1).is_err());
    for control in ['\n', '\0', '\u{2028}', '\u{202E}', '\u{2069}', '\u{85}'] {
        let named = DefaultTemplate::for_product(&format!("Ac{control}me"));
        assert!(named.is_err(), "{control:?}");
    }
}

#[test]
fn debug_shows_neither_code_nor_user() {
    let mail = mail(JANE, "en");
    let template = template("Acme");
    let shown = format!("{mail:?} {:?} {template:?}", template.render(&mail));
    for secret in ["1234", "jane"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("[\"ar\"]"), "{shown}");
}
