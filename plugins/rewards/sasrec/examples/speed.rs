//! `cargo run --release -p prorl-plugin-sasrec --example speed`

#[path = "../../seqrec/examples/shared/speed.rs"]
mod speed;

fn main() {
    speed::run::<prorl_plugin_sasrec::SasRec>();
}
