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
        self.place.note_write(written.is_pending());
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;
    use crate::budget::{Budget, Holder};

    const LIMIT: Duration = Duration::from_millis(200);

    /// Writes two MiB to a client that reads so much every 20 ms, for two seconds at most. Whether it was cut off.
    fn is_cut_off(step: usize, is_held: bool) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let place = Place::new();
        let budget = Arc::new(Budget::default());
        let _held = is_held.then(|| budget.take(&Holder::Anybody, &place, 2 << 20).unwrap());
        runtime.block_on(async {
            let (server, mut client) = duplex(1 << 10);
            let mut guarded = StallGuard::new(server, LIMIT, place);
            let write = async move { guarded.write_all(&vec![0; 2 << 20]).await.is_err() };
            let read = async move {
                let started = Instant::now();
                let mut bytes = vec![0; step];
                while started.elapsed() < 10 * LIMIT {
                    if client.read_exact(&mut bytes).await.is_err() {
                        return;
                    }
                    sleep(LIMIT / 10).await;
                }
            };
            tokio::select! {
                is_cut_off = write => is_cut_off,
                () = read => false,
            }
        })
    }

    #[test]
    fn an_answer_that_is_held_is_read_at_a_least_rate() {
        // 12 KiB a second, where 64 are the least.
        assert!(is_cut_off(256, true));
        assert!(!is_cut_off(256, false), "what is streamed may be read as slowly");
        assert!(!is_cut_off(16 << 10, true));
    }
}
