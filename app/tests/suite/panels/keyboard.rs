//! Everything is reachable by keyboard, and every control has a unique name.

use std::collections::{BTreeMap, BTreeSet};

use amlp_viewer::scene::Modality;
use amlp_viewer::state::{CaseId, CaseList, ListedCase};
use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

use super::bench::{self, Bench, window_of};

/// Two images with segmentation and reference, in a folder, with everything visible.
fn full() -> Harness<'static, Bench> {
    let mut bench = bench::compared();
    let document = bench.state.document.as_mut().unwrap();
    document.images.push(bench::image("pet", Modality::Pet));
    bench.state.session.view.fused = Some(1);
    let case = |n: u64| ListedCase { id: CaseId(n), name: format!("STS_{n:03}"), ..ListedCase::default() };
    bench.state.cases = CaseList { cases: (1..=3).map(case).collect(), open: Some(CaseId(1)), ..CaseList::default() };
    window_of([1280.0, 1800.0], bench)
}

fn is_control(role: Role) -> bool {
    matches!(
        role,
        Role::Button
            | Role::RadioButton
            | Role::ListBoxOption
            | Role::Slider
            | Role::Switch
            | Role::TextInput
            | Role::ComboBox
            | Role::DisclosureTriangle
    )
}

/// The names of all enabled controls.
fn controls(harness: &Harness<'_, Bench>) -> Vec<String> {
    let all = harness.query_all_by(|node| is_control(node.role()));
    let usable = all.filter(|node| !node.accesskit_node().is_disabled());
    usable.map(|node| node.accesskit_node().label().unwrap_or_default()).collect()
}

#[test]
fn no_two_controls_share_a_name() {
    let harness = full();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in controls(&harness) {
        *counts.entry(name).or_default() += 1;
    }
    let shared: Vec<_> = counts.iter().filter(|(name, count)| name.is_empty() || **count > 1).collect();
    assert!(shared.is_empty(), "{shared:?}");
    assert!(counts.len() > 60, "only {} controls were looked at", counts.len());
}

#[test]
fn tab_reaches_every_control() {
    let mut harness = full();
    let wanted: BTreeSet<String> = controls(&harness).into_iter().collect();
    let mut reached = BTreeSet::new();
    for _ in 0..wanted.len() + 20 {
        harness.key_press(egui::Key::Tab);
        harness.run();
        let focused = harness.query_all_by(|node| node.is_focused() && is_control(node.role()));
        reached.extend(focused.filter_map(|node| node.accesskit_node().label()));
    }
    let missing: Vec<_> = wanted.difference(&reached).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
