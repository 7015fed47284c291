//! Structs, lists and maps that Trino printed as text: `{type=IAMUser, arn=null}`, `[{arn=…}]`, `{k=v}`.
//!
//! Nothing in such a text is escaped. A text is taken apart only where it reads in one way: a struct, whose
//! members have names that are documented, each once; a map whose values are single words, or which
//! has one. Of any other, nothing is guessed.

use crate::fields::{Field, Kind, find};
use crate::json;

/// A text taken apart, as JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Apart {
    pub(crate) json: Vec<u8>,
    /// It has a map of several entries: a value that holds `, name=` would look like two of them.
    pub(crate) has_map: bool,
}

/// Takes a text apart that holds this kind; None where it reads in other ways too, or in none.
pub(crate) fn apart(text: &[u8], kind: &'static Kind) -> Option<Apart> {
    let mut parser = Parser { text, at: 0, has_map: false };
    let json = parser.value(kind, true)?;
    (parser.at == text.len()).then_some(Apart { json, has_map: parser.has_map })
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    has_map: bool,
}

impl Parser<'_> {
    fn rest(&self) -> &[u8] {
        &self.text[self.at..]
    }

    fn eat(&mut self, token: &[u8]) -> Option<()> {
        self.rest().starts_with(token).then(|| self.at += token.len())
    }

    /// A value that begins with a bracket. The outermost of a map goes on to the end of the text.
    fn value(&mut self, kind: &'static Kind, is_outermost: bool) -> Option<Vec<u8>> {
        match kind {
            Kind::Group(fields) => self.group(fields),
            Kind::List(fields) => self.list(fields),
            Kind::Any => self.map(is_outermost),
            Kind::Text | Kind::Truth => None,
        }
    }

    fn group(&mut self, fields: &'static [Field]) -> Option<Vec<u8>> {
        self.eat(b"{")?;
        let mut out = vec![b'{'];
        let mut seen: Vec<&str> = Vec::new();
        while self.eat(b"}").is_none() {
            if !seen.is_empty() {
                self.eat(b", ")?;
            }
            let name = name(self.rest())?;
            self.at += name + 1;
            let name = std::str::from_utf8(&self.text[self.at - name - 1..self.at - 1]).ok()?;
            let Field(name, kind) = find(fields, name)?;
            if seen.contains(name) {
                return None;
            }
            seen.push(name);
            let value = match self.rest().first()? {
                b'{' | b'[' => Some(self.value(kind, false)?),
                _ => self.scalar(kind)?,
            };
            if let Some(value) = value {
                json::push_key(&mut out, name.as_bytes());
                out.extend(value);
            }
        }
        out.push(b'}');
        Some(out)
    }

    fn list(&mut self, fields: &'static [Field]) -> Option<Vec<u8>> {
        self.eat(b"[")?;
        let mut out = vec![b'['];
        while self.eat(b"]").is_none() {
            if out.len() > 1 {
                self.eat(b", ")?;
                out.push(b',');
            }
            out.extend(self.group(fields)?);
        }
        out.push(b']');
        Some(out)
    }

    /// The value of a struct's member that is no struct; within, None for null.
    #[expect(clippy::option_option, reason = "what cannot be read is no null")]
    fn scalar(&mut self, kind: &Kind) -> Option<Option<Vec<u8>>> {
        let rest = self.rest();
        let next_name =
            memchr::memmem::find_iter(rest, b", ").find(|at| name(&rest[at + 2..]).is_some());
        let end = memchr::memchr(b'}', rest)?.min(next_name.unwrap_or(usize::MAX));
        let value = &rest[..end];
        if value.iter().any(|byte| b"{[]".contains(byte)) {
            return None;
        }
        let is_truth = matches!(kind, Kind::Truth) && (value == b"true" || value == b"false");
        let json = match value {
            b"null" => None,
            value if is_truth => Some(value.to_owned()),
            value => Some(json::text(value)),
        };
        self.at += end;
        Some(json)
    }

    fn map(&mut self, is_outermost: bool) -> Option<Vec<u8>> {
        self.eat(b"{")?;
        let rest = self.rest();
        let end = if is_outermost {
            rest.len().checked_sub(1).filter(|end| rest[*end] == b'}')?
        } else {
            memchr::memchr(b'}', rest)?
        };
        let entries = &self.text[self.at..self.at + end];
        self.at += end + 1;
        let json = self.entries(entries)?;
        Some(json)
    }

    fn entries(&mut self, entries: &[u8]) -> Option<Vec<u8>> {
        if entries.is_empty() {
            return Some(b"{}".to_vec());
        }
        let mut starts = vec![0];
        starts.extend(
            memchr::memmem::find_iter(entries, b", ")
                .map(|at| at + 2)
                .filter(|at| name(&entries[*at..]).is_some()),
        );
        let is_one = starts.len() == 1;
        let mut out = vec![b'{'];
        let mut seen: Vec<&[u8]> = Vec::new();
        for (n, start) in starts.iter().enumerate() {
            let end = starts.get(n + 1).map_or(entries.len(), |next| next - 2);
            let entry = &entries[*start..end];
            let (key, value) = entry.split_at(name(entry)?);
            let value = &value[1..];
            let is_word = |byte: &u8| !byte.is_ascii_whitespace() && !b"{}[]\"'=".contains(byte);
            if seen.contains(&key) || !is_one && !value.iter().all(is_word) {
                return None;
            }
            seen.push(key);
            if value != b"null" {
                json::push_key(&mut out, key);
                json::push_text(&mut out, value);
            }
        }
        self.has_map |= !is_one;
        out.push(b'}');
        Some(out)
    }
}

