// Draws one pane: a plane through a volume, a fused volume, labels or their comparison with the reference, and the patch
// grid of patches.wgsl, which is compiled together with this file. `cpu::render` is the CPU twin with the same arithmetic
// step by step: change both together.
//
// A pixel passes through three spaces: pane pixel -> canonical voxel index (axes along R, A, S) -> texel. Rounding happens
// only in canonical space; from there to the texel, integers are permuted, flipped and shifted. So every axis order of an
// image gives bit-identical pictures.

struct Image {
    rows: array<vec4<f32>, 3>,
    shape: vec3<u32>,
    kind: u32,
    order: vec3<u32>,
    flip: u32,
    shift: vec3<u32>,
    colour_map: u32,
    scale: vec2<f32>,
    window: vec2<f32>,
    interpolation: u32,
    opacity: f32,
    transparent_low: u32,
    padding: u32,
}

struct Slice {
    base: Image,
    fused: Image,
    palette: array<vec4<f32>, 16>,
    comparison: array<vec4<f32>, 4>,
    visible: array<vec4<u32>, 2>,
    patches: Patches,
    origin: vec2<f32>,
    pixels_per_point: f32,
    label_mode: u32,
    label_opacity: f32,
    outline_opacity: f32,
    outline_px: f32,
    layers: u32,
    comparing: u32,
    srgb_target: u32,
    padding: vec2<u32>,
}

// Read-only storage, not a uniform: Mesa's software adapter compiles uniforms that branches depend on into the shader as
// constants, recompiles it for every pane with other values, and never frees the result.
@group(0) @binding(0) var<storage, read> slice: Slice;
@group(0) @binding(1) var base_texture: texture_3d<u32>;
@group(0) @binding(2) var fused_texture: texture_3d<u32>;
@group(0) @binding(3) var label_texture: texture_3d<u32>;
@group(0) @binding(4) var truth_texture: texture_3d<u32>;

// Layers drawn by this pipeline, `Parts` in Rust. By default all are enabled and `slice` selects what is drawn.
override FUSED: bool = true;
override LABELS: bool = true;
override COMPARISON: bool = true;
override PATCHES: bool = true;

const KIND_NONE = 0u;
const KIND_SIGNED_8 = 2u;
const KIND_SIGNED_16 = 3u;
const KIND_FLOAT = 4u;
const KIND_RGBA = 5u;

const MAP_GREY_INVERTED = 1u;
const MAP_HOT = 2u;
const MAP_VIRIDIS = 3u;
const MAP_PET = 4u;

const INTERPOLATION_LINEAR = 1u;

const MODE_FILL = 1u;
const MODE_OUTLINE = 2u;

const LAYER_LABELS = 1u;
const LAYER_TRUTH = 2u;

const CLASS_NONE = 0u;
const CLASS_TRUE_POSITIVE = 1u;
const CLASS_FALSE_POSITIVE = 2u;
const CLASS_FALSE_NEGATIVE = 3u;
const CLASS_WRONG_LABEL = 4u;
const COMPARING_LABELS = 2u;
const COMPARING_SEVERAL = 3u;

// An image with a transparent lower end is fully opaque beyond 1 / FADE of its window.
const FADE = 4.0;

// Hatching and dashes: periods in points, and relative opacity of the gaps. Gaps are not empty, so that a region smaller
// than a gap does not vanish.
const HATCH_POINTS = 6.0;
const DASH_POINTS = 7.0;
const GAP = 0.25;

@vertex
fn vs_main(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    // One triangle that covers the viewport.
    let x = f32(i32(index & 1u) * 4 - 1);
    let y = f32(i32(index >> 1u) * 4 - 1);
    return vec4<f32>(x, y, 0.0, 1.0);
}

