//! The contract of its kind, held by the conformance kit: what `prorl-host plugin check` runs, without a host.

use {{crate}} as _; // links the library, so that its components register themselves

#[test]
fn it_keeps_its_contract() {
    prorl_testkit::conformance::assert_registered();
}
