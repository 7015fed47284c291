//! What the API is, as OpenAPI 3.1, made from the types that travel.

use std::sync::LazyLock;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::routes::{
    EVENT, EXPORT, FIELDS, FILES, HEALTH, METRICS, OPENAPI, READY, REBUILD, SAVED, SAVED_ONE,
    SAVED_SEARCH, SEARCH, STATUS, TAIL, VALUES, VERIFY,
};
use wire::{
    ErrorBody, ErrorKind, ExportRequest, FieldsRequest, FieldsResponse, FilesRequest,
    FilesResponse, Hit, RebuildRequest, RebuildStatus, SavedRequest, SavedResponse, SavedSearch,
    SearchRequest, SearchResponse, Status, TailRequest, ValuesRequest, ValuesResponse,
    VerifyStatus,
};

/// The document, as it is served and checked in.
pub static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let document = serde_json::to_string_pretty(&document()).unwrap_or_default();
    document + "\n"
});

const JSON: &str = "application/json";

/// One method of a path.
struct Operation {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    /// Keys of the query string.
    query: Option<Schema>,
    body: Option<Body>,
    answers: Vec<Answer>,
    errors: &'static [ErrorKind],
}

struct Body {
    schema: Schema,
    is_required: bool,
}

struct Answer {
    status: u16,
    content_type: &'static str,
    schema: Schema,
}

/// Of what costs, and so takes a turn.
const OF_SEARCH: &[ErrorKind] = &[
    ErrorKind::BadQuery,
    ErrorKind::UnknownField,
    ErrorKind::BadRequest,
    ErrorKind::Gone,
    ErrorKind::TooLarge,
    ErrorKind::Busy,
    ErrorKind::Timeout,
    ErrorKind::Damaged,
    ErrorKind::Io,
];
const OF_BODY: &[ErrorKind] = &[ErrorKind::BadRequest, ErrorKind::TooLarge];
const OF_QUERY: &[ErrorKind] = &[ErrorKind::BadRequest];
const OF_FINDING: &[ErrorKind] = &[
    ErrorKind::BadRequest,
    ErrorKind::NotFound,
    ErrorKind::Busy,
    ErrorKind::Timeout,
    ErrorKind::Damaged,
    ErrorKind::Io,
];
const OF_REBUILD: &[ErrorKind] = &[ErrorKind::BadRequest, ErrorKind::TooLarge, ErrorKind::Conflict];
const OF_SAVING: &[ErrorKind] = &[
    ErrorKind::BadQuery,
    ErrorKind::BadRequest,
    ErrorKind::NotFound,
    ErrorKind::TooLarge,
    ErrorKind::Conflict,
];
const OF_SAVED: &[ErrorKind] = &[
    ErrorKind::BadQuery,
    ErrorKind::UnknownField,
    ErrorKind::BadRequest,
    ErrorKind::NotFound,
    ErrorKind::Gone,
    ErrorKind::TooLarge,
    ErrorKind::Busy,
    ErrorKind::Timeout,
    ErrorKind::Damaged,
    ErrorKind::Io,
];

/// Any request can meet these.
const OF_ALL: &[ErrorKind] = &[ErrorKind::Forbidden, ErrorKind::Unavailable, ErrorKind::Internal];

