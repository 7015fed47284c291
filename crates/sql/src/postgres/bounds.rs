//! Until when a statement may take, and what stops it before: also while its rows are read.

use std::time::Instant;

use datafusion_postgres::pgwire::api::results::{QueryResponse, Response};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use futures_util::Stream;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::{mpsc, watch};

use super::errors::told;
use crate::SqlError;
use crate::error::TIMEOUT;

/// Rows that are made before the client reads them.
const ROWS_WAITING: usize = 16;

/// See the module's documentation.
#[derive(Clone)]
pub(super) struct Bounds {
    pub(super) deadline: Instant,
    pub(super) stopped: watch::Receiver<()>,
}

impl Bounds {
    /// Works, and fails where a bound is reached first.
    pub(super) async fn within<T>(&mut self, work: impl Future<Output = T>) -> PgWireResult<T> {
        tokio::select! {
            biased;
            _ = self.stopped.changed() => Err(PgWireError::QueryCanceled),
            worked = tokio::time::timeout_at(self.deadline.into(), work) => {
                worked.map_err(|_| told(&SqlError::Bound(TIMEOUT.to_owned())))
            }
        }
    }

    /// The response, whose rows end with an error where a bound is reached; `held` is given back behind them.
    pub(super) fn bound<H: Send + 'static>(&self, response: Response, held: H) -> Response {
        match response {
            Response::Query(mut response) => {
                let (fields, tag) = (response.row_schema(), response.command_tag().to_owned());
                let rows = std::mem::replace(response.data_rows(), Box::pin(stream::empty()));
                let mut response = QueryResponse::new(fields, self.rows(rows, held));
                response.set_command_tag(&tag);
                Response::Query(response)
            }
            Response::CopyOut(mut response) => {
                let rows = std::mem::replace(response.data_stream(), Box::pin(stream::empty()));
                *response.data_stream() = Box::pin(self.rows(rows, held));
                Response::CopyOut(response)
            }
            response => response,
        }
    }

    /// The rows are made by a task of their own, which ends in time: a client may begin to read them, and never
    /// go on.
    fn rows<T: Send + 'static, H: Send + 'static>(
        &self,
        mut rows: impl Stream<Item = PgWireResult<T>> + Send + Unpin + 'static,
        held: H,
    ) -> impl Stream<Item = PgWireResult<T>> + Send + 'static {
        let (out, waiting) = mpsc::channel::<PgWireResult<Option<T>>>(ROWS_WAITING);
        let mut bounds = self.clone();
        tokio::spawn(async move {
            let _held = held;
            loop {
                let next = tokio::select! {
                    () = out.closed() => return,
                    next = bounds.within(rows.next()) => next.and_then(Option::transpose),
                };
                let is_last = !matches!(next, Ok(Some(_)));
                let sent = bounds.within(out.send(next)).await;
                if is_last || !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
        });
        stream::unfold(Some(waiting), |waiting| async move {
            let mut waiting = waiting?;
            match waiting.recv().await {
                Some(Ok(Some(row))) => Some((Ok(row), Some(waiting))),
                Some(Ok(None)) => None,
                Some(Err(error)) => Some((Err(error), None)),
                // It ended while nobody read.
                None => Some((Err(told(&SqlError::Bound(TIMEOUT.to_owned()))), None)),
            }
        })
    }
}
