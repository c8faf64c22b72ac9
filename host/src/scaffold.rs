//! `plugin new`: a crate of its own with a working component to replace.
//!
//! The templates are Rust as they are (`tests/tests/scaffold.rs` compiles and checks them); names are put in here.

mod names;
mod origin;

pub use names::Names;
pub use origin::Origin;

use crate::outln;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// What kind of plugin is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Gives items codes
    Tokenizer,
    /// Proposes paths
    Policy,
    /// Simulates users
    Reward,
    /// Learns from judged paths
    Algorithm,
}

/// What `plugin new` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The kind.
    pub sort: Sort,
    /// How the component will be asked for.
    pub name: String,
    /// Folder of the crate; `./<name>` if absent.
    pub path: Option<PathBuf>,
    /// Checkout of prorl-host whose SDK it is written against; the one this host was built from if absent.
    pub sdk: Option<PathBuf>,
}

/// What differs between kinds.
struct Template {
    title: &'static str,
    module: &'static str,
    component: &'static str,
    placeholder: &'static str,
    usage: &'static str,
}

impl Sort {
    fn template(self) -> Template {
        match self {
            Sort::Tokenizer => Template {
                title: "A tokenizer",
                module: "tokenizer",
                component: include_str!("scaffold/templates/tokenizer.rs"),
                placeholder: "my-tokenizer",
                usage: "--tokenizer",
            },
            Sort::Policy => Template {
                title: "A policy",
                module: "policy",
                component: include_str!("scaffold/templates/policy.rs"),
                placeholder: "my-policy",
                usage: "--policy",
            },
            Sort::Reward => Template {
                title: "A reward model",
                module: "reward_model",
                component: include_str!("scaffold/templates/reward.rs"),
                placeholder: "my-reward",
                usage: "--reward",
            },
            Sort::Algorithm => Template {
                title: "An algorithm",
                module: "algorithm",
                component: include_str!("scaffold/templates/algorithm.rs"),
                placeholder: "my-algorithm",
                usage: "--algo",
            },
        }
    }
}

/// Writes the crate and says what to do next.
///
/// # Errors
/// The name will not do, the folder is not empty, or cannot be written.
pub fn create(order: &Order) -> Result<()> {
    let names = Names::of(&order.name)?;
    let origin = Origin::of(order.sdk.as_deref())?;
    let folder = order.path.clone().unwrap_or_else(|| PathBuf::from(&order.name));
    if std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        bail!("{} exists and is not empty: choose another folder with --path", folder.display());
    }
    for (file, text) in files(order.sort, &names, &origin) {
        let path = folder.join(file);
        write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(hint) = origin.hint() {
        outln!("{hint}");
    }
    outln!("wrote {} to {}. Next:", order.sort.template().title.to_lowercase(), folder.display());
    outln!("  cd {} && cargo build --release", folder.display());
    outln!("  prorl-host plugin check target/release/{}", names.library());
    Ok(())
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

/// Every file of the crate with its text.
fn files(sort: Sort, names: &Names, origin: &Origin) -> Vec<(String, String)> {
    let template = sort.template();
    let usage = format!("{} {}", template.usage, names.name);
    let fill = |text: &str| {
        let values = [
            ("{{name}}", names.name.as_str()),
            ("{{package}}", &names.package),
            ("{{crate}}", &names.krate),
            ("{{title}}", template.title),
            ("{{module}}", template.module),
            ("{{use}}", &usage),
            ("{{sdk}}", &origin.dependency("prorl-sdk", "core/sdk")),
            ("{{testkit}}", &origin.dependency("prorl-testkit", "core/testkit")),
            ("{{tch}}", &origin.tch),
            ("{{libtorch}}", &origin.libtorch_settings()),
        ];
        values.iter().fold(text.to_owned(), |text, (key, value)| text.replace(key, value))
    };
    let placeholder = Names::placeholder(template.placeholder);
    let component =
        template.component.replace(&placeholder.name, &names.name).replace(&placeholder.type_name, &names.type_name);
    vec![
        ("Cargo.toml".into(), fill(include_str!("scaffold/templates/manifest.toml"))),
        ("Cargo.lock".into(), origin.lock.clone()),
        (".cargo/config.toml".into(), fill(include_str!("scaffold/templates/config.toml"))),
        (".gitignore".into(), "/target\n".into()),
        ("README.md".into(), fill(include_str!("scaffold/templates/readme.md"))),
        ("src/lib.rs".into(), fill(include_str!("scaffold/templates/lib.rs"))),
        (format!("src/{}.rs", template.module), component),
        ("tests/conformance.rs".into(), fill(include_str!("scaffold/templates/conformance.rs"))),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn order(folder: &Path, name: &str) -> Order {
        Order { sort: Sort::Reward, name: name.into(), path: Some(folder.join(name)), sdk: None }
    }

    #[test]
    fn a_crate_of_every_kind_has_its_names_in_all_places() {
        let folder = tempfile::tempdir().unwrap();
        for sort in Sort::value_variants() {
            let name = format!("of-{sort:?}-2").to_lowercase();
            create(&Order { sort: *sort, ..order(folder.path(), &name) }).unwrap();
            let read = |file: &str| std::fs::read_to_string(folder.path().join(&name).join(file)).unwrap();
            let module = sort.template().module;
            let component = read(&format!("src/{module}.rs"));
            assert!(component.contains(&format!("\"{name}\"")), "{component}");
            assert!(!component.to_lowercase().contains("my-") && !component.contains("My"), "{component}");
            for file in ["Cargo.toml", ".cargo/config.toml", "README.md", "src/lib.rs", "tests/conformance.rs"] {
                assert!(!read(file).contains("{{"), "{file}: {}", read(file));
            }
            let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
            assert_eq!(manifest["package"]["name"].as_str(), Some(format!("prorl-plugin-{name}").as_str()));
            assert!(manifest["dependencies"]["tch"].as_str().unwrap().starts_with('='));
            assert!(read("Cargo.lock").contains("name = \"torch-sys\""));
        }
    }

    #[test]
    fn a_folder_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("mine")).unwrap();
        std::fs::write(folder.path().join("mine/notes"), "kept").unwrap();
        let refused = create(&order(folder.path(), "mine")).unwrap_err().to_string();
        assert!(refused.contains("--path"), "{refused}");
        assert!(!folder.path().join("mine/Cargo.toml").exists());
    }
}
