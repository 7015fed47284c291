//! A trace as a tree: from each root downwards, a step on two lines, the event and what came of it.

use std::collections::BTreeMap;

use crossterm::style::Stylize as _;

use crate::cli::output::Look;
use crate::cli::text::{counted, escape, thousands};
use wire::{TraceEdge, TraceEvent, TraceKind, TraceNode, TracePlace, TraceResponse};

/// The whole answer, from its roots on.
pub(super) fn tree(answer: &TraceResponse, look: Look) -> String {
    let nodes = answer.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut below: BTreeMap<&str, Vec<&TraceEdge>> = BTreeMap::new();
    for edge in &answer.edges {
        below.entry(&edge.from).or_default().push(edge);
    }
    let mut tree = Tree { answer, nodes, below, shown: Vec::new(), text: String::new(), look };
    for edges in tree.below.values_mut() {
        edges.sort_by_key(|edge| time_of(edge, &tree.nodes));
    }
    let is_root = |node: &&TraceNode| !answer.edges.iter().any(|edge| edge.to == node.id);
    for root in answer.nodes.iter().filter(is_root) {
        tree.root(root);
    }
    // What is left goes round in a circle.
    for node in &answer.nodes {
        if !tree.shown.contains(&node.id.as_str()) {
            tree.root(node);
        }
    }
    tree.text
}

fn time_of(edge: &TraceEdge, nodes: &BTreeMap<&str, &TraceNode>) -> (String, String) {
    let first = |node: &&TraceNode| node.first.as_ref().map(|event| event.time.clone());
    let of_event = edge.event.as_ref().map(|event| event.time.clone());
    let used = nodes.get(edge.to.as_str()).and_then(first);
    (of_event.or(used).unwrap_or_default(), edge.to.clone())
}

struct Tree<'a> {
    answer: &'a TraceResponse,
    nodes: BTreeMap<&'a str, &'a TraceNode>,
    below: BTreeMap<&'a str, Vec<&'a TraceEdge>>,
    shown: Vec<&'a str>,
    text: String,
    look: Look,
}

/// Levels that are drawn; those of a longer chain are drawn at this one.
const LEVELS_MAX: usize = 64;

impl<'a> Tree<'a> {
    fn root(&mut self, node: &'a TraceNode) {
        self.line("", &self.name(node));
        self.rest(node, "", 0);
    }

