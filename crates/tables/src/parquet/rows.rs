//! Rows of a row group: the leaves' values put together to texts and JSON, column by column.
//!
//! How the levels of a leaf tell of nulls and lists is Dremel's way, which Parquet took over: a place's
//! definition level counts the optional and repeated nodes of its path that are there, its repetition
//! level the repeated node that goes on with it.

use std::ops::Range;

use parquet::basic::{ConvertedType, LogicalType, Repetition};
use parquet::errors::ParquetError;
use parquet::schema::types::Type;

use super::leaf::Leaf;
use crate::fields::{Column, Field, find, members};
use crate::json;
use crate::limits::ROW_BYTES_MAX;
use crate::shape::Cell;

/// A node of a schema, with what its levels are.
#[derive(Debug)]
pub(super) struct Node {
    name: String,
    kind: NodeKind,
    /// The definition level of a place where the node is there.
    def: i16,
    /// The repetition level of a place that goes on with it, if it is repeated.
    rep: i16,
    leaves: Range<usize>,
}

#[derive(Debug)]
enum NodeKind {
    Leaf,
    Group(Vec<Node>),
    /// A list of such elements, none of which is null unless it is optional itself.
    List(Box<Node>),
    /// A list of entries: a group of key and value.
    Map(Box<Node>),
}

/// Levels of a node's parent.
#[derive(Clone, Copy, Default)]
struct Levels {
    def: i16,
    rep: i16,
}

/// The columns of a schema; None where one of them is nothing that is read.
pub(super) fn columns(schema: &Type) -> Option<Vec<Node>> {
    let mut leaf = 0;
    let of_field = |field: &std::sync::Arc<Type>| {
        let kind = Column::named(field.name()).kind;
        Node::field(field, Levels::default(), kind.and_then(members), &mut leaf)
    };
    schema.get_fields().iter().map(of_field).collect()
}

impl Node {
    /// A field as it is: of a repeated one, the list.
    fn field(
        schema: &Type,
        levels: Levels,
        names: Option<&'static [Field]>,
        leaf: &mut usize,
    ) -> Option<Self> {
        let info = schema.get_basic_info();
        let repetition =
            if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED };
        let start = *leaf;
        match repetition {
            Repetition::REPEATED => {
                let element = Self::element(schema, levels, names, leaf)?;
                Some(Self {
                    name: schema.name().to_owned(),
                    kind: NodeKind::List(Box::new(element)),
                    def: levels.def,
                    rep: levels.rep,
                    leaves: start..*leaf,
                })
            }
            repetition => {
                let optional = i16::from(repetition == Repetition::OPTIONAL);
                let levels = Levels { def: levels.def + optional, ..levels };
                Self::value(schema, levels, names, leaf)
            }
        }
    }

    /// What a repeated field repeats.
    fn element(
        schema: &Type,
        levels: Levels,
        names: Option<&'static [Field]>,
        leaf: &mut usize,
    ) -> Option<Self> {
        let levels = Levels { def: levels.def + 1, rep: levels.rep + 1 };
        Self::value(schema, levels, names, leaf)
    }

    /// A node whose levels are known.
    fn value(
        schema: &Type,
        levels: Levels,
        names: Option<&'static [Field]>,
        leaf: &mut usize,
    ) -> Option<Self> {
        let start = *leaf;
        let kind = if schema.is_primitive() {
            *leaf += 1;
            NodeKind::Leaf
        } else if let Some(repeated) = repeated_of(schema, is_list) {
            NodeKind::List(Box::new(Self::of_list(repeated, levels, names, leaf)?))
        } else if let Some(entry) = repeated_of(schema, is_map).filter(|entry| is_entry(entry)) {
            NodeKind::Map(Box::new(Self::element(entry, levels, None, leaf)?))
        } else {
            let of_field = |field: &std::sync::Arc<Type>| {
                let known = names.and_then(|names| find(names, field.name()));
                let inner = known.and_then(|field| members(&field.1));
                let mut node = Self::field(field, levels, inner, leaf)?;
                if let Some(Field(name, _)) = known {
                    (*name).clone_into(&mut node.name);
                }
                Some(node)
            };
            NodeKind::Group(schema.get_fields().iter().map(of_field).collect::<Option<_>>()?)
        };
        let name = schema.name().to_owned();
        let Levels { def, rep } = levels;
        // A group without leaves has no levels, so nobody knows how many there are of it.
        (*leaf > start).then_some(Self { name, kind, def, rep, leaves: start..*leaf })
    }

    /// The element of a list, whose repeated field may be the element itself or what it is in.
    fn of_list(
        repeated: &Type,
        levels: Levels,
        names: Option<&'static [Field]>,
        leaf: &mut usize,
    ) -> Option<Self> {
        let is_wrapped = repeated.is_group()
            && repeated.get_fields().len() == 1
            && repeated.name() != "array"
            && !repeated.name().ends_with("_tuple");
        if !is_wrapped {
            return Self::element(repeated, levels, names, leaf);
        }
        let mut wrapper = Self::element(repeated, levels, None, &mut leaf.clone())?;
        let inner = Levels { def: wrapper.def, rep: wrapper.rep };
        let element = Self::field(&repeated.get_fields()[0], inner, names, leaf)?;
        wrapper.leaves = element.leaves.clone();
        wrapper.kind = NodeKind::Group(vec![element]);
        WRAPPER.clone_into(&mut wrapper.name);
        Some(wrapper)
    }

    fn is_wrapper(&self) -> bool {
        self.name == WRAPPER
    }
}

