//! The gallery of widgets as pictures, in both themes and at both sizes that the layout is made for.
//!
//! The pictures are written to cargo's temporary folder. Asserts that they are not empty, that panels have the colour
//! of their token, and that images are black in both themes.

#[path = "../../examples/gallery/show.rs"]
mod show;

use std::path::Path;

use amlp_viewer::theme::{self, Theme};
use egui::Color32;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use egui_kittest::wgpu::WgpuTestRenderer;
use show::{Gallery, Page};

/// A renderer on any adapter; `None` without one.
fn renderer() -> Option<WgpuTestRenderer> {
    crate::common::offscreen()?;
    Some(WgpuTestRenderer::new())
}

fn window(
    renderer: WgpuTestRenderer,
    theme: Theme,
    size: [f32; 2],
    scale: f32,
    gallery: Gallery,
) -> Harness<'static, Gallery> {
    Harness::builder()
        .with_size(size)
        .with_pixels_per_point(scale)
        .with_render_cursor(false)
        // The harness sets its theme after the setup of the context.
        .with_theme(if theme == Theme::Dark { egui::Theme::Dark } else { egui::Theme::Light })
        .with_context_setup(move |ctx| theme::install(ctx, theme))
        .renderer(renderer)
        .build_ui_state(|ui, gallery: &mut Gallery| gallery.show(ui), gallery)
}

/// Draws the window and saves the picture among the test files.
fn save(harness: &mut Harness<'_, Gallery>, name: &str) -> image::RgbaImage {
    let picture = harness.render().expect("the window renders");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("gallery-{name}.png"));
    picture.save(&file).expect("the picture is written");
    picture
}

#[test]
fn pages_are_drawn_in_both_themes_and_scales() {
    for theme in Theme::ALL {
        for (name, page, dialog) in [
            ("workspace", Page::Workspace, false),
            ("controls", Page::Controls, false),
            ("welcome", Page::Welcome, false),
            ("dialog", Page::Controls, true),
        ] {
            for scale in [1.0, 2.0] {
                let Some(renderer) = renderer() else { return };
                let gallery = Gallery::new(page, dialog);
                let mut harness = window(renderer, theme, [1280.0, 800.0], scale, gallery);
                harness.run_steps(6);
                harness.check_accessibility();
                let picture = save(&mut harness, &format!("{name}-{theme}-{scale}"));
                assert_eq!(picture.dimensions(), ((1280.0 * scale) as u32, (800.0 * scale) as u32));
                if page == Page::Workspace {
                    let at = |x: f32, y: f32| {
                        let [r, g, b, a] = picture.get_pixel((x * scale) as u32, (y * scale) as u32).0;
                        Color32::from_rgba_premultiplied(r, g, b, a)
                    };
                    assert_eq!(at(12.0, 520.0), theme.tokens().panel, "{theme}: the left panel");
                    assert_eq!(at(236.0, 90.0), Color32::BLACK, "{theme}: a pane");
                }
            }
        }
    }
}

/// Appearance of focus, tooltip, open list and invalid number.
#[test]
fn states_of_controls_are_drawn() {
    for theme in Theme::ALL {
        let Some(renderer) = renderer() else { return };
        let mut harness = window(renderer, theme, [1280.0, 800.0], 2.0, Gallery::new(Page::Workspace, false));
        harness.run_steps(4);
        harness.get_by_label("Window").focus();
        harness.run_steps(2);
        harness.get_by_label("Window").type_text("99999");
        harness.run_steps(2);
        harness.get_by_label("Opacity").focus();
        harness.get_by_label("Ruler").hover();
        harness.run_steps(8);
        assert!(harness.query_by_label("5").is_some(), "the tooltip shows the shortcut");
        assert!(harness.query_by_label("1 to 4000 HU").is_some(), "the reason stays at the field");
        save(&mut harness, &format!("states-{theme}"));
        harness.get_by_label("Colours").click();
        harness.run_steps(3);
        assert!(harness.query_by_label("Viridis").is_some(), "the list is open");
        harness.get_by_label("STS_002").hover();
        harness.key_press(egui::Key::Tab);
        harness.run_steps(3);
        save(&mut harness, &format!("list-{theme}"));
    }
}

/// Runs without an adapter.
#[test]
fn nothing_moves_when_a_value_changes_or_an_error_appears() {
    let mut harness = Harness::builder()
        .with_size([1280.0, 800.0])
        .with_context_setup(|ctx| theme::install(ctx, Theme::Dark))
        .build_ui_state(|ui, gallery: &mut Gallery| gallery.show(ui), Gallery::default());
    harness.run_steps(4);
    let positions = |harness: &Harness<'_, Gallery>| {
        ["Level", "Opacity", "Lesion 2", "Segment", "Dice per slice"].map(|label| harness.get_by_label(label).rect())
    };
    let before = positions(&harness);
    harness.get_by_label("Window").focus();
    harness.run_steps(2);
    harness.get_by_label("Window").type_text("999999");
    harness.run_steps(3);
    assert!(harness.query_by_label("1 to 4000 HU").is_some());
    assert_eq!(positions(&harness), before);
}
