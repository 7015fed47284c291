//! Bounds of a picture, each with its unit and its reason.

/// Hours of an account and region that a picture holds, of the latest: two years of seventeen regions,
/// or 8 MB.
pub(crate) const CELLS_MAX: usize = 300_000;

/// Accounts and regions that a picture holds: a thousand accounts in twenty regions.
pub(crate) const PLACES_MAX: usize = 20_000;

/// Bytes of an account's or a region's name. AWS's have 12 and up to 20; others are left out.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// Rows of one search for hours: some 4 MB while they are taken over.
pub(crate) const ROWS_MAX: usize = 10_000;

/// Searches for hours, those that found too much for one answer among them.
pub(crate) const SEARCHES_MAX: usize = 2_000;

/// Short stops of trails that are looked into, of the latest.
pub(crate) const STOPS_MAX: usize = 200;

/// Changes of trails that a picture holds, of the latest. Trails change a few times a year.
pub(crate) const CHANGES_MAX: usize = 2_000;

/// Events of trails that are fetched at a time.
pub(crate) const CHANGES_PAGE: usize = 500;

/// Bytes of one text of a change: a trail's name has 128, an ARN of a session some 200.
pub(crate) const TEXT_BYTES_MAX: usize = 256;

/// Resources that are kept of one selector; AWS allows 250 of a trail.
pub(crate) const RESOURCES_MAX: usize = 250;

/// Selectors that are kept of one change; AWS allows 5, and 500 conditions in advanced ones.
pub(crate) const SELECTORS_MAX: usize = 100;

/// Bytes of all resources of a picture's selectors.
pub(crate) const RESOURCE_BYTES_MAX: usize = 4 << 20;

/// Recordings that a picture holds.
pub(crate) const RECORDINGS_MAX: usize = 20_000;

/// Services and accounts whose data events are counted.
pub(crate) const DATA_EVENTS_MAX: usize = 10_000;

/// Gaps that a picture holds.
pub(crate) const GAPS_MAX: usize = 10_000;

/// Days of rejected files that a picture holds.
pub(crate) const DAYS_MAX: usize = 10_000;

/// Values of one field that a query asks for, and that are looked up.
pub(crate) const WANTED_MAX: usize = 100;

/// Lines that a search tells; the rest is counted.
pub(crate) const NOTES_MAX: usize = 5;

/// Names that one line lists; the rest is counted.
pub(crate) const LISTED_MAX: usize = 3;
