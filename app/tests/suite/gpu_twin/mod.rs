//! Compares panes drawn by the adapter with the shaders' CPU twin, and with the voxels.

mod patches;
mod scene;

use crate::common;
use amlp_viewer::gpu::offscreen::Offscreen;
use amlp_viewer::gpu::{GpuError, SlicePaint, Texture};
use egui::Color32;
use engine::edit::op::{Brush, Mode, Plane};
use engine::edit::{self, EditLabels, Op, VoxelBox};
use engine::event::Control;
use engine::volume::{Grid, LabelData, LabelVolume, Orientation, Volume, VoxelData};
use glam::{DAffine3, DVec3};
use scene::{Scene, WIDTH, blobs, draw, draw_all, every_type, oblique_grid, phantom, rows, small_grid, volume};
use shaders::{ColourMap, ComparisonMode, Image, Interpolation, LabelMode, labels_shown};

#[test]
fn every_voxel_type_is_drawn_with_both_interpolations() {
    let Some(screen) = common::offscreen() else { return };
    let grid = small_grid();
    for data in every_type(&grid) {
        let name = data.type_name();
        let mut scene = Scene::of(volume(&grid, data));
        for interpolation in [Interpolation::Nearest, Interpolation::Linear] {
            scene.uniforms.base.interpolation = interpolation as u32;
            scene.check(&screen, &format!("{name}, {interpolation:?}"));
        }
    }
}

