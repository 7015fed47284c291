//! What is written in place of a template's values, and the pools these are taken from.
//!
//! What a member of a pool looks like follows from its number alone. So pools take no memory, and
//! archives of different seeds are of one organisation. The first members are the busiest.

use std::io::Write as _;

use jiff::Timestamp;

use crate::generate::random::{HEX, Rng};

pub(crate) const REGIONS: [&str; 12] = [
    "us-east-1",
    "eu-west-1",
    "us-west-2",
    "eu-central-1",
    "ap-southeast-1",
    "us-east-2",
    "ap-northeast-1",
    "eu-west-2",
    "ap-southeast-2",
    "ap-south-1",
    "ca-central-1",
    "sa-east-1",
];
pub(crate) const ACCOUNTS: u64 = 20;
pub(crate) const USERS_PER_ACCOUNT: u64 = 100;
const USERS: u64 = ACCOUNTS * USERS_PER_ACCOUNT;
const SESSIONS_PER_USER: u64 = 10;
/// Client addresses, and resources of each kind: enough that most occur a few times in a million
/// events, as in a large organisation.
const ADDRESSES: u64 = 50_000;
const RESOURCES: u64 = 100_000;
/// Three make the name of a user: enough for 2,197.
const SYLLABLES: [&str; 13] =
    ["an", "bel", "cor", "da", "el", "fi", "gus", "hen", "jo", "ka", "li", "mar", "ro"];

/// What the values of one event have in common.
#[derive(Clone, Copy)]
pub(crate) struct Event {
    /// Numbers in the pools of accounts and users.
    pub(crate) account: u64,
    pub(crate) user: u64,
    pub(crate) region: &'static str,
    /// Unix seconds.
    pub(crate) second: i64,
}

/// What is written in place of a template's value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// The event's time, so many seconds later.
    Time(i64),
    /// The account and the region that the file is of.
    Account,
    Region,
    /// Any account.
    OtherAccount,
    Address,
    UserName,
    /// An access key or a user's principal id, by its first four letters; the caller's or another's.
    Key {
        kind: [u8; 4],
        is_own: bool,
        len: usize,
    },
    /// An id that no other event has, and one of a resource that many events name.
    EventUuid,
    ResourceUuid,
    /// The digits of an id such as `i-0dbc91f429e48eeed`.
    ResourceHex(usize),
}

impl Fresh {
    pub(crate) fn write(self, event: &Event, rng: &mut Rng, out: &mut Vec<u8>) {
        match self {
            // Writing to a vector cannot fail.
            Fresh::Time(offset) => drop(write!(out, "{}", time(event.second + offset))),
            Fresh::Account => out.extend(account_id(event.account).as_bytes()),
            Fresh::OtherAccount => out.extend(account_id(rng.zipf(ACCOUNTS)).as_bytes()),
            Fresh::Region => out.extend(event.region.as_bytes()),
            Fresh::Address => {
                let [a, b, c, d, ..] = member(*b"addr", rng.zipf(ADDRESSES)).draw().to_be_bytes();
                drop(write!(out, "{}.{b}.{c}.{d}", 11 + a % 110));
            }
            Fresh::UserName => {
                let (user, base) = (event.user as usize, SYLLABLES.len());
                for digit in [user / base / base, user / base % base, user % base] {
                    out.extend(SYLLABLES[digit].as_bytes());
                }
            }
            Fresh::Key { kind, is_own, len } => {
                let user = if is_own { event.user } else { rng.zipf(USERS) };
                let session = if kind == *b"ASIA" { rng.below(SESSIONS_PER_USER) } else { 0 };
                let mut key = member(kind, user * SESSIONS_PER_USER + session);
                out.extend(kind);
                key.write(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", len - kind.len(), out);
            }
            Fresh::EventUuid => rng.write_uuid(out),
            Fresh::ResourceUuid => member(*b"uuid", rng.zipf(RESOURCES)).write_uuid(out),
            Fresh::ResourceHex(len) => {
                member(*b"hex ", rng.zipf(RESOURCES)).write(HEX, len, out);
            }
        }
    }
}

pub(crate) fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("start, days and offsets are bounded")
}

pub(crate) fn account_id(account: u64) -> String {
    (100_000_000_000 + member(*b"acct", account).below(900_000_000_000)).to_string()
}

/// The random stream that draws a member of a pool.
fn member(pool: [u8; 4], number: u64) -> Rng {
    Rng(u64::from(u32::from_be_bytes(pool))).fork(number)
}
