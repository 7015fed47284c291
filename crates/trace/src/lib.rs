//! Where credentials came from, and what they made: the answer to `GET /v1/trace`.
//!
//! Credentials come of events: an answer of STS has the key that a later event was made with. The
//! crate finds these events when it is asked, so one that arrives late, or in another region's file,
//! just joins. It asks an [`Engine`] for a few exact searches on indexed fields, and never knows the
//! index. Everything is bounded, and the answer says what a bound left out. Start at [`trace`].
//!
//! The rules that join, in this order, are those of [`wire::TraceRule`]:
//!
//! 1. The issued key is the key that was used.
//! 2. The issued session's principal and time are those of the session.
//! 3. A console session is a principal and a time; its keys change with each request.
//! 4. The session of an instance, a function or a task has its name.
//! 5. A key with `invokedBy` is a service's that acts for the principal.
//! 6. Records of one `sharedEventID` are one event.

#![warn(missing_docs, unreachable_pub)]

mod ask;
mod callers;
mod down;
mod finish;
mod graph;
mod issuers;
mod record;
mod siblings;
mod subject;
mod up;

use std::time::Instant;

use wire::engine::{Cancel, Engine};
use wire::limits::{
    TRACE_CHILDREN_DEFAULT, TRACE_CHILDREN_MAX, TRACE_DEPTH_DEFAULT, TRACE_DEPTH_MAX,
};
use wire::{ApiError, TraceGap, TraceRequest, TraceResponse};

use crate::ask::Asker;
use crate::graph::Graph;

/// Answers a request. [`wire::ErrorKind::NotFound`] where no event has what it asks for.
pub fn trace(
    engine: &dyn Engine,
    request: &TraceRequest,
    cancel: &Cancel,
) -> Result<TraceResponse, ApiError> {
    let started = Instant::now();
    let mut tracer = Tracer {
        ask: Asker::new(engine, cancel),
        graph: Graph::default(),
        gaps: Vec::new(),
        left_out: Vec::new(),
        depth: request.depth.unwrap_or(TRACE_DEPTH_DEFAULT).min(TRACE_DEPTH_MAX),
        children: request.children.unwrap_or(TRACE_CHILDREN_DEFAULT).clamp(1, TRACE_CHILDREN_MAX),
    };
    let subjects = tracer.subjects(&request.of)?;
    tracer.ascend(&subjects)?;
    tracer.siblings(&subjects)?;
    if request.down {
        tracer.descend(&subjects)?;
    }
    let mut response = tracer.finish(&subjects)?;
    response.took_ms = started.elapsed().as_secs_f64() * 1e3;
    Ok(response)
}

/// One trace on its way.
struct Tracer<'e> {
    ask: Asker<'e>,
    graph: Graph,
    gaps: Vec<TraceGap>,
    left_out: Vec<String>,
    depth: usize,
    children: usize,
}

impl Tracer<'_> {
    /// Tells what a bound left out, once.
    fn leave_out(&mut self, what: String) {
        /// Sentences, at most; each names a node.
        const LEFT_OUT_MAX: usize = 20;
        if self.left_out.len() < LEFT_OUT_MAX && !self.left_out.contains(&what) {
            self.left_out.push(what);
        }
    }
}
