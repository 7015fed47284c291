//! The rules of the repository, read from its sources and from cargo. Uses nothing of the library.

mod hashes;
mod layers;
mod licences;
