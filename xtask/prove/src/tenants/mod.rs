//! `tenants`: one of 10,000 tenants is a hundred times as loud as it may be. Do the others notice, what do they all
//! cost, and does anything of one reach another?

mod canaries;
mod fairness;
mod memory;
mod world;

use serde_json::json;

use crate::report::Report;

/// Runs the three parts.
pub(crate) fn prove() -> Report {
    // First, while the heap holds nothing that was freed.
    let memory = memory::run();
    let fairness = fairness::run();
    let canaries = canaries::run();
    let mut story = fairness.story();
    story.extend(memory.story());
    story.extend(canaries.story());
    Report {
        proof: "tenants",
        pass: fairness.holds() && memory.holds() && canaries.holds(),
        story,
        injected: json!({
            "fairness": fairness::injected(),
            "memory": memory::injected(),
            "canaries": canaries::injected(),
        }),
        ours: json!({ "fairness": fairness.ours(), "memory": memory.ours(), "canaries": canaries.ours() }),
        control: json!({
            "fairness": fairness.control(),
            "memory": memory.control(),
            "canaries": canaries.control(),
        }),
    }
}
