// The patch grid over the image of a pane. `cpu::patches` is the CPU twin with the same arithmetic step by step.

struct Patches {
    rows: array<vec4<f32>, 2>,
    colours: array<vec4<f32>, 5>,
    pixels: vec2<f32>,
    grid: u32,
    show: u32,
    fill: f32,
    heat_opacity: f32,
    padding: vec2<u32>,
}

/// One texel per patch: x counts patches along A, y along R.
@group(0) @binding(5) var cell_texture: texture_3d<u32>;

const SHOW_GRID = 1u;
const SHOW_CATEGORIES = 2u;
const SHOW_MASKED = 4u;
const SHOW_FLIPS = 8u;
const SHOW_HEAT = 16u;
const SHOW_BLANK = 32u;
const SHOW_FRAME = 64u;
const SHOW_PADDING = 128u;
const SHOW_PINS = 256u;

const CELL_FOREGROUND = 1u;
const CELL_MASKED = 2u;
const CELL_FLIPPED = 4u;
const CELL_HEAT = 8u;
const CELL_PINNED = 16u;
const CELL_PADDING = 32u;

const COLOUR_FLIP = 2u;
const COLOUR_INK = 3u;
const COLOUR_PADDING = 4u;

// Opacities of lines and hatching, and the least patch width in lines for an outline.
const GRID_ALPHA = 0.25;
const OUTLINE_ALPHA = 0.75;
const MASKED_ALPHA = 0.5;
const PADDING_ALPHA = 0.45;
const FRAME_ALPHA = 0.9;
const ROOM = 6.0;

fn shows(part: u32) -> bool {
    return (slice.patches.show & part) != 0u;
}

/// Width of a line in pixels: one point.
fn line_px() -> f32 {
    return max(floor(slice.pixels_per_point + 0.5), 1.0);
}

/// Width in pixels of a line that each of two neighbours draws: together about one point.
fn thin_px() -> f32 {
    return max(floor(slice.pixels_per_point * 0.5 + 0.5), 1.0);
}

/// Patch coordinates of a pane pixel, rounded to 1/4096 of a patch. This is coarser than the rounding errors of any adapter,
/// so that a pixel on the border of two patches falls to the same one on all of them.
fn patch_at(pixel: vec2<f32>) -> vec2<f32> {
    let rows = slice.patches.rows;
    let i = rows[0].x * pixel.x + rows[0].y * pixel.y + rows[0].w;
    let j = rows[1].x * pixel.x + rows[1].y * pixel.y + rows[1].w;
    return floor(vec2<f32>(i, j) * 4096.0 + 0.5) / 4096.0;
}

fn on_grid(at: vec2<f32>) -> bool {
    return all(at >= vec2<f32>(0.0)) && all(at < vec2<f32>(f32(slice.patches.grid)));
}

fn cell_at(at: vec2<f32>) -> u32 {
    let patch_index = vec2<i32>(floor(at));
    return textureLoad(cell_texture, vec3<i32>(patch_index.y, patch_index.x, 0), 0).r;
}

/// Hatching by lines of one point along x + y, or along x - y.
fn hatched(pixel: vec2<f32>, falling: bool) -> bool {
    let at = vec2<u32>(max(pixel, vec2<f32>(0.0)));
    let period = u32(max(floor(HATCH_POINTS * slice.pixels_per_point + 0.5), 2.0));
    let along = select(at.x + at.y, at.x + (period - at.y % period), falling);
    return along % period < u32(line_px());
}

/// The image as the network's input: masked patches have the value 0.
fn blanked(below: vec3<f32>, pixel: vec2<f32>) -> vec3<f32> {
    let at = patch_at(pixel);
    if !shows(SHOW_BLANK) || !on_grid(at) || (cell_at(at) & CELL_MASKED) == 0u {
        return below;
    }
    return colour_map(slice.base.colour_map, windowed(0.0, slice.base.window));
}

/// Draws the patch layer over the image. `covered` is true where the image has a value.
fn with_patches(below: vec3<f32>, pixel: vec2<f32>, covered: bool) -> vec3<f32> {
    if slice.patches.show == 0u {
        return below;
    }
    let at = patch_at(pixel);
    if !on_grid(at) {
        return framed(below, at);
    }
    let cell = cell_at(at);
    let outside = (cell & CELL_PADDING) != 0u;
    var rgb = below;
    if shows(SHOW_PADDING) && (outside || !covered) && hatched(pixel, true) {
        rgb = over(rgb, slice.patches.colours[COLOUR_PADDING].rgb, PADDING_ALPHA);
    }
    let category = slice.patches.colours[select(1u, 0u, (cell & CELL_FOREGROUND) != 0u)].rgb;
    if shows(SHOW_HEAT) && (cell & CELL_HEAT) != 0u {
        rgb = over(rgb, viridis(f32((cell >> 8u) & 255u) / 255.0), slice.patches.heat_opacity);
    } else if shows(SHOW_CATEGORIES) && !outside {
        rgb = over(rgb, category, slice.patches.fill);
    }
    if shows(SHOW_MASKED) && (cell & CELL_MASKED) != 0u && hatched(pixel, false) {
        rgb = over(rgb, slice.patches.colours[COLOUR_INK].rgb, MASKED_ALPHA);
    }
    return outlined(rgb, at, cell, category);
}

/// Draws lines along the borders of a patch, from its edge inwards.
fn outlined(below: vec3<f32>, at: vec2<f32>, cell: u32, category: vec3<f32>) -> vec3<f32> {
    let line = line_px();
    let thin = thin_px();
    let fraction = at - floor(at);
    let from_low = fraction * slice.patches.pixels;
    let from_edge = min(fraction, 1.0 - fraction) * slice.patches.pixels;
    let edge = min(from_edge.x, from_edge.y);
    var rgb = below;
    if shows(SHOW_GRID) && min(from_low.x, from_low.y) < thin {
        rgb = over(rgb, slice.patches.colours[COLOUR_INK].rgb, GRID_ALPHA);
    }
    let room = min(slice.patches.pixels.x, slice.patches.pixels.y) >= ROOM * line;
    if shows(SHOW_CATEGORIES) && (cell & CELL_PADDING) == 0u && room && edge < thin {
        rgb = over(rgb, category, OUTLINE_ALPHA);
    }
    var drawn = 0.0;
    if shows(SHOW_FLIPS) && (cell & CELL_FLIPPED) != 0u {
        drawn = 2.0 * line;
        if edge < drawn {
            return slice.patches.colours[COLOUR_FLIP].rgb;
        }
    }
    // Inside the line of a flip, so that neither hides the other.
    if shows(SHOW_PINS) && (cell & CELL_PINNED) != 0u && edge < drawn + 2.0 * line {
        return slice.patches.colours[COLOUR_INK].rgb;
    }
    return rgb;
}

/// Draws a frame of two line widths around the grid.
fn framed(below: vec3<f32>, at: vec2<f32>) -> vec3<f32> {
    let beyond = max(max(-at, at - f32(slice.patches.grid)), vec2<f32>(0.0)) * slice.patches.pixels;
    if shows(SHOW_FRAME) && max(beyond.x, beyond.y) < 2.0 * line_px() {
        return over(below, slice.patches.colours[COLOUR_INK].rgb, FRAME_ALPHA);
    }
    return below;
}
