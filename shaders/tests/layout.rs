//! The WGSL is valid, and its structs have the memory layout of Rust's.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::mem::{offset_of, size_of};

use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{Module, TypeInner};
use shaders::{
    Cell, ColourMap, ComparisonMode, Image, Interpolation, Kind, LabelMode, Layers, Parts, PatchShow, Patches,
    SLICE_WGSL, Slice,
};

/// Name, offset and size of every member of a Rust struct.
macro_rules! members {
    ($type:ident: $($member:ident),* $(,)?) => {{
        let value = $type::default();
        vec![$((stringify!($member), offset_of!($type, $member), std::mem::size_of_val(&value.$member))),*]
    }};
}

fn parsed() -> Module {
    naga::front::wgsl::parse_str(SLICE_WGSL).unwrap_or_else(|e| panic!("{}", e.emit_to_string(SLICE_WGSL)))
}

fn same_layout(module: &Module, name: &str, size: usize, rust: &[(&str, usize, usize)]) {
    let (_, found) = module.types.iter().find(|(_, t)| t.name.as_deref() == Some(name)).expect(name);
    let TypeInner::Struct { members, span } = &found.inner else { panic!("{name} is not a struct") };
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).unwrap();
    let wgsl: Vec<_> =
        members.iter().map(|m| (m.name.as_deref().unwrap(), m.offset as usize, layouter[m.ty].size as usize)).collect();
    assert_eq!(wgsl, rust, "{name}");
    assert_eq!(*span as usize, size, "size of {name}");
    // No gap between the members, so the list above is complete.
    assert_eq!(rust.iter().map(|m| m.2).sum::<usize>(), size, "members of {name}");
}

#[test]
fn the_shader_is_valid() {
    let module = parsed();
    Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module).unwrap();
    let mut names: Vec<&str> = module.entry_points.iter().map(|e| e.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["fs_main", "vs_main"]);
}

#[test]
fn the_pipeline_constants_are_those_of_parts() {
    let module = parsed();
    let mut found: Vec<&str> = module.overrides.iter().filter_map(|(_, o)| o.name.as_deref()).collect();
    found.sort_unstable();
    let mut named = Parts::of(&Slice::default()).constants().map(|(name, _)| name);
    named.sort_unstable();
    assert_eq!(found, named);
}

#[test]
fn structs_have_the_same_layout_in_wgsl_and_rust() {
    let module = parsed();
    let image = members!(Image: rows, shape, kind, order, flip, shift, colour_map, scale, window, interpolation, opacity,
        transparent_low, padding);
    same_layout(&module, "Image", size_of::<Image>(), &image);
    let patches = members!(Patches: rows, colours, pixels, grid, show, fill, heat_opacity, padding);
    same_layout(&module, "Patches", size_of::<Patches>(), &patches);
    let slice = members!(Slice: base, fused, palette, comparison, visible, patches, origin, pixels_per_point, label_mode,
        label_opacity, outline_opacity, outline_px, layers, comparing, srgb_target, padding);
    same_layout(&module, "Slice", size_of::<Slice>(), &slice);
}

#[test]
fn constants_are_equal_in_wgsl_and_rust() {
    let mut expected = [
        ("KIND_NONE", Kind::None as u32),
        ("KIND_SIGNED_8", Kind::Signed8 as u32),
        ("KIND_SIGNED_16", Kind::Signed16 as u32),
        ("KIND_FLOAT", Kind::Float as u32),
        ("KIND_RGBA", Kind::Rgba as u32),
        ("MAP_GREY_INVERTED", ColourMap::GreyInverted as u32),
        ("MAP_HOT", ColourMap::Hot as u32),
        ("MAP_VIRIDIS", ColourMap::Viridis as u32),
        ("MAP_PET", ColourMap::Pet as u32),
        ("INTERPOLATION_LINEAR", Interpolation::Linear as u32),
        ("MODE_FILL", LabelMode::Fill as u32),
        ("MODE_OUTLINE", LabelMode::Outline as u32),
        ("LAYER_LABELS", Layers::Labels as u32),
        ("LAYER_TRUTH", Layers::Truth as u32),
        ("CLASS_NONE", 0),
        ("CLASS_TRUE_POSITIVE", 1),
        ("CLASS_FALSE_POSITIVE", 2),
        ("CLASS_FALSE_NEGATIVE", 3),
        ("CLASS_WRONG_LABEL", 4),
        ("COMPARING_LABELS", ComparisonMode::Labels as u32),
        ("COMPARING_SEVERAL", ComparisonMode::Several as u32),
        ("SHOW_GRID", PatchShow::GRID.bits()),
        ("SHOW_CATEGORIES", PatchShow::CATEGORIES.bits()),
        ("SHOW_MASKED", PatchShow::MASKED.bits()),
        ("SHOW_FLIPS", PatchShow::FLIPS.bits()),
        ("SHOW_HEAT", PatchShow::HEAT.bits()),
        ("SHOW_BLANK", PatchShow::BLANK.bits()),
        ("SHOW_FRAME", PatchShow::FRAME.bits()),
        ("SHOW_PADDING", PatchShow::PADDING.bits()),
        ("SHOW_PINS", PatchShow::PINS.bits()),
        ("CELL_FOREGROUND", Cell { foreground: true, ..Cell::default() }.bits()),
        ("CELL_MASKED", Cell { masked: true, ..Cell::default() }.bits()),
        ("CELL_FLIPPED", Cell { flipped: true, ..Cell::default() }.bits()),
        ("CELL_HEAT", Cell { heat: Some(0), ..Cell::default() }.bits()),
        ("CELL_PINNED", Cell { pinned: true, ..Cell::default() }.bits()),
        ("CELL_PADDING", Cell { padding: true, ..Cell::default() }.bits()),
        ("COLOUR_FLIP", 2),
        ("COLOUR_INK", 3),
        ("COLOUR_PADDING", 4),
    ];
    let module = parsed();
    let mut found = Vec::new();
    for (_, constant) in module.constants.iter() {
        let name = constant.name.as_deref().unwrap_or_default();
        if let naga::Expression::Literal(naga::Literal::U32(value)) = module.global_expressions[constant.init] {
            found.push((name, value));
        }
    }
    // The parser's order is arbitrary.
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
