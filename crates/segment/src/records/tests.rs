use proptest::prelude::*;

use super::*;

/// A block of some records.
pub(crate) fn block(records: &[&[u8]]) -> Block {
    let mut bytes = Vec::new();
    put_number(&mut bytes, records.len());
    for record in records {
        put_number(&mut bytes, record.len());
    }
    Block::of(0, [bytes, records.concat()].concat()).unwrap()
}

fn arena(records: &[Vec<u8>]) -> Arena {
    let mut arena = Arena::default();
    for record in records {
        arena.push(record);
    }
    arena
}

fn written(records: &[Vec<u8>], order: &[DocId], dictionaries: &Dictionaries) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(Ordered { records: &arena(records), order }, dictionaries, &mut bytes).unwrap();
    bytes
}

fn try_open(bytes: Vec<u8>) -> Result<Records, IndexError> {
    Records::open(Path::new("x.records"), OwnedBytes::new(bytes))
}

/// The records of several segments, one behind another, from files.
fn concatenated(parts: &[Vec<u8>], events: &[u32]) -> Records {
    let dir = tempfile::tempdir().unwrap();
    let open = |(n, bytes): (usize, &Vec<u8>)| {
        let path = dir.path().join(format!("{n}.records"));
        std::fs::write(&path, bytes).unwrap();
        Records::open(&path, OwnedBytes::new(bytes.clone())).unwrap()
    };
    let parts: Vec<Records> = parts.iter().enumerate().map(open).collect();
    let mut bytes = Vec::new();
    concatenate(&parts, events, &mut bytes).unwrap();
    try_open(bytes).unwrap()
}

fn in_order(records: &[Vec<u8>], dictionaries: &Dictionaries) -> Records {
    let order: Vec<DocId> = (0..records.len() as DocId).collect();
    try_open(written(records, &order, dictionaries)).unwrap()
}

fn record(records: &Records, doc: DocId) -> Vec<u8> {
    records.block(records.block_of(doc)).unwrap().record(doc).unwrap().to_vec()
}

fn all(records: &Records, count: usize) -> Vec<Vec<u8>> {
    (0..count as DocId).map(|doc| record(records, doc)).collect()
}

/// Records as an archive has them: alike, each with something of its own.
fn alike(count: usize, archive: &str) -> Vec<Vec<u8>> {
    let record = |n: usize| {
        let id = trail::content::id_hash(archive, &n.to_string());
        let filler = format!("{archive} says the same in each record, ").repeat(8);
        format!("{{\"eventID\":\"{id:016x}\",\"n\":{n},\"text\":\"{filler}\"}}").into_bytes()
    };
    (0..count).map(record).collect()
}

/// As many as a dictionary is trained for.
fn many(archive: &str) -> Vec<Vec<u8>> {
    let one = alike(1, archive)[0].len();
    alike(DICTIONARY_FROM_BYTES / one + 1_000, archive)
}

proptest! {
    #[test]
    fn records_are_read_as_they_were_written(
        parts in prop::collection::vec(
            prop::collection::vec(prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                prop::collection::vec(any::<u8>(), 30_000..70_000),
            ], 1..20),
            1..4,
        ),
        seed in any::<usize>(),
    ) {
        let dictionaries = Dictionaries::default();
        let mut files = Vec::new();
        let mut expected = Vec::new();
        for part in &parts {
            let mut order: Vec<DocId> = (0..part.len() as DocId).collect();
            order.rotate_left(seed % part.len());
            expected.push(order.iter().map(|n| part[*n as usize].clone()).collect::<Vec<_>>());
            files.push(written(part, &order, &dictionaries));
        }
        let open: Vec<_> = files.iter().map(|bytes| try_open(bytes.clone()).unwrap()).collect();
        for (records, expected) in open.iter().zip(&expected) {
            prop_assert_eq!(&all(records, expected.len()), expected);
        }

        let counts: Vec<u32> = expected.iter().map(|part| part.len() as u32).collect();
        let together = expected.concat();
        prop_assert_eq!(&all(&concatenated(&files, &counts), together.len()), &together);

        let mut order: Vec<(usize, DocId)> = expected
            .iter()
            .enumerate()
            .flat_map(|(part, records)| (0..records.len() as DocId).map(move |doc| (part, doc)))
            .collect();
        order.sort_by_key(|(part, doc)| (*doc, *part));
        let shuffled: Vec<_> =
            order.iter().map(|(part, doc)| expected[*part][*doc as usize].clone()).collect();
        let mut bytes = Vec::new();
        write(Shuffled::new(&open, order.len(), |n| order[n]), &dictionaries, &mut bytes).unwrap();
        prop_assert_eq!(&all(&try_open(bytes).unwrap(), shuffled.len()), &shuffled);
    }
}

