//! Evidence on disk: a copy of an archive as `evidence::Archive`, and the keys and metadata that the
//! configuration names.

mod disk;
mod given;

pub use self::disk::Disk;
pub use self::given::Given;
