//! What is written is, to the byte, what tantivy's own writer makes of the same events.

use std::collections::HashSet;

use proptest::prelude::*;
use tantivy::columnar::{ColumnarReader, DynamicColumn};
use tantivy::directory::RamDirectory;
use tantivy::indexer::{AddOperation, merge_filtered_segments};
use tantivy::schema::OwnedValue;
use tantivy::store::StoreReader;
use tantivy::{Index, TantivyDocument};

use super::*;
use crate::build::words_of;
use crate::schema;
use trail::paths::PathId;

/// A scalar, owned.
#[derive(Clone, Debug)]
enum Given {
    Text(String),
    I64(i64),
    U64(u64),
    /// With its text, which does not follow from the number.
    F64(f64, String),
    Bool(bool),
}

impl Given {
    fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Text(text) => Scalar::Str(text),
            Self::I64(n) => Scalar::I64(*n),
            Self::U64(n) => Scalar::U64(*n),
            Self::F64(n, written) => Scalar::F64(*n, written),
            Self::Bool(b) => Scalar::Bool(*b),
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]{0,3}",
        1 => "[aB] [cD.]{1,3}",
        1 => "arn:aws:[a-z]{1,12}/[ab]",
        1 => Just("0a1b2c3d-0000-4000-8000-00000000000f".to_owned()),
        1 => Just("192.0.2.7".to_owned()),
        1 => "w{1,3}".prop_map(|word| format!("{word} ").repeat(EXACT_BYTES_MAX)),
        1 => any::<String>(),
    ]
}

fn given() -> impl Strategy<Value = Given> {
    prop_oneof![
        4 => text().prop_map(Given::Text),
        2 => (-3_i64..100).prop_map(Given::I64),
        1 => any::<i64>().prop_map(Given::I64),
        1 => prop_oneof![Just(i64::MAX as u64), Just(u64::MAX), any::<u64>()].prop_map(Given::U64),
        1 => (any::<f64>(), "[0-9]{1,2}[.e][0-9]").prop_map(|(n, text)| Given::F64(n, text)),
        1 => "[0-9]{1,2}[.e][0-9]".prop_map(|text| Given::F64(0.5, text)),
        1 => any::<bool>().prop_map(Given::Bool),
    ]
}

/// Some columns, of each kind, and some leaves; more often alone than with others.
fn leaf() -> impl Strategy<Value = (&'static str, Given)> {
    const NAMES: [&str; 12] = [
        "eventName",
        "eventID",
        "requestID",
        "sourceIPAddress",
        "userIdentity.accessKeyId",
        "resources.ARN",
        "userIdentity.arn",
        "a",
        "a.b",
        "b",
        "c",
        "requestParameters.name",
    ];
    (prop::sample::select(&NAMES[..]), given())
}

fn event(leaves: &[(&str, Given)], time: i64) -> Event {
    let mut event = Event::default();
    for (name, value) in leaves {
        let path = event.path(PathId::ROOT, name);
        event.add(path, value.scalar());
    }
    event.file = time as u64 % 3;
    event.offset = leaves.len() as u64 * 1_000;
    event.finish(Micros(time));
    event
}

/// The event as tantivy takes it, every word as often as a value has it.
fn document(event: &Event, fields: &Fields) -> TantivyDocument {
    let mut document = TantivyDocument::default();
    let mut words = Vec::new();
    for (column, text) in event.columns() {
        if !column.column().is_unique || ids::UuidKey::of(text).is_none() {
            document.add_text(Fields::column(column), text);
        }
        let sink = |word: &str| words.push(word.to_owned());
        each_column_word(column, text, &mut String::new(), sink);
    }
    if let Some(ip) = event.ip {
        document.add_ip_addr(fields.ip, ip);
    }
    let leaves = event.leaves().map(|(path, leaf)| {
        each_leaf_word(leaf, &mut String::new(), |word| words.push(word.to_owned()));
        let value = match leaf {
            Scalar::Str(text) => {
                OwnedValue::Str(shorten(&mut text.to_owned(), EXACT_BYTES_MAX).to_owned())
            }
            Scalar::I64(n) => OwnedValue::I64(n),
            Scalar::U64(n) => OwnedValue::U64(n),
            Scalar::F64(n, _) => OwnedValue::F64(n),
            Scalar::Bool(b) => OwnedValue::Bool(b),
        };
        (event.path_text(path).to_owned(), value)
    });
    let leaves = OwnedValue::Object(leaves.collect());
    document.add_field_value(fields.schema.get_field(schema::REST).unwrap(), &leaves);
    for word in &words {
        document.add_text(fields.words, word);
    }
    document.add_date(
        fields.schema.get_field(schema::TIME).unwrap(),
        DateTime::from_timestamp_micros(event.time.0),
    );
    document.add_u64(fields.schema.get_field(schema::FILE).unwrap(), event.file);
    document.add_u64(fields.schema.get_field(schema::OFFSET).unwrap(), event.offset);
    document.add_u64(fields.schema.get_field(schema::FLAGS).unwrap(), event.flags.0);
    document
}

