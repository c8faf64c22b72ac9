//! GRU4Rec against RecBole 1.2.1's numbers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../seqrec/tests/shared/parity.rs"]
mod parity;

use parity::{integer, number};
use prorl_plugin_gru4rec::{Gru4Rec, Gru4RecParameters};

#[test]
fn numbers_are_recboles() {
    parity::run::<Gru4Rec>("gru4rec", |meta| Gru4RecParameters {
        embedding: integer(meta, "embedding_size"),
        hidden: integer(meta, "hidden_size"),
        layers: integer(meta, "num_layers"),
        dropout: number(meta, "dropout_prob"),
        ..Gru4RecParameters::default()
    });
}
