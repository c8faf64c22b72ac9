//! What a component is told when it is made.

use crate::crossing;
use crate::error::{Error, Result};
use tch::{Device, Tensor};

crossing! {
    /// The problem at hand: catalogue, sizes, device.
    pub struct Setup {
        /// Real items `V`; ids are `1..=V`, 0 is padding.
        pub items: i64,
        /// Most items of a prompt's history, `H`.
        pub history: i64,
        /// Most intermediate items of a path, `P`.
        pub path: i64,
        /// Code of every item, `[V + 1, L]` int64 with a row of zeros for padding; absent where no
        /// tokenizer has run.
        pub codes: Option<Tensor>,
        /// Entries of one codebook, e.g. 256; 0 where no tokenizer has run.
        pub codebook_size: i64,
        /// `cpu`, `cuda` or `cuda:N`.
        pub device: String,
        /// Width `D` of the policy's hidden states, for algorithms; 0 where there are none or no policy is made yet.
        pub hidden: i64,
        /// How often the training sequences hold each item, 0 for padding; absent where none were read. // [V + 1] int64
        pub popularity: Option<Tensor>,
    }
}

impl Setup {
    /// The device on which parameters are to live and inputs will arrive.
    ///
    /// # Errors
    /// The name is none of `cpu`, `cuda`, `cuda:N`.
    pub fn device(&self) -> Result<Device> {
        match self.device.as_str() {
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(0)),
            name => name
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Device::Cuda)
                .ok_or_else(|| Error::Parameters(format!("device `{name}` is none of cpu, cuda, cuda:N"))),
        }
    }

    /// The items' codes `[V + 1, L]`.
    ///
    /// # Errors
    /// No tokenizer has run.
    pub fn codes(&self) -> Result<&Tensor> {
        self.codes
            .as_ref()
            .ok_or_else(|| Error::Unsupported("this component needs item codes, but no tokenizer has run".into()))
    }
}