#[test]
fn large_segments_have_a_dictionary_each_and_merged_ones_have_it_once() {
    let dictionaries = Dictionaries::default();
    let parts = [many("a"), alike(100, "a"), many("b")];
    let counts = parts.each_ref().map(|part| part.len() as u32);
    let in_order = |part: &Vec<_>| (0..part.len() as DocId).collect::<Vec<_>>();
    let files = parts.each_ref().map(|part| written(part, &in_order(part), &dictionaries));
    let open = files.each_ref().map(|bytes| try_open(bytes.clone()).unwrap());
    assert_eq!(open.each_ref().map(|records| records.dictionaries.len()), [1, 0, 1]);
    let merged = concatenated(&files, &counts);
    assert_eq!(merged.dictionaries.len(), 1);
    let expected = parts.concat();
    assert_eq!(all(&merged, expected.len()), expected);
}

#[test]
fn a_dictionary_is_trained_anew_after_many_events() {
    let dictionaries = Dictionaries::default();
    let records = many("a");
    let first = in_order(&records, &dictionaries);
    let bytes = |records: &Records| records.dictionaries[0].bytes.to_vec();
    dictionaries.0.lock().unwrap().events = RETRAIN_EVENTS - 1;
    assert_eq!(bytes(&in_order(&many("b"), &dictionaries)), bytes(&first));
    assert_ne!(bytes(&in_order(&many("b"), &dictionaries)), bytes(&first));
}

#[test]
fn whatever_byte_is_wrong_no_other_record_is_read() {
    let records = alike(300, "a");
    let order: Vec<DocId> = (0..300).collect();
    let bytes = written(&records, &order, &Dictionaries::default());
    for at in 0..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x10;
        let Ok(open) = try_open(wrong) else { continue };
        for doc in [0, 150, 299] {
            let block = open.block(open.block_of(doc));
            if let Some(found) = block.ok().and_then(|block| block.record(doc)) {
                // The number of a block's first document is all that no checksum covers; the manifest
                // has the hash of the whole file.
                let is_place = open.places.contains(&at);
                assert!(is_place || *found == records[doc as usize], "byte {at}, document {doc}");
            }
        }
    }
    for length in [0, 7, 8, 20, bytes.len() - 1] {
        if let Ok(open) = try_open(bytes[..length].to_vec()) {
            assert!(open.block(open.block_of(0)).is_err(), "the first {length} bytes");
        }
    }
}

#[test]
fn a_file_that_is_cut_short_is_not_merged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.records");
    let records = alike(300, "a");
    let bytes = written(&records, &(0..300).collect::<Vec<_>>(), &Dictionaries::default());
    let open = Records::open(&path, OwnedBytes::new(bytes.clone())).unwrap();
    std::fs::write(&path, &bytes[..open.blocks_end as usize - 1]).unwrap();
    let error = concatenate(&[open], &[300], &mut Vec::new()).unwrap_err().to_string();
    assert!(error.ends_with("x.records: it ends too early"), "{error}");
}

#[test]
fn a_document_that_there_is_not_is_an_error() {
    let records = in_order(&alike(3, "a"), &Dictionaries::default());
    let block = records.block(records.block_of(9)).unwrap();
    assert!(block.record(9).is_none());
    assert!(records.block(1).is_err());
}
