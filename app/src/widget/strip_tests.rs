//! Tests of the strip chart.

use egui::{Key, pos2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

use super::*;
use crate::widget::testing::harness;

const COUNT: usize = 40;

fn strip() -> Harness<'static, (usize, Option<usize>)> {
    harness(
        |ui, (cursor, hovered): &mut (usize, Option<usize>)| {
            let values: Vec<_> = (0..COUNT).map(|i| (i % 5 != 0).then_some(i as f32 / COUNT as f32)).collect();
            let output = StripChart::new("Dice per slice", &values).cursor(Some(*cursor)).show(ui);
            *hovered = output.hovered;
            *cursor = output.chosen.unwrap_or(*cursor);
        },
        (7, None),
    )
}

/// The middle of the bar of an index.
fn bar(harness: &Harness<'_, (usize, Option<usize>)>, index: usize) -> Pos2 {
    let rect = harness.get_by_label("Dice per slice").rect();
    let width = rect.width() - GUTTER - space::M;
    pos2(rect.left() + GUTTER + width * (index as f32 + 0.5) / COUNT as f32, rect.center().y)
}

#[test]
fn the_strip_has_its_height_and_describes_its_cursor() {
    let harness = strip();
    let node = harness.get_by_label("Dice per slice");
    assert_eq!(node.rect().height(), size::STRIP);
    assert_eq!(node.accesskit_node().data().numeric_value(), Some(8.0), "counted from 1");
    assert_eq!(node.accesskit_node().data().description(), Some("Slice 8   0.17"));
}

#[test]
fn every_bar_can_be_hovered_and_selected() {
    let mut harness = strip();
    for index in [0, 1, 19, COUNT - 1] {
        let at = bar(&harness, index);
        harness.hover_at(at);
        harness.run();
        assert_eq!(harness.state().1, Some(index));
        harness.drag_at(at);
        harness.drop_at(at);
        harness.run();
        assert_eq!(harness.state().0, index);
    }
}

#[test]
fn dragging_past_the_end_stays_at_the_last() {
    let mut harness = strip();
    let (from, to) = (bar(&harness, 3), pos2(479.0, 40.0));
    harness.drag_at(from);
    harness.step();
    harness.hover_at(to);
    harness.step();
    harness.drop_at(to);
    harness.run();
    assert_eq!(harness.state().0, COUNT - 1);
}

#[test]
fn arrow_keys_step_within_the_strip() {
    let mut harness = strip();
    harness.get_by_label("Dice per slice").focus();
    harness.run();
    for (key, expected) in
        [(Key::ArrowRight, 8), (Key::ArrowLeft, 7), (Key::End, COUNT - 1), (Key::ArrowRight, COUNT - 1)]
    {
        harness.key_press(key);
        harness.run();
        assert_eq!(harness.state().0, expected, "{key:?}");
    }
}

#[test]
fn an_empty_strip_has_nothing_to_choose() {
    let mut harness = harness(
        |ui, chosen: &mut bool| *chosen |= StripChart::new("Empty", &[]).cursor(Some(3)).show(ui).chosen.is_some(),
        false,
    );
    harness.get_by_label("Empty").click();
    harness.run();
    assert!(!*harness.state());
}

#[test]
fn the_worst_of_crowded_values_is_kept() {
    let values = [Some(0.9), None, Some(0.1), Some(f32::NAN)];
    assert_eq!(StripChart::new("Dice", &values).worst_of(&values), Some(0.1));
    assert_eq!(StripChart::new("Entropy", &values).worst(WorstEnd::High).worst_of(&values), Some(0.9));
    assert_eq!(StripChart::new("Dice", &values).worst_of(&[None, None]), None);
}

#[test]
fn ticks_begin_at_one_and_leave_room() {
    assert_eq!(ticks(5, 400.0), [1, 2, 3, 4, 5]);
    assert_eq!(ticks(155, 800.0), [1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150]);
    assert_eq!(ticks(0, 400.0), Vec::<usize>::new());
    assert_eq!(trimmed(1.0), "1");
    assert_eq!(trimmed(0.5), "0.5");
}

#[test]
fn marks_are_described_and_drawn_at_their_values() {
    let marks = [
        Mark { name: "sigma".into(), index: None, value: 0.25, current: true },
        Mark { name: "run a, epoch 9".into(), index: Some(8), value: 0.5, current: false },
        Mark { name: "run b, epoch 90".into(), index: Some(89), value: 2.0, current: false },
    ];
    let harness = harness(
        move |ui, (): &mut ()| {
            let values = vec![Some(0.5); COUNT];
            StripChart::new("Sigma", &values).cursor(Some(0)).decimals(3).marks(&marks).show(ui);
        },
        (),
    );
    let node = harness.get_by_label("Sigma").accesskit_node();
    let expected = "Slice 1   0.500; sigma 0.250; run a, epoch 9 0.500; run b, epoch 90 2.000";
    assert_eq!(node.data().description(), Some(expected));
}
