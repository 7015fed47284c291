//! Names of fields as JSON.

use serde_json::{Value as Json, json};

use super::{Read, Reader};
use crate::ast::FieldRef;

/// The keys of a name that is more than a text; each has one of these.
const KINDS: [&str; 3] = ["at", "path", "name"];

/// A name; `{"path": name}` for one in quotes, `{"at": path}` for a whole path which perhaps no event
/// has, and these with `"below": true` where the values below are meant, too.
pub(super) fn write_name(field: &FieldRef) -> Json {
    let FieldRef { name, is_path, is_quoted, has_below, .. } = field;
    let mut json = match (is_path, is_quoted) {
        (true, _) => json!({ "at": name }),
        (false, true) => json!({ "path": name }),
        (false, false) if *has_below => json!({ "name": name }),
        (false, false) => return json!(name),
    };
    if *has_below {
        json["below"] = true.into();
    }
    json
}

impl Reader {
    pub(super) fn name(&self, json: &Json) -> Read<FieldRef> {
        if !json.is_object() {
            let name = self.text(json)?;
            return if name.is_empty() {
                self.fault("a name is empty")
            } else {
                Ok(FieldRef::named(name))
            };
        }
        let object = self.object(json, &["at", "path", "name", "below"])?;
        let mut kinds = KINDS.into_iter().filter(|kind| object.contains_key(*kind));
        let (Some(kind), None) = (kinds.next(), kinds.next()) else {
            return self.fault(format!("expected one key of {}", KINDS.join(", ")));
        };
        let has_below = object.get("below").is_some();
        if let Some(below) = object.get("below") {
            self.only_true(below)?;
        }
        let field = match self.text(&object[kind])? {
            name if name.is_empty() && !(kind == "name" && has_below) => {
                return self.fault("a name is empty");
            }
            name if kind == "at" => FieldRef::at_path(name),
            name if kind == "path" => FieldRef::quoted(name, None),
            name => FieldRef::named(name),
        };
        Ok(FieldRef { has_below, ..field })
    }
}
