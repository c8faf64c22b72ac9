//! What `plugin new` generates: the templates compile, and their components keep their contract.
//!
//! The templates are Rust as they are; `plugin new` only puts in names.
#![allow(clippy::unwrap_used)]

#[path = "../../host/src/scaffold/templates/algorithm.rs"]
pub mod algorithm;
#[path = "../../host/src/scaffold/templates/policy.rs"]
pub mod policy;
#[path = "../../host/src/scaffold/templates/reward.rs"]
pub mod reward;
#[path = "../../host/src/scaffold/templates/tokenizer.rs"]
pub mod tokenizer;

#[test]
fn every_template_keeps_the_contract_of_its_kind() {
    prorl_testkit::conformance::assert_registered();
}

/// The pages hold the examples as they are generated, and every check by its name.
#[test]
fn the_docs_show_the_very_templates() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: String| std::fs::read_to_string(root.join(path)).unwrap();
    for (name, kind) in
        [("tokenizer", "tokenizer"), ("reward", "reward_model"), ("policy", "policy"), ("algorithm", "algorithm")]
    {
        let page = read(format!("docs/plugins/{name}.md"));
        assert!(
            page.contains(&read(format!("host/src/scaffold/templates/{name}.rs"))),
            "docs/plugins/{name}.md is stale"
        );
        for file in ["parameters", kind] {
            let source = read(format!("core/testkit/src/conformance/{file}.rs"));
            let list = source.split("CHECKS: &[Entry] = &[").nth(1).unwrap().split("];").next().unwrap();
            for check in list.split('"').skip(1).step_by(2) {
                assert!(page.contains(check), "docs/plugins/{name}.md lacks the check `{check}`");
            }
        }
    }
}
