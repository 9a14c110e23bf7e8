//! egui's style from the tokens, so that egui's own widgets and popups fit in.

use egui::style::{Interaction, ScrollStyle, Spacing, TextCursorStyle, WidgetVisuals, Widgets};
use egui::{Color32, CornerRadius, Margin, Shadow, Stroke, Style, Visuals, vec2};

use super::metric::{radius, size, space};
use super::{font, tokens::Tokens};

/// The style of one theme.
pub(super) fn style(t: &Tokens) -> Style {
    Style {
        text_styles: font::text_styles(),
        drag_value_text_style: egui::TextStyle::Monospace,
        spacing: spacing(),
        visuals: visuals(t),
        interaction: Interaction { selectable_labels: false, tooltip_delay: 0.4, ..Interaction::default() },
        animation_time: 0.12,
        ..Style::default()
    }
}

fn spacing() -> Spacing {
    Spacing {
        item_spacing: vec2(space::S, space::XS),
        window_margin: Margin::same(space::L as i8),
        menu_margin: Margin::same(space::XS as i8),
        button_padding: vec2(space::S, space::XS),
        interact_size: vec2(size::CONTROL, size::CONTROL),
        indent: space::L,
        icon_width: size::ICON,
        icon_spacing: space::S,
        slider_rail_height: 3.0,
        tooltip_width: 320.0,
        combo_width: 60.0,
        scroll: ScrollStyle { bar_width: 8.0, floating_width: 4.0, ..ScrollStyle::floating() },
        ..Spacing::default()
    }
}

fn visuals(t: &Tokens) -> Visuals {
    let base = if t.dark { Visuals::dark() } else { Visuals::light() };
    let widget = |fill: Color32, border: Stroke, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: border,
        corner_radius: CornerRadius::same(radius::M),
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    let line = Stroke::new(1.0, t.line_strong);
    Visuals {
        dark_mode: t.dark,
        weak_text_color: Some(t.text_dim),
        widgets: Widgets {
            noninteractive: widget(t.panel, Stroke::new(1.0, t.line), t.text),
            inactive: widget(t.raised, line, t.text),
            hovered: widget(t.raised_hover, line, t.text),
            active: widget(t.raised_active, Stroke::new(size::FOCUS_RING, t.focus), t.text),
            open: widget(t.raised_hover, line, t.text),
        },
        selection: egui::style::Selection {
            bg_fill: if t.dark { t.selection_hover } else { t.selection },
            stroke: Stroke::new(size::FOCUS_RING, t.accent_text),
        },
        hyperlink_color: t.accent_text,
        faint_bg_color: t.raised,
        extreme_bg_color: t.field,
        code_bg_color: t.raised,
        warn_fg_color: t.warn,
        error_fg_color: t.error,
        window_corner_radius: CornerRadius::same(radius::L),
        window_shadow: Shadow { offset: [0, 12], blur: 32, spread: 0, color: t.shadow },
        window_fill: t.raised,
        window_stroke: line,
        window_highlight_topmost: false,
        menu_corner_radius: CornerRadius::same(radius::L),
        panel_fill: t.panel,
        popup_shadow: Shadow { offset: [0, 6], blur: 18, spread: 0, color: t.shadow },
        text_cursor: TextCursorStyle { stroke: Stroke::new(1.5, t.accent_text), ..base.text_cursor.clone() },
        indent_has_left_vline: false,
        slider_trailing_fill: true,
        handle_shape: egui::style::HandleShape::Circle,
        disabled_alpha: 0.4,
        ..base
    }
}
