//! The top bar: modes, case name, tools, view options, help.

use egui::{Align, Layout, Panel, Popup, PopupCloseBehavior, Ui};

use crate::command::{Command, Sender, ViewCommand, WindowCommand};
use crate::scene::{Convention, PlaneMode};
use crate::state::{Intent, Mode, PathPurpose, State, ToolKind};
use crate::theme::{self, Icon, Theme, font, icon, size, space};
use crate::widget::text;
use crate::widget::{Badge, IconButton, PushButton, Segment, SegmentedControl, Toggle, Tone};

/// Below this width, the mode buttons show icons only, and a case with one image has no side by side button, to make room for the
/// tools and the name.
const NARROW: f32 = 1060.0;
/// Below this width, the edit tools are in a menu.
const CROWDED: f32 = 860.0;

/// Draws the top bar.
pub fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let frame = super::frame(ui);
    Panel::top("top bar").exact_size(size::TOP_BAR).frame(frame).show(ui, |ui| {
        ui.horizontal_centered(|ui| {
            ui.spacing_mut().item_spacing.x = space::XS;
            let left = state.session.settings.left_panel;
            button(
                ui,
                sender,
                icon::LEFT_PANEL,
                "Left panel",
                "Ctrl+B",
                Some(left),
                Command::Window(WindowCommand::ToggleLeft),
            );
            ui.add_space(space::XS);
            modes(ui, state, sender);
            // Laid out from the right: the case name takes the remaining width.
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                window(ui, state, sender);
                rule(ui);
                views(ui, state, sender);
                rule(ui);
                tools(ui, state, "Tool", &ToolKind::ALL, sender);
                rule(ui);
                edit_tools(ui, state, sender);
                rule(ui);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| title(ui, state));
            });
        });
    });
}

/// A button that sends one command.
fn button(
    ui: &mut Ui,
    sender: &Sender,
    icon: Icon,
    label: &str,
    shortcut: &str,
    selected: Option<bool>,
    command: Command,
) {
    let mut button = IconButton::new(icon, label);
    if !shortcut.is_empty() {
        button = button.shortcut(shortcut);
    }
    if let Some(selected) = selected {
        button = button.selected(selected);
    }
    if ui.add(button).clicked() {
        sender.send(command);
    }
}

fn is_narrow(ui: &Ui) -> bool {
    ui.ctx().content_rect().width() < NARROW
}

/// A hairline between groups.
fn rule(ui: &mut Ui) {
    let (rect, _) = ui.allocate_exact_size(egui::vec2(2.0 * space::XS + 1.0, size::CONTROL), egui::Sense::hover());
    let stroke = egui::Stroke::new(1.0, theme::tokens(ui).line);
    ui.painter().vline(rect.center().x, rect.y_range().shrink(space::XS), stroke);
}

fn modes(ui: &mut Ui, state: &State, sender: &Sender) {
    let segment =
        |mode: Mode, icon, key| Segment { value: mode, label: mode.name(), icon: Some(icon), shortcut: Some(key) };
    let segments = [
        segment(Mode::Review, icon::REVIEW, "F1"),
        segment(Mode::Masking, icon::GRID, "F2"),
        segment(Mode::Train, icon::TRAIN, "F3"),
    ];
    let mut mode = state.session.mode;
    let mut modes = SegmentedControl::new("Mode", &segments);
    if is_narrow(ui) {
        modes = modes.icons_only();
    }
    if modes.show(ui, &mut mode).changed() {
        sender.send(WindowCommand::SetMode(mode));
    }
}

/// Name of the open case, and whether its segmentation is unsaved.
fn title(ui: &mut Ui, state: &State) {
    let Some(document) = &state.document else { return };
    ui.add_space(space::S);
    let color = theme::tokens(ui).text;
    if document.is_unsaved() {
        ui.add(Badge::new("unsaved").tone(Tone::Warn)).on_hover_text("The segmentation is not saved");
        ui.add_space(space::XS);
    }
    let case = document.listed.and_then(|id| state.cases.get(id)).filter(|case| case.name == document.title);
    let distinct = case.map(|case| case.distinct.clone()).unwrap_or_default();
    let name = text::name(ui, &document.title, &distinct, &font::strong(), color);
    name.on_hover_text(format!("{}\n{}", document.title, document.path.display()));
}

fn icon_of(tool: ToolKind) -> Icon {
    match tool {
        ToolKind::Crosshair => icon::CROSSHAIR,
        ToolKind::Window => icon::CONTRAST,
        ToolKind::Pan => icon::MOVE,
        ToolKind::Zoom => icon::ZOOM,
        ToolKind::Ruler => icon::RULER,
        ToolKind::Ellipse => icon::ELLIPSE,
        ToolKind::Brush => icon::BRUSH,
        ToolKind::Eraser => icon::ERASER,
        ToolKind::RangeBrush => icon::RANGE_BRUSH,
        ToolKind::AdaptiveBrush => icon::ADAPTIVE_BRUSH,
        ToolKind::Lasso => icon::LASSO,
        ToolKind::Fill => icon::FILL,
        ToolKind::Grow => icon::GROW,
        ToolKind::OneClick => icon::ONE_CLICK,
    }
}

fn tools(ui: &mut Ui, state: &State, group: &str, tools: &[ToolKind], sender: &Sender) {
    let named: Vec<(ToolKind, String)> = tools.iter().map(|tool| (*tool, format!("Tool: {}", tool.name()))).collect();
    let segments: Vec<Segment<'_, ToolKind>> = named
        .iter()
        .map(|(tool, label)| Segment::icon(*tool, label.as_str(), icon_of(*tool)).shortcut(tool.key()))
        .collect();
    let mut tool = state.session.view.tool;
    if SegmentedControl::new(group, &segments).icons_only().bare().show(ui, &mut tool).changed() {
        sender.send(ViewCommand::SetTool(tool));
    }
}

