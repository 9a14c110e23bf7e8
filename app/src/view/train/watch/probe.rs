//! The pinned slice at the cursor; beside it input, reconstruction and relative loss; below a few curves.

use egui::{Align2, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};
use engine::event::Stage;
use shaders::ColourMap;

use super::pane::{self, PaneContent, SliceAtEpoch};
use super::{GAP, curves, part, sentence};
use crate::command::{Command, Sender, TimelineCommand};
use crate::scene::Camera;
use crate::state::State;
use crate::state::timeline::probes::MAX_RELATIVE;
use crate::state::timeline::{Labels, Layer, OpenRun};
use crate::theme::{self, font, palette, space};
use crate::view::legend::{self, Sign};
use crate::view::patch_pane::PatchResponse;
use crate::widget::{ColourBar, text};

/// Height of the curves: fraction of the page, minimum and maximum in points.
const CURVES: (f32, f32, f32) = (0.28, 132.0, 220.0);
/// Maximum width of the column of one, two and three small panes, as a fraction of the page.
const COLUMN: [f32; 3] = [0.4, 0.36, 0.26];
/// Height of the line below the panes about the patch under the pointer.
const NOTE: f32 = 20.0;
/// Size of a colour bar.
const BAR: egui::Vec2 = vec2(100.0, 26.0);
/// Minimum width of a pane whose colour bar does not cover the letter below.
const BAR_FROM: f32 = 240.0;

pub(super) fn show(ui: &mut Ui, state: &State, run: &OpenRun, sender: &Sender) {
    let area = ui.max_rect();
    let (share, least, most) = CURVES;
    let curves = (area.height() * share).clamp(least, most).min(area.height() / 2.0).round();
    let (top, bottom) = area.split_top_bottom_at_y(area.bottom() - curves);
    ui.painter().rect_filled(top, 0.0, theme::tokens(ui).image);
    let epoch = run.epoch().unwrap_or(1);
    match pane::probed(state, run, epoch) {
        Ok(probed) => panes(ui, top, state, run, &probed, sender),
        Err(why) => {
            let mut dark = super::child(ui, top, "no probe");
            theme::on_image(&mut dark);
            sentence(&mut dark, top, &why);
        }
    }
    curves::row(&mut super::child(ui, bottom, "curves"), state, run, sender);
}

fn panes(ui: &mut Ui, area: Rect, state: &State, run: &OpenRun, probed: &SliceAtEpoch, sender: &Sender) {
    let stage = probed.epoch.record.stage;
    let (area, line) = with_note(area, probed.slice.slice.grid > 0);
    let small = pane::column(probed);
    let count = small.len() as f32;
    let most = COLUMN[small.len().clamp(1, COLUMN.len()) - 1];
    let width = ((area.height() - (count - 1.0) * GAP) / count).min(area.width() * most).round();
    let (large, column) = area.split_left_right_at_x(area.right() - width);
    let large = Rect::from_min_max(large.min, pos2(large.right() - GAP, large.bottom()));
    let camera = state.session.timeline.options.camera;
    let contents: &[PaneContent] = match state.session.timeline.options.labels {
        Labels::Before if probed.labelled => &[PaneContent::Before],
        Labels::Both if probed.labelled => &[PaneContent::Before, PaneContent::After],
        _ => &[PaneContent::After],
    };
    let mut hovered = None;
    for (n, content) in contents.iter().enumerate() {
        let rect = part(large, n, contents.len(), true);
        let title = title(state, run, probed, *content);
        let response = pane::show(ui, rect, state, probed, *content, &title, camera);
        signs(ui, rect, state, probed);
        hovered = hovered.or(response.hovered);
        follow(&response, state, sender);
    }
    description(ui, line, state, probed, hovered);
    let count = small.len();
    for (n, (content, name)) in small.into_iter().enumerate() {
        let rect = part(column, n, count, false);
        let response = pane::show(ui, rect, state, probed, content, name, camera);
        if content == PaneContent::Loss && stage == Stage::Pretrain {
            let ends = ["0".to_owned(), format!("{MAX_RELATIVE:.0}")];
            bar(ui, rect, ColourBar::new("Relative loss", &ends).mark(1.0 / MAX_RELATIVE, "mean"));
        }
        follow(&response, state, sender);
    }
}

