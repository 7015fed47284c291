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
    pub const TIME_FROM_FILE: Self = Self(1 << 3);
    /// The record holds bytes that are not UTF-8, or half of a character; they are searched as U+FFFD.
    pub const INVALID_UTF8: Self = Self(1 << 4);
    /// The record came from a gzip member after the first, which AWS never writes.
    pub(crate) const SECOND_MEMBER: Self = Self(1 << 5);
    /// Another event has the same account and `eventID`, and different content.
    pub const ID_CONFLICT: Self = Self(1 << 6);
    /// The record's file has bytes behind its compressed data; AWS never writes any.
    pub const TRAILING_BYTES: Self = Self(1 << 7);
    /// The event's time is later than its file was delivered.
    pub const FUTURE: Self = Self(1 << 12);

    /// An object of the record, of a policy in it, or of what it is packed in has a key twice, or one with dots
    /// beside its nested form. What is derived follows what other readers read: the last, and the nested.
    pub const DUPLICATE_KEYS: Self = Self(1 << 16);
    /// Text that is no time stands before the record in its line.
    pub(crate) const LINE_PREFIX: Self = Self(1 << 17);
    /// The record was in a wrapper of another tool: `_source` (Elasticsearch).
    pub(crate) const IN_SOURCE: Self = Self(1 << 18);
    /// The same: `result._raw` or `_raw` (Splunk).
    pub(crate) const IN_RAW: Self = Self(1 << 19);
    /// The same: `event.original` (Elastic agents).
    pub(crate) const IN_ORIGINAL: Self = Self(1 << 20);
    /// The same: `message` (Logstash and others).
    pub(crate) const IN_MESSAGE: Self = Self(1 << 21);
    /// The same: `aws` or `data.aws` (Wazuh).
    pub(crate) const IN_AWS: Self = Self(1 << 22);
    /// The same: `Message` or `Sns.Message` (SNS).
    pub(crate) const IN_SNS: Self = Self(1 << 23);
    /// The same: `body` or `Body` (SQS).
    pub(crate) const IN_BODY: Self = Self(1 << 24);
    /// It is a notification of S3, which has the form of a record, and none of CloudTrail's.
    pub(crate) const S3_NOTIFICATION: Self = Self(1 << 25);
    /// The file is UTF-16.
    pub const UTF16: Self = Self(1 << 26);
    /// The file is gzip inside of gzip.
    pub const GZIP_IN_GZIP: Self = Self(1 << 27);
    /// The file has several gzip members, each of which is an envelope of CloudWatch Logs, as Firehose
    /// writes them.
    pub const LOG_MEMBERS: Self = Self(1 << 28);
    /// The record's file ends too early: what came behind is missing. The ledger has it, and no event.
    pub const CUT_OFF: Self = Self(1 << 29);

    /// The record is of a table: its offset is a [`RowPlace`](crate::rows::RowPlace).
    pub const TABLE: Self = Self(1 << 40);
    /// The record was put together of the columns of a table.
    pub const RECONSTRUCTED: Self = Self(1 << 41);
    /// The same, and the text of a column reads in several ways: it is kept as a text.
    pub const AMBIGUOUS: Self = Self(1 << 42);
    /// The same, and a map was taken apart at `, name=`, which a value may hold itself.
    pub const MAP_TEXT: Self = Self(1 << 43);

    /// Those that tell how a file is packed.
    pub const PACKING: Self = Self(0x7 << 26 | Self::TABLE.0);

    /// Those that name a wrapper.
    const WRAPPERS: Self = Self(0x7F << 18);

    /// Those that tell of the file or of other events; a record that is parsed again tells the rest.
    pub(crate) const NOT_OF_THE_RECORD: Self = Self(
        Self::INVALID_UTF8.0
            | Self::DUPLICATE_KEYS.0
            | Self::SECOND_MEMBER.0
            | Self::ID_CONFLICT.0
            | Self::TRAILING_BYTES.0
            | Self::FUTURE.0
            | Self::LINE_PREFIX.0
            | Self::WRAPPERS.0
            | Self::UTF16.0
            | Self::GZIP_IN_GZIP.0
            | Self::LOG_MEMBERS.0
            | Self::TABLE.0
            | Self::RECONSTRUCTED.0
            | Self::AMBIGUOUS.0
            | Self::MAP_TEXT.0,
    );

    /// Every flag with its name, as queries and the API have it.
    pub const NAMES: [(Self, &'static str); 27] = [
        (Self::REPAIRED, "repaired"),
        (Self::TIME_FROM_TIMESTAMP, "time-from-timestamp"),
        (Self::TIME_FROM_WINDOW, "time-from-window"),
        (Self::TIME_FROM_FILE, "time-from-file"),
        (Self::INVALID_UTF8, "invalid-utf8"),
        (Self::SECOND_MEMBER, "second-member"),
        (Self::ID_CONFLICT, "id-conflict"),
        (Self::TRAILING_BYTES, "trailing-bytes"),
        (Self::FUTURE, "future"),
        (Self::DUPLICATE_KEYS, "duplicate-keys"),
        (Self::LINE_PREFIX, "line-prefix"),
        (Self::IN_SOURCE, "in-_source"),
        (Self::IN_RAW, "in-result._raw"),
        (Self::IN_ORIGINAL, "in-event.original"),
        (Self::IN_MESSAGE, "in-message"),
        (Self::IN_AWS, "in-aws"),
        (Self::IN_SNS, "in-Message"),
        (Self::IN_BODY, "in-body"),
        (Self::S3_NOTIFICATION, "s3-notification"),
        (Self::UTF16, "utf-16"),
        (Self::GZIP_IN_GZIP, "gzip-in-gzip"),
        (Self::LOG_MEMBERS, "log-members"),
        (Self::CUT_OFF, "cut-off"),
        (Self::TABLE, "table"),
        (Self::RECONSTRUCTED, "reconstructed"),
        (Self::AMBIGUOUS, "ambiguous"),
        (Self::MAP_TEXT, "map-text"),
    ];

    /// Whether every flag of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether some of the flags name a wrapper.
    pub(crate) fn is_wrapper(self) -> bool {
        self.among(Self::WRAPPERS) != Self::default()
    }

    /// Those of some flags that are set.
    #[must_use]
    pub fn among(self, others: Self) -> Self {
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

impl std::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
