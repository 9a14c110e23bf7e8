//! The widgets of the application. They depend on egui and the theme only.
//!
//! | widget | use |
//! |---|---|
//! | [`IconButton`], [`PushButton`], [`CardButton`] | actions |
//! | [`SegmentedControl`], [`Toggle`], [`Slider`], [`NumberField`], [`Select`], [`SearchField`], [`colour_swatch`] | settings |
//! | [`Section`], [`PropertyRow`], [`ListRow`], [`ThumbnailRow`] | panels and lists |
//! | [`Badge`], [`keycaps`], [`StatusItem`] | status and shortcuts |
//! | [`Pattern`] | swatches of a comparison |
//! | [`ProgressRow`], [`Dialog`] | jobs and dialogs |
//! | [`EmptyState`], [`ErrorState`], [`LoadingState`] | panels without content |
//! | [`scroll_across`], [`split_table`], [`list_area`] | wide tables, lists in pages |
//! | [`StripChart`] | a value per slice |
//! | [`Markdown`] | manuals |
//! | [`mod@format`], [`text`] | numbers, durations and names as text; sentences and captions |
//! | [`focus`], [`space_bar`] | keyboard focus of panes, a space bar tapped alone |
//! | [`overlay_text`], [`keep_letter`], [`ColourBar`] | text, orientation letters and colour bar over an image |
//!
//! The label of a widget is its accessible name and tooltip; tests find it by that label. Everything clickable is reached
//! with Tab and pressed with Space or Enter. No widget changes its size when a value, an error or a tooltip appears.

mod badge;
mod button;
mod card;
mod colour_bar;
mod colour_swatch;
mod dialog;
pub mod focus;
pub mod format;
mod keycap;
mod list_row;
mod markdown;
mod number;
mod overlay;
mod paint;
mod pattern;
mod progress;
mod property;
mod scroll;
mod search;
mod section;
mod segmented;
mod select;
mod short_name;
mod slider;
pub mod space_bar;
mod state_view;
mod strip;
pub mod text;
mod thumbnail;
mod toggle;

pub use badge::{Badge, StatusItem, Tone};
pub use button::{ButtonKind, IconButton, PushButton};
pub use card::CardButton;
pub use colour_bar::ColourBar;
pub use colour_swatch::colour_swatch;
pub use dialog::{Dialog, DialogResult};
pub use keycap::keycaps;
pub use list_row::ListRow;
pub use markdown::Markdown;
pub use number::{NumberField, take_entered, with_problem_beside};
pub use overlay::{clear_place, keep_letter, letters_above, overlay_text, place_clear, place_within, plate};
pub use pattern::Pattern;
pub use progress::{ProgressRow, progress_bar};
pub use property::{PropertyRow, control_row};
pub use scroll::{TableOutput, TablePart, list_area, scroll_across, split_table, visible_bar};
pub use search::SearchField;
pub use section::Section;
pub use segmented::{Segment, SegmentedControl};
pub use select::Select;
pub use short_name::distinctions;
pub use slider::Slider;
pub use state_view::{EmptyState, ErrorState, LoadingState};
pub use strip::{Mark, StripChart, StripOutput, WorstEnd};
pub use thumbnail::ThumbnailRow;
pub use toggle::Toggle;

#[cfg(test)]
pub(crate) mod testing {
    use egui_kittest::Harness;

    /// A window of 480 by 360 points in the dark theme that shows `ui` and hands it `state`.
    pub fn harness<'a, S: 'a>(mut ui: impl FnMut(&mut egui::Ui, &mut S) + 'a, state: S) -> Harness<'a, S> {
        Harness::builder()
            .with_size(egui::vec2(480.0, 360.0))
            .with_context_setup(|ctx| crate::theme::install(ctx, crate::theme::Theme::Dark))
            .build_ui_state(
                move |root, state| {
                    egui::CentralPanel::default().show(root, |inner| ui(inner, state));
                },
                state,
            )
    }
}
