//! Messages that are not dismissed yet. Dismissed ones stay in the log.
//!
//! They never cover an image: they are side by side over the bottom strip or, without it, stacked over a side panel.

use std::collections::BTreeMap;
use std::time::Duration;

use egui::{
    Align, Align2, Area, Color32, Context, Frame, Id, Label, Layout, Margin, Order, Pos2, RichText, Role, ScrollArea,
    Ui, Vec2, pos2, vec2,
};

use crate::command::{Sender, WindowCommand};
use crate::state::{Intent, MaskRole, Notice, Remedy, Severity, State};
use crate::theme::{self, Icon, font, icon, radius, size, space};
use crate::widget::{ButtonKind, IconButton, PushButton, Tone, letters_above, visible_bar};

/// Minimum width of a message over the strip, and the width up to which it may be higher instead of wider.
const WIDTH: f32 = 284.0;
const WIDEST: f32 = 440.0;
/// Step in which a message over the strip becomes wider, until its text fits.
const WIDER: f32 = 40.0;
/// Largest fraction of the window's height for all messages over a panel.
const STACK: f32 = 0.6;
/// Width for the scroll bar of a text that does not fit.
const BAR: f32 = 8.0;
/// Width of the stroke and the margin on both sides of a message.
const FRAME: f32 = 2.0 * (space::S + 1.0);
/// Space above the title, which is in line with the icon.
const ABOVE_TITLE: f32 = 2.0;
/// Number shown at once; older ones are counted beside them.
const SHOWN: usize = 4;
/// Width for that count and its button.
const OLDER: f32 = 84.0;

/// Size and position of the messages.
#[derive(Clone, Copy, Debug, PartialEq)]
struct CardLayout {
    /// Size of one message.
    card: Vec2,
    /// Side by side, otherwise stacked.
    across: bool,
    /// Number of messages shown.
    shown: usize,
    /// Lower right corner of all messages.
    corner: Pos2,
}

impl CardLayout {
    fn of(ctx: &Context, state: &State, open: &[&Notice]) -> Self {
        // The highest shown message, or the buttons for older ones, determine the height of all.
        let height = |shown: usize, width: f32| {
            let heights = open[open.len() - shown..].iter().map(|notice| needed_height(ctx, state, notice, width));
            let older = if shown < open.len() { 2.0 * size::CONTROL + space::XS } else { 0.0 };
            heights.fold(older, f32::max)
        };
        let (window, settings) = (ctx.content_rect(), &state.session.settings);
        let bottom = window.bottom() - size::STATUS_LINE;
        let right = window.right() - space::M;
        if state.shows_strip() {
            let available = window.width() - 2.0 * space::M;
            let fit = |available: f32| ((available + space::S) / (WIDTH + space::S)).floor().max(1.0) as usize;
            let all = fit(available).min(SHOWN);
            let (shown, available) = if open.len() <= all {
                (open.len(), available)
            } else {
                let available = available - OLDER - space::S;
                (fit(available).min(SHOWN), available)
            };
            let each = (available + space::S) / shown as f32 - space::S;
            let most = settings.strip_height - 2.0 * space::XS;
            let mut width = each.clamp(WIDTH, WIDEST).min(available);
            while height(shown, width) > most && width < each {
                width = (width + WIDER).min(each);
            }
            let height = height(shown, width).min(most);
            let card = vec2(width, height);
            let corner = pos2(right, bottom - (settings.strip_height - height) / 2.0);
            return Self { card, across: true, shown, corner };
        }
        // Without strip and panels, every position covers an image.
        let (width, right) = if settings.right_panel || !settings.left_panel {
            (settings.right_width, right)
        } else {
            (settings.left_width, window.left() + settings.left_width - space::M)
        };
        let (shown, width) = (open.len().min(SHOWN), (width - 2.0 * space::M).min(WIDTH));
        let most = STACK * window.height() / shown as f32;
        let card = vec2(width, height(shown, width).min(most));
        Self { card, across: false, shown, corner: pos2(right, bottom - space::M) }
    }

    /// Upper left corner of all messages.
    fn start(&self, older: bool) -> Pos2 {
        let row = |length: f32, more: f32| {
            self.shown as f32 * (length + space::S) - space::S + if older { more + space::S } else { 0.0 }
        };
        self.corner
            - if self.across {
                vec2(row(self.card.x, OLDER), self.card.y)
            } else {
                vec2(self.card.x, row(self.card.y, size::CONTROL))
            }
    }
}

/// Draws the messages that are not dismissed, and dismisses those whose time is over.
pub fn show(ctx: &Context, state: &State, sender: &Sender) {
    let open: Vec<&Notice> = state.notices.iter().filter(|notice| !notice.dismissed).collect();
    if open.is_empty() {
        return;
    }
    let place = CardLayout::of(ctx, state, &open);
    let waiting = open.len() - place.shown;
    let area = Area::new(Id::unique("toasts")).order(Order::Middle).fixed_pos(place.start(waiting > 0));
    let area = area.show(ctx, |ui| {
        ui.spacing_mut().item_spacing = vec2(space::S, space::S);
        let layout = if place.across { Layout::left_to_right(Align::Min) } else { Layout::top_down(Align::Min) };
        ui.with_layout(layout, |ui| {
            if waiting > 0 {
                older(ui, place, waiting, sender);
            }
            for notice in &open[waiting..] {
                toast(ui, state, notice, place.card, sender);
            }
        });
    });
    letters_above(ctx, area.response.rect);
    let held = area.response.contains_pointer() || area.response.container_contains_pointer();
    age(ctx, &open, held, sender);
}

