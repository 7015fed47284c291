//! A request's body that counts against what its client may make the daemon hold.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::ask::{App, busy};
use crate::budget::Taken;
use crate::client::Client;
use wire::limits::{REQUEST_BODY_BYTES_MAX, SMALL_BYTES};

/// What a body has taken. Whoever handles the request keeps it until it is answered.
pub(crate) type Slot = Arc<OnceLock<Taken>>;

/// See the module's documentation. Bytes that are thrown away, past the largest body, do not count.
pub(crate) struct Counted {
    body: Body,
    app: App,
    client: Client,
    read: usize,
    slot: Slot,
    /// There was no room; what still comes is thrown away.
    is_refused: bool,
}

impl Counted {
    pub(crate) fn new(body: Body, app: App, client: Client) -> (Self, Slot) {
        let slot = Slot::default();
        (Self { body, app, client, read: 0, slot: Arc::clone(&slot), is_refused: false }, slot)
    }

    /// Counts what has arrived: a body that is not small is counted as the largest there is.
    fn count(&mut self, bytes: usize) -> Result<(), axum::Error> {
        self.read += bytes;
        if self.read <= SMALL_BYTES || self.slot.get().is_some() || self.is_refused {
            return Ok(());
        }
        let Client { holder, place } = &self.client;
        let taken = self.app.budget.take(holder, place, REQUEST_BODY_BYTES_MAX);
        let Some(taken) = taken else {
            self.is_refused = true;
            return Err(axum::Error::new(busy("too many large requests are arriving")));
        };
        let _ = self.slot.set(taken);
        Ok(())
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            if let Err(refused) = self.count(bytes) {
                return Poll::Ready(Some(Err(refused)));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