@fragment
fn fs_main(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let pixel = position.xy - slice.origin;
    var rgb = vec3<f32>(0.0);
    let base = image_colour(slice.base, base_texture, pixel);
    rgb = over(rgb, base.rgb, base.a);
    if FUSED {
        let fused = image_colour(slice.fused, fused_texture, pixel);
        rgb = over(rgb, fused.rgb, fused.a);
    }
    if PATCHES {
        rgb = blanked(rgb, pixel);
    }
    if LABELS {
        let region = drawn_region(pixel);
        let classes = slice.comparing != 0u && slice.comparing != COMPARING_SEVERAL;
        if COMPARISON && classes && region != 0u && slice.label_opacity > 0.0 {
            rgb = grey(rgb);
        }
        let overlay = overlay_colour(pixel, region);
        rgb = over(rgb, overlay.rgb, overlay.a);
    }
    if PATCHES {
        rgb = with_patches(rgb, pixel, slice.base.kind == KIND_NONE || base.a > 0.0);
    }
    if slice.srgb_target != 0u {
        rgb = linear_from_gamma(rgb);
    }
    return vec4<f32>(rgb, 1.0);
}

fn over(below: vec3<f32>, above: vec3<f32>, alpha: f32) -> vec3<f32> {
    return below + (above - below) * alpha;
}

fn linear_from_gamma(rgb: vec3<f32>) -> vec3<f32> {
    let low = rgb / 12.92;
    let high = pow((rgb + 0.055) / 1.055, vec3<f32>(2.4));
    return select(high, low, rgb <= vec3<f32>(0.04045));
}

// ---- pixel to voxel ----

/// Canonical voxel index of a pane pixel, rounded to 1/512 of a voxel. This is coarser than the rounding errors of any
/// adapter, so that a pixel exactly between two voxels falls to the same one on all of them.
fn canonical(image: Image, pixel: vec2<f32>) -> vec3<f32> {
    let x = image.rows[0].x * pixel.x + image.rows[0].y * pixel.y + image.rows[0].w;
    let y = image.rows[1].x * pixel.x + image.rows[1].y * pixel.y + image.rows[1].w;
    let z = image.rows[2].x * pixel.x + image.rows[2].y * pixel.y + image.rows[2].w;
    return floor(vec3<f32>(x, y, z) * 512.0 + 0.5) / 512.0;
}

fn inside(image: Image, nearest: vec3<f32>) -> bool {
    return all(nearest >= vec3<f32>(0.0)) && all(nearest < vec3<f32>(image.shape));
}

/// Permutes a vector from canonical axes to texture axes.
fn reorder(v: vec3<u32>, order: vec3<u32>) -> vec3<u32> {
    return vec3<u32>(v[order.x], v[order.y], v[order.z]);
}

fn texel(image: Image, voxel: vec3<u32>) -> vec3<u32> {
    let at = reorder(voxel, image.order) >> image.shift;
    let last = (reorder(image.shape, image.order) - 1u) >> image.shift;
    let flipped = ((vec3<u32>(image.flip) >> vec3<u32>(0u, 1u, 2u)) & vec3<u32>(1u)) != vec3<u32>(0u);
    return select(at, last - at, flipped);
}

// ---- voxel values ----

fn is_finite(bits: u32) -> bool {
    return (bits & 0x7f800000u) != 0x7f800000u;
}

