//! Messages in the corner of the window.

use egui::{
    Align, Align2, Area, Context, Frame, Id, Label, Layout, Margin, Order, RichText, ScrollArea, Stroke, Ui, Vec2, vec2,
};

use super::{ButtonKind, IconButton, PushButton, Tone, paint};
use crate::theme::{self, Icon, font, icon, radius, size, space};

const WIDTH: f32 = 340.0;
/// How many are shown at once; older ones wait behind a line that counts them.
const SHOWN: usize = 4;

/// How serious a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something was done. Goes away by itself.
    Info,
    /// Something wants attention. Goes away by itself, later.
    Warn,
    /// Something failed. Stays until it is dismissed.
    Error,
}

impl Level {
    /// Seconds until it goes away.
    const fn seconds(self) -> Option<f64> {
        match self {
            Self::Info => Some(4.0),
            Self::Warn => Some(8.0),
            Self::Error => None,
        }
    }

    const fn icon(self) -> (Icon, Tone) {
        match self {
            Self::Info => (icon::INFO, Tone::Accent),
            Self::Warn => (icon::WARN, Tone::Warn),
            Self::Error => (icon::ERROR, Tone::Error),
        }
    }
}

/// A message to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// How serious it is.
    pub level: Level,
    /// What happened, in one sentence.
    pub title: String,
    /// Why, as long as it needs to be; can be copied. May be empty.
    pub detail: String,
    /// The name of a button that does something about it.
    pub action: Option<String>,
}

impl Toast {
    /// A message without detail and action.
    pub fn new(level: Level, title: impl Into<String>) -> Self {
        Self { level, title: title.into(), detail: String::new(), action: None }
    }

    /// Something was done.
    pub fn info(title: impl Into<String>) -> Self {
        Self::new(Level::Info, title)
    }

    /// Something wants attention.
    pub fn warn(title: impl Into<String>) -> Self {
        Self::new(Level::Warn, title)
    }

    /// Something failed.
    pub fn error(title: impl Into<String>) -> Self {
        Self::new(Level::Error, title)
    }

    /// Why it happened.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// A button that does something about it.
    #[must_use]
    pub fn action(mut self, label: impl Into<String>) -> Self {
        self.action = Some(label.into());
        self
    }
}

/// Names one message, to learn later that its action was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ToastId(u64);

struct Item {
    id: ToastId,
    toast: Toast,
    /// How often the same message came while it was shown.
    count: usize,
    /// Seconds that are left; time under the pointer does not count.
    left: Option<f64>,
}

/// The messages that are shown now, oldest first.
#[derive(Default)]
pub struct Toasts {
    items: Vec<Item>,
    last: u64,
}

/// What the user did with one message.
enum Reply {
    Dismissed,
    Action,
}

impl Toasts {
    /// Shows a message. The same message again counts up instead of piling up.
    pub fn push(&mut self, toast: Toast) -> ToastId {
        let left = toast.level.seconds();
        if let Some(item) = self.items.iter_mut().find(|item| item.toast == toast) {
            item.count += 1;
            item.left = left;
            return item.id;
        }
        self.last += 1;
        let id = ToastId(self.last);
        self.items.push(Item { id, toast, count: 1, left });
        id
    }

    /// Takes one message away.
    pub fn dismiss(&mut self, id: ToastId) {
        self.items.retain(|item| item.id != id);
    }

    /// The messages that are shown, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Toast> {
        self.items.iter().map(|item| &item.toast)
    }

    /// Draws the messages in the lower right corner, `inset` points away from the window's edges. Returns the message
    /// whose action was asked for; that message goes away.
    pub fn show(&mut self, ctx: &Context, inset: Vec2) -> Option<ToastId> {
        if self.items.is_empty() {
            return None;
        }
        let hidden = self.items.len().saturating_sub(SHOWN);
        let mut replies = Vec::new();
        let area = Area::new(Id::unique("toasts"))
            .order(Order::Foreground)
            .anchor(Align2::RIGHT_BOTTOM, -inset)
            .default_width(WIDTH)
            .show(ctx, |ui| {
                ui.set_width(WIDTH);
                ui.spacing_mut().item_spacing.y = space::S;
                if hidden > 0 {
                    let text = format!("{hidden} more");
                    ui.add(Label::new(RichText::new(text).font(font::caption()).color(theme::tokens(ui).text_dim)));
                }
                for item in &self.items[hidden..] {
                    if let Some(reply) = show_item(ui, item) {
                        replies.push((item.id, reply));
                    }
                }
            });
        self.age(ctx, area.response.contains_pointer() || area.response.container_contains_pointer());
        let mut asked = None;
        for (id, reply) in replies {
            self.dismiss(id);
            if matches!(reply, Reply::Action) {
                asked = Some(id);
            }
        }
        asked
    }

    fn age(&mut self, ctx: &Context, held: bool) {
        let passed = if held { 0.0 } else { f64::from(ctx.input(|input| input.unstable_dt)) };
        for left in self.items.iter_mut().filter_map(|item| item.left.as_mut()) {
            *left -= passed;
        }
        self.items.retain(|item| item.left.is_none_or(|left| left > 0.0));
        if let Some(next) = self.items.iter().filter_map(|item| item.left).reduce(f64::min) {
            // Woken in steps: time does not count under the pointer, so the end is not known.
            ctx.request_repaint_after(std::time::Duration::from_secs_f64(next.clamp(0.05, 0.5)));
        }
    }
}

