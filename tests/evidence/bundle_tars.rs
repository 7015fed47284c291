//! Tars that were forged: each is refused, and the answer names the member and what is wrong with it. Only
//! the headers that traildex itself writes are taken, so no other reader can see another bag in the tar.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bundle::{Indexed, check_code, is_good, text};
use crate::bundle_hostile::{header, wrong};
use crate::chain::Bench;
use crate::common::files_below;

/// Zeros that end a tar.
const END: usize = 1_024;

/// A good tar, beside which forged ones are written.
struct Forge {
    _indexed: Indexed,
    _bench: Bench,
    folder: PathBuf,
    good: Vec<u8>,
    /// The folder within the tar.
    inside: String,
}

impl Forge {
    fn new() -> Self {
        let (bench, _) = Bench::whole();
        let indexed = Indexed::of(&bench.copy);
        let tar = indexed.out("good.tar");
        check_code(&indexed.bundle("*", &tar, &["--public-keys", text(&bench.keys)]), 0);
        is_good(&tar, &[]);
        let good = fs::read(&tar).unwrap();
        let folder = indexed.out("forged");
        fs::create_dir(&folder).unwrap();
        let name = String::from_utf8_lossy(&good[..100]).into_owned();
        let inside = name.split('/').next().unwrap().to_owned();
        Self { _indexed: indexed, _bench: bench, folder, good, inside }
    }

    fn tar(&self) -> PathBuf {
        self.folder.join("x.tar")
    }

    /// What is said of a tar, which is refused soon and leaves nothing on the disk.
    #[track_caller]
    fn said_of(&self, tar: &[u8]) -> String {
        fs::write(self.tar(), tar).unwrap();
        let started = Instant::now();
        let (_, found) = wrong(&self.tar());
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        assert_eq!(files_below(&self.folder), [self.tar()], "nothing was unpacked");
        found["problems"]["named"].to_string()
    }

    /// A member before all others, and one behind them, is named with what is wrong with it.
    #[track_caller]
    fn refuses(&self, what: &str, member: &[u8], named: &str, why: &str) {
        let body = &self.good[..self.good.len() - END];
        for tar in [[member, &self.good].concat(), [body, member, &[0; END]].concat()] {
            let said = self.said_of(&tar);
            assert!(said.contains(named) && said.contains(why), "{what}: {said}");
        }
    }

    fn named(&self, path: &str) -> String {
        format!("{}/{path}", self.inside)
    }

    /// The first member of the good tar: its header, its content, and where the next one begins.
    fn first(&self) -> (&[u8], &[u8], usize) {
        let size = &self.good[124..135];
        let size = usize::from_str_radix(std::str::from_utf8(size).unwrap(), 8).unwrap();
        (&self.good[..512], &self.good[512..512 + size], 512 + size.next_multiple_of(512))
    }
}

