//! Limits on how long a client may read nothing of an answer, and on how slowly it may read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::budget::Place;
use wire::limits::READ_BYTES_PER_S_MIN;

/// A stream whose writes fail once the other side has kept them waiting for `limit`. An answer that
/// the daemon holds for it must be read at a least rate besides: the time that a client has used up
/// comes back with the bytes that it reads, and not at once with the first of them.
pub(crate) struct StallGuard<S> {
    stream: S,
    limit: Duration,
    place: Arc<Place>,
    /// How long the client may still keep writes waiting.
    left: Duration,
    /// Since when a write waits, and what ends it.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> StallGuard<S> {
    pub(crate) fn new(stream: S, limit: Duration, place: Arc<Place>) -> Self {
        Self { stream, limit, place, left: limit, waiting: None }
    }

    fn watch(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            if let Some((since, _)) = self.waiting.take() {
                self.left = self.left.saturating_sub(since.elapsed());
            }
            let back = Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX)
                / READ_BYTES_PER_S_MIN as u32;
            let is_held = self.place.holds();
            self.left = if is_held { self.limit.min(self.left + back) } else { self.limit };
        }
        if written.is_ready() {
            return written;
        }
        let left = self.left;
        let wait = || (Instant::now(), Box::pin(sleep(left)));
        let (_, end) = self.waiting.get_or_insert_with(wait);
        ready!(end.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client stopped reading")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
