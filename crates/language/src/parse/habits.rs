//! What people type who come from other tools, as it is taken: the tree as text, with what the reader is
//! told, or the error. Nothing of it is taken for words to look for without a word.

use super::parse_noted;

/// Each query with its answer behind ` ► `; lines that are indented say what the reader is told.
const HABITS: &str = include_str!("habits.txt");

fn answer(text: &str) -> String {
    match parse_noted(text) {
        Ok(parsed) => {
            let printed = parsed.query.to_string();
            let again = parse_noted(&printed).map(|again| again.query);
            assert_eq!(again.as_ref(), Ok(&parsed.query), "{text} prints as {printed}");
            let notes = parsed.notes.iter().map(|note| format!("\n    {note}"));
            format!("{printed}{}", notes.collect::<String>())
        }
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn habits_of_other_tools_are_taken_as_meant_or_refused_with_what_is_written_here() {
    let mut wrong = String::new();
    let mut habits: Vec<(String, String)> = Vec::new();
    for line in HABITS.lines().filter(|line| !line.is_empty() && !line.starts_with("## ")) {
        match (line.split_once(" ► "), habits.last_mut()) {
            (Some((query, answer)), _) => habits.push((query.to_owned(), answer.to_owned())),
            (None, Some((_, answer))) => answer.push_str(&format!("\n{line}")),
            (None, None) => panic!("{line}"),
        }
    }
    assert!(habits.len() > 200, "{}", habits.len());
    for (query, expected) in habits {
        let answer = answer(&query);
        if answer != expected {
            wrong.push_str(&format!("{query} ► {answer}\n"));
        }
    }
    assert!(wrong.is_empty(), "these are answered otherwise:\n{wrong}");
}
