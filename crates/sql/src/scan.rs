//! The scan of the table `cloudtrail`: finds events in the index, looks again at what the index cannot decide,
//! and reads the columns that are wanted of what is left.
//!
//! Rows come in no order, from as many partitions as there are; or, where the newest or oldest are wanted, in
//! the order of time from the first partition, a growing page at a time, so that a limit ends it early.

use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{Array, BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    EquivalenceProperties, Partitioning, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::stream::{EmptyRecordBatchStream, RecordBatchReceiverStreamBuilder};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SortOrderPushdownResult,
    StatisticsArgs,
};
use tokio::sync::mpsc::Sender;

use crate::error::failed;
use crate::leaves::{Leaves, leaf_of};
use crate::read::{Reader, Row};
use crate::schema::{Kind, Leaf};
use language::ast::Expr;
use search::run::scan::Scan;
use store::snapshot::Snapshot;
use trail::time::Micros;
use wire::Order;
use wire::engine::Cancel;

/// What is scanned.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) cancel: Cancel,
    /// Threads that read.
    pub(crate) partitions: usize,
    /// Whether the index is asked for conditions and columns; for tests, that it makes no difference.
    pub(crate) uses_index: bool,
}

/// Which events are scanned.
#[derive(Debug)]
pub(crate) struct Sought {
    /// The index's condition.
    pub(crate) expr: Expr,
    pub(crate) span: (Option<Micros>, Option<Micros>),
    /// What the index does not decide, over columns of these leaves.
    pub(crate) rest: Vec<Arc<dyn PhysicalExpr>>,
    pub(crate) rest_leaves: Vec<Leaf>,
    pub(crate) count: OnceLock<Option<usize>>,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct EventsExec {
    source: Arc<Source>,
    sought: Arc<Sought>,
    leaves: Arc<[Leaf]>,
    schema: SchemaRef,
    limit: Option<usize>,
    order: Option<Order>,
    properties: Arc<PlanProperties>,
}

/// Parts that a partition reads one after the other; a limit ends it between two.
const PARTS: usize = 4;

/// Events of the first page in the order of time, and of the largest.
const PAGE: usize = 1_000;
const PAGE_MAX: usize = 64_000;

impl EventsExec {
    pub(crate) fn new(
        source: Arc<Source>,
        sought: Arc<Sought>,
        columns: Vec<(String, Leaf)>,
        limit: Option<usize>,
    ) -> Self {
        let fields: Vec<Field> =
            columns.iter().map(|(name, leaf)| Field::new(name, leaf.data_type(), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = properties(&schema, source.partitions, None);
        let leaves = columns.into_iter().map(|(_, leaf)| leaf).collect();
        Self { source, sought, leaves, schema, limit, order: None, properties }
    }

    fn scan(&self) -> Result<Scan> {
        let Source { snapshot, cancel, .. } = &*self.source;
        Scan::of(snapshot, &self.sought.expr, self.sought.span, cancel).map_err(failed)
    }

    /// How many events there are, where the index knows without a look at them.
    fn count(&self) -> Option<usize> {
        if !self.sought.rest.is_empty() {
            return None;
        }
        let count = || {
            let is_all = self.sought.expr == Expr::All;
            // To count for a plan's sake alone would be work for nothing.
            if !is_all && !self.leaves.is_empty() {
                return None;
            }
            if is_all {
                return Some(self.source.snapshot.events() as usize);
            }
            self.scan().ok()?.count().map_err(failed).ok().map(|count| count as usize)
        };
        *self.sought.count.get_or_init(count)
    }

    fn run(&self, partition: usize, out: &Sender<Result<RecordBatch>>) -> Result<()> {
        let scan = self.scan()?;
        let uses_index = self.source.uses_index;
        let mut run = Run {
            scan: &scan,
            schema: &self.schema,
            sought: &self.sought,
            rest: Reader::new(&self.sought.rest_leaves, uses_index),
            columns: Reader::new(&self.leaves, uses_index),
            left: self.limit.unwrap_or(usize::MAX),
            out,
        };
        let Some(order) = self.order else {
            let parts = scan.parts(self.source.partitions * PARTS);
            for part in parts.iter().skip(partition).step_by(self.source.partitions) {
                let docs = scan.docs(part).map_err(failed)?;
                for docs in docs.chunks(crate::read::ROWS_MAX) {
                    let rows: Vec<Row> =
                        docs.iter().map(|doc| (Arc::clone(&part.segment), *doc)).collect();
                    if run.take(&rows)?.is_none() {
                        return Ok(());
                    }
                }
            }
            return Ok(());
        };
        let (mut after, mut page) = (None, PAGE.min(run.left.max(1)));
        loop {
            let places = scan.first(page, order, after).map_err(failed)?;
            after = places.last().map(|place| place.position);
            let is_last = places.len() < page;
            let rows: Vec<Row> =
                places.into_iter().map(|place| (place.segment, place.doc)).collect();
            if run.take(&rows)?.is_none() || is_last {
                return Ok(());
            }
            page = (page * 4).clamp(PAGE, PAGE_MAX);
        }
    }
}

fn properties(
    schema: &SchemaRef,
    partitions: usize,
    order: Option<&PhysicalSortExpr>,
) -> Arc<PlanProperties> {
    let equal = match order {
        Some(order) => {
            EquivalenceProperties::new_with_orderings(Arc::clone(schema), [[order.clone()]])
        }
        None => EquivalenceProperties::new(Arc::clone(schema)),
    };
    Arc::new(PlanProperties::new(
        equal,
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

/// One partition's work.
struct Run<'r> {
    scan: &'r Scan,
    schema: &'r SchemaRef,
    sought: &'r Sought,
    rest: Reader,
    columns: Reader,
    /// Rows that are still wanted.
    left: usize,
    out: &'r Sender<Result<RecordBatch>>,
}

impl Run<'_> {
    /// Sends what is wanted of these events; None where nothing more is.
    fn take(&mut self, rows: &[Row]) -> Result<Option<()>> {
        let mut rows = rows;
        while !rows.is_empty() {
            self.scan.check().map_err(failed)?;
            let (met, count) = self.met(rows)?;
            rows = &rows[count..];
            let mut met = &met[..met.len().min(self.left)];
            while !met.is_empty() {
                let (arrays, count) = self.columns.read(met)?;
                met = &met[count..];
                self.left -= count;
                let options = RecordBatchOptions::new().with_row_count(Some(count));
                let schema = Arc::clone(self.schema);
                let batch = RecordBatch::try_new_with_options(schema, arrays, &options)?;
                // What was read while a file was cut short does not count.
                self.scan.check().map_err(failed)?;
                if self.out.blocking_send(Ok(batch)).is_err() {
                    return Ok(None);
                }
            }
            if self.left == 0 {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    /// Those of the first events for which the rest of the conditions is true, and how many were looked at.
    fn met(&mut self, rows: &[Row]) -> Result<(Vec<Row>, usize)> {
        if self.sought.rest.is_empty() {
            return Ok((rows.to_vec(), rows.len()));
        }
        let (arrays, count) = self.rest.read(rows)?;
        let leaves = &self.sought.rest_leaves;
        let field = |leaf: &Leaf| Field::new(leaf.path(), leaf.data_type(), true);
        let schema = Arc::new(Schema::new(leaves.iter().map(field).collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let batch = RecordBatch::try_new_with_options(schema, arrays, &options)?;
        let mut is_met = vec![true; count];
        for condition in &self.sought.rest {
            let found = condition.evaluate(&batch)?.into_array(count)?;
            let found: &BooleanArray = as_boolean_array(&found)?;
            for (at, is_met) in is_met.iter_mut().enumerate() {
                *is_met &= found.is_valid(at) && found.value(at);
            }
        }
        let met = rows[..count].iter().zip(is_met).filter(|(_, is_met)| *is_met);
        Ok((met.map(|(row, _)| row.clone()).collect(), count))
    }
}

impl DisplayAs for EventsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<String> = self
            .leaves
            .iter()
            .map(|leaf| {
                let from = if leaf.indexed().is_some() || leaf.last().kind == Kind::EventTime {
                    ""
                } else {
                    "record "
                };
                format!("{from}{}", leaf.path())
            })
            .collect();
        write!(f, "EventsExec: index=[{}], columns=[{}]", self.sought.expr, columns.join(", "))?;
        if !self.sought.rest.is_empty() {
            let rest: Vec<String> = self.sought.rest.iter().map(ToString::to_string).collect();
            write!(f, ", looked at again=[{}]", rest.join(" AND "))?;
        }
        if let Some(order) = self.order {
            write!(f, ", order={}", if order == Order::Newest { "newest" } else { "oldest" })?;
        }
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for EventsExec {
    fn name(&self) -> &'static str {
        "EventsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for condition in &self.sought.rest {
            if f(condition)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if self.order.is_some() && partition > 0 {
            return Ok(Box::pin(EmptyRecordBatchStream::new(Arc::clone(&self.schema))));
        }
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), 1);
        let (exec, out) = (self.clone(), builder.tx());
        builder.spawn_blocking(move || exec.run(partition, &out));
        Ok(builder.build())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        if args.partition().is_none()
            && let Some(count) = self.count()
        {
            let count = self.limit.map_or(count, |limit| limit.min(count));
            statistics.num_rows = Precision::Exact(count);
        }
        Ok(Arc::new(statistics))
    }

    fn supports_limit_pushdown(&self) -> bool {
        false
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self { limit, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.limit.filter(|_| self.source.partitions == 1 || self.order.is_some())
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExec,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if !self.source.uses_index || self.order.is_some() {
            return Ok(None);
        }
        let mut leaves = Leaves::default();
        let mut exprs = Vec::new();
        for ProjectionExpr { expr, alias } in projection.expr() {
            let expr = leaves.rewrite(expr, &self.leaves)?;
            exprs.push(ProjectionExpr { expr, alias: alias.clone() });
        }
        let (source, sought) = (Arc::clone(&self.source), Arc::clone(&self.sought));
        let leaf = |expr: &ProjectionExpr| leaf_of(&expr.expr, &leaves.read);
        if let Some(columns) = exprs.iter().map(leaf).collect::<Option<Vec<Leaf>>>() {
            let names = exprs.iter().map(|expr| expr.alias.clone());
            let columns = names.zip(columns).collect();
            return Ok(Some(Arc::new(Self::new(source, sought, columns, self.limit))));
        }
        if leaves.read.iter().all(|leaf| self.leaves.contains(leaf))
            && leaves.read.len() == self.leaves.len()
        {
            return Ok(None);
        }
        let columns = leaves.read.iter().map(|leaf| (leaf.path(), leaf.clone())).collect();
        let scan = Arc::new(Self::new(source, sought, columns, self.limit));
        Ok(Some(Arc::new(ProjectionExec::try_new(exprs, scan)?)))
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let [key] = order else { return Ok(SortOrderPushdownResult::Unsupported) };
        let is_time = key.expr.downcast_ref::<Column>().is_some_and(|column| {
            self.leaves.get(column.index()).is_some_and(|leaf| leaf.last().kind == Kind::EventTime)
        });
        if !is_time || !self.source.uses_index || self.order.is_some() {
            return Ok(SortOrderPushdownResult::Unsupported);
        }
        let order = if key.options.descending { Order::Newest } else { Order::Oldest };
        let properties = properties(&self.schema, self.source.partitions, Some(key));
        let inner = Arc::new(Self { order: Some(order), properties, ..self.clone() });
        Ok(SortOrderPushdownResult::Exact { inner })
    }
}
