//! Parses the records of an index again, for an index that is rebuilt from them.

use store::remake::{Facts, ReadEvent};
use trail::parse::{Origin, Parser};

/// Returns a function that parses a record as delivered and passes on its event. It returns false
/// for a record that cannot be read, which no record of an index should be.
pub fn read_again() -> Box<ReadEvent<'static>> {
    let mut parser = Parser::default();
    Box::new(move |record, facts, take| {
        let Facts { time, file, offset, flags } = facts;
        let origin = Origin { file, time, second_member: None, flags };
        parser.event_again(record, offset, origin).map(take).is_some()
    })
}
