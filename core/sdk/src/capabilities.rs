//! What a component may offer beyond the methods of its kind.
//!
//! A published trait never gains a method, because libraries built before would no longer fit. What is optional, or
//! came later, is a capability: a name that a component lists, and that the host looks for before it asks.

use crate::export::description::Kind;

/// A capability by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The components that may list it.
    pub kind: Kind,
    /// Its name.
    pub name: &'static str,
    /// What the host does with it, in a sentence.
    pub doc: &'static str,
}

/// All capabilities that this version knows. Names are never given up nor given another meaning.
pub const KNOWN: &[Capability] = &[
    of(
        Kind::RewardModel,
        "left_padded_scores",
        "Scores as ProRL's published training code has them, to repeat its results.",
    ),
    of(
        Kind::RewardModel,
        "path_details",
        "Likelihood of a path's items and ranks among new items; evaluations report them.",
    ),
    of(Kind::RewardModel, "prefix_states", "The user's state after every prefix, for analysis."),
    of(Kind::Policy, "fixed", "A mark: no algorithm can train it, and it is judged as it is."),
    of(Kind::Policy, "inspect", "Inner states by name, for parity tests and analysis."),
    of(Kind::Policy, "entropy", "Entropy of every choice, which a bonus for entropy needs."),
    of(Kind::Policy, "distribution", "Whole distributions, which an exact KL term needs."),
    of(Kind::Policy, "hidden", "States before every action, which a value head reads."),
    of(Kind::Algorithm, "early_stop", "Ends the updates with a batch when the policy has moved far enough."),
];

const fn of(kind: Kind, name: &'static str, doc: &'static str) -> Capability {
    Capability { kind, name, doc }
}

/// Those of a kind.
pub fn of_kind(kind: Kind) -> impl Iterator<Item = &'static Capability> {
    KNOWN.iter().filter(move |it| it.kind == kind)
}
