//! Functions as Trino has them: those that DataFusion lacks, and those that mean something else there.

mod json;
mod lists;
mod regexes;
mod texts;
mod times;

use std::hash::{Hash, Hasher};

use datafusion::arrow::array::{Array, ArrayRef, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Makes Trino's functions known, in place of others of the same name.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let all = [json::all(), lists::all(), regexes::all(), texts::all(), times::all()];
    for function in all.into_iter().flatten() {
        registry.register_udf(function.into())?;
    }
    Ok(())
}

/// What a function makes of arrays of the same length.
type Evaluate = fn(&[ArrayRef]) -> Result<ArrayRef>;

/// A function of types that are known, which looks at its arguments and nothing else.
#[derive(Debug)]
struct Plain {
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
    arguments: Vec<Vec<DataType>>,
    returns: DataType,
    evaluate: Evaluate,
}

/// Whether a value of a type is one of another without a loss.
fn fits(from: &DataType, to: &DataType) -> bool {
    match to {
        _ if from == to || *from == DataType::Null => true,
        DataType::Utf8 => matches!(from, DataType::Utf8View | DataType::LargeUtf8),
        DataType::Int64 => from.is_integer(),
        DataType::Float64 => from.is_numeric(),
        DataType::Timestamp(..) => matches!(from, DataType::Timestamp(..) | DataType::Date32),
        _ => false,
    }
}

impl Plain {
    /// A function with these lists of arguments.
    fn of(
        name: &'static str,
        arguments: &[&[DataType]],
        returns: DataType,
        evaluate: Evaluate,
    ) -> ScalarUDF {
        Self::called(&[name], arguments, returns, evaluate)
    }

    /// A function of several names.
    fn called(
        names: &[&'static str],
        arguments: &[&[DataType]],
        returns: DataType,
        evaluate: Evaluate,
    ) -> ScalarUDF {
        let signature = Signature::user_defined(Volatility::Immutable);
        let arguments = arguments.iter().map(|types| types.to_vec()).collect();
        let (name, aliases) = names.split_first().expect("a name");
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        ScalarUDF::new_from_impl(Self { name, aliases, signature, arguments, returns, evaluate })
    }
}

impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Plain {}

impl Hash for Plain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Plain {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let fitting = self.arguments.iter().find(|known| {
            known.len() == types.len() && types.iter().zip(*known).all(|(from, to)| fits(from, to))
        });
        fitting.cloned().ok_or_else(|| {
            let list = |types: &[DataType]| {
                types.iter().map(texts::name_of).collect::<Vec<_>>().join(", ")
            };
            let known =
                self.arguments.iter().map(|known| format!("{}({})", self.name, list(known)));
            let known: Vec<String> = known.collect();
            let asked = format!("{}({})", self.name, list(types));
            wrong(format!("{asked} is not there; there is {}", known.join(" and ")))
        })
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let made = (self.evaluate)(&arrays)?;
        if is_scalar {
            return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(
                &made, 0,
            )?));
        }
        Ok(ColumnarValue::Array(made))
    }
}

/// The texts of an argument.
fn texts(arguments: &[ArrayRef], number: usize) -> Result<&StringArray> {
    as_string_array(argument(arguments, number)?)
}

fn argument(arguments: &[ArrayRef], number: usize) -> Result<&ArrayRef> {
    arguments
        .get(number)
        .ok_or_else(|| DataFusionError::Internal("a function lacks an argument".to_owned()))
}

/// The text in a row; None where it is NULL.
fn at(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

/// A mistake in a call.
fn wrong(message: impl Into<String>) -> DataFusionError {
    DataFusionError::Plan(message.into())
}

/// Keeps what was made of the last text, since most calls have the same in every row.
struct Last<T> {
    of: Option<(String, T)>,
}

impl<T> Last<T> {
    fn new() -> Self {
        Self { of: None }
    }

    fn get(&mut self, text: &str, make: impl FnOnce(&str) -> Result<T>) -> Result<&T> {
        if self.of.as_ref().is_none_or(|(known, _)| known != text) {
            self.of = Some((text.to_owned(), make(text)?));
        }
        match &self.of {
            Some((_, made)) => Ok(made),
            None => Err(wrong("nothing was made")),
        }
    }
}
