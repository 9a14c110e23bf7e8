//! Orientation letters: nothing covers them.

use amlp_viewer::state::{Intent, PathPurpose};
use egui::epaint::TextShape;
use egui::{Rect, Shape};

use crate::phantom::Files;
use crate::window::*;

/// Every shape of the frame, in the order of painting.
fn shapes(window: &Window) -> Vec<Shape> {
    fn flat(shape: &Shape, to: &mut Vec<Shape>) {
        match shape {
            Shape::Vec(inner) => inner.iter().for_each(|shape| flat(shape, to)),
            other => to.push(other.clone()),
        }
    }
    let mut all = Vec::new();
    window.output().shapes.iter().for_each(|clipped| flat(&clipped.shape, &mut all));
    all
}

fn place(text: &TextShape) -> Rect {
    text.galley.rect.translate(text.pos.to_vec2())
}

#[test]
fn a_message_over_a_letter_leaves_it_in_sight() {
    let files = Files::new();
    let mut window = start(&args(&[&files.scan]), [900.0, 600.0], None);
    settle(&mut window);
    for n in 1..=4 {
        let missing = files.path(&format!("missing_{n}.nii.gz"));
        send(&mut window, Intent::UsePaths(PathPurpose::Probability.into(), vec![missing]));
    }
    assert_eq!(errors(&window).len(), 4);
    let shapes = shapes(&window);
    // The widths of toasts and of nothing else.
    let is_toast = |shape: &&Shape| matches!(shape, Shape::Rect(rect) if (335.0..345.0).contains(&rect.rect.width()));
    let last_toast = shapes.iter().rposition(|shape| is_toast(&shape)).unwrap();
    let covers: Vec<Rect> = shapes.iter().filter(is_toast).map(Shape::visual_bounding_rect).collect();
    let letters: Vec<(usize, &TextShape)> = shapes
        .iter()
        .enumerate()
        .filter_map(|(at, shape)| match shape {
            Shape::Text(text) if text.galley.text().len() <= 2 => Some((at, text)),
            _ => None,
        })
        .filter(|(_, text)| text.galley.text().chars().all(|c| "RLAPSI".contains(c)))
        .collect();
    let covered = |text: &TextShape| covers.iter().any(|cover| cover.contains_rect(place(text)));
    let below: Vec<_> = letters.iter().filter(|(at, text)| *at < last_toast && covered(text)).collect();
    assert!(!below.is_empty(), "the messages cover a letter: {covers:?}");
    for (_, letter) in below {
        let same = |text: &TextShape| {
            text.galley.text() == letter.galley.text() && place(text).center().distance(place(letter).center()) < 2.0
        };
        assert!(letters.iter().any(|(at, text)| *at > last_toast && same(text)), "{:?}", letter.galley.text());
    }
}

/// A letter is white: on the white projection of a PET scan nothing but its plate tells it from the image.
#[test]
fn letters_and_numbers_stand_on_plates() {
    let files = Files::new();
    let mut window = start(&args(&[&files.scan, &files.truth]), [900.0, 600.0], None);
    settle(&mut window);
    let shapes = shapes(&window);
    let plates = |text: &TextShape| {
        let is_plate = |shape: &&Shape| match shape {
            Shape::Rect(plate) => {
                plate.rect.contains_rect(place(text).shrink(1.0)) && (100..220).contains(&plate.fill.a())
            }
            _ => false,
        };
        shapes.iter().filter(is_plate).count()
    };
    let texts = shapes.iter().filter_map(|shape| if let Shape::Text(text) = shape { Some(text) } else { None });
    let of_panes: Vec<&TextShape> = texts
        .filter(|text| matches!(text.galley.text(), "S" | "I" | "1"))
        .filter(|text| (220.0..620.0).contains(&text.pos.x) && (40.0..480.0).contains(&text.pos.y))
        .collect();
    assert!(of_panes.len() > 6, "{}", of_panes.len());
    for text in of_panes {
        assert!(plates(text) > 0, "{:?} at {:?}", text.galley.text(), text.pos);
    }
}
