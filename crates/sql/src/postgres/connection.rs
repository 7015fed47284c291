//! One client's connection, from its first byte to its last. The library decodes messages of up to a gigabyte
//! before it knows who sends them; so their lengths are looked at as they are read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use datafusion_postgres::pgwire::api::{
    ClientInfo as _, PgWireConnectionState, PgWireServerHandlers as _,
};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use datafusion_postgres::pgwire::messages::PgWireFrontendMessage;
use datafusion_postgres::pgwire::tokio::server::{
    MaybeTls, PgWireMessageServerCodec, negotiate_tls, process_error, process_message,
};
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::codec::{Framed, FramedParts};

use super::service::Kept;
use super::startup::Connection;

/// A message's bytes: a statement, and the values of its parameters.
const MESSAGE_BYTES_MAX: u32 = 1 << 20;

/// Time for a client to say who it is.
const STARTUP: Duration = Duration::from_secs(20);

/// Time to tell a client that it is not answered.
const FAREWELL: Duration = Duration::from_secs(2);

/// Answers a client until it is gone.
pub(super) async fn answer(socket: TcpStream, connection: Connection) -> io::Result<()> {
    let begun = Instant::now();
    let negotiated = tokio::time::timeout(STARTUP, negotiate_tls::<Kept>(socket, None)).await;
    let Some(negotiated) = negotiated.map_err(|_| late())?? else { return Ok(()) };
    let parts = negotiated.into_parts();
    let mut lengths = Lengths::Header { bytes: Vec::with_capacity(5), has_kind: false };
    lengths.note(&parts.read_buf)?;
    let mut limited = FramedParts::new(Limited { socket: parts.io, lengths }, parts.codec);
    limited.read_buf = parts.read_buf;
    limited.write_buf = parts.write_buf;
    let mut framed: Framed<Limited, PgWireMessageServerCodec<Kept>> = Framed::from_parts(limited);

    let done = converse(&mut framed, &connection, begun + STARTUP).await;
    connection.end(framed.pid_and_secret_key());
    done
}

async fn converse(
    framed: &mut Framed<Limited, PgWireMessageServerCodec<Kept>>,
    connection: &Connection,
    started: Instant,
) -> io::Result<()> {
    let (startup, cancel) = (connection.startup_handler(), connection.cancel_handler());
    let (service, copy) = (connection.service(), connection.copy_handler());
    loop {
        let is_starting = matches!(
            framed.state(),
            PgWireConnectionState::AwaitingStartup
                | PgWireConnectionState::AuthenticationInProgress
        );
        let next = framed.next();
        let message = if is_starting {
            tokio::time::timeout_at(started, next).await.map_err(|_| late())?
        } else {
            next.await
        };
        let message = match message {
            None | Some(Ok(PgWireFrontendMessage::Terminate(_))) => return Ok(()),
            Some(message) => message.map_err(io::Error::other)?,
        };
        let is_extended = message.is_extended_query();
        let done = process_message(
            message,
            framed,
            Arc::clone(&startup),
            Arc::clone(&service),
            Arc::clone(&service),
            Arc::clone(&copy),
            Arc::clone(&cancel),
        );
        if let Err(error) = done.await {
            process_error(framed, error, is_extended).await?;
        }
    }
}

/// Tells a client that all places are taken.
pub(super) async fn turn_away(socket: TcpStream, places: usize) {
    let text = format!("{places} clients are connected; try again in a while");
    let error = ErrorInfo::new("FATAL".to_owned(), "53300".to_owned(), text);
    let told = async {
        if let Some(mut framed) = negotiate_tls::<Kept>(socket, None).await? {
            process_error(&mut framed, PgWireError::UserError(Box::new(error)), false).await?;
        }
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(FAREWELL, told).await;
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client did not say who it is in time")
}

/// A socket whose messages are not too long.
struct Limited {
    socket: MaybeTls,
    lengths: Lengths,
}

/// Where in a message the next byte is.
#[derive(Debug)]
enum Lengths {
    /// Within what says how long it is; the first message of all has no kind before.
    Header { bytes: Vec<u8>, has_kind: bool },
    /// So many bytes are to come.
    Body(u32),
}

impl Lengths {
    /// Follows what was read. Fails at a message that is too long.
    fn note(&mut self, mut read: &[u8]) -> io::Result<()> {
        while !read.is_empty() {
            match self {
                Self::Body(left) => {
                    let count = read.len().min(*left as usize);
                    read = &read[count..];
                    *left -= count as u32;
                }
                Self::Header { bytes, has_kind } => {
                    bytes.push(read[0]);
                    read = &read[1..];
                    let kind = usize::from(*has_kind);
                    if let Some(&[a, b, c, d]) = bytes.get(kind..kind + 4) {
                        let length = u32::from_be_bytes([a, b, c, d]);
                        if length > MESSAGE_BYTES_MAX {
                            let text = format!(
                                "a message has {length} bytes; {MESSAGE_BYTES_MAX} are the most"
                            );
                            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                        }
                        *self = Self::Body(length.saturating_sub(4));
                    }
                }
            }
            if matches!(self, Self::Body(0)) {
                *self = Self::Header { bytes: Vec::with_capacity(5), has_kind: true };
            }
        }
        Ok(())
    }
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, into))?;
        Poll::Ready(self.lengths.note(&into.filled()[before..]))
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether messages that come in pieces of so many bytes are let through.
    fn passes(bytes: &[u8], piece: usize) -> bool {
        let mut lengths = Lengths::Header { bytes: Vec::new(), has_kind: false };
        bytes.chunks(piece).all(|piece| lengths.note(piece).is_ok())
    }

    #[test]
    fn a_message_that_is_too_long_is_known_by_its_first_bytes() {
        let startup = [&8_u32.to_be_bytes()[..], b"\0\x03\0\0"].concat();
        let query = |length: u32| [b"Q", &length.to_be_bytes()[..]].concat();
        let small = [startup.clone(), query(9), b"abcd\0".to_vec(), query(4)].concat();
        for piece in [1, 2, 5, 100] {
            assert!(passes(&small, piece));
            assert!(passes(&[small.clone(), query(MESSAGE_BYTES_MAX)].concat(), piece));
            assert!(!passes(&[small.clone(), query(MESSAGE_BYTES_MAX + 1)].concat(), piece));
            assert!(!passes(&u32::MAX.to_be_bytes(), piece));
        }
    }
}
