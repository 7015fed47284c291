//! The rules that come with traildex.

use std::path::Path;

use include_dir::{Dir, include_dir};

use crate::load::Source;

static RULES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../config/rules");

/// The files of the rules that come with traildex, by name.
pub fn pack() -> Vec<Source> {
    let mut sources: Vec<Source> = RULES
        .files()
        .filter(|file| file.path().extension().is_some_and(|ending| ending == "yml"))
        .map(|file| Source {
            path: Path::new("traildex:").join(file.path()),
            text: file.contents_utf8().unwrap_or_default().to_owned(),
        })
        .collect();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}