fn older(ui: &mut Ui, place: CardLayout, count: usize, sender: &Sender) {
    let label = format!("{count} more");
    let (size, layout) = if place.across {
        (vec2(OLDER, place.card.y), Layout::top_down(Align::Max))
    } else {
        (vec2(place.card.x, size::CONTROL), Layout::left_to_right(Align::Center))
    };
    ui.allocate_ui_with_layout(size, layout, |ui| {
        ui.set_min_size(size);
        ui.spacing_mut().item_spacing.y = space::XS;
        if ui.add(PushButton::new(&label)).clicked() {
            sender.send(WindowCommand::OpenLog);
        }
        if ui.add(PushButton::new("Dismiss all")).clicked() {
            sender.send(WindowCommand::DismissAll);
        }
    });
}

pub(crate) fn mark(severity: Severity) -> (Icon, Tone) {
    match severity {
        Severity::Info => (icon::INFO, Tone::Accent),
        Severity::Warning => (icon::WARN, Tone::Warn),
        Severity::Error => (icon::ERROR, Tone::Error),
    }
}

/// Width of the text in a message, whose content has this width.
fn text_width(notice: &Notice, content: f32) -> f32 {
    let buttons = if notice.detail.is_empty() { 1.0 } else { 2.0 } * size::ROW_DENSE;
    content - size::ICON - buttons - 2.0 * space::S - BAR
}

/// Height of the buttons below the text, with their gap.
fn actions_height(state: &State, notice: &Notice) -> f32 {
    if has_actions(state, notice) { size::CONTROL + space::XS } else { 0.0 }
}

/// Lower edges of the lines of a message whose text has this width, from its upper edge.
fn line_ends(ctx: &Context, notice: &Notice, width: f32) -> Vec<f32> {
    let (mut top, mut ends) = (ABOVE_TITLE, Vec::new());
    for (text, font) in [(&notice.heading(), font::strong()), (&notice.detail, font::mono())] {
        if text.is_empty() {
            continue;
        }
        let galley = ctx.fonts_mut(|fonts| fonts.layout(text.clone(), font, Color32::PLACEHOLDER, width));
        ends.extend(galley.rows.iter().map(|row| (top + row.max_y()).ceil()));
        top += galley.size().y.ceil() + space::XS;
    }
    ends
}

/// Height of the lines that fit whole. The others are reached by scrolling.
fn whole_lines(ends: &[f32], height: f32) -> f32 {
    ends.iter().copied().filter(|end| *end <= height).fold(0.0, f32::max)
}

/// Height of a message of this width that shows its whole text.
fn needed_height(ctx: &Context, state: &State, notice: &Notice, width: f32) -> f32 {
    let text = line_ends(ctx, notice, text_width(notice, width - FRAME)).into_iter().fold(size::ROW_DENSE, f32::max);
    text + actions_height(state, notice) + FRAME
}

/// A message of fixed size, with scrolling text and buttons below.
fn toast(ui: &mut Ui, state: &State, notice: &Notice, card: Vec2, sender: &Sender) {
    let t = theme::tokens(ui);
    let frame = Frame::new()
        .fill(t.raised)
        .stroke(egui::Stroke::new(1.0, t.line_strong))
        .corner_radius(radius::L)
        .shadow(ui.visuals().popup_shadow)
        .inner_margin(Margin::same(space::S as i8));
    let shown = frame.show(ui, |ui| {
        let inner = card - Vec2::splat(FRAME);
        ui.set_min_size(inner);
        ui.set_max_size(inner);
        ui.spacing_mut().item_spacing = vec2(space::S, space::XS);
        let row = actions_height(state, notice);
        ui.vertical(|ui| {
            ui.allocate_ui_with_layout(vec2(inner.x, inner.y - row), Layout::left_to_right(Align::Min), |ui| {
                ui.set_min_size(vec2(inner.x, inner.y - row));
                message(ui, notice, vec2(inner.x, inner.y - row), sender);
            });
            if row > 0.0 {
                ui.horizontal(|ui| actions(ui, state, notice, sender));
            }
        });
    });
    let [min, max] =
        [shown.response.rect.min, shown.response.rect.max].map(|corner| (corner.x.into(), corner.y.into()));
    ui.accesskit_node_builder(shown.response.id, |node| {
        node.set_role(Role::Alert);
        node.set_bounds(egui::accesskit::Rect { x0: min.0, y0: min.1, x1: max.0, y1: max.1 });
    });
}

