//! What clients may make the daemon hold for them: answers that they have not read, and large bodies
//! that are still arriving.
//!
//! Each connection may hold one small thing, whatever others do; the number of connections bounds
//! these. Everything else is taken from one sum. A user has a share of it, and a connection a share
//! of that, so that clients that do not read cost others nothing but large answers, and other users
//! not even these.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::limits::{EXPORTS_KEPT_BYTES_MAX, SMALL_BYTES, UNREAD_BYTES_MAX};

/// What one user may hold of the sum: the largest answer, or several smaller ones.
const USER_BYTES_MAX: usize = UNREAD_BYTES_MAX / 2;

/// What one connection may hold of it beside others of its user.
const CONNECTION_BYTES_MAX: usize = USER_BYTES_MAX / 2;

/// Who holds something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// A user of this machine, by number.
    User(u32),
    /// Whoever signs with an access key.
    Key(String),
    /// All clients of the port that do not say who they are.
    Anybody,
}

/// One connection, as far as it holds something.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    has_small: AtomicBool,
    /// How many things it holds.
    things: AtomicUsize,
    /// Whether a write waits for its client.
    is_read_slowly: AtomicBool,
}

impl Place {
    pub(crate) fn new() -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            number,
            has_small: AtomicBool::default(),
            things: AtomicUsize::default(),
            is_read_slowly: AtomicBool::default(),
        })
    }

    /// Whether a write waits for its client.
    pub(crate) fn is_read_slowly(&self) -> bool {
        self.is_read_slowly.load(Ordering::Relaxed)
    }

    pub(crate) fn note_write(&self, waits: bool) {
        self.is_read_slowly.store(waits, Ordering::Relaxed);
    }

    /// Whether the daemon holds anything for it.
    pub(crate) fn holds(&self) -> bool {
        self.things.load(Ordering::Relaxed) > 0
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    sum: usize,
    users: HashMap<Holder, Shares>,
}

/// What one user holds, by connection.
#[derive(Debug, Default)]
struct Shares {
    sum: usize,
    connections: HashMap<u64, usize>,
}

/// Something that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    budget: Arc<Budget>,
    holder: Holder,
    place: Arc<Place>,
    /// None where it is the connection's small one.
    bytes: Option<usize>,
}

impl Budget {
    /// Takes so many bytes; None where that is more than the client may hold now.
    pub(crate) fn take(
        self: &Arc<Self>,
        holder: &Holder,
        place: &Arc<Place>,
        bytes: usize,
    ) -> Option<Taken> {
        let taken = |bytes| {
            place.things.fetch_add(1, Ordering::Relaxed);
            let (budget, place) = (Arc::clone(self), Arc::clone(place));
            Taken { budget, holder: holder.clone(), place, bytes }
        };
        if bytes <= SMALL_BYTES && !place.has_small.swap(true, Ordering::Relaxed) {
            return Some(taken(None));
        }
        // What is larger than any share is in memory already, and has the whole share.
        let bytes = bytes.min(USER_BYTES_MAX);
        self.held().take(holder, place.number, bytes).then(|| taken(Some(bytes)))
    }

    /// What is held of the sum.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.held().sum
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn take(&mut self, holder: &Holder, place: u64, bytes: usize) -> bool {
        let (of_user, of_connection) = match self.users.get(holder) {
            Some(user) => (user.sum, user.connections.get(&place).copied().unwrap_or_default()),
            None => (0, 0),
        };
        let fits = self.sum + bytes <= UNREAD_BYTES_MAX
            && of_user + bytes <= USER_BYTES_MAX
            && (of_user == 0 || of_connection + bytes <= CONNECTION_BYTES_MAX);
        if fits {
            self.sum += bytes;
            let user = self.users.entry(holder.clone()).or_default();
            user.sum += bytes;
            *user.connections.entry(place).or_default() += bytes;
        }
        fits
    }

    fn give_back(&mut self, holder: &Holder, place: u64, bytes: usize) {
        self.sum -= bytes;
        let Some(user) = self.users.get_mut(holder) else { return };
        user.sum -= bytes;
        if let Entry::Occupied(mut connection) = user.connections.entry(place) {
            *connection.get_mut() -= bytes;
            if *connection.get() == 0 {
                connection.remove();
            }
        }
        if user.sum == 0 {
            self.users.remove(holder);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.place.things.fetch_sub(1, Ordering::Relaxed);
        match self.bytes {
            None => self.place.has_small.store(false, Ordering::Relaxed),
            Some(bytes) => {
                self.budget.held().give_back(&self.holder, self.place.number, bytes);
            }
        }
    }
}

/// What exports keep of what they have found, until their clients have read it.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    bytes: Mutex<usize>,
}

/// What one export keeps. Its client must read at the least rate, as one must for which the daemon holds an
/// answer: others wait for the memory.
#[derive(Debug)]
pub(crate) struct Kept {
    keeping: Arc<Keeping>,
    place: Arc<Place>,
    bytes: usize,
}

impl Keeping {
    /// Takes so many bytes; where others leave less, how many they have.
    pub(crate) fn take(self: &Arc<Self>, place: &Arc<Place>, bytes: usize) -> Result<Kept, usize> {
        let mut kept = self.bytes();
        // What is larger than all of it is in memory already, and has the whole.
        let bytes = bytes.min(EXPORTS_KEPT_BYTES_MAX);
        if *kept + bytes > EXPORTS_KEPT_BYTES_MAX {
            return Err(*kept);
        }
        *kept += bytes;
        place.things.fetch_add(1, Ordering::Relaxed);
        Ok(Kept { keeping: Arc::clone(self), place: Arc::clone(place), bytes })
    }

