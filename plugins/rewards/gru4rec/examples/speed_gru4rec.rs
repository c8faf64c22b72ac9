//! `cargo run --release -p prorl-plugin-gru4rec --example speed_gru4rec`

#[path = "../../seqrec/examples/shared/speed.rs"]
mod speed;

fn main() {
    speed::run::<prorl_plugin_gru4rec::Gru4Rec>();
}
