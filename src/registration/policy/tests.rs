use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::registration::{
    NewCode, RegistrationStatus, UserKind,
    code::{CodeDigest, SealedCode},
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn digest(number: u64) -> CodeDigest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    CodeDigest(bytes)
}

fn code(number: u64) -> NewCode {
    NewCode {
        digest: digest(number),
        sealed: SealedCode(number.to_be_bytes().to_vec()),
    }
}

fn pending() -> Registration {
    Registration::pending(UserKind::EndUser, "jane@example.co")
}

#[track_caller]
fn issued(registration: &Registration, seconds: i64, number: u64) -> Registration {
    match reissue(registration, at(seconds), &Policy::default(), code(number)) {
        Reissue::Issued(issued) => issued,
        Reissue::Kept(kept) => panic!("{kept:?}"),
    }
}

fn leased_at(seconds: i64) -> Registration {
    lease(
        &issued(&pending(), 0, 1),
        at(seconds),
        at(seconds + 60),
        When::Due,
    )
    .unwrap()
}

fn guessed(registration: &Registration, seconds: i64, number: u64) -> Redeem {
    let guess = digest(number);
    redeem(registration, at(seconds), &Policy::default(), Some(&guess))
}

#[track_caller]
fn assert_kept(registration: &Registration, seconds: i64, expected: Kept) {
    let decided = reissue(registration, at(seconds), &Policy::default(), code(99));
    assert_eq!(decided, Reissue::Kept(expected), "at {seconds} s");
}

#[test]
fn a_new_code_is_the_only_one_and_owes_its_mail() {
    let first = issued(&pending(), 0, 1);
    let second = issued(&first, 60, 2);
    assert_eq!((second.generation, second.version), (2, 2));
    let current = second.code.as_ref().unwrap();
    assert_eq!(current.digest, digest(2));
    assert_eq!(current.expires_at, at(60 + 4 * 3_600));
    let owed = second.owed.as_ref().unwrap();
    assert_eq!(owed.sealed, SealedCode(2_u64.to_be_bytes().to_vec()));
    assert_eq!((owed.attempts, owed.next_at), (0, at(60)));
    assert!(matches!(guessed(&second, 61, 1), Redeem::WrongGuess(_)));
    assert!(matches!(guessed(&second, 61, 2), Redeem::Redeemed(_)));
}

#[test]
fn who_is_registered_or_deactivated_gets_nothing() {
    let first = issued(&pending(), 0, 1);
    let registered = first.clone().with_status(RegistrationStatus::Registered);
    let deactivated = first.with_status(RegistrationStatus::Deactivated);
    assert_kept(&registered, 1_000, Kept::Registered);
    assert_kept(&deactivated, 1_000, Kept::Deactivated);
    let refused = |user, number| guessed(user, 1, number);
    assert_eq!(
        refused(&registered, 1),
        Redeem::Refused(Refusal::Registered)
    );
    assert_eq!(
        refused(&deactivated, 1),
        Redeem::Refused(Refusal::Deactivated)
    );
}

#[test]
fn a_code_is_kept_until_its_cooldown_ends() {
    let first = issued(&pending(), 100, 1);
    assert_kept(&first, 100, Kept::CoolingDown);
    assert_kept(&first, 159, Kept::CoolingDown);
    assert_eq!(issued(&first, 160, 2).generation, 2);
    // A clock that is behind by up to a cooldown.
    assert_kept(&first, 40, Kept::CoolingDown);
    // A clock that was wrong by more.
    assert_eq!(issued(&first, 39, 2).generation, 2);
}

#[test]
fn without_a_cooldown_the_caps_remain() {
    let policy = Policy::builder().cooldown(Duration::ZERO).build().unwrap();
    let mut user = pending();
    for number in 1..=5 {
        match reissue(&user, at(0), &policy, code(number)) {
            Reissue::Issued(next) => user = next,
            Reissue::Kept(kept) => panic!("{kept:?} at {number}"),
        }
    }
    let sixth = reissue(&user, at(0), &policy, code(6));
    assert_eq!(sixth, Reissue::Kept(Kept::HourlyCap));
}

