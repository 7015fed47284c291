//! What CloudTrail's digest files say of an archive: a verdict of each file, and a report of all.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use trail::time::Micros;

/// What the digests say of a file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Integrity {
    /// A digest whose signature is verified lists the file with this hash.
    Verified,
    /// A digest lists the file with this hash, and the digest's signature cannot be verified here.
    Listed,
    /// A digest lists the file with another hash.
    Mismatch,
    /// The file's hour has a digest, and no digest lists the file.
    Unlisted,
    /// The file's account and region have digests, and none for its hour that counts.
    NotCovered,
    /// A digest lists the file with this hash, and something follows its compressed data.
    TrailingData,
    /// The file's account and region have no digests.
    NoDigest,
    /// A digest lists the file, and the copy does not have it.
    Missing,
}

impl Integrity {
    /// Every state with its name in the API, in the order of declaration.
    pub const ALL: [(&'static str, Self); 8] = [
        ("verified", Self::Verified),
        ("listed", Self::Listed),
        ("mismatch", Self::Mismatch),
        ("unlisted", Self::Unlisted),
        ("not-covered", Self::NotCovered),
        ("trailing-data", Self::TrailingData),
        ("no-digest", Self::NoDigest),
        ("missing", Self::Missing),
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What is known of a digest file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DigestState {
    /// Its signature is verified.
    Verified,
    /// Its signature is not in the copy, or its key is not among those given.
    Unverified,
    /// Its signature is wrong: it was changed, or AWS did not make it.
    Invalid,
    /// It lies in another place than it says.
    Moved,
    /// Something follows its compressed data, or it follows another digest than it says.
    Damaged,
    /// It cannot be read.
    Unreadable,
    /// A digest names it as the one before, or its metadata is there, and the copy does not have it.
    Missing,
}

impl DigestState {
    /// Every state with its name in the API, in the order of declaration.
    pub const ALL: [(&'static str, Self); 7] = [
        ("verified", Self::Verified),
        ("unverified", Self::Unverified),
        ("invalid", Self::Invalid),
        ("moved", Self::Moved),
        ("damaged", Self::Damaged),
        ("unreadable", Self::Unreadable),
        ("missing", Self::Missing),
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

impl fmt::Display for DigestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How many files or digests are in a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateCount<S> {
    /// The state.
    pub state: S,
    /// How many.
    pub count: u64,
}

impl<S: Copy + Ord> StateCount<S> {
    /// Counts one more of a state, in a list in the order of states.
    pub fn add(list: &mut Vec<Self>, state: S) {
        match list.binary_search_by_key(&state, |of| of.state) {
            Ok(at) => list[at].count += 1,
            Err(at) => list.insert(at, Self { state, count: 1 }),
        }
    }
}

/// A file, or a digest, that is not verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Named<S> {
    /// Its path; of one that is missing, where it would be.
    pub path: String,
    /// The state.
    pub state: S,
    /// Why, for a person; absent where the state says all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Hours without a digest that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// When the digest before ends.
    pub start: Micros,
    /// When the digest after starts.
    pub end: Micros,
    /// When each of the hours begins, the first 1,000.
    pub hours: Vec<Micros>,
    /// What the chain says of it.
    pub reason: String,
}

/// The digests of one trail, account and region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chain {
    /// The trail's name.
    pub trail: String,
    /// The account, behind the organisation if there is one: `o-exampleorg/111122223333`.
    pub account: String,
    /// The region that it records.
    pub region: String,
    /// The trail's home region.
    pub home_region: String,
    /// The bucket that its digests name.
    pub bucket: String,
    /// Whether its digests were made later, for a time without any.
    #[serde(default)]
    pub is_backfill: bool,
    /// Digests that were found.
    pub digests: u64,
    /// Of them, those whose signature is verified.
    pub verified: u64,
    /// When the first digest starts.
    pub start: Micros,
    /// When the last digest ends.
    pub end: Micros,
    /// When the first verified digest starts; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_from: Option<Micros>,
    /// When the last verified digest ends; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_to: Option<Micros>,
    /// Hours without a digest, the first 1,000 of such gaps.
    pub gaps: Vec<Gap>,
}

/// What a validation found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ValidateReport {
    /// All that was asked is verified: each file and each digest, without a gap.
    pub is_verified: bool,
    /// Files that were looked at, and files that are missing, by state.
    pub files: Vec<StateCount<Integrity>>,
    /// Digests, by state.
    pub digests: Vec<StateCount<DigestState>>,
    /// Public keys that were given.
    pub keys: u64,
    /// When the first verified digest starts; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_from: Option<Micros>,
    /// When the last verified digest ends; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_to: Option<Micros>,
    /// The chains, the first 10,000.
    pub chains: Vec<Chain>,
    /// Digests that are not verified, and what is wrong with those that are; the first 10,000.
    pub digests_named: Vec<Named<DigestState>>,
    /// Files that are not verified, the first 10,000.
    pub files_named: Vec<Named<Integrity>>,
    /// Chains, digests and files that these lists leave out.
    pub left_out: u64,
    /// What else a person should know, such as a file of keys that cannot be read.
    pub notes: Vec<String>,
}

impl ValidateReport {
    /// How many files are in a state.
    pub fn files_in(&self, state: Integrity) -> u64 {
        self.files.iter().find(|of| of.state == state).map_or(0, |of| of.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_states_are_in_the_order_of_their_variants() {
        for (name, state) in Integrity::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{name}\""));
            assert_eq!(state.name(), name);
        }
        for (name, state) in DigestState::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{name}\""));
            assert_eq!(state.name(), name);
        }
    }
}
