//! Which codes lead to an item: look-up tables over the prefixes of all codes.
//!
//! Decoding walks the tables on the device; no work per item is done in Rust.

use prorl_sdk::prelude::*;
use std::collections::HashMap;

/// Prefixes of codes as nodes; node 0 is the empty prefix.
pub struct Trie {
    children: Tensor, // [nodes, C] int64: node after a digit's value; 0 where there is none
    allowed: Tensor,  // [nodes, C] bool
    item: Tensor,     // [nodes] int64: item of a whole code, else 0
    path: Tensor,     // [V + 1, L] int64: node before each digit of an item
    codebook_size: i64,
}

impl Trie {
    /// From codes `[V + 1, L]`, row 0 padding.
    ///
    /// # Errors
    /// Two items have the same code.
    pub fn new(codes: &Tensor, codebook_size: i64) -> Result<Self> {
        let device = codes.device();
        let digits = codes.size()[1] as usize;
        let flat = Vec::<i64>::try_from(codes.to_device(Device::Cpu).to_kind(Kind::Int64).flatten(0, -1))?;
        let width = codebook_size as usize;
        let mut nodes: HashMap<(usize, i64), usize> = HashMap::new();
        let (mut item, mut path) = (vec![0i64], vec![0i64; digits]);
        for (index, code) in flat.chunks(digits).enumerate().skip(1) {
            let mut node = 0;
            for &digit in code {
                path.push(node as i64);
                node = *nodes.entry((node, digit)).or_insert_with(|| {
                    item.push(0);
                    item.len() - 1
                });
            }
            if item[node] != 0 {
                return Err(Error::Input(format!("items {} and {index} have the same code {code:?}", item[node])));
            }
            item[node] = index as i64;
        }
        let mut children = vec![0i64; item.len() * width];
        for ((parent, digit), child) in nodes {
            children[parent * width + digit as usize] = child as i64;
        }
        let children = Tensor::from_slice(&children).view([-1, codebook_size]).to_device(device);
        Ok(Self {
            allowed: children.ne(0),
            children,
            item: Tensor::from_slice(&item).to_device(device),
            path: Tensor::from_slice(&path).view([-1, digits as i64]).to_device(device),
            codebook_size,
        })
    }

    /// Where the tables lie.
    pub fn device(&self) -> Device {
        self.children.device()
    }

    /// Values that may follow at each node. // [N, C] bool
    pub fn allowed(&self, nodes: &Tensor) -> Tensor {
        self.allowed.index_select(0, nodes)
    }

    /// Nodes after a digit's value. // [N]
    pub fn child(&self, nodes: &Tensor, values: &Tensor) -> Tensor {
        self.children.view(-1).index_select(0, &(nodes * self.codebook_size + values))
    }

    /// Items at nodes, 0 inside a code. // [N]
    pub fn item(&self, nodes: &Tensor) -> Tensor {
        self.item.index_select(0, nodes)
    }

    /// Nodes before each digit of items. // [..., L]
    pub fn nodes(&self, items: &Tensor) -> Tensor {
        let mut size = items.size();
        size.push(self.path.size()[1]);
        self.path.index_select(0, &items.flatten(0, -1)).view(&size[..])
    }

    /// Items that groups of tokens spell, 0 where none does. // [..., L] to [...]
    pub fn items_of_tokens(&self, tokens: &Tensor) -> Tensor {
        let size = tokens.size();
        let digits = size[size.len() - 1];
        let mut node = tokens.select(-1, 0).flatten(0, -1).zeros_like(); // [N]
        let mut alive = node.eq(0); // [N]
        for digit in 0..digits {
            let value = tokens.select(-1, digit).flatten(0, -1) - digit * self.codebook_size - 1;
            let inside = value.ge(0).logical_and(&value.lt(self.codebook_size));
            let next = self.child(&node, &value.clamp(0, self.codebook_size - 1));
            alive = alive.logical_and(&inside).logical_and(&next.ne(0));
            node = next;
        }
        (self.item(&node) * alive.to_kind(Kind::Int64)).view(&size[..size.len() - 1])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tokens_lead_to_their_items_and_to_no_other() {
        let codes = Tensor::from_slice(&[0i64, 0, 0, 1, 0, 2, 3, 1]).view([4, 2]);
        let trie = Trie::new(&codes, 4).unwrap();
        // token = value + 4 · digit + 1; the last two spell no item
        let tokens = Tensor::from_slice(&[1i64, 6, 1, 7, 4, 6, 4, 7, 0, 0]).view([5, 2]);
        assert_eq!(Vec::<i64>::try_from(trie.items_of_tokens(&tokens)).unwrap(), [1, 2, 3, 0, 0]);
        let root = Tensor::from_slice(&[0i64]);
        let open = Vec::<bool>::try_from(trie.allowed(&root).view(-1)).unwrap();
        assert_eq!(open, [true, false, false, true]);
    }

    #[test]
    fn a_shared_code_is_refused() {
        let codes = Tensor::from_slice(&[0i64, 0, 1, 1, 1, 1]).view([3, 2]);
        let error = Trie::new(&codes, 4).err().unwrap().to_string();
        assert!(error.contains("items 1 and 2"), "{error}");
    }
}
