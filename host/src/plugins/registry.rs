//! All components that the found libraries offer.

use super::library::{self, Library};
use super::{PluginError, Result, built_in, search};
use prorl_sdk::export::description::{Description, Kind};
use prorl_sdk::foreign::{ForeignAlgorithm, ForeignPolicy, ForeignRewardModel, ForeignTokenizer};
use prorl_sdk::setup::Setup;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::OnceLock;

/// A component and the library that offers it.
#[derive(Clone)]
pub struct Component {
    /// What it says of itself.
    pub description: Description,
    /// Where it comes from.
    pub library: Rc<Library>,
}

/// All components by kind and name.
pub struct Registry {
    components: Vec<Component>,
}

impl Registry {
    /// Opens every library of the search path (see [`search`]).
    ///
    /// # Errors
    /// A library that the user named cannot be used. One that was merely found is skipped with a warning.
    pub fn open(given: &[PathBuf]) -> Result<Self> {
        let mut registry = Self { components: Vec::new() };
        let built_in = built_in::libraries();
        // A bundled library that is also linked in would be the same code twice.
        let twice: Vec<String> = built_in.iter().map(|it| built_in::file_name(&it.hello.package)).collect();
        registry.open_all(&search::chosen(given)?, given)?;
        built_in.into_iter().for_each(|library| registry.add(library));
        let mut bundled = search::bundled()?;
        bundled.retain(|path| !twice.iter().any(|name| path.ends_with(name)));
        registry.open_all(&bundled, given)?;
        registry
            .components
            .sort_by(|a, b| (a.description.kind, &a.description.name).cmp(&(b.description.kind, &b.description.name)));
        Ok(registry)
    }

    fn open_all(&mut self, paths: &[PathBuf], given: &[PathBuf]) -> Result<()> {
        for path in paths {
            match library::open(path) {
                Ok(library) => self.add(library),
                Err(error) if given.contains(path) => return Err(error),
                Err(error) => log::warn!("{error}"),
            }
        }
        Ok(())
    }

    fn add(&mut self, library: Library) {
        let library = Rc::new(library);
        for description in &library.components {
            match self.lookup(description.kind, &description.name) {
                Some(earlier) if earlier.library.place() != library.place() => log::warn!(
                    "{} `{}` of {} is shadowed by that of {}",
                    description.kind,
                    description.name,
                    library.place(),
                    earlier.library.place()
                ),
                Some(_) => {}
                None => {
                    self.components.push(Component { description: description.clone(), library: Rc::clone(&library) });
                }
            }
        }
    }

    /// All components, by kind, then name.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// A component, if there is one.
    pub fn lookup(&self, kind: Kind, name: &str) -> Option<&Component> {
        self.components
            .iter()
            .find(|component| component.description.kind == kind && component.description.name == name)
    }

    /// A component.
    ///
    /// # Errors
    /// There is none; names the nearest.
    pub fn find(&self, kind: Kind, name: &str) -> Result<&Component> {
        self.lookup(kind, name).ok_or_else(|| PluginError::Unknown {
            kind: kind.to_string(),
            name: name.into(),
            hint: self.nearest(kind, name).map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default(),
        })
    }

    fn nearest(&self, kind: Kind, name: &str) -> Option<&str> {
        let names =
            self.components.iter().filter(|it| it.description.kind == kind).map(|it| it.description.name.as_str());
        names
            .map(|known| (strsim::jaro_winkler(known, name), known))
            .filter(|(likeness, _)| *likeness > 0.7)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, known)| known)
    }

    /// A tokenizer.
    ///
    /// # Errors
    /// There is none of that name, or it refuses its parameters.
    pub fn tokenizer(&self, name: &str, parameters: &Value, setup: &Setup) -> Result<ForeignTokenizer> {
        let module = self.find(Kind::Tokenizer, name)?.library.module;
        Ok(ForeignTokenizer::make(module, name, parameters, setup)?)
    }

    /// A reward model.
    ///
    /// # Errors
    /// As for [`Registry::tokenizer`].
    pub fn reward_model(&self, name: &str, parameters: &Value, setup: &Setup) -> Result<ForeignRewardModel> {
        let module = self.find(Kind::RewardModel, name)?.library.module;
        Ok(ForeignRewardModel::make(module, name, parameters, setup)?)
    }

    /// A policy.
    ///
    /// # Errors
    /// As for [`Registry::tokenizer`].
    pub fn policy(&self, name: &str, parameters: &Value, setup: &Setup) -> Result<ForeignPolicy> {
        let module = self.find(Kind::Policy, name)?.library.module;
        Ok(ForeignPolicy::make(module, name, parameters, setup)?)
    }

    /// An algorithm.
    ///
    /// # Errors
    /// As for [`Registry::tokenizer`].
    pub fn algorithm(&self, name: &str, parameters: &Value, setup: &Setup) -> Result<ForeignAlgorithm> {
        let module = self.find(Kind::Algorithm, name)?.library.module;
        Ok(ForeignAlgorithm::make(module, name, parameters, setup)?)
    }

    /// A component's parameters, checked and completed with defaults.
    ///
    /// # Errors
    /// There is no such component, or it refuses them.
    pub fn complete(&self, kind: Kind, name: &str, parameters: &Value) -> Result<Value> {
        let component = self.find(kind, name)?;
        let complete = component.library.module.complete();
        let json = complete(name.into(), parameters.to_string().as_str().into()).into_result()?;
        serde_json::from_str(&json).map_err(|error| PluginError::Load {
            path: component.library.path.clone(),
            reason: format!("the parameters it completed cannot be read: {error}"),
        })
    }
}

impl Library {
    /// Where it is, in words.
    pub fn place(&self) -> String {
        if self.built_in {
            return format!("{} {} (built in)", self.hello.package, self.hello.version);
        }
        self.path.display().to_string()
    }

    /// SHA-256 of the file, in hexadecimal: what artefacts made by the library depend on.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn hash(&self) -> Result<String> {
        static OF_PROGRAM: OnceLock<String> = OnceLock::new();
        if let Some(known) = OF_PROGRAM.get().filter(|_| self.built_in) {
            return Ok(known.clone());
        }
        let fail = |source| PluginError::Search { path: self.path.clone(), source };
        let hash = sha256(&std::fs::read(&self.path).map_err(fail)?);
        Ok(if self.built_in { OF_PROGRAM.get_or_init(|| hash).clone() } else { hash })
    }
}

/// SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