fn operations(types: &mut SchemaGenerator) -> Vec<Operation> {
    let text = || {
        let mut text = Schema::default();
        text.insert("type".to_owned(), "string".into());
        text
    };
    let ok = || json!({ "type": "object", "properties": { "ok": { "const": true } } });
    let ok = || Schema::try_from(ok()).unwrap_or_default();
    vec![
        get(SEARCH, "searchByUrl", "What a query finds, or the rows that it makes.")
            .query(of::<SearchRequest>(types))
            .answers(of::<SearchResponse>(types), OF_SEARCH),
        post(SEARCH, "search", "What a query finds, or the rows that it makes.")
            .body(of::<SearchRequest>(types))
            .answers(of::<SearchResponse>(types), OF_SEARCH),
        get(EVENT, "event", "The events of an eventID, or the one of a `meta.id`.")
            .answers(of::<SearchResponse>(types), OF_FINDING),
        post(EXPORT, "export", "Everything that a query finds, streamed.")
            .body(of::<ExportRequest>(types))
            .answer(200, "application/x-ndjson", text())
            .answer(200, "text/csv", text())
            .answer(200, "application/vnd.apache.parquet", text())
            .errors(OF_SEARCH),
        get(
            TAIL,
            "tail",
            "Events as they come into the index, each a `Hit`, as server-sent events.",
        )
        .query(of::<TailRequest>(types))
        .answer(200, "text/event-stream", of::<Hit>(types))
        .errors(OF_SEARCH),
        get(FIELDS, "fields", "Which fields events have, and how many have them.")
            .query(of::<FieldsRequest>(types))
            .answers(of::<FieldsResponse>(types), OF_SEARCH),
        get(VALUES, "values", "The most frequent values of a field.")
            .query(of::<ValuesRequest>(types))
            .answers(of::<ValuesResponse>(types), OF_SEARCH),
        get(SAVED, "savedSearches", "All saved searches.")
            .answers(of::<SavedResponse>(types), OF_QUERY),
        get(SAVED_ONE, "savedSearch", "One saved search.")
            .answers(of::<SavedSearch>(types), OF_FINDING),
        operation("put", SAVED_ONE, "saveSearch", "Saves a search, or replaces it.")
            .body(of::<SavedSearch>(types))
            .answer(201, JSON, of::<SavedSearch>(types))
            .answers(of::<SavedSearch>(types), OF_SAVING),
        operation("delete", SAVED_ONE, "deleteSavedSearch", "Removes a saved search.")
            .answers(of::<SavedSearch>(types), OF_SAVING),
        post(SAVED_SEARCH, "runSavedSearch", "Searches with values for the parameters.")
            .optional_body(of::<SavedRequest>(types))
            .answers(of::<SearchResponse>(types), OF_SAVED),
        get(STATUS, "status", "What is indexed, and how far ingest is behind.")
            .answers(of::<Status>(types), OF_QUERY),
        get(FILES, "files", "What became of files, or sums of them.")
            .query(of::<FilesRequest>(types))
            .answers(of::<FilesResponse>(types), OF_SEARCH),
        get(VERIFY, "verification", "The check that is running, and what the last one found.")
            .answers(of::<VerifyStatus>(types), OF_QUERY),
        post(VERIFY, "verify", "Starts a check of the index.")
            .answer(202, JSON, of::<VerifyStatus>(types))
            .errors(OF_BODY),
        post(REBUILD, "rebuild", "Starts to make the index anew from the archive.")
            .optional_body(of::<RebuildRequest>(types))
            .answer(202, JSON, of::<RebuildStatus>(types))
            .errors(OF_REBUILD),
        get(OPENAPI, "openapi", "This document.").answers(object(), OF_QUERY),
        get(HEALTH, "health", "Whether the daemon runs.").answers(ok(), OF_QUERY),
        get(READY, "ready", "Whether searches are answered.").answers(ok(), OF_QUERY),
        get(METRICS, "metrics", "Metrics in Prometheus' text format.")
            .answer(200, "text/plain", text())
            .errors(OF_QUERY),
    ]
}

fn of<T: JsonSchema>(types: &mut SchemaGenerator) -> Schema {
    types.subschema_for::<T>()
}

fn object() -> Schema {
    Schema::try_from(json!({ "type": "object" })).unwrap_or_default()
}

fn get(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    operation("get", path, id, summary)
}

fn post(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    operation("post", path, id, summary)
}

fn operation(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    let (query, body, answers, errors) = (None, None, Vec::new(), OF_ALL);
    Operation { path, method, id, summary, query, body, answers, errors }
}

impl Operation {
    fn query(self, schema: Schema) -> Self {
        Self { query: Some(schema), ..self }
    }

    fn body(self, schema: Schema) -> Self {
        Self { body: Some(Body { schema, is_required: true }), ..self }
    }

    fn optional_body(self, schema: Schema) -> Self {
        Self { body: Some(Body { schema, is_required: false }), ..self }
    }