fn new_segment(fields: &Fields) -> Segment {
    index(fields).new_segment()
}

#[track_caller]
fn assert_same(ours: &Segment, theirs: &Segment) {
    use SegmentComponent::{FastFields, FieldNorms, Positions, Postings, Store, Terms};
    let bytes = |segment: &Segment, component: &SegmentComponent| {
        segment.open_read(component.clone()).unwrap().read_bytes().unwrap().to_vec()
    };
    for component in &[Terms, Postings, Positions, FieldNorms, FastFields] {
        assert!(bytes(ours, component) == bytes(theirs, component), "{component:?} differ");
    }
    // Empty documents, which tantivy may lay in blocks of other lengths.
    let documents = |segment: &Segment| {
        let store = segment.open_read(Store).unwrap();
        let store = StoreReader::open(store, 0).unwrap();
        store.iter::<TantivyDocument>(None).map(Result::unwrap).collect::<Vec<_>>()
    };
    assert!(documents(ours) == documents(theirs), "the documents differ");
}

fn index(fields: &Fields) -> Index {
    let settings = schema::settings();
    Index::create(RamDirectory::default(), fields.schema.clone(), settings).unwrap()
}

fn writer(events: &[Event]) -> SegmentWriter {
    let mut writer = SegmentWriter::default();
    for event in events {
        writer.add(event);
    }
    writer
}

/// Compares what is written with what tantivy writes, and what both make of the segments of these
/// parts, laid one behind another.
fn compare(events: &[Event], parts: usize) {
    let fields = Fields::default();
    compare_written(events, &fields);
    let index = index(&fields);
    let segments = events.chunks(events.len().div_ceil(parts)).map(|events| {
        let segment = index.new_segment();
        let writer = writer(events);
        let order = writer.order();
        writer.write(&segment, &fields, &order).unwrap();
        index.segment(index.new_segment_meta(segment.id(), events.len() as u32))
    });
    let segments: Vec<Segment> = segments.collect();
    let ours = new_segment(&fields);
    let mut first = 0;
    let numbers: Vec<Numbers> = segments
        .iter()
        .map(|segment| {
            first += segment.meta().max_doc();
            Numbers::From(first - segment.meta().max_doc())
        })
        .collect();
    stack(&segments, &numbers, &ours, &fields).unwrap();
    let unfiltered = segments.iter().map(|_| None).collect();
    let settings = schema::settings();
    let output = RamDirectory::default();
    let theirs = merge_filtered_segments(&segments, settings, unfiltered, output).unwrap();
    let theirs = theirs.searchable_segments().unwrap().remove(0);
    assert_same(&ours, &theirs);
}

