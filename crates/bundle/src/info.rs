//! The two short files that say that a folder is a bag, and what it is.

use crate::report::Report;

/// `bagit.txt`, to the byte.
pub(crate) const DECLARATION_TEXT: &str =
    "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/// `bag-info.txt`. Its values are ours, or numbers and times: no stranger writes a line here.
pub(crate) fn text(report: &Report, bytes: u64, files: u64) -> String {
    let state = if report.complete { "complete" } else { "not complete" };
    let day = report.time.get(..10).unwrap_or_default();
    format!(
        "Bag-Software-Agent: traildex {version}\n\
         Bagging-Date: {day}\n\
         External-Description: events of AWS CloudTrail, with where they are from; {state}, as \
         data/reports/bundle.json says\n\
         Payload-Oxum: {bytes}.{files}\n",
        version = report.traildex,
    )
}

/// What `Payload-Oxum` of a text says: bytes and files.
pub(crate) fn oxum(text: &str) -> Option<(u64, u64)> {
    let value = text.lines().find_map(|line| line.strip_prefix("Payload-Oxum: "))?;
    let (bytes, files) = value.split_once('.')?;
    Some((bytes.parse().ok()?, files.parse().ok()?))
}
