//! The originals and digests of a bag, as an archive that is judged. Only they are asked for: what the digests
//! list besides was not to be in the bag.

use std::collections::BTreeSet;

use bundle::{ARCHIVE, Bag, BagRoot, VALIDATION};
use evidence::{
    Archive, Bounds, Collector, Content, File, Filter, Keyring, Kind, Options, Reading, Root,
};
use ingest::read::ReadLimits;
use wire::ValidateReport;

use crate::evidence::{content_of, kind_by_name, read, reading_of};

/// Bytes of the report of a validation: ten thousand names of each kind.
const VALIDATION_BYTES_MAX: usize = 64 << 20;

/// See the module's documentation.
struct Files<'a> {
    bag: &'a Bag,
    /// Files that events are from. They are judged as log files, whatever they are called: none of them may
    /// speak for itself.
    originals: &'a BTreeSet<String>,
    limits: ReadLimits,
}

/// What the digests of a bag say of its originals, by these keys.
pub(super) fn validate(
    bag: &Bag,
    originals: &BTreeSet<String>,
    roots: &[BagRoot],
    keys: &Keyring,
    limits: ReadLimits,
) -> ValidateReport {
    let root = |root: &BagRoot| Root {
        folder: root.folder.clone(),
        bucket: root.bucket.clone(),
        prefix: root.prefix.clone(),
    };
    let roots: Vec<Root> = roots.iter().map(root).collect();
    let (filter, files) = (Filter::default(), Files { bag, originals, limits });
    let bounds = Bounds::LARGE;
    let options = Options { roots: &roots, filter: &filter, metadata: &[], bounds };
    let mut collector = Collector::default();
    evidence::validate_each(&files, keys, &options, &mut |finding| collector.add(finding));
    collector.report(keys.len())
}

/// What the bag says that its digests say; None where that is not there, or cannot be read.
pub(super) fn validation(bag: &Bag) -> Option<ValidateReport> {
    let text = bag.content(VALIDATION, VALIDATION_BYTES_MAX).ok()?;
    serde_json::from_slice(&text).ok()
}

impl Files<'_> {
    fn read<R>(
        &self,
        path: &str,
        bytes_max: usize,
        take: impl FnOnce(&[u8], bool) -> R,
    ) -> Result<R, String> {
        let file_bytes_max = self.limits.file_bytes_max.min(bytes_max);
        let file = self.bag.file(path, file_bytes_max).map_err(|error| error.to_string())?;
        read(file, ReadLimits { file_bytes_max, ..self.limits }, take)
    }
}

impl Archive for Files<'_> {
    fn walk(&self, each: &mut dyn FnMut(File)) {
        let is_inside = |path: &str| path.strip_prefix(ARCHIVE).is_some_and(|p| p.starts_with('/'));
        for (path, size) in self.bag.files().filter(|(path, _)| is_inside(path)) {
            let is_original = self.originals.contains(path);
            let kind = if is_original { None } else { kind_by_name(self, path, size) };
            let kind = kind.unwrap_or(Kind::Log);
            each(File { path: path.to_owned(), kind, number: 0, known: None });
        }
    }

    fn reading(&self, path: &str) -> Result<Reading, String> {
        self.read(path, usize::MAX, reading_of)
    }

    fn content(&self, path: &str, bytes_max: usize) -> Result<Content, String> {
        self.read(path, bytes_max, content_of)
    }

    fn is_asked(&self, path: &str) -> bool {
        self.bag.size(path).is_some()
    }
}
