//! `element_at`: the value at a key of a map, or the item at a place of a list; NULL where there is none.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, UInt32Array};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::DataType::{self, Int64, Utf8};
use datafusion::common::Result;
use datafusion::common::cast::{as_int64_array, as_list_array, as_map_array, as_string_array};
use datafusion::functions::core::get_field;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::wrong;

pub(super) fn all() -> Vec<ScalarUDF> {
    vec![ScalarUDF::new_from_impl(ElementAt {
        signature: Signature::user_defined(Volatility::Immutable),
    })]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ElementAt {
    signature: Signature,
}

impl ScalarUDFImpl for ElementAt {
    fn name(&self) -> &str {
        "element_at"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [map @ DataType::Map(..), _] => Ok(vec![map.clone(), Utf8]),
            [
                DataType::List(item) | DataType::FixedSizeList(item, _) | DataType::LargeList(item),
                _,
            ] => Ok(vec![DataType::List(Arc::clone(item)), Int64]),
            [DataType::Null, _] => Ok(types.to_vec()),
            _ => Err(wrong("element_at takes a map and a key, or a list and a place from 1 on")),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(DataType::Map(entries, _)) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => Ok(fields[1].data_type().clone()),
                _ => Err(wrong("element_at: the map has no values")),
            },
            Some(DataType::List(item)) => Ok(item.data_type().clone()),
            _ => Ok(DataType::Null),
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // The scan knows `get_field`.
        let is_map = matches!(info.get_data_type(&args[0])?, DataType::Map(..));
        if is_map && matches!(args[1], Expr::Literal(..)) {
            let call = ScalarFunction::new_udf(get_field(), args);
            return Ok(ExprSimplifyResult::Simplified(Expr::ScalarFunction(call)));
        }
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [values, keys] = &arrays[..] else {
            return Err(wrong("element_at takes two arguments"));
        };
        Ok(ColumnarValue::Array(match values.data_type() {
            DataType::Map(..) => of_map(values, keys)?,
            DataType::List(_) => of_list(values, keys)?,
            _ => Arc::clone(values),
        }))
    }
}

fn of_map(values: &ArrayRef, keys: &ArrayRef) -> Result<ArrayRef> {
    let (map, wanted) = (as_map_array(values)?, as_string_array(keys)?);
    let known = cast(map.keys(), &Utf8)?;
    let known = as_string_array(&known)?;
    let offsets = map.value_offsets();
    let place = |row: usize| {
        if map.is_null(row) || wanted.is_null(row) {
            return None;
        }
        let of_row = offsets[row] as usize..offsets[row + 1] as usize;
        of_row.into_iter().find(|at| known.value(*at) == wanted.value(row)).map(|at| at as u32)
    };
    let places: UInt32Array = (0..map.len()).map(place).collect();
    Ok(take(map.values(), &places, None)?)
}

fn of_list(values: &ArrayRef, places: &ArrayRef) -> Result<ArrayRef> {
    let (list, places) = (as_list_array(values)?, as_int64_array(places)?);
    let offsets = list.value_offsets();
    let place = |row: usize| {
        if list.is_null(row) || places.is_null(row) {
            return Ok(None);
        }
        let (start, end) = (i64::from(offsets[row]), i64::from(offsets[row + 1]));
        let at = match places.value(row) {
            0 => return Err(wrong("element_at: places of a list begin at 1")),
            place if place < 0 => end.saturating_add(place),
            place => start.saturating_add(place - 1),
        };
        Ok((start..end).contains(&at).then_some(at as u32))
    };
    let places: UInt32Array = (0..list.len()).map(place).collect::<Result<_>>()?;
    Ok(take(list.values(), &places, None)?)
}
