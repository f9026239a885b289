//! One statement on a pooled connection, within a stated time.

use std::future::Future;

use sqlx::{
    FromRow, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::QueryAs,
};
use tokio::{runtime::Handle, time::timeout};

use super::{ANSWER_TIMEOUT, PostgresError};

pub(super) type Statement<'q, O> = QueryAs<'q, Postgres, O, PgArguments>;

/// The pool, each statement by itself, and in bounds that hold though the server be cut off: a
/// pool's own bound is on waiting for a connection, not for an answer.
#[derive(Clone, Debug)]
pub(super) struct Ask(pub(super) PgPool);

impl Ask {
    pub(super) async fn for_one<O>(
        &self,
        statement: Statement<'_, O>,
    ) -> Result<Option<O>, PostgresError>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        answered(async {
            let mut held = self.hold().await?;
            statement.fetch_optional(&mut *held.0).await
        })
        .await
    }

    pub(super) async fn for_all<O>(
        &self,
        statement: Statement<'_, O>,
    ) -> Result<Vec<O>, PostgresError>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        answered(async {
            let mut held = self.hold().await?;
            statement.fetch_all(&mut *held.0).await
        })
        .await
    }

    pub(super) async fn hold(&self) -> Result<Held, sqlx::Error> {
        Ok(Held(self.0.acquire().await?))
    }
}

/// What sqlx says to a question, within its time.
pub(super) async fn answered<T>(
    asking: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, PostgresError> {
    match timeout(ANSWER_TIMEOUT, asking).await {
        Ok(answer) => answer.map_err(PostgresError::statement),
        Err(_) => Err(PostgresError::TimedOut),
    }
}

pub(super) async fn in_time<T>(
    asking: impl Future<Output = Result<T, PostgresError>>,
) -> Result<T, PostgresError> {
    timeout(ANSWER_TIMEOUT, asking)
        .await
        .unwrap_or(Err(PostgresError::TimedOut))
}

/// A connection for one statement, given back however that ends.
pub(super) struct Held(pub(super) PoolConnection<Postgres>);

/// Before it takes a connection back, sqlx reads what is left of an answer and makes an empty round
/// trip, both without a bound: were the server cut off, the place in the pool would be lost. What
/// is not given back in time is dropped, and its place is free.
impl Drop for Held {
    fn drop(&mut self) {
        let given_back = self.0.return_to_pool();
        // Without a runtime there is nothing to wait with, and it is dropped at once.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { timeout(ANSWER_TIMEOUT, given_back).await });
        }
    }
}
