//! The library's list of components, collected by `inventory`.

use crate::algorithm::Algorithm;
use crate::crossing::Crossing;
use crate::error::Result;
use crate::export::adapters::{AlgorithmAdapter, PolicyAdapter, RewardModelAdapter, TokenizerAdapter};
use crate::export::description::{Description, Kind};
use crate::metrics::MetricDeclaration;
use crate::parameters::{self, Parameters};
use crate::policy::Policy;
use crate::reward_model::RewardModel;
use crate::setup::Setup;
use crate::tokenizer::Tokenizer;
use prorl_abi::RBox;
use prorl_abi::object::{
    AlgorithmBox, AlgorithmObject_TO, PolicyBox, PolicyObject_TO, RewardModelBox, RewardModelObject_TO, TokenizerBox,
    TokenizerObject_TO,
};
use prorl_abi::record::Record;

/// A component of this library.
pub struct Registration {
    /// How it is asked for.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Package that it is written in.
    pub package: &'static str,
    /// That package's version.
    pub version: &'static str,
    /// What it says of itself.
    pub describe: fn(&Registration) -> Description,
    /// Its parameters checked and completed with defaults (JSON to JSON).
    pub complete: fn(&str) -> Result<String>,
    /// How it is made.
    pub maker: Maker,
}

/// How a component is made from its name, parameters (JSON) and set-up.
pub enum Maker {
    /// Makes a tokenizer.
    Tokenizer(fn(&'static str, &str, Record) -> Result<TokenizerBox>),
    /// Makes a reward model.
    RewardModel(fn(&'static str, &str, Record) -> Result<RewardModelBox>),
    /// Makes a policy.
    Policy(fn(&'static str, &str, Record) -> Result<PolicyBox>),
    /// Makes an algorithm.
    Algorithm(fn(&'static str, &str, Record) -> Result<AlgorithmBox>),
}

inventory::collect!(Registration);

/// The component called `name`, if this library has it.
pub fn find(name: &str) -> Option<&'static Registration> {
    all().find(|registration| registration.name == name)
}

/// All components of this library.
pub fn all() -> impl Iterator<Item = &'static Registration> {
    inventory::iter::<Registration>.into_iter()
}

/// What all components of this library say of themselves.
pub fn descriptions() -> Vec<Description> {
    all().map(|registration| (registration.describe)(registration)).collect()
}

fn complete<P: Parameters>(json: &str) -> Result<String> {
    let parameters: P = parameters::parse(json)?;
    serde_json::to_string(&parameters).map_err(|error| crate::error::Error::Parameters(error.to_string()))
}

fn describe<P: Parameters>(
    registration: &Registration,
    kind: Kind,
    capabilities: &[&str],
    metrics: Vec<MetricDeclaration>,
) -> Description {
    Description {
        kind,
        name: registration.name.into(),
        doc: registration.doc.into(),
        schema: schemars::schema_for!(P).to_value(),
        defaults: serde_json::to_value(P::default()).unwrap_or_default(),
        capabilities: capabilities.iter().map(|&name| name.into()).collect(),
        metrics,
    }
}

impl Registration {
    /// The same entry, of this package; `register_…!` fills it in.
    pub const fn of_package(mut self, package: &'static str, version: &'static str) -> Self {
        self.package = package;
        self.version = version;
        self
    }

    /// The entry of a tokenizer.
    pub const fn tokenizer<T: Tokenizer + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            package: "",
            version: "",
            describe: |it| describe::<T::Parameters>(it, Kind::Tokenizer, &[], Vec::new()),
            complete: complete::<T::Parameters>,
            maker: Maker::Tokenizer(|name, json, setup| {
                let made = T::create(parameters::parse(json)?, &Setup::from_record(setup)?)?;
                let boxed = RBox::new(TokenizerAdapter::new(name, made));
                Ok(TokenizerObject_TO::from_ptr(boxed, prorl_abi::object::OPAQUE))
            }),
        }
    }

    /// The entry of a reward model.
    pub const fn reward_model<T: RewardModel + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            package: "",
            version: "",
            describe: |it| describe::<T::Parameters>(it, Kind::RewardModel, T::CAPABILITIES, T::metrics()),
            complete: complete::<T::Parameters>,
            maker: Maker::RewardModel(|name, json, setup| {
                let made = T::create(parameters::parse(json)?, &Setup::from_record(setup)?)?;
                let boxed = RBox::new(RewardModelAdapter::new(name, made));
                Ok(RewardModelObject_TO::from_ptr(boxed, prorl_abi::object::OPAQUE))
            }),
        }
    }

    /// The entry of a policy.
    pub const fn policy<T: Policy + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            package: "",
            version: "",
            describe: |it| describe::<T::Parameters>(it, Kind::Policy, T::CAPABILITIES, T::metrics()),
            complete: complete::<T::Parameters>,
            maker: Maker::Policy(|name, json, setup| {
                let made = T::create(parameters::parse(json)?, &Setup::from_record(setup)?)?;
                let boxed = RBox::new(PolicyAdapter::new(name, made));
                Ok(PolicyObject_TO::from_ptr(boxed, prorl_abi::object::OPAQUE))
            }),
        }
    }

    /// The entry of an algorithm.
    pub const fn algorithm<T: Algorithm + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            package: "",
            version: "",
            describe: |it| describe::<T::Parameters>(it, Kind::Algorithm, T::CAPABILITIES, T::metrics()),
            complete: complete::<T::Parameters>,
            maker: Maker::Algorithm(|name, json, setup| {
                let made = T::create(parameters::parse(json)?, &Setup::from_record(setup)?)?;
                let boxed = RBox::new(AlgorithmAdapter::new(name, made));
                Ok(AlgorithmObject_TO::from_ptr(boxed, prorl_abi::object::OPAQUE))
            }),
        }
    }
}
