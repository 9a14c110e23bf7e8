//! Version, graphics adapter, licences and sources.

use egui::{Context, Label, RichText, ScrollArea, Ui};

use super::sheet::Sheet;
use crate::command::Sender;
use crate::state::State;
use crate::theme::{self, font, icon, space};
use crate::widget::text;
use crate::widget::{ButtonKind, PropertyRow, PushButton};

const WIDTH: f32 = 560.0;

/// Third-party work and its licences.
const LICENCES: [(&str, &str); 4] = [
    ("AMLP viewer", "MIT or Apache 2.0, at your option."),
    (
        "Icons",
        "Lucide (lucide.dev), copyright Lucide Contributors, ISC licence; parts derived from Feather, copyright Cole Bemis, \
         MIT licence.",
    ),
    (
        "Fonts",
        "Inter (The Inter Project Authors, SIL open font licence), Ubuntu Light (Canonical Ltd, Ubuntu font licence), Hack (Source Foundry Authors, MIT and Bitstream Vera licences), \
         Noto Emoji (Google, SIL open font licence), emoji-icon-font (John Slegers, MIT licence).",
    ),
    (
        "Sample study",
        "Derived from the collection Soft-tissue-Sarcoma of The Cancer Imaging Archive, M. Valli\u{e8}res et al., \
         doi.org/10.7937/K9/TCIA.2015.7GO2GSKS, as prepared for the validation set of the Image Biomarker Standardisation \
         Initiative by A. Zwanenburg; cropped further. Licence CC BY 3.0.",
    ),
];

pub(super) fn show(ctx: &Context, state: &State, sender: &Sender) {
    let height = (ctx.content_rect().height() - 160.0).clamp(120.0, 520.0);
    Sheet::new("About AMLP viewer", WIDTH).show(
        ctx,
        sender,
        |_| (),
        |ui| {
            ScrollArea::vertical()
                .max_height(height)
                .min_scrolled_height(height)
                .auto_shrink([false, true])
                .show(ui, |ui| content(ui, state));
        },
    );
}

fn content(ui: &mut Ui, state: &State) {
    let t = theme::tokens(ui);
    let adapter = if state.adapter.is_empty() { "none" } else { &state.adapter };
    ui.add(PropertyRow::new("Version", env!("CARGO_PKG_VERSION")));
    ui.add(PropertyRow::new("Graphics", adapter));
    let devices: Vec<&str> = state.cache.devices.iter().map(|device| device.name.as_str()).collect();
    ui.add(PropertyRow::new("Devices", &devices.join(", ")));
    ui.add_space(space::S);
    text::with_icon(ui, icon::WARN, t.warn, |ui| {
        text::sentence(ui, "Research use only. Not a medical device. Do not use it for diagnosis or treatment.");
    });
    ui.add_space(space::S);
    for (what, licence) in LICENCES {
        ui.add(Label::new(RichText::new(what).font(font::strong()).color(t.text)));
        let licence = RichText::new(licence).font(font::caption()).color(t.text_dim);
        ui.add(Label::new(licence).wrap().selectable(true));
        ui.add_space(space::XS);
    }
    let copy = PushButton::new("Copy version and adapter").icon(icon::COPY).kind(ButtonKind::Quiet);
    if ui.add(copy).clicked() {
        ui.ctx().copy_text(format!("AMLP viewer {}, {adapter}, {}", env!("CARGO_PKG_VERSION"), devices.join(", ")));
    }
}