/// How long the name is that a text begins with, and that has an equals sign behind it.
fn name(text: &[u8]) -> Option<usize> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(byte);
    let length = text.iter().take_while(|byte| is_name(byte)).count();
    (length > 0 && text.get(length) == Some(&b'=')).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::RECORD;

    #[track_caller]
    fn check(field: &str, text: &str, expected: Option<&str>) {
        let apart = apart(text.as_bytes(), &find(RECORD, field).unwrap().1);
        let json = apart.map(|apart| String::from_utf8(apart.json).unwrap());
        assert_eq!(json.as_deref(), expected, "{text}");
    }

    #[test]
    fn structs_are_taken_apart_where_they_read_in_one_way() {
        check("userIdentity", "{}", Some("{}"));
        check(
            "userIdentity",
            "{type=AssumedRole, principalid=AROA:a=b,c, arn=arn:aws:sts::1:assumed-role/r/a=b,c, \
             accountid=1, invokedby=null, accesskeyid=, username=Doe, Jane, \
             sessioncontext={attributes={mfaauthenticated=false, creationdate=2024-05-06T07:08:09Z}, \
             sessionissuer={type=Role, principalid=AROA, arn=x, accountid=1, username=r}, \
             ec2roledelivery=2.0, webidfederationdata={federatedprovider=null, attributes={}}}}",
            Some(
                r#"{"type":"AssumedRole","principalId":"AROA:a=b,c","arn":"arn:aws:sts::1:assumed-role/r/a=b,c","accountId":"1","accessKeyId":"","userName":"Doe, Jane","sessionContext":{"attributes":{"mfaAuthenticated":"false","creationDate":"2024-05-06T07:08:09Z"},"sessionIssuer":{"type":"Role","principalId":"AROA","arn":"x","accountId":"1","userName":"r"},"ec2RoleDelivery":"2.0","webIdFederationData":{"attributes":{}}}}"#,
            ),
        );
        for text in [
            "{type=IAMUser, username=a, x=1, accountid=1}",
            "{type=IAMUser, username=a, type=Root, accountid=1}",
            "{type=IAMUser, username=a}, accountid=1}",
            "{type=IAMUser, username={a}",
            "{type=IAMUser, username=a",
            "{type=IAMUser} ",
            "{IAMUser}",
            "IAMUser",
            "",
        ] {
            check("userIdentity", text, None);
        }
    }

    #[test]
    fn lists_of_structs_are_taken_apart() {
        check("resources", "[]", Some("[]"));
        check(
            "resources",
            "[{arn=arn:aws:s3:::b, accountid=1, type=AWS::S3::Bucket}, {arn=x, accountid=null, type=null}]",
            Some(
                r#"[{"ARN":"arn:aws:s3:::b","accountId":"1","type":"AWS::S3::Bucket"},{"ARN":"x"}]"#,
            ),
        );
        check("resources", "[{arn=a, b}, {arn=c]", None);
    }

    #[test]
    fn maps_are_taken_apart_where_no_value_can_hold_a_name() {
        check("requestParameters", "{}", Some("{}"));
        check("requestParameters", "{bucketName=b}", Some(r#"{"bucketName":"b"}"#));
        let free = r#"{"policy":"{\"a\": [1, 2]}"}"#;
        check("requestParameters", r#"{policy={"a": [1, 2]}}"#, Some(free));
        let two = r#"{"bucketName":"b","Host":"s3.amazonaws.com"}"#;
        check("requestParameters", "{bucketName=b, Host=s3.amazonaws.com, none=null}", Some(two));
        for text in [
            "{description=hello there, x=1}",
            "{a=1, a=2}",
            r#"{policy={"a": "b, c=d"}}"#,
            "{a=b=c, d=e}",
            "{a}",
            "{a=1",
        ] {
            check("requestParameters", text, None);
        }
        let kind = &find(RECORD, "requestParameters").unwrap().1;
        assert!(apart(b"{a=1, b=2}", kind).unwrap().has_map);
        assert!(!apart(b"{a=1}", kind).unwrap().has_map);
    }
}