/// The words of the columns are those that are gathered from them.
#[track_caller]
fn assert_words(words: ColumnWords, segment: &Segment) {
    let bytes = |words: ColumnWords| {
        let mut bytes = Vec::new();
        words.write(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(bytes(words), bytes(words_of(segment).unwrap()));
}

fn compare_written(events: &[Event], fields: &Fields) {
    let writer = writer(events);
    let order = writer.order();
    let ours = new_segment(fields);
    let words = writer.write(&ours, fields, &order).unwrap();

    let theirs = new_segment(fields);
    let segment = theirs.clone();
    let mut writer = tantivy::indexer::SegmentWriter::for_segment(64 << 20, segment).unwrap();
    for doc in &order {
        let document = document(&events[*doc as usize], fields);
        writer.add_document(AddOperation { opstamp: 0, document }).unwrap();
    }
    writer.finalize().unwrap();
    assert_same(&ours, &theirs);
    assert_words(words, &theirs);
}

proptest! {
    #[test]
    fn the_files_are_tantivys(
        events in prop::collection::vec((prop::collection::vec(leaf(), 0..8), 0_i64..9), 1..60),
        parts in 1_usize..5,
    ) {
        let events: Vec<Event> =
            events.iter().map(|(leaves, time)| event(leaves, *time)).collect();
        compare(&events, parts);
    }
}

/// As many as make blocks of postings, of columns and of dictionaries.
#[test]
fn the_files_of_many_events_are_tantivys() {
    let events: Vec<Event> = (0..70_000_i64)
        .map(|n| {
            let text = |text: String| Given::Text(text);
            let mut leaves = vec![
                ("eventName", text(format!("Get{}", n % 7))),
                ("userIdentity.arn", text(format!("arn:aws:iam::{}:user/{n}", n % 20))),
                ("a", text(format!("value {}", n * 7_919 % 30_011))),
                ("b", Given::I64(n)),
            ];
            if n % 3 == 0 {
                leaves.push(("a", text("twice".to_owned())));
                leaves.push(("c", Given::F64(n as f64 / 8.0, n.to_string())));
            }
            event(&leaves, n * 7_919 % 1_000)
        })
        .collect();
    compare(&events, 3);
}

#[test]
fn events_of_several_parsers_share_columns() {
    let leaf = |n| [("a.b", Given::I64(n)), ("a", Given::Bool(true))];
    // Each event has a table of paths of its own, with other numbers.
    let mut events = vec![event(&[("z", Given::I64(0))], 1)];
    events.extend((0..5).map(|n| event(&leaf(n), n)));
    let generations: HashSet<String> =
        events.iter().map(|event| format!("{:?}", event.path_generation())).collect();
    assert_eq!(generations.len(), events.len());
    compare(&events, 3);
}

#[test]
fn the_order_is_latest_first_and_then_as_they_came() {
    let mut writer = SegmentWriter::default();
    for time in [3, 5, 3, 9, 5] {
        writer.add(&event(&[], time));
    }
    assert_eq!(writer.order(), [3, 1, 4, 0, 2]);
}

#[test]
fn the_names_of_fields_take_memory() {
    let mut writer = SegmentWriter::default();
    writer.add(&event(&[], 0));
    let before = writer.memory();
    let mut many = Event::default();
    for n in 0..1_000 {
        let path = many.path(PathId::ROOT, &format!("{n:0100}"));
        many.add(path, Scalar::Bool(true));
    }
    many.finish(Micros(0));
    writer.add(&many);
    assert!(writer.memory() - before > 200_000, "{}", writer.memory() - before);
}

#[test]
fn what_has_no_column_takes_memory_while_it_is_written() {
    let memory = |names: i64| {
        let mut writer = SegmentWriter::default();
        (0..50).for_each(|_| writer.add(&named(0, names)));
        (writer.memory(), writer.values.len())
    };
    // With the two that all have, as many as have columns.
    let ((fit, values), (do_not, more)) = (memory(4_094), memory(4_095));
    assert_eq!(more - values, 50);
    assert!(do_not - fit > 20 * values, "{fit} {do_not} {values}");
}

/// The paths of each event, of columns and of the overflow, and the paths that have columns. No event
/// has a path twice.
fn paths_of_events(segment: &Segment, documents: DocId) -> (Vec<Vec<String>>, HashSet<String>) {
    let reader = segment.open_read(SegmentComponent::FastFields).unwrap();
    let reader = ColumnarReader::open(reader).unwrap();
    let mut paths = vec![Vec::new(); documents as usize];
    let mut with_columns = HashSet::new();
    for (name, handle) in reader.iter_columns().unwrap() {
        let column = handle.open().unwrap();
        let has_value = |doc: &DocId| column.column_index().has_value(*doc);
        let docs: Vec<DocId> = (0..documents).filter(has_value).collect();
        if let Some(path) = name.strip_prefix("rest\u{1}") {
            with_columns.insert(path.to_owned());
            for doc in docs {
                paths[doc as usize].push(path.to_owned());
            }
        } else if let (OVERFLOW, DynamicColumn::Str(column)) = (name.as_str(), column) {
            for doc in docs {
                for ordinal in column.term_ords(doc) {
                    let mut path = String::new();
                    assert!(column.ord_to_str(ordinal, &mut path).unwrap());
                    paths[doc as usize].push(path);
                }
            }
        }
    }
    for paths in &mut paths {
        paths.sort_unstable();
    }
    (paths, with_columns)
}

/// An event with a field that others have, too, and many that no other has.
fn named(n: i64, own: i64) -> Event {
    let own: Vec<String> = (0..own).map(|k| format!("made-up.{n}-{k}")).collect();
    let mut leaves = vec![("shared", Given::I64(n)), ("requestParameters.name", Given::I64(n))];
    leaves.extend(own.iter().map(|name| (name.as_str(), Given::Bool(true))));
    event(&leaves, n * 7 % 10)
}

fn expected(event: &Event) -> Vec<String> {
    let mut paths: Vec<String> =
        event.leaves().map(|(path, _)| event.path_text(path).to_owned()).collect();
    paths.sort_unstable();
    paths
}

#[test]
fn where_there_are_too_many_names_each_event_keeps_its_paths() {
    let fields = Fields::default();
    let index = index(&fields);
    let events: Vec<Event> = (0..10).map(|n| named(n, 1_000)).collect();
    let chunks: Vec<&[Event]> = events.chunks(5).collect();
    let (mut segments, mut orders) = (Vec::new(), Vec::new());
    for events in &chunks {
        let segment = index.new_segment();
        let writer = writer(events);
        let order = writer.order();
        writer.write(&segment, &fields, &order).unwrap();
        let (paths, with_columns) = paths_of_events(&segment, 5);
        assert!(with_columns.contains("shared") && with_columns.len() == 4_096);
        for (doc, old) in order.iter().enumerate() {
            assert_eq!(paths[doc], expected(&events[*old as usize]));
        }
        segments.push(index.segment(index.new_segment_meta(segment.id(), 5)));
        orders.push(order);
    }
    // By time, over both segments.
    let mut by_time = Vec::new();
    for n in 0..2 {
        for (doc, old) in (0_usize..).zip(&orders[n]) {
            by_time.push((Reverse(chunks[n][*old as usize].time), n, doc));
        }
    }
    by_time.sort_unstable();
    let mut sorted = vec![vec![0; 5]; 2];
    for (number, (_, n, doc)) in (0..).zip(by_time) {
        sorted[n][doc] = number;
    }
    let sorted: Vec<Numbers> = sorted.into_iter().map(Numbers::Each).collect();
    for numbers in [vec![Numbers::From(0), Numbers::From(5)], sorted] {
        let merged = new_segment(&fields);
        stack(&segments, &numbers, &merged, &fields).unwrap();
        let (paths, with_columns) = paths_of_events(&merged, 10);
        assert!(with_columns.contains("shared") && with_columns.len() == 4_096);
        // What retention makes of it.
        let meta = merged.index().new_segment_meta(merged.id(), 10);
        let whole = [merged.index().segment(meta)];
        let (settings, output) = (schema::settings(), RamDirectory::default());
        let cut = merge_filtered_segments(&whole, settings, vec![None], output).unwrap();
        let cut = cut.searchable_segments().unwrap().remove(0);
        assert_eq!(paths_of_events(&cut, 10), (paths.clone(), with_columns));
        let reader = merged.open_read(SegmentComponent::FastFields).unwrap();
        let reader = ColumnarReader::open(reader).unwrap();
        let shared = reader.read_columns("rest\u{1}shared").unwrap().remove(0).open().unwrap();
        let DynamicColumn::I64(shared) = shared else { panic!("another type") };
        for n in 0..2 {
            for (doc, old) in (0..).zip(&orders[n]) {
                let event = &chunks[n][*old as usize];
                let number = numbers[n].of(doc);
                assert_eq!(paths[number as usize], expected(event));
                let value = (n * 5) as i64 + i64::from(*old);
                assert_eq!(shared.first(number), Some(value));
            }
        }
    }
}
