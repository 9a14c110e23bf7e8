//! Messages that are not dismissed yet, in the lower right corner. Dismissed ones stay in the log.

use std::collections::BTreeMap;
use std::time::Duration;

use egui::{
    Align, Align2, Area, Context, Frame, Id, Label, Layout, Margin, Order, RichText, Role, ScrollArea, Ui, vec2,
};

use crate::command::{Sender, WindowCommand};
use crate::state::{Intent, Notice, Severity, State};
use crate::theme::{self, Icon, font, icon, radius, size, space};
use crate::widget::{ButtonKind, IconButton, PushButton, Tone, letters_above};

const WIDTH: f32 = 340.0;
/// Number shown at once; a line counts the older ones.
const SHOWN: usize = 4;
/// Height above which a detail scrolls.
const DETAIL: f32 = 84.0;

/// Draws them.
pub fn show(ctx: &Context, state: &State, sender: &Sender) {
    let open: Vec<&Notice> = state.notices.iter().filter(|notice| !notice.dismissed).collect();
    if open.is_empty() {
        return;
    }
    let waiting = open.len().saturating_sub(SHOWN);
    let foot = crate::view::train::foot(ctx, state);
    let below =
        size::STATUS_LINE + if state.session.settings.strip { state.session.settings.strip_height } else { 0.0 } + foot;
    let beside = if state.session.settings.right_panel { state.session.settings.right_width } else { 0.0 };
    let inset = vec2(beside + space::M, below + space::M);
    let area = Area::new(Id::unique("toasts")).order(Order::Middle).anchor(Align2::RIGHT_BOTTOM, -inset);
    let area = area.default_width(WIDTH).show(ctx, |ui| {
        ui.set_width(WIDTH);
        ui.spacing_mut().item_spacing.y = space::S;
        if waiting > 0 {
            older(ui, waiting, sender);
        }
        for notice in &open[waiting..] {
            toast(ui, state, notice, sender);
        }
    });
    // Toasts may be wider than a pane: there is no place for them that covers no letter.
    letters_above(ctx, area.response.rect);
    let held = area.response.contains_pointer() || area.response.container_contains_pointer();
    age(ctx, &open, held, sender);
}

fn older(ui: &mut Ui, count: usize, sender: &Sender) {
    let label = format!("{count} more");
    ui.horizontal(|ui| {
        if ui.add(PushButton::new(&label).icon(icon::LIST)).clicked() {
            sender.send(WindowCommand::OpenLog);
        }
        if ui.add(PushButton::new("Dismiss all").kind(ButtonKind::Quiet)).clicked() {
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

fn toast(ui: &mut Ui, state: &State, notice: &Notice, sender: &Sender) {
    let t = theme::tokens(ui);
    let frame = Frame::new()
        .fill(t.raised)
        .stroke(egui::Stroke::new(1.0, t.line_strong))
        .corner_radius(radius::L)
        .shadow(ui.visuals().popup_shadow)
        .inner_margin(Margin::same(space::M as i8));
    let shown = frame.show(ui, |ui| {
        ui.set_width(WIDTH - 2.0 * space::M - 2.0);
        ui.spacing_mut().item_spacing = vec2(space::S, space::XS);
        ui.horizontal_top(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(size::ICON, size::ROW_DENSE), egui::Sense::hover());
            let (drawing, tone) = mark(notice.severity);
            let glyph = drawing.char();
            ui.painter().text(rect.center(), Align2::CENTER_CENTER, glyph, Icon::font(size::ICON), tone.color(t));
            let width = ui.available_width() - size::ROW_DENSE - space::S;
            ui.allocate_ui_with_layout(vec2(width, size::ROW_DENSE), Layout::top_down(Align::Min), |ui| {
                ui.set_width(width);
                ui.add_space(2.0);
                ui.add(Label::new(RichText::new(notice.heading()).font(font::strong()).color(t.text)).wrap());
            });
            let close = format!("Dismiss: {}", notice.title);
            if ui.add(IconButton::new(icon::CLOSE, &close).small()).clicked() {
                sender.send(WindowCommand::Dismiss(notice.id));
            }
        });
        if notice.detail.is_empty() {
            return;
        }
        ScrollArea::vertical().id_salt(("toast", notice.id)).max_height(DETAIL).show(ui, |ui| {
            let text = RichText::new(&notice.detail).font(font::mono()).color(t.text_dim);
            ui.add(Label::new(text).wrap().selectable(true));
        });
        ui.horizontal(|ui| actions(ui, state, notice, sender));
    });
    ui.accesskit_node_builder(shown.response.id, |node| node.set_role(Role::Alert));
}

fn actions(ui: &mut Ui, state: &State, notice: &Notice, sender: &Sender) {
    let offered = notice.offer.and_then(|role| state.document.as_ref()?.unloaded.iter().find(|mask| mask.role == role));
    if let Some((role, remedy)) = offered.and_then(|mask| Some((mask.role, mask.remedy?))) {
        if ui.add(PushButton::new(&remedy.action())).clicked() {
            sender.send(Intent::LoadMask(role));
        }
        if ui.add(PushButton::new("Ignore").kind(ButtonKind::Quiet)).clicked() {
            sender.send(WindowCommand::Dismiss(notice.id));
        }
        return;
    }
    if let Some(undo) = &notice.undo
        && ui.add(PushButton::new("Undo").icon(icon::UNDO)).clicked()
    {
        sender.send(undo.clone());
        sender.send(WindowCommand::Dismiss(notice.id));
    }
    if ui.add(PushButton::new("Copy text").icon(icon::COPY).kind(ButtonKind::Quiet)).clicked() {
        ui.ctx().copy_text(format!("{}\n{}", notice.title, notice.detail));
    }
}

/// Seconds until a message is dismissed by itself. Errors stay; an undo is offered longer.
fn seconds(notice: &Notice) -> Option<f64> {
    match notice.severity {
        // The layers offer it too.
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
