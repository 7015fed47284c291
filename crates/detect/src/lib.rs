//! Detection rules: read from files, turned into queries, and asked of an archive.
//!
//! Rules are Sigma's, with two kinds of our own in the same files. [`load`] reads them; each becomes a
//! condition of the query language, so the engine that answers searches answers rules too. [`hunt`] asks
//! all of them of an archive, through [`Ask`], and returns what they found. The crate knows no index and
//! no socket.
//!
//! In reading order: `rule` is what a rule is, `load` reads files, `sigma` turns documents into rules,
//! `condition` and `values` turn their detections into conditions, `extension` and `exception` are
//! what only ours say; `window` decides correlations,
//! `firsts` what was seen first, `absent` what did not follow; `hunt` asks, and `live` asks again where
//! something came in; `newly` and `sightings` spare it that for what is seen first.

#![warn(missing_docs, unreachable_pub)]

mod absent;
mod ask;
mod check;
mod condition;
mod crowd;
mod decision;
mod encode;
mod exception;
mod extension;
mod fields;
mod firsts;
mod hunt;
pub mod limits;
mod live;
mod load;
mod newly;
mod pack;
mod rule;
mod sightings;
mod sigma;
mod values;
mod window;

pub use self::ask::{Ask, AskError};
pub use self::check::{Doubt, check};
pub use self::decision::Decision;
pub use self::hunt::{Finding, Hunt, Hunted, Told, hunt};
pub use self::live::{Decided, Known, Scope, Standing, decide};
pub use self::load::{Loaded, Problem, Source, load};
pub use self::newly::Memory;
pub use self::pack::pack;
pub use self::rule::{Kind, Level, Meta, Rule};