#[test]
fn the_hourly_and_the_daily_cap_hold() {
    let (mut user, mut hourly, mut daily, mut codes) = (pending(), 0, 0, 0);
    for minute in 0..=(24 * 60 - 145) {
        match reissue(&user, at(minute * 60), &Policy::default(), code(1)) {
            Reissue::Issued(next) => {
                user = next;
                codes += 1;
            }
            Reissue::Kept(Kept::HourlyCap) => hourly += 1,
            Reissue::Kept(Kept::DailyCap) => daily += 1,
            Reissue::Kept(kept) => panic!("{kept:?}"),
        }
    }
    assert!(hourly > 0 && daily > 0);
    // Ten at once and one for each 144 minutes that have passed since the first.
    assert_eq!(codes, 18);
}

#[test]
fn while_a_mail_is_in_flight_its_code_stays() {
    let leased = leased_at(30);
    assert_kept(&leased, 89, Kept::MailInFlight);
    let next = issued(&leased, 90, 2);
    assert_eq!(next.lease, None, "a lease that has ended is dropped");
    let token = leased.lease.unwrap().token;
    let late = settle(&next, token, &Policy::default(), Settlement::Delivered);
    assert_eq!(late, None, "a late sender does not touch the newer mail");
}

#[test]
fn a_lease_that_a_wrong_clock_took_holds_nobody_up() {
    let user = issued(&pending(), 0, 1);
    let leased = lease(&user, at(0), at(1_000_000), When::Due).unwrap();
    assert_eq!(issued(&leased, 60, 2).lease, None);
    let longest = lease(&user, at(60), at(660), When::Due).unwrap();
    assert_kept(&longest, 60, Kept::MailInFlight);
}

#[test]
fn a_code_is_used_once_and_leaves_nothing_behind() {
    let user = leased_at(0);
    let Redeem::Redeemed(done) = guessed(&user, 1, 1) else {
        panic!("the code is right");
    };
    assert_eq!(done.status, RegistrationStatus::Registered);
    assert_eq!((&done.code, &done.owed, done.lease), (&None, &None, None));
    assert_eq!(done.version, user.version + 1);
    assert_eq!(guessed(&done, 2, 1), Redeem::Refused(Refusal::Registered));
    assert_kept(&done, 1_000, Kept::Registered);
}

#[test]
fn a_code_is_accepted_until_the_instant_of_its_expiry() {
    let user = issued(&pending(), 0, 1);
    assert!(matches!(
        guessed(&user, 4 * 3_600 - 1, 1),
        Redeem::Redeemed(_)
    ));
    assert_eq!(
        guessed(&user, 4 * 3_600, 1),
        Redeem::Refused(Refusal::Expired)
    );
    assert_eq!(guessed(&pending(), 0, 1), Redeem::Refused(Refusal::NoCode));
}

#[test]
fn wrong_guesses_are_charged_across_codes_until_none_is_left() {
    let mut user = issued(&pending(), 0, 1);
    for guess in 0..20 {
        if guess == 10 {
            user = issued(&user, 60, 2);
        }
        let text_or_code = (guess % 2 == 0).then(|| digest(1_000 + guess));
        match redeem(&user, at(61), &Policy::default(), text_or_code.as_ref()) {
            Redeem::WrongGuess(next) => {
                assert_eq!(next.version, user.version + 1);
                user = next;
            }
            other => panic!("{other:?} at guess {guess}"),
        }
    }
    assert_eq!(
        guessed(&user, 62, 2),
        Redeem::Refused(Refusal::GuessesSpent)
    );
    let other = issued(&user, 200, 3);
    assert_eq!(
        guessed(&other, 201, 3),
        Redeem::Refused(Refusal::GuessesSpent)
    );
    // A day has 20 guesses, so the next comes after a twentieth of it.
    let later = 61 + 86_400 / 20;
    assert!(matches!(guessed(&other, later, 3), Redeem::Redeemed(_)));
}

