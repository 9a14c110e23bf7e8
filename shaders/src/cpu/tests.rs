//! Tests of the CPU twin against values computed by hand.

use super::{Texels, Texture, Textures, render};
use crate::{ColourMap, ComparisonMode, Image, Interpolation, Kind, LabelMode, Layers, Slice, colour, labels_shown};

/// One pixel per voxel of the first slice.
const ONE_TO_ONE: [[f32; 4]; 3] = [[1.0, 0.0, 0.0, -0.5], [0.0, 1.0, 0.0, -0.5], [0.0, 0.0, 1.0, 0.0]];

/// Four pixels per voxel of the first slice.
const FOUR_TO_ONE: [[f32; 4]; 3] = [[0.25, 0.0, 0.0, -0.5], [0.0, 0.25, 0.0, -0.5], [0.0, 0.0, 1.0, 0.0]];

fn image(shape: [u32; 3], kind: Kind, window: [f32; 2]) -> Image {
    let interpolation = Interpolation::Nearest as u32;
    Image { rows: ONE_TO_ONE, shape, kind: kind as u32, window, interpolation, ..Image::default() }
}

fn texture(shape: [u32; 3], texels: Texels<'_>) -> Texture<'_> {
    Texture { shape, texels }
}

/// Red channel of a base image alone.
fn greys(base: Image, texture: Texture<'_>, width: u32, height: u32) -> Vec<u8> {
    let slice = Slice { base, ..Slice::default() };
    let pixels = render(&slice, &Textures { base: Some(texture), ..Textures::default() }, width, height);
    assert!(pixels.iter().all(|p| p[3] == 255), "the pane is opaque");
    pixels.iter().map(|p| p[0]).collect()
}

#[test]
fn each_voxel_fills_its_pixel_and_the_rest_is_black() {
    let shape = [3, 2, 1];
    let base = image(shape, Kind::Unsigned, [0.0, 100.0]);
    let texels = texture(shape, Texels::U8(&[10, 20, 50, 60, 100, 200]));
    // 255 * 10 / 100 = 25.5 rounds to 26; above the window is white.
    assert_eq!(greys(base, texels, 4, 3), [26, 51, 128, 0, 153, 255, 255, 0, 0, 0, 0, 0]);
    // The second slice is outside.
    let mut below = base;
    below.rows[2][3] = 1.0;
    assert_eq!(greys(below, texels, 4, 1), [0; 4]);
}

#[test]
fn a_pane_without_an_image_is_black() {
    let base = image([1, 1, 1], Kind::None, [0.0, 1.0]);
    assert_eq!(greys(base, texture([1, 1, 1], Texels::U8(&[255])), 1, 1), [0]);
}

#[test]
fn signed_and_scaled_types_keep_their_values() {
    let shape = [2, 1, 1];
    let signed = image(shape, Kind::Signed8, [-128.0, 127.0]);
    assert_eq!(greys(signed, texture(shape, Texels::U8(&[0x80, 0xff])), 2, 1), [0, 127]);
    let signed = Image { scale: [2.0, 100.0], ..image(shape, Kind::Signed16, [-100.0, 100.0]) };
    // -100 * 2 + 100 = -100 and -25 * 2 + 100 = 50.
    let bits = [(-100_i16).cast_unsigned(), (-25_i16).cast_unsigned()];
    assert_eq!(greys(signed, texture(shape, Texels::U16(&bits)), 2, 1), [0, 191]);
    let float = image(shape, Kind::Float, [-1.0, 1.0]);
    assert_eq!(greys(float, texture(shape, Texels::U32(&[0.2_f32.to_bits(), (-0.2_f32).to_bits()])), 2, 1), [153, 102]);
}

#[test]
fn linear_interpolation_is_constant_beyond_the_outer_voxel_centres() {
    let shape = [2, 1, 1];
    let mut base = image(shape, Kind::Unsigned, [0.0, 255.0]);
    base.interpolation = Interpolation::Linear as u32;
    base.rows = FOUR_TO_ONE;
    let texels = texture(shape, Texels::U8(&[40, 120]));
    // Positions -0.375, -0.125, 0.125, 0.375, 0.625, 0.875, 1.125, 1.375, then outside.
    assert_eq!(greys(base, texels, 9, 1), [40, 40, 50, 70, 90, 110, 120, 120, 0]);
    base.interpolation = Interpolation::Nearest as u32;
    assert_eq!(greys(base, texels, 9, 1), [40, 40, 40, 40, 120, 120, 120, 120, 0]);
}

#[test]
fn trilinear_interpolation_weighs_all_eight_neighbours() {
    let shape = [2, 2, 2];
    let mut base = image(shape, Kind::Unsigned, [0.0, 255.0]);
    base.interpolation = Interpolation::Linear as u32;
    // Position (0.25, 0.5, 0.75): 0.25 along x, 0.5 along y and 0.75 along z.
    base.rows = [[1.0, 0.0, 0.0, -0.25], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.75]];
    let texels = texture(shape, Texels::U8(&[0, 40, 80, 120, 160, 200, 240, 255]));
    // x: 10, 90, 170, 243.75; y: 50, 206.875; z: 50 * 0.25 + 206.875 * 0.75 = 167.65625.
    assert_eq!(greys(base, texels, 1, 1), [168]);
}