#[test]
fn every_colour_map_is_drawn() {
    let Some(screen) = common::offscreen() else { return };
    let grid = small_grid();
    let mut scene = Scene::of(volume(&grid, every_type(&grid).swap_remove(3)));
    let mut seen = Vec::new();
    for map in ColourMap::ALL {
        scene.uniforms.base.colour_map = map as u32;
        seen.push(scene.check(&screen, &format!("{map:?}")));
    }
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn non_finite_values_are_black() {
    let Some(screen) = common::offscreen() else { return };
    let grid = small_grid();
    let odd = |(at, x): (usize, &f64)| match at % 11 {
        0 => f32::NAN,
        3 => f32::INFINITY,
        5 => f32::NEG_INFINITY,
        _ => *x as f32,
    };
    let data = VoxelData::F32(phantom(&grid).iter().enumerate().map(odd).collect());
    let mut scene = Scene::of(volume(&grid, data));
    let mut black = Vec::new();
    for interpolation in [Interpolation::Nearest, Interpolation::Linear] {
        scene.uniforms.base.interpolation = interpolation as u32;
        let drawn = scene.check(&screen, &format!("{interpolation:?}"));
        black.push(drawn.iter().filter(|p| p[..3] == [0; 3]).count());
    }
    let finite = Scene::of(volume(&grid, every_type(&grid).swap_remove(8))).check(&screen, "finite");
    let outside = finite.iter().filter(|p| p[..3] == [0; 3]).count();
    assert!(black.iter().all(|&n| n > outside), "{black:?}, {outside} outside");
}

#[test]
fn a_second_volume_on_its_own_grid_is_fused() {
    let Some(screen) = common::offscreen() else { return };
    let grid = small_grid();
    let other = oblique_grid([13, 12, 14], [2.3, 2.1, 1.7], [-0.2, 0.6, 0.1]);
    let mut scene = Scene::of(volume(&grid, every_type(&grid).swap_remove(0)));
    let bare = scene.check(&screen, "bare");
    scene.fused = Some(volume(&other, every_type(&other).swap_remove(8)));
    for transparent_low in [0, 1] {
        scene.uniforms.fused = Image {
            rows: rows(&other, 0.4, [0.3, 0.2, 0.5]),
            window: [20.0, 90.0],
            colour_map: ColourMap::Pet as u32,
            opacity: 0.6,
            transparent_low,
            ..Image::default()
        };
        let drawn = scene.check(&screen, &format!("fused, {transparent_low}"));
        assert!(drawn != bare);
    }
}

#[test]
fn labels_are_drawn_in_every_mode() {
    let Some(screen) = common::offscreen() else { return };
    let grid = small_grid();
    let mut scene = Scene::of(volume(&grid, every_type(&grid).swap_remove(3)));
    scene.labels = Some(blobs(&grid, 0.3));
    let mut seen = Vec::new();
    for mode in [LabelMode::Hidden, LabelMode::Fill, LabelMode::Outline, LabelMode::FillAndOutline] {
        for (pixels_per_point, outline_px) in [(1.0, 1.0), (2.0, 3.0)] {
            scene.pixels_per_point = pixels_per_point;
            scene.uniforms.outline_px = outline_px;
            scene.uniforms.label_mode = mode as u32;
            seen.push(scene.check(&screen, &format!("{mode:?}, {outline_px}")));
        }
    }
    assert!(seen[0] == seen[1]);
    assert!(seen[1..].windows(2).filter(|pair| pair[0] != pair[1]).count() >= 5);
    scene.uniforms.visible = labels_shown(|l| l == 2);
    let one = scene.check(&screen, "one label");
    assert!(one != seen[7]);
    assert!(one != seen[0]);
}

#[test]
fn segmentation_and_reference_are_compared_in_four_classes() {
    let Some(screen) = common::offscreen() else { return };
    let grid = small_grid();
    let mut scene = Scene::of(volume(&grid, every_type(&grid).swap_remove(3)));
    let mut reference = blobs(&grid, 0.9);
    let LabelData::U8(labels) = &mut reference.data else { panic!("small labels") };
    labels.iter_mut().step_by(3).filter(|label| **label > 0).for_each(|label| *label = 1 + *label % 3);
    (scene.labels, scene.truth) = (Some(blobs(&grid, 0.3)), Some(reference));
    scene.uniforms.comparing = ComparisonMode::Labels as u32;
    scene.uniforms.label_opacity = 1.0;
    for pixels_per_point in [1.0, 2.0] {
        scene.pixels_per_point = pixels_per_point;
        let drawn = scene.check(&screen, &format!("{pixels_per_point}"));
        for [r, g, b] in shaders::colour::COMPARISON {
            let there = drawn.contains(&Color32::from_rgb(r, g, b).to_array());
            assert!(there, "{r:02X}{g:02X}{b:02X} at {pixels_per_point}");
        }
    }
}

#[test]
fn an_srgb_target_gets_the_same_bytes() {
    let Some(screen) = common::offscreen() else { return };
    let mut state = render_state(|_| {});
    state.target_format = wgpu::TextureFormat::Rgba8UnormSrgb;
    let renderer =
        egui_wgpu::Renderer::new(&state.device, state.target_format, egui_wgpu::RendererOptions::PREDICTABLE);
    state.renderer = std::sync::Arc::new(egui::mutex::RwLock::new(renderer));
    let linear = Offscreen::of(state);
    let grid = small_grid();
    let mut scene = Scene::of(volume(&grid, every_type(&grid).swap_remove(3)));
    scene.labels = Some(blobs(&grid, 0.3));
    let [a, b] = [&screen, &linear].map(|screen| scene.check(screen, "linear light"));
    assert!(a.iter().zip(&b).all(|(a, b)| (0..4).all(|c| a[c].abs_diff(b[c]) <= 2)));
}

fn render_state(limits: fn(&mut wgpu::Limits)) -> egui_wgpu::RenderState {
    let mut setup = egui_wgpu::WgpuSetupCreateNew::without_display_handle();
    let usual = setup.device_descriptor.clone();
    setup.device_descriptor = std::sync::Arc::new(move |adapter| {
        let mut descriptor = usual(adapter);
        limits(&mut descriptor.required_limits);
        descriptor
    });
    let options = egui_wgpu::RendererOptions::PREDICTABLE;
    egui_kittest::wgpu::create_render_state(egui_wgpu::WgpuSetup::CreateNew(setup), options)
}

/// The stored form of a canonical volume in another axis order, and its grid.
fn stored_as(orientation: &Orientation, canonical: &Grid, values: &[i16]) -> Volume {
    // `orientation` maps the stored array to the canonical one; its inverse makes the stored array.
    let shape = orientation.source_shape(canonical.shape);
    let data = orientation.inverse(values, shape);
    let grid = canonical.reoriented(&orientation.inverted());
    assert_eq!(grid.shape, shape);
    volume(&grid, VoxelData::I16(data))
}

#[test]
fn all_48_axis_orders_are_drawn_alike_with_the_right_voxels() {
    let Some(screen) = common::offscreen() else { return };
    let canonical = Grid::new([20, 15, 9], DAffine3::from_scale(DVec3::new(0.9, 1.3, 2.5)));
    let values: Vec<i16> = phantom(&canonical).iter().map(|&x| x as i16 - 30).collect();
    let mut pictures = Vec::new();
    for orientation in Orientation::all() {
        let stored = stored_as(&orientation, &canonical, &values);
        assert_eq!(stored.grid.orientation(), orientation);
        let mut scene = Scene::of(stored);
        scene.labels = Some(labels_of(&scene.base));
        // Eight pixels to a voxel, slice 4 from the front, indices growing to the right and downwards.
        scene.uniforms.base.rows = [[0.125, 0.0, 0.0, -0.5], [0.0, 0.0, 0.0, 4.0], [0.0, 0.125, 0.0, -0.5]];
        scene.uniforms.base.interpolation = Interpolation::Nearest as u32;
        let nearest = scene.on_card(screen.gpu());
        let mut oblique = nearest.clone();
        oblique.uniforms.base.rows = rows(&canonical, 0.15, [0.3, 0.2, 0.5]);
        oblique.uniforms.base.interpolation = Interpolation::Linear as u32;
        let mut bare = nearest.clone();
        bare.uniforms.label_mode = LabelMode::Hidden as u32;
        let panes = draw_all(&screen, &[bare, nearest, oblique], 1.0);
        for (x, z) in [(0, 0), (7, 3), (19, 8), (12, 5)] {
            let value = 1.5 * f64::from(values[x + 20 * (4 + 15 * z)]) - 20.0;
            let grey = ((value + 20.0) / 150.0).clamp(0.0, 1.0) * 255.0;
            let got = panes[0][(8 * z + 4) * WIDTH as usize + 8 * x + 4];
            assert!((f64::from(got[0]) - grey).abs() <= 1.0, "{orientation:?} at {x}, {z}: {got:?}, not {grey}");
        }
        pictures.push(panes);
    }
    assert!(pictures[0][0] != pictures[0][1]);
    let different = pictures.iter().filter(|&p| *p != pictures[0]).count();
    assert_eq!(different, 0, "axis orders that are drawn differently");
}

/// Labels voxels with high values, so that labels move with the voxels.
fn labels_of(volume: &Volume) -> LabelVolume {
    let labels: Vec<u16> = volume.to_f32().iter().map(|&v| u16::from(v > 10.0)).collect();
    LabelVolume::new(volume.grid.clone(), labels).unwrap()
}

#[test]
fn panes_of_one_frame_do_not_affect_each_other() {
    let Some(screen) = common::offscreen() else { return };
    let grid = small_grid();
    let panes: Vec<SlicePaint> = [0, 3, 8, 10]
        .map(|k| Scene::of(volume(&grid, every_type(&grid).swap_remove(k))).on_card(screen.gpu()))
        .into_iter()
        .collect();
    let together = draw_all(&screen, &panes, 1.0);
    for (pane, seen) in panes.iter().zip(&together) {
        assert!(draw(&screen, pane) == *seen);
    }
    assert!(together[0] != together[3]);
}

#[test]
fn a_long_axis_is_subsampled_with_a_note() {
    if common::offscreen().is_none() {
        return;
    }
    let screen = Offscreen::of(render_state(|limits| limits.max_texture_dimension_3d = 256));
    let canonical = Grid::new([300, 5, 4], DAffine3::from_scale(DVec3::new(0.5, 1.0, 1.0)));
    let values: Vec<i16> = (0..canonical.len()).map(|at| (at % 300 / 3) as i16).collect();
    let mut pictures = Vec::new();
    for flip in [false, true] {
        let orientation = Orientation { axis: [2, 0, 1], flip: [true, flip, false] };
        let mut scene = Scene::of(stored_as(&orientation, &canonical, &values));
        scene.uniforms.base.rows = [[2.0, 0.0, 0.0, -0.5], [0.0, 0.04, 0.0, -0.5], [0.0, 0.0, 0.0, 1.0]];
        let pane = scene.on_card(screen.gpu());
        let base = pane.base.as_ref().unwrap();
        assert!(base.note().unwrap().contains("every second voxel along j"), "{:?}", base.note());
        assert_eq!(base.memory_bytes(), 150 * 5 * 4 * 2);
        pictures.push(draw(&screen, &pane));
    }
    assert!(pictures[0] == pictures[1]);
    // Stored value of voxel 100: 33, so 1.5 * 33 - 20 within -20 to 130.
    assert_eq!(pictures[0][50][0], (1.5 * 33.0 / 150.0 * 255.0_f32).round() as u8);
}

#[test]
fn labels_can_be_uploaded_slice_by_slice() {
    let Some(screen) = common::offscreen() else { return };
    let gpu = screen.gpu();
    let grid = small_grid();
    let done = blobs(&grid, 0.3);
    let pane = |texture: &Texture| {
        let scene = Scene::of(volume(&grid, every_type(&grid).swap_remove(3)));
        draw(&screen, &SlicePaint { labels: Some(texture.clone()), ..scene.on_card(gpu) })
    };
    let whole = pane(&gpu.upload_labels(&done).unwrap());
    let (edited, all) = (EditLabels::from_volume(&done), VoxelBox::whole(grid.shape).unwrap());
    let empty = LabelVolume::new(grid.clone(), vec![0_u8; grid.len()]).unwrap();
    let before = pane(&gpu.upload_labels(&empty).unwrap());
    assert!(before != whole);
    for axis in 0..3 {
        let texture = gpu.upload_labels(&empty).unwrap();
        let n = grid.shape[axis];
        let part = |range: std::ops::Range<usize>| {
            let mut part = all;
            (part.min[axis], part.max[axis]) = (range.start, range.end - 1);
            part
        };
        for range in [0..1, 1..n / 2] {
            gpu.update_labels(&texture, &edited, &part(range)).unwrap();
        }
        let half = pane(&texture);
        assert!(half != before && half != whole, "axis {axis}");
        gpu.update_labels(&texture, &edited, &part(n / 2..n)).unwrap();
        assert!(pane(&texture) == whole, "axis {axis}");
        gpu.update_labels(&texture, &EditLabels::new(grid.clone()), &all).unwrap();
        assert!(pane(&texture) == before, "axis {axis}");
    }
}

#[test]
fn only_the_box_of_a_stroke_is_uploaded_for_every_axis_order() {
    let Some(screen) = common::offscreen() else { return };
    let gpu = screen.gpu();
    for orientation in Orientation::all().step_by(5) {
        let grid = small_grid().reoriented(&orientation);
        let pane = |texture: &Texture| {
            let scene = Scene::of(volume(&grid, every_type(&grid).swap_remove(3)));
            draw(&screen, &SlicePaint { labels: Some(texture.clone()), ..scene.on_card(gpu) })
        };
        let before = blobs(&grid, 0.3);
        let mut labels = EditLabels::from_volume(&before);
        let centre = grid.shape.map(|n| n / 2);
        let brush = Brush {
            radius_mm: 4.0,
            mode: Mode::Volume,
            plane: Plane::default(),
            points_mm: vec![grid.world(centre).to_array()],
            connected: false,
        };
        let op = Op::Paint { label: 2, brush };
        let delta = edit::apply(&op, &mut labels, &edit::Scene::default(), &Control::default()).unwrap();
        let whole = pane(&gpu.upload_labels(&labels.to_volume()).unwrap());
        let texture = gpu.upload_labels(&before).unwrap();
        assert!(pane(&texture) != whole, "{orientation:?}");
        gpu.update_labels(&texture, &labels, &delta.bounds().unwrap()).unwrap();
        assert!(pane(&texture) == whole, "{orientation:?}");
        // Updating another box does not change the picture.
        let other = gpu.upload_labels(&before).unwrap();
        let corner = VoxelBox { min: [0; 3], max: [0; 3] };
        gpu.update_labels(&other, &labels, &corner).unwrap();
        assert!(pane(&other) != whole, "{orientation:?}");
    }
}

#[test]
fn labels_of_another_shape_are_refused_with_both_shapes() {
    let Some(screen) = common::offscreen() else { return };
    let gpu = screen.gpu();
    let (grid, other) = (small_grid(), oblique_grid([5, 5, 5], [1.0; 3], [0.0; 3]));
    let base = volume(&grid, every_type(&grid).swap_remove(0));
    assert_eq!(gpu.upload(&base, 1), Err(GpuError::NoFrame { frame: 1, frames: 1 }));
    let small = blobs(&other, 0.1);
    let texture = gpu.upload_labels(&blobs(&grid, 0.1)).unwrap();
    let (edited, first) = (EditLabels::from_volume, VoxelBox { min: [0; 3], max: [0; 3] });
    assert!(matches!(gpu.update_labels(&texture, &edited(&small), &first), Err(GpuError::Misfit { .. })));
    let beyond = VoxelBox { min: [0; 3], max: [0, 0, 11] };
    assert!(matches!(gpu.update_labels(&texture, &edited(&blobs(&grid, 0.1)), &beyond), Err(GpuError::Misfit { .. })));
    let wide = LabelVolume::new(grid.clone(), vec![300_u16; grid.len()]).unwrap();
    assert_eq!(gpu.update_labels(&texture, &edited(&wide), &first), Err(GpuError::Wide));
    let pane = SlicePaint {
        base: Some(gpu.upload(&base, 0).unwrap()),
        labels: Some(gpu.upload_labels(&small).unwrap()),
        ..SlicePaint::default()
    };
    let why = pane.complete().unwrap_err().to_string();
    assert!(why.contains("[5, 5, 5]") && why.contains("[24, 19, 11]"), "{why}");
    let long = volume(&grid, VoxelData::I32(vec![(1 << 24) + 1; grid.len()]));
    assert!(gpu.upload(&long, 0).unwrap().note().unwrap().contains("32-bit"));
    let short = volume(&grid, VoxelData::I32(vec![-(1 << 24); grid.len()]));
    assert_eq!(gpu.upload(&short, 0).unwrap().note(), None);
}

#[test]
fn a_lost_device_is_reported_and_ends_uploads() {
    if common::offscreen().is_none() {
        return;
    }
    let state = render_state(|_| {});
    let screen = Offscreen::of(state.clone());
    assert_eq!(screen.gpu().lost(), None);
    state.device.destroy();
    drop(state.device.poll(wgpu::PollType::Poll));
    let lost = screen.gpu().lost().unwrap();
    assert!(lost.contains("lost"), "{lost}");
    let grid = small_grid();
    let refused = screen.gpu().upload(&volume(&grid, every_type(&grid).swap_remove(0)), 0);
    assert_eq!(refused, Err(GpuError::Device(lost)));
}

/// A software adapter may recompile a shader for new parameters and never free it.
#[cfg(target_os = "linux")]
#[test]
fn changing_parameters_of_panes_does_not_leak_memory() {
    /// Resident memory in MiB. Other tests of this file add some tens of MiB.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }
    let Some(screen) = common::offscreen() else { return };
    let grid = small_grid();
    let mut scene = Scene::of(volume(&grid, every_type(&grid).swap_remove(3)));
    scene.labels = Some(blobs(&grid, 0.0));
    let first = scene.on_card(screen.gpu());
    let other = |at: u32| {
        let mut pane = first.clone();
        pane.uniforms.base.interpolation = at % 2;
        pane.uniforms.base.colour_map = at % 5;
        pane.uniforms.label_mode = at % 4;
        pane.uniforms.visible = labels_shown(|label| label % 3 == at as u16 % 3);
        pane.uniforms.outline_px = at as f32 * 0.01;
        pane
    };
    draw_all(&screen, &[other(0), other(1), other(2), other(3)], 1.0);
    let before = resident();
    for at in 0..60 {
        draw_all(&screen, &[other(at), other(at + 1), other(at + 2), other(at + 3)], 1.0);
    }
    let after = resident();
    assert!(after < before + 150, "{before} MiB before, {after} MiB after");
}
