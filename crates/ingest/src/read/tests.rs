use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The content's length, second member and trailing bytes, or the error.
fn read(file: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, file).unwrap();
    let file = File::open(&path).unwrap();
    let limits = ReadLimits { file_bytes_max: 64 << 20, inflate_ratio_max: 200 };
    let mut reader = FileReader::new(limits);
    let describe = |content: Content<'_>| {
        let second = content.second_member;
        let flags = content.flags.names().join(" ");
        let text =
            format!("{} {second:?} {} {flags}", content.bytes.len(), content.has_trailing_bytes);
        text.trim_end().to_owned()
    };
    reader.read(&file, describe).unwrap_or_else(|error| error.to_string())
}

#[test]
fn every_compression_gives_the_same_bytes() {
    let text = b"some text, ".repeat(20_000);
    let expected = "220000 None false";
    assert_eq!(read(&text), expected);
    assert_eq!(read(&gzip(&text)), expected);
    assert_eq!(read(&zstd::encode_all(&text[..], 3).unwrap()), expected);
    assert_eq!(read(b""), "0 None false");
    assert_eq!(read(b"{}"), "2 None false");
}

#[test]
fn further_members_are_read_and_told() {
    let two = [gzip(b"one"), gzip(b"three")].concat();
    assert_eq!(read(&two), "8 Some(3) false");
    let twins = [gzip(b"one"), gzip(b"one")].concat();
    assert_eq!(read(&twins), "6 Some(3) false");
}

#[test]
fn members_with_lines_between_are_read() {
    let lines = [gzip(b"one"), b"\r\n\n".to_vec(), gzip(b"three"), b"\n".to_vec()].concat();
    assert_eq!(read(&lines), "8 Some(3) false");
    assert_eq!(read(&lines[..lines.len() - 1]), "8 Some(3) false");
}

#[test]
fn gzip_inside_of_gzip_is_read_once_more() {
    let twice = |bytes: &[u8]| gzip(&gzip(bytes));
    assert_eq!(read(&twice(b"one")), "3 None false gzip-in-gzip");
    let members = [gzip(b"one"), gzip(b"three")].concat();
    assert_eq!(read(&gzip(&members)), "8 Some(3) false gzip-in-gzip");
    let two = [gzip(&gzip(b"one")[..10]), gzip(&gzip(b"one")[10..])].concat();
    assert_eq!(read(&two), "3 Some(0) false gzip-in-gzip");
    assert_eq!(read(&gzip(&[gzip(b"one"), vec![0]].concat())), "3 None true gzip-in-gzip");
    assert_eq!(read(&gzip(&twice(b"one"))), ReadError::PackedThrice.to_string());
    assert!(read(&gzip(&gzip(b"one")[..15])).contains("of the inner: the compressed data ends"));
    let bomb = gzip(&gzip(&vec![b' '; 40 << 20]));
    assert!(read(&bomb).contains("of the inner: it inflates to more"), "{}", read(&bomb));
}