#[test]
fn non_finite_voxels_are_black_and_do_not_spread() {
    let shape = [3, 1, 1];
    let bits = [100.0_f32.to_bits(), f32::NAN.to_bits(), f32::INFINITY.to_bits()];
    let mut base = image(shape, Kind::Float, [0.0, 200.0]);
    assert_eq!(greys(base, texture(shape, Texels::U32(&bits)), 3, 1), [128, 0, 0]);
    base.interpolation = Interpolation::Linear as u32;
    base.rows = FOUR_TO_ONE;
    // Up to halfway the neighbour's value continues undimmed; beyond there is no value.
    assert_eq!(greys(base, texture(shape, Texels::U32(&bits)), 8, 1), [128, 128, 128, 128, 0, 0, 0, 0]);
    // Scaled beyond a float's range.
    let huge = Image { scale: [1e30, 0.0], ..image([1, 1, 1], Kind::Float, [0.0, 1.0]) };
    assert_eq!(greys(huge, texture([1, 1, 1], Texels::U32(&[1e30_f32.to_bits()])), 1, 1), [0]);
}

#[test]
fn rgba_voxels_keep_their_colours() {
    let shape = [2, 1, 1];
    let slice = Slice { base: image(shape, Kind::Rgba, [5.0, 6.0]), ..Slice::default() };
    let texels = [u32::from_le_bytes([10, 20, 30, 255]), u32::from_le_bytes([100, 200, 50, 51])];
    let textures = Textures { base: Some(texture(shape, Texels::U32(&texels))), ..Textures::default() };
    // The second image has an opacity of one fifth, over black.
    assert_eq!(render(&slice, &textures, 2, 1), [[10, 20, 30, 255], [20, 40, 10, 255]]);
}

