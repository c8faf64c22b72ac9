//! Items to tokens: digit `i` of a code is token `c_i + codebook * i + 1`; 0 pads; the last is `eos`.

use crate::layout::Layout;
use prorl_sdk::error::{Error, Result};
use prorl_sdk::prompts::{Paths, Prompts};
use tch::{Kind, Tensor};

/// How items are spelled (method, section 2).
pub struct Vocabulary {
    /// Entries of one codebook.
    pub codebook: i64,
    /// Digits of a code, `L`.
    pub digits: i64,
    /// Tokens of every item, zeros for padding. // [V + 1, L]
    spelling: Tensor,
}

/// Token sequences cut to the longest, 0 after their ends.
pub struct Spelled {
    pub tokens: Tensor,  // [rows, T]
    pub lengths: Tensor, // [rows]
    /// Positions before the ends, of all rows.
    pub total: i64,
}

impl Spelled {
    fn cut(tokens: &Tensor, lengths: Tensor) -> Self {
        let (longest, total) = Layout::extent(&lengths);
        let longest = longest.max(1);
        Self { tokens: tokens.narrow(1, 0, longest), lengths, total }
    }

    /// Where the real positions are; padding goes where they are less than `worth` of all.
    pub fn layout(&self, worth: f64) -> Layout {
        Layout::new(&self.lengths, self.tokens.size()[1], self.total, worth)
    }

    /// Whether any row is shorter than the longest.
    pub fn padded(&self) -> bool {
        self.total < self.tokens.numel() as i64
    }

    /// 1 at the last item, which an end token follows, 0 elsewhere: in a prompt, where its target is. // [rows, T] float
    pub fn targets(&self, digits: i64) -> Tensor {
        let steps = Tensor::arange(self.tokens.size()[1], (Kind::Int64, self.tokens.device()));
        let end = (&self.lengths - 1).unsqueeze(-1); // [rows, 1]
        steps.ge_tensor(&(&end - digits)).logical_and(&steps.lt_tensor(&end)).to_kind(Kind::Float)
    }

    /// What the decoder reads: the start token 0, then all tokens but the last. // [rows, T]
    pub fn shifted(&self) -> Tensor {
        let (rows, time) = (self.tokens.size()[0], self.tokens.size()[1]);
        let start = self.tokens.new_zeros([rows, 1], (Kind::Int64, self.tokens.device()));
        Tensor::cat(&[start, self.tokens.narrow(1, 0, time - 1)], 1)
    }
}

impl Vocabulary {
    /// The vocabulary of `codes` `[V + 1, L]`.
    ///
    /// # Errors
    /// The table is no table, or a digit lies outside its codebook.
    pub fn new(codes: &Tensor, codebook: i64) -> Result<Self> {
        let size = codes.size();
        if size.len() != 2 || size[0] < 2 || size[1] < 1 {
            return Err(Error::Tensor(format!("item codes have shape {size:?}, but should be [items + 1, digits]")));
        }
        let (least, most) = (codes.min().int64_value(&[]), codes.max().int64_value(&[]));
        if least < 0 || most >= codebook {
            return Err(Error::Input(format!(
                "item codes lie in {least}..={most}, but a codebook has the entries 0..{codebook}"
            )));
        }
        let first = Tensor::arange(size[1], (Kind::Int64, codes.device())) * codebook + 1; // [L]
        let spelling = codes.to_kind(Kind::Int64) + first;
        let _ = spelling.get(0).zero_();
        Ok(Self { codebook, digits: size[1], spelling })
    }

    /// The token that ends a sequence.
    pub fn eos(&self) -> i64 {
        self.codebook * self.digits + 2
    }

    /// Number of tokens.
    pub fn size(&self) -> i64 {
        self.eos() + 1
    }

    /// Token of entry 0 of a digit.
    pub fn first(&self, digit: i64) -> i64 {
        self.codebook * digit + 1
    }

    /// What the encoder reads: history, target, `eos`, packed. // rows = B
    pub fn prompts(&self, prompts: &Prompts) -> Spelled {
        let known = prompts.history.ne(0).sum_dim_intlist(-1, false, Kind::Int64); // [B]
        let room = prompts.target.new_zeros([prompts.len(), 1], (Kind::Int64, prompts.target.device()));
        let items =
            Tensor::cat(&[&prompts.history, &room], 1).scatter(1, &known.unsqueeze(-1), &prompts.target.unsqueeze(-1)); // [B, H + 1]
        self.ended(&items, &(&known + 1), &Tensor::ones_like(&known))
    }

    /// What the decoder is to say: the policy's own spelling where there is one, else the items', then `eos`
    /// where the path stopped. // rows = B * G
    pub fn paths(&self, paths: &Paths) -> Spelled {
        let length = paths.length.flatten(0, 1); // [B * G]
        match &paths.tokens {
            Some(tokens) => self.own(&tokens.flatten(0, 1), &length),
            None => {
                let stopped = paths.stopped.flatten(0, 1).to_kind(Kind::Int64);
                self.ended(&paths.items.flatten(0, 1), &length, &stopped)
            }
        }
    }

    /// A spelling: up to the first `eos`, else as long as its items.
    fn own(&self, tokens: &Tensor, length: &Tensor) -> Spelled {
        let ends = tokens.eq(self.eos()).to_kind(Kind::Int64); // [rows, T]
        let (any, first) = ends.max_dim(-1, false);
        let whole = (length * self.digits).clamp_max(tokens.size()[1]);
        Spelled::cut(tokens, (first + 1).where_self(&any.gt(0), &whole))
    }

    fn ended(&self, items: &Tensor, count: &Tensor, ends: &Tensor) -> Spelled {
        let rows = items.size()[0];
        let spelled = self.spelling.index_select(0, &items.flatten(0, 1)).view([rows, -1]); // [rows, P * L]
        let room = spelled.new_zeros([rows, 1], (Kind::Int64, spelled.device()));
        let last = count * self.digits;
        let tokens =
            Tensor::cat(&[spelled, room], 1).scatter(1, &last.unsqueeze(-1), &(ends * self.eos()).unsqueeze(-1));
        Spelled::cut(&tokens, last + ends)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn the_target_is_the_last_item_of_a_prompt() {
        let codes = Tensor::from_slice(&[0i64, 0, 0, 0, 0, 1, 1, 0]).view([4, 2]);
        let vocabulary = Vocabulary::new(&codes, 2).expect("codes are in range");
        let history = Tensor::from_slice(&[1i64, 2, 2, 0]).view([2, 2]);
        let spelled = vocabulary.prompts(&Prompts { history, target: Tensor::from_slice(&[3i64, 1]) });
        let expected = [0f32, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0];
        assert_eq!(spelled.targets(2), Tensor::from_slice(&expected).view([2, 7]));
        let spelling = [1i64, 3, 1, 4, 2, 3, vocabulary.eos(), 1, 4, 1, 3, vocabulary.eos(), 0, 0];
        assert_eq!(spelled.tokens, Tensor::from_slice(&spelling).view([2, 7]));
    }
}
