//! Every component of the project keeps the contract of its kind, checked through its shared library.
#![allow(clippy::unwrap_used)]

use prorl_host::plugins::Registry;
use prorl_testkit::conformance::{Silent, Verdict, check_library};
use std::collections::BTreeMap;
use tch::Device;

#[test]
fn all_components_of_the_project_keep_their_contract() {
    let registry = Registry::open(&[]).unwrap();
    let libraries: BTreeMap<_, _> =
        registry.components().iter().map(|it| (it.library.path.clone(), &it.library)).collect();
    assert!(libraries.len() >= 12, "only {} libraries were found", libraries.len());
    let mut failed = Vec::new();
    for library in libraries.values() {
        let checks = check_library(library.module, &library.components, Device::Cpu, &mut Silent);
        assert!(checks.len() > 5, "{} was hardly checked", library.hello.package);
        let of_library = checks.iter().filter(|check| matches!(check.verdict, Verdict::Failed(_)));
        failed.extend(of_library.map(|check| format!("{}: {check}", check.component)));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
