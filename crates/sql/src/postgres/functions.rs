//! Functions that PostgreSQL's clients call of their own accord, and that `datafusion-postgres` has not.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::prelude::SessionContext;

/// The version that clients know what to expect of, as the library tells it when they connect.
const VERSION: &str = "16.6";
const VERSION_NUMBER: &str = "160006";

/// Registers them.
pub(super) fn register(context: &SessionContext) {
    let version = format!("PostgreSQL {VERSION}, traildex {}", env!("CARGO_PKG_VERSION"));
    let text = |text: &str| Says::Always(ScalarValue::from(text));
    let is_true = Says::Always(ScalarValue::from(true));
    let is_false = Says::Always(ScalarValue::from(false));
    let nothing = Says::Always(ScalarValue::Utf8(None));
    let mut functions = vec![
        ("version", text(&version)),
        ("pg_is_in_recovery", is_false),
        ("current_setting", Says::Setting),
        ("to_regtype", Says::Always(ScalarValue::Int32(None))),
    ];
    for name in ["pg_function_is_visible", "pg_type_is_visible", "pg_opclass_is_visible"] {
        functions.push((name, is_true.clone()));
    }
    for name in [
        "obj_description",
        "col_description",
        "shobj_description",
        "pg_get_function_result",
        "pg_get_function_arguments",
        "pg_get_functiondef",
        "pg_get_indexdef",
        "pg_get_viewdef",
        "pg_get_triggerdef",
        "pg_get_serial_sequence",
        "pg_size_pretty",
    ] {
        functions.push((name, nothing.clone()));
    }
    for (name, says) in functions {
        let signature = Signature::variadic_any(Volatility::Stable);
        let signature = match &says {
            Says::Always(_) => Signature::one_of(
                vec![TypeSignature::Nullary, TypeSignature::VariadicAny],
                Volatility::Stable,
            ),
            Says::Setting => signature,
        };
        context.register_udf(ScalarUDF::from(Function { name, says: Arc::new(says), signature }));
    }
}

/// What a function says, whatever it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Says {
    Always(ScalarValue),
    /// The setting that its argument names.
    Setting,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    name: &'static str,
    says: Arc<Says>,
    signature: Signature,
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match &*self.says {
            Says::Always(value) => value.data_type(),
            Says::Setting => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = match &*self.says {
            Says::Always(value) => value.clone(),
            Says::Setting => match args.args.first() {
                Some(ColumnarValue::Scalar(name)) => setting(&name.to_string()),
                _ => ScalarValue::Utf8(None),
            },
        };
        Ok(ColumnarValue::Scalar(value))
    }
}

fn setting(name: &str) -> ScalarValue {
    ScalarValue::from(match name.to_lowercase().as_str() {
        "server_version" => VERSION,
        "server_version_num" => VERSION_NUMBER,
        "search_path" => "public",
        "timezone" => "UTC",
        "server_encoding" | "client_encoding" => "UTF8",
        "is_superuser" => "off",
        "default_transaction_read_only" | "transaction_read_only" => "on",
        "max_index_keys" => "32",
        _ => return ScalarValue::Utf8(None),
    })
}
