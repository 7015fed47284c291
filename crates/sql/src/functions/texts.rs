//! Functions of texts.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ListBuilder, StringArray, StringBuilder};
use datafusion::arrow::datatypes::DataType::{self, Int64, Utf8};
use datafusion::common::Result;
use datafusion::common::cast::{as_int64_array, as_string_array};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::regexes::list_of_texts;
use super::{Plain, argument, at, texts, wrong};

pub(super) fn all() -> Vec<ScalarUDF> {
    let mut all = vec![
        Plain::of("split", &[&[Utf8, Utf8], &[Utf8, Utf8, Int64]], list_of_texts(), split),
        Plain::called(
            &["substr", "substring"],
            &[&[Utf8, Int64], &[Utf8, Int64, Int64]],
            Utf8,
            substr,
        ),
        ScalarUDF::new_from_impl(Concat {
            signature: Signature::user_defined(Volatility::Immutable),
        }),
        ScalarUDF::new_from_impl(TypeOf { signature: Signature::any(1, Volatility::Immutable) }),
    ];
    let urls: [(&'static str, super::Evaluate); 5] = [
        ("url_extract_protocol", |a| url(a, |url| url.protocol)),
        ("url_extract_host", |a| url(a, |url| url.host)),
        ("url_extract_path", |a| url(a, |url| Some(url.path))),
        ("url_extract_query", |a| url(a, |url| Some(url.query))),
        ("url_extract_fragment", |a| url(a, |url| Some(url.fragment))),
    ];
    all.extend(urls.map(|(name, evaluate)| Plain::of(name, &[&[Utf8]], Utf8, evaluate)));
    all
}

fn split(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (values, by) = (texts(arguments, 0)?, texts(arguments, 1)?);
    let limits = arguments.get(2).map(|limits| as_int64_array(limits)).transpose()?;
    let mut made = ListBuilder::new(StringBuilder::new());
    for row in 0..values.len() {
        let limit = match limits {
            Some(limits) => limits.is_valid(row).then(|| limits.value(row)),
            None => Some(i64::MAX),
        };
        let (Some(value), Some(by), Some(limit)) = (at(values, row), at(by, row), limit) else {
            made.append(false);
            continue;
        };
        if by.is_empty() || limit <= 0 {
            return Err(wrong("split: the delimiter is empty, or the limit is not above 0"));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        value.splitn(limit, by).for_each(|part| made.values().append_value(part));
        made.append(true);
    }
    Ok(Arc::new(made.finish()))
}

/// The first character is 1; a place below 0 counts from the end.
fn substr(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (values, starts) = (texts(arguments, 0)?, as_int64_array(argument(arguments, 1)?)?);
    let lengths = arguments.get(2).map(|lengths| as_int64_array(lengths)).transpose()?;
    let part = |row: usize| {
        let text = at(values, row)?;
        let start = starts.is_valid(row).then(|| starts.value(row))?;
        let length = match lengths {
            Some(lengths) => lengths.is_valid(row).then(|| lengths.value(row))?,
            None => i64::MAX,
        };
        let count = text.chars().count() as i64;
        let from = match start {
            0 => return Some(String::new()),
            start if start < 0 => count + start,
            start => start - 1,
        };
        if from < 0 || from >= count || length <= 0 {
            return Some(String::new());
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Some(text.chars().skip(from as usize).take(length).collect())
    };
    Ok(Arc::new((0..values.len()).map(part).collect::<StringArray>()))
}

/// Texts joined, or NULL where one is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concat {
    signature: Signature,
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &str {
        "concat"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.is_empty() {
            return Err(wrong("concat: there are no arguments"));
        }
        if types.iter().any(DataType::is_nested) {
            return Err(wrong("concat: only texts are joined here; array_concat joins lists"));
        }
        Ok(vec![Utf8; types.len()])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let columns =
            arrays.iter().map(|array| as_string_array(array)).collect::<Result<Vec<_>>>()?;
        let rows = arrays.first().map_or(0, Array::len);
        let join =
            |row: usize| columns.iter().map(|texts| at(texts, row)).collect::<Option<String>>();
        Ok(ColumnarValue::Array(Arc::new((0..rows).map(join).collect::<StringArray>())))
    }
}

/// The name of a value's type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TypeOf {
    signature: Signature,
}

impl ScalarUDFImpl for TypeOf {
    fn name(&self) -> &str {
        "typeof"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = args.arg_fields.first().map(|field| name_of(field.data_type()));
        Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::Utf8(name)))
    }
}

/// Trino's name of a type.
pub(crate) fn name_of(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "varchar".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int64 | DataType::UInt64 => "bigint".to_owned(),
        DataType::Int32 | DataType::UInt32 => "integer".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp(6)".to_owned(),
        DataType::Null => "unknown".to_owned(),
        DataType::List(item) => format!("array({})", name_of(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let types: Vec<String> = fields.iter().map(|f| name_of(f.data_type())).collect();
                format!("map({})", types.join(", "))
            }
            other => other.to_string(),
        },
        DataType::Struct(fields) => {
            let field = |f: &Arc<datafusion::arrow::datatypes::Field>| {
                format!("{} {}", f.name(), name_of(f.data_type()))
            };
            format!("row({})", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}

struct Url<'u> {
    protocol: Option<&'u str>,
    host: Option<&'u str>,
    path: &'u str,
    query: &'u str,
    fragment: &'u str,
}

fn url(arguments: &[ArrayRef], part: fn(Url<'_>) -> Option<&str>) -> Result<ArrayRef> {
    let texts = texts(arguments, 0)?;
    let parts = texts.iter().map(|text| part(parsed(text?)).map(str::to_owned));
    Ok(Arc::new(parts.collect::<StringArray>()))
}

fn parsed(text: &str) -> Url<'_> {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let Some((protocol, rest)) = text.split_once("://") else {
        return Url { protocol: None, host: None, path: text, query, fragment };
    };
    let (place, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
    let host =
        if host.starts_with('[') { host } else { host.split(':').next().unwrap_or_default() };
    Url { protocol: Some(protocol), host: Some(host), path, query, fragment }
}
