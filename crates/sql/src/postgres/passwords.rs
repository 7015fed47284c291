//! Who may connect. A file has a line `user:password` for each, and nobody but its owner may read it. What a
//! client is asked to prove is SCRAM-SHA-256, so that a password never travels.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::sasl::scram::gen_salted_password;
use datafusion_postgres::pgwire::api::auth::{AuthSource, LoginInfo, Password};
use datafusion_postgres::pgwire::error::PgWireResult;
use uuid::Uuid;

/// Rounds of hashing, as PostgreSQL has by default.
pub(super) const ITERATIONS: usize = 4_096;

/// Bytes of a file of passwords.
const BYTES_MAX: u64 = 64 << 10;

const SALT_BYTES: usize = 16;

/// Users, and their passwords as SCRAM compares them.
pub(crate) struct Passwords {
    /// Salt and salted password.
    users: HashMap<String, (Vec<u8>, Vec<u8>)>,
    /// From which the salt of a name that is none is made, so that a guess does not tell who there is.
    secret: [u8; 32],
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

impl Passwords {
    /// Reads a file of lines `user:password`; empty ones, and those that begin with `#`, are left out.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("{shown} cannot be read"))?;
        let mode = file.metadata().with_context(|| format!("{shown} cannot be read"))?.mode();
        ensure!(
            [0o070, 0o007].iter().all(|others| mode & others == 0),
            "{shown} holds passwords, and others than its owner may read it: chmod 600 {shown}"
        );
        let mut text = String::new();
        file.take(BYTES_MAX + 1)
            .read_to_string(&mut text)
            .with_context(|| format!("{shown} cannot be read"))?;
        ensure!(text.len() as u64 <= BYTES_MAX, "{shown} has more than {BYTES_MAX} bytes");
        Self::of(&text).with_context(|| format!("{shown}"))
    }

    pub(crate) fn of(text: &str) -> anyhow::Result<Self> {
        let mut users = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((user, password)) = line.split_once(':') else {
                bail!("line {number} is not user:password");
            };
            ensure!(!user.is_empty(), "line {number} names no user");
            ensure!(!password.is_empty(), "line {number} has no password");
            let salt = random()[..SALT_BYTES].to_vec();
            let salted = gen_salted_password(password, &salt, ITERATIONS);
            let known = users.insert(user.to_owned(), (salt, salted));
            ensure!(known.is_none(), "line {number} names {user} again");
        }
        ensure!(!users.is_empty(), "there is no user");
        Ok(Self { users, secret: random() })
    }
}

/// 244 random bits.
fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    let (first, second) = bytes.split_at_mut(16);
    first.copy_from_slice(Uuid::new_v4().as_bytes());
    second.copy_from_slice(Uuid::new_v4().as_bytes());
    bytes
}

#[async_trait]
impl AuthSource for Passwords {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        let user = login.user().unwrap_or_default();
        let (salt, salted) = match self.users.get(user) {
            Some((salt, salted)) => (salt.clone(), salted.clone()),
            // A proof for it cannot be made, and looks as if it could.
            None => {
                let salt = blake3::keyed_hash(&self.secret, user.as_bytes());
                (salt.as_bytes()[..SALT_BYTES].to_vec(), random().to_vec())
            }
        };
        Ok(Password::new(Some(salt), salted))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn lines_name_users() {
        let passwords = Passwords::of("# who\nana:a:b\n\nben:c\n").unwrap();
        assert_eq!(passwords.users.len(), 2);
        let (salt, salted) = &passwords.users["ana"];
        assert_eq!(*salted, gen_salted_password("a:b", salt, ITERATIONS));
        for (text, expected) in [
            ("", "there is no user"),
            ("ana", "line 1 is not user:password"),
            ("\n:x", "line 2 names no user"),
            ("ana:", "line 1 has no password"),
            ("ana:x\nana:y", "line 2 names ana again"),
        ] {
            assert_eq!(Passwords::of(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("passwords");
        fs::write(&file, "ana:x\n").unwrap();
        let with = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            with(mode);
            let error = Passwords::read(&file).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
        with(0o600);
        assert_eq!(Passwords::read(&file).unwrap().users.len(), 1);
    }
}
