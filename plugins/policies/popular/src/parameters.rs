//! What a user may set of the policy.

use prorl_sdk::prelude::*;

/// How long paths of popular items are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PopularParameters {
    /// Items of a path; 0 = as many as a path may have.
    #[schemars(range(min = 0))]
    pub length: i64,
}

impl Parameters for PopularParameters {
    fn validate(&self) -> Result<()> {
        in_range("length", self.length, 0..)
    }
}
