//! The API as an OpenAPI 3.1 document, made from the types of requests and answers.

use std::sync::LazyLock;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::table::{ROUTES, Route};
use wire::{ErrorBody, ErrorKind};

/// The document as JSON; the repository has a copy of it.
pub(crate) static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let document = serde_json::to_string_pretty(&document()).unwrap_or_default();
    document + "\n"
});

pub(crate) const JSON: &str = "application/json";

/// The OpenAPI operation of one method of a path.
pub(crate) struct Operation {
    /// Keys of the query string.
    query: Option<Schema>,
    body: Option<Body>,
    answers: Vec<Answer>,
    /// Headers of an answer that is a stream, and what each says.
    headers: &'static [(&'static str, &'static str)],
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

/// Any request can meet these.
const OF_ALL: &[ErrorKind] = &[
    ErrorKind::BadRequest,
    ErrorKind::Forbidden,
    ErrorKind::WrongType,
    ErrorKind::Misdirected,
    ErrorKind::Busy,
    ErrorKind::Unavailable,
    ErrorKind::Internal,
];

pub(crate) fn of<T: JsonSchema>(types: &mut SchemaGenerator) -> Schema {
    types.subschema_for::<T>()
}

pub(crate) fn object() -> Schema {
    Schema::try_from(json!({ "type": "object" })).unwrap_or_default()
}

pub(crate) fn text() -> Schema {
    Schema::try_from(json!({ "type": "string" })).unwrap_or_default()
}

/// `{ "ok": true }`.
pub(crate) fn ok() -> Schema {
    let ok = json!({ "type": "object", "properties": { "ok": { "const": true } } });
    Schema::try_from(ok).unwrap_or_default()
}

impl Operation {
    pub(crate) fn new() -> Self {
        Self { query: None, body: None, answers: Vec::new(), headers: &[], errors: OF_ALL }
    }

    pub(crate) fn query(self, schema: Schema) -> Self {
        Self { query: Some(schema), ..self }
    }

    pub(crate) fn body(self, schema: Schema) -> Self {
        Self { body: Some(Body { schema, is_required: true }), ..self }
    }

    pub(crate) fn optional_body(self, schema: Schema) -> Self {
        Self { body: Some(Body { schema, is_required: false }), ..self }
    }

    pub(crate) fn answer(
        mut self,
        status: u16,
        content_type: &'static str,
        schema: Schema,
    ) -> Self {
        self.answers.push(Answer { status, content_type, schema });
        self
    }

    pub(crate) fn headers(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    pub(crate) fn answers(self, schema: Schema, errors: &'static [ErrorKind]) -> Self {
        self.answer(200, JSON, schema).errors(errors)
    }

    pub(crate) fn errors(self, errors: &'static [ErrorKind]) -> Self {
        Self { errors, ..self }
    }

    fn described(&self, route: &Route, types: &SchemaGenerator) -> Value {
        let mut parameters: Vec<Value> = route
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
            for (name, description) in self.headers {
                answer["headers"][*name] =
                    json!({ "description": description, "schema": { "type": "string" } });
            }
        }
        for kind in self.errors.iter().chain(OF_ALL) {
            let status = kind.http_status().to_string();
            let error = json!({ "$ref": "#/components/responses/Error" });
            responses.entry(status).or_insert(error);
        }
        let mut described = json!({
            "operationId": route.id,
            "summary": route.summary,
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
    let operations: Vec<(&Route, Operation)> = ROUTES
        .iter()
        .map(|route| (route, (route.describe)(Operation::new(), &mut types)))
        .collect();
    let error = of::<ErrorBody>(&mut types);
    let mut paths = Map::new();
    for (route, operation) in &operations {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation.described(route, &types);
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
    use super::*;
    use crate::table::OF_SEARCH;

    #[test]
    fn every_error_of_an_operation_leads_to_the_error_body() {
        let document = document();
        let search = &document["paths"]["/v1/search"]["post"];
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
