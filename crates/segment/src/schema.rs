//! The shape of the index: which tantivy field holds what.
//!
//! A change here is a new version of the format (`crates/store/src/versions.rs`).

use tantivy::IndexSettings;
use tantivy::schema::{
    DateOptions, DateTimePrecision, Field, IndexRecordOption, IpAddrOptions, JsonObjectOptions,
    NumericOptions, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};
use tantivy::store::{Compressor, ZstdCompressor};

use trail::columns::{COLUMNS_OF_5, ColumnId};

/// Name of the time field: segments are sorted by it.
pub const TIME: &str = "time";
/// Names of the fields that say where a record is: the number of its file, and the byte offset in
/// it.
pub const FILE: &str = "file";
pub(crate) const OFFSET: &str = "offset";
/// Name of the field of `sourceIPAddress`, where it is an address.
pub(crate) const IP: &str = "ip";
/// Name of the field of all leaves that are not columns; the prefix of their columns' names.
pub(crate) const REST: &str = "rest";
/// Name of the field of what is odd about a record.
pub(crate) const FLAGS: &str = "flags";

/// Fields that are no columns.
const OTHER_FIELDS: u32 = 7;

const RAW_TOKENIZER: &str = "raw";

/// The schema and handles to its fields.
#[derive(Clone, Debug)]
pub struct Fields {
    /// tantivy's schema, which every segment is written with.
    pub schema: Schema,
    /// The address in `sourceIPAddress`, as an IPv6 number; events whose value is no address have
    /// none.
    pub ip: Field,
    /// The words of those values whose words [`crate::column_words`] does not gather.
    pub words: Field,
}

impl Fields {
    /// Builds the schema; it is the same each time.
    pub fn new() -> Self {
        let mut builder = Schema::builder();
        let add_columns = |builder: &mut SchemaBuilder,
                           columns: &mut dyn Iterator<Item = ColumnId>| {
            for id in columns {
                let field = builder.add_text_field(id.column().path, column_options(id));
                debug_assert_eq!(field, Self::column(id));
            }
        };
        add_columns(&mut builder, &mut Self::first_columns());
        let ip = builder.add_ip_addr_field(IP, IpAddrOptions::default().set_indexed().set_fast());
        builder.add_json_field(
            REST,
            // Values only: their words are in the words field. An exact search takes the events with
            // the value's rarest word and checks the column, which saves a third of all postings.
            JsonObjectOptions::default().set_fast(RAW_TOKENIZER),
        );
        let words = builder
            .add_text_field("words", TextOptions::default().set_indexing_options(exact_indexing()));
        builder.add_date_field(
            TIME,
            DateOptions::default().set_fast().set_precision(DateTimePrecision::Microseconds),
        );
        let number = || NumericOptions::default().set_fast();
        builder.add_u64_field(FILE, number());
        builder.add_u64_field(OFFSET, number());
        builder.add_u64_field(FLAGS, number());
        add_columns(&mut builder, &mut Self::last_columns());
        Self { schema: builder.build(), ip, words }
    }

    /// Returns tantivy's field of a column.
    pub fn column(id: ColumnId) -> Field {
        let others = if id.0 < COLUMNS_OF_5 { 0 } else { OTHER_FIELDS };
        Field::from_field_id(u32::from(id.0) + others)
    }

    /// The columns whose fields are before all others.
    pub(crate) fn first_columns() -> impl Iterator<Item = ColumnId> {
        ColumnId::all().take(usize::from(COLUMNS_OF_5))
    }

    /// The columns whose fields are behind all others. Segments of format 5 have none of these, and are
    /// read with this schema as they are.
    pub(crate) fn last_columns() -> impl Iterator<Item = ColumnId> {
        ColumnId::all().skip(usize::from(COLUMNS_OF_5))
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::new()
    }
}

fn column_options(id: ColumnId) -> TextOptions {
    let options = TextOptions::default().set_indexing_options(exact_indexing());
    if id.column().is_unique { options } else { options.set_fast(RAW_TOKENIZER) }
}

/// Whole values, without frequencies, positions or norms: nothing here is scored.
fn exact_indexing() -> TextFieldIndexing {
    TextFieldIndexing::default()
        .set_tokenizer(RAW_TOKENIZER)
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false)
}

/// Documents stay as they are written.
pub(crate) fn settings() -> IndexSettings {
    IndexSettings {
        // tantivy's store is of empty documents, which zstd makes nothing of: see `records`.
        docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(1) }),
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    }
}
