//! What happened, counted once per place: globally, per policy and per SA.
//!
//! The plane raises one [`Happened`]. What it counts, and under which name, stand in three lists of
//! blocks: [`Happened::BLOCKS`], [`Happened::POLICY_BLOCKS`] and [`Happened::SA_BLOCKS`].

mod algorithm;
mod block;
mod happened;
mod never;
mod part;

pub(crate) use algorithm::{Algorithm, AlgorithmEvent};
pub use block::{Block, Cell, Line, Scope, Tally};
pub use happened::Happened;
pub use part::{OnPolicy, OnSa};

/// What happened over all policies.
pub type Counters = Tally<Happened, { Happened::ALL.len() }>;
/// What happened on one policy.
pub type PolicyCounters = Tally<OnPolicy, { part::ON_POLICY }>;
/// What happened on one SA, in both directions.
pub type SaCounters = Tally<OnSa, { part::ON_SA }>;