/// A header with its sum made right.
fn summed(mut header: Vec<u8>) -> Vec<u8> {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

fn with(mut header: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    header[at..at + bytes.len()].copy_from_slice(bytes);
    summed(header)
}

/// A member with a content.
fn member(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    let mut member = header(name, content.len() as u64, kind, "");
    member.extend_from_slice(content);
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

/// A line of a PAX header, which begins with its own length.
fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length =
        (1..10_000).find(|length: &usize| length.to_string().len() + rest == *length).unwrap();
    format!("{length} {key}={value}\n").into_bytes()
}

#[test]
fn members_that_lead_out_of_the_bag_are_refused_by_name() {
    let forge = Forge::new();
    for (name, why) in [
        (forge.named("../../etc/x"), "leads elsewhere"),
        ("../data/x".to_owned(), "leads elsewhere"),
        ("./data/x".to_owned(), "leads elsewhere"),
        ("/etc/passwd".to_owned(), "empty"),
        (forge.named("/etc/x"), "absolute"),
        (forge.named("data//x"), "empty part"),
        (forge.named("data/a\\\\b").replace("\\\\", "\\"), "backslash"),
        ("x".to_owned(), "beside the bag"),
        ("other/data/x".to_owned(), "another folder of the tar"),
    ] {
        let shown = name.replace('\\', "");
        let tail = shown.rsplit('/').next().unwrap().chars().take(1).collect::<String>();
        forge.refuses(&name, &member(&name, b'0', b""), &tail, why);
    }
    // The second half of a name, which ustar puts before the first.
    let mut split = header("x", 0, b'0', "");
    split = with(split, 257, b"ustar\x0000");
    split = with(split, 345, b"../../etc");
    let said = forge.said_of(&[&split[..], &forge.good].concat());
    assert!(said.contains("leads elsewhere") || said.contains("beside the bag"), "{said}");
}

#[test]
fn what_is_no_plain_file_is_refused_by_name() {
    let forge = Forge::new();
    for (what, kind, why) in [
        ("hard", b'1', "a link"),
        ("symbolic", b'2', "a link"),
        ("characters", b'3', "not a plain file"),
        ("blocks", b'4', "not a plain file"),
        ("folder", b'5', "a folder"),
        ("pipe", b'6', "not a plain file"),
        ("contiguous", b'7', "not a plain file"),
        ("sparse", b'S', "holes"),
        ("volume", b'V', "not a plain file"),
        ("many-volumes", b'M', "not a plain file"),
        ("long-link", b'K', "not a plain file"),
        ("acl", b'A', "not a plain file"),
        ("unknown", b'~', "not a plain file"),
    ] {
        let name = forge.named(&format!("data/{what}"));
        forge.refuses(what, &header(&name, 0, kind, "/etc/passwd"), what, why);
    }
    // The kind of before there was ustar, which other readers take for a file.
    let old = header(&forge.named("data/old"), 0, 0, "");
    forge.refuses("old", &old, "data/old", "is not traildex's");
}

#[test]
fn pax_headers_and_long_names_cannot_say_another_path_or_size() {
    let forge = Forge::new();
    for lines in [
        pax("path", &forge.named("../../x")),
        pax("path", &forge.named("data/events.ndjson")),
        pax("size", "0"),
        pax("size", "18446744073709551615"),
        [pax("GNU.sparse.major", "1"), pax("GNU.sparse.realsize", "99999999999")].concat(),
        pax("linkpath", "/etc/passwd"),
    ] {
        for kind in [b'x', b'g', b'X'] {
            let name = forge.named("PaxHeaders/x");
            forge.refuses("pax", &member(&name, kind, &lines), "PaxHeaders/x", "not a plain file");
        }
    }
    let (head, ..) = forge.first();
    // A name before a header that has the same, or another, or is itself a name.
    let long = |name: &str| member("././@LongLink", b'L', format!("{name}\0").as_bytes());
    let real = String::from_utf8_lossy(head).split('\0').next().unwrap().to_owned();
    for (what, name, why) in [
        ("needless", real, "is not traildex's"),
        ("upwards", forge.named("../../x"), "leads elsewhere"),
        ("another", forge.named("data/evil"), "is not traildex's"),
        ("beside", "evil".to_owned(), "beside the bag"),
    ] {
        let said = forge.said_of(&[&long(&name)[..], &forge.good].concat());
        assert!(said.contains(why), "{what}: {said}");
    }
    let twice = [&long("a")[..], &long("b"), &forge.good].concat();
    assert!(forge.said_of(&twice).contains("beside the bag"));
    let elsewhere = member("././@LongName", b'L', b"x\0");
    assert!(forge.said_of(&[&elsewhere[..], &forge.good].concat()).contains("a name that is"));
    let endless = header("././@LongLink", u64::from(u32::MAX), b'L', "");
    assert!(
        forge.said_of(&[&endless[..], &forge.good].concat()).contains("a name that is too long")
    );
}

#[test]
fn sizes_that_lie_are_refused_by_name() {
    let forge = Forge::new();
    let (head, content, next) = forge.first();
    let path = String::from_utf8_lossy(head).split('\0').next().unwrap().to_owned();
    let (_, path) = path.split_once('/').unwrap();
    let rest = &forge.good[512..];
    let sized = |size: &[u8]| with(head.to_vec(), 124, size);
    let largest = [&[0x80_u8][..], &[0xFF; 11]].concat();
    let nearly = [&[0x80_u8, 0, 0, 0][..], &(u64::MAX - 600).to_be_bytes()].concat();
    let negative = [0xFF; 12];
    for size in [b"77777777777\0".as_slice(), &nearly] {
        let said = forge.said_of(&[&sized(size)[..], rest].concat());
        assert!(said.contains(path) && said.contains("longer than the tar"), "{said}");
    }
    // Numbers that are none, or of more bytes than any: refused, whichever way they are read.
    for size in [b"9999999999x\0".as_slice(), &largest, &negative] {
        let said = forge.said_of(&[&sized(size)[..], rest].concat());
        assert!(said.contains(path), "{said}");
    }
    // A content that is longer, or shorter, than its header says.
    let longer = format!("{:011o}\0", content.len() + 512);
    let shorter = format!("{:011o}\0", content.len() - 1);
    for size in [longer, shorter, "00000000000\0".to_owned()] {
        forge.said_of(&[&sized(size.as_bytes())[..], rest].concat());
    }
    let more = [head, content, b"more", &forge.good[next..]].concat();
    forge.said_of(&more);
    let hidden = [&forge.good[..next], &[b'x'; 512], &forge.good[next..]].concat();
    forge.said_of(&hidden);
    // The size in another spelling, which readers take for the same.
    let spelled = [&[0x80_u8, 0, 0, 0][..], &(content.len() as u64).to_be_bytes()].concat();
    let said = forge.said_of(&[&sized(&spelled)[..], rest].concat());
    assert!(said.contains(path) && said.contains("is not traildex's"), "{said}");
    // A sum that is wrong.
    let mut wrong_sum = head.to_vec();
    wrong_sum[148..156].copy_from_slice(b"000000\0 ");
    forge.said_of(&[&wrong_sum[..], rest].concat());
}

#[test]
fn members_of_one_name_and_what_stands_behind_the_end_are_refused() {
    let forge = Forge::new();
    let (.., next) = forge.first();
    let first = &forge.good[..next];
    let twice = forge.said_of(&[first, &forge.good].concat());
    assert!(twice.contains("two files of this path"), "{twice}");
    let last = forge.said_of(&[&forge.good[..forge.good.len() - END], first, &[0; END]].concat());
    assert!(last.contains("two files of this path"), "{last}");
    for behind in [&forge.good[..], first, &[0; 512], b"x"] {
        let said = forge.said_of(&[&forge.good[..], behind].concat());
        assert!(said.contains("something stands at its end"), "{said}");
    }
    // One block of zeros where there must be two, and none.
    let body = &forge.good[..forge.good.len() - END];
    for end in [&[0; 512][..], &[]] {
        assert!(forge.said_of(&[body, end].concat()).contains("cut off"));
    }
    // An end in the middle, behind which others would read on.
    let said = forge.said_of(&[first, &[0; END], &forge.good[next..]].concat());
    assert!(said.contains("something stands at its end"), "{said}");
    // What pads a content.
    let mut padded = forge.good.clone();
    padded[next - 1] = 1;
    assert!(forge.said_of(&padded).contains("something stands behind it"));
}

#[test]
fn a_tar_of_very_many_members_is_refused_within_bounds() {
    let forge = Forge::new();
    let mut many = Vec::new();
    for n in 0..200_000 {
        many.extend_from_slice(&header(&forge.named(&format!("data/{n:06}")), 0, b'0', ""));
    }
    many.extend_from_slice(&[0; END]);
    let said = forge.said_of(&many);
    assert!(!said.is_empty() && said.len() < 1 << 20, "{}", said.len());
    // Not a tar at all, and one that is a folder's name.
    for tar in [&b"PK\x03\x04"[..], &[0x1F, 0x8B, 8, 0], &[0xFF; 4_096]] {
        forge.said_of(tar);
    }
    assert!(Path::new(&forge.tar()).exists());
}
