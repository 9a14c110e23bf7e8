//! Phantoms, and panes that show them, drawn by the GPU and by the CPU twin.

use amlp_viewer::gpu::offscreen::Offscreen;
use amlp_viewer::gpu::{Gpu, PatchPaint, SlicePaint, paint};
use egui::{ColorImage, Rect, pos2, vec2};
use engine::volume::{Grid, LabelData, LabelVolume, Scale, Volume, VoxelData};
use glam::{DAffine3, DMat3, DVec3, EulerRot};
use shaders::cpu::{self, Texels, Textures};
use shaders::{Image, Patches, Slice};

pub const WIDTH: u32 = 160;
pub const HEIGHT: u32 = 120;
/// Position of panes in the frame, in points, off the origin.
const CORNER: egui::Pos2 = pos2(13.0, 7.0);

/// An anisotropic grid, turned away from every axis.
pub fn oblique_grid(shape: [usize; 3], spacing: [f64; 3], angles: [f64; 3]) -> Grid {
    let turn = DMat3::from_euler(EulerRot::XYZ, angles[0], angles[1], angles[2]);
    let matrix3 = turn * DMat3::from_diagonal(DVec3::from_array(spacing));
    let middle = DVec3::from_array(shape.map(|n| (n as f64 - 1.0) / 2.0));
    Grid::new(shape, DAffine3 { matrix3, translation: -(matrix3 * middle) })
}

pub fn volume(grid: &Grid, data: VoxelData) -> Volume {
    let scale = Scale { slope: 1.5, inter: -20.0 };
    Volume { scale, data, ..Volume::from_f32(grid.clone(), vec![0.0; grid.len()]) }
}

/// Values from 0 to 100 with slopes, edges and no symmetry.
pub fn phantom(grid: &Grid) -> Vec<f64> {
    let value = |at: usize| {
        let [nx, ny, _] = grid.shape;
        let (i, j, k) = ((at % nx) as f64, (at / nx % ny) as f64, (at / (nx * ny)) as f64);
        let waves = (i * 0.9).sin() + (j * 0.6 + 0.4).cos() + (k * 0.8 + i * 0.2).sin();
        (50.0 + 15.0 * waves + f64::from(u8::from(at.is_multiple_of(7))) * 5.0).clamp(0.0, 100.0).round()
    };
    (0..grid.len()).map(value).collect()
}

pub fn blobs(grid: &Grid, seed: f64) -> LabelVolume {
    let labels: Vec<u16> = phantom(grid)
        .iter()
        .enumerate()
        .map(|(at, v)| {
            let [nx, ny, _] = grid.shape;
            let (i, j) = ((at % nx) as f64, (at / nx % ny) as f64);
            if (i * 0.5 + seed).sin() * (j * 0.4).cos() > 0.2 { 1 + (*v as u16) % 3 } else { 0 }
        })
        .collect();
    LabelVolume::new(grid.clone(), labels).unwrap()
}

/// Rows of a pane that shows a world plane through the middle, `mm` millimetres per pixel.
pub fn rows(grid: &Grid, mm: f64, angles: [f64; 3]) -> [[f32; 4]; 3] {
    let turn = DMat3::from_euler(EulerRot::XYZ, angles[0], angles[1], angles[2]) * mm;
    let centre = DVec3::new(f64::from(WIDTH) / 2.0, f64::from(HEIGHT) / 2.0, 0.0);
    let world_from_pixel = DAffine3 { matrix3: turn, translation: -(turn * centre) };
    rows_of(&(grid.reoriented_to_ras().0.voxel_from_world() * world_from_pixel))
}

fn rows_of(index_from_pixel: &DAffine3) -> [[f32; 4]; 3] {
    let (m, t) = (index_from_pixel.matrix3.transpose(), index_from_pixel.translation);
    let row = |r: DVec3, t: f64| [r.x, r.y, r.z, t].map(|v| v as f32);
    [row(m.x_axis, t.x), row(m.y_axis, t.y), row(m.z_axis, t.z)]
}

