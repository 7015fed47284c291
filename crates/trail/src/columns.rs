//! The columns: the fields everyone asks for, each with a place of its own in the index.
//!
//! Columns are exact, can be aggregated, and stay out of the general fields, which is most of what
//! makes the index small.
//!
//! Invariant: a column holds every scalar at its path, as text. `readOnly` is `true` whether the
//! record says `true` or `"true"`; an array at the path gives the column several values.

/// How a search without a field finds the words of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// The column has few distinct values: the search looks through its dictionary for values that
    /// contain the word.
    Dictionary,
    /// Nearly every event has its own value, and each value is one word: the search looks the value
    /// up whole. Values of several words or of mixed case put their words into the words field.
    Whole,
    /// Derived from other columns, which the search finds already.
    Derived,
}

/// The definition of a column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The path in the record, or the derived field's name; also the field's name in queries.
    pub path: &'static str,
    /// Short names that people use for it in queries.
    pub aliases: &'static [&'static str],
    /// How a search without a field finds the words of its values.
    pub words: Words,
    /// Whether nearly every event has its own value. Such a column is not kept for aggregation.
    pub is_unique: bool,
}

/// A column by its place in [`COLUMNS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u8);

impl ColumnId {
    /// The definition that this id stands for.
    pub fn column(self) -> &'static Column {
        &COLUMNS[self.0 as usize]
    }

    /// Every column, in the order of the index's schema.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COLUMNS.len() as u8).map(Self)
    }

    /// The column at a path of the record; None for other paths and for derived columns.
    pub fn at_path(path: &str) -> Option<Self> {
        let other = OTHER_PATHS.iter().find(|(other, _)| *other == path);
        let path = other.map_or(path, |(_, id)| COLUMNS[id.0 as usize].path);
        Self::all().find(|id| id.column().path == path && id.column().words != Words::Derived)
    }

    /// The paths of the record where the column's values are; for a derived column, its name.
    pub fn paths(self) -> impl Iterator<Item = &'static str> {
        let others = OTHER_PATHS.iter().filter(move |(_, id)| *id == self).map(|(path, _)| *path);
        std::iter::once(self.column().path).chain(others)
    }

    /// The column with this path or alias; None if there is none.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|id| {
            let column = id.column();
            column.path == name || column.aliases.contains(&name)
        })
    }
}

/// The path of the event's time, which has a place of its own and is not a column.
pub const EVENT_TIME_PATH: &str = "eventTime";

/// Paths whose values are in the column of another: aggregated records have `eventId`, and a resource
/// that stands for all objects whose names begin so has no other ARN.
const OTHER_PATHS: [(&str, ColumnId); 2] =
    [("eventId", EVENT_ID), ("resources.ARNPrefix", RESOURCE_ARN)];

/// How many columns an index of format 5 has: the others came behind them.
pub const COLUMNS_OF_5: u8 = 28;

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
        /// The id of the column that stands at this place in [`COLUMNS`].
        pub const $id: ColumnId = ColumnId($n);
        columns!(@ids $n + 1; $($rest)*);
    };
    (@ids $n:expr;) => {};
}

columns! {
    EVENT_SOURCE = "eventSource", ["service"], Dictionary;
    EVENT_NAME = "eventName", [], Dictionary;
    AWS_REGION = "awsRegion", ["region"], Dictionary;
    RECIPIENT_ACCOUNT = "recipientAccountId", [], Dictionary;
    SOURCE_IP = "sourceIPAddress", [], Dictionary;
    USER_AGENT = "userAgent", ["agent"], Dictionary;
    ERROR_CODE = "errorCode", [], Dictionary;
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
    RESOURCE_ARN = "resources.ARN", ["resource", "resources.ARNPrefix"], Dictionary;
    ACTOR = "actor", [], Derived;
    CREDENTIAL = "credential", [], Derived;
    OUTCOME = "outcome", [], Derived;
    ERROR = "error", [], Derived;
    CLIENT = "client", [], Derived;
    TARGET = "target", [], Derived;
    ACCOUNT = "account", [], Derived;
    ACTION = "action", [], Derived;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_agree_with_the_table() {
        assert_eq!(EVENT_NAME.column().path, "eventName");
        assert_eq!(CREDENTIAL.column().path, "credential");
        assert_eq!(OUTCOME, ColumnId(COLUMNS_OF_5));
        assert_eq!(ACTION.0 as usize, COLUMNS.len() - 1);
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
        assert_eq!(ColumnId::at_path("resources.ARNPrefix"), Some(RESOURCE_ARN));
        for id in ColumnId::all().filter(|id| id.column().words != Words::Derived) {
            assert!(id.paths().all(|path| ColumnId::at_path(path) == Some(id)));
        }
    }
}
