//! Secrets that nobody can guess: made from the system's source, compared in a time that tells nothing.

use std::hint::black_box;

use uuid::Uuid;

/// 244 random bits, as 64 characters: two random UUIDs, of 122 bits each.
pub fn random() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Compares in a time that does not depend on where the two differ, so that nobody finds out a secret
/// byte by byte.
pub fn is_same(given: &[u8], wanted: &[u8]) -> bool {
    if given.len() != wanted.len() {
        return false;
    }
    let different =
        given.iter().zip(wanted).fold(0, |different, (a, b)| black_box(different | (a ^ b)));
    different == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_their_own_and_compared_whole() {
        let (one, other) = (random(), random());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
        assert!(is_same(one.as_bytes(), one.as_bytes()));
        for at in [0, 31, 63] {
            let mut changed = one.clone().into_bytes();
            changed[at] ^= 1;
            assert!(!is_same(&changed, one.as_bytes()), "{at}");
            assert!(!is_same(&one.as_bytes()[..at], one.as_bytes()), "{at}");
        }
    }
}
