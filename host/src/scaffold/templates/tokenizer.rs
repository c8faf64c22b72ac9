//! The items' codes. Here, items are numbered by popularity; replace it by yours.

use prorl_sdk::prelude::*;

/// What a user may set of `my-tokenizer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MyTokenizerParameters {
    /// Entries of one codebook, in 2..=65536.
    #[schemars(range(min = 2, max = 65_536))]
    pub codebook_size: i64,
}

impl Default for MyTokenizerParameters {
    fn default() -> Self {
        Self { codebook_size: 64 }
    }
}

impl Parameters for MyTokenizerParameters {
    fn validate(&self) -> Result<()> {
        in_range("codebook_size", self.codebook_size, 2..=65_536)
    }
}

/// The most popular item is number 1; a code is the number's digits to the base `codebook_size`.
#[derive(Debug)]
pub struct MyTokenizer {
    parameters: MyTokenizerParameters,
}

prorl_sdk::register_tokenizer!("my-tokenizer", "Items numbered by popularity, digit by digit.", MyTokenizer);

impl Tokenizer for MyTokenizer {
    type Parameters = MyTokenizerParameters;

    fn create(parameters: MyTokenizerParameters, _: &Setup) -> Result<Self> {
        Ok(Self { parameters })
    }

    fn tokenize(&mut self, catalogue: &Catalogue) -> Result<CodeTable> {
        let items = catalogue.raw_ids.len() as i64 - 1; // V
        if items < 1 {
            return Err(Error::Input("the catalogue has no items".into()));
        }
        let codebook_size = self.parameters.codebook_size;
        let seen = catalogue.sequence_items.bincount::<Tensor>(None, items + 1).narrow(0, 1, items); // [V]
        let order = seen.argsort_stable(true, 0, true); // [V], the most popular first
        let number = order.empty_like().scatter(0, &order, &(Tensor::arange(items, (Kind::Int64, order.device())) + 1));

        let digits = digits(items, codebook_size);
        let place = |digit: i64| codebook_size.pow((digits - 1 - digit) as u32);
        let columns: Vec<Tensor> = (0..digits)
            .map(|digit| number.floor_divide_scalar(place(digit)).remainder(codebook_size)) // [V]
            .collect();
        let codes = Tensor::stack(&columns, 1).constant_pad_nd([0, 0, 1, 0]); // [V + 1, L], padding first
        Ok(CodeTable { codes, codebook_size, report: vec![("digits".into(), digits as f64)] })
    }
}

/// How many digits numbers up to `largest` need.
fn digits(largest: i64, base: i64) -> i64 {
    std::iter::successors(Some(largest), |rest| Some(rest / base)).take_while(|&rest| rest > 0).count() as i64
}