#[test]
fn members_that_are_log_envelopes_are_told_from_others() {
    let log = |name: &str| {
        gzip(format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":[{name}]}}"#).as_bytes())
    };
    let logs = [log("1"), log("2"), log("3")].concat();
    assert!(read(&logs).ends_with(" None false log-members"), "{}", read(&logs));
    assert!(read(&gzip(&logs)).ends_with(" None false gzip-in-gzip log-members"));
    for other in [&b"{}"[..], br#"{"messageType":"DATA_MESSAGE","logEvents":[]}{"eventName":1}"#] {
        for members in [[log("1"), gzip(other)], [gzip(other), log("1")]] {
            let found = read(&members.concat());
            assert!(found.contains("Some(") && found.ends_with(" false"), "{found}");
        }
    }
}

#[test]
fn bytes_behind_the_last_member_are_told() {
    assert_eq!(read(&[gzip(b"one"), b"tail".to_vec()].concat()), "3 None true");
    assert_eq!(read(&[gzip(b"one"), vec![0; 100]].concat()), "3 None true");
    assert_eq!(read(&[gzip(b"one"), b"\ntail".to_vec()].concat()), "3 None true");
    // A line end is no tampering.
    let zstd = zstd::encode_all(&b"one"[..], 3).unwrap();
    for end in ["\n", "\r\n", " \n\n"] {
        assert_eq!(read(&[gzip(b"one"), end.into()].concat()), "3 None false");
        assert_eq!(read(&[zstd.clone(), end.into()].concat()), "3 None false");
        assert_eq!(read(&gzip(&[gzip(b"one"), end.into()].concat())), "3 None false gzip-in-gzip");
    }
}

/// A gap, a damaged member, and another kind of compression hide no member behind them.
#[test]
fn what_is_behind_a_gap_is_read_and_told() {
    let zstd = |text: &[u8]| zstd::encode_all(text, 3).unwrap();
    let mut damaged = gzip(&b"some text, ".repeat(1_000));
    damaged[30] ^= 0xFF;
    let skippable = |length: u8| {
        [&[0x53, 0x2A, 0x4D, 0x18, length, 0, 0, 0][..], &vec![7; length.into()]].concat()
    };
    for one in [gzip(b"one"), zstd(b"one")] {
        for three in [gzip(b"three"), zstd(b"three")] {
            for gap in [
                vec![0; 512],
                b"junk".to_vec(),
                b"\x1f\x8b\x08".to_vec(),
                vec![0x1F],
                damaged.clone(),
                ZSTD.to_vec(),
            ] {
                let file = [&one[..], &gap, &three].concat();
                assert_eq!(read(&file), "8 Some(3) true", "{gap:?}");
            }
        }
    }
    assert_eq!(read(&[gzip(b"one"), zstd(b"three")].concat()), "8 Some(3) false");
    assert_eq!(read(&[zstd(b"one"), gzip(b"three")].concat()), "8 Some(3) false");
    assert_eq!(read(&[gzip(b""), gzip(b"three")].concat()), "5 Some(0) false");
    // zstd's tools write frames that say nothing.
    assert_eq!(
        read(&[skippable(4), zstd(b"one"), skippable(0), zstd(b"three"), skippable(9)].concat()),
        "8 None false"
    );
    // What a skippable frame claims beyond the file's end is not there.
    assert_eq!(read(&[zstd(b"one"), skippable(9)[..12].to_vec()].concat()), "3 None false");
    // The search ends, and what is not looked at is told.
    let many = [gzip(b"one"), b"\x1f\x8b\x08\x00".repeat(100), gzip(b"three")].concat();
    assert_eq!(read(&many), "3 None true");
}

#[test]
fn what_cannot_be_read_hides_nothing_before_it() {
    let limits = ReadLimits { file_bytes_max: 20 << 20, inflate_ratio_max: 200 };
    let bomb = gzip(&vec![b' '; 19 << 20]);
    let large = gzip(
        &(0..21_u32 << 20).map(|n| (n.wrapping_mul(0x9E37_79B9) >> 21) as u8).collect::<Vec<_>>(),
    );
    let mut damaged = gzip(&b"some text, ".repeat(1_000));
    damaged[30] ^= 0xFF;
    let zstd = |text: &[u8]| zstd::encode_all(text, 3).unwrap();
    let two = [zstd(b"one"), zstd(b"two")].concat();
    assert_eq!(read(&two), "6 None false", "frames are no members");
    for (first, behind, expected) in [
        (gzip(b"one"), bomb, "more than 200 times"),
        (gzip(b"one"), large, "more than 20971520 bytes"),
        (gzip(b"one"), damaged, "begins at byte 23 is damaged"),
        (gzip(b"one"), gzip(b"cut")[..20].to_vec(), "too early, at byte 43 "),
        (zstd(b"one"), zstd(b"cut")[..9].to_vec(), "too early, at byte 21 "),
        (gzip(b"one"), b"tail".to_vec(), "begins at byte 23 of the file is no compressed"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, [first, behind].concat()).unwrap();
        let mut reader = FileReader::new(limits);
        let take = |content: Content<'_>| {
            assert_eq!((content.bytes, content.second_member), (&b"one"[..], None));
            assert!(content.has_trailing_bytes);
            content.unread.unwrap().to_string()
        };
        let unread = reader.read(&File::open(&path).unwrap(), take).unwrap();
        assert!(unread.contains(expected), "{unread}");
        assert!(reader.inflated.capacity() <= limits.file_bytes_max);
    }
}

#[test]
fn a_file_that_ends_too_early_is_told_from_a_damaged_one() {
    let whole = gzip(&b"some text, ".repeat(1_000));
    for length in [2, 4, 17, whole.len() / 2, whole.len() - 1] {
        let error = read(&whole[..length]);
        assert!(error.contains("ends too early"), "{length}: {error}");
    }
    let mut damaged = whole.clone();
    // A kind of block that there is none of, whatever compressed it.
    damaged[10] |= 0b110;
    assert!(read(&damaged).contains("damaged"), "{}", read(&damaged));
    let zstd = zstd::encode_all(&b"some text, ".repeat(1_000)[..], 3).unwrap();
    assert!(read(&zstd[..zstd.len() - 3]).contains("ends too early"));
}

#[test]
fn a_bomb_is_refused_before_it_fills_the_memory() {
    let bomb = gzip(&vec![b' '; 40 << 20]);
    assert!(read(&bomb).contains("more than 200 times"), "{}", read(&bomb));
    let large = vec![b' '; 80 << 20];
    for large in [zstd::encode_all(&large[..], 1).unwrap(), gzip(&large), large] {
        assert!(read(&large).contains("more than"), "{}", read(&large));
    }
}
