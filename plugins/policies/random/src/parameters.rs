//! What a user may set of the policy.

use prorl_sdk::prelude::*;

/// How long random paths are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RandomParameters {
    /// Items of a path; 0 = drawn for every path, each length up to the longest equally likely.
    #[schemars(range(min = 0))]
    pub length: i64,
}

impl Parameters for RandomParameters {
    fn validate(&self) -> Result<()> {
        in_range("length", self.length, 0..)
    }
}
