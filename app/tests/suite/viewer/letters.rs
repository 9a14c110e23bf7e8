//! Orientation letters are never covered.

use amlp_viewer::command::WindowCommand;
use amlp_viewer::state::{Intent, Mode, PathPurpose};
use egui::epaint::TextShape;
use egui::{Pos2, Rect, Role, Shape};
use egui_kittest::kittest::Queryable as _;

use crate::phantom::{self, Files, STORED, straight};
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

/// Causes four error messages.
fn fail_four_times(window: &mut Window, files: &Files) {
    for n in 1..=4 {
        let missing = files.path(&format!("missing_{n}.nii.gz"));
        send(window, Intent::UsePaths(PathPurpose::Probability.into(), vec![missing]));
    }
    assert_eq!(errors(window).len(), 4);
}

#[test]
fn no_message_covers_an_image() {
    let files = Files::new();
    for size in [[1280.0, 800.0], [900.0, 600.0]] {
        let mut window = start(&args(&[&files.scan]), size, None);
        settle(&mut window);
        fail_four_times(&mut window, &files);
        for mode in Mode::ALL {
            send(&mut window, WindowCommand::SetMode(mode));
            for strip in [true, false] {
                let check = |window: &Window| {
                    let messages: Vec<Rect> = window.query_all_by_role(Role::Alert).map(|node| node.rect()).collect();
                    assert!(!messages.is_empty(), "{mode:?}");
                    for image in window.query_all_by_role(Role::Canvas).map(|node| node.rect()) {
                        let over = messages.iter().find(|message| message.shrink(1.0).intersects(image));
                        assert!(over.is_none(), "{mode:?}, strip {strip}: {over:?} covers {image:?}");
                    }
                    let whole = Rect::from_min_size(Pos2::ZERO, size.into());
                    assert!(messages.iter().all(|message| whole.contains_rect(*message)), "{messages:?}");
                };
                check(&window);
                send(&mut window, WindowCommand::ToggleStrip);
            }
        }
    }
}

/// Without strip and panels, messages cover an image.
#[test]
fn letters_stay_visible_above_messages() {
    let files = Files::new();
    let mut window = start(&args(&[&files.scan]), [900.0, 600.0], None);
    settle(&mut window);
    for command in [WindowCommand::ToggleStrip, WindowCommand::ToggleLeft, WindowCommand::ToggleRight] {
        send(&mut window, command);
    }
    fail_four_times(&mut window, &files);
    let shapes = shapes(&window);
    let covers: Vec<Rect> = window.query_all_by_role(Role::Alert).map(|node| node.rect()).collect();
    let is_toast = |shape: &Shape| matches!(shape, Shape::Rect(rect) if covers.iter().any(|cover| cover.expand(2.0).contains_rect(rect.rect)));
    let last_toast =
        shapes.iter().rposition(|shape| is_toast(shape) && shape.visual_bounding_rect().width() > 200.0).unwrap();
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

/// Letters are white: on the white projection of a PET scan only the plate makes them visible.
#[test]
fn letters_and_numbers_are_drawn_on_plates() {
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
    assert!(of_panes.len() > 3, "{}", of_panes.len());
    for text in of_panes {
        assert!(plates(text) > 0, "{:?} at {:?}", text.galley.text(), text.pos);
    }
}

/// Four images side by side are distinguished only by their names, which a lesion must not hide.
#[test]
fn lesions_never_hide_the_names_of_slice_and_image() {
    let files = Files::new();
    let images: Vec<_> =
        ["flair", "t1", "t1ce", "t2"].iter().map(|name| files.path(&format!("p_{name}.nii.gz"))).collect();
    for image in &images {
        phantom::write_i16(image, &straight(), STORED, phantom::hounsfield);
    }
    let lesion = files.path("p_seg.nii.gz");
    let names = |window: &Window, wanted: &str| {
        let shapes = shapes(window);
        let texts = shapes.iter().filter_map(|shape| if let Shape::Text(text) = shape { Some(text) } else { None });
        texts.filter(|text| text.galley.text() == wanted && (220.0..620.0).contains(&text.pos.x)).count()
    };
    // In each corner and everywhere, but small enough for text to avoid it.
    for reach in [[0, 16, 20, 36], [24, 40, 20, 36], [4, 36, 4, 16], [0, 40, 0, 36]] {
        let [left, right, low, high] = reach;
        let inside = |[x, y, _]: phantom::Voxel| (left..right).contains(&x) && (low..high).contains(&y);
        phantom::write_mask(&lesion, &straight(), STORED, inside);
        let paths: Vec<&std::path::Path> = images.iter().chain([&lesion]).map(std::path::PathBuf::as_path).collect();
        let mut window = start(&args(&paths), [900.0, 600.0], None);
        settle(&mut window);
        for plane in ["Axial", "Sagittal", "Coronal"] {
            let drawn = shapes(&window).iter().filter(|shape| matches!(shape, Shape::Text(text) if text.galley.text().starts_with(plane) && text.galley.text().contains('/'))).count();
            assert!(drawn > 0, "{plane} over {reach:?}");
        }
        send(&mut window, amlp_viewer::command::ViewCommand::ToggleLinked);
        for name in ["MR FLAIR", "MR T1", "MR T1CE", "MR T2"] {
            assert!(names(&window, name) > 0, "{name} over {reach:?}");
        }
    }
}
