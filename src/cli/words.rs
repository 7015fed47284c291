//! Tells the words of a query from flags: `-errorCode:*` leaves events out, and is no flag.
//!
//! Clap takes whatever begins with a dash for a flag, unless it stands behind `--`. So before clap sees
//! the arguments of a command that takes a query, its words are put there.

use std::ffi::OsString;

use clap::{Arg, Command};

/// What a word of a query has, and the value of a flag written without a space, `-oFILE`, has not.
const OF_QUERIES: &[char] = &[':', '=', '~', '<', '>', '!', '(', '"', '*'];

/// The arguments with the words of a query behind `--`, where one of them begins with a dash.
pub(super) fn apart(args: Vec<OsString>, program: &Command) -> Vec<OsString> {
    let mut command = program;
    let mut at = 1;
    while let Some(sub) = args.get(at).and_then(|name| command.find_subcommand(name)) {
        command = sub;
        at += 1;
    }
    if !command.get_positionals().any(|arg| arg.get_id() == "query") {
        return args;
    }
    let (mut flags, mut words) = (args[..at].to_vec(), Vec::new());
    let mut rest = args[at..].iter();
    while let Some(arg) = rest.next() {
        match flag(command, arg) {
            Kind::End => words.extend(rest.by_ref().cloned()),
            Kind::Word => words.push(arg.clone()),
            Kind::Flag { takes_next } => {
                flags.push(arg.clone());
                flags.extend(rest.by_ref().take(usize::from(takes_next)).cloned());
            }
        }
    }
    if !words.iter().any(|word| word.as_encoded_bytes().starts_with(b"-")) {
        return args;
    }
    flags.push("--".into());
    flags.extend(words);
    flags
}

enum Kind {
    Word,
    /// `--`: what follows are words.
    End,
    Flag {
        takes_next: bool,
    },
}

fn flag(command: &Command, arg: &OsString) -> Kind {
    let Some(text) = arg.to_str() else { return Kind::Word };
    let takes_value = |arg: &Arg| arg.get_action().takes_values();
    let Some(after) = text.strip_prefix('-').filter(|after| !after.is_empty()) else {
        return Kind::Word;
    };
    if let Some(long) = after.strip_prefix('-') {
        if long.is_empty() {
            return Kind::End;
        }
        let (name, value) = long.split_once('=').unzip();
        let name = name.unwrap_or(long);
        let known = command.get_arguments().find(|arg| arg.get_long() == Some(name));
        // One that is not known is clap's to refuse.
        return Kind::Flag { takes_next: value.is_none() && known.is_some_and(takes_value) };
    }
    let mut letters = after.chars();
    let short = letters.next();
    let rest = letters.as_str();
    let known = command.get_arguments().find(|arg| arg.get_short() == short);
    match (known, rest) {
        (Some(known), "") => Kind::Flag { takes_next: takes_value(known) },
        (Some(known), rest) if takes_value(known) && !rest.contains(OF_QUERIES) => {
            Kind::Flag { takes_next: false }
        }
        (None, "") if matches!(short, Some('h' | 'V')) => Kind::Flag { takes_next: false },
        (_, "elp") => Kind::Flag { takes_next: false },
        _ => Kind::Word,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[track_caller]
    fn check(args: &[&str], expected: &[&str]) {
        let given = args.iter().map(OsString::from).collect();
        assert_eq!(apart(given, &Cli::command()), expected, "{args:?}");
    }

    #[test]
    fn words_that_begin_with_a_dash_are_no_flags() {
        check(
            &["traildex", "search", "-errorCode:*", "--limit", "5", "x", "-(a OR b)"],
            &["traildex", "search", "--limit", "5", "--", "-errorCode:*", "x", "-(a OR b)"],
        );
        check(
            &["traildex", "search", "--since", "-24h", "-x"],
            &["traildex", "search", "--since", "-24h", "--", "-x"],
        );
        check(
            &["traildex", "export", "-o", "f", "-object:x", "--format=csv"],
            &["traildex", "export", "-o", "f", "--format=csv", "--", "-object:x"],
        );
        check(
            &["traildex", "saved", "set", "name", "-error:*"],
            &["traildex", "saved", "set", "--", "name", "-error:*"],
        );
    }

    #[test]
    fn everything_else_is_left_to_clap() {
        for args in [
            &["traildex", "search", "a", "--since", "-24h", "--explain"][..],
            &["traildex", "search", "-h"],
            &["traildex", "search", "-help"],
            &["traildex", "export", "-oout.csv", "a"],
            &["traildex", "search", "--no-such"],
            &["traildex", "-x"],
            &["traildex"],
            &["traildex", "status", "-x"],
        ] {
            check(args, args);
        }
    }
}
