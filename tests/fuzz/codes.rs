//! Redeeming texts as codes, against a normaliser of our own.

use chrono::{DateTime, Utc};
use tower_registration::{
    backend::memory::{MemoryMailer, MemoryRegistrations},
    clock::ManualClock,
    delivery::Deliverer,
    registration::{
        OrgId, RedeemOutcome, Registration, RegistrationKey, RegistrationStatus, Registrations,
        UserId, UserKind, Username, code::RegistrationCode,
    },
};

use crate::source::Source;

fn jane() -> UserId {
    UserId {
        org_id: OrgId::new("example-org-id").expect("an id"),
        username: Username::new("jane@example.co").expect("an address"),
    }
}

fn registrations(registration: Registration) -> Registrations<MemoryRegistrations> {
    let store = MemoryRegistrations::new();
    store.insert_if_absent(&jane(), registration);
    let key = RegistrationKey::from_bytes([7; 32]).expect("a key");
    Registrations::new(store, key).with_clock(ManualClock::at(DateTime::<Utc>::UNIX_EPOCH))
}

/// A user who has got a code, and the code.
fn issued(runtime: &tokio::runtime::Runtime) -> (Registration, String) {
    let registrations = registrations(Registration::pending(UserKind::EndUser, "jane@example.co"));
    let mailer = MemoryMailer::new();
    runtime.block_on(async {
        let resent = registrations.resend(&jane(), |_| true).await;
        resent.expect("an outcome");
        let deliverer = Deliverer::new(registrations.clone(), mailer.clone());
        deliverer.deliver(&jane()).await.expect("a mail");
    });
    let code = mailer.sent()[0].code.expose().to_owned();
    (registrations.store().get(&jane()).expect("Jane"), code)
}

/// The digits of a text that is a code, by the protocol.
fn normalised(text: &str) -> Option<String> {
    let mut digits = text.to_owned();
    digits.retain(|c| !c.is_whitespace() && !['-', '\u{2010}', '\u{2011}'].contains(&c));
    let is_code = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_code && text.len() <= 128).then_some(digits)
}

fn guess(source: &mut Source<'_>, code: &str) -> String {
    const BETWEEN: [&str; 8] = [
        "", "-", " ", "\u{2010}", "\u{2011}", "\u{3000}", "\t\n", "\u{ad}",
    ];
    match source.byte() % 3 {
        0 => source.edited(code),
        1 => {
            let spelled =
                code.chars()
                    .filter(char::is_ascii_digit)
                    .fold(String::new(), |mut text, digit| {
                        let digit = match source.byte() {
                            250.. => source.pick(&['0', '9', '\u{661}', '\u{ff11}', 'a']),
                            _ => digit,
                        };
                        text += source.pick(&BETWEEN);
                        text.push(digit);
                        text
                    });
            spelled + &" ".repeat(source.below(100))
        }
        _ => String::from_utf8_lossy(source.rest()).into_owned(),
    }
}

#[test]
fn a_text_redeems_only_if_it_spells_the_code() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let (registration, code) = issued(&runtime);
    bolero::check!()
        .with_iterations(10_000)
        .for_each(|bytes: &[u8]| {
            let guess = guess(&mut Source::new(bytes), &code);
            let digits = normalised(&guess);
            let parsed = guess.parse::<RegistrationCode>();
            let parsed = parsed.map(|code| code.expose().replace('-', ""));
            assert_eq!(parsed.ok(), digits, "{guess:?}");

            let registrations = registrations(registration.clone());
            let outcome = runtime.block_on(registrations.redeem(&jane(), &guess));
            let (expected, status) = if digits == normalised(&code) {
                (RedeemOutcome::Redeemed, RegistrationStatus::Registered)
            } else {
                (RedeemOutcome::WrongGuess, RegistrationStatus::Pending)
            };
            assert_eq!(outcome.expect("an outcome"), expected, "{guess:?}");
            let jane = registrations.store().get(&jane()).expect("Jane");
            assert_eq!(jane.status, status);
        });
}
