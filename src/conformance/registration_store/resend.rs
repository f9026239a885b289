//! What the store is for: a thousand calls at once, and one code.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::{sync::Barrier, task::JoinSet};
use tower_service::Service;

use super::{StoreHarness, enter, jane, pending, stored};
use crate::{
    app::Permissions,
    backend::memory::MemoryMailer,
    conformance::{
        Breach,
        breach::{Answered, Kept, ensure},
    },
    delivery::{Courier, Deliverer},
    registration::{
        PATH, RedeemOutcome, RegistrationKey, RegistrationStore, Registrations, ResendRegistration,
    },
};

const CALLS: usize = 1_000;
const BODY: &str = r#"{"username":"jane@example.co","orgId":"org"}"#;
/// How long a mail may take that nothing is in the way of.
const DRAIN: Duration = Duration::from_secs(30);

/// Sentence 2, as the endpoint needs it: a thousand calls of [`ResendRegistration`] at once make one
/// code, owe one mail, and are all given the same answer; the mail's code is the live one.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_thousand_resends_at_once_give_one_code_one_mail_and_equal_answers(
    harness: &impl StoreHarness,
) -> Kept {
    let subject = harness.fresh().await;
    let jane = jane()?;
    enter(harness, &subject, &jane, &pending()).await?;
    let key = RegistrationKey::generate().answered("the random generator")?;
    let registrations = Registrations::new(subject.one.clone(), key);
    let mailer = MemoryMailer::new();
    let courier = Courier::new(Deliverer::new(registrations.clone(), mailer.clone()));
    let permissions = [Permissions::USERS_CREATE, Permissions::TYPES_END_USER];
    let endpoint = ResendRegistration::builder(registrations.clone(), courier.clone())
        .insecure_behind_other_authentication(permissions.into_iter().collect())
        .build()
        .answered("the endpoint's settings")?;
    let answers = call_at_once(&endpoint).await?;
    ensure!(
        answers.len() == 1,
        "{CALLS} calls were given {} answers",
        answers.len()
    );
    let ok = answers.first().is_some_and(|(status, ..)| *status == 200);
    ensure!(ok, "the calls failed: {answers:?}");
    courier.shutdown(DRAIN).await;
    one_code_and_mail(&registrations, &mailer).await
}

/// Status, headers and body.
type Seen = (u16, BTreeSet<(String, Vec<u8>)>, Bytes);

async fn call_at_once<S, B>(endpoint: &S) -> Kept<BTreeSet<Seen>>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send,
{
    let barrier = Arc::new(Barrier::new(CALLS));
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let (mut endpoint, barrier) = (endpoint.clone(), barrier.clone());
        calls.spawn(async move {
            let request = Request::builder()
                .method(Method::PUT)
                .uri(PATH)
                .header("content-type", "application/json")
                .body(Full::from(BODY))
                .answered("a request")?;
            barrier.wait().await;
            let ready = std::future::poll_fn(|context| endpoint.poll_ready(context));
            let Ok(()) = ready.await;
            let Ok(answer) = endpoint.call(request).await;
            seen(answer).await
        });
    }
    let mut answers = BTreeSet::new();
    while let Some(ended) = calls.join_next().await {
        let answer = ended.map_err(|panic| Breach::new(format!("a call panicked: {panic}")))?;
        answers.insert(answer?);
    }
    Ok(answers)
}

async fn seen<B>(answer: Response<B>) -> Kept<Seen>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let (parts, body) = answer.into_parts();
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let body = body.collect().await.answered("an answer's body")?;
    Ok((parts.status.as_u16(), headers.collect(), body.to_bytes()))
}

async fn one_code_and_mail<S: RegistrationStore>(
    registrations: &Registrations<S>,
    mailer: &MemoryMailer,
) -> Kept {
    let (sent, jane) = (mailer.sent(), jane()?);
    ensure!(
        (sent.len(), mailer.calls()) == (1, 1),
        "{} mails were sent, in {} tries",
        sent.len(),
        mailer.calls()
    );
    let registration = stored(&**registrations.store(), &jane).await?;
    ensure!(
        registration.generation == 1,
        "{} codes were made",
        registration.generation
    );
    ensure!(registration.owed.is_none(), "a mail is still owed");
    let code = sent[0].code.expose();
    let redeemed = registrations
        .redeem(&jane, code)
        .await
        .answered("redeeming the code")?;
    ensure!(
        redeemed == RedeemOutcome::Redeemed,
        "the mail's code is not the live one"
    );
    Ok(())
}