#[test]
fn all_48_axis_orders_give_the_same_pixels() {
    let canonical = [5, 4, 3];
    let value = |v: [u32; 3]| (17 * v[0] + 31 * v[1] + 57 * v[2]) as u16;
    let rows = [[0.31, 0.11, 0.0, -0.7], [-0.12, 0.29, 0.0, 1.1], [0.07, -0.05, 0.0, 1.2]];
    let mut seen = Vec::new();
    for axis in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for bits in 0..8 {
            let flip = [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0];
            let shape = axis.map(|a: usize| canonical[a]);
            let mut texels = Vec::new();
            for at in 0..shape.iter().product() {
                let t = [at % shape[0], at / shape[0] % shape[1], at / (shape[0] * shape[1])];
                let mut voxel = [0; 3];
                for a in 0..3 {
                    voxel[axis[a]] = if flip[a] { shape[a] - 1 - t[a] } else { t[a] };
                }
                texels.push(value(voxel));
            }
            let mut base = image(shape, Kind::Unsigned, [0.0, 290.0]);
            base.set_layout(shape, axis, flip, [0; 3]);
            base.rows = rows;
            base.interpolation = Interpolation::Linear as u32;
            seen.push(greys(base, texture(shape, Texels::U16(&texels)), 16, 16));
        }
    }
    assert!(seen[0].iter().filter(|&&p| p > 0).count() > 50, "the plane meets the volume");
    assert!(seen.iter().all(|pixels| *pixels == seen[0]));
}

#[test]
fn a_reduced_texture_keeps_the_canonical_first_voxel_of_each_pair() {
    // Five voxels 0, 40, 80, 120, 160 stored backwards and halved: canonical 0, 2, 4 from the far end.
    let mut base = image([5, 1, 1], Kind::Unsigned, [0.0, 255.0]);
    base.set_layout([5, 1, 1], [0, 1, 2], [true, false, false], [1, 0, 0]);
    let texels = texture([3, 1, 1], Texels::U8(&[160, 80, 0]));
    assert_eq!(greys(base, texels, 5, 1), [0, 0, 80, 80, 160]);
}

#[test]
fn a_fused_image_covers_the_base_where_it_has_values() {
    let shape = [4, 1, 1];
    let base = image(shape, Kind::Unsigned, [0.0, 255.0]);
    let mut fused =
        Image { opacity: 0.5, colour_map: ColourMap::Hot as u32, ..image([3, 1, 1], Kind::Unsigned, [0.0, 3.0]) };
    let textures = Textures {
        base: Some(texture(shape, Texels::U8(&[100; 4]))),
        fused: Some(texture([3, 1, 1], Texels::U8(&[0, 1, 3]))),
        ..Textures::default()
    };
    let draw = |fused| render(&Slice { base, fused, ..Slice::default() }, &textures, 4, 1);
    assert_eq!(draw(fused), [[50, 50, 50, 255], [178, 50, 50, 255], [178, 178, 178, 255], [100, 100, 100, 255]]);
    fused.transparent_low = 1;
    assert_eq!(draw(fused)[..2], [[100, 100, 100, 255], [178, 50, 50, 255]]);
    // At an eighth of the window the opacity is half of that beyond a quarter, so that bright regions have no dark seam.
    fused.window = [0.0, 8.0];
    let [red, green, blue] = colour::map(ColourMap::Hot, 0.125).map(|v| v * 255.0);
    let expected = [red, green, blue].map(|v| (0.75 * 100.0 + 0.25 * v).round() as u8);
    assert_eq!(draw(fused)[1][..3], expected);
}

/// A pane of labels over black, four pixels per voxel.
fn label_pane(shape: [u32; 3]) -> Slice {
    let base = Image { rows: FOUR_TO_ONE, ..image(shape, Kind::None, [0.0, 1.0]) };
    Slice { base, layers: Layers::Labels as u32, ..Slice::default() }
}

fn draw_labels(slice: &Slice, shape: [u32; 3], labels: &[u8]) -> Vec<[u8; 4]> {
    let textures = Textures { labels: Some(texture(shape, Texels::U8(labels))), ..Textures::default() };
    render(slice, &textures, 4 * shape[0], 4 * shape[1])
}

