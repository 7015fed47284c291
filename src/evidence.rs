//! Evidence on disk: a copy of an archive as `evidence::Archive`, and the keys and metadata that the
//! configuration names.

mod disk;
mod given;

use std::path::Path;

pub use self::disk::Disk;
pub(crate) use self::disk::{content_of, kind_by_name, read, reading_of};
pub use self::given::Given;

/// Mapped folders, resolved as the paths of an archive are.
pub fn resolved(roots: &[evidence::Root]) -> Vec<evidence::Root> {
    let resolve = |root: &evidence::Root| {
        let folder = Path::new(&root.folder).canonicalize().ok();
        let folder = folder.and_then(|folder| folder.into_os_string().into_string().ok());
        let folder = folder.unwrap_or_else(|| root.folder.clone());
        evidence::Root { folder, ..root.clone() }
    };
    roots.iter().map(resolve).collect()
}
