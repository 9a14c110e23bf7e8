//! The manuals of the viewer and the engine, by section, with a search field.

use egui::{Align, Context, Id, Layout, ScrollArea, Ui, vec2};
use engine::manual::{Section, sections};

use super::sheet::Sheet;
use crate::command::Sender;
use crate::theme::{size, space};
use crate::widget::{ListRow, Markdown, SearchField, Segment, SegmentedControl, text};

/// The manual of the viewer.
pub const WINDOW: &str = include_str!("../../MANUAL.md");

const WIDTH: f32 = 980.0;
/// Width of the column with the contents.
const CONTENTS: f32 = 240.0;
/// Links to the other manual name this file.
const FILE: &str = "MANUAL.md";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum ManualKind {
    #[default]
    Window,
    Engine,
}

impl ManualKind {
    fn text(self) -> &'static str {
        match self {
            Self::Window => WINDOW,
            Self::Engine => engine::manual::TEXT,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Window => Self::Engine,
            Self::Engine => Self::Window,
        }
    }
}

/// Where the reader is. Kept in egui's memory, like a scroll position.
#[derive(Clone, Debug, Default, PartialEq)]
struct Reading {
    /// The last frame in which it was shown; a gap means that the dialog was reopened.
    frame: u64,
    book: ManualKind,
    query: String,
    /// Title of the chosen section; the first one if there is no such section.
    title: String,
}

pub(super) fn show(ctx: &Context, sender: &Sender) {
    let id = Id::unique("manual reading");
    let before = ctx.data(|data| data.get_temp::<Reading>(id)).unwrap_or_default();
    let frame = ctx.cumulative_frame_nr();
    let focus = before.frame == 0 || before.frame + 1 < frame;
    let mut reading = Reading { frame, ..before.clone() };
    let height = (ctx.content_rect().height() - 120.0).max(160.0);
    Sheet::new("Manual", WIDTH).show(
        ctx,
        sender,
        |_| (),
        |ui| {
            let all = sections(reading.book.text());
            let listed: Vec<Section<'_>> = all
                .into_iter()
                .filter(|section| (2..=3).contains(&section.level) && section.matches(&reading.query))
                .collect();
            let shown = listed.iter().find(|section| section.title == reading.title).or(listed.first()).copied();
            ui.horizontal_top(|ui| {
                column(ui, vec2(CONTENTS, height), |ui| contents(ui, &mut reading, &listed, shown, focus));
                ui.add_space(space::M);
                let size = vec2(ui.available_width(), height);
                column(ui, size, |ui| page(ui, &mut reading, shown));
            });
        },
    );
    if (Reading { frame, ..before }) != reading {
        // What was chosen in this frame is drawn in the next.
        ctx.request_repaint();
    }
    ctx.data_mut(|data| data.insert_temp(id, reading));
}

fn column(ui: &mut Ui, size: egui::Vec2, draw: impl FnOnce(&mut Ui)) {
    ui.allocate_ui_with_layout(size, Layout::top_down(Align::Min), |ui| {
        ui.set_min_size(size);
        draw(ui);
    });
}

/// Switch between the manuals, search field, and the sections that contain the search words.
fn contents(ui: &mut Ui, reading: &mut Reading, listed: &[Section<'_>], shown: Option<Section<'_>>, focus: bool) {
    let books = [Segment::text(ManualKind::Window, "Viewer"), Segment::text(ManualKind::Engine, "Engine")];
    if SegmentedControl::new("Manual of", &books).fill_width().show(ui, &mut reading.book).changed() {
        reading.title.clear();
    }
    ui.add_space(space::S);
    let field = SearchField::new(&mut reading.query, "Search the manual").id(Id::unique("manual query")).show(ui);
    if focus {
        field.request_focus();
    }
    ui.add_space(space::S);
    ScrollArea::vertical().id_salt(("contents", reading.book)).auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for section in listed {
            let selected = shown.is_some_and(|shown| shown.title == section.title);
            let row = ListRow::new(section.title).selected(selected);
            let clicked = ui.horizontal(|ui| {
                ui.add_space(if section.level > 2 { space::L } else { 0.0 });
                ui.add(row).clicked()
            });
            if clicked.inner {
                section.title.clone_into(&mut reading.title);
            }
        }
    });
}

/// The chosen section.
fn page(ui: &mut Ui, reading: &mut Reading, shown: Option<Section<'_>>) {
    let Some(section) = shown else {
        ui.add_space(size::ROW);
        text::sentence(ui, "No section contains these words.");
        return;
    };
    let salt = ("page", reading.book, section.title);
    let area = ScrollArea::vertical().id_salt(salt).auto_shrink(false);
    let link = area.show(ui, |ui| {
        // Beside the scroll bar.
        ui.set_max_width(ui.available_width() - space::M);
        Markdown::new(section.text).mark(&reading.query).show(ui)
    });
    if let Some(link) = link.inner {
        follow(ui.ctx(), reading, &link);
    }
}

/// Follows a link: into a manual, or to the system's browser.
fn follow(ctx: &Context, reading: &mut Reading, link: &str) {
    if link.starts_with("http") {
        return ctx.open_url(egui::OpenUrl::new_tab(link));
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let book = if file.ends_with(FILE) { reading.book.other() } else { reading.book };
    let title = sections(book.text()).into_iter().find(|section| anchor_of(section.title) == anchor);
    reading.title = title.map_or(String::new(), |section| section.title.to_owned());
    (reading.book, reading.query) = (book, String::new());
}

/// The anchor of a heading, as code hosts derive it.
fn anchor_of(title: &str) -> String {
    let kept = title.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[cfg(test)]
mod tests;
