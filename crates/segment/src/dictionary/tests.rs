//! What is read, compared with what tantivy reads of the same bytes; and bytes that are broken.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tantivy::columnar::{ColumnIndex, ColumnarReader, ColumnarWriter, EmptyColumnValues};
use tantivy::termdict::TermDictionaryBuilder;

use super::*;
use crate::column_words::text_column;

type Keys = BTreeSet<Vec<u8>>;

/// None, one, and more than there is room for in a block; alike and not, short and long.
fn keys() -> impl Strategy<Value = Keys> {
    let alike = prop::collection::vec(0_u8..3, 0..12);
    let other = prop::collection::vec(any::<u8>(), 0..40);
    let long =
        (prop::collection::vec(any::<u8>(), 0..3), 0_usize..6_000).prop_map(|(mut start, more)| {
            start.resize(start.len() + more, b'x');
            start
        });
    let key = prop_oneof![20 => alike, 20 => other, 1 => long];
    prop_oneof![
        prop::collection::btree_set(key.clone(), 0..4),
        prop::collection::btree_set(key, 500..1_500),
    ]
}

fn table(keys: &Keys) -> Vec<u8> {
    let mut table = <Dictionary>::builder(Vec::new()).unwrap();
    for key in keys {
        table.insert(key, &()).unwrap();
    }
    table.finish().unwrap()
}

fn theirs(table: &[u8]) -> Dictionary {
    Dictionary::from_bytes(OwnedBytes::new(table.to_vec())).unwrap()
}

fn ours(table: &[u8]) -> TextColumn {
    let index = ColumnIndex::Empty { num_docs: 0 };
    let ordinals = Column { index, values: Arc::new(EmptyColumnValues) };
    TextColumn::new(Arc::new(theirs(table)), ordinals)
}

fn walked(mut walk: ValueWalk) -> io::Result<Vec<(u64, Vec<u8>)>> {
    let mut values = Vec::new();
    while walk.advance()? {
        values.push((walk.ordinal(), walk.key().to_vec()));
    }
    Ok(values)
}

/// Keys that are there, and some that are not.
fn wanted(keys: &Keys) -> Vec<Vec<u8>> {
    let beside = keys.iter().step_by(97).map(|key| [&key[..], &[7]].concat());
    let shorter = keys.iter().step_by(97).filter_map(|key| Some(key.split_last()?.1.to_vec()));
    let ends = [Vec::new(), vec![0xff; 50]];
    let there = keys.iter().step_by(97).chain(keys.last()).cloned();
    there.chain(beside).chain(shorter).chain(ends).collect()
}