/// Draws panes side by side in one frame; their pixels, each row by row.
pub fn draw_all(screen: &Offscreen, panes: &[SlicePaint], pixels_per_point: f32) -> Vec<Vec<[u8; 4]>> {
    let size = vec2(WIDTH as f32, HEIGHT as f32) / pixels_per_point;
    let rects: Vec<Rect> =
        (0..panes.len()).map(|k| Rect::from_min_size(CORNER + vec2(size.x * k as f32, 0.0), size)).collect();
    let all = vec2(size.x * panes.len() as f32, size.y) + CORNER.to_vec2() + vec2(5.0, 5.0);
    let mut input =
        egui::RawInput { screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), all)), ..egui::RawInput::default() };
    input.viewports.entry(egui::ViewportId::ROOT).or_default().native_pixels_per_point = Some(pixels_per_point);
    let ctx = egui::Context::default();
    let mut output = ctx.run_ui(input, |ui| {
        let painter = ui.ctx().layer_painter(egui::LayerId::background());
        for (rect, pane) in rects.iter().zip(panes) {
            paint(&painter, *rect, pane.clone()).unwrap();
        }
    });
    screen.take_textures(&mut output);
    let picture = screen.draw(&ctx, &output).unwrap();
    assert_eq!(screen.gpu().lost(), None);
    rects.iter().map(|rect| cut(&picture, *rect, pixels_per_point)).collect()
}

fn cut(picture: &ColorImage, rect: Rect, pixels_per_point: f32) -> Vec<[u8; 4]> {
    let ([left, top], [width, height]) = amlp_viewer::gpu::pane_in_pixels(rect, pixels_per_point);
    assert_eq!([width, height], [WIDTH, HEIGHT]);
    let at = |x, y| picture[((left + x) as usize, (top + y) as usize)];
    (0..HEIGHT as i32).flat_map(|y| (0..WIDTH as i32).map(move |x| at(x, y).to_array())).collect()
}

pub fn draw(screen: &Offscreen, pane: &SlicePaint) -> Vec<[u8; 4]> {
    draw_all(screen, std::slice::from_ref(pane), 1.0).remove(0)
}

/// The texels of a volume, packed independently.
enum OwnedTexels {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
}

impl OwnedTexels {
    fn of_volume(volume: &Volume) -> Self {
        let floats = |v: Vec<f32>| Self::U32(v.into_iter().map(f32::to_bits).collect());
        match &volume.data {
            VoxelData::U8(v) => Self::U8(v.clone()),
            VoxelData::I8(v) => Self::U8(v.iter().map(|x| x.cast_unsigned()).collect()),
            VoxelData::U16(v) => Self::U16(v.clone()),
            VoxelData::I16(v) => Self::U16(v.iter().map(|x| x.cast_unsigned()).collect()),
            VoxelData::U32(v) => floats(v.iter().map(|&x| x as f32).collect()),
            VoxelData::I32(v) => floats(v.iter().map(|&x| x as f32).collect()),
            VoxelData::U64(v) => floats(v.iter().map(|&x| x as f32).collect()),
            VoxelData::I64(v) => floats(v.iter().map(|&x| x as f32).collect()),
            VoxelData::F32(v) => floats(v.clone()),
            VoxelData::F64(v) => floats(v.iter().map(|&x| x as f32).collect()),
            VoxelData::Rgb(v) => Self::U32(v.iter().map(|c| u32::from_le_bytes([c[0], c[1], c[2], 255])).collect()),
            VoxelData::Rgba(v) => Self::U32(v.iter().map(|&c| u32::from_le_bytes(c)).collect()),
        }
    }

    fn of_labels(labels: &LabelVolume) -> Self {
        match &labels.data {
            LabelData::U8(v) => Self::U8(v.clone()),
            LabelData::U16(v) => Self::U16(v.clone()),
        }
    }

    fn texture(&self, grid: &Grid) -> cpu::Texture<'_> {
        let texels = match self {
            Self::U8(v) => Texels::U8(v),
            Self::U16(v) => Texels::U16(v),
            Self::U32(v) => Texels::U32(v),
        };
        cpu::Texture { shape: grid.shape.map(|n| n as u32), texels }
    }
}

/// Everything a pane can show, on the GPU and on the CPU.
pub struct Scene {
    pub base: Volume,
    pub fused: Option<Volume>,
    pub labels: Option<LabelVolume>,
    pub truth: Option<LabelVolume>,
    /// Cells and the layer's uniforms.
    pub patches: Option<(Vec<u32>, Patches)>,
    pub uniforms: Slice,
    pub pixels_per_point: f32,
}

impl Scene {
    pub fn of(base: Volume) -> Self {
        let image = Image { window: [-20.0, 130.0], ..Image::default() };
        let uniforms =
            Slice { base: Image { rows: rows(&base.grid, 0.4, [0.3, 0.2, 0.5]), ..image }, ..Slice::default() };
        Self { base, fused: None, labels: None, truth: None, patches: None, uniforms, pixels_per_point: 1.0 }
    }

