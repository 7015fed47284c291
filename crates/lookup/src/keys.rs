//! The access keys that clients may sign with, from a file that nobody else can read.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use rustix::process::geteuid;
use serde::Deserialize;

/// Bits of a mode that let others than the owner in.
const OTHERS: u32 = 0o077;

/// The access keys, by their ids.
#[derive(Debug)]
pub struct Keys(HashMap<String, AccessKey>);

/// A secret, and the accounts whose events its owner may see.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKey {
    pub(crate) secret: String,
    /// The accounts whose events it may see; None is all accounts.
    pub(crate) accounts: Option<Vec<String>>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads the file of keys. It must belong to root or our own user and be closed to others. The
    /// error never repeats its text.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let cannot = || format!("cannot read the access keys {shown} (`aws.keys_file`)");
        let mut file = File::open(path).with_context(cannot)?;
        // Of the file that is open: its name may mean another one by now.
        let found = file.metadata().with_context(cannot)?;
        let (owner, mode) = (found.uid(), found.mode() & 0o7777);
        if mode & OTHERS != 0 {
            bail!(
                "the access keys {shown} have mode {mode:04o}: others than their owner can get at \
                 them; run chmod 600 {shown}"
            );
        }
        if ![0, geteuid().as_raw()].contains(&owner) {
            bail!(
                "the access keys {shown} belong to user {owner}, who could change them; run chown {} \
                 {shown}",
                geteuid().as_raw()
            );
        }
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(cannot)?;
        Self::parse(&text).map_err(|what| anyhow::anyhow!("the access keys {shown}: {what}"))
    }

    pub(crate) fn get(&self, id: &str) -> Option<&AccessKey> {
        self.0.get(id)
    }

    /// The error never repeats the text, which holds secrets.
    fn parse(text: &str) -> Result<Self, String> {
        let keys: HashMap<String, AccessKey> = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| text.floor_char_boundary(span.start));
            let line = text[..start].matches('\n').count() + 1;
            format!("line {line} is not as in [AKIDEXAMPLE] secret = \"…\", accounts = [\"1…\"]")
        })?;
        if keys.is_empty() {
            return Err("there is none; aws.auth = \"none\" answers whoever connects".to_owned());
        }
        for (id, key) in &keys {
            if key.secret.is_empty() {
                return Err(format!("the secret of {id} is empty"));
            }
            if key.accounts.as_ref().is_some_and(Vec::is_empty) {
                return Err(format!("accounts of {id} is empty; without it, the key is told all"));
            }
        }
        Ok(Self(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_secret_and_perhaps_accounts() {
        let keys = Keys::parse("[A]\nsecret = 's'\n[B]\nsecret = 't'\naccounts = ['1', '2']\n");
        let keys = keys.unwrap();
        assert_eq!(keys.get("A").map(|key| (&*key.secret, &key.accounts)), Some(("s", &None)));
        let accounts = keys.get("B").unwrap().accounts.as_ref().unwrap();
        assert_eq!(accounts, &["1", "2"]);
        assert!(keys.get("C").is_none());
        assert!(!format!("{keys:?}").contains("secret"));
    }

    #[test]
    fn what_is_wrong_is_told_without_the_secrets() {
        for (text, expected) in [
            ("[A]\nsecret = 'hush", "line 2 is not as in"),
            ("[A]\nsecret = 'hush'\nacounts = ['1']\n", "line 3 is not as in"),
            ("[A]\nsecret = ''\n", "the secret of A is empty"),
            ("[A]\nsecret = 'hush'\naccounts = []\n", "accounts of A is empty"),
            ("", "there is none"),
        ] {
            let error = Keys::parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
