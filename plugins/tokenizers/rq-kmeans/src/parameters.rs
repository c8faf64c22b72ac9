//! What a user may set.

use prorl_sdk::prelude::*;

/// What a user may set of `rq-kmeans`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RqKmeansParameters {
    /// Levels of residual quantisation; a code has one digit more, which tells collisions apart.
    #[schemars(range(min = 1, max = 16))]
    pub levels: i64,
    /// Entries of one level's codebook.
    #[schemars(range(min = 2, max = 65_536))]
    pub codebook_size: i64,
    /// Width of the embedding made from attributes and sequences; one that is read keeps its own.
    #[schemars(range(min = 1, max = 4_096))]
    pub dimensions: i64,
    /// Most rounds of k-means a level; it stops when no item moves.
    #[schemars(range(min = 1, max = 10_000))]
    pub iterations: i64,
    /// Items of a sequence at most this far apart count as seen together; 0: leave sequences out.
    #[schemars(range(min = 0, max = 1_000))]
    pub window: i64,
    /// Embedding matrix (`.npy` or `.safetensors`), a row an item in catalogue order, with or without a
    /// padding row first; absent: the data set's own, else attributes and sequences.
    pub embeddings: Option<String>,
    /// Name of the matrix in a `.safetensors` file that holds several.
    pub tensor: Option<String>,
    /// Weight of an item's attributes against its neighbours in sequences; 0: leave attributes out.
    #[schemars(range(min = 0.0, max = 1_000.0))]
    pub attribute_weight: f64,
    /// Seed of the factorisation and of k-means.
    pub seed: u64,
}

impl Default for RqKmeansParameters {
    fn default() -> Self {
        Self {
            levels: 3,
            codebook_size: 256,
            dimensions: 64,
            iterations: 50,
            window: 3,
            embeddings: None,
            tensor: None,
            attribute_weight: 1.0,
            seed: 0,
        }
    }
}

impl Parameters for RqKmeansParameters {
    fn validate(&self) -> Result<()> {
        in_range("levels", self.levels, 1..=16)?;
        in_range("codebook_size", self.codebook_size, 2..=65_536)?;
        in_range("dimensions", self.dimensions, 1..=4_096)?;
        in_range("iterations", self.iterations, 1..=10_000)?;
        in_range("window", self.window, 0..=1_000)?;
        in_range("attribute_weight", self.attribute_weight, 0.0..=1_000.0)
    }
}
