//! Which digits may follow which, and which item a code is: tables on the device.

use crate::tokens::Vocabulary;
use prorl_sdk::error::{Error, Result};
use prorl_sdk::prompts::Paths;
use tch::{Kind, Tensor};

/// The root, before an item's first digit.
pub const ROOT: i64 = 0;
/// Where ended and impossible paths stay: its only choice is entry 0, for ever.
pub const SINK: i64 = 1;
const NONE: i32 = -1;

/// A trie over the items' codes.
pub struct Trie {
    /// Node after choosing an entry at a node (at the last digit: the item); the last column is the stop,
    /// which the root alone offers; -1 where no item goes on so. // [nodes, codebook + 1] int32
    children: Tensor,
    /// Node before each digit of each item; padding is in the sink. // [V + 1, L]
    passed: Tensor,
    /// Choices of every node. // [nodes]
    branches: Tensor,
    codebook: i64,
    digits: i64,
}

impl Trie {
    /// The trie of `codes` `[V + 1, L]` with entries below `codebook`.
    ///
    /// # Errors
    /// Two items have the same code.
    pub fn new(codes: &Tensor, codebook: i64) -> Result<Self> {
        let (rows, digits) = (codes.size()[0] as usize, codes.size()[1] as usize);
        let flat = codes.to_device(tch::Device::Cpu).to_kind(Kind::Int64).contiguous().view(-1);
        let flat: Vec<i64> = Vec::try_from(&flat)?;
        let width = codebook as usize + 1;
        let mut children = vec![NONE; 2 * width];
        children[width - 1] = SINK as i32; // root: stop
        children[SINK as usize * width] = SINK as i32;
        let mut passed = vec![SINK; digits];
        for (item, code) in flat.chunks(digits).enumerate().take(rows).skip(1) {
            let mut node = ROOT as usize;
            for (digit, &entry) in code.iter().enumerate() {
                passed.push(node as i64);
                let place = node * width + entry as usize;
                if digit + 1 == digits {
                    if children[place] != NONE {
                        let message = format!("items {} and {item} have the same code {code:?}", children[place]);
                        return Err(Error::Input(message));
                    }
                    children[place] = item as i32;
                } else {
                    if children[place] == NONE {
                        children[place] = (children.len() / width) as i32;
                        children.resize(children.len() + width, NONE);
                    }
                    node = children[place] as usize;
                }
            }
        }
        let children = Tensor::from_slice(&children).view([-1, width as i64]).to(codes.device());
        let branches = children.ge(0).sum_dim_intlist(-1, false, Kind::Int64);
        let passed = Tensor::from_slice(&passed).view([rows as i64, -1]).to(codes.device());
        Ok(Self { children, passed, branches, codebook, digits: digits as i64 })
    }

    /// Choices at a digit: all entries, and at the first digit the stop.
    pub fn choices(&self, digit: i64) -> i64 {
        if digit == 0 { self.codebook + 1 } else { self.codebook }
    }

    /// Which choices no item allows. // [.., choices] bool
    pub fn forbidden(&self, nodes: &Tensor, digit: i64) -> Tensor {
        self.children.index_select(0, nodes).narrow(1, 0, self.choices(digit)).lt(0)
    }

    /// Where a choice leads; impossible ones to the sink. At the last digit: the item.
    pub fn follow(&self, nodes: &Tensor, choice: &Tensor) -> Tensor {
        let places = nodes * (self.codebook + 1) + choice;
        let next = self.children.view(-1).index_select(0, &places.flatten(0, -1)).to_kind(Kind::Int64);
        next.masked_fill(&next.lt(0), SINK).view_as(nodes)
    }

    /// Nodes before the next digit, after `choice` at `digit`.
    pub fn advance(&self, nodes: &Tensor, choice: &Tensor, digit: i64) -> Tensor {
        if digit + 1 < self.digits {
            return self.follow(nodes, choice);
        }
        nodes.eq(SINK).to_kind(Kind::Int64) // sink stays sink (1), all others are back at the root (0)
    }

