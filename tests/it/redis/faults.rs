//! Servers that are silent, gone, back again, full, badly set or badly addressed.

use std::{error::Error, num::NonZeroUsize, time::Duration};

use chrono::TimeDelta;
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout},
};
use tower_registration::{
    backend::redis::{
        CONNECT_TIMEOUT, MAX_CLOCK_TOLERANCE, RESPONSE_TIMEOUT, RedisGuardError, RedisReplayGuard,
    },
    clock::{Clock, SystemClock},
    nonce::ClaimOutcome::{Claimed, Replayed, Unknowable},
};

use super::{OwnServer, Place, TOLERANCE, claim, claim_now, proxy::Proxy};

/// What scheduling may add to a time-out.
const SLACK: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(10);

/// Claims until the server answers again; how often it did not.
async fn recovers(guard: &RedisReplayGuard, number: usize) -> usize {
    let since = Instant::now();
    for failed in 0.. {
        match claim_now(guard, number).await {
            Ok(_) => return failed,
            Err(error) => assert!(since.elapsed() < PATIENCE, "{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
    unreachable!()
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let since = Instant::now();
    RedisReplayGuard::connect(&url).await.unwrap_err();
    assert!(since.elapsed() < CONNECT_TIMEOUT + SLACK);
}

#[tokio::test]
async fn a_server_that_stalls_is_an_error_in_time_and_recovers() {
    let Some(own) = OwnServer::start(&[]).await else {
        return;
    };
    let place = Place::on(own.url());
    let guard = place.guard().await;
    let mut pause = redis::cmd("CLIENT");
    pause.arg("PAUSE").arg(3_000).arg("ALL");
    let () = pause.query_async(&mut place.raw().await).await.unwrap();
    let since = Instant::now();
    let stalled = claim_now(&guard, 1).await.unwrap_err();
    assert!(
        matches!(stalled, RedisGuardError::TimedOut(_)),
        "{stalled:?}"
    );
    assert!(since.elapsed() < RESPONSE_TIMEOUT + SLACK);
    // Connecting anew has to wait, too, and is as bounded.
    let since = Instant::now();
    claim_now(&guard, 2).await.unwrap_err();
    assert!(since.elapsed() < CONNECT_TIMEOUT + SLACK);
    recovers(&guard, 3).await;
}

/// Claims without end, every few milliseconds. Their callers have more or less patience, most of
/// them less than connecting may take.
async fn load(guard: RedisReplayGuard) {
    let patience = [50, 100, 600, 999, 2_000].map(Duration::from_millis);
    for (number, patience) in (1_000..).zip(patience.into_iter().cycle()) {
        let guard = guard.clone();
        tokio::spawn(async move { timeout(patience, claim_now(&guard, number)).await });
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_outage_under_load_is_over_when_it_ends_and_costs_few_connections() {
    const IMPATIENCE: Duration = Duration::from_millis(50);
    let Some(own) = OwnServer::start(&[]).await else {
        return;
    };
    let proxy = Proxy::to(own.port()).await;
    let guard = Place::on(proxy.url()).guard().await;
    let load = tokio::spawn(load(guard.clone()));
    assert_eq!(claim_now(&guard, 0).await.unwrap(), Claimed);

    proxy.begins();
    let during = timeout(IMPATIENCE, claim_now(&guard, 1)).await;
    assert!(!matches!(during, Ok(Ok(_))), "{during:?}");
    sleep(Duration::from_millis(2_500)).await;
    proxy.ends();
    let since = Instant::now();
    // Those who hang up at once find the way open again, too.
    for number in 2.. {
        let claimed = timeout(IMPATIENCE, claim_now(&guard, number)).await;
        if matches!(claimed, Ok(Ok(Claimed))) {
            break;
        }
        assert!(since.elapsed() < 2 * CONNECT_TIMEOUT, "{claimed:?}");
        sleep(Duration::from_millis(5)).await;
    }
    // The first, one or two tries during the outage, and the last.
    assert!(proxy.opened() <= 5, "{} connections", proxy.opened());
    assert!(!load.is_finished());
}

#[tokio::test]
async fn a_late_answer_is_nobody_elses_and_the_connection_is_kept() {
    let Some(own) = OwnServer::start(&[]).await else {
        return;
    };
    let proxy = Proxy::to(own.port()).await;
    let guard = Place::on(proxy.url()).guard().await;
    let mut pause = redis::cmd("CLIENT");
    pause.arg("PAUSE").arg(700).arg("ALL");
    let mut raw = Place::on(own.url()).raw().await;
    let () = pause.query_async(&mut raw).await.unwrap();
    let late = claim_now(&guard, 1).await.unwrap_err();
    assert!(matches!(late, RedisGuardError::TimedOut(_)), "{late:?}");
    // The answer to the first comes before that to the second.
    assert_eq!(claim_now(&guard, 2).await.unwrap(), Claimed);
    assert_eq!(claim_now(&guard, 1).await.unwrap(), Replayed);
    assert_eq!(claim_now(&guard, 3).await.unwrap(), Claimed);
    assert_eq!(proxy.opened(), 1);
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_and_its_return_is_noticed() {
    let Some(mut own) = OwnServer::start(&[]).await else {
        return;
    };
    let place = Place::on(own.url());
    let strict = place.settings().connect(&place.url).await.unwrap();
    let trusting = place.guard().await;
    sleep(TOLERANCE + Duration::from_secs(1)).await;
    let now = SystemClock.now();
    let end = now + TimeDelta::seconds(300);
    assert_eq!(claim(&strict, 1, end, now).await.unwrap(), Claimed);
    assert_eq!(claim(&strict, 1, end, now).await.unwrap(), Replayed);

    own.kill().await;
    let since = Instant::now();
    for number in 10..30 {
        claim_now(&strict, number).await.unwrap_err();
    }
    assert!(
        since.elapsed() < SLACK,
        "a server that is gone keeps nobody waiting"
    );

    own.restart().await;
    assert!(recovers(&strict, 40).await < 100);
    // Its memory is lost, and the guard knows it.
    assert_eq!(claim(&strict, 1, end, now).await.unwrap(), Unknowable);
    recovers(&trusting, 41).await;
    assert_eq!(claim(&trusting, 1, end, now).await.unwrap(), Claimed);
    // After a while, new nonces are accepted again.
    sleep(TOLERANCE + Duration::from_secs(1)).await;
    assert_eq!(claim_now(&strict, 2).await.unwrap(), Claimed);
}

#[tokio::test]
async fn a_server_that_has_become_a_replica_is_an_error_and_not_stormed() {
    let Some(own) = OwnServer::start(&[]).await else {
        return;
    };
    let proxy = Proxy::to(own.port()).await;
    let guard = Place::on(proxy.url()).guard().await;
    let mut raw = Place::on(own.url()).raw().await;
    let mut demote = redis::cmd("REPLICAOF");
    demote.arg("127.0.0.1").arg(1);
    let () = demote.query_async(&mut raw).await.unwrap();
    let since = Instant::now();
    for number in 0..100 {
        claim_now(&guard, number).await.unwrap_err();
        sleep(Duration::from_millis(5)).await;
    }
    // Whoever is at the address is looked at again, though not with every claim.
    let tenths = usize::try_from(since.elapsed().as_millis() / 100).unwrap();
    assert!((2..=tenths + 2).contains(&proxy.opened()));

    let mut promote = redis::cmd("REPLICAOF");
    promote.arg("NO").arg("ONE");
    let () = promote.query_async(&mut raw).await.unwrap();
    recovers(&guard, 100).await;
}

/// All nodes of a cluster refuse while one is gone (`cluster-require-full-coverage`).
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_without_a_node_is_an_error_and_its_return_is_noticed() {
    let Some(mut nodes) = super::own::cluster().await else {
        return;
    };
    let urls: Vec<_> = nodes.iter().map(OwnServer::url).collect();
    let settings = Place::on(String::new()).settings();
    let guard = settings.connect_cluster(&urls).await.unwrap();
    assert_eq!(claim_now(&guard, 0).await.unwrap(), Claimed);
    nodes[2].kill().await;
    let mut refused = 0;
    for number in 1..20 {
        let since = Instant::now();
        refused += usize::from(claim_now(&guard, number).await.is_err());
        assert!(since.elapsed() < RESPONSE_TIMEOUT + SLACK);
    }
    assert!(refused > 0);
    nodes[2].restart().await;
    for number in 100..120 {
        recovers(&guard, number).await;
    }
}

#[tokio::test]
async fn a_server_that_evicts_is_refused() {
    for policy in ["allkeys-lru", "volatile-ttl"] {
        let options = ["--maxmemory-policy", policy];
        let Some(own) = OwnServer::start(&options).await else {
            return;
        };
        let refused = RedisReplayGuard::connect(&own.url()).await.unwrap_err();
        assert!(matches!(&refused, RedisGuardError::Evicts { policy: found } if found == policy));
        assert!(refused.to_string().contains("noeviction"), "{refused}");
    }
}

#[tokio::test]
async fn a_full_server_is_an_error() {
    let Some(own) = OwnServer::start(&[]).await else {
        return;
    };
    let place = Place::on(own.url());
    let guard = place.guard().await;
    assert_eq!(claim_now(&guard, 1).await.unwrap(), Claimed);
    let mut no_room = redis::cmd("CONFIG");
    no_room.arg("SET").arg("maxmemory").arg(1);
    let () = no_room.query_async(&mut place.raw().await).await.unwrap();
    let full = claim_now(&guard, 2).await.unwrap_err();
    assert!(matches!(full, RedisGuardError::Full), "{full:?}");
}

#[tokio::test]
async fn a_claim_that_too_few_replicas_have_is_an_error_and_used_up() {
    let Some(own) = OwnServer::start(&["--repl-diskless-sync-delay", "0"]).await else {
        return;
    };
    let place = Place::on(own.url());
    let wanted = NonZeroUsize::MIN;
    let settings = place.settings().insecure_accept_before_start();
    let settings = settings.wait_for_replicas(wanted, Duration::from_millis(200));
    let guard = settings.connect(&place.url).await.unwrap();
    let alone = claim_now(&guard, 1).await.unwrap_err();
    let expected = RedisGuardError::Replicas {
        acknowledged: 0,
        wanted: 1,
    };
    assert_eq!(alone.to_string(), expected.to_string());
    assert_eq!(claim_now(&guard, 1).await.unwrap(), Replayed);

    let replica_of = ["--replicaof", "127.0.0.1", &own.port().to_string()];
    let Some(_replica) = OwnServer::start(&replica_of).await else {
        return;
    };
    let since = Instant::now();
    // Each failed try uses its nonce up.
    for number in 2.. {
        if matches!(claim_now(&guard, number).await, Ok(Claimed)) {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "the replica gets nothing");
    }
}

#[tokio::test]
async fn a_user_who_may_do_no_more_than_claim_is_served() {
    let Some(own) = OwnServer::start(&[]).await else {
        return;
    };
    let place = Place::on(own.url());
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER")
        .arg("claims")
        .arg("on")
        .arg(">pass")
        .arg("~*");
    acl.arg("+set").arg("+pttl");
    let () = acl.query_async(&mut place.raw().await).await.unwrap();
    let url = place.url.replace("redis://", "redis://claims:pass@");
    let guard = place.settings().connect(&url).await.unwrap();
    // It does not know since when the server remembers, and takes it for the connection's beginning.
    assert_eq!(claim_now(&guard, 1).await.unwrap(), Unknowable);
    sleep(TOLERANCE).await;
    assert_eq!(claim_now(&guard, 2).await.unwrap(), Claimed);
}

/// An error in all that could be shown of it.
fn shown(error: &RedisGuardError) -> String {
    let causes = std::iter::successors(Some(error as &dyn Error), |&error| error.source());
    let shown = causes.map(|cause| format!("{cause} {cause:?}"));
    shown.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_wrong_login_says_so_and_tells_no_password() {
    let Some(own) = OwnServer::start(&["--requirepass", "right"]).await else {
        return;
    };
    for login in [":hunter2@", "user:hunter2@", ""] {
        let url = own.url().replace("redis://", &format!("redis://{login}"));
        let refused = RedisReplayGuard::connect(&url).await.unwrap_err();
        assert!(
            matches!(refused, RedisGuardError::Login { .. }),
            "{login}: {refused:?}"
        );
        assert!(!shown(&refused).contains("hunter2"), "{refused:?}");
        let refused = RedisReplayGuard::settings()
            .connect_cluster([&url])
            .await
            .unwrap_err();
        assert!(!shown(&refused).contains("hunter2"), "{refused:?}");
    }
    let right = own.url().replace("redis://", "redis://:right@");
    let guard = RedisReplayGuard::connect(&right).await.unwrap();
    assert!(!format!("{guard:?}").contains("right"));
}

#[tokio::test]
async fn settings_that_can_not_work_are_told_in_a_line() {
    for url in [
        "",
        "127.0.0.1:6379",
        "http://127.0.0.1",
        "redis://",
        "redis://h:port",
        "/tmp",
    ] {
        let url = url.replace("redis://h", "redis://user:hunter2@h");
        let error = RedisReplayGuard::connect(&url).await.unwrap_err();
        assert!(matches!(error, RedisGuardError::Url), "{url}: {error:?}");
        assert!(!shown(&error).contains("hunter2"), "{error:?}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("redis://:hunter2@{nobody}");
    let error = RedisReplayGuard::connect(&url).await.unwrap_err();
    assert!(
        matches!(error, RedisGuardError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(&nobody.to_string()), "{error}");
    assert!(!shown(&error).contains("hunter2"), "{error:?}");

    let too_long = MAX_CLOCK_TOLERANCE + Duration::from_millis(1);
    let settings = RedisReplayGuard::settings().clock_tolerance(too_long);
    let error = settings.connect(&url).await.unwrap_err();
    assert!(matches!(error, RedisGuardError::Tolerance(_)), "{error:?}");
}
