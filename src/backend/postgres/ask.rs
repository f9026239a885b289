//! One statement on a pooled connection, within a stated time.

use std::future::Future;

use sqlx::{
    Connection, FromRow, PgConnection, PgPool, Postgres,
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
        in_time(async {
            let mut held = self.hold().await?;
            let answer = statement.fetch_optional(held.connection()?).await;
            held.answered();
            answer
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
        in_time(async {
            let mut held = self.hold().await?;
            let answer = statement.fetch_all(held.connection()?).await;
            held.answered();
            answer
        })
        .await
    }

    async fn hold(&self) -> Result<Held, sqlx::Error> {
        Ok(Held(Some(self.0.acquire().await?)))
    }
}

async fn in_time<T>(
    asking: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, PostgresError> {
    match timeout(ANSWER_TIMEOUT, asking).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(PostgresError::TimedOut),
    }
}

/// A connection with a statement under way.
struct Held(Option<PoolConnection<Postgres>>);

impl Held {
    fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.0.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// The statement is over: the connection may serve the next.
    fn answered(mut self) {
        drop(self.0.take());
    }
}

/// Time ran out, or nobody waits any more. Given back as it is, the connection would be waited for
/// without end if the server is cut off, and its place in the pool be lost.
impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut connection) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                let answer = timeout(ANSWER_TIMEOUT, connection.ping()).await;
                if !matches!(answer, Ok(Ok(()))) {
                    connection.close_on_drop();
                }
            });
        }
    }
}