fn table_of_terms(keys: &Keys, numbers: &[u32]) -> TermDictionary {
    let mut table = TermDictionaryBuilder::create(Vec::new()).unwrap();
    let (mut postings, mut positions) = (numbers[0] as usize, numbers[1] as usize);
    for (key, number) in keys.iter().zip(numbers.iter().cycle()) {
        let info = TermInfo {
            doc_freq: *number,
            postings_range: postings..postings + *number as usize,
            positions_range: positions..positions + (number / 3) as usize,
        };
        (postings, positions) = (info.postings_range.end, info.positions_range.end);
        table.insert(key, &info).unwrap();
    }
    TermDictionary::open(FileSlice::from(table.finish().unwrap())).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn values_are_read_as_tantivy_reads_them(keys in keys()) {
        let table = table(&keys);
        let (theirs, ours) = (theirs(&table), ours(&table));
        for from in wanted(&keys) {
            let mut stream = theirs.range().ge(&from).into_stream().unwrap();
            let mut expected = Vec::new();
            while stream.advance() {
                expected.push((stream.term_ord(), stream.key().to_vec()));
            }
            prop_assert_eq!(walked(ours.walk(&from).unwrap()).unwrap(), expected);
            let look_up = |dictionary: &Dictionary| {
                (dictionary.term_ord(&from).unwrap(), dictionary.term_ord_or_next(&from).unwrap())
            };
            prop_assert_eq!(look_up(ours.dictionary()), look_up(&theirs));
        }
        for ordinals in [vec![0], (0..keys.len() as u64).step_by(7).chain([1 << 20]).collect()] {
            let texts = |dictionary: &Dictionary| {
                let mut texts = Vec::new();
                let add = |text: &[u8]| texts.push(text.to_vec());
                let are_there = dictionary.sorted_ords_to_term_cb(&ordinals, add).unwrap();
                (are_there, texts)
            };
            prop_assert_eq!(texts(ours.dictionary()), texts(&theirs));
        }
        // As tantivy's own functions walk it.
        let mut stream = ours.dictionary().stream().unwrap();
        for key in &keys {
            prop_assert!(stream.advance() && stream.key() == key);
        }
        prop_assert!(!stream.advance());
    }

    #[test]
    fn terms_are_read_as_tantivy_reads_them(
        keys in keys(),
        numbers in prop::collection::vec(any::<u32>(), 2..20),
    ) {
        let terms = table_of_terms(&keys, &numbers);
        for from in wanted(&keys) {
            let mut walk = TermWalk::of_terms(&terms, &from).unwrap();
            let mut stream = terms.range().ge(&from).into_stream().unwrap();
            while stream.advance() {
                prop_assert!(walk.advance().unwrap());
                prop_assert_eq!((walk.key(), walk.info()), (stream.key(), stream.value()));
            }
            prop_assert!(!walk.advance().unwrap());
        }
    }

    #[test]
    fn no_bytes_are_too_strange(
        keys in keys(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut table = table(&keys);
        // The index of the blocks is tantivy's.
        let blocks = ours(&table).blocks.len();
        for (place, byte) in places {
            table[place.index(blocks)] = byte;
        }
        let column = ours(&table);
        let _ = walked(column.walk(b"").unwrap());
        for key in wanted(&keys) {
            let _ = column.dictionary().term_ord(key);
        }
        for ordinal in (0..keys.len() as u64).step_by(97) {
            let _ = column.ord_to_str(ordinal, &mut String::new());
        }
        let bytes = OwnedBytes::new(table);
        let mut walk = TermWalk::new(bytes, b"", 0, None);
        while walk.advance().is_ok_and(|is_there| is_there) {
            walk.info();
        }
    }
}

/// A block that is not compressed.
fn block(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32 + 1).to_le_bytes()[..], &[0], bytes].concat()
}