    fn line(&mut self, indent: &str, text: &str) {
        self.text.push_str(indent);
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// What is said of a node below its line, and its children.
    fn rest(&mut self, node: &'a TraceNode, indent: &str, level: usize) {
        self.shown.push(&node.id);
        let below = self.below.get(node.id.as_str()).cloned().unwrap_or_default();
        let bar = if below.is_empty() || level > LEVELS_MAX { "   " } else { "│  " };
        for alert in &node.alerts {
            let text = format!("! {}", escape(alert));
            let text = if self.look.has_colour { text.red().bold().to_string() } else { text };
            self.line(&format!("{indent}{bar}"), &text);
        }
        for note in &node.notes {
            self.line(&format!("{indent}{bar}"), &format!("- {}", escape(note)));
        }
        self.gaps(node, &format!("{indent}{bar}"));
        for (place, edge) in below.iter().enumerate() {
            let is_last = place + 1 == below.len();
            self.step(edge, indent, is_last, level + 1);
        }
    }

    fn gaps(&mut self, node: &TraceNode, indent: &str) {
        for gap in self.answer.gaps.iter().filter(|gap| gap.node == node.id) {
            let at = gap.time.as_deref().map_or(String::new(), |time| format!(", {time}"));
            self.line(indent, &escape(&format!("? {}{at}", gap.missing)));
            let Some(total) = gap.files_total else { continue };
            let more = if total > gap.files.len() as u64 { ", among them" } else { "" };
            let have = if total == 1 { "has" } else { "have" };
            let told = format!("  {} {have} events of that hour{more}", counted(total, "file"));
            self.line(indent, &told);
            for file in &gap.files {
                self.line(indent, &format!("    {}", escape(file)));
            }
        }
    }

    fn step(&mut self, edge: &'a TraceEdge, indent: &str, is_last: bool, level: usize) {
        let Some(node) = self.nodes.get(edge.to.as_str()).copied() else { return };
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let deeper =
            if level > LEVELS_MAX { indent.to_owned() } else { format!("{indent}{below}") };
        let joined = joined(edge);
        let is_shown = self.shown.contains(&node.id.as_str());
        let name = if is_shown { format!("{} (see above)", short(node)) } else { self.name(node) };
        match &edge.event {
            Some(event) => {
                let count = edge.events.map_or(String::new(), |events| {
                    format!(" (the first of {})", counted(events, "event"))
                });
                let event = escape(&shown(event)).into_owned();
                let event = format!("{event}{count} {joined}");
                self.line(&format!("{indent}{branch}"), &event);
                // The event names the address.
                if !is_shown || node.kind != TraceKind::Address {
                    self.line(&deeper, &format!("► {name}"));
                }
            }
            None => self.line(&format!("{indent}{branch}"), &format!("{name} {joined}")),
        }
        if !is_shown {
            self.rest(node, &deeper, level);
        }
    }

    /// A node on one line, with what is known of its uses.
    fn name(&self, node: &TraceNode) -> String {
        let mut text = short(node);
        if !node.who.is_empty() && !node.name.ends_with(&node.who) {
            text.push_str(&format!(", {}", node.who));
        }
        if let Some(keys) = node.keys.filter(|keys| *keys > 0) {
            text.push_str(&format!(", {}", counted(keys, "key")));
        }
        match node.uses {
            Some(0) => text.push_str(", never used"),
            Some(uses) => text.push_str(&format!(", {}{}", counted(uses, "use"), from(node))),
            None => {}
        }
        if let Some(first) = &node.first {
            text.push_str(&format!(", first {} {} {}", first.time, first.action, first.id));
        }
        let text = escape(&text).into_owned();
        let is_subject = self.answer.subjects.contains(&node.id);
        match (is_subject, self.look.has_colour) {
            (true, true) => text.bold().to_string(),
            (true, false) => format!("{text} ◄"),
            (false, _) if node.place == TracePlace::Sibling => format!("{text} (sibling)"),
            (false, _) => text,
        }
    }
}

fn from(node: &TraceNode) -> String {
    const SHOWN_MAX: usize = 3;
    let alone = node.addresses.len() == 1;
    let text = |address: &wire::ValueCount| {
        let value = address.value.as_str().unwrap_or_default();
        if alone { value.to_owned() } else { format!("{value} ({})", thousands(address.events)) }
    };
    let shown: Vec<String> = node.addresses.iter().take(SHOWN_MAX).map(text).collect();
    let more = if node.addresses.len() > SHOWN_MAX { ", …" } else { "" };
    if shown.is_empty() { String::new() } else { format!(" from {}{more}", shown.join(", ")) }
}

/// Kind and name.
fn short(node: &TraceNode) -> String {
    format!("{} {}", node.kind.name(), escape(&node.name))
}

fn shown(event: &TraceEvent) -> String {
    let from = if event.address.is_empty() { "" } else { " from " };
    let shared: Vec<String> = event
        .shared
        .iter()
        .map(|other| format!(", in {} as {}", other.account, other.id))
        .collect();
    format!(
        "{} {} {} by {}{from}{}{}",
        event.time,
        event.action,
        event.id,
        event.actor,
        event.address,
        shared.concat()
    )
}

/// The rule that joined two nodes, and its certainty.
fn joined(edge: &TraceEdge) -> String {
    let name = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let rule = serde_json::to_value(edge.rule).map(name).unwrap_or_default();
    let certainty = serde_json::to_value(edge.certainty).map(name).unwrap_or_default();
    format!("[{rule}, {certainty}]")
}
