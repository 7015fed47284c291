//! The originals and digests of a bag, as an archive that is judged. Only they are asked for: what the digests
//! list besides was not to be in the bag.

use bundle::{ARCHIVE, Bag, BagRoot};
use evidence::{
    Archive, Bounds, Collector, Content, File, Filter, Keyring, Kind, Options, Reading, Root,
};
use ingest::read::ReadLimits;
use sha2::{Digest as _, Sha256};
use wire::ValidateReport;

use crate::evidence::read;

/// See the module's documentation.
struct Files<'a> {
    bag: &'a Bag,
    limits: ReadLimits,
}

/// What the digests of a bag say of its originals, by these keys.
pub(super) fn validate(
    bag: &Bag,
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
    let (filter, files) = (Filter::default(), Files { bag, limits });
    let bounds = Bounds::LARGE;
    let options = Options { roots: &roots, filter: &filter, metadata: &[], bounds };
    let mut collector = Collector::default();
    evidence::validate_each(&files, keys, &options, &mut |finding| collector.add(finding));
    collector.report(keys.len())
}

impl Files<'_> {
    fn read<R>(
        &self,
        path: &str,
        bytes_max: usize,
        take: impl FnOnce(&[u8], bool) -> R,
    ) -> Result<R, String> {
        let file = self.bag.file(path).map_err(|error| error.to_string())?;
        let file_bytes_max = self.limits.file_bytes_max.min(bytes_max);
        read(file, ReadLimits { file_bytes_max, ..self.limits }, take)
    }

    fn kind(&self, path: &str) -> Kind {
        if evidence::is_metadata_path(path) {
            let content = self.content(path, evidence::METADATA_BYTES_MAX);
            let is_metadata = content.is_ok_and(|content| {
                !content.has_trailing && evidence::is_metadata(&content.bytes)
            });
            return if is_metadata { Kind::Metadata } else { Kind::Log };
        }
        if evidence::is_digest_path(path) { Kind::Digest } else { Kind::Log }
    }
}

impl Archive for Files<'_> {
    fn walk(&self, each: &mut dyn FnMut(File)) {
        let is_inside = |path: &str| path.strip_prefix(ARCHIVE).is_some_and(|p| p.starts_with('/'));
        for (path, _) in self.bag.files().filter(|(path, _)| is_inside(path)) {
            let kind = self.kind(path);
            each(File { path: path.to_owned(), kind, number: 0, known: None });
        }
    }

    fn reading(&self, path: &str) -> Result<Reading, String> {
        self.read(path, usize::MAX, |bytes, has_trailing| Reading {
            sha256: Sha256::digest(bytes).into(),
            has_trailing,
        })
    }

    fn content(&self, path: &str, bytes_max: usize) -> Result<Content, String> {
        self.read(path, bytes_max, |bytes, has_trailing| Content {
            bytes: bytes.to_vec(),
            has_trailing,
        })
    }

    fn is_asked(&self, path: &str) -> bool {
        self.bag.size(path).is_some()
    }
}
