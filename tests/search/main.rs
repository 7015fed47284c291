//! What searches answer: queries of all kinds, pages, tails, saved searches, fields and values.

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod effort;
mod explore;
mod habits;
mod language;
mod made_up;
mod oracle;
mod pages;
mod queries;
mod questions;
mod saved;
mod tail;
mod trails;
mod unicode;
