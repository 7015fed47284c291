//! A trace for Graphviz: `traildex trace … --format dot | dot -Tsvg`.

use crate::cli::text::{counted, escape};
use wire::{TraceNode, TraceResponse};

/// The whole answer as a directed graph. Every text is escaped: what a record holds cannot end a label.
pub(super) fn dot(answer: &TraceResponse) -> String {
    let mut text = String::from("digraph trace {\n  rankdir=LR;\n  node [shape=box];\n");
    for node in &answer.nodes {
        let is_subject = answer.subjects.contains(&node.id);
        let colour = if node.alerts.is_empty() { "black" } else { "red" };
        let width = if is_subject { 3 } else { 1 };
        text.push_str(&format!(
            "  {} [label={}, color={colour}, penwidth={width}];\n",
            quoted(&[&node.id]),
            label(node)
        ));
    }
    for edge in &answer.edges {
        let event = edge.event.as_ref();
        let event = event.map(|event| {
            [event.time.as_str(), event.action.as_str(), event.id.as_str(), event.address.as_str()]
        });
        let lines = event.unwrap_or_default();
        let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        text.push_str(&format!(
            "  {} -> {} [label={}];\n",
            quoted(&[&edge.from]),
            quoted(&[&edge.to]),
            quoted(&lines)
        ));
    }
    text.push_str("}\n");
    text
}

fn label(node: &TraceNode) -> String {
    let uses = node.uses.map(|uses| counted(uses, "use")).unwrap_or_default();
    let lines = [node.id.as_str(), node.who.as_str(), uses.as_str()];
    let alerts = node.alerts.iter().map(String::as_str);
    let lines: Vec<&str> =
        lines.into_iter().chain(alerts).filter(|line| !line.is_empty()).collect();
    quoted(&lines)
}

/// Lines as one quoted text of DOT.
fn quoted(lines: &[&str]) -> String {
    let plain = |line: &&str| escape(line).replace('\\', "\\\\").replace('"', "\\\"");
    let lines: Vec<String> = lines.iter().map(plain).collect();
    format!("\"{}\"", lines.join("\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_a_label() {
        assert_eq!(quoted(&["a\"]; x", "b\\"]), r#""a\"]; x\nb\\""#);
        assert_eq!(quoted(&["a\nb"]), r#""a\\nb""#);
    }
}
