//! `COPY (…) TO STDOUT`: rows of the tables as text, CSV or PostgreSQL's binary form, for clients that read
//! much. Nothing is copied to files, and nothing is copied in.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::sql::sqlparser::ast::{
    CopyLegacyCsvOption, CopyLegacyOption, CopyOption, CopySource, CopyTarget, Statement,
};
use datafusion_postgres::arrow_pg::encoder::{Encoder as _, encode_value};
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{
    CopyCsvOptions, CopyEncoder, CopyResponse, CopyTextOptions, FieldInfo, Response,
};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::copy::CopyData;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::errors::refused;
use super::rows::{batches, fields};

use crate::serve::queries::Running;

/// What a `COPY` asks for.
pub(super) struct Copy {
    /// The statement that makes its rows.
    pub(super) sql: String,
    form: Form,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Csv,
    Binary,
}

struct Form {
    kind: Kind,
    delimiter: Option<char>,
    null: Option<String>,
    has_header: bool,
}

/// No rows in the binary form.
const EMPTY: &[u8; 21] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff";

impl Copy {
    /// What a statement copies out; None where it is another statement, an error where it asks for a form that
    /// is not made.
    pub(super) fn of(statement: &Statement) -> Option<PgWireResult<Self>> {
        let Statement::Copy { source, to: true, target, options, legacy_options, .. } = statement
        else {
            return None;
        };
        if *target != CopyTarget::Stdout {
            return None;
        }
        let sql = match source {
            CopySource::Query(query) => query.to_string(),
            CopySource::Table { table_name, columns } if columns.is_empty() => {
                format!("SELECT * FROM {table_name}")
            }
            CopySource::Table { table_name, columns } => {
                let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
                format!("SELECT {} FROM {table_name}", columns.join(", "))
            }
        };
        Some(Form::of(options, legacy_options).map(|form| Self { sql, form }))
    }

    /// The rows of an answer in the form that is asked for.
    pub(super) async fn response(self, running: Running) -> PgWireResult<Response> {
        let Form { kind, delimiter, null, has_header } = self.form;
        let format = if kind == Kind::Binary { Format::UnifiedBinary } else { Format::default() };
        let fields = Arc::new(fields(&running.answer.schema(), &format)?);
        let mut encoder = match kind {
            Kind::Binary => CopyEncoder::new_binary(Arc::clone(&fields)),
            Kind::Text => {
                let mut options = CopyTextOptions::default();
                options.delimiter = delimiter.map_or(options.delimiter, |it| it.to_string().into());
                options.null_string = null.map_or(options.null_string, Into::into);
                CopyEncoder::new_text(Arc::clone(&fields), options)
            }
            Kind::Csv => {
                let mut options = CopyCsvOptions::default();
                options.delimiter = delimiter.map_or(options.delimiter, |it| it.to_string().into());
                options.null_string = null.map_or(options.null_string, Into::into);
                CopyEncoder::new_csv(Arc::clone(&fields), options)
            }
        };
        let header = has_header.then(|| header(&fields, delimiter.unwrap_or(',')));
        let columns = fields.len();
        let rows = batches(running)
            .map_ok(move |batch| stream::iter(encoded(&mut encoder, &batch, &fields)))
            .try_flatten();
        let mut rows = Box::pin(rows.peekable());
        // The library writes the binary form's header with the first row; where there is none, header and end
        // are one message, as PostgreSQL sends them.
        if kind == Kind::Binary && rows.as_mut().peek().await.is_none() {
            let empty = CopyData::new(EMPTY[..].into());
            let mut response = CopyResponse::new(0, columns, stream::iter([Ok(empty)]));
            response.format = 1;
            return Ok(Response::CopyOut(response));
        }
        let rows = stream::iter(header.map(Ok)).chain(rows);
        Ok(Response::CopyOut(CopyResponse::new((kind == Kind::Binary).into(), columns, rows)))
    }
}

impl Form {
    fn of(options: &[CopyOption], legacy: &[CopyLegacyOption]) -> PgWireResult<Self> {
        let unknown = |option: &dyn std::fmt::Display| {
            refused("0A000", &format!("COPY … TO STDOUT knows no {option} here"))
        };
        let mut form = Self { kind: Kind::Text, delimiter: None, null: None, has_header: false };
        for option in options {
            match option {
                CopyOption::Format(name) => {
                    form.kind = match name.value.to_lowercase().as_str() {
                        "text" => Kind::Text,
                        "csv" => Kind::Csv,
                        "binary" => Kind::Binary,
                        _ => return Err(unknown(option)),
                    };
                }
                CopyOption::Delimiter(delimiter) => form.delimiter = Some(*delimiter),
                CopyOption::Null(null) => form.null = Some(null.clone()),
                CopyOption::Header(has_header) => form.has_header = *has_header,
                CopyOption::Encoding(name) if name.eq_ignore_ascii_case("utf8") => {}
                option => return Err(unknown(option)),
            }
        }
        for option in legacy {
            match option {
                CopyLegacyOption::Binary => form.kind = Kind::Binary,
                CopyLegacyOption::Header => form.has_header = true,
                CopyLegacyOption::Csv(options) => {
                    form.kind = Kind::Csv;
                    for option in options {
                        match option {
                            CopyLegacyCsvOption::Header => form.has_header = true,
                            option => return Err(unknown(option)),
                        }
                    }
                }
                option => return Err(unknown(option)),
            }
        }
        if form.has_header && form.kind != Kind::Csv {
            return Err(refused("0A000", "COPY writes a header in the format CSV only"));
        }
        Ok(form)
    }
}

fn encoded(
    encoder: &mut CopyEncoder,
    batch: &RecordBatch,
    fields: &[FieldInfo],
) -> Vec<PgWireResult<CopyData>> {
    let schema = batch.schema();
    let mut row = |row| {
        for (at, (column, field)) in batch.columns().iter().zip(fields).enumerate() {
            encode_value(encoder, column, row, schema.field(at), field)?;
        }
        Ok(encoder.take_row())
    };
    (0..batch.num_rows()).map(&mut row).collect()
}

/// The names of the columns as a line of CSV.
fn header(fields: &[FieldInfo], delimiter: char) -> CopyData {
    let quoted = |field: &FieldInfo| format!("\"{}\"", field.name().replace('"', "\"\""));
    let names: Vec<String> = fields.iter().map(quoted).collect();
    CopyData::new(format!("{}\n", names.join(&delimiter.to_string())).into())
}
