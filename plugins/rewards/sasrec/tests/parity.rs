//! SASRec against RecBole 1.2.1's numbers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../seqrec/tests/shared/parity.rs"]
mod parity;

use parity::{integer, number};
use prorl_plugin_sasrec::{SasRec, SasRecParameters};

#[test]
fn numbers_are_recboles() {
    parity::run::<SasRec>("sasrec", |meta| SasRecParameters {
        hidden: integer(meta, "hidden_size"),
        inner: integer(meta, "inner_size"),
        layers: integer(meta, "n_layers"),
        heads: integer(meta, "n_heads"),
        hidden_dropout: number(meta, "hidden_dropout_prob"),
        attention_dropout: number(meta, "attn_dropout_prob"),
        max_length: integer(meta, "max_len"),
        ..SasRecParameters::default()
    });
}
