//! The tables `files`, of what became of each file of the archive, and `alerts`, of what rules found while a
//! daemon ran.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Int64Builder, MapBuilder, MapFieldNames, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::PartitionStream;
use tokio::sync::mpsc::Sender;

use crate::error::failed;
use crate::scan::Source;
use crate::schema::{TIME, map_type};
use alerts::Alerts;
use segment::file::{FileRecord, FileState};
use trail::time::Micros;
use wire::{Alert, ApiError};

/// Files of a batch.
const ROWS_MAX: usize = 4_096;

fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// The table `files`: a row a file, in the order in which they were read.
pub(crate) fn files(source: &Arc<Source>) -> Result<Arc<dyn TableProvider>> {
    let partition = Files { source: Arc::clone(source), schema: files_schema() };
    let schema = Arc::clone(&partition.schema);
    Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(partition)])?))
}

const FILE_TEXTS: [&str; 6] = ["path", "state", "reason", "account", "region", "sha256"];
const FILE_NUMBERS: [&str; 9] = [
    "number",
    "bytes",
    "records",
    "events",
    "duplicates",
    "expired",
    "conflicting",
    "repaired",
    "rejected",
];
const FILE_TIMES: [&str; 4] = ["modified", "read_at", "first", "last"];

/// The columns of the table `files`.
pub(crate) fn files_schema() -> SchemaRef {
    let texts = FILE_TEXTS.map(|name| (name, DataType::Utf8));
    let numbers = FILE_NUMBERS.map(|name| (name, DataType::Int64));
    let times = FILE_TIMES.map(|name| (name, TIME));
    schema(&texts.into_iter().chain(numbers).chain(times).collect::<Vec<_>>())
}

#[derive(Debug)]
struct Files {
    source: Arc<Source>,
    schema: SchemaRef,
}

impl PartitionStream for Files {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), 1);
        let (out, source, schema) =
            (builder.tx(), Arc::clone(&self.source), Arc::clone(&self.schema));
        builder.spawn_blocking(move || send_files(&source, &schema, &out));
        builder.build()
    }
}

/// Why a walk over the files ended.
enum Ended {
    Failed(DataFusionError),
    NobodyListens,
}

impl From<segment::IndexError> for Ended {
    fn from(error: segment::IndexError) -> Self {
        Self::Failed(failed(ApiError::from(error)))
    }
}

fn send_files(
    source: &Source,
    schema: &SchemaRef,
    out: &Sender<Result<RecordBatch>>,
) -> Result<()> {
    let mut waiting = Vec::new();
    let send = |files: &mut Vec<FileRecord>| {
        source.cancel.check().map_err(|error| Ended::Failed(failed(error)))?;
        let batch = batch_of_files(schema, files).map_err(Ended::Failed)?;
        files.clear();
        out.blocking_send(Ok(batch)).map_err(|_| Ended::NobodyListens)
    };
    let walked = source.snapshot.files.each(|file| {
        waiting.push(file);
        if waiting.len() < ROWS_MAX { Ok(()) } else { send(&mut waiting) }
    });
    let walked = walked.and_then(|()| if waiting.is_empty() { Ok(()) } else { send(&mut waiting) });
    match walked {
        Err(Ended::Failed(error)) => Err(error),
        Ok(()) | Err(Ended::NobodyListens) => Ok(()),
    }
}

fn state_of(state: FileState) -> &'static str {
    match state {
        FileState::Indexed => "indexed",
        FileState::Rejected => "rejected",
        FileState::Digest => "digest",
        FileState::Empty => "empty",
        FileState::Replaced => "replaced",
        FileState::Reread => "reread",
    }
}

