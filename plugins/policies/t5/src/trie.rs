//! Which digits may follow which, and which item a code is: tables on the device.

use crate::tokens::Vocabulary;
use prorl_sdk::error::{Error, Result};
use prorl_sdk::prompts::Paths;
use std::collections::HashMap;
use tch::{Kind, Tensor};

/// The root, before an item's first digit.
pub const ROOT: i64 = 0;
/// Where ended and impossible paths stay: its only choice is entry 0, for ever.
pub const SINK: i64 = 1;
const NONE: i64 = -1;

/// Choices that a byte of [`Trie::offered`] tells of.
const BITS: usize = 8;

/// A trie over the items' codes: some fifty bytes a node and twelve an edge, whatever the number of choices, so that a
/// million items fit in the memory of a laptop.
pub struct Trie {
    /// `node · (codebook + 1) + choice` of all edges, ascending; the last choice is the stop, which the root alone
    /// offers. // [edges]
    edges: Tensor,
    /// Node after each edge; at the last digit: the item. // [edges]
    ends: Tensor,
    /// Which choices a node offers: choice `c` is bit `c / W` of byte `c mod W`, so that unpacking runs along bytes. //
    /// [nodes, W] uint8
    offered: Tensor,
    /// Each bit alone. // [8, 1] uint8
    bits: Tensor,
    /// Node before each digit of each item; padding is in the sink. // [V + 1, L]
    passed: Tensor,
    /// Choices of every node. // [nodes]
    branches: Tensor,
    /// The first choice of every node. // [nodes]
    first: Tensor,
    codebook: i64,
    digits: i64,
}

impl Trie {
    /// The trie of `codes` `[V + 1, L]` with entries below `codebook`.
    ///
    /// # Errors
    /// Two items have the same code.
    pub fn new(codes: &Tensor, codebook: i64) -> Result<Self> {
        let digits = codes.size()[1];
        let flat = codes.to_device(tch::Device::Cpu).to_kind(Kind::Int64).contiguous().view(-1);
        let grown = Grown::of(&Vec::try_from(&flat)?, digits as usize, codebook + 1)?;
        let mut edges: Vec<(i64, i64)> = grown.edges.into_iter().collect();
        edges.sort_unstable();
        let bytes = (codebook as usize + 1).div_ceil(BITS);
        let mut offered = vec![0_u8; grown.nodes as usize * bytes];
        let mut branches = vec![0_i64; grown.nodes as usize];
        let mut first = vec![0_i64; grown.nodes as usize];
        for (edge, _) in &edges {
            let (node, choice) = ((edge / (codebook + 1)) as usize, (edge % (codebook + 1)) as usize);
            offered[node * bytes + choice % bytes] |= 1 << (choice / bytes);
            if branches[node] == 0 {
                first[node] = choice as i64; // edges ascend
            }
            branches[node] += 1;
        }
        let bits: Vec<u8> = (0..BITS).map(|bit| 1 << bit).collect();
        let (edges, ends): (Vec<i64>, Vec<i64>) = edges.into_iter().unzip();
        let device = codes.device();
        Ok(Self {
            edges: Tensor::from_slice(&edges).to(device),
            ends: Tensor::from_slice(&ends).to(device),
            offered: Tensor::from_slice(&offered).view([-1, bytes as i64]).to(device),
            bits: Tensor::from_slice(&bits).view([-1, 1]).to(device),
            passed: Tensor::from_slice(&grown.passed).view([-1, digits]).to(device),
            branches: Tensor::from_slice(&branches).to(device),
            first: Tensor::from_slice(&first).to(device),
            codebook,
            digits,
        })
    }

    /// Choices at a digit: all entries, and at the first digit the stop.
    pub fn choices(&self, digit: i64) -> i64 {
        if digit == 0 { self.codebook + 1 } else { self.codebook }
    }

