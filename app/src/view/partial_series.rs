//! Slices of a DICOM series that is still loading. They can be viewed, but not measured or edited.

use egui::{Align2, Color32, Id, Rect, Sense, Stroke, StrokeKind, Ui, UiBuilder, pos2, vec2};

use super::states::{NOTICE, WIDTH, loading};
use super::wheel::{self, Notches};
use crate::command::{Sender, SeriesCommand};
use crate::panel::left::thumbnails::Thumbnails;
use crate::scene::{Convention, Plane};
use crate::state::JobStatus;
use crate::state::partial_series::PartialSeries;
use crate::theme::{self, font, radius, space};
use crate::widget::overlay_text;

/// Draws the current slice, and below it the progress with a cancel button.
pub(super) fn show(ui: &mut Ui, series: &PartialSeries, convention: Convention, job: &JobStatus, sender: &Sender) {
    let area = ui.max_rect();
    let id = Id::unique("partial series");
    let response = ui.interact(area, id, Sense::click_and_drag());
    ui.painter().rect_filled(area, 0.0, theme::tokens::DARK.image);
    let (above, below) = area.split_top_bottom_at_y((area.bottom() - NOTICE).max(area.top()));
    if let Some((at, picture)) = series.shown() {
        let (texture, extent) = Thumbnails::of(ui).texture(ui, id, picture);
        let area = above.shrink(space::XL);
        let scale = (area.size() / extent).min_elem().max(0.0);
        // The pictures are in the radiological convention.
        let mirrored = convention == Convention::Neurological && series.plane != Plane::Sagittal;
        let [left, right] = if mirrored { [1.0, 0.0] } else { [0.0, 1.0] };
        let part = Rect { min: pos2(left, 0.0), max: pos2(right, 1.0) };
        let image = Rect::from_center_size(area.center(), extent * scale);
        ui.painter().image(texture, image, part, Color32::WHITE);
        let text = |at, align, text: &str| {
            overlay_text(ui.painter(), at, align, text, font::caption(), theme::tokens::DARK.overlay_text);
        };
        if let Some(letters) = series.grid.letters(series.plane, convention) {
            text(image.left_center() - vec2(space::S, 0.0), Align2::RIGHT_CENTER, &letters.left);
            text(image.right_center() + vec2(space::S, 0.0), Align2::LEFT_CENTER, &letters.right);
            text(image.center_top() - vec2(0.0, space::XS), Align2::CENTER_BOTTOM, &letters.top);
            text(image.center_bottom() + vec2(0.0, space::XS), Align2::CENTER_TOP, &letters.bottom);
        }
        let label = format!("Preview: {} {}/{}", series.plane.name(), at + 1, series.slices.len());
        text(above.left_top() + vec2(space::M, space::M), Align2::LEFT_TOP, &label);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &label));
    }
    if response.contains_pointer() {
        let mut notches: Notches = ui.data(|data| data.get_temp(id)).unwrap_or_default();
        let by = notches.take(ui.input(wheel::turned).notches);
        ui.data_mut(|data| data.insert_temp(id, notches));
        if by != 0 {
            sender.send(SeriesCommand::StepPartial(by));
        }
    }
    let card = Rect::from_center_size(below.center(), vec2(WIDTH.min(below.width()), below.height() - space::L));
    let t = theme::tokens(ui);
    ui.painter().rect(card, radius::L, t.raised, Stroke::new(1.0, t.line_strong), StrokeKind::Inside);
    loading(&mut ui.new_child(UiBuilder::new().max_rect(card.shrink(space::M))), job, sender);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable as _;
    use engine::volume::Grid;
    use glam::{DAffine3, DVec3};

    use super::*;
    use crate::command::{Command, FileCommand};
    use crate::scene::{DisplayGrid, PlaneMode};
    use crate::state::{Slot, Thumbnail};

    struct LoadingSlices {
        series: PartialSeries,
        job: JobStatus,
        sender: Sender,
    }

    #[test]
    fn the_wheel_steps_through_arrived_slices_and_loading_can_be_cancelled() {
        let grid = Grid::new([4, 4, 9], DAffine3::from_scale(DVec3::new(-1.0, -1.0, 2.0)));
        let mut series = PartialSeries::new(DisplayGrid::new(&grid, PlaneMode::Native));
        for at in 3..6 {
            series.slices[at] = Some(Arc::new(Thumbnail { size: [4, 4], pixels: vec![40 * at as u8; 16] }));
        }
        let job = JobStatus {
            id: 7,
            slot: Slot::OPEN,
            title: "Opening CT series 2".into(),
            progress: Some(0.3),
            detail: "3 of 9 slices".into(),
            quiet: false,
        };
        let loading = LoadingSlices { series, job, sender: Sender::default() };
        let mut window = Harness::builder().with_size([800.0, 600.0]).build_ui_state(
            |ui, loading: &mut LoadingSlices| {
                show(ui, &loading.series, Convention::Radiological, &loading.job, &loading.sender);
            },
            loading,
        );
        window.step();
        assert!(window.query_all_by_label("Opening CT series 2: 3 of 9 slices").next().is_some());
        for (notches, expected, now) in [(1.0, 1, 6), (1.0, 1, 6), (-1.0, -1, 5)] {
            let slice = window.query_by_label_contains("Preview: Axial").unwrap();
            slice.hover();
            window.step();
            window.event(egui::Event::MouseWheel {
                unit: egui::MouseWheelUnit::Line,
                delta: vec2(0.0, notches),
                phase: egui::TouchPhase::Move,
                source: egui::MouseWheelSource::Unknown,
                modifiers: egui::Modifiers::NONE,
            });
            window.step();
            let sent = window.state().sender.take();
            assert_eq!(sent, [Command::from(SeriesCommand::StepPartial(expected))]);
            window.state_mut().series.step(expected);
            window.step();
            assert!(window.query_by_label(&format!("Preview: Axial {now}/9")).is_some());
        }
        // A click on an incomplete series has no effect.
        window.query_by_label_contains("Preview: Axial").unwrap().click();
        window.step();
        assert_eq!(window.state().sender.take(), []);
        window.get_by_label("Cancel").click();
        window.step();
        window.step();
        assert_eq!(window.state().sender.take(), [Command::from(FileCommand::CancelJob(7))]);
    }
}
