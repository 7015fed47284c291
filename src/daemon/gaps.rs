//! Why answers may lack events that the archive has, in sentences.

use store::ledger::LedgerCounts;
use store::snapshot::Snapshot;

/// Told where events are lost that were in a damaged part of the index.
pub(super) fn lost(snapshot: &Snapshot) -> Option<String> {
    let LedgerCounts { files, lost, .. } = snapshot.files.counts();
    (files.reread > 0 || lost > 0).then(|| {
        format!(
            "{lost} events were in a damaged part of the index; {} files are read again if the \
             archive still has them (traildex files --state reread)",
            files.reread
        )
    })
}

/// Told where events have more different fields than the index lists. It hides no event.
pub(super) fn unlisted(snapshot: &Snapshot) -> Option<String> {
    const NOT_ALL_LISTED: &str = "events have more different fields than the index lists: any field \
        is found by its full path, but short names, the elements of policies, `names:` and the list \
        of fields may lack some (docs/operations.md, Fields)";
    (!snapshot.lists_all_paths()).then(|| NOT_ALL_LISTED.to_owned())
}

/// Told while segments are there that were made before some fields were derived.
pub(super) fn underived(snapshot: &Snapshot) -> Option<String> {
    const NOT_YET_DERIVED: &str = "an earlier version made the index, and a part of it is not yet made \
        anew (traildex status): outcome, error, client, target, account and action find none of its \
        events";
    snapshot.is_outdated().then(|| NOT_YET_DERIVED.to_owned())
}
