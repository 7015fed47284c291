//! Flags of a record: what is odd about it or its file.

/// A set of flags, as bits of one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u64);

impl Flags {
    /// The record was not JSON and became so by removing stray commas.
    pub const REPAIRED: Self = Self(1);
    /// No usable `eventTime`; the time is `@timestamp`'s.
    pub(crate) const TIME_FROM_TIMESTAMP: Self = Self(1 << 1);
    /// No usable `eventTime`; the time is `timeWindow.windowStart`'s.
    pub(crate) const TIME_FROM_WINDOW: Self = Self(1 << 2);
    /// No time in the record at all; the time is its file's.
    pub(crate) const TIME_FROM_FILE: Self = Self(1 << 3);
    /// The record holds bytes that are not UTF-8, or half of a character; they are searched as U+FFFD.
    pub(crate) const INVALID_UTF8: Self = Self(1 << 4);
    /// The record came from a gzip member after the first, which AWS never writes.
    pub(crate) const SECOND_MEMBER: Self = Self(1 << 5);
    /// Another event has the same account and `eventID`, and different content.
    pub const ID_CONFLICT: Self = Self(1 << 6);
    /// The record's file has bytes behind its compressed data; AWS never writes any.
    pub const TRAILING_BYTES: Self = Self(1 << 7);
    /// The event's time is later than its file was delivered.
    pub const FUTURE: Self = Self(1 << 12);

    /// Those that tell of the file or of other events; a record that is parsed again tells the rest.
    pub(crate) const NOT_OF_THE_RECORD: Self =
        Self(Self::SECOND_MEMBER.0 | Self::ID_CONFLICT.0 | Self::TRAILING_BYTES.0 | Self::FUTURE.0);

    const NAMES: [(Self, &'static str); 9] = [
        (Self::REPAIRED, "repaired"),
        (Self::TIME_FROM_TIMESTAMP, "time-from-timestamp"),
        (Self::TIME_FROM_WINDOW, "time-from-window"),
        (Self::TIME_FROM_FILE, "time-from-file"),
        (Self::INVALID_UTF8, "invalid-utf8"),
        (Self::SECOND_MEMBER, "second-member"),
        (Self::ID_CONFLICT, "id-conflict"),
        (Self::TRAILING_BYTES, "trailing-bytes"),
        (Self::FUTURE, "future"),
    ];

    /// Whether every flag of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those of some flags that are set.
    #[must_use]
    pub(crate) fn among(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// The names of the flags that are set, as the API shows them.
    pub fn names(self) -> Vec<String> {
        Self::NAMES
            .iter()
            .filter(|(flag, _)| self.contains(*flag))
            .map(|(_, name)| (*name).to_owned())
            .collect()
    }
}

impl std::ops::BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