    fn answer(mut self, status: u16, content_type: &'static str, schema: Schema) -> Self {
        self.answers.push(Answer { status, content_type, schema });
        self
    }

    fn answers(self, schema: Schema, errors: &'static [ErrorKind]) -> Self {
        self.answer(200, JSON, schema).errors(errors)
    }

    fn errors(self, errors: &'static [ErrorKind]) -> Self {
        Self { errors, ..self }
    }

    fn described(&self, types: &SchemaGenerator) -> Value {
        let mut parameters: Vec<Value> = self
            .path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| {
                let schema = json!({ "type": "string", "minLength": 1 });
                json!({ "name": name, "in": "path", "required": true, "schema": schema })
            })
            .collect();
        parameters.extend(self.query.iter().flat_map(|schema| query_parameters(schema, types)));
        let mut responses = Map::new();
        for Answer { status, content_type, schema } in &self.answers {
            let answer = responses
                .entry(status.to_string())
                .or_insert_with(|| json!({ "description": "The answer.", "content": {} }));
            answer["content"][*content_type] = json!({ "schema": schema });
        }
        for kind in self.errors.iter().chain(OF_ALL) {
            let status = kind.http_status().to_string();
            let error = json!({ "$ref": "#/components/responses/Error" });
            responses.entry(status).or_insert(error);
        }
        let mut described = json!({
            "operationId": self.id,
            "summary": self.summary,
            "parameters": parameters,
            "responses": responses,
        });
        if let Some(Body { schema, is_required }) = &self.body {
            let content = json!({ JSON: { "schema": schema } });
            described["requestBody"] = json!({ "required": is_required, "content": content });
        }
        described
    }
}

/// The members of an object's schema, each as a parameter.
fn query_parameters(schema: &Schema, types: &SchemaGenerator) -> Vec<Value> {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let Some(object) = name.and_then(|name| types.definitions().get(name)) else {
        return Vec::new();
    };
    let required: Vec<&str> =
        object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let members = object["properties"].as_object().into_iter().flatten();
    let parameter = |(name, schema): (&String, &Value)| {
        let is_required = required.contains(&name.as_str());
        json!({ "name": name, "in": "query", "required": is_required, "schema": as_text(schema) })
    };
    members.map(parameter).collect()
}

/// A query string has no null and no trees.
fn as_text(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if schema["$ref"] == "#/components/schemas/QueryForm" {
        return json!({ "type": "string" });
    }
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        if let [kind] = &kinds[..] {
            schema["type"] = kind.clone();
        }
    }
    if let Some(kinds) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind["type"] != "null");
    }
    if let Some(object) = schema.as_object_mut() {
        object.remove("default");
    }
    schema
}

fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut types = SchemaGenerator::new(settings);
    let operations = operations(&mut types);
    let error = of::<ErrorBody>(&mut types);
    let mut paths = Map::new();
    for operation in &operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = operation.described(&types);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "traildex",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Who did what in AWS accounts, from an indexed CloudTrail archive.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://localhost", "description": "On the daemon's Unix socket." }],
        "paths": paths,
        "components": {
            "schemas": types.definitions(),
            "responses": {
                "Error": {
                    "description": "What is wrong.",
                    "content": { JSON: { "schema": error } },
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::routes::PATHS;

    #[test]
    fn every_path_is_described() {
        let document = document();
        let described: BTreeSet<&str> =
            document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, BTreeSet::from(PATHS));
    }

    #[test]
    fn every_error_of_an_operation_leads_to_the_error_body() {
        let document = document();
        let search = &document["paths"][SEARCH]["post"];
        for kind in OF_SEARCH.iter().chain(OF_ALL) {
            let response = &search["responses"][kind.http_status().to_string()];
            assert_eq!(response["$ref"], "#/components/responses/Error", "{kind:?}");
        }
        let keys = search["requestBody"]["content"][JSON]["schema"]["$ref"].as_str().unwrap();
        let name = keys.rsplit('/').next().unwrap();
        let keys = &document["components"]["schemas"][name];
        assert_eq!(keys["additionalProperties"], false);
        assert!(keys["properties"]["cursor"]["description"].as_str().is_some());
    }
}
