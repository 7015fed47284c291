//! Who may ask, among those whom the socket's mode lets in, and which of them may operate the daemon:
//! compares a client's user and groups with lists.
//!
//! The kernel says who connected. Names become numbers when the lists are made. If the lists alone
//! do not decide, the user database is asked for the user's groups, which can block.

use rustix::process::geteuid;

/// The users and groups that may ask, and the users that may operate. By default, everyone whom the
/// socket's mode lets in may ask, and root and our own user may operate.
#[derive(Clone, Debug, Default)]
pub struct Access {
    users: Vec<u32>,
    groups: Vec<u32>,
    operators: Vec<u32>,
}

/// A client's user and group at the time it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) user: u32,
    /// The primary group of the client's process.
    pub(crate) group: u32,
}

/// The error of a configured name that the user database does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` names {name:?}, and this machine has no {kind} of that name")]
pub struct NoSuchName {
    key: &'static str,
    kind: &'static str,
    name: String,
}

impl Access {
    /// Looks up `socket.allowed_users`, `socket.allowed_groups` and `socket.operators`, which are
    /// names, or numbers as text.
    pub fn new(
        users: &[String],
        groups: &[String],
        operators: &[String],
    ) -> Result<Self, NoSuchName> {
        let group = |name: &String| group_number("socket.allowed_groups", name);
        Ok(Self {
            users: user_numbers("socket.allowed_users", users)?,
            groups: groups.iter().map(group).collect::<Result<_, _>>()?,
            operators: user_numbers("socket.operators", operators)?,
        })
    }

    /// Whether both lists are empty, so that everyone may ask.
    pub fn is_open(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// Whether the client may ask. Can block.
    pub(crate) fn allows(&self, peer: Peer) -> bool {
        self.is_open()
            || self.may_operate(peer.user)
            || self.users.contains(&peer.user)
            || self.groups.contains(&peer.group)
            || !self.groups.is_empty() && self.has_group_of(peer.user)
    }

    /// Whether the user may do more than ask: rebuild and check the index, and change what others
    /// have saved.
    pub(crate) fn may_operate(&self, user: u32) -> bool {
        user == 0 || user == geteuid().as_raw() || self.operators.contains(&user)
    }

    fn has_group_of(&self, user: u32) -> bool {
        let Some(user) = uzers::get_user_by_uid(user) else { return false };
        let groups = user.groups().unwrap_or_default();
        groups.iter().any(|group| self.groups.contains(&group.gid()))
    }
}

fn user_numbers(key: &'static str, names: &[String]) -> Result<Vec<u32>, NoSuchName> {
    let user = |name: &String| {
        let found = || uzers::get_user_by_name(name).map(|user| user.uid());
        number(name, found).ok_or_else(|| NoSuchName { key, kind: "user", name: name.clone() })
    };
    names.iter().map(user).collect()
}

/// Looks up a group by name, or by its number as text. `key` is the setting, for the error.
pub fn group_number(key: &'static str, name: &str) -> Result<u32, NoSuchName> {
    let found = || uzers::get_group_by_name(name).map(|group| group.gid());
    number(name, found).ok_or_else(|| NoSuchName { key, kind: "group", name: name.to_owned() })
}

/// What looks like a number is one, whatever names there are.
fn number(name: &str, find: impl FnOnce() -> Option<u32>) -> Option<u32> {
    if name.bytes().all(|byte| byte.is_ascii_digit()) { name.parse().ok() } else { find() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: Peer = Peer { user: 4_000_001, group: 4_000_002 };

    fn access(users: &[&str], groups: &[&str]) -> Result<Access, String> {
        let owned =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Access::new(&owned(users), &owned(groups), &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn without_lists_whoever_connects_may_ask() {
        assert!(access(&[], &[]).unwrap().allows(STRANGER));
    }

    #[test]
    fn a_stranger_is_in_no_list() {
        for (users, groups) in [(&["1"][..], &[][..]), (&[], &["1"]), (&["4000002"], &["4000001"])]
        {
            assert!(!access(users, groups).unwrap().allows(STRANGER), "{users:?} {groups:?}");
        }
    }

    #[test]
    fn a_user_is_let_in_by_number_and_by_group() {
        assert!(access(&["7", "4000001"], &[]).unwrap().allows(STRANGER));
        assert!(access(&["7"], &["8", "4000002"]).unwrap().allows(STRANGER));
    }

    #[test]
    fn root_and_our_own_user_are_always_let_in() {
        let access = access(&["7"], &["7"]).unwrap();
        for user in [0, geteuid().as_raw()] {
            assert!(access.allows(Peer { user, ..STRANGER }), "{user}");
        }
    }

    #[test]
    fn who_may_ask_may_not_operate_and_who_may_operate_may_ask() {
        let own = geteuid().as_raw();
        let other = |user: u32| if user == own { user + 1 } else { user };
        let (asker, operator) = (other(4_000_011), other(4_000_021));
        for users in [vec![], vec![asker.to_string()]] {
            let access = Access::new(&users, &[], &[operator.to_string()]).unwrap();
            for (user, may_operate) in [(0, true), (own, true), (operator, true), (asker, false)] {
                assert_eq!(access.may_operate(user), may_operate, "{user} {users:?}");
                assert!(access.allows(Peer { user, ..STRANGER }), "{user} {users:?}");
            }
            assert!(!access.may_operate(STRANGER.user));
            assert_eq!(access.allows(STRANGER), users.is_empty());
        }
        let error = Access::new(&[], &[], &["no such user".to_owned()]).unwrap_err().to_string();
        assert!(error.starts_with("`socket.operators` names \"no such user\""), "{error}");
    }

    #[test]
    fn names_are_those_of_the_user_database() {
        let access = access(&["root"], &["root"]).unwrap();
        assert_eq!((access.users, access.groups), (vec![0], vec![0]));
        assert_eq!(
            self::access(&["no such user"], &[]).unwrap_err(),
            "`socket.allowed_users` names \"no such user\", and this machine has no user of that name"
        );
        for name in ["no such group", "99999999999", "a\0b", ""] {
            let error = self::access(&[], &[name]).unwrap_err();
            assert!(error.ends_with("has no group of that name"), "{error}");
        }
    }

    /// Every user of the database is in the groups that it lists them for.
    #[test]
    fn a_user_is_let_in_by_each_group_of_the_database() {
        let text = std::fs::read_to_string("/etc/group").unwrap_or_default();
        for line in text.lines() {
            let [_, _, number, members] = line.split(':').collect::<Vec<_>>()[..] else { continue };
            for member in members.split(',').filter(|member| !member.is_empty()) {
                let Some(user) = uzers::get_user_by_name(member) else { continue };
                let peer = Peer { user: user.uid(), ..STRANGER };
                assert!(access(&[], &[number]).unwrap().allows(peer), "{member} in {line}");
            }
        }
    }
}
