//! Statements against small indexes.

mod index;
mod lake;
mod postgres;
mod random;
mod refusals;

use serde_json::Value;

use self::index::Index;
use crate::SqlError;
use crate::out::{Format, Rows};
use crate::session::{Database, Options, STACK_BYTES};

/// The rows of a statement, as JSON.
fn rows_with(index: &Index, sql: &str, options: Options) -> Result<Vec<Value>, SqlError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK_BYTES)
        .enable_time()
        .build()
        .unwrap();
    let (path, sql) = (index.path().to_owned(), sql.to_owned());
    let rows = runtime.spawn(async move {
        let database = Database::open(&path, options)?;
        let mut answer = database.query(&sql).await?;
        let mut out = Vec::new();
        let mut rows = Rows::new(&mut out, Format::Ndjson, false, &answer.schema()).unwrap();
        while let Some(batch) = answer.next().await? {
            rows.add(&batch).unwrap();
        }
        rows.end().unwrap();
        let lines = std::str::from_utf8(&out).unwrap().lines();
        Ok(lines.map(|line| serde_json::from_str(line).unwrap()).collect())
    });
    runtime.block_on(rows).unwrap()
}

fn options() -> Options {
    Options { threads: 2, ..Options::default() }
}

fn rows(index: &Index, sql: &str) -> Vec<Value> {
    rows_with(index, sql, options()).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The rows as lines, their values joined by `|`.
fn lines(index: &Index, sql: &str) -> Vec<String> {
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let line = |row: Value| match row {
        Value::Object(row) => row.values().map(shown).collect::<Vec<_>>().join("|"),
        row => row.to_string(),
    };
    rows(index, sql).into_iter().map(line).collect()
}

/// Checks the rows of a statement, whose columns are called so that their names are in order.
fn check(index: &Index, sql: &str, expected: &[&str]) {
    assert_eq!(lines(index, sql), expected, "{sql}");
}

fn refused(index: &Index, sql: &str) -> String {
    match rows_with(index, sql, options()) {
        Ok(rows) => panic!("{sql}: {rows:?}"),
        Err(error) => error.to_string(),
    }
}
