//! One name in the spellings that a crate needs.

use anyhow::{Result, bail};

/// A component's name and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// How it is asked for, e.g. `my-reward`.
    pub name: String,
    /// The package, e.g. `prorl-plugin-my-reward`.
    pub package: String,
    /// The package as Rust spells it, e.g. `prorl_plugin_my_reward`.
    pub krate: String,
    /// The component's type, e.g. `MyReward`.
    pub type_name: String,
}

/// Types that every plugin sees, whose names a component would hide.
const TAKEN: &[&str] = &[
    "Advantages",
    "Algorithm",
    "Baseline",
    "Batch",
    "Catalogue",
    "Collective",
    "Decoding",
    "Deserialize",
    "Device",
    "Drawn",
    "Error",
    "Kind",
    "Loss",
    "Moments",
    "Option",
    "Parameters",
    "Paths",
    "Penalty",
    "Policy",
    "Progress",
    "Prompts",
    "Query",
    "Reduction",
    "Requirements",
    "Result",
    "RewardModel",
    "Rollout",
    "Self",
    "Sequences",
    "Serialize",
    "Setup",
    "String",
    "Tensor",
    "Tokenizer",
    "Vec",
];

impl Names {
    /// The spellings of `name`.
    ///
    /// # Errors
    /// It is not lower-case words joined by hyphens, or is the name of a type that every plugin sees.
    pub fn of(name: &str) -> Result<Self> {
        let word =
            |word: &str| !word.is_empty() && word.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
        if !name.split('-').all(word) || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
            bail!("`{name}` will not do as a name: write lower-case words joined by hyphens, e.g. my-reward");
        }
        let names = Self::placeholder(name);
        if TAKEN.contains(&names.type_name.as_str()) {
            bail!("`{name}` will not do as a name: every plugin sees a type `{}`; try my-{name}", names.type_name);
        }
        Ok(names)
    }

    /// The spellings of a name that is known to do.
    pub fn placeholder(name: &str) -> Self {
        let capitalised = |word: &str| word[..1].to_uppercase() + &word[1..];
        let package = format!("prorl-plugin-{name}");
        let krate = package.replace('-', "_");
        Self { name: name.into(), package, krate, type_name: name.split('-').map(capitalised).collect() }
    }

    /// File name of the shared library.
    pub fn library(&self) -> String {
        let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        format!("{prefix}{}{suffix}", self.krate)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn spellings_follow_from_the_name() {
        let names = Names::of("my-reward-2").unwrap();
        assert_eq!((names.type_name.as_str(), names.krate.as_str()), ("MyReward2", "prorl_plugin_my_reward_2"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "-", "a--b", "My", "1st", "a_b", "ä", "tensor", "reward-model"] {
            let refused = Names::of(name).unwrap_err().to_string();
            assert!(refused.contains("will not do"), "{refused}");
        }
    }
}
