//! Which places of the record an expression reads: `get_field(useridentity, 'arn')` reads one leaf, and not
//! the whole of `useridentity`.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use crate::schema::Leaf;

/// The leaves that some expressions read, each once.
#[derive(Default)]
pub(crate) struct Leaves {
    pub(crate) read: Vec<Leaf>,
}

impl Leaves {
    /// The expression over columns of the leaves in place of those in `input`.
    pub(crate) fn rewrite(
        &mut self,
        expr: &Arc<dyn PhysicalExpr>,
        input: &[Leaf],
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let replace = |expr: Arc<dyn PhysicalExpr>| match leaf_of(&expr, input) {
            Some(leaf) => {
                let at = self.place(leaf);
                let column = Column::new(&self.read[at].path(), at);
                Ok(Transformed::new(Arc::new(column) as _, true, TreeNodeRecursion::Jump))
            }
            None => Ok(Transformed::no(expr)),
        };
        Arc::clone(expr).transform_down(replace).data()
    }

    fn place(&mut self, leaf: Leaf) -> usize {
        if let Some(at) = self.read.iter().position(|known| *known == leaf) {
            return at;
        }
        self.read.push(leaf);
        self.read.len() - 1
    }
}

/// The leaf that an expression is; None where it is made of leaves, or of none.
pub(crate) fn leaf_of(expr: &Arc<dyn PhysicalExpr>, input: &[Leaf]) -> Option<Leaf> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return input.get(column.index()).cloned();
    }
    let call = expr.downcast_ref::<ScalarFunctionExpr>()?;
    if call.fun().name() != "get_field" {
        return None;
    }
    let (base, keys) = call.args().split_first()?;
    keys.iter().try_fold(leaf_of(base, input)?, |leaf, key| {
        match key.downcast_ref::<Literal>()?.value() {
            ScalarValue::Utf8(Some(name))
            | ScalarValue::Utf8View(Some(name))
            | ScalarValue::LargeUtf8(Some(name)) => leaf.below(name),
            _ => None,
        }
    })
}