fn batch_of_files(schema: &SchemaRef, files: &[FileRecord]) -> Result<RecordBatch> {
    let mut texts = FILE_TEXTS.map(|_| StringBuilder::new());
    let mut numbers = FILE_NUMBERS.map(|_| Int64Builder::new());
    let mut times = FILE_TIMES.map(|_| TimestampMicrosecondBuilder::new());
    for file in files {
        let FileRecord { number, key, state, reading } = file;
        let of_texts = [
            Some(key.path.as_str()),
            Some(state_of(*state)),
            reading.reason.as_deref(),
            reading.account.as_deref(),
            reading.region.as_deref(),
            reading.sha256.as_deref(),
        ];
        let of_numbers = [
            *number,
            key.size,
            reading.records,
            reading.records.saturating_sub(reading.duplicates).saturating_sub(reading.expired),
            reading.duplicates,
            reading.expired,
            reading.conflicting,
            reading.repaired,
            reading.rejected,
        ];
        let modified = Micros(key.mtime_ns / 1_000);
        let of_times = [Some(modified), reading.read_at, reading.first, reading.last];
        texts.iter_mut().zip(of_texts).for_each(|(to, text)| to.append_option(text));
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        numbers.iter_mut().zip(of_numbers).for_each(|(to, n)| to.append_value(number(n)));
        times.iter_mut().zip(of_times).for_each(|(to, t)| to.append_option(t.map(|t| t.0)));
    }
    let texts = texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
    let numbers = numbers.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
    let times = times.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
    Ok(RecordBatch::try_new(Arc::clone(schema), texts.chain(numbers).chain(times).collect())?)
}

const ALERT_TEXTS: [&str; 9] =
    ["id", "rule", "name", "title", "level", "kind", "state", "note", "query"];
const ALERT_TIMES: [&str; 5] = ["first", "last", "raised", "changed", "withdrawn"];

/// The table `alerts`: a row an alert, withdrawn ones among them.
pub(crate) fn alerts(data_dir: &Path) -> Result<Arc<dyn TableProvider>> {
    let (alerts, _) = Alerts::read(data_dir).map_err(|error| failed(error.into()))?;
    let schema = alerts_schema();
    let batch = batch_of_alerts(&schema, &alerts.all())?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// The columns of the table `alerts`.
pub(crate) fn alerts_schema() -> SchemaRef {
    let texts = ALERT_TEXTS.map(|name| (name, DataType::Utf8)).into_iter();
    let times = ALERT_TIMES.map(|name| (name, TIME));
    let more = [("events", DataType::Int64), ("group", map_type())];
    schema(&texts.chain(times).chain(more).collect::<Vec<_>>())
}

fn batch_of_alerts(schema: &SchemaRef, alerts: &[Alert]) -> Result<RecordBatch> {
    let mut texts = ALERT_TEXTS.map(|_| StringBuilder::new());
    let mut times = ALERT_TIMES.map(|_| TimestampMicrosecondBuilder::new());
    let mut events = Int64Builder::new();
    let names = MapFieldNames {
        entry: "entries".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut groups = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for alert in alerts {
        let state = serde_json::to_value(alert.state).ok();
        let of_texts = [
            Some(alert.id.as_str()),
            alert.rule.id.as_deref(),
            alert.rule.name.as_deref(),
            Some(alert.rule.title.as_str()),
            Some(alert.rule.level.as_str()),
            Some(alert.kind.as_str()),
            state.as_ref().and_then(|state| state.as_str()),
            alert.note.as_deref(),
            alert.query.as_deref(),
        ];
        texts.iter_mut().zip(of_texts).for_each(|(to, text)| to.append_option(text));
        let of_times = [
            Some(&alert.first),
            Some(&alert.last),
            Some(&alert.raised),
            Some(&alert.changed),
            alert.withdrawn.as_ref(),
        ];
        let time = |text: Option<&String>| Micros::parse_event_time(text?).map(|time| time.0);
        times.iter_mut().zip(of_times).for_each(|(to, text)| to.append_option(time(text)));
        events.append_value(i64::try_from(alert.events).unwrap_or(i64::MAX));
        for (field, value) in &alert.group {
            groups.keys().append_value(field);
            groups.values().append_value(value);
        }
        groups.append(true)?;
    }
    let texts = texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
    let times = times.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
    let rest: [ArrayRef; 2] = [Arc::new(events.finish()), Arc::new(groups.finish())];
    Ok(RecordBatch::try_new(Arc::clone(schema), texts.chain(times).chain(rest).collect())?)
}