    /// Node before a digit of every item, the sink for none. // as `items`
    pub fn before(&self, items: &Tensor, digit: i64) -> Tensor {
        self.passed.select(1, digit).index_select(0, &items.flatten(0, -1)).view_as(items)
    }

    /// Choices at every node.
    pub fn branches(&self, nodes: &Tensor) -> Tensor {
        self.branches.index_select(0, &nodes.flatten(0, -1)).view_as(nodes)
    }

    /// Tokens `[B, G, P * L]` to paths: groups of `L` up to `eos`; a group that is no item is item 0.
    pub fn read(&self, vocabulary: &Vocabulary, tokens: &Tensor) -> Paths {
        let (prompts, group, time) = (tokens.size()[0], tokens.size()[1], tokens.size()[2]);
        let ends = tokens.eq(vocabulary.eos()).to_kind(Kind::Int64);
        let (any, first) = ends.max_dim(-1, false); // [B, G]
        let any = any.gt(0);
        let said = first.where_self(&any, &first.full_like(time)); // tokens before the end
        let length = (&said + (self.digits - 1)).divide_scalar_mode(self.digits, "floor");
        let stopped = any.logical_and(&said.remainder(self.digits).eq(0));
        let items = self.items(vocabulary, &tokens.view([prompts, group, -1, self.digits]));
        let held = Tensor::arange(time / self.digits, (Kind::Int64, tokens.device())).lt_tensor(&length.unsqueeze(-1));
        Paths { items: items * held.to_kind(Kind::Int64), length, stopped, tokens: None }
    }

    /// Items spelled by groups of tokens `[.., L]`, 0 for none. // [..]
    fn items(&self, vocabulary: &Vocabulary, tokens: &Tensor) -> Tensor {
        let first = tokens.select(-1, 0);
        let mut known = first.ones_like().to_kind(Kind::Bool);
        let mut node = first.full_like(ROOT);
        for digit in 0..self.digits {
            let entry = tokens.select(-1, digit) - vocabulary.first(digit);
            known = known.logical_and(&entry.ge(0).logical_and(&entry.lt(self.codebook)));
            let place = &node * (self.codebook + 1) + entry.clamp(0, self.codebook - 1);
            node = self.children.view(-1).index_select(0, &place.flatten(0, -1)).to_kind(Kind::Int64).view_as(&first);
            known = known.logical_and(&node.ge(0));
            if digit + 1 < self.digits {
                node = node.masked_fill(&known.logical_not(), SINK);
            }
        }
        node * known.to_kind(Kind::Int64)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn trie(codes: &[i64]) -> Result<(Vocabulary, Trie)> {
        let codes = Tensor::from_slice(codes).view([-1, 2]);
        Ok((Vocabulary::new(&codes, 4)?, Trie::new(&codes, 4)?))
    }

    #[test]
    fn tokens_lead_to_their_items_and_to_no_other() {
        let (vocabulary, trie) = trie(&[0, 0, 0, 1, 0, 2, 3, 1]).unwrap();
        // token = entry + 4 · digit + 1, and 10 ends; `1 7` is the second item, `4 7` and `0 0` are none
        let tokens = Tensor::from_slice(&[1i64, 7, 4, 7, 4, 6, 1, 6, 10, 0, 0, 0]).view([1, 2, 6]);
        let paths = trie.read(&vocabulary, &tokens);
        assert_eq!(Vec::<i64>::try_from(paths.items.view(-1)).unwrap(), [2, 0, 3, 1, 0, 0]);
        assert_eq!(Vec::<i64>::try_from(paths.length.view(-1)).unwrap(), [3, 1]);
    }

    #[test]
    fn a_shared_code_is_refused() {
        let error = trie(&[0, 0, 1, 1, 1, 1]).err().unwrap().to_string();
        assert!(error.contains("items 1 and 2"), "{error}");
    }
}
