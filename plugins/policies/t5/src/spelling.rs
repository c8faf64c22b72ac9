//! Items as tokens: token of digit `i` with value `c` is `c + codebook_size · i + 1` (method, section 2).

use prorl_sdk::prelude::*;

/// How items are spelt.
pub struct Spelling {
    /// Tokens of every item, a row of zeros for padding. // [V + 1, L]
    pub tokens: Tensor,
    /// Digits of a code, `L`.
    pub digits: i64,
    /// Values of a digit.
    pub codebook_size: i64,
    /// The token that ends a sequence; one slot before it is reserved for a user.
    pub end: i64,
}

impl Spelling {
    /// From the items' codes.
    ///
    /// # Errors
    /// There are no codes, or a digit lies outside its codebook.
    pub fn new(setup: &Setup) -> Result<Self> {
        let codes = setup.codes()?.to_kind(Kind::Int64); // [V + 1, L]
        let [rows, digits] = codes.size()[..] else {
            return Err(Error::Tensor(format!("codes should be [V + 1, L], but are {:?}", codes.size())));
        };
        if rows != setup.items + 1 || rows < 2 {
            return Err(Error::Tensor(format!("there are {} items, but codes of {}", setup.items, rows - 1)));
        }
        let (low, high) = (codes.min().int64_value(&[]), codes.max().int64_value(&[]));
        if low < 0 || high >= setup.codebook_size {
            let range = format!("digits run from {low} to {high}, but should lie in 0..{}", setup.codebook_size);
            return Err(Error::Tensor(range));
        }
        let device = setup.device()?;
        let first = Tensor::arange(digits, (Kind::Int64, device)) * setup.codebook_size + 1; // [L]
        let tokens = codes.to_device(device) + first; // [V + 1, L]
        let _ = tokens.get(0).zero_();
        Ok(Self { tokens, digits, codebook_size: setup.codebook_size, end: setup.codebook_size * digits + 2 })
    }

    /// Size of the vocabulary.
    pub fn vocabulary(&self) -> i64 {
        self.end + 1
    }

    /// What the encoder reads: history, target, end, without gaps, cut to the longest. // [B, S]
    pub fn prompts(&self, prompts: &Prompts) -> Tensor {
        let history = &prompts.history; // [B, H]
        let known = history.ne(0).sum_dim_intlist(-1, true, Kind::Int64); // [B, 1]
        let longest = known.max().int64_value(&[]);
        let space = history.narrow(1, 0, 1).zeros_like(); // [B, 1]
        let items = Tensor::cat(&[&history.narrow(1, 0, longest), &space], 1); // [B, longest + 1]
        let items = items.scatter(1, &known, &prompts.target.unsqueeze(-1));
        let spelt = self.tokens.index_select(0, &items.flatten(0, -1)).view([prompts.len(), -1]);
        let spelt = Tensor::cat(&[&spelt, &space], 1); // [B, S]
        spelt.scatter_value(1, &((known + 1) * self.digits), self.end)
    }

    /// Items of a path and the end where it stopped; 0 after. // [B, G, P · L + 1]
    pub fn paths(&self, paths: &Paths) -> Tensor {
        let (prompts, group, _) = paths.sizes();
        let spelt = self.tokens.index_select(0, &paths.items.flatten(0, -1)).view([prompts, group, -1]);
        let space = paths.length.zeros_like().unsqueeze(-1); // [B, G, 1]
        let end = (paths.stopped.to_kind(Kind::Int64) * self.end).unsqueeze(-1); // [B, G, 1]
        let place = (&paths.length * self.digits).unsqueeze(-1); // [B, G, 1]
        let spelt = Tensor::cat(&[&spelt, &space], 2);
        // A path that did not stop has its place after the last digit, where 0 stands already.
        spelt.scatter(2, &place, &end)
    }

    /// Items that tokens spell, free of any constraint: groups of `L` tokens up to the end.
    ///
    /// Gives items (0 for a group that no item has), lengths and whether the path stopped where an item would
    /// begin. An end inside a group makes that group an invalid item. `trie` knows the items.
    pub fn read(&self, tokens: &Tensor, trie: &crate::trie::Trie, path: i64) -> (Tensor, Tensor, Tensor) {
        let size = tokens.size(); // [B, G, T]
        let ended = tokens.eq(self.end).cumsum(-1, Kind::Int64).ge(1); // [B, G, T]
        let count = ended.logical_not().sum_dim_intlist(-1, false, Kind::Int64); // [B, G] tokens before the end
        let has_end = ended.any_dim(-1, false);
        let full = path * self.digits;
        let before = tokens.masked_fill(&ended, 0);
        let padded = before.narrow(2, 0, size[2].min(full)).constant_pad_nd([0, (full - size[2]).max(0)]);
        let groups = padded.view([size[0], size[1], path, self.digits]); // [B, G, P, L]
        let items = trie.items_of_tokens(&groups); // [B, G, P]
        let length = (&count + (self.digits - 1)).floor_divide_scalar(self.digits); // [B, G]
        let whole = count.remainder(self.digits).eq(0);
        let stopped = has_end.logical_and(&whole);
        (items, length.clamp_max(path), stopped)
    }
}
