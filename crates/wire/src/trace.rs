//! `GET /v1/trace`: where credentials came from, and what they made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ValueCount;

/// `GET /v1/trace?of=…&down=…&depth=…&children=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceRequest {
    /// What is traced: an access key, the ARN or the name of a role or a user, an `eventID` or its
    /// beginning, an instance, or an address.
    pub of: String,
    /// Whether descendants are traced, too: what was made with these credentials.
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub down: bool,
    /// Steps upwards, and steps downwards, at most: 8 if absent, 32 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
    /// Neighbours of one node, at most: 50 if absent, 500 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<usize>,
}

/// The answer to `GET /v1/trace`: nodes, each an identity or a thing that has one, and edges, each an
/// event or a fact that one came from the other by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceResponse {
    /// The `id` of the nodes that were asked for.
    pub subjects: Vec<String>,
    /// What was found; those asked for come first.
    pub nodes: Vec<TraceNode>,
    /// What joins them, from the origin to what came of it.
    pub edges: Vec<TraceEdge>,
    /// Where an issuing event must have been, and is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<TraceGap>,
    /// What a bound left out, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Why the index may lack events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How many searches it took.
    pub searches: u64,
    /// Milliseconds that it took.
    pub took_ms: f64,
}

/// What a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TraceKind {
    /// An access key, of a user or a session.
    #[default]
    Key,
    /// A session whose keys change: one principal and one time of issue.
    Session,
    /// A user, the root of an account, or whom an identity provider vouches for.
    Principal,
    /// A role.
    Role,
    /// An EC2 instance.
    Instance,
    /// A Lambda function.
    Function,
    /// A task of ECS.
    Task,
    /// An AWS service that acts by itself.
    Service,
    /// Another account.
    Account,
    /// An address.
    Address,
}

impl TraceKind {
    /// The name as it stands in an answer.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Session => "session",
            Self::Principal => "principal",
            Self::Role => "role",
            Self::Instance => "instance",
            Self::Function => "function",
            Self::Task => "task",
            Self::Service => "service",
            Self::Account => "account",
            Self::Address => "address",
        }
    }
}

/// Where a node stands to those asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TracePlace {
    /// It was asked for.
    #[default]
    Subject,
    /// What was asked for came of it.
    Ancestor,
    /// It came of what was asked for.
    Descendant,
    /// It belongs to the same session as what was asked for.
    Sibling,
}

/// An identity, or a thing that has one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceNode {
    /// Names the node in this answer: its kind, a colon and its name.
    pub id: String,
    /// What it is.
    pub kind: TraceKind,
    /// The key, the user, the role, the instance … as records name it.
    pub name: String,
    /// Where it stands to what was asked for.
    pub place: TracePlace,
    /// Whom it is of, in one readable name; absent where nothing tells.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
    /// The account that it is of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// How many events it was used in; absent where uses were not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u64>,
    /// Of a session, how many keys it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<u64>,
    /// Its first use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<TraceEvent>,
    /// The time of its last use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// The addresses that it was used from, the most frequent first, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<ValueCount>,
    /// Why it stands out, a sentence each: credentials of an instance that were used outside of it, a
    /// session used from several addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<String>,
    /// What else is to be said, a sentence each: `sourceIdentity`, `onBehalfOf`, what AWS hides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An event of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceEvent {
    /// Its `meta.id`.
    pub id: String,
    /// Its time.
    pub time: String,
    /// Its `eventName`.
    pub action: String,
    /// Who acted.
    pub actor: String,
    /// From which address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// In which region.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// In which account.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// The file that it is in.
    pub file: String,
    /// Other records of the same call, by their `sharedEventID`: account and `meta.id`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<TraceShared>,
}

/// Another account's record of the same call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceShared {
    /// Its `meta.id`.
    pub id: String,
    /// Its account.
    pub account: String,
}

/// How two nodes were joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TraceRule {
    /// The event's answer has the key that was used.
    #[default]
    IssuedKey,
    /// The event's answer has the session's principal, and its time is that of the session.
    SessionTime,
    /// A console session: its principal and its time.
    Console,
    /// The credentials of an instance, a function or a task, by the session's name.
    Instance,
    /// Keys that a service made to act for a principal.
    Forwarded,
    /// The key or session is of that user, role or account; no event of its issue is known.
    Owner,
    /// The event made the user, the role, the instance or the function, or gave it a way in.
    Made,
    /// The role was assumed.
    Assumed,
    /// The credentials were used from that address.
    UsedFrom,
}

/// How certain an edge is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TraceCertainty {
    /// A record says so.
    #[default]
    Certain,
    /// Two records agree in what would hardly agree by chance.
    Likely,
    /// Several events fit, and each is shown.
    Ambiguous,
}

/// What joins two nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceEdge {
    /// The node that is the origin.
    pub from: String,
    /// The node that came of it.
    pub to: String,
    /// The event that joins them, the first where there are several; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<TraceEvent>,
    /// How they were joined.
    pub rule: TraceRule,
    /// How certain that is.
    pub certainty: TraceCertainty,
    /// How many such events there are; absent for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
}

/// An issuing event that must have been, and is not in the index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceGap {
    /// The node whose issue is not known.
    pub node: String,
    /// What is missing, in a sentence.
    pub missing: String,
    /// When it must have been; absent where nothing tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The files that have events of that hour, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// How many files have events of that hour; absent where they were not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_total: Option<u64>,
}
