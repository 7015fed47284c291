//! A query on a snapshot: this crate finds the events that match, and sorts, groups and counts them.
//!
//! It never knows files of the archive, and never sockets. Entry points: [`run::search`] answers a query,
//! [`run::tail`] returns what has arrived since a cursor, and [`run::event`] finds one event by its id.
//!
//! In reading order: `run` drives a search; `fields` finds the field that a name means; `lower` turns the
//! tree of a condition into a `meaning`; `plan` turns that into a tantivy query, with conditions of our
//! own in `clauses` and the files named after it; `visit` walks the matches. `collect`, `ranked`,
//! `groups` and `arrivals` are its users: pages, sorted pages, tables, and new events.

#![warn(missing_docs, unreachable_pub)]

mod addresses;
mod arrivals;
mod bins;
mod clauses;
mod collect;
mod compare;
mod exact;
mod fields;
mod flags;
mod form;
mod groups;
mod id_clauses;
mod integrity;
mod lazily;
mod lookups;
mod lower;
mod meaning;
mod named;
mod notes;
mod numbers;
mod one_term;
mod parsers;
mod phrase;
pub mod pieces;
mod plan;
mod presence;
mod ranked;
pub mod run;
mod sorting;
mod unicode;
pub mod value_clauses;
mod values;
mod visit;
mod wildcard;
mod word_clauses;