    pub fn on_card(&self, gpu: &Gpu) -> SlicePaint {
        let labels = |l: &LabelVolume| gpu.upload_labels(l).unwrap();
        SlicePaint {
            base: Some(gpu.upload(&self.base, 0).unwrap()),
            fused: self.fused.as_ref().map(|v| gpu.upload(v, 0).unwrap()),
            labels: self.labels.as_ref().map(labels),
            truth: self.truth.as_ref().map(labels),
            patches: self.patches.as_ref().map(|(cells, uniforms)| PatchPaint {
                cells: Some(gpu.upload_cells(cells.len().isqrt(), cells).unwrap()),
                uniforms: *uniforms,
            }),
            uniforms: self.uniforms,
        }
    }

    fn by_twin(&self, pane: &SlicePaint) -> Vec<[u8; 4]> {
        let mut slice = pane.complete().unwrap();
        slice.pixels_per_point = self.pixels_per_point;
        let base = OwnedTexels::of_volume(&self.base);
        let fused = self.fused.as_ref().map(OwnedTexels::of_volume);
        let labels = self.labels.as_ref().map(OwnedTexels::of_labels);
        let truth = self.truth.as_ref().map(OwnedTexels::of_labels);
        let grid = &self.base.grid;
        let textures = Textures {
            base: Some(base.texture(grid)),
            fused: fused.as_ref().zip(self.fused.as_ref()).map(|(owned, v)| owned.texture(&v.grid)),
            labels: labels.as_ref().map(|l| l.texture(grid)),
            truth: truth.as_ref().map(|l| l.texture(grid)),
            cells: self.patches.as_ref().map(|(cells, _)| {
                let side = cells.len().isqrt() as u32;
                cpu::Texture { shape: [side, side, 1], texels: Texels::U32(cells) }
            }),
        };
        cpu::render(&slice, &textures, WIDTH, HEIGHT)
    }

    /// Draws both ways and compares: at most 2/255 apart, but for one pixel in a thousand. Those few lie on a boundary
    /// of 1/512 voxel where the adapter's rounding goes the other way, at an edge of a label or of the volume.
    pub fn check(&self, screen: &Offscreen, name: &str) -> Vec<[u8; 4]> {
        let pane = self.on_card(screen.gpu());
        let drawn = draw_all(screen, std::slice::from_ref(&pane), self.pixels_per_point).remove(0);
        let twin = self.by_twin(&pane);
        let apart = |(a, b): (&[u8; 4], &[u8; 4])| (0..4).any(|c| a[c].abs_diff(b[c]) > 2);
        let different = drawn.iter().zip(&twin).filter(|&pair| apart(pair)).count();
        assert!(different * 1000 <= drawn.len(), "{name}: {different} of {} pixels differ", drawn.len());
        let mut colours = drawn.clone();
        colours.sort_unstable();
        colours.dedup();
        assert!(colours.len() > 1, "{name}: nothing is shown");
        drawn
    }
}

/// The phantom in every type a file may hold.
pub fn every_type(grid: &Grid) -> Vec<VoxelData> {
    let v = phantom(grid);
    let colours: Vec<[u8; 4]> = v.iter().map(|&x| [x as u8, 2 * x as u8, 255 - x as u8, 100 + x as u8]).collect();
    vec![
        VoxelData::U8(v.iter().map(|&x| x as u8).collect()),
        VoxelData::I8(v.iter().map(|&x| (x - 50.0) as i8).collect()),
        VoxelData::U16(v.iter().map(|&x| x as u16).collect()),
        VoxelData::I16(v.iter().map(|&x| (x - 30.0) as i16).collect()),
        VoxelData::U32(v.iter().map(|&x| x as u32).collect()),
        VoxelData::I32(v.iter().map(|&x| (x - 30.0) as i32).collect()),
        VoxelData::U64(v.iter().map(|&x| x as u64).collect()),
        VoxelData::I64(v.iter().map(|&x| (x - 30.0) as i64).collect()),
        VoxelData::F32(v.iter().map(|&x| (x * 0.77) as f32).collect()),
        VoxelData::F64(v.iter().map(|&x| x * 0.77).collect()),
        VoxelData::Rgb(colours.iter().map(|c| [c[0], c[1], c[2]]).collect()),
        VoxelData::Rgba(colours),
    ]
}

pub fn small_grid() -> Grid {
    oblique_grid([24, 19, 11], [1.1, 1.6, 3.2], [0.4, -0.3, 0.7])
}
