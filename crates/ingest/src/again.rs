//! Events made once more of the records that an index has, for an index that is rebuilt of them.

use store::remake::{Facts, ReadEvent};
use trail::parse::{Origin, Parser};

/// Makes the event of a record as delivered, and hands it over; false where it cannot be read, which
/// none is that was read before.
pub fn read_again() -> Box<ReadEvent<'static>> {
    let mut parser = Parser::default();
    Box::new(move |record, facts, take| {
        let Facts { time, file, offset, flags } = facts;
        let origin = Origin { file, time, second_member: None, flags };
        parser.event_again(record, offset, origin).map(take).is_some()
    })
}