fn show_item(ui: &mut Ui, item: &Item) -> Option<Reply> {
    let t = theme::tokens(ui);
    let toast = &item.toast;
    let (glyph, tone) = toast.level.icon();
    let frame = Frame::new()
        .fill(t.raised)
        .stroke(Stroke::new(1.0, t.line_strong))
        .corner_radius(radius::L)
        .shadow(ui.visuals().popup_shadow)
        .inner_margin(Margin::same(space::M as i8));
    let mut reply = None;
    let shown = frame.show(ui, |ui| {
        ui.set_width(WIDTH - 2.0 * space::M - 2.0);
        ui.spacing_mut().item_spacing = vec2(space::S, space::XS);
        ui.horizontal_top(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(size::ICON, size::ROW_DENSE), egui::Sense::hover());
            paint::icon(ui.painter(), rect.center(), glyph, size::ICON, tone.color(t));
            let width = ui.available_width() - size::ROW_DENSE - space::S;
            ui.allocate_ui_with_layout(vec2(width, size::ROW_DENSE), Layout::top_down(Align::Min), |ui| {
                ui.set_width(width);
                ui.add_space(2.0);
                let title = if item.count > 1 {
                    format!("{} ({}\u{d7})", toast.title, item.count)
                } else {
                    toast.title.clone()
                };
                ui.add(Label::new(RichText::new(title).font(font::strong()).color(t.text)).wrap());
            });
            let close = format!("Dismiss: {}", toast.title);
            if ui.add(IconButton::new(icon::CLOSE, &close).small()).clicked() {
                reply = Some(Reply::Dismissed);
            }
        });
        if !toast.detail.is_empty() {
            ScrollArea::vertical().id_salt(("toast", item.id)).max_height(96.0).show(ui, |ui| {
                let text = RichText::new(&toast.detail).font(font::mono()).color(t.text_dim);
                ui.add(Label::new(text).wrap().selectable(true));
            });
        }
        if toast.action.is_some() || !toast.detail.is_empty() {
            ui.add_space(space::XS);
            ui.horizontal(|ui| {
                if let Some(action) = &toast.action
                    && ui.add(PushButton::new(action)).clicked()
                {
                    reply = Some(Reply::Action);
                }
                if !toast.detail.is_empty()
                    && ui.add(PushButton::new("Copy details").icon(icon::COPY).kind(ButtonKind::Quiet)).clicked()
                {
                    ui.ctx().copy_text(format!("{}\n{}", toast.title, toast.detail));
                }
            });
        }
    });
    ui.accesskit_node_builder(shown.response.id, |node| node.set_role(egui::Role::Alert));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable as _;

    struct State {
        toasts: Toasts,
        asked: Option<ToastId>,
    }

    fn shown(messages: Vec<Toast>) -> Harness<'static, State> {
        let mut toasts = Toasts::default();
        for message in messages {
            toasts.push(message);
        }
        harness(
            |ui, state: &mut State| {
                let asked = state.toasts.show(ui.ctx(), vec2(12.0, 12.0));
                state.asked = state.asked.or(asked);
            },
            State { toasts, asked: None },
        )
    }

    #[test]
    fn information_goes_and_errors_stay() {
        let mut harness = shown(vec![Toast::info("Saved"), Toast::error("Not saved").detail("disk full")]);
        harness.run_steps(40);
        assert!(harness.query_by_label("Saved").is_none());
        assert!(harness.query_by_label("Not saved").is_some());
        harness.get_by_label("Dismiss: Not saved").click();
        harness.run();
        assert_eq!(harness.state().toasts.iter().count(), 0);
    }

    #[test]
    fn time_under_the_pointer_does_not_count() {
        let mut harness = shown(vec![Toast::info("Saved")]);
        harness.run_steps(2);
        harness.get_by_label("Saved").hover();
        harness.run_steps(40);
        assert!(harness.query_by_label("Saved").is_some());
        harness.hover_at(egui::pos2(5.0, 5.0));
        harness.run_steps(40);
        assert!(harness.query_by_label("Saved").is_none());
    }

    #[test]
    fn an_action_is_told_once_and_the_detail_is_copied() {
        let mut harness =
            shown(vec![Toast::warn("The mask does not fit").detail("3 mm apart").action("Show both grids")]);
        harness.run();
        harness.get_by_label("Copy details").click();
        harness.step();
        let commands = &harness.output().platform_output.commands;
        assert!(
            commands
                .iter()
                .any(|command| matches!(command, egui::OutputCommand::CopyText(text) if text.contains("3 mm")))
        );
        harness.get_by_label("Show both grids").click();
        harness.run();
        assert!(harness.state().asked.is_some());
        assert_eq!(harness.state().toasts.iter().count(), 0);
    }

    #[test]
    fn the_same_message_counts_up() {
        let mut toasts = Toasts::default();
        let first = toasts.push(Toast::error("Not saved"));
        assert_eq!(toasts.push(Toast::error("Not saved")), first);
        assert_ne!(toasts.push(Toast::error("Not read")), first);
        assert_eq!(toasts.iter().count(), 2);
    }

    #[test]
    fn many_messages_wait_behind_a_line() {
        let mut harness = shown((0..6).map(|i| Toast::error(format!("Error {i}"))).collect());
        harness.run();
        assert!(harness.query_by_label("2 more").is_some());
        assert!(harness.query_by_label("Error 0").is_none());
        assert!(harness.query_by_label("Error 5").is_some());
    }
}
