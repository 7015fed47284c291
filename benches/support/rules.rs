//! Many rules: the pack, varied.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Writes the pack's files again and again, until so many rules are asked by themselves.
pub fn vary(folder: &Path, wanted: usize) {
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    let entries = fs::read_dir(pack).expect("the pack is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "yml"));
    files.sort();
    fs::create_dir_all(folder).expect("a folder can be made");
    for number in 0..wanted {
        let file = &files[number % files.len()];
        let text = fs::read_to_string(file).expect("it can be read");
        let turn = number / files.len();
        let name = file.file_stem().and_then(|name| name.to_str()).expect("it has a name");
        fs::write(folder.join(format!("{name}-{turn}.yml")), variant(&text, turn))
            .expect("it can be written");
    }
}

/// A file of rules with other names, each with a condition more.
fn variant(text: &str, turn: usize) -> String {
    let named = text.lines().filter_map(|line| line.strip_prefix("name: "));
    let names: Vec<&str> = named.map(str::trim).collect();
    let mut variant = String::new();
    for line in text.lines() {
        let rest = line.trim_start().trim_start_matches("- ");
        let value = rest.strip_prefix("name: ").or(rest.strip_prefix("of: ")).unwrap_or(rest);
        if let Some(condition) =
            line.strip_prefix("    condition: ").filter(|text| !text.is_empty())
        {
            let _ = writeln!(variant, "    variant_{turn}:");
            let _ = writeln!(variant, "        userAgent|contains: variant-{turn}");
            let _ = writeln!(variant, "    condition: ({condition}) and not variant_{turn}");
        } else if names.contains(&value) {
            let _ = writeln!(variant, "{line}-{turn}");
        } else if !line.starts_with("id: ") {
            let _ = writeln!(variant, "{line}");
        }
    }
    variant
}
