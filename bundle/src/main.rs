//! `prorl-host` with plugins linked in, for machines where shared libraries beside the program are a nuisance.
//!
//! One feature a plugin; without any named, all of them. A plugin of your own is one more line here and in `Cargo.toml`:
//! naming its crate links it, and its `register_…!` lines do the rest.

#[cfg(feature = "a2c")]
use prorl_plugin_a2c as _;
#[cfg(feature = "greedy-to-target")]
use prorl_plugin_greedy_to_target as _;
#[cfg(feature = "grpo")]
use prorl_plugin_grpo as _;
#[cfg(feature = "gru4rec")]
use prorl_plugin_gru4rec as _;
#[cfg(feature = "ipg")]
use prorl_plugin_ipg as _;
#[cfg(feature = "irn")]
use prorl_plugin_irn as _;
#[cfg(feature = "popular")]
use prorl_plugin_popular as _;
#[cfg(feature = "ppo")]
use prorl_plugin_ppo as _;
#[cfg(feature = "prorl")]
use prorl_plugin_prorl as _;
#[cfg(feature = "random")]
use prorl_plugin_random as _;
#[cfg(feature = "reinforce")]
use prorl_plugin_reinforce as _;
#[cfg(feature = "reward-to-go")]
use prorl_plugin_reward_to_go as _;
#[cfg(feature = "rloo")]
use prorl_plugin_rloo as _;
#[cfg(feature = "rq-kmeans")]
use prorl_plugin_rq_kmeans as _;
#[cfg(feature = "sasrec")]
use prorl_plugin_sasrec as _;
#[cfg(feature = "sem-ids")]
use prorl_plugin_sem_ids as _;
#[cfg(feature = "t5")]
use prorl_plugin_t5 as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    prorl_host::program::run()
}
