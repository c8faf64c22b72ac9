//! The problem that components are checked on: small, and made without random numbers.

use prorl_sdk::prelude::*;
use prorl_sdk::rewards;

/// Items `V`.
pub const ITEMS: i64 = 30;
/// Columns of histories `H`; the last is always padding.
pub const HISTORY: i64 = 5;
/// Most items of a path `P`.
pub const PATH: i64 = 4;
/// Prompts `B`.
pub const BATCH: i64 = 6;
/// Paths of a prompt `G`.
pub const GROUP: i64 = 3;
/// Width of hidden states `D`, for algorithms.
pub const HIDDEN: i64 = 8;
/// Digits of a code `L`.
pub const DIGITS: i64 = 3;
/// Entries of one codebook.
pub const CODEBOOK: i64 = 8;

/// Inputs on one device.
pub struct Problem {
    /// Where inputs lie and answers should.
    pub device: Device,
}

impl Problem {
    /// The problem on `device`.
    pub fn on(device: Device) -> Self {
        Self { device }
    }

    /// Whole numbers `0, 1, …` in `size`.
    fn counting(&self, size: &[i64]) -> Tensor {
        Tensor::arange(size.iter().product::<i64>(), (Kind::Int64, self.device)).view(size)
    }

    /// Numbers in [−1, 1] without pattern.
    pub fn waves(&self, size: &[i64], pace: f64) -> Tensor {
        (self.counting(size).to_kind(Kind::Float) * pace + 0.5).sin()
    }

    /// Items in `size` without pattern.
    fn items(&self, size: &[i64], pace: i64) -> Tensor {
        (self.counting(size) * pace + 4).remainder(ITEMS) + 1
    }

    /// What components are told; `codes` only where a tokenizer has run.
    pub fn setup(&self, codes: bool) -> Setup {
        let item = self.counting(&[ITEMS + 1]);
        let digits = [item.floor_divide_scalar(CODEBOOK), item.remainder(CODEBOOK), item.ones_like()];
        let table = Tensor::stack(&digits, 1) * item.gt(0).unsqueeze(-1).to_kind(Kind::Int64); // [V + 1, L]
        let device = match self.device {
            Device::Cuda(index) => format!("cuda:{index}"),
            _ => "cpu".into(),
        };
        Setup {
            items: ITEMS,
            history: HISTORY,
            path: PATH,
            codes: codes.then_some(table),
            codebook_size: if codes { CODEBOOK } else { 0 },
            device,
            hidden: HIDDEN,
            popularity: Some(&item.remainder(7) * &item.gt(0).to_kind(Kind::Int64)),
        }
    }

    /// Histories of 1 to 4 items in 5 columns, and targets.
    pub fn prompts(&self) -> Prompts {
        let length = self.counting(&[BATCH, 1]).remainder(HISTORY - 1) + 1; // [B, 1]
        let holds = self.counting(&[HISTORY]).lt_tensor(&length); // [B, H]
        let history = self.items(&[BATCH, HISTORY], 7) * holds.to_kind(Kind::Int64);
        Prompts { history, target: self.items(&[BATCH], 11) }
    }

    /// Paths of 0 to 4 items, repeats and codes that are no item among them.
    pub fn paths(&self) -> Paths {
        let number = self.counting(&[BATCH, GROUP]); // [B, G]
        let length = (&number * 2 + number.floor_divide_scalar(GROUP)).remainder(PATH + 1); // [B, G]
        let invalid = self.counting(&[BATCH, GROUP, PATH]).remainder(7).eq(5); // [B, G, P]
        let holds = self.counting(&[PATH]).lt_tensor(&length.unsqueeze(-1)); // [B, G, P]
        let kept = holds.logical_and(&invalid.logical_not()).to_kind(Kind::Int64);
        let items = self.items(&[BATCH, GROUP, PATH], 13) * kept;
        let stopped = length.lt(PATH);
        Paths { items, length, stopped, tokens: None }
    }

    /// One path a prompt, as data hold them: 1 to 4 valid items.
    pub fn given_paths(&self) -> Paths {
        let length = self.counting(&[BATCH, 1]).remainder(PATH) + 1; // [B, 1]
        let holds = self.counting(&[PATH]).lt_tensor(&length.unsqueeze(-1)); // [B, 1, P]
        Paths::from_items(self.items(&[BATCH, 1, PATH], 3) * holds.to_kind(Kind::Int64))
    }

    /// Sequences of 2 to 5 items with the item that follows each but the last.
    pub fn sequences(&self) -> Sequences {
        let (rows, width) = (2 * BATCH, HISTORY);
        let length = self.counting(&[rows, 1]).remainder(4) + 2; // [N, 1]
        let all = self.items(&[rows, width + 1], 7); // [N, T + 1]
        let held = |least: i64| self.counting(&[width]).lt_tensor(&(&length - least)).to_kind(Kind::Int64);
        Sequences { items: all.narrow(1, 0, width) * held(0), labels: all.narrow(1, 1, width) * held(1) }
    }

    /// Judged paths, with the policy's states.
    pub fn scored(&self) -> ScoredPaths {
        let paths = self.paths();
        let size = [BATCH, GROUP, PATH];
        let valid = rewards::real(&paths).logical_or(&paths.repeated()); // [B, G, P]
        let keep = |values: Tensor| values.masked_fill(&valid.logical_not(), 0.0);
        ScoredPaths {
            ioi: keep(self.waves(&size, 2.3)),
            ior: keep((self.waves(&size, 1.7) * 9.0).round()),
            ctr: keep(self.waves(&size, 0.9).abs()),
            hidden: Some(self.waves(&[BATCH, GROUP, PATH + 1, HIDDEN], 1.1)),
            items: paths.items,
            length: paths.length,
            stopped: paths.stopped,
        }
    }

    /// Thirty items with attributes, six users' sequences.
    pub fn catalogue(&self, items: i64) -> Catalogue {
        let integers = (Kind::Int64, Device::Cpu);
        let raw_ids = (0..=items).map(|item| if item == 0 { String::new() } else { format!("item-{item}") });
        let offsets = (Tensor::arange(items + 2, integers) - 1).clamp_min(0) * 2; // two attributes an item, padding none
        let each = if items == 0 { 0 } else { 5 };
        Catalogue {
            raw_ids: raw_ids.collect(),
            attribute_offsets: offsets,
            attribute_values: (Tensor::arange(items * 2, integers) * 3).remainder(7),
            sequence_offsets: Tensor::arange(BATCH + 1, integers) * each,
            sequence_items: (Tensor::arange(BATCH * each, integers) * 7).remainder(items.max(1)) + 1,
            semantic_ids: None,
            embeddings: None,
        }
    }
}
