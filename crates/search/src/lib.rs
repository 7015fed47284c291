//! A query on the index.

#![warn(missing_docs, unreachable_pub)]

mod addresses;
mod arrivals;
mod bins;
mod clauses;
mod collect;
mod compare;
mod fields;
mod form;
mod groups;
mod id_clauses;
mod lower;
mod meaning;
mod one_term;
pub mod pieces;
mod plan;
mod presence;
mod ranked;
pub mod run;
pub mod value_clauses;
mod values;
mod visit;
mod word_clauses;
