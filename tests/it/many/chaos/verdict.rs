//! What came of it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::time::{sleep, timeout};
use tower_registration::registration::{OrgId, RegistrationKey, UserId, Username};

use super::{
    super::{
        catcher::{Catcher, End, Received},
        fleet::{SCHEMA, username},
    },
    LEASE,
    load::Told,
};
use crate::process::{KEY, ORG, PATIENCE, Peer};

/// Who looks at every mail as it is handed over, knows the key, and asks the database.
#[derive(Clone)]
pub(super) struct Witness {
    pool: PgPool,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// Mails with a code that was dead already.
    dead: Vec<Received>,
    /// Mails at whose hand-over the database could not be asked.
    unchecked: usize,
    /// When something happened that may have kept a sender from noting what it had sent.
    unsettling: Vec<Instant>,
}

/// What is worth telling.
#[derive(Debug)]
#[expect(dead_code, reason = "shown by Debug")]
pub(super) struct Counts {
    mails_taken: usize,
    codes: usize,
    taken_twice_with_unknown_outcome: usize,
    unanswered_hand_overs: usize,
    liveness_unchecked: usize,
    asked_again_after_a_refusal_for_good: usize,
}

impl Witness {
    pub(super) fn new(url: &str) -> Self {
        let options = PgPoolOptions::new().max_connections(8);
        let options = options.acquire_timeout(Duration::from_millis(500));
        Self {
            pool: options.connect_lazy(url).unwrap(),
            seen: Arc::default(),
        }
    }

    pub(super) fn note_unsettling(&self) {
        self.seen.lock().unwrap().unsettling.push(Instant::now());
    }

    /// Whether the mail's code is the user's live one at this moment.
    pub(super) async fn look(&self, mail: &Received) {
        let asked = timeout(Duration::from_millis(500), self.generation(&mail.to)).await;
        let mut seen = self.seen.lock().unwrap();
        match asked {
            Ok(Ok(generation)) => {
                let id = format!("<{}@", key().message_id(&user(&mail.to), generation));
                if !mail.message_id.starts_with(&id) {
                    seen.dead.push(mail.clone());
                }
            }
            _ => seen.unchecked += 1,
        }
    }

    async fn generation(&self, address: &str) -> Result<u64, sqlx::Error> {
        let sql = format!(
            "SELECT (registration->>'generation')::bigint \
             FROM \"{SCHEMA}\".tower_registration_user WHERE org_id = $1 AND username = $2"
        );
        let generation: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(ORG)
            .bind(address)
            .fetch_one(&self.pool)
            .await?;
        Ok(u64::try_from(generation).unwrap())
    }

    /// Waits until no mail is owed.
    pub(super) async fn all_is_settled(&self) {
        let sql = format!(
            "SELECT count(*) FROM \"{SCHEMA}\".tower_registration_user WHERE due_at IS NOT NULL"
        );
        loop {
            let owed = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(sql.clone()));
            if matches!(owed.fetch_one(&self.pool).await, Ok(0)) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) async fn judge(&self, catcher: &Catcher, told: &Told, peer: Peer) -> Counts {
        assert_eq!(told.accepted_twice, 0, "a nonce was accepted twice");
        self.assert_that_none_was_dead();
        let received = catcher.received();
        let unchecked = self.seen.lock().unwrap().unchecked;
        assert!(unchecked * 2 < received.len(), "{unchecked} not looked at");
        let (codes, twice) = self.doubles(&received);
        let mut again = 0;
        for number in &told.users {
            again += usize::from(completes(catcher, &peer, *number, self).await);
        }
        self.assert_that_none_was_dead();
        let with = |end| received.iter().filter(|mail| mail.end == end).count();
        Counts {
            mails_taken: with(End::Taken),
            codes,
            taken_twice_with_unknown_outcome: twice,
            unanswered_hand_overs: with(End::Unknown),
            liveness_unchecked: self.seen.lock().unwrap().unchecked,
            asked_again_after_a_refusal_for_good: again,
        }
    }

    fn assert_that_none_was_dead(&self) {
        let dead = &self.seen.lock().unwrap().dead;
        assert!(dead.is_empty(), "dead when handed over: {dead:?}");
    }

    /// How many codes were mailed, and how many mails were taken again since nobody could know.
    fn doubles(&self, received: &[Received]) -> (usize, usize) {
        let mut last: HashMap<&str, &Received> = HashMap::new();
        let mut code_of: HashMap<&str, &str> = HashMap::new();
        let mut twice = 0;
        let unsettling = self.seen.lock().unwrap().unsettling.clone();
        for mail in received.iter().filter(|mail| mail.end == End::Taken) {
            let code = code_of.entry(&mail.message_id).or_insert(&mail.code);
            assert_eq!(*code, mail.code, "one message id, two codes");
            if let Some(before) = last.insert(&mail.message_id, mail) {
                let after = before.at + Duration::from_secs(LEASE);
                let unknown = unsettling.iter().any(|at| {
                    *at + Duration::from_secs(1) >= before.at && *at <= mail.at.min(after)
                });
                assert!(unknown, "taken twice for no reason: {before:?} {mail:?}");
                twice += 1;
            }
        }
        let codes: HashSet<_> = code_of.values().collect();
        assert_eq!(codes.len(), code_of.len(), "one code, two message ids");
        (codes.len(), twice)
    }
}

/// The code mailed last completes the registration. `true` if the user had to ask once more, since
/// the mail server had refused the mail for good.
async fn completes(catcher: &Catcher, peer: &Peer, number: usize, witness: &Witness) -> bool {
    let user = username(number);
    let of_user = || {
        let received = catcher.received().into_iter();
        received.filter(|mail| mail.to == user).collect::<Vec<_>>()
    };
    let before = of_user();
    let refused = before.last().is_some_and(|mail| mail.end == End::Refused);
    if refused {
        let since = Instant::now();
        // A guard that has just restarted knows no nonce of before.
        while !peer
            .resend(&user, &crate::support::nonce_at(chrono::Utc::now()))
            .await
            .is_ok_and(|answer| answer.status == 200)
        {
            assert!(since.elapsed() < PATIENCE, "{user} can't ask again");
            sleep(Duration::from_millis(100)).await;
        }
        while of_user().last().unwrap().end != End::Taken {
            assert!(since.elapsed() < PATIENCE, "{user} has got no mail");
            sleep(Duration::from_millis(20)).await;
        }
        let settled = timeout(PATIENCE, witness.all_is_settled()).await;
        assert!(settled.is_ok(), "the mail to {user} is owed still");
    }
    let mails = of_user();
    let last = mails.iter().rfind(|mail| mail.end == End::Taken);
    let last = last.unwrap_or_else(|| panic!("{user} was told success, and got {mails:?}"));
    let since = Instant::now();
    loop {
        let answer = peer.redeem(&user, &last.code).await;
        // A guard that has just restarted knows no nonce of before.
        if answer.error_name() == "NonceInvalid" && since.elapsed() < PATIENCE {
            sleep(Duration::from_millis(200)).await;
            continue;
        }
        assert_eq!(
            answer.status, 200,
            "{user}: {answer:?}, last {last:?} of {mails:?}"
        );
        return refused;
    }
}

fn key() -> RegistrationKey {
    RegistrationKey::from_hex(KEY).unwrap()
}

fn user(address: &str) -> UserId {
    UserId {
        org_id: OrgId::new(ORG).unwrap(),
        username: Username::new(address).unwrap(),
    }
}
