//! What searches answer: queries of all kinds, pages, tails, saved searches, fields and values.

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod coverage;
mod derived;
mod effort;
mod exact;
mod explanation;
mod explore;
mod flags;
mod habits;
mod language;
mod lookups;
mod made_up;
mod names;
mod oracle;
mod pages;
mod queries;
mod questions;
mod same;
mod saved;
mod tail;
mod timeline;
mod trace;
mod trails;
mod unicode;
mod words;
