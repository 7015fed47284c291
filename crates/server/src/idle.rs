//! Connections on which nothing is asked give their places to newcomers.
//!
//! A connection is idle while no request is being answered on it: before the first request's head has
//! arrived, and between two requests. Nobody needs to be known to open connections on a port, so a few
//! of them could keep everybody out for as long as a head may take. Where no place is free, the
//! connection that is idle for the longest time is closed; a request that has arrived is always
//! answered.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;

use crate::budget::Place;

/// How long a connection is left alone at least: a client on this machine sends its request at once.
const IDLE_MIN: Duration = Duration::from_millis(20);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The idle connections of a listener, the longest idle first.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    idle: BTreeMap<u64, (Instant, Arc<Chair>)>,
}

/// What a connection and the list share.
#[derive(Debug)]
struct Chair {
    state: Mutex<State>,
    /// Told when the connection shall end.
    given_up: Notify,
    /// Whether a write waits for the client.
    place: Arc<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its number in the list.
    Idle(u64),
    /// So many requests are being answered.
    Busy(usize),
    GivenUp,
}

impl Idle {
    /// Notes a new connection, on which nothing was asked yet.
    pub(crate) fn enter(self: &Arc<Self>, place: &Arc<Place>) -> Seat {
        let chair = Chair {
            state: Mutex::new(State::GivenUp),
            given_up: Notify::new(),
            place: Arc::clone(place),
        };
        let seat = Seat { idle: Arc::clone(self), chair: Arc::new(chair) };
        seat.rest(&mut lock(&self.list));
        seat
    }

    /// Has the connection end that is idle for the longest time, if one is for long enough.
    pub(crate) fn give_up_oldest(&self) {
        let mut list = lock(&self.list);
        let oldest = list.idle.iter().find(|(_, (since, chair))| {
            since.elapsed() >= IDLE_MIN && !chair.place.is_read_slowly()
        });
        let Some(number) = oldest.map(|(number, _)| *number) else { return };
        if let Some((_, chair)) = list.idle.remove(&number) {
            *lock(&chair.state) = State::GivenUp;
            chair.given_up.notify_one();
        }
    }
}

/// A connection's entry in the list, for as long as the connection lasts.
#[derive(Clone)]
pub(crate) struct Seat {
    idle: Arc<Idle>,
    chair: Arc<Chair>,
}

impl Seat {
    fn rest(&self, list: &mut List) {
        let number = list.next;
        list.next += 1;
        list.idle.insert(number, (Instant::now(), Arc::clone(&self.chair)));
        *lock(&self.chair.state) = State::Idle(number);
    }

    /// A request has arrived. It is answered, even where the connection was about to end.
    pub(crate) fn begin(&self) -> Answering {
        let mut list = lock(&self.idle.list);
        let mut state = lock(&self.chair.state);
        *state = match *state {
            State::Idle(number) => {
                list.idle.remove(&number);
                State::Busy(1)
            }
            State::Busy(requests) => State::Busy(requests + 1),
            State::GivenUp => State::Busy(1),
        };
        drop(state);
        Answering(self.clone())
    }

    /// Returns when the connection shall end because somebody else needs its place.
    pub(crate) async fn given_up(&self) {
        loop {
            self.chair.given_up.notified().await;
            if *lock(&self.chair.state) == State::GivenUp {
                return;
            }
        }
    }

    /// The connection has ended.
    pub(crate) fn leave(&self) {
        let mut list = lock(&self.idle.list);
        if let State::Idle(number) = *lock(&self.chair.state) {
            list.idle.remove(&number);
        }
        *lock(&self.chair.state) = State::Busy(usize::MAX / 2);
    }
}

/// A request that is being answered, until its answer is handed over whole.
pub(crate) struct Answering(Seat);

impl Drop for Answering {
    fn drop(&mut self) {
        let Self(seat) = self;
        let mut list = lock(&seat.idle.list);
        let state = *lock(&seat.chair.state);
        match state {
            State::Busy(1) => seat.rest(&mut list),
            State::Busy(requests) => *lock(&seat.chair.state) = State::Busy(requests - 1),
            State::Idle(_) | State::GivenUp => {}
        }
    }
}

/// A body that is of a request.
pub(crate) struct AnswerBody {
    body: Body,
    _answering: Answering,
}

impl AnswerBody {
    pub(crate) fn new(body: Body, answering: Answering) -> Self {
        Self { body, _answering: answering }
    }
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_given_up(seat: &Seat) -> bool {
        *lock(&seat.chair.state) == State::GivenUp
    }

    #[test]
    fn the_longest_idle_goes_first_and_a_request_that_has_arrived_is_answered() {
        let idle = Arc::new(Idle::default());
        let enter = || idle.enter(&Place::new());
        let (first, second, third) = (enter(), enter(), enter());
        idle.give_up_oldest();
        assert!(!is_given_up(&first), "it is left alone for a moment");
        std::thread::sleep(IDLE_MIN);
        let answering = first.begin();
        idle.give_up_oldest();
        assert!(!is_given_up(&first) && is_given_up(&second) && !is_given_up(&third));
        // Its request has come just then.
        let late = second.begin();
        assert!(!is_given_up(&second));
        drop((answering, late));
        std::thread::sleep(IDLE_MIN);
        for expected in [&third, &first, &second] {
            assert!(!is_given_up(expected));
            idle.give_up_oldest();
            assert!(is_given_up(expected));
        }
        let left = enter();
        left.leave();
        std::thread::sleep(IDLE_MIN);
        idle.give_up_oldest();
        assert!(!is_given_up(&left) && lock(&idle.list).idle.is_empty());
    }
}
