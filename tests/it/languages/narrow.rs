//! The HTML fits a screen of 320 pixels: nothing in it has a width of its own, what is long may break
//! anywhere, and what is kept in one line is short enough.

use tower_registration::mail::Template;

use super::{CODE, LANGUAGES, longest_address, mail, template};

const SCREEN: f64 = 320.0;
/// The widest letters that are kept in a line, in parts of the font's size: those of the code are
/// monospaced and bold (Menlo and `DejaVu` Sans Mono 0.602, Courier New 0.6, Consolas 0.55), those of
/// a date digits but for a few (0.56 in Helvetica and Arial).
const LETTER: f64 = 0.62;

/// The number of pixels behind the first `before`.
#[track_caller]
fn pixels(style: &str, before: &str) -> f64 {
    let (_, from) = style.split_once(before).unwrap();
    from.split_once("px").unwrap().0.parse().unwrap()
}

/// From the element's class to the end of its tag.
#[track_caller]
fn tag<'a>(html: &'a str, class: &str) -> &'a str {
    let (_, from) = html.split_once(&format!("class=\"{class}\"")).unwrap();
    from.split('>').next().unwrap()
}

/// What an element takes on both sides, `padding:16px 8px`.
#[track_caller]
fn sides(tag: &str) -> f64 {
    let (_, from) = tag.split_once("padding:").unwrap();
    2.0 * pixels(from, "px ")
}

fn width(letters: usize, size: f64) -> f64 {
    f64::from(u32::try_from(letters).unwrap()) * LETTER * size
}

#[test]
fn a_mail_fits_a_screen_of_320_pixels() {
    for language in LANGUAGES {
        let html = template("Acme")
            .render(&mail(&longest_address(), language))
            .html;
        let (_, body) = html.split_once("</head>").unwrap();
        let free = body.replace("max-width:", "");
        for fixed in ["width", "<table", "<img", "<pre", "<svg", "position:"] {
            assert!(!free.contains(fixed), "{language}: {fixed}");
        }
        let (_, page) = body.split_once("<div ").unwrap();
        let (page, card, field) = (tag(page, "page"), tag(body, "card"), tag(body, "field"));
        assert!(card.contains("overflow-wrap:anywhere"), "{card}");
        let room = SCREEN - sides(page) - sides(card);
        let code = width(CODE.len(), pixels(field, "font-size:"));
        assert!(code <= room, "{language}: {code} of {room}");

        let mut kept = body.split("white-space:nowrap\">").skip(1).peekable();
        assert!(kept.peek().is_some(), "{language}");
        for text in kept {
            let text = text.split('<').next().unwrap();
            let line = width(text.chars().count(), pixels(page, "font-size:"));
            assert!(line <= room, "{language}: {text} takes {line} of {room}");
        }
    }
}