#[test]
fn labels_have_colours_and_can_be_switched_off() {
    let shape = [4, 1, 1];
    let mut slice = label_pane(shape);
    slice.label_mode = LabelMode::Fill as u32;
    slice.label_opacity = 1.0;
    let colours = |slice: &Slice| -> Vec<[u8; 4]> {
        draw_labels(slice, shape, &[0, 1, 2, 17]).into_iter().take(16).step_by(4).collect()
    };
    let rgba = |l: u16| colour::label(l).map_or([0, 0, 0, 255], |[r, g, b]| [r, g, b, 255]);
    assert_eq!(colours(&slice), [rgba(0), rgba(1), rgba(2), rgba(1)]);
    slice.visible = labels_shown(|l| l != 2);
    assert_eq!(colours(&slice), [rgba(0), rgba(1), rgba(0), rgba(1)]);
    slice.label_mode = LabelMode::Hidden as u32;
    assert_eq!(colours(&slice), [rgba(0); 4]);
}

/// The drawn pixels of a row of the pane, as text.
fn row(pixels: &[[u8; 4]], width: usize, y: usize) -> String {
    let light = |p: &[u8; 4]| if p[..3] == [0; 3] { '.' } else { '#' };
    pixels[y * width..(y + 1) * width].iter().map(light).collect()
}

#[test]
fn outlines_have_the_set_width_and_lie_inside_the_label() {
    // A label of 3 x 3 voxels in the middle: pixels 4 to 15 each way.
    let shape = [5, 5, 1];
    let labels: Vec<u8> = (0..25).map(|i| u8::from((1..4).contains(&(i % 5)) && (1..4).contains(&(i / 5)))).collect();
    let mut slice = label_pane(shape);
    slice.label_mode = LabelMode::Outline as u32;
    let pixels = draw_labels(&slice, shape, &labels);
    assert_eq!(row(&pixels, 20, 3), ".".repeat(20));
    assert_eq!(row(&pixels, 20, 4), "....############....");
    assert_eq!(row(&pixels, 20, 5), "....#..........#....");
    slice.outline_px = 2.0;
    let pixels = draw_labels(&slice, shape, &labels);
    assert_eq!(row(&pixels, 20, 5), "....############....");
    assert_eq!(row(&pixels, 20, 6), "....##........##....");
    // The same label at twice the zoom has an outline of the same width.
    slice.base.rows = [[0.125, 0.0, 0.0, -0.5], [0.0, 0.125, 0.0, -0.5], [0.0, 0.0, 1.0, 0.0]];
    let pixels = draw_labels(&slice, shape, &labels);
    assert_eq!(row(&pixels, 20, 12), "........##..........");
}

#[test]
fn neighbouring_labels_are_separated_by_their_outlines() {
    let shape = [2, 1, 1];
    let mut slice = label_pane(shape);
    slice.label_mode = LabelMode::Outline as u32;
    slice.outline_opacity = 1.0;
    let pixels = draw_labels(&slice, shape, &[1, 2]);
    assert_eq!(row(&pixels, 8, 1), "#..##..#");
}

