//! What a trace has found: nodes by their names, and the edges between them, within bounds.

use trail::seeded::{SeededMap, SeededSet};
use wire::{TraceCertainty, TraceEdge, TraceEvent, TraceKind, TraceNode, TracePlace, TraceRule};

use crate::record::Identity;

/// Nodes of one answer, at most: some 2 MB of JSON.
const NODES_MAX: usize = 1_000;

/// Edges of one answer, at most.
const EDGES_MAX: usize = 4_000;

/// Notes of one node, at most.
const NOTES_MAX: usize = 8;

/// A node, and what the trace knows of it besides.
pub(crate) struct Entry {
    pub(crate) node: TraceNode,
    pub(crate) identity: Option<Identity>,
    /// Its ancestors, or descendants, were asked for.
    pub(crate) is_up: bool,
    pub(crate) is_down: bool,
}

#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) entries: Vec<Entry>,
    by_id: SeededMap<String, usize>,
    pub(crate) edges: Vec<TraceEdge>,
    joined: SeededSet<(usize, usize, String)>,
    /// Nodes and edges that the bounds left out.
    pub(crate) lost: u64,
}

/// An edge without its ends.
pub(crate) struct Join {
    pub(crate) event: Option<TraceEvent>,
    pub(crate) rule: TraceRule,
    pub(crate) certainty: TraceCertainty,
    pub(crate) events: Option<u64>,
}

impl Join {
    pub(crate) fn by(event: TraceEvent, rule: TraceRule, certainty: TraceCertainty) -> Self {
        Self { event: Some(event), rule, certainty, events: None }
    }

    pub(crate) fn without_event(rule: TraceRule, certainty: TraceCertainty) -> Self {
        Self { event: None, rule, certainty, events: None }
    }
}

impl Graph {
    /// The node of that kind and name, which is made where there is none; None where there are as many
    /// as there may be.
    pub(crate) fn node(&mut self, kind: TraceKind, name: &str, place: TracePlace) -> Option<usize> {
        let id = id_of(kind, name);
        if let Some(at) = self.by_id.get(&id) {
            return Some(*at);
        }
        if self.entries.len() == NODES_MAX {
            self.lost += 1;
            return None;
        }
        let at = self.entries.len();
        self.by_id.insert(id.clone(), at);
        let node = TraceNode { id, kind, name: name.to_owned(), place, ..TraceNode::default() };
        self.entries.push(Entry { node, identity: None, is_up: false, is_down: false });
        Some(at)
    }

    pub(crate) fn find(&self, kind: TraceKind, name: &str) -> Option<usize> {
        self.by_id.get(&id_of(kind, name)).copied()
    }

    pub(crate) fn kind(&self, at: usize) -> TraceKind {
        self.entries[at].node.kind
    }

    pub(crate) fn name(&self, at: usize) -> String {
        self.entries[at].node.name.clone()
    }

    /// What is known of whom the node is; the first who tells is believed.
    pub(crate) fn identify(&mut self, at: usize, identity: Identity) {
        let Entry { node, identity: known, .. } = &mut self.entries[at];
        if node.who.is_empty() {
            node.who.clone_from(&identity.who);
        }
        if node.account.is_empty() {
            node.account.clone_from(&identity.account);
        }
        if known.is_none() {
            *known = Some(identity);
        }
    }

    pub(crate) fn note(&mut self, at: usize, note: impl Into<String>) {
        let notes = &mut self.entries[at].node.notes;
        let note = note.into();
        if notes.len() < NOTES_MAX && !notes.contains(&note) {
            notes.push(note);
        }
    }

    pub(crate) fn alert(&mut self, at: usize, alert: impl Into<String>) {
        let alerts = &mut self.entries[at].node.alerts;
        let alert = alert.into();
        if alerts.len() < NOTES_MAX && !alerts.contains(&alert) {
            alerts.push(alert);
        }
    }

    /// Joins two nodes, once for each event.
    pub(crate) fn join(&mut self, from: usize, to: usize, join: Join) {
        let event = join.event.as_ref().map(|event| event.id.clone()).unwrap_or_default();
        if from == to || self.joined.contains(&(from, to, event.clone())) {
            return;
        }
        if self.edges.len() == EDGES_MAX {
            self.lost += 1;
            return;
        }
        self.joined.insert((from, to, event));
        let Join { event, rule, certainty, events } = join;
        let (from, to) = (self.entries[from].node.id.clone(), self.entries[to].node.id.clone());
        self.edges.push(TraceEdge { from, to, event, rule, certainty, events });
    }

    pub(crate) fn id(&self, at: usize) -> String {
        self.entries[at].node.id.clone()
    }

    /// Whether something is joined to the node from above.
    pub(crate) fn has_origin(&self, at: usize) -> bool {
        self.edges.iter().any(|edge| edge.to == self.entries[at].node.id)
    }
}

fn id_of(kind: TraceKind, name: &str) -> String {
    format!("{}:{name}", kind.name())
}