#[test]
fn a_mail_is_leased_when_due_and_by_one_sender() {
    let user = issued(&pending(), 100, 1);
    let lease = |user: &Registration, now, when| lease(user, at(now), at(now + 60), when);
    assert_eq!(lease(&pending(), 100, When::Early), None);
    assert_eq!(lease(&user, 99, When::Due), None);
    assert!(lease(&user, 99, When::Early).is_some());
    let leased = lease(&user, 100, When::Due).unwrap();
    assert_eq!(leased.lease.unwrap().token, leased.version);
    assert_eq!(lease(&leased, 159, When::Early), None);
    let taken_over = lease(&leased, 160, When::Due).unwrap();
    assert_ne!(taken_over.lease.unwrap().token, leased.lease.unwrap().token);
}

#[test]
fn a_settlement_ends_the_lease_and_keeps_what_is_to_be_tried_again() {
    let leased = leased_at(0);
    let token = leased.lease.unwrap().token;
    let settled = |settlement| settle(&leased, token, &Policy::default(), settlement).unwrap();
    let rows = [
        ("delivered", Settlement::Delivered, None),
        ("permanent", Settlement::Permanent, None),
        ("moot", Settlement::Moot, None),
        (
            "transient",
            Settlement::Transient { retry_at: at(5) },
            Some(at(5)),
        ),
        (
            "at expiry",
            Settlement::Transient {
                retry_at: at(4 * 3_600),
            },
            None,
        ),
        (
            "unopened",
            Settlement::Unopened { retry_at: at(5) },
            Some(at(5)),
        ),
        (
            "unopened at expiry",
            Settlement::Unopened {
                retry_at: at(4 * 3_600),
            },
            None,
        ),
    ];
    for (name, settlement, next_at) in rows {
        let after = settled(settlement);
        assert_eq!(after.lease, None, "{name}");
        assert_eq!(after.version, leased.version + 1, "{name}");
        assert_eq!(after.code, leased.code, "{name}");
        assert_eq!(after.owed.map(|owed| owed.next_at), next_at, "{name}");
    }
    let stranger = settle(
        &leased,
        token + 1,
        &Policy::default(),
        Settlement::Delivered,
    );
    assert_eq!(stranger, None);
}

#[test]
fn the_last_try_that_fails_buries_the_mail() {
    let mut user = issued(&pending(), 0, 1);
    for attempt in 1..=5 {
        let leased = lease(&user, at(attempt), at(attempt + 1), When::Early).unwrap();
        let retry_at = at(attempt + 1);
        let token = leased.lease.unwrap().token;
        let settlement = Settlement::Transient { retry_at };
        user = settle(&leased, token, &Policy::default(), settlement).unwrap();
        let attempts = user.owed.as_ref().map(|owed| i64::from(owed.attempts));
        assert_eq!(attempts, (attempt < 5).then_some(attempt));
    }
}

#[test]
fn a_mail_that_was_not_opened_has_not_been_tried() {
    let mut user = issued(&pending(), 0, 1);
    for look in 1..=20 {
        let leased = lease(&user, at(look), at(look + 1), When::Early).unwrap();
        let retry_at = at(look + 1);
        let token = leased.lease.unwrap().token;
        let settlement = Settlement::Unopened { retry_at };
        user = settle(&leased, token, &Policy::default(), settlement).unwrap();
        assert_eq!(user.owed.as_ref().map(|owed| owed.attempts), Some(0));
    }
}

#[test]
fn a_mail_is_of_use_while_its_code_lives_and_its_user_has_yet_to_register() {
    let user = issued(&pending(), 0, 1);
    assert!(is_sendable(&user, at(4 * 3_600 - 1)));
    assert!(!is_sendable(&user, at(4 * 3_600)));
    assert!(!is_sendable(
        &user.with_status(RegistrationStatus::Deactivated),
        at(0)
    ));
    assert!(!is_sendable(&pending(), at(0)));
}

/// What may happen to a user.
#[derive(Clone, Debug)]
enum Event {
    Resend,
    Right,
    Wrong,
    Old,
    Lease,
    Settle(bool),
    Pass(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Resend),
        1 => Just(Event::Right),
        3 => Just(Event::Wrong),
        2 => Just(Event::Old),
        3 => Just(Event::Lease),
        3 => any::<bool>().prop_map(Event::Settle),
        4 => (0_i64..400).prop_map(Event::Pass),
        1 => (0_i64..20_000).prop_map(Event::Pass),
    ]
}

