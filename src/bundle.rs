//! Evidence bundles put together: events of the index, originals and digests of the disk, and what is known of
//! them, as a bag (`bundle`); and a bag checked, with the signatures of its digests (`evidence`).
//!
//! An index is asked as any client asks it. Originals are read by whoever runs the command.

mod archive;
mod ask;
mod collect;
mod contents;
mod digests;
mod index;
mod make;
mod originals;
mod verify;

pub use self::ask::Ask;
pub use self::make::{Made, Making, make};
pub use self::verify::{Verified, Verifying, verify};
