//! Bodies of both endpoints, against a reader made of `serde_json` and `email_address`.

use email_address::{EmailAddress, Options};
use tower_registration::registration::{RedeemRequest, ResendRequest};

use crate::{members, source::Source};

/// Username, organisation and what else was asked for, by the protocol.
pub(crate) fn expected(body: &[u8], more: &[&str]) -> Option<Vec<String>> {
    let names = [&["username", "orgId"], more].concat();
    let members = members::read(body, &names)?;
    let mut texts = names
        .iter()
        .map(|name| members::text(&members, &[name]))
        .collect::<Option<Vec<_>>>()?;
    let username = texts[0].trim().to_owned();
    let lower = username.to_lowercase();
    let sized = |text: &str| text.len() >= 3 && text.len() <= 254;
    let options = Options::default().without_display_text();
    let is_user = sized(&username)
        && sized(&lower)
        && !username.chars().any(char::is_control)
        && EmailAddress::parse_with_options(&lower, options).is_ok();
    let org = texts[1].as_bytes();
    let is_org = (1..=128).contains(&org.len()) && org.iter().all(|byte| (32..127).contains(byte));
    texts[0] = lower;
    (is_user && is_org).then_some(texts)
}

fn body(source: &mut Source<'_>) -> Vec<u8> {
    const USERS: [&str; 8] = [
        "jane@example.co",
        " JÜRGEN@Example.CO\n",
        "Jane <jane@example.co>",
        "\"a b\"@[127.0.0.1]",
        "a@b",
        "jane\r\nBcc: all@example.co",
        "\u{130}zmir@example.co",
        "",
    ];
    if source.byte() % 2 == 1 {
        return source.rest().to_vec();
    }
    let user = source.pick(&USERS);
    let org = source.pick(&["example-org-id", " ", "ö", "", "o\t"]);
    let code = source.pick(&["1234-1234-1234-1234", "", "\u{0}"]);
    let mut members = [
        ("username", source.edited(user)),
        ("orgId", source.edited(org)),
        ("registrationCode", source.edited(code)),
    ];
    match source.byte() % 8 {
        1 => members[2].0 = "username",
        2 => members[1].0 = "orgid",
        3 => members[0].1 = members[0].1.repeat(20),
        4 => members[1].1 = members[1].1.repeat(10),
        _ => {}
    }
    members::near_valid(source, &members)
}

#[test]
fn bodies_are_read_as_an_independent_reader_does() {
    bolero::check!()
        .with_iterations(10_000)
        .for_each(|bytes: &[u8]| {
            let body = body(&mut Source::new(bytes));
            let resend = ResendRequest::parse(&body).map(|request| {
                let user = request.user;
                vec![
                    user.username.as_str().to_owned(),
                    user.org_id.as_str().to_owned(),
                ]
            });
            assert_eq!(resend.ok(), expected(&body, &[]));
            let redeem = RedeemRequest::parse(&body).map(|request| {
                let user = request.user;
                vec![
                    user.username.as_str().to_owned(),
                    user.org_id.as_str().to_owned(),
                    request.code.expose().to_owned(),
                ]
            });
            assert_eq!(redeem.ok(), expected(&body, &["registrationCode"]));
        });
}