/// Icon, title and detail of a message, and the buttons to copy and to close it.
fn message(ui: &mut Ui, notice: &Notice, area: Vec2, sender: &Sender) {
    let t = theme::tokens(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(size::ICON, size::ROW_DENSE), egui::Sense::hover());
    let (drawing, tone) = mark(notice.severity);
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, drawing.char(), Icon::font(size::ICON), tone.color(t));
    let width = text_width(notice, area.x);
    let height = whole_lines(&line_ends(ui.ctx(), notice, width), area.y);
    ui.allocate_ui_with_layout(vec2(width + BAR, area.y), Layout::top_down(Align::Min), |ui| {
        ui.set_min_size(vec2(width + BAR, area.y));
        ui.spacing_mut().scroll = visible_bar();
        ScrollArea::vertical().id_salt(("toast", notice.id)).max_height(height).min_scrolled_height(0.0).show(
            ui,
            |ui| {
                ui.set_width(width);
                ui.add_space(ABOVE_TITLE);
                ui.add(Label::new(RichText::new(notice.heading()).font(font::strong()).color(t.text)).wrap());
                if !notice.detail.is_empty() {
                    let text = RichText::new(&notice.detail).font(font::mono()).color(t.text_dim);
                    ui.add(Label::new(text).wrap().selectable(true));
                }
            },
        );
    });
    ui.spacing_mut().item_spacing.x = 0.0;
    if !notice.detail.is_empty() && ui.add(IconButton::new(icon::COPY, "Copy text").small()).clicked() {
        ui.ctx().copy_text(format!("{}\n{}", notice.title, notice.detail));
    }
    let close = format!("Dismiss: {}", notice.title);
    if ui.add(IconButton::new(icon::CLOSE, &close).small()).clicked() {
        sender.send(WindowCommand::Dismiss(notice.id));
    }
}

/// The mask that a message offers to load, and its remedy.
fn offer(state: &State, notice: &Notice) -> Option<(MaskRole, Remedy)> {
    let role = notice.offer?;
    let mask = state.document.as_ref()?.unloaded.iter().find(|mask| mask.role == role)?;
    Some((role, mask.remedy?))
}

fn has_actions(state: &State, notice: &Notice) -> bool {
    notice.undo.is_some() || offer(state, notice).is_some()
}

fn actions(ui: &mut Ui, state: &State, notice: &Notice, sender: &Sender) {
    if let Some((role, remedy)) = offer(state, notice) {
        if ui.add(PushButton::new(&remedy.action())).clicked() {
            sender.send(Intent::LoadMask(role));
        }
        if ui.add(PushButton::new("Ignore").kind(ButtonKind::Quiet)).clicked() {
            sender.send(WindowCommand::Dismiss(notice.id));
        }
    } else if let Some(undo) = &notice.undo
        && ui.add(PushButton::new("Undo").icon(icon::UNDO)).clicked()
    {
        sender.send(undo.clone());
        sender.send(WindowCommand::Dismiss(notice.id));
    }
}

/// Seconds until a message is dismissed automatically. Errors stay; an undo is offered longer.
fn seconds(notice: &Notice) -> Option<f64> {
    match notice.severity {
        // The left panel offers the same remedy.
        _ if notice.offer.is_some() => Some(20.0),
        Severity::Info if notice.undo.is_none() => Some(5.0),
        Severity::Info | Severity::Warning => Some(10.0),
        Severity::Error => None,
    }
}

/// Counts down, except while the pointer is over the messages.
fn age(ctx: &Context, open: &[&Notice], held: bool, sender: &Sender) {
    let id = Id::unique("seconds that toasts have left");
    let before: BTreeMap<u64, f64> = ctx.data(|data| data.get_temp(id)).unwrap_or_default();
    let passed = if held { 0.0 } else { f64::from(ctx.input(|input| input.unstable_dt)) };
    let mut left = BTreeMap::new();
    for notice in open {
        let Some(all) = seconds(notice) else { continue };
        // The frame before a new message may have been long.
        let seconds = before.get(&notice.id).map_or(all, |seconds| seconds - passed);
        if seconds <= 0.0 {
            sender.send(WindowCommand::Dismiss(notice.id));
        }
        left.insert(notice.id, seconds);
    }
    if let Some(next) = left.values().copied().reduce(f64::min) {
        // Repaint in steps, since the pointer may stop the countdown.
        ctx.request_repaint_after(Duration::from_secs_f64(next.clamp(0.05, 0.5)));
    }
    ctx.data_mut(|data| data.insert_temp(id, left));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_does_not_fit_ends_after_a_whole_line() {
        let ctx = Context::default();
        crate::theme::install(&ctx, crate::theme::Theme::Dark);
        let mut state = State::default();
        state.notice(Severity::Error, "Not saved", "the disk of this machine is full ".repeat(20));
        ctx.run_ui(egui::RawInput::default(), |ui| {
            let ends = line_ends(ui.ctx(), &state.notices[0], 240.0);
            assert!(ends.len() > 8 && ends.is_sorted(), "{ends:?}");
            for height in 30..100 {
                let shown = whole_lines(&ends, height as f32);
                assert!(ends.contains(&shown) && shown <= height as f32, "{shown} of {height}");
                assert!(height as f32 - shown < 20.0, "{shown} of {height}: another line would fit");
            }
        })
        .drop_without_applying_deltas();
    }
}
