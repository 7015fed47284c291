//! The fields everyone asks for. Each is a column of its own in the index: exact, aggregatable, and
//! left out of the general fields, which is most of what makes the index small.
//!
//! Invariant: a column holds every scalar at its path, as text. `readOnly` is `true` whether the
//! record says `true` or `"true"`; an array at the path gives the column several values.

/// How the words of a column's values are found by a search that names no field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Few distinct values: the column's dictionary is searched for values that contain the word.
    Dictionary,
    /// Nearly one value an event, and each value one word: the value is looked up whole. Values
    /// that this cannot find (several words, or mixed case) put their words in the words field.
    Whole,
    /// Derived from other columns, whose words are found already.
    Derived,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The path in the record, or the derived field's name; also the field's name in queries.
    pub path: &'static str,
    /// Short names that people use for it in queries.
    pub aliases: &'static [&'static str],
    pub words: Words,
    /// Nearly every event has a value of its own: not kept for aggregation, which could only list
    /// events.
    pub is_unique: bool,
}

/// A column by its place in [`COLUMNS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u8);

impl ColumnId {
    pub fn column(self) -> &'static Column {
        &COLUMNS[self.0 as usize]
    }

    /// Every column, in the order of the index's schema.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COLUMNS.len() as u8).map(Self)
    }

    /// The column at a path of the record. The derived ones have none.
    pub fn at_path(path: &str) -> Option<Self> {
        let path =
            if path == AGGREGATED_EVENT_ID { COLUMNS[EVENT_ID.0 as usize].path } else { path };
        Self::all().find(|id| id.column().path == path && id.column().words != Words::Derived)
    }

    /// The paths of the record at which the column's values are; of a derived one, its name.
    pub fn paths(self) -> impl Iterator<Item = &'static str> {
        let other = (self == EVENT_ID).then_some(AGGREGATED_EVENT_ID);
        std::iter::once(self.column().path).chain(other)
    }

    /// The column that a query means by a name: its path or an alias.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|id| {
            let column = id.column();
            column.path == name || column.aliases.contains(&name)
        })
    }
}

/// The path of the event's time, which is no column.
pub const EVENT_TIME_PATH: &str = "eventTime";

/// Aggregated records spell `eventID` this way.
const AGGREGATED_EVENT_ID: &str = "eventId";

macro_rules! columns {
    ($($id:ident = $path:literal, [$($alias:literal),*], $words:ident $(, $unique:ident)?;)*) => {
        /// Every column, in the order of the index's schema.
        pub const COLUMNS: &[Column] = &[
            $(Column {
                path: $path,
                aliases: &[$($alias),*],
                words: Words::$words,
                is_unique: stringify!($($unique)?).len() > 0,
            },)*
        ];
        columns!(@ids 0u8; $($id)*);
    };
    (@ids $n:expr; $id:ident $($rest:ident)*) => {
        pub const $id: ColumnId = ColumnId($n);
        columns!(@ids $n + 1; $($rest)*);
    };
    (@ids $n:expr;) => {};
}

columns! {
    EVENT_SOURCE = "eventSource", ["service"], Dictionary;
    EVENT_NAME = "eventName", ["action"], Dictionary;
    AWS_REGION = "awsRegion", ["region"], Dictionary;
    RECIPIENT_ACCOUNT = "recipientAccountId", ["account"], Dictionary;
    SOURCE_IP = "sourceIPAddress", [], Dictionary;
    USER_AGENT = "userAgent", [], Dictionary;
    ERROR_CODE = "errorCode", ["error"], Dictionary;
    ERROR_MESSAGE = "errorMessage", [], Dictionary;
    READ_ONLY = "readOnly", [], Dictionary;
    MANAGEMENT_EVENT = "managementEvent", [], Dictionary;
    EVENT_CATEGORY = "eventCategory", [], Dictionary;
    EVENT_TYPE = "eventType", [], Dictionary;
    EVENT_VERSION = "eventVersion", [], Dictionary;
    EVENT_ID = "eventID", ["id", "eventId"], Whole, unique;
    REQUEST_ID = "requestID", [], Whole, unique;
    SHARED_EVENT_ID = "sharedEventID", [], Whole, unique;
    IDENTITY_TYPE = "userIdentity.type", [], Dictionary;
    IDENTITY_ARN = "userIdentity.arn", ["arn"], Dictionary;
    IDENTITY_ACCOUNT = "userIdentity.accountId", [], Dictionary;
    USER_NAME = "userIdentity.userName", ["user"], Dictionary;
    ACCESS_KEY = "userIdentity.accessKeyId", ["key"], Whole;
    PRINCIPAL = "userIdentity.principalId", ["principal"], Dictionary;
    INVOKED_BY = "userIdentity.invokedBy", [], Dictionary;
    ISSUER_ARN = "userIdentity.sessionContext.sessionIssuer.arn", [], Dictionary;
    ISSUER_NAME = "userIdentity.sessionContext.sessionIssuer.userName", ["role"], Dictionary;
    RESOURCE_ARN = "resources.ARN", ["resource"], Dictionary;
    ACTOR = "actor", [], Derived;
    CREDENTIAL = "credential", [], Derived;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_agree_with_the_table() {
        assert_eq!(EVENT_NAME.column().path, "eventName");
        assert_eq!(CREDENTIAL.column().path, "credential");
        assert_eq!(CREDENTIAL.0 as usize, COLUMNS.len() - 1);
    }

    #[test]
    fn no_two_columns_share_a_name() {
        let mut names: Vec<&str> = COLUMNS.iter().map(|column| column.path).collect();
        names.extend(COLUMNS.iter().flat_map(|column| column.aliases));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_record_cannot_fill_a_derived_column() {
        assert_eq!(ColumnId::at_path("actor"), None);
        assert_eq!(ColumnId::named("actor"), Some(ACTOR));
        assert_eq!(ColumnId::at_path("eventId"), Some(EVENT_ID));
        for id in ColumnId::all().filter(|id| id.column().words != Words::Derived) {
            assert!(id.paths().all(|path| ColumnId::at_path(path) == Some(id)));
        }
    }
}
