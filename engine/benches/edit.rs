//! Edits of a 512 x 512 x 300 mask. A brush stroke must take much less than a frame of 16 ms per pointer move.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use divan::Bencher;
use divan::counter::ItemsCount;
use engine::edit::op::{Brush, Mode, Op, Plane};
use engine::edit::op_list::{self, ListedOp};
use engine::edit::{Delta, EditLabels, Scene, apply, plan};
use engine::event::Control;
use engine::volume::Grid;
use glam::{DAffine3, DVec3};

fn main() {
    divan::main();
}

const SPACING: [f64; 3] = [0.7, 0.7, 1.0];

fn empty() -> EditLabels {
    EditLabels::new(Grid::new([512, 512, 300], DAffine3::from_scale(DVec3::from_array(SPACING))))
}

/// One pointer move of a stroke, `step` mm long. A radius of 14 mm is 20 voxels.
fn stroke(mode: Mode, radius_mm: f64, step: f64) -> Op {
    let points_mm = vec![[150.0, 150.0, 150.0], [150.0 + step, 150.0 + step, 150.0]];
    Op::Paint { label: 1, brush: Brush { radius_mm, mode, plane: Plane::default(), points_mm, connected: true } }
}

fn done(op: &Op, labels: &mut EditLabels) -> Delta {
    apply(op, labels, &Scene::default(), &Control::default()).unwrap()
}

/// The first move after a snapshot copies the slabs that it touches.
#[divan::bench]
fn first_move_of_a_ball_of_20_voxels(bencher: Bencher) {
    let op = stroke(Mode::Volume, 14.0, 2.0);
    let labels = empty();
    bencher.with_inputs(|| labels.clone()).bench_local_values(|mut labels| done(&op, &mut labels));
}

#[divan::bench]
fn next_move_of_a_ball_of_20_voxels(bencher: Bencher) {
    let (first, next) = (stroke(Mode::Volume, 14.0, 2.0), stroke(Mode::Volume, 14.0, 4.0));
    let mut labels = empty();
    bencher.bench_local(|| {
        let stroke = done(&first, &mut labels).then(&done(&next, &mut labels));
        let dirty = stroke.bounds().map(|bounds| labels.copy_box(&bounds));
        assert!(stroke.inverted().apply(&mut labels));
        dirty
    });
}

#[divan::bench]
fn move_of_a_disc_of_20_voxels(bencher: Bencher) {
    let op = stroke(Mode::Slice, 14.0, 2.0);
    let mut labels = empty();
    bencher.bench_local(|| {
        let delta = done(&op, &mut labels);
        assert!(delta.inverted().apply(&mut labels));
    });
}

/// Times an operation on a lesion of 40 ml.
#[divan::bench(args = [
    r#"{"op":"grow","label":1,"mm":3}"#,
    r#"{"op":"shrink","label":1,"mm":3}"#,
    r#"{"op":"smooth","label":1,"mm":2}"#,
    r#"{"op":"smooth","label":1,"mm":2,"method":"gaussian"}"#,
    r#"{"op":"fill_holes","label":1}"#,
    r#"{"op":"remove_component","point_mm":[150,150,150]}"#,
    r#"{"op":"keep_largest"}"#,
])]
fn operation(bencher: Bencher, text: &str) {
    let Some(ListedOp::Edit(op)) = op_list::parse(&format!("[{text}]")).unwrap().pop() else { panic!("{text}") };
    let mut labels = empty();
    let voxels = done(&stroke(Mode::Volume, 21.0, 2.0), &mut labels).voxels();
    let bencher = bencher.counter(ItemsCount::new(voxels));
    bencher.bench_local(|| plan(&op, &labels, &Scene::default(), &Control::default()).unwrap());
}

/// A lesion of which every sixth slice is drawn.
#[divan::bench]
fn interpolate_ten_gaps(bencher: Bencher) {
    let mut labels = empty();
    for n in 0..11_u32 {
        let radius = 12.0 + 6.0 * (f64::from(n) / 3.0).sin();
        let points_mm = vec![[150.0 + f64::from(n), 150.0, 100.0 + 6.0 * f64::from(n)]];
        let brush =
            Brush { radius_mm: radius, mode: Mode::Slice, plane: Plane::default(), points_mm, connected: false };
        done(&Op::Paint { label: 1, brush }, &mut labels);
    }
    let op = Op::Interpolate { label: 1, axis: 2, overwrite: false };
    bencher.bench_local(|| plan(&op, &labels, &Scene::default(), &Control::default()).unwrap());
}