    /// Which choices no item allows. // [.., choices] bool
    pub fn forbidden(&self, nodes: &Tensor, digit: i64) -> Tensor {
        let bytes = self.offered.index_select(0, nodes).unsqueeze(1); // [N, 1, W]
        let missing = bytes.bitwise_and_tensor(&self.bits).eq(0).flatten(1, 2); // [N, 8 * W]
        missing.narrow(1, 0, self.choices(digit))
    }

    /// Where edges lead, given as `node · (codebook + 1) + choice`; `NONE` where there is none. // as `places`
    fn end(&self, places: &Tensor) -> Tensor {
        let found = places.searchsorted(&self.edges, false, false, "left", None::<&Tensor>); // as `places`
        let found = found.clamp_max(self.edges.size()[0] - 1);
        self.ends.take(&found).masked_fill(&self.edges.take(&found).not_equal_tensor(places), NONE)
    }

    /// Where a choice leads; impossible ones to the sink. At the last digit: the item.
    pub fn follow(&self, nodes: &Tensor, choice: &Tensor) -> Tensor {
        let next = self.end(&(nodes * (self.codebook + 1) + choice));
        next.masked_fill(&next.lt(0), SINK)
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

    /// How many choices every node offers. // as `nodes`
    pub fn branches(&self, nodes: &Tensor) -> Tensor {
        self.branches.index_select(0, &nodes.flatten(0, -1)).view_as(nodes)
    }

    /// The first choice of every node: where there is but one, that one. // as `nodes`
    pub fn first(&self, nodes: &Tensor) -> Tensor {
        self.first.index_select(0, &nodes.flatten(0, -1)).view_as(nodes)
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
            node = self.end(&(&node * (self.codebook + 1) + entry.clamp(0, self.codebook - 1)));
            known = known.logical_and(&node.ge(0));
            if digit + 1 < self.digits {
                node = node.masked_fill(&known.logical_not(), SINK);
            }
        }
        node * known.to_kind(Kind::Int64)
    }
}

/// A trie while it grows.
struct Grown {
    /// Where `node · width + choice` leads.
    edges: HashMap<i64, i64>,
    /// Nodes before the digits of all items, one item after the other.
    passed: Vec<i64>,
    nodes: i64,
}

impl Grown {
    /// The trie of codes one after the other, row 0 for padding, with `width` choices.
    fn of(codes: &[i64], digits: usize, width: i64) -> Result<Self> {
        let edges = HashMap::from([(ROOT * width + width - 1, SINK), (SINK * width, SINK)]);
        let mut grown = Self { edges, passed: vec![SINK; digits], nodes: 2 };
        for (item, code) in codes.chunks(digits).enumerate().skip(1) {
            let mut node = ROOT;
            for (digit, &entry) in code.iter().enumerate() {
                grown.passed.push(node);
                let edge = node * width + entry;
                if digit + 1 == digits {
                    if let Some(other) = grown.edges.insert(edge, item as i64) {
                        return Err(Error::Input(format!("items {other} and {item} have the same code {code:?}")));
                    }
                } else {
                    let next = *grown.edges.entry(edge).or_insert(grown.nodes);
                    grown.nodes = grown.nodes.max(next + 1);
                    node = next;
                }
            }
        }
        Ok(grown)
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
    fn where_there_is_one_choice_it_is_the_first() {
        let (_, trie) = trie(&[0, 0, 0, 1, 0, 2, 3, 1]).unwrap();
        let nodes = trie.before(&Tensor::from_slice(&[1i64, 3, 2, 0]), 1); // before the second digits of items 1, 3, 2, none
        assert_eq!(Vec::<i64>::try_from(trie.branches(&nodes)).unwrap(), [2, 1, 2, 1]);
        assert_eq!(Vec::<i64>::try_from(trie.first(&nodes)).unwrap(), [1, 1, 1, 0]);
    }

    #[test]
    fn a_shared_code_is_refused() {
        let error = trie(&[0, 0, 1, 1, 1, 1]).err().unwrap().to_string();
        assert!(error.contains("items 1 and 2"), "{error}");
    }
}