#[test]
fn the_comparison_is_solid_hatched_and_dashed() {
    // One voxel 24 pixels wide per class, each followed by a gap: true positive, false positive, false negative.
    let shape = [6, 1, 1];
    let labels = [1_u8, 0, 2, 0, 0, 0];
    let truth = [2_u8, 0, 0, 0, 1, 0];
    let mut slice = label_pane(shape);
    slice.base.rows = [[1.0 / 24.0, 0.0, 0.0, -0.5], [0.0, 1.0 / 24.0, 0.0, -0.5], [0.0, 0.0, 1.0, 0.0]];
    (slice.layers, slice.comparing, slice.label_opacity) = (Layers::Both as u32, 1, 1.0);
    let textures = Textures {
        labels: Some(texture(shape, Texels::U8(&labels))),
        truth: Some(texture(shape, Texels::U8(&truth))),
        ..Textures::default()
    };
    let pixels = render(&slice, &textures, 144, 24);
    let at = |x: usize, y: usize| pixels[y * 144 + x];
    let strong = |[r, g, b]: [u8; 3]| [r, g, b, 255];
    let faint = |c: [u8; 3]| strong(c.map(|v| (f32::from(v) * 0.25).round() as u8));
    assert!((0..24).all(|i| at(i, 23 - i) == strong(colour::TRUE_POSITIVE)));
    assert_eq!(at(24, 5), [0, 0, 0, 255]);
    // Stripes of 3 pixels and 3 pixels between, on lines of constant x + y.
    for i in 0..24 {
        let stripe = (48 + i + 7) % 6 < 3;
        let want = if stripe { strong(colour::FALSE_POSITIVE) } else { faint(colour::FALSE_POSITIVE) };
        assert_eq!(at(48 + i, 7), want, "{i}");
    }
    // Dashes of 4 pixels and 3 between along every side, nothing within.
    for i in 1..23 {
        let dash = |along: usize| {
            if along % 7 < 4 { strong(colour::FALSE_NEGATIVE) } else { faint(colour::FALSE_NEGATIVE) }
        };
        assert_eq!([at(96 + i, 0), at(96 + i, 23)], [dash(96 + i); 2], "{i}");
        assert_eq!([at(96, i), at(119, i)], [dash(i); 2], "{i}");
        assert_eq!(at(96 + i, 12), if i == 23 { dash(0) } else { [0, 0, 0, 255] }, "{i}");
    }
    slice.label_mode = LabelMode::Hidden as u32;
    assert!(render(&slice, &textures, 144, 24).iter().all(|p| *p == [0, 0, 0, 255]));
}

/// The hot map goes through the colours of the classes; below a comparison only its brightness is left.
#[test]
fn classes_are_distinguishable_on_every_colour_of_a_hot_image() {
    let shape = [256, 4, 1];
    let values: Vec<u8> = (0..4).flat_map(|_| 0..=255).collect();
    // A row per class: true positive, false positive, false negative, none.
    let row = |on: [u8; 4]| -> Vec<u8> { on.into_iter().flat_map(|label| [label; 256]).collect() };
    let (labels, truth) = (row([1, 1, 0, 0]), row([1, 0, 1, 0]));
    let base = Image { colour_map: ColourMap::Hot as u32, ..image(shape, Kind::Unsigned, [0.0, 255.0]) };
    let slice = Slice {
        base,
        layers: Layers::Both as u32,
        comparing: ComparisonMode::Place as u32,
        label_opacity: 0.45,
        ..Slice::default()
    };
    let textures = Textures {
        base: Some(texture(shape, Texels::U8(&values))),
        labels: Some(texture(shape, Texels::U8(&labels))),
        truth: Some(texture(shape, Texels::U8(&truth))),
        ..Textures::default()
    };
    let pixels = render(&slice, &textures, 256, 4);
    let chroma = |p: [u8; 4]| [i32::from(p[0]) - i32::from(p[1]), i32::from(p[2]) - i32::from(p[1])];
    let apart = |a: [u8; 4], b: [u8; 4]| {
        let (a, b) = (chroma(a), chroma(b));
        (a[0] - b[0]).abs().max((a[1] - b[1]).abs())
    };
    for x in 0..256 {
        let at = |class: usize| pixels[class * 256 + x];
        // Columns of the hatching's stripes, and of the dashes.
        if (x + 1) % 6 < 3 && x % 7 < 4 {
            for (a, b) in [(0, 1), (0, 2), (1, 2)] {
                assert!(apart(at(a), at(b)) > 30, "value {x}: {:?} and {:?}", at(a), at(b));
            }
        }
    }
    // Away from the lesion the image keeps its colours, and a grey image is unchanged.
    assert_eq!(pixels[3 * 256 + 85], [255, 0, 0, 255]);
    let grey = super::overlay::grey(glam::Vec3::splat(0.3));
    assert_eq!(grey, glam::Vec3::splat(0.3));
}

