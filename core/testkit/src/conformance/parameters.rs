//! What must hold of the parameters of every component.

use super::finding::{Finding, ensure, wrong};
use super::{Entry, Subject};
use prorl_sdk::abi::fault::FaultKind;
use serde_json::{Value, json};

pub const CHECKS: &[Entry] = &[
    ("it says what it is, and every parameter has a sentence", described),
    ("its defaults are accepted and complete", defaults),
    ("an unknown parameter is refused, and named", unknown),
];

fn described(subject: &Subject<'_>) -> Finding {
    let description = subject.description;
    ensure(!description.doc.trim().is_empty(), || "its registration has an empty sentence".into())?;
    for (name, property) in description.schema["properties"].as_object().into_iter().flatten() {
        let says = property["description"].as_str().is_some_and(|text| !text.trim().is_empty());
        ensure(says, || format!("parameter `{name}` has no doc comment"))?;
    }
    Ok(())
}

fn defaults(subject: &Subject<'_>) -> Finding {
    let given = &subject.description.defaults;
    let completed = complete(subject, &json!({}))?;
    ensure(completed == *given, || format!("no parameters become {completed}, but the defaults are {given}"))?;
    let again = complete(subject, given)?;
    ensure(again == *given, || format!("the defaults {given} become {again}"))
}

fn unknown(subject: &Subject<'_>) -> Finding {
    let json = json!({ "no_such_parameter": 1 }).to_string();
    let complete = subject.module.complete();
    match complete(subject.description.name.as_str().into(), json.as_str().into()).into_result() {
        Ok(_) => wrong("`no_such_parameter` is accepted: add #[serde(deny_unknown_fields)] to the parameters"),
        Err(fault) => {
            ensure(fault.kind == FaultKind::Parameters && fault.message.contains("no_such_parameter"), || {
                format!("the refusal does not name `no_such_parameter`: {fault}")
            })
        }
    }
}

fn complete(subject: &Subject<'_>, parameters: &Value) -> Finding<Value> {
    let (name, json) = (subject.description.name.as_str(), parameters.to_string());
    let text = subject.module.complete()(name.into(), json.as_str().into()).into_result()?;
    serde_json::from_str(&text).or_else(|error| wrong(format!("its completed parameters are no JSON: {error}")))
}