/// Stands for the name of a node that only wraps a list's element; no field of a schema has it.
const WRAPPER: &str = "\0";

fn is_list(schema: &Type) -> bool {
    let info = schema.get_basic_info();
    info.converted_type() == ConvertedType::LIST
        || matches!(info.logical_type_ref(), Some(LogicalType::List))
}

fn is_map(schema: &Type) -> bool {
    let info = schema.get_basic_info();
    matches!(info.converted_type(), ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE)
        || matches!(info.logical_type_ref(), Some(LogicalType::Map))
}

/// The one field of a group, which is repeated.
fn repeated_of(schema: &Type, is_it: impl Fn(&Type) -> bool) -> Option<&Type> {
    match schema.get_fields() {
        [field] if is_it(schema) => {
            let info = field.get_basic_info();
            let is_repeated = info.has_repetition() && info.repetition() == Repetition::REPEATED;
            is_repeated.then_some(field)
        }
        _ => None,
    }
}

/// Whether a group is a key and its value.
fn is_entry(schema: &Type) -> bool {
    schema.is_group()
        && matches!(schema.get_fields(), [key, _] if key.is_primitive()
            && key.get_basic_info().has_repetition()
            && key.get_basic_info().repetition() != Repetition::REPEATED)
}

/// One row: the bytes of its cells, and where each is.
#[derive(Default)]
pub(super) struct Row {
    bytes: Vec<u8>,
    cells: Vec<(Range<usize>, Held)>,
    /// Whether it is longer than a row may be. The rest of it was passed over.
    pub(super) is_too_long: bool,
}

#[derive(Clone, Copy)]
enum Held {
    Nothing,
    Text,
    Json,
}