/// Legend of a large pane, if it fits beside the slice.
fn signs(ui: &Ui, rect: Rect, state: &State, probed: &SliceAtEpoch) {
    let options = &state.session.timeline.options;
    if probed.epoch.record.stage == Stage::Finetune {
        if options.shows(Layer::Heat) {
            let ends = ["0".to_owned(), "1".to_owned()];
            bar(ui, rect, ColourBar::new("Probability", &ends).colours(ColourMap::Hot).mark(0.5, "probability"));
        }
        return;
    }
    let all = [
        (Layer::Labels, "1  foreground", Sign::Fill(palette::PATCH_LESION)),
        (Layer::Labels, "0  background", Sign::Fill(palette::PATCH_BACKGROUND)),
        (Layer::Masked, "masked", Sign::Hatched { falling: false }),
        (Layer::Flips, "flipped", Sign::Outline(palette::PATCH_FLIP)),
        (Layer::Coins, "coin 1", Sign::Disc { full: true }),
        (Layer::Coins, "coin 0", Sign::Disc { full: false }),
        (Layer::Lesion, "reference", Sign::Outline(palette::label(1))),
    ];
    let is_drawn = |layer: Layer| match layer {
        Layer::Lesion => true,
        Layer::Masked => probed.slice.slice.grid > 0,
        _ => probed.labelled,
    };
    let shown = all.into_iter().filter(|(layer, ..)| options.shows(*layer) && is_drawn(*layer));
    let shown: Vec<(&str, Sign)> = shown.map(|(_, text, sign)| (text, sign)).collect();
    let painter = ui.painter().with_clip_rect(rect);
    let needed = legend::size(&painter, &shown) + vec2(2.0 * space::S, space::S);
    if (rect.width() - rect.height()) / 2.0 >= needed.x && rect.height() / 2.0 >= needed.y {
        legend::show(&painter, rect.max - egui::Vec2::splat(space::S), &shown);
    }
}

/// A colour bar in the lower left corner.
fn bar(ui: &Ui, rect: Rect, bar: ColourBar<'_>) {
    if rect.width() >= BAR_FROM {
        let corner = rect.left_bottom() + vec2(space::S, -BAR.y - space::S);
        bar.show(ui, Rect::from_min_size(corner, BAR));
    }
}

/// "STS_001 slice 12, epoch 5, after the update".
pub(super) fn title(state: &State, run: &OpenRun, probed: &SliceAtEpoch, content: PaneContent) -> String {
    let record = &probed.epoch.record;
    let epoch = format!("{}, epoch {}", state.pin_name_in(run, &record.pin), record.epoch);
    match (content, record.cases.is_empty()) {
        (PaneContent::Before, true) => format!("{epoch}, no update"),
        (_, true) => epoch,
        (PaneContent::Before, false) => format!("{epoch}, before the update"),
        (_, false) => format!("{epoch}, after the update"),
    }
}

/// The area of the panes, and below it the line about a patch.
pub(super) fn with_note(area: Rect, has_patches: bool) -> (Rect, Rect) {
    area.split_top_bottom_at_y(area.bottom() - if has_patches { NOTE } else { 0.0 })
}

/// The patch under the pointer, in the line below the panes.
pub(super) fn description(ui: &Ui, line: Rect, state: &State, probed: &SliceAtEpoch, hovered: Option<usize>) {
    let Some(patch) = hovered else { return };
    let description = pane::patch_words(probed, patch, state.session.settings.convention);
    let response = ui.interact(line, ui.scope_id().with("patch under the pointer"), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &description));
    let area = line.shrink2(vec2(space::S, 0.0));
    let color = theme::tokens::DARK.overlay_text;
    let galley = text::one_line(ui, &description, font::caption(), color, area.width());
    let place = Align2::LEFT_CENTER.anchor_size(area.left_center(), galley.size());
    ui.painter().with_clip_rect(line).galley(place.min, galley, color);
}

/// Sends the input on a pane. Zoom and pan apply to all panes.
pub(super) fn follow(response: &PatchResponse, state: &State, sender: &Sender) {
    let send = |command| sender.send(Command::Timeline(command));
    if let Some(camera) = response.camera {
        send(TimelineCommand::SetCamera(camera));
    }
    if response.double_clicked {
        send(TimelineCommand::SetCamera(Camera::default()));
    }
    if let Some(patch) = response.clicked {
        let other = Some(patch).filter(|_| state.session.timeline.options.patch != Some(patch));
        send(TimelineCommand::ChoosePatch(other));
    }
}