/// The editing tools; in a menu if they do not fit.
fn edit_tools(ui: &mut Ui, state: &State, sender: &Sender) {
    let usable = state.session.mode == Mode::Review && state.document.is_some();
    ui.add_enabled_ui(usable, |ui| {
        if ui.ctx().content_rect().width() >= CROWDED {
            return tools(ui, state, "Edit tool", &ToolKind::EDIT, sender);
        }
        let chosen = Some(state.session.view.tool).filter(|tool| tool.is_edit());
        let response =
            ui.add(IconButton::new(chosen.map_or(icon::EDIT, icon_of), "Edit tools").selected(chosen.is_some()));
        Popup::menu(&response).gap(space::XS).accessible_name("Edit tools").show(|ui| {
            tools(ui, state, "Edit tool", &ToolKind::EDIT, sender);
        });
    });
}

/// Buttons for all views: fit, maximise, side by side, options.
fn views(ui: &mut Ui, state: &State, sender: &Sender) {
    options(ui, state, sender);
    let images = state.document.as_ref().map_or(0, |d| d.images.len());
    // With room, it is present for a single image too, so that the tools keep their place when the next case has several.
    if images > 1 || !is_narrow(ui) {
        ui.add_enabled_ui(images > 1, |ui| {
            let linked = Some(images > 1 && state.session.view.linked);
            let toggle = Command::View(ViewCommand::ToggleLinked);
            button(ui, sender, icon::SIDE_BY_SIDE, "Images side by side", "M", linked, toggle);
        });
    }
    ui.add_enabled_ui(images > 0, |ui| {
        let active = state.session.view.active.unwrap_or(crate::state::PaneId::Axial);
        if state.session.view.maximised.is_some() {
            let all = Command::View(ViewCommand::Maximise(None));
            button(ui, sender, icon::MINIMISE, "Show all views", "Shift+Enter", None, all);
        } else {
            let label = format!("Maximise {}", active.name());
            let only = Command::View(ViewCommand::Maximise(Some(active)));
            button(ui, sender, icon::MAXIMISE, &label, "Shift+Enter", None, only);
        }
        button(ui, sender, icon::FIT, "Fit all views", "F", None, Command::View(ViewCommand::Fit));
    });
}

fn options(ui: &mut Ui, state: &State, sender: &Sender) {
    let response = ui.add(IconButton::new(icon::CONTROLS, "View options"));
    let popup = Popup::menu(&response).close_behavior(PopupCloseBehavior::CloseOnClickOutside).gap(space::XS);
    popup.width(300.0).accessible_name("View options").show(|ui| {
        egui::Frame::new().inner_margin(space::S).show(ui, |ui| options_menu(ui, state, sender));
    });
}

fn options_menu(ui: &mut Ui, state: &State, sender: &Sender) {
    let settings = &state.session.settings;
    text::heading(ui, "Patient's right is on the");
    let conventions = [
        Segment::text(Convention::Radiological, "Left (radiological)"),
        Segment::text(Convention::Neurological, "Right"),
    ];
    let mut convention = settings.convention;
    if SegmentedControl::new("Convention", &conventions).fill_width().show(ui, &mut convention).changed() {
        sender.send(ViewCommand::SetConvention(convention));
    }
    ui.add_space(space::S);
    text::heading(ui, "Planes");
    let planes =
        [Segment::text(PlaneMode::Native, "As acquired"), Segment::text(PlaneMode::World, "Along the patient")];
    let mut plane = settings.planes;
    if SegmentedControl::new("Planes", &planes).fill_width().show(ui, &mut plane).changed() {
        sender.send(ViewCommand::SetPlanes(plane));
    }
    ui.add_space(space::S);
    let mut smooth = settings.interpolate;
    if ui.add(Toggle::new(&mut smooth, "Interpolate voxels").shortcut("I")).changed() {
        sender.send(ViewCommand::SetInterpolation(smooth));
    }
    let mut strip = settings.strip;
    if ui.add(Toggle::new(&mut strip, "Bottom strip")).changed() {
        sender.send(WindowCommand::ToggleStrip);
    }
    if state.session.mode == Mode::Review && state.document.is_some() {
        ui.add_space(space::S);
        if ui.add(PushButton::new("Export the view as PNG…").icon(icon::CAMERA).fill_width()).clicked() {
            sender.send(Intent::Ask(PathPurpose::ViewPicture));
        }
    }
}

/// Buttons for panels, help, palette and theme, from the right end.
fn window(ui: &mut Ui, state: &State, sender: &Sender) {
    let settings = &state.session.settings;
    button(
        ui,
        sender,
        icon::RIGHT_PANEL,
        "Right panel",
        "Ctrl+Alt+B",
        Some(settings.right_panel),
        Command::Window(WindowCommand::ToggleRight),
    );
    button(ui, sender, icon::HELP, "Help: mouse and keys", "?", None, Command::Window(WindowCommand::OpenHelp));
    button(ui, sender, icon::COMMAND, "Command palette", "Ctrl+K", None, Command::Window(WindowCommand::OpenPalette));
    let (drawing, label) = match settings.theme {
        Theme::Dark => (icon::SUN, "Light theme"),
        Theme::Light => (icon::MOON, "Dark theme"),
    };
    button(ui, sender, drawing, label, "", None, Command::Window(WindowCommand::SetTheme(settings.theme.other())));
}
