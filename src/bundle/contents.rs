//! Packed files, read as ingest reads them: so a record is where the index says that it is.

use std::fs::File;

use ingest::read::{FileReader, ReadLimits};
use sha2::{Digest as _, Sha256};

/// See the module's documentation.
pub(super) struct Packed(FileReader);

impl Packed {
    pub(super) fn new(limits: ReadLimits) -> Self {
        Self(FileReader::new(limits))
    }
}

impl bundle::Contents for Packed {
    fn content(&mut self, file: &File, take: &mut dyn FnMut(&[u8])) -> Result<String, String> {
        let read = self.0.read(file, |content| {
            take(content.bytes);
            hex::encode(Sha256::digest(content.bytes))
        });
        read.map_err(|error| error.to_string())
    }
}
