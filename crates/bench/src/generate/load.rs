//! The records that are resampled: the sample in the program, or a person's own trail files.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use include_dir::{Dir, DirEntry};
use libdeflater::Decompressor;
use serde_json::value::RawValue;

use crate::generate::template::Template;
use crate::sample;

/// Records taken as templates, the first in path order; of 1.2 KB and some slots each, they fill
/// about 200 MB.
const TEMPLATES_MAX: usize = 100_000;
/// Bytes of one file of templates, inflated. AWS's largest is 50 MB.
const TEMPLATE_FILE_BYTES_MAX: usize = 64 << 20;

/// Records without an event id or time are passed over.
pub(crate) fn load_templates(from: &[PathBuf]) -> Result<Vec<Template>> {
    let mut templates = Vec::new();
    if from.is_empty() {
        load_embedded(&sample::TRAIL, &mut templates)?;
    }
    for path in from {
        load_path(path, &mut templates).with_context(|| path.display().to_string())?;
    }
    ensure!(!templates.is_empty(), "no record with an eventID and an eventTime to resample");
    Ok(templates)
}

fn load_embedded(dir: &Dir, templates: &mut Vec<Template>) -> Result<()> {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => load_embedded(dir, templates)?,
            DirEntry::File(file) => load_file(file.contents(), templates)?,
        }
    }
    Ok(())
}

/// Folders are read in the order of their names; of their files only `.json` and `.json.gz` count.
fn load_path(path: &Path, templates: &mut Vec<Template>) -> Result<()> {
    if !path.is_dir() {
        return load_file(&fs::read(path)?, templates);
    }
    let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let name = path.to_string_lossy();
        if path.is_dir() || name.ends_with(".json") || name.ends_with(".json.gz") {
            load_path(&path, templates).with_context(|| name.into_owned())?;
        }
    }
    Ok(())
}

/// Objects without `Records`, such as digests, hold no templates.
fn load_file(bytes: &[u8], templates: &mut Vec<Template>) -> Result<()> {
    let text = if bytes.starts_with(&[0x1f, 0x8b]) { inflate(bytes)? } else { bytes.to_vec() };
    let records: Vec<&RawValue> = if text.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(&text)?
    } else {
        let file: HashMap<String, &RawValue> = serde_json::from_slice(&text)?;
        file.get("Records").map_or(Ok(Vec::new()), |records| serde_json::from_str(records.get()))?
    };
    let room = TEMPLATES_MAX - templates.len();
    templates.extend(records.iter().filter_map(|record| Template::new(record.get())).take(room));
    Ok(())
}

fn inflate(gzip: &[u8]) -> Result<Vec<u8>> {
    // A gzip file ends with the length of its text.
    let len = gzip.last_chunk::<4>().map_or(0, |len| u32::from_le_bytes(*len) as usize);
    ensure!(len <= TEMPLATE_FILE_BYTES_MAX, "{len} bytes inflated; {TEMPLATE_FILE_BYTES_MAX} work");
    let mut text = vec![0; len];
    Decompressor::new().gzip_decompress(gzip, &mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(path: &str) -> Result<usize> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(path);
        Ok(load_templates(&[path])?.len())
    }

    #[test]
    fn every_record_of_the_sample_is_a_template() {
        assert_eq!(load_templates(&[]).unwrap().len(), 2_900);
        assert_eq!(load("invictus").unwrap(), 2_900);
    }

    #[test]
    fn arrays_of_records_are_templates() {
        assert_eq!(load("stratus").unwrap(), 310);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let message = |path| format!("{:#}", load(path).unwrap_err());
        assert!(message("no-such-file.json").contains("no-such-file.json"));
        let broken = "odd/access-analyzer-documented-entry.json";
        assert!(message(broken).contains(broken));
        assert!(message("LICENSES").contains("no record"));
    }
}
