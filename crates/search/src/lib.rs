//! A query on the index.

mod addresses;
pub mod arrivals;
pub mod bins;
pub mod clauses;
pub mod collect;
pub mod compare;
pub mod fields;
pub mod form;
pub mod groups;
pub mod id_clauses;
pub mod lower;
pub mod meaning;
pub mod one_term;
pub mod pieces;
pub mod plan;
pub mod presence;
pub mod ranked;
pub mod run;
pub mod value_clauses;
pub mod values;
pub mod visit;
pub mod word_clauses;
