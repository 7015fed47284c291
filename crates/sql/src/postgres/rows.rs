//! Rows as PostgreSQL's clients read them. What is nested goes as JSON in a text: structs and maps have no type
//! there that every driver reads.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion_postgres::arrow_pg::datatypes::arrow_schema_to_pg_fields;
use datafusion_postgres::arrow_pg::encode_recordbatch;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{FieldInfo, QueryResponse};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::data::DataRow;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use super::errors::told;
use crate::SqlError;
use crate::out::{names, text};
use crate::serve::queries::Running;

/// The columns that a client sees of these.
pub(super) fn shown(schema: &Schema) -> SchemaRef {
    let fields = names(schema).into_iter().zip(schema.fields()).map(|(name, field)| {
        let data_type = match field.data_type() {
            data_type if data_type.is_nested() => DataType::Utf8,
            DataType::Null => DataType::Utf8,
            data_type => data_type.clone(),
        };
        Field::new(name, data_type, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The columns as a client reads them in one of its formats.
pub(super) fn fields(schema: &Schema, format: &Format) -> PgWireResult<Vec<FieldInfo>> {
    arrow_schema_to_pg_fields(&shown(schema), format, None)
}

/// The rows of an answer, as they come.
pub(super) fn response(running: Running, format: &Format) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(fields(&running.answer.schema(), format)?);
    let of_rows = Arc::clone(&fields);
    let rows = batches(running)
        .map_ok(move |batch| stream::iter(encode_recordbatch(Arc::clone(&of_rows), batch)))
        .try_flatten();
    let rows: BoxStream<'static, PgWireResult<DataRow>> = Box::pin(rows);
    Ok(QueryResponse::new(fields, rows))
}

/// The batches of an answer in the columns that a client sees.
pub(super) fn batches(running: Running) -> BoxStream<'static, PgWireResult<RecordBatch>> {
    let schema = shown(&running.answer.schema());
    let batches = stream::unfold(Some(running), |running| async move {
        let mut running = running?;
        match running.answer.next().await {
            Ok(batch) => batch.map(|batch| (Ok(batch), Some(running))),
            Err(error) => Some((Err(told(&error)), None)),
        }
    });
    let shown = move |batch: PgWireResult<RecordBatch>| {
        plain(&batch?, &schema).map_err(|error| told(&SqlError::of(&error)))
    };
    Box::pin(batches.map(shown))
}

/// The batch with what is nested as texts.
fn plain(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| {
        if !column.data_type().is_nested() && *column.data_type() != DataType::Null {
            return Ok(Arc::clone(column));
        }
        let texts = (0..batch.num_rows()).map(|row| text(column, row));
        Ok(Arc::new(texts.collect::<Result<StringArray>>()?) as ArrayRef)
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
