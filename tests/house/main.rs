//! The rules of the repository, read from its sources and from cargo. Uses nothing of the library.

mod layers;
mod licences;
