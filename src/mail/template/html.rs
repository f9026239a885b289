//! A mail as one HTML page for mail programs: styles stand in the elements, since some programs
//! drop all others, and those for dark mode in the head. It has nothing to load and nothing to
//! follow: no image, font, script or link.

use std::fmt::{self, Write};

use super::{
    bidi::{self, BY_FIRST_LETTER, END, LEFT_TO_RIGHT},
    default::Letter,
    translation::Direction,
};

/// Colours of one mode, as CSS.
struct Palette {
    /// Around the card.
    page: &'static str,
    card: &'static str,
    /// Behind the code.
    field: &'static str,
    ink: &'static str,
    /// Ink of what matters less.
    faint: &'static str,
}

const LIGHT: Palette = Palette {
    page: "#eef0f3",
    card: "#ffffff",
    field: "#eef0f3",
    ink: "#1a1d21",
    faint: "#545b64",
};

const DARK: Palette = Palette {
    page: "#111315",
    card: "#1d2024",
    field: "#2c3138",
    ink: "#e9ebee",
    faint: "#a9b1bb",
};

const SANS: &str = "-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif";
const MONO: &str = "Menlo,Consolas,'DejaVu Sans Mono','Courier New',monospace";

pub(super) fn page(letter: &Letter<'_>) -> String {
    let mut html = String::with_capacity(4096);
    // Writing to a string does not fail.
    let _ = head(&mut html, letter).and_then(|()| body(&mut html, letter));
    html
}

fn head(html: &mut String, letter: &Letter<'_>) -> fmt::Result {
    let Palette {
        page,
        card,
        field,
        ink,
        faint,
    } = DARK;
    writeln!(
        html,
        r#"<!DOCTYPE html>
<html lang="{language}" dir="{direction}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; supported-color-schemes: light dark; }}
@media (prefers-color-scheme: dark) {{
  .page {{ background: {page} !important; color: {ink} !important; }}
  .card {{ background: {card} !important; }}
  .field {{ background: {field} !important; }}
  .faint {{ color: {faint} !important; }}
}}
</style>
</head>"#,
        language = escaped(letter.language),
        direction = dir(letter.direction),
        // Elements don't count in a title.
        title = escaped(&bidi::without_idle_isolates(&letter.subject)),
    )
}

/// Some programs take away `html` and `body`, so that language, direction and colours stand in a
/// `div` too. The first sentence is hidden: it is what a list of mails, or a locked screen, shows
/// beside the subject, and so not the code.
fn body(html: &mut String, letter: &Letter<'_>) -> fmt::Result {
    let Palette { page, ink, .. } = LIGHT;
    writeln!(
        html,
        r#"<body class="page" style="margin:0;padding:0;background:{page};color:{ink}">
<div class="page" lang="{language}" dir="{direction}" style="padding:16px 8px;background:{page};
color:{ink};font-family:{SANS};
font-size:16px;line-height:1.5">
<div style="display:none;max-height:0;overflow:hidden">{preview}</div>"#,
        language = escaped(letter.language),
        direction = dir(letter.direction),
        preview = marked_up(&letter.validity),
    )?;
    card(html, letter)?;
    html.write_str("</div>\n</body>\n</html>\n")
}

fn card(html: &mut String, letter: &Letter<'_>) -> fmt::Result {
    let Palette {
        card, field, faint, ..
    } = LIGHT;
    writeln!(
        html,
        r#"<div class="card" role="article" style="max-width:528px;margin:0 auto;padding:24px 16px;
background:{card};border-radius:8px;overflow-wrap:anywhere;word-break:break-word">
<h1 style="margin:0 0 16px;font-size:22px;line-height:1.3">{subject}</h1>
<p style="margin:0 0 12px">{instruction}</p>
<p class="field" dir="ltr" style="margin:0 0 16px;padding:12px 0;background:{field};
border-radius:6px;text-align:center;font-family:{MONO};
font-size:20px;font-weight:bold;line-height:1.3;-webkit-user-select:all;user-select:all">{code}</p>
<p style="margin:0 0 16px">{label}<br>
<strong><bdi dir="ltr">{username}</bdi></strong></p>
<p style="margin:0 0 16px">{validity}<br>
{superseded}</p>
<p class="faint" style="margin:0;color:{faint};font-size:14px">{unasked}</p>
</div>"#,
        subject = marked_up(&letter.subject),
        instruction = marked_up(letter.instruction),
        code = escaped(letter.code),
        label = marked_up(letter.username_label),
        username = escaped(&letter.username),
        validity = marked_up(&letter.validity),
        superseded = marked_up(letter.superseded),
        unasked = marked_up(letter.unasked),
    )
}

fn dir(direction: Direction) -> &'static str {
    match direction {
        Direction::LeftToRight => "ltr",
        Direction::RightToLeft => "rtl",
    }
}

/// Text as it may stand between tags and within quoted attributes.
fn escaped(text: &str) -> String {
    written(text, |_| None)
}

/// The same between tags, with isolates as elements. A date stays on one line.
fn marked_up(text: &str) -> String {
    written(text, |c| match c {
        BY_FIRST_LETTER => Some("<bdi>"),
        LEFT_TO_RIGHT => Some("<bdi dir=\"ltr\" style=\"white-space:nowrap\">"),
        END => Some("</bdi>"),
        _ => None,
    })
}

fn written(text: &str, element: impl Fn(char) -> Option<&'static str>) -> String {
    let mut html = String::with_capacity(text.len() + 32);
    for c in text.chars() {
        match (c, element(c)) {
            (_, Some(element)) => html.push_str(element),
            ('&' | '<' | '>' | '"' | '\'', None) => {
                let _ = write!(html, "&#{};", u32::from(c));
            }
            (other, None) => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance by WCAG 2.2.
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let eighth = u8::from_str_radix(&colour[at..at + 2], 16).unwrap();
            let part = f64::from(eighth) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn contrast_is_as_wcag_defines_it() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 0.01);
        assert!((contrast("#777777", "#ffffff") - 4.48).abs() < 0.01);
    }

    #[test]
    fn ink_can_be_read_in_both_modes() {
        for palette in [LIGHT, DARK] {
            for (ink, ground) in [
                (palette.ink, palette.page),
                (palette.ink, palette.card),
                (palette.ink, palette.field),
                (palette.faint, palette.card),
            ] {
                let contrast = contrast(ink, ground);
                assert!(contrast >= 4.5, "{ink} on {ground}: {contrast}");
            }
        }
    }
}