#[test]
fn a_wrong_label_at_the_right_place_is_chequered() {
    let shape = [2, 1, 1];
    let mut slice = label_pane(shape);
    slice.base.rows = [[1.0 / 24.0, 0.0, 0.0, -0.5], [0.0, 1.0 / 24.0, 0.0, -0.5], [0.0, 0.0, 1.0, 0.0]];
    (slice.layers, slice.comparing) = (Layers::Both as u32, ComparisonMode::Labels as u32);
    slice.label_opacity = 1.0;
    let textures = Textures {
        labels: Some(texture(shape, Texels::U8(&[1, 2]))),
        truth: Some(texture(shape, Texels::U8(&[2, 2]))),
        ..Textures::default()
    };
    let pixels = render(&slice, &textures, 48, 24);
    let strong = |[r, g, b]: [u8; 3]| [r, g, b, 255];
    let faint = |c: [u8; 3]| strong(c.map(|v| (f32::from(v) * 0.25).round() as u8));
    for (x, y) in [(0, 0), (3, 0), (0, 3), (4, 4), (13, 8)] {
        let gap = (x / 3 + y / 3) % 2 == 1;
        let want = if gap { faint(colour::WRONG_LABEL) } else { strong(colour::WRONG_LABEL) };
        assert_eq!(pixels[y * 48 + x], want, "({x}, {y})");
    }
    assert_eq!(pixels[30], strong(colour::TRUE_POSITIVE), "the same label");
}

#[test]
fn coinciding_outlines_of_several_segmentations_alternate() {
    // Segmentations 0 and 1 begin at the same voxel; 0 ends a voxel before the other.
    let shape = [8, 1, 1];
    let bits = [0_u8, 0b11, 0b11, 0b11, 0b10, 0b10, 0, 0];
    let mut slice = label_pane(shape);
    slice.base.rows = [[1.0 / 20.0, 0.0, 0.0, -0.5], [0.0, 1.0 / 140.0, 0.0, -0.5], [0.0, 0.0, 1.0, 0.0]];
    slice.comparing = ComparisonMode::Several as u32;
    let textures = Textures { labels: Some(texture(shape, Texels::U8(&bits))), ..Textures::default() };
    let pixels = render(&slice, &textures, 160, 140);
    let at = |x: usize, y: usize| pixels[y * 160 + x];
    let rgba = |label: u16| colour::label(label).map_or([0, 0, 0, 255], |[r, g, b]| [r, g, b, 255]);
    assert_eq!(at(79, 50), rgba(1), "the end of the first");
    assert_eq!([at(80, 50), at(119, 50)], [rgba(0), rgba(2)], "within and at the end of the second");
    assert_eq!([at(19, 50), at(50, 50)], [rgba(0); 2]);
    let turns: Vec<[u8; 4]> = (10..130).map(|y| at(20, y)).collect();
    assert!(turns.iter().all(|p| [rgba(1), rgba(2)].contains(p)));
    let changes = turns.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!((16..=18).contains(&changes), "dashes of 7 pixels: {changes}");
}

#[test]
fn hatching_keeps_its_size_on_a_dense_screen() {
    let shape = [1, 1, 1];
    let mut slice = label_pane(shape);
    slice.base.rows = [[1.0 / 24.0, 0.0, 0.0, -0.5], [0.0, 1.0 / 24.0, 0.0, -0.5], [0.0, 0.0, 1.0, 0.0]];
    (slice.comparing, slice.label_opacity, slice.pixels_per_point) = (1, 1.0, 2.0);
    let textures = Textures { labels: Some(texture(shape, Texels::U8(&[1]))), ..Textures::default() };
    let pixels = render(&slice, &textures, 24, 1);
    let strong: Vec<bool> = pixels.iter().map(|p| p[0] == colour::FALSE_POSITIVE[0]).collect();
    assert_eq!(strong[..12], [[true; 6], [false; 6]].concat());
    assert_eq!(strong[12..], strong[..12]);
}