#[test]
fn blocks_that_are_broken_are_errors() {
    let compressed = |frame: &[u8]| {
        let mut block = block(frame);
        block[4] = 1;
        block
    };
    let values = |blocks: &[u8]| {
        let blocks = OwnedBytes::new(blocks.to_vec());
        let looked_up = decompressed(&blocks);
        let walked = walked(Walk::new(blocks, b"", 0, None));
        walked.map(|values| values.len()).map_err(|error| (error.kind(), looked_up.is_err()))
    };
    let is_broken = |looked_up| Err((io::ErrorKind::InvalidData, looked_up));
    let frame = zstd::bulk::compress(b"\x20ab\x12xy", 3).unwrap();
    assert_eq!(values(&block(b"\x20ab\x11x")), Ok(2));
    assert_eq!(values(&compressed(&zstd::bulk::compress(b"\x20ab\x11x", 3).unwrap())), Ok(2));
    assert_eq!(values(&frame), is_broken(true));
    for broken in [
        &block(b"\x20ab")[..6],
        &[1, 2, 3],
        // An entry that is longer than the block, and one that keeps more than there is.
        &block(b"\x20ab\x21x"),
        &block(b"\x20ab\x13x"),
        &block(b"\x21ab"),
        // A number without its end, one without its second, and one that is too large.
        &block(b"\x20ab\x01\x80"),
        &block(b"\x20ab\x01\x02"),
        &block(b"\x20ab\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        // No frame, half a frame, and one that states 4 GiB.
        &compressed(b"no frame"),
        &compressed(&frame[..frame.len() - 2]),
        &compressed(b"\x28\xb5\x2f\xfd\xa0\xff\xff\xff\xff\x01\x00\x00"),
    ] {
        assert_eq!(values(broken), is_broken(true), "{broken:?}");
    }
    // Out of order: a walk tells, a look-up reads no more than it must.
    assert_eq!(values(&block(b"\x20ab\x10a")), is_broken(false));
    assert_eq!(values(&block(b"\x20ab\x02")), is_broken(false));
}

#[test]
fn terms_without_infos_are_errors() {
    // One term, and what is known of it; then two.
    let one = b"\x81\x80\x80\x85\x86\x87";
    let count = |bytes: &[u8]| {
        let mut walk = TermWalk::new(OwnedBytes::new(block(bytes)), b"", 0, None);
        let mut count = 0;
        while walk.advance()? {
            count += 1;
        }
        io::Result::Ok(count)
    };
    assert_eq!(count(&[&one[..], b"\x10a"].concat()).unwrap(), 1);
    for broken in [
        &[&one[..], b"\x10a\x10b"].concat()[..],
        &one[..],
        &one[..4],
        // So many infos, and so many documents.
        b"\x01\x01\x01\x01\x01\x01\x01\x01\x81\x80\x80\x85",
        b"\x81\x80\x80\x7f\x7f\x7f\x7f\xff\x86\x87\x10a",
    ] {
        assert_eq!(count(broken).unwrap_err().kind(), io::ErrorKind::InvalidData, "{broken:?}");
    }
}

#[test]
fn a_block_is_decompressed_here_and_once_for_look_ups_in_order() {
    let mut writer = ColumnarWriter::default();
    for n in 0..5_000 {
        writer.record_str(n, "name", &format!("value {n:06}"));
    }
    let mut file = Vec::new();
    writer.serialize(5_000, None, &mut file).unwrap();
    let columnar = ColumnarReader::open(file).unwrap();
    let column = text_column(&columnar, "name").unwrap().unwrap();
    let dictionary = column.dictionary();
    let read = |value: &str| {
        let place = dictionary.sstable_index.get_block_with_key(value.as_bytes()).unwrap();
        let block = dictionary.sstable_slice.read_bytes_slice(place.byte_range.clone()).unwrap();
        let compressed = column.blocks.read_bytes_slice(place.byte_range).unwrap();
        assert_eq!((compressed[4], block[4]), (1, 0), "{value}");
        block.as_ptr()
    };
    assert_eq!(read("value 000000"), read("value 000001"));
    assert_ne!(read("value 000000"), read("value 004999"));
    let mut value = String::new();
    column.ord_to_str(4_999, &mut value).unwrap();
    assert_eq!(value, "value 004999");
    assert!(column.ord_to_str(5_000, &mut value).is_err() && value.is_empty());
}

#[test]
fn values_that_end_too_early_are_an_error() {
    let keys: Keys = (0..5_000).map(|n| format!("value {n:06}").into_bytes()).collect();
    let mut table = table(&keys);
    assert_eq!(walked(ours(&table).walk(b"value 000004").unwrap()).unwrap().len(), 4_996);
    assert_eq!(walked(ours(&table).walk(b"w").unwrap()).unwrap(), []);
    // As pages read that were cut off.
    let last = theirs(&table).sstable_index.get_block_with_key(b"value 004999").unwrap();
    table[last.byte_range].fill(0);
    let error = walked(ours(&table).walk(b"value 000004").unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

/// A page that was cut off reads as zeros, wherever in the dictionary it lies.
#[test]
fn a_block_of_zeros_is_an_error_and_never_a_value_that_is_not_there() {
    let keys: Keys = (1..5_000_u64)
        .map(|n| format!("{:016x} value", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes())
        .collect();
    let whole = table(&keys);
    let index = theirs(&whole).sstable_index;
    let blocks: BTreeSet<(usize, usize)> = keys
        .iter()
        .map(|key| index.get_block_with_key(key).unwrap().byte_range)
        .map(|range| (range.start, range.end))
        .collect();
    assert!(blocks.len() > 3);
    for (start, end) in blocks {
        let mut table = whole.clone();
        table[start..end].fill(0);
        let column = ours(&table);
        let mut failed = 0;
        for (ordinal, key) in keys.iter().enumerate().step_by(11) {
            let mut text = String::new();
            match column.ord_to_str(ordinal as u64, &mut text) {
                Ok(()) => assert_eq!(text.as_bytes(), key),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                    failed += 1;
                }
            }
            match column.dictionary().term_ord(key) {
                Ok(found) => assert_eq!(found, Some(ordinal as u64)),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidData),
            }
        }
        assert!(failed > 0, "{start}");
        let all: Vec<u64> = (0..keys.len() as u64).collect();
        assert!(column.each_text(&all, |_| {}).is_err());
        assert!(walked(column.walk(b"").unwrap()).is_err());
        let mut terms = TermWalk::new(OwnedBytes::new(table), b"", 0, None);
        let ended = loop {
            match terms.advance() {
                Ok(true) => {}
                ended => break ended,
            }
        };
        assert!(ended.is_err(), "{start}");
    }
}