    fn bytes(&self) -> MutexGuard<'_, usize> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.place.things.fetch_sub(1, Ordering::Relaxed);
        *self.keeping.bytes() -= self.bytes;
    }
}

/// So many of something, of which one user can have three quarters.
#[derive(Debug)]
pub(crate) struct Seats {
    most: usize,
    taken: Mutex<HashMap<Holder, usize>>,
}

/// One of the seats, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    holder: Holder,
}

impl Seats {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// Takes a seat; None where all are taken, or all of the user's.
    pub(crate) fn take(self: &Arc<Self>, holder: &Holder) -> Option<Seat> {
        let mut taken = self.taken();
        let of_user = taken.get(holder).copied().unwrap_or_default();
        let all: usize = taken.values().sum();
        if all >= self.most || of_user >= (self.most * 3 / 4).max(1) {
            return None;
        }
        taken.insert(holder.clone(), of_user + 1);
        Some(Seat { seats: Arc::clone(self), holder: holder.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Holder, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Entry::Occupied(mut of_user) = taken.entry(self.holder.clone()) {
            *of_user.get_mut() -= 1;
            if *of_user.get() == 0 {
                of_user.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// Takes so many MiB each on connections of their own, until one is refused.
    fn fill(budget: &Arc<Budget>, holder: &Holder, bytes: usize) -> Vec<Taken> {
        std::iter::from_fn(|| budget.take(holder, &Place::new(), bytes)).take(1_000).collect()
    }

    #[test]
    fn one_user_leaves_half_to_others_and_every_connection_has_a_small_one() {
        let budget = Arc::new(Budget::default());
        let (one, other) = (Holder::User(1), Holder::Key("AKID".into()));
        let held = fill(&budget, &one, 3 * MIB);
        assert_eq!(held.len(), 5);
        let place = Place::new();
        assert!(budget.take(&one, &place, 2 * MIB).is_none());
        let small = budget.take(&one, &place, SMALL_BYTES).unwrap();
        // The second of a connection is none of its own.
        assert!(budget.take(&one, &place, SMALL_BYTES).is_some());
        let rest = fill(&budget, &one, SMALL_BYTES + 1);
        assert!(!rest.is_empty() && rest.len() < 10, "{}", rest.len());
        assert!(budget.take(&one, &place, SMALL_BYTES).is_none());
        drop(small);
        assert!(budget.take(&one, &place, SMALL_BYTES).is_some());
        let others = fill(&budget, &other, 16 * MIB);
        assert_eq!(others.len(), 1);
        assert!(budget.take(&Holder::Anybody, &Place::new(), MIB).is_none(), "all is taken");
        drop((held, rest, others));
        assert_eq!(fill(&budget, &Holder::Anybody, 3 * MIB).len(), 5);
        assert_eq!(budget.held().sum, 0);
        assert!(budget.held().users.is_empty());
    }

    #[test]
    fn one_user_leaves_a_quarter_of_the_seats() {
        let seats = Seats::new(4);
        let take = |user: u32| seats.take(&Holder::User(user));
        let held: Vec<Seat> = std::iter::from_fn(|| take(1)).take(10).collect();
        assert_eq!(held.len(), 3);
        let other = take(2).unwrap();
        assert!(take(2).is_none() && take(3).is_none());
        drop(other);
        assert!(take(1).is_none() && take(3).is_some());
        drop(held);
        assert!(seats.taken().is_empty());
    }

    #[test]
    fn one_user_leaves_a_seat_to_others_however_few_there_are() {
        for (most, of_user) in [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3), (64, 48)] {
            let seats = Seats::new(most);
            let held: Vec<Seat> = std::iter::from_fn(|| seats.take(&Holder::User(1))).collect();
            assert_eq!(held.len(), of_user, "of {most}");
            assert_eq!(seats.take(&Holder::User(2)).is_some(), most > 1, "of {most}");
        }
    }

    #[test]
    fn what_exports_keep_is_one_sum_and_their_places_hold_something() {
        let keeping = Arc::new(Keeping::default());
        let (first, second) = (Place::new(), Place::new());
        let whole = keeping.take(&first, EXPORTS_KEPT_BYTES_MAX - 5).unwrap();
        assert!(first.holds() && !second.holds());
        let small = keeping.take(&second, 5).unwrap();
        assert_eq!(keeping.take(&second, 1).unwrap_err(), EXPORTS_KEPT_BYTES_MAX);
        drop(whole);
        assert!(!first.holds() && second.holds());
        assert_eq!(keeping.take(&first, usize::MAX).unwrap_err(), 5);
        drop(small);
        assert!(keeping.take(&first, usize::MAX).is_ok());
        assert!(!first.holds() && !second.holds());
    }

    #[test]
    fn a_connection_has_a_share_of_its_users() {
        let budget = Arc::new(Budget::default());
        let user = Holder::User(1);
        let (first, second) = (Place::new(), Place::new());
        let held: Vec<Taken> =
            std::iter::from_fn(|| budget.take(&user, &first, 2 * MIB)).take(100).collect();
        assert_eq!(held.len(), 4);
        assert!(budget.take(&user, &second, 8 * MIB).is_some());
        // The largest answer there is goes to a user who holds nothing else.
        assert!(budget.take(&user, &second, 40 * MIB).is_none());
        drop(held);
        let whole = budget.take(&user, &second, 40 * MIB).unwrap();
        assert!(budget.take(&user, &first, SMALL_BYTES + 1).is_none());
        drop(whole);
    }
}
