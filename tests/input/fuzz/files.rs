//! Files to bytes: gzip, zstd and plain.

use std::fs::{self, File};
use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Decompress, FlushDecompress, Status};
use ingest::read::{Content, FileReader, ReadError, ReadLimits};
use trail::flags::Flags;

use super::{folder, fuzz, outcome, sample_files};

const FILE_BYTES_MAX: usize = 1 << 20;

const TOKENS: &[&str] = &["\u{1f}", "\0", "{\"Records\":[]}", "\u{feff}", "trailing"];

fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = sample_files(6 << 10);
    let texts: Vec<Vec<u8>> = seeds.iter().step_by(9).cloned().collect();
    for (number, text) in texts.iter().enumerate() {
        let member = gzip(text, number as u32 % 10);
        seeds.push([member.as_slice(), &gzip(b"{\"eventName\":\"second\"}", 6)].concat());
        seeds.push([member.as_slice(), b"trailing"].concat());
        seeds.push(member);
        seeds.push(zstd::encode_all(text.as_slice(), 3).unwrap());
    }
    seeds.push(gzip(&vec![b' '; FILE_BYTES_MAX + 1], 9));
    seeds.push(gzip(&vec![b' '; FILE_BYTES_MAX], 9));
    seeds
}

/// Whether the member that begins here copies nothing from before its first byte. flate2's streams, and
/// gzip, take zeros from there; zlib and libdeflate refuse it.
fn is_strict(member: &[u8]) -> bool {
    let Some((head, mut rest)) = member.split_at_checked(10) else { return false };
    let has = |flag: u8| head[3] & flag != 0;
    if has(4) {
        let length = member.get(10..12).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]));
        rest = rest.get(2 + usize::from(length)..).unwrap_or_default();
    }
    for flag in [8, 16] {
        if has(flag) {
            let name = memchr::memchr(0, rest).map_or(rest.len(), |end| end + 1);
            rest = &rest[name..];
        }
    }
    if has(2) {
        rest = rest.get(2..).unwrap_or_default();
    }
    let mut out = vec![0; FILE_BYTES_MAX + 1];
    let inflated = Decompress::new(false).decompress(rest, &mut out, FlushDecompress::Finish);
    matches!(inflated, Ok(Status::StreamEnd))
}

/// What flate2 makes of a gzip file: what is in its members, where the second begins, and what is left
/// from the first on that it cannot read. libdeflate reads some more, whose checksums are right.
fn by_flate2(file: &[u8]) -> (Vec<u8>, Option<usize>, &[u8]) {
    let (mut bytes, mut second, mut rest) = (Vec::new(), None, file);
    while rest.starts_with(&[0x1F, 0x8B]) {
        let before = bytes.len();
        let mut decoder = GzDecoder::new(rest);
        let read = decoder.by_ref().take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
        if read.is_err() || bytes.len() > FILE_BYTES_MAX || !is_strict(rest) {
            bytes.truncate(before);
            break;
        }
        if rest.len() < file.len() && second.is_none() {
            second = Some(before);
        }
        rest = decoder.into_inner();
    }
    (bytes, second, rest)
}

fn check_content(file: &[u8], content: &Content<'_>) -> u64 {
    assert!(content.bytes.len() <= FILE_BYTES_MAX);
    let Content { bytes, second_member, has_trailing_bytes, unread, .. } = content;
    match file {
        [0x1F, 0x8B, _, _, ..] => {
            // What is packed twice is another text.
            if content.flags.contains(Flags::GZIP_IN_GZIP) {
                return outcome("twice");
            }
            let (expected, second, rest) = by_flate2(file);
            // Another member is read behind a gap, too.
            let magics = [&[0x1F, 0x8B][..], &[0x28, 0xB5, 0x2F, 0xFD], &[0x2A, 0x4D, 0x18]];
            let is_member = magics.iter().any(|magic| memchr::memmem::find(rest, magic).is_some());
            assert!(bytes.starts_with(&expected), "{} bytes, not {}", bytes.len(), expected.len());
            if !is_member || bytes.len() == expected.len() {
                assert!(*bytes == expected);
                let is_log = content.flags.contains(Flags::LOG_MEMBERS);
                assert!(second.is_none() || is_log || *second_member == second);
                assert_eq!(*has_trailing_bytes, !rest.trim_ascii().is_empty());
            }
        }
        [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, _, _, _, _, ..] => {
            let is_of = |file| zstd::decode_all(file).is_ok_and(|expected| *bytes == expected);
            let is_whole = is_of(file) || is_of(file.trim_ascii_end());
            assert!(is_whole || *has_trailing_bytes || second_member.is_some());
        }
        _ => assert!(*bytes == file),
    }
    assert!(*has_trailing_bytes || unread.is_none());
    let unread = unread.as_ref().map(|error| check_error(file, error));
    outcome((bytes.len().min(3), second_member.is_some(), has_trailing_bytes, unread))
}

fn check_error(file: &[u8], error: &ReadError) -> u64 {
    match error {
        ReadError::Cut { at } => assert_eq!(*at, file.len() as u64),
        ReadError::Damaged { at, .. } | ReadError::Behind { at } => {
            assert!(*at <= file.len() as u64);
        }
        ReadError::TooLarge { .. }
        | ReadError::Bomb { .. }
        | ReadError::TooManyMembers { .. }
        | ReadError::PackedThrice => {}
        ReadError::Io(_) | ReadError::Changed | ReadError::Stopped => panic!("{error}"),
        ReadError::Inner(inner) => assert!(!matches!(**inner, ReadError::Inner(_)), "{error}"),
    }
    let text: String = error.to_string().chars().filter(|c| !c.is_ascii_digit()).collect();
    outcome(text)
}

#[test]
fn files() {
    let folder = folder();
    let path = folder.path().join("file");
    let limits = ReadLimits { file_bytes_max: FILE_BYTES_MAX, inflate_ratio_max: 200 };
    let mut reader = FileReader::new(limits);
    fuzz("files", seeds(), TOKENS, |file| {
        fs::write(&path, file).unwrap();
        match reader.read(&File::open(&path).unwrap(), |content| check_content(file, &content)) {
            Ok(outcome) => outcome,
            Err(error) => {
                let (bytes, _, rest) = by_flate2(file);
                assert!(bytes.is_empty() && rest.len() == file.len(), "flate2 reads it: {error}");
                check_error(file, &error)
            }
        }
    });
}

/// The fuzzer found it: gzip makes 40 bytes of it, and zlib none.
#[test]
fn a_member_that_copies_from_before_its_first_byte_is_refused_and_told() {
    let file = "1f8b08000000000000ff2b49a9c84c2936e46264c01f0f000cc81b0728000000747261696c696e67\
        1f8b08000000000000ffab564a2d4bcd2bf14bcc4d55b2522a4e4dcecf4b51aa05004f7423da1600\
        0000";
    let file = hex::decode(file).unwrap();
    assert!(!is_strict(&file) && is_strict(&gzip(b"{}", 6)));
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, &file).unwrap();
    let limits = ReadLimits { file_bytes_max: FILE_BYTES_MAX, inflate_ratio_max: 200 };
    let read = FileReader::new(limits).read(&File::open(&path).unwrap(), |_| ());
    assert!(matches!(read, Err(ReadError::Damaged { at: 0, .. })), "{read:?}");
}