/// The user, beside what a test remembers that the value itself does not.
struct World {
    user: Registration,
    now: i64,
    issued: Vec<i64>,
    wrong: Vec<i64>,
    token: Option<u64>,
}

impl World {
    /// What `event` leads to, or `None` if nothing changes. The digest of generation n is n's.
    fn after(&mut self, event: &Event) -> Option<Registration> {
        let (policy, now, user) = (Policy::default(), at(self.now), &self.user);
        match event {
            Event::Pass(seconds) => {
                self.now += seconds;
                None
            }
            Event::Resend => match reissue(user, now, &policy, code(user.generation + 1)) {
                Reissue::Issued(next) => {
                    self.issued.push(self.now);
                    Some(next)
                }
                Reissue::Kept(_) => None,
            },
            Event::Right | Event::Wrong | Event::Old => {
                let guess = match event {
                    Event::Right => user.generation,
                    Event::Old => user.generation.wrapping_sub(1),
                    _ => u64::MAX,
                };
                match guessed(user, self.now, guess) {
                    Redeem::Redeemed(next) => {
                        assert!(matches!(event, Event::Right), "{event:?} was accepted");
                        Some(next)
                    }
                    Redeem::WrongGuess(next) => {
                        assert!(!matches!(event, Event::Right), "the live code was refused");
                        self.wrong.push(self.now);
                        Some(next)
                    }
                    Redeem::Refused(_) => None,
                }
            }
            Event::Lease => {
                let next = lease(user, now, at(self.now + 60), When::Due)?;
                self.token = next.lease.map(|lease| lease.token);
                Some(next)
            }
            Event::Settle(delivered) => {
                let retry_at = at(self.now + 5);
                let settlement = match delivered {
                    true => Settlement::Delivered,
                    false => Settlement::Transient { retry_at },
                };
                settle(user, self.token?, &policy, settlement)
            }
        }
    }

    fn check(&self, event: &Event, next: &Registration) {
        assert_eq!(next.version, self.user.version + 1);
        assert!(next.generation - self.user.generation <= 1);
        if let (Some(old), Some(new)) = (&self.user.code, &next.code)
            && old.digest != new.digest
        {
            assert!(matches!(event, Event::Resend));
            assert!(new.issued_at - old.issued_at >= TimeDelta::seconds(60));
            let lease = self.user.lease;
            assert!(lease.is_none_or(|lease| lease.until <= at(self.now)));
        }
        if let Some(owed) = &next.owed {
            let number = next.generation.to_be_bytes().to_vec();
            assert_eq!(owed.sealed, SealedCode(number), "a superseded mail is owed");
        }
    }
}

/// Any span of time sees at most the limit and what came back in it.
fn bounded(times: &[i64], limit: i64, window: i64) -> bool {
    times.iter().enumerate().all(|(first, start)| {
        times[first..]
            .iter()
            .zip(1..)
            .all(|(end, count): (_, i64)| count <= limit + (end - start) * limit / window)
    })
}

proptest! {
    #[test]
    fn whatever_happens_in_whatever_order_the_rules_hold(
        events in prop::collection::vec(event(), 1..150)
    ) {
        let mut world = World {
            user: pending(),
            now: 0,
            issued: vec![],
            wrong: vec![],
            token: None,
        };
        for event in &events {
            if let Some(next) = world.after(event) {
                world.check(event, &next);
                world.user = next;
            }
        }
        prop_assert!(bounded(&world.issued, 5, 3_600));
        prop_assert!(bounded(&world.issued, 10, 86_400));
        prop_assert!(bounded(&world.wrong, 20, 86_400));
        // A day later everything is open again, whatever state the user was left in.
        if world.user.status == RegistrationStatus::Pending {
            let again = issued(&world.user, world.now + 86_400, 1);
            let tomorrow = redeem(&again, at(world.now + 86_400), &Policy::default(), Some(&digest(1)));
            prop_assert!(matches!(tomorrow, Redeem::Redeemed(_)));
        }
    }
}