impl Row {
    /// The cells, one for each column.
    pub(super) fn cells(&self) -> Vec<Cell<'_>> {
        let cell = |(place, held): &(Range<usize>, Held)| match held {
            Held::Nothing => Cell::Missing,
            Held::Text => Cell::Text(&self.bytes[place.clone()]),
            Held::Json => Cell::Json(&self.bytes[place.clone()]),
        };
        self.cells.iter().map(cell).collect()
    }

    /// Takes the next row from the leaves.
    pub(super) fn take(
        &mut self,
        columns: &[Node],
        leaves: &mut [Leaf],
    ) -> Result<(), ParquetError> {
        self.bytes.clear();
        self.cells.clear();
        self.is_too_long = false;
        for column in columns {
            let start = self.bytes.len();
            let held = self.column(column, leaves)?;
            self.cells.push((start..self.bytes.len(), held));
        }
        if leaves.iter().any(|leaf| leaf.rep() != 0) {
            return Err(ParquetError::General("the lists of a row do not agree".to_owned()));
        }
        Ok(())
    }

    fn column(&mut self, column: &Node, leaves: &mut [Leaf]) -> Result<Held, ParquetError> {
        let leaf = &mut leaves[column.leaves.start];
        if matches!(column.kind, NodeKind::Leaf) && leaf.is_text() {
            if leaf.def()? < column.def {
                leaf.skip()?;
                return Ok(Held::Nothing);
            }
            leaf.text(|text| self.bytes.extend_from_slice(text))?;
            self.check_length();
            return Ok(Held::Text);
        }
        Ok(if self.value(column, leaves)? { Held::Json } else { Held::Nothing })
    }

    /// What is beyond a row's bound is not kept.
    fn check_length(&mut self) {
        if self.bytes.len() > ROW_BYTES_MAX {
            self.is_too_long = true;
            self.bytes.clear();
        }
    }

    /// Writes a value as JSON; false where there is none, and nothing was written.
    fn value(&mut self, node: &Node, leaves: &mut [Leaf]) -> Result<bool, ParquetError> {
        if leaves[node.leaves.start].def()? < node.def {
            for leaf in &mut leaves[node.leaves.clone()] {
                leaf.skip()?;
            }
            return Ok(false);
        }
        match &node.kind {
            NodeKind::Leaf => leaves[node.leaves.start].push(&mut self.bytes)?,
            NodeKind::Group(inner) if node.is_wrapper() => return self.value(&inner[0], leaves),
            NodeKind::Group(inner) => return self.group(inner, leaves),
            NodeKind::List(element) => self.list(element, leaves)?,
            NodeKind::Map(entry) => self.map(entry, leaves)?,
        }
        self.check_length();
        Ok(true)
    }

    /// Writes an object; none where no member is there.
    fn group(&mut self, inner: &[Node], leaves: &mut [Leaf]) -> Result<bool, ParquetError> {
        let start = self.bytes.len();
        self.bytes.push(b'{');
        let mut is_empty = true;
        for member in inner {
            let before = self.bytes.len();
            json::push_key(&mut self.bytes, member.name.as_bytes());
            if self.value(member, leaves)? {
                is_empty = false;
            } else {
                self.bytes.truncate(before);
            }
        }
        if is_empty {
            self.bytes.truncate(start);
        } else {
            self.bytes.push(b'}');
        }
        Ok(!is_empty)
    }

    fn list(&mut self, element: &Node, leaves: &mut [Leaf]) -> Result<(), ParquetError> {
        self.bytes.push(b'[');
        self.each(element, leaves, |row, leaves| {
            if !matches!(row.bytes.last(), Some(b'[')) {
                row.bytes.push(b',');
            }
            if !row.value(element, leaves)? {
                row.bytes.extend_from_slice(b"null");
            }
            Ok(())
        })?;
        self.bytes.push(b']');
        Ok(())
    }

    fn map(&mut self, entry: &Node, leaves: &mut [Leaf]) -> Result<(), ParquetError> {
        let NodeKind::Group(members) = &entry.kind else {
            return Err(ParquetError::General("a map has entries of no known kind".to_owned()));
        };
        let [key, value] = members.as_slice() else {
            return Err(ParquetError::General("a map has entries of no known kind".to_owned()));
        };
        self.bytes.push(b'{');
        self.each(entry, leaves, |row, leaves| {
            let mut name = Self::default();
            let is_text = leaves[key.leaves.start].is_text();
            match name.column(key, leaves)? {
                Held::Text => {}
                Held::Json if !is_text => {}
                _ => return Err(ParquetError::General("a map has a key that is null".to_owned())),
            }
            json::push_key(&mut row.bytes, &name.bytes);
            if !row.value(value, leaves)? {
                row.bytes.extend_from_slice(b"null");
            }
            Ok(())
        })?;
        self.bytes.push(b'}');
        Ok(())
    }

    /// Calls `take` for each element of a list, which takes it from the leaves.
    fn each(
        &mut self,
        element: &Node,
        leaves: &mut [Leaf],
        mut take: impl FnMut(&mut Self, &mut [Leaf]) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        let first = element.leaves.start;
        if leaves[first].def()? < element.def {
            for leaf in &mut leaves[element.leaves.clone()] {
                leaf.skip()?;
            }
            return Ok(());
        }
        loop {
            take(self, leaves)?;
            if leaves[first].rep() != element.rep {
                return Ok(());
            }
        }
    }
}
