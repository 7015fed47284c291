//! What is wrong with a bag, by name.

use serde::{Deserialize, Serialize};

use crate::limits::PROBLEMS_MAX;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file in the bag, or what stands in place of one.
    pub path: String,
    /// What is wrong with it, for a person.
    pub problem: String,
}

/// All that is wrong: a list of bounded length, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problems {
    /// The first of them.
    pub named: Vec<Problem>,
    /// How many more there are.
    pub left_out: u64,
}

impl Problems {
    /// Adds one.
    pub fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        if self.named.len() < PROBLEMS_MAX {
            self.named.push(Problem { path: path.into(), problem: problem.into() });
        } else {
            self.left_out += 1;
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}
