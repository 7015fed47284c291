//! Writes JSON. Texts are bytes: what is not UTF-8 stays as it is, for whoever reads the record to flag.

/// Writes a text between quotes.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\n' => out.extend(br"\n"),
            b'\r' => out.extend(br"\r"),
            b'\t' => out.extend(br"\t"),
            0..0x20 => {
                out.extend(br"\u00");
                out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            byte => out.push(*byte),
        }
    }
    out.push(b'"');
}

/// A text between quotes.
pub(crate) fn text(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_text(&mut out, text);
    out
}

/// Writes the key of a member, with a comma before it where there is one already.
pub(crate) fn push_key(out: &mut Vec<u8>, key: &[u8]) {
    if !matches!(out.last(), Some(b'{')) {
        out.push(b',');
    }
    push_text(out, key);
    out.push(b':');
}

/// Whether a text is one JSON object or list.
pub(crate) fn is_json(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
        && serde_json::from_slice::<&serde_json::value::RawValue>(text).is_ok()
}

/// A record in the making: members by name, in order, and objects among them.
#[derive(Debug, Default)]
pub(crate) struct Object(Vec<(String, Node)>);

#[derive(Debug)]
enum Node {
    Json(Vec<u8>),
    Object(Object),
}

impl Object {
    /// Puts JSON at a path. Where something else than an object is in the way, its key is the rest of
    /// the path with dots.
    pub(crate) fn put(&mut self, path: &[String], json: Vec<u8>) {
        let Some((first, rest)) = path.split_first() else { return };
        if rest.is_empty() {
            return self.0.push((first.clone(), Node::Json(json)));
        }
        let place = self.0.iter().position(|(name, _)| name == first);
        match place.map(|place| &mut self.0[place].1) {
            Some(Node::Object(object)) => object.put(rest, json),
            Some(Node::Json(_)) => self.0.push((path.join("."), Node::Json(json))),
            None => {
                let mut object = Self::default();
                object.put(rest, json);
                self.0.push((first.clone(), Node::Object(object)));
            }
        }
    }

    /// Writes the object.
    pub(crate) fn push_to(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (name, node) in &self.0 {
            push_key(out, name.as_bytes());
            match node {
                Node::Json(json) => out.extend_from_slice(json),
                Node::Object(object) => object.push_to(out),
            }
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_from_another_reader() {
        for value in ["", "plain", "a\"b\\c\n\r\t\u{1}\u{1f}é\u{1f600}"] {
            let json = text(value.as_bytes());
            assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), value);
        }
    }

    #[test]
    fn members_stand_at_their_paths() {
        let path = |path: &str| path.split('.').map(str::to_owned).collect::<Vec<_>>();
        let mut object = Object::default();
        for (place, json) in [("a", "1"), ("b.c", "2"), ("b.d.e", "3"), ("a.x", "4")] {
            object.put(&path(place), json.into());
        }
        let mut out = Vec::new();
        object.push_to(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":1,"b":{"c":2,"d":{"e":3}},"a.x":4}"#);
    }
}
