//! Whether a file whose name says nothing holds a trail, by its beginning. AWS's exports to S3 write
//! `000000.gz`, and names without an ending.

use std::fs::File;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// Bytes of the file that are looked at, and of what they inflate to: some records, behind whatever
/// comes before them.
const FILE_BYTES: u64 = 64 << 10;
const TEXT_BYTES: u64 = 256 << 10;

/// Gzip in gzip, and nothing beyond.
const LAYERS_MAX: usize = 2;

/// Names of fields that records have, in text and in text within text. Of other documents, few have three.
const FIELDS: [&[u8]; 7] = [
    b"eventVersion",
    b"eventSource",
    b"eventName",
    b"eventTime",
    b"eventID",
    b"userIdentity",
    b"awsRegion",
];
const FIELDS_MIN: usize = 3;

/// Whether the file begins as a trail does. Bytes that only look compressed are no trail.
pub(crate) fn is_trail(file: &File) -> io::Result<bool> {
    let mut text = Vec::new();
    file.take(FILE_BYTES).read_to_end(&mut text)?;
    for _ in 0..LAYERS_MAX {
        let mut inflated = Vec::new();
        // Only the beginning is here, so inflating ends with an error; what came before it counts.
        let _ = match text.as_slice() {
            [0x1F, 0x8B, ..] => {
                MultiGzDecoder::new(&text[..]).take(TEXT_BYTES).read_to_end(&mut inflated)
            }
            [0x28, 0xB5, 0x2F, 0xFD, ..] => zstd::stream::read::Decoder::new(&text[..])?
                .take(TEXT_BYTES)
                .read_to_end(&mut inflated),
            _ => break,
        };
        text = inflated;
    }
    // Of UTF-16, each second byte.
    text.retain(|byte| *byte != 0);
    let has = |field: &&&[u8]| text.windows(field.len()).any(|part| part == **field);
    Ok(FIELDS.iter().filter(has).count() >= FIELDS_MIN)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn is_trail_of(bytes: &[u8]) -> bool {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        is_trail(&file).unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_trail_is_known_by_its_beginning() {
        let record =
            r#"{"eventVersion":"1.08","eventName":"x","eventTime":"2024-05-06T07:08:09Z"}"#;
        let trail = format!("{{\"Records\":[{record}]}}");
        let text = format!("{{\"CloudTrailEvent\":{}}}", record.replace('"', "\\\""));
        let export = format!("2024-05-06T07:08:09Z {record}\n").repeat(9_000);
        let utf16: Vec<u8> = trail.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [
            trail.as_bytes(),
            text.as_bytes(),
            export.as_bytes(),
            &utf16,
            &gzip(trail.as_bytes()),
            &gzip(&gzip(trail.as_bytes())),
            &gzip(export.as_bytes()),
            &zstd::encode_all(export.as_bytes(), 3).unwrap(),
        ] {
            assert!(is_trail_of(bytes));
        }
        for bytes in [&b""[..], b"Permission Check Successful", b"\x1F\x8B\0", b"\x28\xB5\x2F\xFD"]
        {
            assert!(!is_trail_of(bytes), "{bytes:?}");
        }
        assert!(!is_trail_of(&gzip(b"{\"eventName\":\"click\",\"eventTime\":1}")));
    }
}
