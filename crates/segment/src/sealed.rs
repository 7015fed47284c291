//! A sealed file has two lines: JSON, and the XXH3 hash of that JSON, so that damage is always
//! noticed. A sealed line is a JSON object that begins with the hash of its rest.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{IndexError, regular};
use crate::parts::hash_text;

/// Bytes of a sealed file: the manifest of ten thousand segments has 20 MB.
const SEALED_BYTES_MAX: u64 = 256 << 20;

/// How a sealed line begins.
const SEAL: &str = "{\"xxh3\":\"";

/// Renders a value, which must be an object with members, as a line with its end.
pub fn line(value: &impl Serialize) -> io::Result<String> {
    let json = serde_json::to_string(value)?;
    let rest = json.strip_prefix('{').filter(|rest| rest.len() > 1);
    let rest = rest.ok_or_else(|| io::Error::other("only an object can be a sealed line"))?;
    let hash = hash_text(xxh3_64(rest.as_bytes()));
    Ok(format!("{SEAL}{hash}\",{rest}\n"))
}

/// Reads the value of a line with its end; what is wrong with it as the error.
pub fn read_line<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    let text = text.strip_suffix('\n').ok_or("it ends too early")?;
    let sealed = text.strip_prefix(SEAL).and_then(|text| text.split_once("\","));
    let (hash, rest) = sealed.ok_or("it does not begin with its hash")?;
    if hash != hash_text(xxh3_64(rest.as_bytes())) {
        return Err("its hash does not match".to_owned());
    }
    serde_json::from_str(&format!("{{{rest}")).map_err(|error| error.to_string())
}

/// Renders a value as the file's two lines.
pub fn text(value: &impl Serialize) -> io::Result<String> {
    let json = serde_json::to_string(value)?;
    let hash = hash_text(xxh3_64(json.as_bytes()));
    Ok(format!("{json}\n{hash}\n"))
}

/// Reads `format_version` from the JSON of a sealed file, whatever else it holds.
pub fn version(path: &Path, json: &str) -> Result<u32, IndexError> {
    #[derive(Deserialize)]
    struct VersionOnly {
        format_version: u32,
    }
    let read = serde_json::from_str::<VersionOnly>(json);
    read.map(|only| only.format_version)
        .map_err(|error| IndexError::damaged(path, error.to_string()))
}

/// Reads the JSON of a sealed file; None where there is no file, [`IndexError::Damaged`] where the
/// hash differs.
pub fn read(path: &Path) -> Result<Option<String>, IndexError> {
    let bytes = match regular::read(path, SEALED_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(IndexError::io(path)(error)),
    };
    let damaged = |reason: &str| IndexError::damaged(path, reason);
    let mut text = String::from_utf8(bytes).map_err(|error| damaged(&error.to_string()))?;
    let (json, hash) =
        text.split_once('\n').ok_or_else(|| damaged("the line with its hash is missing"))?;
    if hash.trim_end() != hash_text(xxh3_64(json.as_bytes())) {
        return Err(damaged("its hash does not match"));
    }
    text.truncate(json.len());
    Ok(Some(text))
}
