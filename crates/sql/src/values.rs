//! Records to Arrow's arrays.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, ListArray, MapArray, StringArray, StringBuilder, StructArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::common::Result;

use crate::json::Json;
use crate::schema::{Kind, Leaf, Place, fields, item, map_entries, map_fields};
use trail::time::Micros;

/// A value of each of some events; None where there is none.
type Found<'v, 'a> = Vec<Option<&'v Json<'a>>>;

/// The array of what is at a leaf of these records.
pub(crate) fn of_leaf(leaf: &Leaf, records: &[Json<'_>]) -> Result<ArrayRef> {
    let mut values: Found<'_, '_> = records.iter().map(Some).collect();
    for place in &leaf.places {
        values = below(&values, place);
    }
    match &leaf.key {
        Some(key) => {
            let texts = values.iter().map(|value| value.and_then(|map| map.get(key)?.text()));
            Ok(Arc::new(texts.collect::<StringArray>()))
        }
        None => of_kind(&leaf.last().kind, &values),
    }
}

fn below<'v, 'a>(values: &[Option<&'v Json<'a>>], place: &Place) -> Found<'v, 'a> {
    let at = |value: &'v Json<'a>| {
        let found = value.get(place.key);
        found.or_else(|| place.other.and_then(|other| value.get(other)))
    };
    values.iter().map(|value| value.and_then(at)).collect()
}

fn of_kind(kind: &Kind, values: &[Option<&Json<'_>>]) -> Result<ArrayRef> {
    Ok(match kind {
        Kind::Text => {
            let text = |value: &Json<'_>| value.scalar().map(Cow::into_owned);
            Arc::new(values.iter().map(|value| value.and_then(text)).collect::<StringArray>())
        }
        Kind::Bool => Arc::new(
            values
                .iter()
                .map(|value| value.and_then(|value| truth(&value.scalar()?)))
                .collect::<BooleanArray>(),
        ),
        // Those of events come from the index.
        Kind::EventTime | Kind::Time => Arc::new(
            values
                .iter()
                .map(|value| {
                    Micros::parse_record_time(&value.as_ref()?.scalar()?).map(|time| time.0)
                })
                .collect::<TimestampMicrosecondArray>(),
        ),
        Kind::Map => of_maps(values)?,
        Kind::Struct(places) => Arc::new(of_structs(places, values)?),
        Kind::List(places) => of_lists(places, values)?,
        Kind::Record => {
            let texts = values.iter().map(|value| value.map(ToString::to_string));
            Arc::new(texts.collect::<StringArray>())
        }
    })
}

/// A truth value that is written as a text.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn of_structs(places: &[Place], values: &[Option<&Json<'_>>]) -> Result<StructArray> {
    let is_there: Vec<bool> =
        values.iter().map(|value| matches!(value, Some(Json::Object(_)))).collect();
    let columns = places.iter().map(|place| of_kind(&place.kind, &below(values, place)));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(StructArray::try_new(fields(places), columns, Some(NullBuffer::from(is_there)))?)
}

fn of_lists(places: &[Place], values: &[Option<&Json<'_>>]) -> Result<ArrayRef> {
    let (mut items, mut lengths, mut is_there) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        let before = items.len();
        match value {
            Some(Json::List(list)) => items.extend(list.iter().map(Some)),
            // Some records have the one resource by itself.
            Some(object @ Json::Object(_)) => items.push(Some(*object)),
            _ => {}
        }
        lengths.push(items.len() - before);
        is_there.push(matches!(value, Some(Json::List(_) | Json::Object(_))));
    }
    let items = Arc::new(of_structs(places, &items)?);
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(item(places), offsets, items, Some(is_there.into()))?))
}

fn of_maps(values: &[Option<&Json<'_>>]) -> Result<ArrayRef> {
    let (mut keys, mut texts) = (StringBuilder::new(), StringBuilder::new());
    let (mut lengths, mut is_there) = (Vec::new(), Vec::new());
    for value in values {
        let members = value.and_then(Json::members);
        is_there.push(members.is_some());
        let members = members.unwrap_or_default();
        lengths.push(members.len());
        for (key, value) in members {
            keys.append_value(key);
            texts.append_option(value.text());
        }
    }
    let columns: Vec<ArrayRef> = vec![Arc::new(keys.finish()), Arc::new(texts.finish())];
    let entries = StructArray::try_new(map_fields(), columns, None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::try_new(map_entries(), offsets, entries, Some(is_there.into()), false)?))
}

/// Moves what stands at a key with dots, such as `userIdentity.arn`, to its nested place, where nothing is
/// there: to the index both are one path.
pub(crate) fn nested(record: &mut Json<'_>) {
    let Json::Object(members) = record else { return };
    for name in ["userIdentity", "tlsDetails"] {
        nest(members, name, 0);
    }
}

type Members<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// Keys of a struct that are written with dots; each is compared with the others. A struct has eleven.
const DOTTED_MAX: usize = 64;

/// Structs are nested so deeply.
const STRUCTS_MAX: u32 = 4;

fn nest(members: &mut Members<'_>, name: &str, depth: u32) {
    let is_below =
        |key: &str| key.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).is_some();
    if members.iter().any(|(key, _)| is_below(key)) {
        let (dotted, rest): (Vec<_>, Vec<_>) =
            std::mem::take(members).into_iter().partition(|(key, _)| is_below(key));
        *members = rest;
        let at = members.iter().rposition(|(key, _)| key == name).unwrap_or_else(|| {
            members.push((name.to_owned().into(), Json::Object(Vec::new())));
            members.len() - 1
        });
        if let Json::Object(inner) = &mut members[at].1 {
            for (key, value) in dotted.into_iter().take(DOTTED_MAX) {
                let key = key[name.len() + 1..].to_owned();
                if inner.iter().all(|(known, _)| *known != key) {
                    inner.push((key.into(), value));
                }
            }
        }
    }
    if depth < STRUCTS_MAX
        && let Some((_, Json::Object(inner))) =
            members.iter_mut().rev().find(|(key, _)| key == name)
    {
        for name in
            ["sessionContext", "onBehalfOf", "attributes", "sessionIssuer", "webIdFederationData"]
        {
            nest(inner, name, depth + 1);
        }
    }
}