fn stored(kind: u32, bits: u32) -> vec4<f32> {
    switch kind {
        case KIND_SIGNED_8: {
            return vec4<f32>(f32(i32(bits << 24u) >> 24u), 0.0, 0.0, 1.0);
        }
        case KIND_SIGNED_16: {
            return vec4<f32>(f32(i32(bits << 16u) >> 16u), 0.0, 0.0, 1.0);
        }
        case KIND_FLOAT: {
            return vec4<f32>(bitcast<f32>(bits), 0.0, 0.0, 1.0);
        }
        case KIND_RGBA: {
            let bytes = (vec4<u32>(bits) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
            return vec4<f32>(bytes) / 255.0;
        }
        default: {
            return vec4<f32>(f32(bits), 0.0, 0.0, 1.0);
        }
    }
}

struct Sample {
    value: vec4<f32>,
    valid: bool,
}

/// The stored value at a canonical position, interpolated if selected. Non-finite voxels are excluded; there is no value
/// where they would have more than half of the weight.
fn sample_at(image: Image, texture: texture_3d<u32>, position: vec3<f32>) -> Sample {
    let nearest = floor(position + 0.5);
    if image.kind == KIND_NONE || !inside(image, nearest) {
        return Sample(vec4<f32>(0.0), false);
    }
    var low = nearest;
    if image.interpolation == INTERPOLATION_LINEAR {
        low = floor(position);
    }
    let fraction = vec3<f32>(position - low) * f32(image.interpolation == INTERPOLATION_LINEAR);
    // The edge extends half a voxel beyond the outermost voxel centres.
    let end = vec3<f32>(image.shape) - 1.0;
    let first = texel(image, vec3<u32>(max(low, vec3<f32>(0.0))));
    let second = texel(image, vec3<u32>(min(low + 1.0, end)));

    var sum = vec4<f32>(0.0);
    var weight = 0.0;
    var missing = false;
    for (var corner = 0u; corner < 8u; corner++) {
        let bits = (vec3<u32>(corner) >> vec3<u32>(0u, 1u, 2u)) & vec3<u32>(1u);
        let parts = select(1.0 - fraction, fraction, bits != vec3<u32>(0u));
        let part = parts.x * parts.y * parts.z;
        if part == 0.0 {
            continue;
        }
        let at = select(first, second, reorder(bits, image.order) != vec3<u32>(0u));
        let loaded = textureLoad(texture, vec3<i32>(at), 0).r;
        if image.kind == KIND_FLOAT && !is_finite(loaded) {
            missing = true;
            continue;
        }
        sum += stored(image.kind, loaded) * part;
        weight += part;
    }
    if !missing {
        return Sample(sum, true);
    }
    if weight < 0.5 {
        return Sample(vec4<f32>(0.0), false);
    }
    return Sample(sum / weight, true);
}

// ---- values to colours ----

/// Colour of an image at a pixel; opacity 0 where it has no value.
fn image_colour(image: Image, texture: texture_3d<u32>, pixel: vec2<f32>) -> vec4<f32> {
    let sampled = sample_at(image, texture, canonical(image, pixel));
    if !sampled.valid {
        return vec4<f32>(0.0);
    }
    if image.kind == KIND_RGBA {
        return vec4<f32>(sampled.value.rgb, sampled.value.a * image.opacity);
    }
    let value = image.scale.x * sampled.value.x + image.scale.y;
    let hidden = image.transparent_low != 0u && value <= image.window.x;
    if hidden || !is_finite(bitcast<u32>(value)) {
        return vec4<f32>(0.0);
    }
    let share = windowed(value, image.window);
    let fading = select(1.0, min(share * FADE, 1.0), image.transparent_low != 0u);
    return vec4<f32>(colour_map(image.colour_map, share), image.opacity * fading);
}

fn windowed(value: f32, window: vec2<f32>) -> f32 {
    // Halved so that the difference of two finite numbers does not overflow.
    let width = 0.5 * window.y - 0.5 * window.x;
    if width > 0.0 {
        return clamp((0.5 * value - 0.5 * window.x) / width, 0.0, 1.0);
    }
    return select(0.0, 1.0, value >= window.x);
}

fn colour_map(map: u32, t: f32) -> vec3<f32> {
    switch map {
        case MAP_GREY_INVERTED: {
            return vec3<f32>(1.0 - t);
        }
        case MAP_HOT: {
            return clamp(vec3<f32>(t * 3.0, t * 3.0 - 1.0, t * 3.0 - 2.0), vec3<f32>(0.0), vec3<f32>(1.0));
        }
        case MAP_VIRIDIS: {
            return viridis(t);
        }
        case MAP_PET: {
            return pet(t);
        }
        default: {
            return vec3<f32>(t);
        }
    }
}

/// A polynomial fit to the 256 published colours, with an error of at most 1/255.
fn viridis(t: f32) -> vec3<f32> {
    let s = 2.0 * t - 1.0;
    var rgb = vec3<f32>(-1.04923, -0.21967, -0.29073);
    rgb = rgb * s + vec3<f32>(0.43174, -0.07034, 0.64749);
    rgb = rgb * s + vec3<f32>(2.84166, 0.55151, 0.98969);
    rgb = rgb * s + vec3<f32>(-0.89916, 0.20647, -0.82302);
    rgb = rgb * s + vec3<f32>(-2.92017, -0.45847, -0.61689);
    rgb = rgb * s + vec3<f32>(0.33050, -0.25462, 0.22013);
    rgb = rgb * s + vec3<f32>(1.61957, 0.11819, -0.06186);
    rgb = rgb * s + vec3<f32>(0.64506, 0.00784, -0.35645);
    rgb = rgb * s + vec3<f32>(-0.12870, 0.45908, -0.11295);
    rgb = rgb * s + vec3<f32>(0.12523, 0.56499, 0.55170);
    return clamp(rgb, vec3<f32>(0.0), vec3<f32>(1.0));
}

/// Hot metal with a blue lower end: black, blue, purple, red, amber, white in equal steps of increasing lightness.
fn pet(t: f32) -> vec3<f32> {
    let s = 5.0 * t;
    var rgb = vec3<f32>(0.08, 0.08, 0.47) * clamp(s, 0.0, 1.0);
    rgb += vec3<f32>(0.43, 0.00, 0.08) * clamp(s - 1.0, 0.0, 1.0);
    rgb += vec3<f32>(0.39, 0.16, -0.31) * clamp(s - 2.0, 0.0, 1.0);
    rgb += vec3<f32>(0.08, 0.51, -0.08) * clamp(s - 3.0, 0.0, 1.0);
    rgb += vec3<f32>(0.02, 0.25, 0.84) * clamp(s - 4.0, 0.0, 1.0);
    return rgb;
}

// ---- labels and comparison ----

/// The stored label at a pixel; 0 outside.
fn stored_label(texture: texture_3d<u32>, layer: u32, pixel: vec2<f32>) -> u32 {
    let nearest = floor(canonical(slice.base, pixel) + 0.5);
    if (slice.layers & layer) == 0u || !inside(slice.base, nearest) {
        return 0u;
    }
    return textureLoad(texture, vec3<i32>(texel(slice.base, vec3<u32>(nearest))), 0).r;
}

/// The visible label at a pixel; 0 outside, for background and for hidden labels.
fn label_at(texture: texture_3d<u32>, layer: u32, pixel: vec2<f32>) -> u32 {
    let label = stored_label(texture, layer, pixel);
    // Bit 0, unused by the background, stands for all labels above 255.
    let bit = select(0u, label, label < 256u);
    let shown = (slice.visible[bit >> 7u][(bit >> 5u) & 3u] >> (bit & 31u)) & 1u;
    return label * shown;
}

fn class_at(pixel: vec2<f32>) -> u32 {
    let segmented = label_at(label_texture, LAYER_LABELS, pixel);
    let reference = label_at(truth_texture, LAYER_TRUTH, pixel);
    if segmented == 0u {
        return select(CLASS_NONE, CLASS_FALSE_NEGATIVE, reference != 0u);
    }
    if reference == 0u {
        return CLASS_FALSE_POSITIVE;
    }
    let differ = slice.comparing == COMPARING_LABELS && segmented != reference;
    return select(CLASS_TRUE_POSITIVE, CLASS_WRONG_LABEL, differ);
}

/// The region that outlines follow: a label, or a class of the comparison; with several segmentations, their bits.
fn region_at(pixel: vec2<f32>) -> u32 {
    if COMPARISON && slice.comparing == COMPARING_SEVERAL {
        return stored_label(label_texture, LAYER_LABELS, pixel);
    }
    if COMPARISON && slice.comparing != 0u {
        return class_at(pixel);
    }
    return label_at(label_texture, LAYER_LABELS, pixel);
}

/// Whether the region ends within the outline's width: horizontally, vertically, diagonally.
fn edges(pixel: vec2<f32>, region: u32) -> vec3<bool> {
    let w = slice.outline_px;
    let beside = region_at(pixel + vec2<f32>(w, 0.0)) != region || region_at(pixel - vec2<f32>(w, 0.0)) != region;
    let above = region_at(pixel + vec2<f32>(0.0, w)) != region || region_at(pixel - vec2<f32>(0.0, w)) != region;
    let corner = region_at(pixel + vec2<f32>(w, w)) != region
        || region_at(pixel + vec2<f32>(w, -w)) != region
        || region_at(pixel + vec2<f32>(-w, w)) != region
        || region_at(pixel + vec2<f32>(-w, -w)) != region;
    return vec3<bool>(beside, above, corner);
}

/// The region at a pixel; 0 where labels are switched off.
fn drawn_region(pixel: vec2<f32>) -> u32 {
    if slice.label_mode == 0u {
        return 0u;
    }
    return region_at(pixel);
}

/// The brightness of a colour; grey is unchanged bit for bit. Below a comparison the image is drawn in grey, because the colours
/// of a hot map are too close to those of the classes.
fn grey(rgb: vec3<f32>) -> vec3<f32> {
    return vec3<f32>(rgb.g + (rgb.r - rgb.g) * 0.3 + (rgb.b - rgb.g) * 0.1);
}

fn overlay_colour(pixel: vec2<f32>, region: u32) -> vec4<f32> {
    if region == 0u {
        return vec4<f32>(0.0);
    }
    if COMPARISON && slice.comparing == COMPARING_SEVERAL {
        return outlines_colour(pixel, region);
    }
    if COMPARISON && slice.comparing != 0u {
        return comparison_colour(pixel, region);
    }
    let colour = slice.palette[(region - 1u) % 16u];
    var alpha = 0.0;
    if (slice.label_mode & MODE_FILL) != 0u {
        alpha = slice.label_opacity;
    }
    if (slice.label_mode & MODE_OUTLINE) != 0u && any(edges(pixel, region)) {
        alpha = max(alpha, slice.outline_opacity);
    }
    return vec4<f32>(colour.rgb, colour.a * alpha);
}

/// True positives solid, false positives hatched, false negatives a dashed outline, wrong labels chequered.
fn comparison_colour(pixel: vec2<f32>, class_: u32) -> vec4<f32> {
    let colour = slice.comparison[class_ - 1u];
    let at = vec2<u32>(max(pixel, vec2<f32>(0.0)));
    var alpha = slice.label_opacity;
    if class_ == CLASS_FALSE_POSITIVE {
        let period = u32(max(floor(HATCH_POINTS * slice.pixels_per_point + 0.5), 2.0));
        if ((at.x + at.y) % period) * 2u >= period {
            alpha = slice.label_opacity * GAP;
        }
    } else if class_ == CLASS_WRONG_LABEL {
        let side = u32(max(floor(HATCH_POINTS * slice.pixels_per_point * 0.5 + 0.5), 1.0));
        if (at.x / side + at.y / side) % 2u == 1u {
            alpha = slice.label_opacity * GAP;
        }
    } else if class_ == CLASS_FALSE_NEGATIVE {
        let edge = edges(pixel, class_);
        // Along the edge, so that edges of every direction are dashed.
        let along = select(at.x, at.y, edge.x && !edge.y);
        let period = u32(max(floor(DASH_POINTS * slice.pixels_per_point + 0.5), 2.0));
        let strength = select(GAP, 1.0, (along % period) * 7u < period * 4u);
        alpha = select(0.0, slice.outline_opacity * strength, any(edge));
    }
    return vec4<f32>(colour.rgb, colour.a * alpha);
}

/// Outlines of several segmentations. Where some coincide, their colours take turns as dashes.
fn outlines_colour(pixel: vec2<f32>, bits: u32) -> vec4<f32> {
    let w = slice.outline_px;
    var everywhere = bits;
    for (var n = 0u; n < 9u; n++) {
        let step = vec2<f32>(f32(n % 3u) - 1.0, f32(n / 3u) - 1.0);
        everywhere &= region_at(pixel + step * w);
    }
    var ending = bits & ~everywhere;
    let count = countOneBits(ending);
    if count == 0u {
        return vec4<f32>(0.0);
    }
    let at = vec2<u32>(max(pixel, vec2<f32>(0.0)));
    let dash = u32(max(floor(DASH_POINTS * slice.pixels_per_point + 0.5), 1.0));
    for (var skipped = (at.x + at.y) / dash % count; skipped > 0u; skipped--) {
        ending &= ending - 1u;
    }
    let colour = slice.palette[firstTrailingBit(ending) % 16u];
    return vec4<f32>(colour.rgb, colour.a * slice.outline_opacity);
}
